//go:build realkafka

package storage

import (
	"fmt"
	"math/rand/v2"
	"net"
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

// freePort is a port that nobody listens on, below those that the kernel gives to connections; the one a hundred above it, which the script's
// controller takes, is free as well.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		free := true
		for _, p := range []int{port, port + 100} {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
			if free = free && err == nil; err == nil {
				_ = l.Close() // it was only tried
			}
		}
		if free {
			return fmt.Sprint(port)
		}
	}
	t.Fatal("no port is free")
	return ""
}

// kafka runs one command of the script.
func kafka(t *testing.T, script string, args ...string) string {
	t.Helper()
	out, err := exec.Command(script, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

// A directory goes from Apache Kafka to us, after a kill and after an orderly stop,
// gets records appended, and goes back: nothing is lost on the way.
func TestADirectoryGoesToUsAndBack(t *testing.T) {
	script := os.Getenv("MOLDAU_REALKAFKA")
	if script == "" {
		t.Skip("MOLDAU_REALKAFKA is not set")
	}
	const records = 4000
	port := freePort(t)
	root := t.TempDir()
	boot := strings.TrimSpace(kafka(t, script, "start", root, "1", port))
	running := true
	defer func() {
		if running {
			kafka(t, script, "stop", root)
		}
	}()
	kafka(t, script, "tool", "kafka-topics", "--bootstrap-server", boot, "--create", "--topic", "moved", "--partitions", "1", "--config", "segment.bytes=1048576")
	perf := func(extra ...string) {
		kafka(t, script, append([]string{"tool", "kafka-producer-perf-test", "--topic", "moved", "--num-records", fmt.Sprint(records), "--record-size", "1000",
			"--throughput", "-1", "--producer-props", "bootstrap.servers=" + boot, "compression.type=lz4", "acks=all"}, extra...)...)
	}
	perf()
	pid, err := os.ReadFile(filepath.Join(root, "1.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("kill", "-9", strings.TrimSpace(string(pid))).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	kafka(t, script, "stop", root)
	running = false

	open := func() (*Manager, *Log) {
		mgr, err := OpenManager(ManagerOptions{FS: vfs.OS{}, Clock: clock.Real{}, Dirs: []string{filepath.Join(root, "data-1")}, NodeID: 1, DefaultConfig: DefaultLogConfig()})
		if err != nil {
			t.Fatal(err)
		}
		l := mgr.Log(TopicPartition{"moved", 0})
		if l == nil || l.TopicID() == ([16]byte{}) {
			t.Fatal("the log is not there")
		}
		return mgr, l
	}
	mgr, l := open()
	if l.LogEndOffset() != records || len(readFrom(t, l, 0)) != records || l.NumSegments() < 2 || len(l.ActiveProducers()) != 1 {
		t.Fatalf("after the kill: %d records, %d segments, %d producers", l.LogEndOffset(), l.NumSegments(), len(l.ActiveProducers()))
	}
	mustAppend(t, l, batchOf(record.BuilderOptions{Codec: record.Zstd}, clock.Real{}.Now().UnixMilli(), "ours", "too"))
	l.SetHighWatermark(l.LogEndOffset())
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}

	kafka(t, script, "start", root, "1", port)
	running = true
	out := kafka(t, script, "tool", "kafka-get-offsets", "--bootstrap-server", boot, "--topic", "moved")
	if want := fmt.Sprintf("moved:0:%d", records+2); !strings.Contains(out, want) {
		t.Fatalf("Kafka finds %s, not %s", out, want)
	}
	out = kafka(t, script, "tool", "kafka-console-consumer", "--bootstrap-server", boot, "--topic", "moved", "--partition", "0", "--offset", fmt.Sprint(records), "--max-messages", "2")
	if !strings.Contains(out, "ours\ntoo\n") {
		t.Fatal(out)
	}
	kafka(t, script, "stop", root)
	running = false
	mgr, l = open()
	if l.LogEndOffset() != records+2 || !mgr.dirs[0].clean || mgr.PreviousBrokerEpoch() < 0 {
		t.Fatalf("after the stop: %d records, clean %v, broker epoch %d", l.LogEndOffset(), mgr.dirs[0].clean, mgr.PreviousBrokerEpoch())
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
}
