package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dumpCase is one call of kafka-dump-log on the files that dumpStage lays out.
type dumpCase struct {
	name, args string
	// other says why Kafka's own output is another one; "" for the same.
	other string
}

const segmentZero = "/00000000000000000000"

// dumpCases are run against what is recorded (Kafka 4.3.1 printed it), and against Kafka itself where there is one.
func dumpCases() []dumpCase {
	z := segmentZero
	real := "real/__cluster_metadata-0" + z + ".log,real/bootstrap.checkpoint"
	all := strings.Join([]string{"real/codecs-0" + z + ".log", "real/codecs-0" + z + ".index", "real/codecs-0" + z + ".timeindex", "real/codecs-0/00000000000000000450.snapshot",
		"real/txn-0" + z + ".log", "real/txn-0" + z + ".txnindex", "real/compacted-0" + z + ".log", "real/compacted-0" + z + ".index"}, ",")
	return []dumpCase{
		// Every record type in every version, filled, with its defaults, and damaged.
		{"offsets", "--offsets-decoder --files offsets-0" + z + ".log", ""},
		{"transactions", "--transaction-log-decoder --files transactions-0" + z + ".log", ""},
		{"share", "--share-group-state-decoder --files share-0" + z + ".log", ""},
		{"metadata", "--cluster-metadata-decoder --files metadata-0" + z + ".log", ""},
		{"remote", "--remote-log-metadata-decoder --files remote-0" + z + ".log", ""},
		{"control", "--cluster-metadata-decoder --files control-0" + z + ".log", ""},
		{"keyless", "--offsets-decoder --files keyless-0" + z + ".log", ""},
		// What a node wrote: all codecs, transactions, a cleaned log, groups of two kinds, metadata.
		{"real", "--files " + all, ""},
		{"real-deep", "--deep-iteration --files " + all, ""},
		{"real-data", "--print-data-log --files " + all, ""},
		{"real-bare", "--print-data-log --skip-record-metadata --files " + all, ""},
		{"real-verify", "--verify-index-only --files " + all, ""},
		{"real-sanity", "--index-sanity-check --files " + all, ""},
		{"real-offsets", "--offsets-decoder --files real/__consumer_offsets-0" + z + ".log,real/__consumer_offsets-1" + z + ".log", ""},
		{"real-transactions", "--transaction-log-decoder --files real/__transaction_state-1" + z + ".log", ""},
		{"real-metadata", "--cluster-metadata-decoder --files " + real, ""},
		{"wrong-decoder", "--offsets-decoder --files real/txn-0" + z + ".log", ""},
		{"max-bytes", "--max-bytes 1000 --files real//codecs-0//" + z[1:] + ".log", ""},
		{"decoders", "--key-decoder-class org.apache.kafka.tools.api.LongDecoder --value-decoder-class org.apache.kafka.tools.api.IntegerDecoder --files real/txn-0" + z + ".log", "Java names only the class of its exception"},
		// Damage.
		{"cut", "--print-data-log --files cut" + z + ".log", ""},
		{"flipped", "--files flipped" + z + ".log,flipped" + z + ".index,flipped" + z + ".timeindex", ""},
		{"flipped-deep", "--deep-iteration --files flipped" + z + ".log", ""},
		{"index-ahead", "--files ahead" + z + ".index", ""},
		{"index-wrong", "--files wrong" + z + ".index", ""},
		{"index-sanity", "--index-sanity-check --files half" + z + ".index", ""},
		{"time-order", "--files order" + z + ".timeindex", ""},
		{"time-order-sanity", "--index-sanity-check --files order" + z + ".timeindex", ""},
		{"time-offset", "--files offset" + z + ".timeindex", ""},
		{"garbage", "--files garbage" + z + ".log", ""},
		{"empty", "--files empty" + z + ".log,empty" + z + ".index,empty" + z + ".timeindex,empty" + z + ".txnindex,empty/00000000000000000001.snapshot", ""},
		{"zeros", "--files zeros" + z + ".log", ""},
		{"snapshots", "--files snapshots/whole.snapshot,snapshots/flipped.snapshot,snapshots/version.snapshot,snapshots/short.snapshot,snapshots/cut.snapshot", ""},
		{"small-message", "--max-message-size 100 --files real/codecs-0" + z + ".index", "Java names only the class of its exception"},
		// Names and options.
		{"missing-log", "--files nothere" + z + ".log", ""},
		{"missing-snapshot", "--files nothere" + z + ".snapshot", ""},
		{"missing-txnindex", "--files nothere" + z + ".txnindex", ""},
		{"not-a-number", "--files empty/x.log", ""},
		{"other-files", "--files empty/file.txt,empty/noext,empty", ""},
		{"bad-snapshot-name", "--files empty/y.checkpoint", "Java trips over the name"},
		{"bad-number", "--max-bytes x --files real/txn-0" + z + ".log", ""},
		{"bad-decoder", "--value-decoder-class nosuch.Decoder --files real/txn-0" + z + ".log", "ours says what there is"},
		{"bad-option", "--bogus", ""},
		{"version", "--version", "another version"},
	}
}

// dumpStage lays the recorded files out in a directory of its own, with damaged copies of them.
func dumpStage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/dumplog")); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	write := func(name string, b []byte) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	segment := func(to string, suffixes ...string) {
		for _, x := range suffixes {
			write(to+segmentZero+x, read("real/codecs-0"+segmentZero+x))
		}
	}
	patch := func(name string, at int, with string) {
		b := read(name)
		copy(b[at:], with)
		write(name, b)
	}
	z := segmentZero
	write("cut"+z+".log", read("real/codecs-0" + z + ".log")[:1500])
	segment("flipped", ".log", ".index", ".timeindex")
	patch("flipped"+z+".log", 300, "XYZ")
	segment("ahead", ".log", ".index")
	patch("ahead"+z+".index", 11, "\xff")
	segment("wrong", ".log", ".index")
	patch("wrong"+z+".index", 3, "\x02")
	segment("half", ".log")
	write("half"+z+".index", read("real/codecs-0" + z + ".index")[:20])
	segment("order", ".log", ".index", ".timeindex")
	patch("order"+z+".timeindex", 12, "\xff\xff\xff\xff\xff\xff\xff\xff")
	segment("offset", ".log", ".index", ".timeindex")
	patch("offset"+z+".timeindex", 20, "\x00\x00\x00\x01")
	write("garbage"+z+".log", []byte(strings.Repeat("\xff", 1000)))
	write("zeros"+z+".log", make([]byte, 500))
	for _, x := range []string{z + ".log", z + ".index", z + ".timeindex", z + ".txnindex", "/00000000000000000001.snapshot", "/x.log", "/file.txt", "/noext", "/y.checkpoint"} {
		write("empty"+x, nil)
	}
	snapshot := read("real/codecs-0/00000000000000000450.snapshot")
	write("snapshots/whole.snapshot", snapshot)
	write("snapshots/flipped.snapshot", snapshot)
	patch("snapshots/flipped.snapshot", 30, "\x01")
	write("snapshots/version.snapshot", snapshot)
	patch("snapshots/version.snapshot", 0, "\x00\x05")
	write("snapshots/short.snapshot", snapshot[:5])
	write("snapshots/cut.snapshot", snapshot[:30])
	return dir
}
