//go:build realkafka

package storage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// Apache Kafka's own dump tool reads every kind of file that a log writes, with
// every codec. MOLDAU_REALKAFKA is a script whose "tool NAME ARGS..." runs a tool of
// Kafka by its name.
func TestKafkaReadsOurDirectory(t *testing.T) {
	script := os.Getenv("MOLDAU_REALKAFKA")
	if script == "" {
		t.Skip("MOLDAU_REALKAFKA is not set")
	}
	root := t.TempDir()
	format(t, vfs.OS{}, root)
	cfg := DefaultLogConfig()
	cfg.SegmentBytes, cfg.IndexIntervalBytes = 6000, 300
	mgr := openManager(t, vfs.OS{}, clock.Real{}, cfg, func(o *ManagerOptions) { o.Dirs = []string{root} })
	l, err := mgr.CreateLog(TopicPartition{"dumped", 0}, testID, cfg, [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	now := clock.Real{}.Now().UnixMilli()
	count := 0
	for i := range 40 {
		for _, codec := range []record.Codec{record.None, record.Gzip, record.Snappy, record.LZ4, record.Zstd} {
			b := record.NewBuilder(record.BuilderOptions{Codec: codec, HasProducer: true, ProducerID: int64(codec), BaseSequence: int32(2 * i)})
			for j := range 2 {
				b.Append(now+int64(i), []byte(fmt.Sprint("key", j)), []byte(fmt.Sprintf("value-%v-%d-%d", codec, i, j)), []record.Header{{Key: "h", Value: []byte("x")}})
				count++
			}
			mustAppend(t, l, b.Build())
		}
	}
	mustAppend(t, l, inTxn(100, 0, 0, "in a transaction"))
	mustCoordinate(t, l, marker(100, 0, false))
	count++
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "dumped-0")
	var logs, others []string
	for _, e := range strings.Fields(files(t, vfs.OS{}, dir)) {
		switch filepath.Ext(e) {
		case ".log":
			logs = append(logs, filepath.Join(dir, e))
		case ".index", ".timeindex", ".txnindex", ".snapshot":
			others = append(others, filepath.Join(dir, e))
		}
	}
	if len(logs) < 3 {
		t.Fatalf("only %d segments", len(logs))
	}
	dump := func(args ...string) string {
		out, err := exec.Command(script, append([]string{"tool", "kafka-dump-log"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, bad := range []string{"Exception", "isvalid: false", "Mismatches", "Found timestamp mismatch", "Found out of order", "cannot"} {
			if strings.Contains(string(out), bad) {
				t.Fatalf("%s in: %s", bad, out)
			}
		}
		return string(out)
	}
	out := dump("--deep-iteration", "--print-data-log", "--files", strings.Join(logs, ","))
	if got := strings.Count(out, "payload: value-") + strings.Count(out, "payload: in a transaction"); got != count {
		t.Fatalf("it reads %d of %d records: %s", got, count, out)
	}
	for _, want := range []string{"compresscodec: none", "compresscodec: gzip", "compresscodec: snappy", "compresscodec: lz4", "compresscodec: zstd", "endTxnMarker: ABORT"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in what it reads", want)
		}
	}
	out = dump("--files", strings.Join(others, ","))
	for _, want := range []string{"producerId: 4", "producerEpoch: 0", "lastSequence: 79"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
}
