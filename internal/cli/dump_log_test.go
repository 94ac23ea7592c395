package cli

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
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

// fuzzedDumper is a dumper whose output nobody reads.
func fuzzedDumper(t testing.TB, families map[string]*storedFamily, args ...string) *dumper {
	p, err := dumpLogOptions().parse(args)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Env: &Env{Stdout: io.Discard, Stderr: io.Discard}, out: bufio.NewWriter(io.Discard)}
	d := newDumper(r, p, families)
	if err := d.settle(); err != nil {
		t.Fatal(err)
	}
	return d
}

func fuzzedFamilies(f *testing.F) map[string]*storedFamily {
	families, err := loadStoredRecords(storedRecordsText)
	if err != nil {
		f.Fatal(err)
	}
	return families
}

// Nothing in a log may stop the tool but an error, and what it reads is bounded by what there is.
func FuzzDumpLog(f *testing.F) {
	for i, name := range []string{"offsets-0", "transactions-0", "metadata-0", "remote-0", "share-0", "control-0", "real/txn-0", "real/codecs-0"} {
		b, err := os.ReadFile("testdata/dumplog/" + name + segmentZero + ".log")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 1000)], uint8(i))
	}
	families := fuzzedFamilies(f)
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
		d := fuzzedDumper(t, families, decoders[int(which)%len(decoders)])
		_ = d.batches(&input{ReaderAt: bytes.NewReader(b), name: "/x.log", size: int64(len(b))})
		d.printFindings()
	})
}

// The same for the files beside a log.
func FuzzDumpLogIndexes(f *testing.F) {
	real := "testdata/dumplog/real/codecs-0"
	suffixes := []string{".index", ".timeindex", ".txnindex", ".snapshot"}
	for i, x := range suffixes {
		b, err := os.ReadFile(real + segmentZero + x)
		if err != nil {
			b = make([]byte, 34)
		}
		f.Add(b, uint8(i), false)
		f.Add(b, uint8(i), true)
	}
	log, err := os.ReadFile(real + segmentZero + ".log")
	if err != nil {
		f.Fatal(err)
	}
	families := fuzzedFamilies(f)
	dir := f.TempDir()
	put := func(t testing.TB, suffix string, b []byte) {
		if err := os.WriteFile(dir+segmentZero+suffix, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(f, ".log", log)
	f.Fuzz(func(t *testing.T, b []byte, which uint8, sanity bool) {
		put(t, ".index", b)
		x := suffixes[int(which)%len(suffixes)]
		put(t, x, b)
		var args []string
		if sanity {
			args = append(args, "--index-sanity-check")
		}
		d := fuzzedDumper(t, families, args...)
		_ = d.file(dir + segmentZero + x)
		d.printFindings()
	})
}
