package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/moldau-stream/moldau/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func content(t tb, fsys vfs.FS, name string) string {
	t.Helper()
	b, err := vfs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "(none)"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDirectoryIsKafkas(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	clk := newTestClock()
	mgr := openManager(t, m, clk, DefaultLogConfig(), func(o *ManagerOptions) { o.BrokerEpoch = func() int64 { return 42 } })
	l, err := mgr.CreateLog(TopicPartition{"a.b", 3}, [16]byte{1}, DefaultLogConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, from(5, 0, 0, "x", "y", "z"))
	l.SetHighWatermark(3)
	if err := l.AdvanceLogStartOffset(2); err != nil {
		t.Fatal(err)
	}
	if got := content(t, m, "/d/log-start-offset-checkpoint"); got != "0\n1\na.b 3 2\n" {
		t.Fatalf("not durable when acknowledged: %q", got)
	}
	clk.Advance(5 * time.Second)
	if got := content(t, m, "/d/replication-offset-checkpoint"); got != "0\n1\na.b 3 3\n" {
		t.Fatalf("%q", got)
	}
	clk.Advance(time.Minute)
	if got := content(t, m, "/d/recovery-point-offset-checkpoint"); got != "0\n1\na.b 3 0\n" {
		t.Fatalf("%q", got)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"meta.properties":                  "#\ncluster.id=c\ndirectory.id=AQAAAAAAAAAAAAAAAAAAAA\nnode.id=1\nversion=1\n",
		"recovery-point-offset-checkpoint": "0\n1\na.b 3 3\n",
		"replication-offset-checkpoint":    "0\n1\na.b 3 3\n",
		"log-start-offset-checkpoint":      "0\n1\na.b 3 2\n",
		".kafka_cleanshutdown":             `{"version":0,"brokerEpoch":42}`,
		"a.b-3/partition.metadata":         "version: 0\ntopic_id: AQAAAAAAAAAAAAAAAAAAAA\n",
		"a.b-3/leader-epoch-checkpoint":    "0\n1\n1 2\n",
		"a.b-3/00000000000000000000.index": "",
	} {
		if got := content(t, m, "/d/"+name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	want := "00000000000000000000.index 0\n00000000000000000000.log 88\n00000000000000000000.timeindex 12\n00000000000000000003.snapshot 56\nleader-epoch-checkpoint 8\npartition.metadata 44\n"
	if diff := cmp.Diff(want, files(t, m, "/d/a.b-3")); diff != "" {
		t.Error(diff)
	}
	mgr = openManager(t, m, clk, DefaultLogConfig())
	defer func() { _ = mgr.Close(false) }()
	if mgr.PreviousBrokerEpoch() != 42 || content(t, m, "/d/.kafka_cleanshutdown") != "(none)" {
		t.Fatal(mgr.PreviousBrokerEpoch())
	}
	l = mgr.Log(TopicPartition{"a.b", 3})
	if l.HighWatermark() != 3 || l.LogStartOffset() != 2 || l.TopicID() != [16]byte{1} || l.FlushedOffset() != 3 {
		t.Fatal(l.HighWatermark(), l.LogStartOffset(), l.TopicID())
	}
}

func TestWrongDirectoriesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*vfs.Mem, *ManagerOptions)
		want    string
	}{
		"none":           {func(_ *vfs.Mem, o *ManagerOptions) { o.Dirs = nil }, "no log directory"},
		"missing":        {func(_ *vfs.Mem, o *ManagerOptions) { o.Dirs = []string{"/x"} }, "/x"},
		"not formatted":  {func(m *vfs.Mem, o *ManagerOptions) { _ = m.MkdirAll("/y", 0o755); o.Dirs = []string{"/y"} }, "not formatted"},
		"other cluster":  {func(_ *vfs.Mem, o *ManagerOptions) { o.ClusterID = "other" }, "belongs to cluster c"},
		"other node":     {func(_ *vfs.Mem, o *ManagerOptions) { o.NodeID = 2 }, "belongs to node 1"},
		"locked":         {func(m *vfs.Mem, _ *ManagerOptions) { _, _ = m.Lock("/d/.lock") }, "is another node running"},
		"twice the same": {func(_ *vfs.Mem, o *ManagerOptions) { o.Dirs = []string{"/d", "/e"} }, "t-0 lies in"},
	} {
		t.Run(name, func(t *testing.T) {
			m := vfs.NewMem()
			format(t, m, "/d", "/e")
			_ = m.MkdirAll("/d/t-0", 0o755)
			_ = m.MkdirAll("/e/t-0", 0o755)
			o := ManagerOptions{FS: m, Clock: newTestClock(), Dirs: []string{"/d"}, ClusterID: "c", NodeID: 1, DefaultConfig: DefaultLogConfig()}
			c.prepare(m, &o)
			if _, err := OpenManager(o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestABrokenDirectoryIsLeftOut(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d", "/e")
	f := vfs.NewFault(m, func(op vfs.Op) error {
		if strings.HasPrefix(op.Name, "/e") && op.Kind == vfs.OpReadDir {
			return errors.New("input/output error")
		}
		return nil
	})
	mgr := openManager(t, f, newTestClock(), DefaultLogConfig(), func(o *ManagerOptions) { o.Dirs = []string{"/e", "/d"} })
	defer func() { _ = mgr.Close(true) }()
	dirs := mgr.Dirs()
	if dirs[0].Err == nil || dirs[1].Err != nil || dirs[1].ID != [16]byte{1} {
		t.Fatalf("%+v", dirs)
	}
	if l, err := mgr.CreateLog(testTP, testID, DefaultLogConfig(), [16]byte{}); err != nil || l.LogDir() != "/d" {
		t.Fatal(err)
	}
	if _, err := mgr.CreateLog(TopicPartition{"u", 0}, testID, DefaultLogConfig(), [16]byte{2}); !errors.Is(err, ErrNoDirectory) {
		t.Fatal(err)
	}
}

func TestLogsAreSpreadAndDeleted(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d", "/e")
	_ = m.MkdirAll("/d/__cluster_metadata-0", 0o755)
	_ = m.MkdirAll("/d/no partition", 0o755)
	_ = m.MkdirAll("/d/old-1.0123-delete", 0o755)
	clk := newTestClock()
	mgr := openManager(t, m, clk, DefaultLogConfig(), func(o *ManagerOptions) { o.Dirs = []string{"/d", "/e"} })
	clk.Advance(time.Millisecond)
	if ok, _ := vfs.Exists(m, "/d/old-1.0123-delete"); ok {
		t.Fatal("a deleted log of the last run is still there")
	}
	for i := range int32(10) {
		l, err := mgr.CreateLog(TopicPartition{"t", i}, testID, DefaultLogConfig(), [16]byte{})
		if err != nil {
			t.Fatal(err)
		}
		again, err := mgr.CreateLog(TopicPartition{"t", i}, testID, DefaultLogConfig(), [16]byte{})
		if err != nil || again != l {
			t.Fatal(err)
		}
	}
	if _, err := mgr.CreateLog(testTP, [16]byte{9}, DefaultLogConfig(), [16]byte{}); !errors.Is(err, ErrInconsistentTopicID) {
		t.Fatal(err)
	}
	if len(mgr.logsIn(mgr.dirs[0])) != 5 || len(mgr.Logs()) != 10 {
		t.Fatal("not spread evenly")
	}
	l := mgr.Log(testTP)
	mustAppend(t, l, values(1, "a", "b", "c"))
	l.SetHighWatermark(3)
	_ = l.AdvanceLogStartOffset(2)
	_ = l.Flush()
	if err := mgr.CheckpointAll(); err != nil {
		t.Fatal(err)
	}
	if err := mgr.DeleteLog(testTP); err != nil || mgr.Log(testTP) != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendAsLeader(values(1, "x"), 1, FromClient); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if _, err := l.Read(2, 100, 3, true); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	// A new log of the same name begins at 0, through a crash too.
	l, err := mgr.CreateLog(testTP, [16]byte{9}, DefaultLogConfig(), [16]byte{})
	if err != nil || l.LogEndOffset() != 0 || l.LogStartOffset() != 0 || l.TopicID() != [16]byte{9} {
		t.Fatal(err)
	}
	mustAppend(t, l, values(1, "new"))
	killed := openManager(t, m.KillClone(), clk, DefaultLogConfig(), func(o *ManagerOptions) { o.Dirs = []string{"/d", "/e"} })
	if l := killed.Log(testTP); l.LogEndOffset() != 1 || l.LogStartOffset() != 0 || l.HighWatermark() != 0 {
		t.Fatal(l.LogStartOffset(), l.LogEndOffset(), l.HighWatermark())
	}
	_ = killed.Close(false)
	entries := func() (n int) {
		for _, d := range []string{"/d", "/e"} {
			list, _ := m.ReadDir(d)
			for _, e := range list {
				if strings.HasSuffix(e.Name(), "-delete") {
					n++
				}
			}
		}
		return n
	}
	if entries() != 1 {
		t.Fatal("the deleted log is gone at once")
	}
	clk.Advance(time.Minute)
	if entries() != 0 {
		t.Fatal("the deleted log stays")
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	if _, err := mgr.CreateLog(TopicPartition{"late", 0}, testID, DefaultLogConfig(), [16]byte{}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if clk.Pending() != 0 {
		t.Fatalf("%d timers outlive the manager", clk.Pending())
	}
}

func TestRetention(t *testing.T) {
	clk := newTestClock()
	fill := func(l *Log, n int) {
		for range n {
			mustAppend(t, l, values(clk.Now().UnixMilli(), "some value of some size", "another"))
			clk.Advance(time.Second)
		}
		l.SetHighWatermark(l.LogEndOffset())
	}
	cfg := smallConfig()
	cfg.RetentionMs = -1
	m := vfs.NewMem()
	l := testLog(t, m, clk, cfg)
	fill(l, 50)
	total, first := l.Size(), l.segments[0].size

	l.SetHighWatermark(3) // nothing above the high watermark goes
	cfg.RetentionBytes = 0
	l.SetConfig(cfg)
	if n, err := l.DeleteOldSegments(); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	l.SetHighWatermark(l.LogEndOffset())
	cfg.RetentionBytes = total - first - 1
	l.SetConfig(cfg)
	if n, err := l.DeleteOldSegments(); n != 1 || err != nil || l.LogStartOffset() != l.segments[0].base {
		t.Fatal(n, err)
	}
	cfg.RetentionBytes = -1
	cfg.RetentionMs = 20_000
	l.SetConfig(cfg)
	if n, err := l.DeleteOldSegments(); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	if ts := l.segments[0].maxTs; clk.Now().UnixMilli()-ts > 20_000 {
		t.Fatal("an old segment stays")
	}
	if !strings.Contains(files(t, m, "/d/t-0"), ".log.deleted") {
		t.Fatal("deleted files are removed at once")
	}
	reader, err := l.Read(l.LogStartOffset(), 100, math.MaxInt64, true)
	if err != nil || reader.Len == 0 {
		t.Fatal(err)
	}
	clk.Advance(time.Hour)
	if n, err := l.DeleteOldSegments(); n == 0 || err != nil || l.Size() != 0 || l.LogStartOffset() != 100 || l.LogEndOffset() != 100 {
		t.Fatal(n, err, l.Size(), l.LogStartOffset())
	}
	clk.Advance(time.Hour)
	if strings.Contains(files(t, m, "/d/t-0"), "deleted") {
		t.Fatal(files(t, m, "/d/t-0"))
	}
	if b, err := reader.Bytes(); err != nil || len(b) == 0 {
		t.Fatal("a reader lost its segment:", err)
	}
	reader.Release()
	fill(l, 1)
	if l.LogEndOffset() != 102 {
		t.Fatal(l.LogEndOffset())
	}
	compact := smallConfig()
	compact.Compact, compact.Delete, compact.RetentionBytes = true, false, 0
	l.SetConfig(compact)
	fill(l, 20)
	if n, err := l.DeleteOldSegments(); n != 0 || err != nil {
		t.Fatal("a compacted log was cut by size", n, err)
	}
}

func TestSegmentsRollByTime(t *testing.T) {
	clk := newTestClock()
	cfg := DefaultLogConfig()
	cfg.SegmentMs = 10_000
	l := testLog(t, vfs.NewMem(), clk, cfg)
	mustAppend(t, l, values(1000, "a"))
	mustAppend(t, l, values(11_000, "b"))
	if l.NumSegments() != 1 {
		t.Fatal("rolled too early")
	}
	mustAppend(t, l, values(11_001, "c"))
	if l.NumSegments() != 2 {
		t.Fatal("not rolled by the records' time")
	}
	cfg.SegmentJitterMs = 9_999
	l.SetConfig(cfg)
	if err := l.Roll(); err != nil || l.NumSegments() != 3 {
		t.Fatal(err)
	}
	if err := l.Roll(); err != nil || l.NumSegments() != 3 {
		t.Fatal("an empty segment was rolled", err)
	}
	if j := l.active().rollJitterMs; j < 0 || j >= 9_999 {
		t.Fatal(j)
	}
}

func TestFlushPolicies(t *testing.T) {
	clk := newTestClock()
	cfg := DefaultLogConfig()
	cfg.FlushMessages = 3
	l := testLog(t, vfs.NewMem(), clk, cfg)
	mustAppend(t, l, values(1, "a", "b"))
	if l.FlushedOffset() != 0 {
		t.Fatal("flushed too early")
	}
	mustAppend(t, l, values(1, "c"))
	if l.FlushedOffset() != 3 {
		t.Fatal("not flushed by messages")
	}
	cfg = DefaultLogConfig()
	cfg.FlushMs = 500
	l.SetConfig(cfg)
	mustAppend(t, l, values(1, "d"))
	clk.Advance(499 * time.Millisecond)
	if l.FlushedOffset() != 3 {
		t.Fatal("flushed too early")
	}
	done := make(chan error, 1)
	l.waitMu.Lock()
	l.waiters = append(l.waiters, syncWaiter{offset: 4, fn: func(err error) { done <- err }})
	l.waitMu.Unlock()
	clk.Advance(time.Millisecond)
	if err := <-done; err != nil || l.FlushedOffset() != 4 {
		t.Fatal("not flushed by time", err)
	}
}

// Far more logs than descriptors.
func TestDescriptorsAreBounded(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig(), func(o *ManagerOptions) { o.MaxOpenFiles = 10 })
	for round := range 3 {
		for i := range int32(200) {
			l, err := mgr.CreateLog(TopicPartition{"t", i}, testID, smallConfig(), [16]byte{})
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, values(1, fmt.Sprint(i, " ", round)))
		}
	}
	for i := range int32(200) {
		l := mgr.Log(TopicPartition{"t", i})
		if got := readFrom(t, l, 0); got[2] != fmt.Sprint(i, " 2") {
			t.Fatal(i, got)
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if n := mgr.files.open; n > 10 {
			t.Fatalf("%d files are open", n)
		}
	}
	if err := mgr.Close(true); err != nil || mgr.files.open != 0 {
		t.Fatal(err, mgr.files.open)
	}
}

func TestTruncateFully(t *testing.T) {
	m := vfs.NewMem()
	l := testLog(t, m, newTestClock(), smallConfig())
	for range 20 {
		mustAppend(t, l, values(1, "a value", "another value"))
	}
	for _, at := range []int64{1000, 7} {
		if err := l.TruncateFullyAndStartAt(at); err != nil {
			t.Fatal(err)
		}
		if l.LogStartOffset() != at || l.LogEndOffset() != at || l.HighWatermark() != at || l.NumSegments() != 1 {
			t.Fatal(l.LogStartOffset(), l.LogEndOffset())
		}
		if info := mustAppend(t, l, values(1, "x")); info.FirstOffset != at {
			t.Fatalf("%+v", info)
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		c := testLog(t, m.CrashClone(), newTestClock(), smallConfig(), func(o *LogOptions) { o.RecoveryPoint = at })
		if got := readFrom(t, c, at); len(got) != 1 || got[at] != "x" {
			t.Fatal(got)
		}
	}
}

func TestLeaderEpochs(t *testing.T) {
	var c epochCache
	for _, e := range []epochEntry{{1, 0}, {1, 5}, {3, 10}, {7, 20}} {
		c.assign(e.epoch, e.start)
	}
	for epoch, want := range map[int32]EpochEndOffset{
		-1: {-1, -1}, 0: {0, 0}, 1: {1, 10}, 2: {1, 10}, 3: {3, 20}, 6: {3, 20}, 7: {7, 30}, 8: {-1, -1},
	} {
		if got := c.endOffset(epoch, 30); got != want {
			t.Errorf("epoch %d: %v, want %v", epoch, got, want)
		}
	}
	back, err := parseEpochs(c.encode())
	if diff := cmp.Diff(c.entries, back, cmp.AllowUnexported(epochEntry{})); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
	c.truncateFromStart(15)
	if got := c.endOffset(2, 30); got != (EpochEndOffset{2, 15}) {
		t.Fatal(got)
	}
	c.assign(5, 18) // contradicts epoch 7 at 20
	if e, ok := c.latest(); !ok || e != 5 || len(c.entries) != 2 {
		t.Fatal(c.entries)
	}
	c.truncateFromEnd(15)
	if _, ok := c.latest(); ok {
		t.Fatal(c.entries)
	}
	for _, bad := range []string{"", "0\n", "1\n0\n", "0\n2\n1 0\n", "0\n1\n1\n", "0\n1\nx 0\n", "0\n2\n2 0\n1 5\n", "0\n2\n1 5\n2 3\n"} {
		if _, err := parseEpochs([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// DeleteRecords of many partitions costs one checkpoint a directory, and is as durable as of one.
func TestManyStartOffsetsAreNotedAtOnce(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d", "/e")
	var writes atomic.Int64
	var full atomic.Bool
	f := vfs.NewFault(m, func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.Contains(op.Name, logStartFile) {
			writes.Add(1)
			if full.Load() && strings.HasPrefix(op.Name, "/e") {
				return syscall.ENOSPC
			}
		}
		return nil
	})
	dirs := func(o *ManagerOptions) { o.Dirs = []string{"/d", "/e"} }
	mgr := openManager(t, f, newTestClock(), DefaultLogConfig(), dirs)
	offsets := map[TopicPartition]int64{}
	for i := range int32(6) {
		tp := TopicPartition{"t", i}
		l, err := mgr.CreateLog(tp, testID, DefaultLogConfig(), [16]byte{byte(1 + i%2)})
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, values(1, "a", "b", "c", "d", "e", "f", "g"))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		l.SetHighWatermark(7)
		offsets[tp] = int64(i) + 1
	}
	high, unknown := TopicPartition{"t", 0}, TopicPartition{"u", 0}
	offsets[high], offsets[unknown] = 8, 1
	full.Store(true)
	errs := mgr.AdvanceLogStartOffsets(offsets)
	if len(errs) != 5 || !errors.Is(errs[high], ErrOffsetOutOfRange) || !errors.Is(errs[unknown], ErrClosed) || !errors.Is(errs[TopicPartition{"t", 3}], syscall.ENOSPC) {
		t.Fatal(errs)
	}
	full.Store(false)
	writes.Store(0)
	offsets[high] = 1
	delete(offsets, unknown)
	if errs := mgr.AdvanceLogStartOffsets(offsets); len(errs) != 0 || writes.Load() != 2 {
		t.Fatalf("%v with %d writes", errs, writes.Load())
	}
	m = m.CrashClone()
	_ = mgr.Close(false)
	mgr = openManager(t, m, newTestClock(), DefaultLogConfig(), dirs)
	defer func() { _ = mgr.Close(false) }()
	for tp, want := range offsets {
		if got := mgr.Log(tp).LogStartOffset(); got != want {
			t.Errorf("%s begins at %d, want %d", tp, got, want)
		}
	}
}
