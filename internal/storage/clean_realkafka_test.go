//go:build realkafka

package storage

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// The same partition is cleaned by Apache Kafka and by us, and the same batches with the same records are left. Three times: each
// time what Kafka has left gets more records, so that tombstones, markers and empty batches of the last time are met again.
func TestKafkaCleansAsWeDo(t *testing.T) {
	script := os.Getenv("MOLDAU_REALKAFKA")
	if script == "" {
		t.Skip("MOLDAU_REALKAFKA is not set")
	}
	const port = "29394"
	root := t.TempDir()
	props := filepath.Join(root, "props")
	if err := os.WriteFile(props, []byte("log.cleaner.backoff.ms=200\nlog.retention.check.interval.ms=500\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RK_PROPS", props)
	theirs := filepath.Join(root, "data-1", "t-0")
	start := func() string { return strings.TrimSpace(kafka(t, script, "start", root, "1", port)) }
	boot := start()
	running := true
	stop := func() {
		if running {
			kafka(t, script, "stop", root)
		}
		running = false
	}
	defer stop()
	kafka(t, script, "tool", "kafka-topics", "--bootstrap-server", boot, "--create", "--topic", "t", "--partitions", "1", "--config", "cleanup.policy=compact",
		"--config", "min.cleanable.dirty.ratio=0.001", "--config", "delete.retention.ms=1")
	stop()

	cfg := compactConfig()
	cfg.SegmentBytes, cfg.DeleteRetentionMs = 20_000, 1
	c := seededChooser{rand.New(rand.NewPCG(7, 7))}
	x := &compactor{fsys: vfs.OS{}, clk: clock.Real{}, cfg: cfg, h: &history{expired: map[int64]int64{}}}
	from := "" // where the partition comes from
	for round := range 3 {
		x.dir = filepath.Join(root, fmt.Sprint("round-", round))
		ours := filepath.Join(x.dir, "t-0")
		format(t, vfs.OS{}, x.dir)
		if from != "" {
			copyPartition(t, from, ours)
		}
		x.open(t)
		for range 300 {
			x.append(t, c)
			x.endTxn(t, c)
		}
		for pid := range int64(3) {
			for x.h.isOpen(pid) {
				x.endTxn(t, c)
			}
		}
		if err := x.l.Roll(); err != nil {
			t.Fatal(err)
		}
		x.commit()
		end := x.l.LogEndOffset()
		if err := x.m.Close(true); err != nil {
			t.Fatal(err)
		}
		copyPartition(t, ours, theirs)

		start()
		running = true
		awaitCleaned(t, filepath.Join(root, "data-1", cleanerFile), end)
		stop()
		x.open(t)
		x.commit()
		x.cfg.SegmentBytes = 1 << 30 // as Kafka's topic has it: everything becomes one segment
		x.l.SetConfig(x.cfg)
		x.clean(t)
		if err := x.verify(); err != nil {
			t.Fatal(err)
		}
		got := describe(t, x.l)
		if err := x.m.Close(true); err != nil {
			t.Fatal(err)
		}
		x.cfg = cfg

		// What Kafka has left, read by us.
		from = filepath.Join(root, fmt.Sprint("kafka-", round), "t-0")
		format(t, vfs.OS{}, filepath.Dir(from))
		copyPartition(t, theirs, from)
		k := openManager(t, vfs.OS{}, clock.Real{}, cfg, func(o *ManagerOptions) { o.Dirs = []string{filepath.Dir(from)} })
		want := describe(t, k.Log(testTP))
		if err := k.Close(true); err != nil {
			t.Fatal(err)
		}
		horizons := regexp.MustCompile(`until \+[-0-9]+s`)
		gotLines, wantLines := strings.Split(horizons.ReplaceAllString(got, "until"), "\n"), strings.Split(horizons.ReplaceAllString(want, "until"), "\n")
		for i := range max(len(gotLines), len(wantLines)) {
			g, w := "nothing", "nothing"
			if i < len(gotLines) {
				g = gotLines[i]
			}
			if i < len(wantLines) {
				w = wantLines[i]
			}
			if g != w {
				t.Fatalf("round %d, line %d: we have left\n%s\nand Kafka\n%s", round, i, g, w)
			}
		}
		t.Logf("round %d: %d batches up to %d", round, len(gotLines), end)
		dumpIsSane(t, script, ours)
	}
}

// copyPartition copies a partition's files but the topic's id, in place of those that are there.
func copyPartition(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{to, from} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			switch {
			case e.Name() == partitionMetadataFile:
			case dir == to:
				err = os.Remove(filepath.Join(to, e.Name()))
			case filepath.Ext(e.Name()) != deletedSuffix:
				var data []byte
				if data, err = os.ReadFile(filepath.Join(from, e.Name())); err == nil {
					err = os.WriteFile(filepath.Join(to, e.Name()), data, 0o644)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func awaitCleaned(t *testing.T, checkpoint string, end int64) {
	t.Helper()
	for range 300 {
		if offsets, err := ReadOffsetCheckpoint(vfs.OS{}, checkpoint); err == nil && offsets[testTP] >= end {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	data, _ := os.ReadFile(checkpoint)
	t.Fatalf("Kafka has not cleaned up to %d: %s", end, data)
}

// dumpIsSane has Kafka's dump tool read what a cleaning has written.
func dumpIsSane(t *testing.T, script, dir string) {
	t.Helper()
	var names []string
	for _, f := range strings.Fields(files(t, vfs.OS{}, dir)) {
		switch filepath.Ext(f) {
		case logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix, snapshotSuffix:
			names = append(names, filepath.Join(dir, f))
		}
	}
	out, err := exec.Command(script, "tool", "kafka-dump-log", "--deep-iteration", "--print-data-log", "--files", strings.Join(names, ",")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, bad := range []string{"Exception", "isvalid: false", "Mismatches", "Found timestamp mismatch", "Found out of order", "cannot"} {
		if strings.Contains(string(out), bad) {
			t.Fatalf("%s in: %s", bad, out)
		}
	}
}
