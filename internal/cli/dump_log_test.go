package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/record"
)

var updateDumps = flag.Bool("update-dumps", false, "record what kafka-dump-log prints")

// recorded is how a case's outcome is kept: output, errors and exit code, without the directory's name.
func recorded(dir, stdout, stderr string, code int) string {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		real = dir
	}
	text := fmt.Sprintf("%s\n--- stderr\n%s\n--- exit %d\n", stdout, stderr, code)
	return strings.NewReplacer(dir, "$W", real, "$W").Replace(text)
}

// Each case prints what Kafka's own tool printed of the same files.
func TestDumpLogPrintsWhatKafkaPrints(t *testing.T) {
	dir := dumpStage(t)
	golden, err := filepath.Abs("testdata/dumplog/golden")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	s := offline(t)
	for _, c := range dumpCases() {
		t.Run(c.name, func(t *testing.T) {
			out := s.run("kafka-dump-log "+c.args, "")
			got := recorded(dir, out.stdout, out.stderr, out.code)
			name := filepath.Join(golden, c.name+".txt")
			if *updateDumps {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("kafka-dump-log %s\n%s", c.args, firstDifference(string(want), got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("line %d\n- %s\n+ %s", i+1, x, y)
		}
	}
	return ""
}

// The table of stored records can be read whole: a mistake in it would only show when the record is met.
func TestStoredRecordsTable(t *testing.T) {
	families, err := loadStoredRecords(storedRecordsText)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"offsets", "transactions", "share", "metadata", "remote", "control"} {
		if families[name] == nil || len(families[name].byName) == 0 {
			t.Errorf("no records of %s", name)
		}
	}
	for _, typ := range []int16{1, 2, 3, 16, 17, 23} {
		if f := families["offsets"]; f.named(typ, "Key") == nil || f.named(typ, "Value") == nil {
			t.Errorf("no key or value of type %d", typ)
		}
	}
}

// Java replaces each ill-formed run of bytes by one character, cut where it ceases to begin one.
func TestJavaString(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 세 😀": "plain ü 세 😀", "\xff": "\uFFFD", "a\xe2\x82b": "a\uFFFDb", "\xe2\x82": "\uFFFD",
		"\xc0\x80": "\uFFFD\uFFFD", "\xed\xa0\x80": "\uFFFD\uFFFD\uFFFD", "\xf0\x9f\x98": "\uFFFD", "\xf5\x80": "\uFFFD\uFFFD",
	} {
		if got := javaString([]byte(in)); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
}

// Nothing in a log may stop the tool but an error, and what it reads is bounded by what there is.
func FuzzDumpLog(f *testing.F) {
	for i, name := range []string{"offsets-0", "transactions-0", "metadata-0", "remote-0", "share-0", "control-0", "real/txn-0", "real/codecs-0"} {
		b, err := os.ReadFile("testdata/dumplog/" + name + segmentZero + ".log")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 3000)], uint8(i))
	}
	decoders := []string{"--offsets-decoder", "--transaction-log-decoder", "--cluster-metadata-decoder", "--remote-log-metadata-decoder", "--share-group-state-decoder", "--print-data-log", "--deep-iteration"}
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		// With its checksum right a damaged batch is looked at more closely.
		for rest := b; len(rest) > record.HeaderBytes; {
			batch, next, err := record.Next(rest)
			if err != nil {
				break
			}
			batch.UpdateCRC()
			rest = next
		}
		name := filepath.Join(t.TempDir(), "00000000000000000000.log")
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		s := &stage{t: t, env: map[string]string{}}
		s.args([]string{"kafka-dump-log", decoders[int(which)%len(decoders)], "--files", name}, "")
	})
}

// The same for the files beside a log.
func FuzzDumpLogIndexes(f *testing.F) {
	dir := "testdata/dumplog/real/codecs-0"
	for i, x := range []string{".index", ".timeindex", ".txnindex", ".snapshot"} {
		b, err := os.ReadFile(dir + segmentZero + x)
		if err != nil {
			b = make([]byte, 34)
		}
		f.Add(b, uint8(i), false)
		f.Add(b, uint8(i), true)
	}
	log, err := os.ReadFile(dir + segmentZero + ".log")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte, which uint8, sanity bool) {
		dir := t.TempDir()
		for x, content := range map[string][]byte{".log": log, ".index": b, ".timeindex": b, ".txnindex": b, ".snapshot": b} {
			if err := os.WriteFile(dir+segmentZero+x, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		args := []string{"kafka-dump-log", "--files", dir + segmentZero + []string{".index", ".timeindex", ".txnindex", ".snapshot"}[which%4]}
		if sanity {
			args = append(args, "--index-sanity-check")
		}
		s := &stage{t: t, env: map[string]string{}}
		s.args(args, "")
	})
}
