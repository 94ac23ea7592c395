package storage

import (
	"math"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// dirtyCompacted is a compacted log with something to clean.
func dirtyCompacted(t *testing.T, fsys vfs.FS, change ...func(*ManagerOptions)) (*Manager, *Log) {
	t.Helper()
	m := openManager(t, fsys, newTestClock(), compactConfig(), change...)
	l, err := m.CreateLog(testTP, testID, compactConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		mustAppend(t, l, values(epochStart.UnixMilli(), strings.Repeat("v", 100)))
		l.SetHighWatermark(l.LogEndOffset())
		if err := l.Roll(); err != nil {
			t.Fatal(err)
		}
	}
	return m, l
}

func cleanOnce(t *testing.T, m *Manager, l *Log) bool {
	t.Helper()
	to, known := m.dirOf(l).cleanedTo(l.tp)
	d, err := l.inspect(to, known, m.cleaner.nowMs())
	if err != nil {
		t.Fatal(err)
	}
	return m.cleaner.cleanLog(0, d)
}

// The cleaner writes only what leaves the reserve of a volume alone, which checkpoints and groups' offsets live on; it cleans when
// there is room again.
func TestTheCleanerLeavesTheReserve(t *testing.T) {
	mem := vfs.NewMem()
	format(t, mem, "/d")
	m, l := dirtyCompacted(t, mem, func(o *ManagerOptions) { o.ReserveBytes = 20_000 })
	mem.SetQuota(60_000)
	_, usable, err := mem.Usage("/d")
	if err != nil {
		t.Fatal(err)
	}
	used := 60_000 - usable
	mem.SetQuota(used + 20_100) // a hundred bytes above the reserve
	before := l.Size()
	if cleanOnce(t, m, l) || l.Size() != before || len(m.cleaner.uncleanable) != 0 || l.Err() != nil {
		t.Fatal(l.Size(), m.cleaner.uncleanable, l.Err())
	}
	mem.SetQuota(0)
	if !cleanOnce(t, m, l) || l.Size() >= before {
		t.Fatal(l.Size(), before)
	}
	_ = m.Close(true)
}

// A cleaner that cannot write has found a failing disk, as any other write: the directory goes out of use, not one log after another.
func TestACleanerOnAFailingDiskTakesTheDirectoryOut(t *testing.T) {
	for _, kind := range []vfs.OpKind{vfs.OpWrite, vfs.OpSync, vfs.OpCreate} {
		mem := vfs.NewMem()
		format(t, mem, "/d")
		fsys := vfs.NewFault(mem, func(op vfs.Op) error {
			if op.Kind == kind && strings.HasSuffix(op.Name, cleanedSuffix) {
				return syscall.EIO
			}
			return nil
		})
		m, l := dirtyCompacted(t, fsys)
		if cleanOnce(t, m, l) || m.Dirs()[0].Err == nil || l.Err() == nil || len(m.cleaner.uncleanable) != 0 {
			t.Fatal(kind, m.Dirs()[0].Err, l.Err(), m.cleaner.uncleanable)
		}
		_ = m.Close(false)
	}
}

// Who waits for a slow cleaner goes on at once with another rate, and ends when its log is gone.
func TestAThrottledCleanerCanBeWoken(t *testing.T) {
	for _, gone := range []bool{false, true} {
		th := &throttle{clock: newTestClock()}
		th.setRate(1)
		var ended atomic.Bool
		done := make(chan struct{})
		go func() {
			th.took(1<<20, nil, ended.Load)
			close(done)
		}()
		for waits := false; !waits; time.Sleep(time.Millisecond) {
			th.mu.Lock()
			waits = th.looks != nil
			th.mu.Unlock()
		}
		if gone {
			ended.Store(true)
			th.look()
		} else {
			th.setRate(math.MaxFloat64)
		}
		<-done
	}
}

// flush.ms is lowered while a flush is due in an hour: it is due in a second now.
func TestFlushMsIsHeededWhenItIsLowered(t *testing.T) {
	mem := vfs.NewMem()
	format(t, mem, "/d")
	clk := newTestClock()
	cfg := smallConfig()
	cfg.SegmentBytes, cfg.FlushMs = 1<<20, 3_600_000
	m := openManager(t, mem, clk, cfg)
	defer func() { _ = m.Close(true) }()
	l, err := m.CreateLog(testTP, testID, cfg, [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, values(1, "a"))
	clk.Advance(10 * time.Second)
	if l.FlushedOffset() != 0 {
		t.Fatal("it is synced already")
	}
	cfg.FlushMs = 1000
	l.SetConfig(cfg)
	synced := make(chan struct{})
	l.waitMu.Lock()
	l.waiters = append(l.waiters, syncWaiter{offset: 1, fn: func(error) { close(synced) }}) // who waits, and asks for no sync
	l.waitMu.Unlock()
	clk.Advance(time.Second)
	<-synced
	if l.FlushedOffset() != 1 {
		t.Fatal(l.FlushedOffset())
	}
}

// Files of deleted segments wait for file.delete.delay.ms. An orderly stop takes them along: the next start would not look into the
// log before somebody uses it.
func TestDeletedSegmentsGoWithAnOrderlyStop(t *testing.T) {
	mem := vfs.NewMem()
	format(t, mem, "/d")
	m := openManager(t, mem, newTestClock(), smallConfig())
	l := mustCreate(t, m, testTP, 0)
	for range 40 {
		mustAppend(t, l, values(1, strings.Repeat("v", 50)))
	}
	l.SetHighWatermark(40)
	cfg := smallConfig()
	cfg.RetentionBytes = 1
	l.SetConfig(cfg)
	if n, err := l.DeleteOldSegments(); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	if !strings.Contains(files(t, mem, "/d/t-0"), deletedSuffix) {
		t.Fatal("nothing waits to be removed")
	}
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	if names := files(t, mem, "/d/t-0"); strings.Contains(names, deletedSuffix) {
		t.Fatal(names)
	}
}

// A leader epoch begins while the log cannot be opened, for want of descriptors. It is told so, and remembered.
func TestAnEpochIsNotForgottenWhenTheLogCannotBeOpened(t *testing.T) {
	m := closedLog(t, 5)
	if err := WriteOffsetCheckpoint(m, "/d/"+recoveryPointFile, map[TopicPartition]int64{}); err != nil { // so that nothing is known
		t.Fatal(err)
	}
	var short atomic.Bool
	short.Store(true)
	fsys := vfs.NewFault(m, func(op vfs.Op) error {
		if short.Load() && strings.HasPrefix(op.Name, "/d/t-0/") && (op.Kind == vfs.OpOpen || op.Kind == vfs.OpCreate) {
			return syscall.EMFILE
		}
		return nil
	})
	mgr := openManager(t, fsys, newTestClock(), smallConfig())
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(testTP)
	if at, err := l.BeginEpoch(7); err == nil || l.Err() != nil {
		t.Fatal(at, err, l.Err())
	}
	short.Store(false)
	if e, ok := l.LatestEpoch(); !ok || e != 7 {
		t.Fatal(e, ok)
	}
	if at := l.EndOffsetForEpoch(6); at.EndOffset != 5 {
		t.Fatal(at)
	}
}
