package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A topic is deleted and the process dies before the checkpoint files forget it. The
// next topic of that name begins with nothing of its predecessor, also after a crash.
func TestADeletedTopicsOffsetsDoNotWipeItsSuccessor(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	clk := newTestClock()
	mgr := openManager(t, m, clk, DefaultLogConfig())
	l, err := mgr.CreateLog(testTP, testID, DefaultLogConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		mustAppend(t, l, values(1, fmt.Sprint("old ", i)))
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	l.SetHighWatermark(100)
	if err := l.AdvanceLogStartOffset(90); err != nil {
		t.Fatal(err)
	}
	if err := mgr.CheckpointAll(); err != nil {
		t.Fatal(err)
	}
	if err := mgr.DeleteLog(testTP); err != nil {
		t.Fatal(err)
	}
	m = m.KillClone()
	_ = mgr.Close(false)

	mgr = openManager(t, m, clk, DefaultLogConfig())
	if mgr.Log(testTP) != nil {
		t.Fatal("the deleted log is back")
	}
	if l, err = mgr.CreateLog(testTP, [16]byte{2}, DefaultLogConfig(), [16]byte{}); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		mustAppend(t, l, values(1, fmt.Sprint("new ", i)))
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{recoveryPointFile, logStartFile, highWatermarkFile} {
		if got := content(t, m, "/d/"+name); got != "0\n0\n" {
			t.Errorf("%s still says %q", name, got)
		}
	}
	m = m.KillClone()
	_ = mgr.Close(false)

	mgr = openManager(t, m, clk, DefaultLogConfig())
	defer func() { _ = mgr.Close(false) }()
	l = mgr.Log(testTP)
	if got := readFrom(t, l, 0); l.LogStartOffset() != 0 || l.LogEndOffset() != 10 || got[0] != "new 0" || got[9] != "new 9" {
		t.Fatalf("the new log has [%d, %d): %v", l.LogStartOffset(), l.LogEndOffset(), got)
	}
}

// As long as the checkpoint files cannot be written anew, no successor is made: a
// second try must not get by because of a first that failed.
func TestNoSuccessorWhileItsPredecessorIsNoted(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	var full atomic.Bool
	f := vfs.NewFault(m, func(op vfs.Op) error {
		if full.Load() && op.Kind == vfs.OpWrite && strings.Contains(op.Name, "checkpoint") {
			return syscall.ENOSPC
		}
		return nil
	})
	mgr := openManager(t, f, newTestClock(), DefaultLogConfig())
	defer func() { _ = mgr.Close(false) }()
	l, err := mgr.CreateLog(testTP, testID, DefaultLogConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, values(1, "a", "b"))
	l.SetHighWatermark(2)
	if err := l.AdvanceLogStartOffset(1); err != nil {
		t.Fatal(err)
	}
	if err := mgr.DeleteLog(testTP); err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	for range 2 {
		if _, err := mgr.CreateLog(testTP, [16]byte{2}, DefaultLogConfig(), [16]byte{}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	full.Store(false)
	if _, err := mgr.CreateLog(testTP, [16]byte{2}, DefaultLogConfig(), [16]byte{}); err != nil {
		t.Fatal(err)
	}
}

// logFile opens a segment's file to damage it.
func logFile(t tb, fsys vfs.FS, base int64) vfs.File {
	t.Helper()
	f, err := fsys.OpenFile("/d/t-0/"+segmentName(base)+logSuffix, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// After a clean stop the active segment has lost its end, and its index tells of
// batches behind it: what is left counts, and no offset of it is given again.
func TestAShortLogAfterACleanStopIsNotEmpty(t *testing.T) {
	m := vfs.NewMem()
	cfg := DefaultLogConfig()
	cfg.IndexIntervalBytes = 100
	l := testLog(t, m, newTestClock(), cfg)
	var sizes []int64
	for i := range 60 {
		mustAppend(t, l, values(1, fmt.Sprintf("value %02d", i)))
		sizes = append(sizes, l.Size())
	}
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	for _, left := range []int{20, 1, 58} {
		c := m.KillClone()
		if err := logFile(t, c, 0).Truncate(sizes[left-1]); err != nil {
			t.Fatal(err)
		}
		l := testLog(t, c, newTestClock(), cfg, func(o *LogOptions) { o.Clean = true; o.RecoveryPoint = 60 })
		if got := readFrom(t, l, 0); l.LogEndOffset() != int64(left) || len(got) != left {
			t.Fatalf("of %d batches the log has [%d, %d): %v", left, l.LogStartOffset(), l.LogEndOffset(), got)
		}
		if info := mustAppend(t, l, values(1, "next")); info.FirstOffset != int64(left) {
			t.Fatalf("%+v", info)
		}
	}
}

// withAGap leaves the files of a log whose first segment lacks its last batch, as
// compaction does it. It returns where the gap begins and ends, and where the log ends.
func withAGap(t tb) (m *vfs.Mem, gap, next, end int64) {
	t.Helper()
	m = vfs.NewMem()
	l := testLog(t, m, newTestClock(), smallConfig())
	for l.NumSegments() < 3 {
		mustAppend(t, l, values(1, "a value", "another"))
	}
	mustAppend(t, l, values(1, "a value", "another"))
	next, end = l.segments[1].base, l.LogEndOffset()
	gap = next - 2
	left := l.segments[0].size * gap / next // all batches are of one size
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	if err := logFile(t, m, 0).Truncate(left); err != nil {
		t.Fatal(err)
	}
	return m, gap, next, end
}

// A compacted log was stopped in order and its last batch is damaged: that is all it loses.
func TestAGapIsNoDamageAfterACleanStop(t *testing.T) {
	m, gap, next, end := withAGap(t)
	l := testLog(t, m, newTestClock(), smallConfig(), func(o *LogOptions) { o.Clean = true })
	active := l.active()
	_ = l.Close(false)
	if err := logFile(t, m, active.base).Truncate(active.size - 1); err != nil {
		t.Fatal(err)
	}
	l = testLog(t, m, newTestClock(), smallConfig(), func(o *LogOptions) { o.Clean = true; o.RecoveryPoint = end })
	if got := readFrom(t, l, 0); l.LogEndOffset() != end-2 || int64(len(got)) != end-2-(next-gap) {
		t.Fatalf("the log has [%d, %d) and %d records, its gap is [%d, %d)", l.LogStartOffset(), l.LogEndOffset(), len(got), gap, next)
	}
}

// After a kill a gap counts as lost only where nothing was known to be on the disk.
func TestAGapBelowTheRecoveryPointIsNoDamage(t *testing.T) {
	_, gap, next, end := withAGap(t)
	for point, want := range map[int64]int64{
		-1: end, next: end, next - 1: end, gap + 1: end, end: end,
		gap: gap, 0: gap,
	} {
		m, _, _, _ := withAGap(t)
		l := testLog(t, m, newTestClock(), smallConfig(), func(o *LogOptions) { o.RecoveryPoint = point })
		if l.LogEndOffset() != want {
			t.Errorf("with the recovery point %d the log ends at %d, want %d; the gap is [%d, %d)", point, l.LogEndOffset(), want, gap, next)
		}
	}
}

// A closed segment has lost its index and has a bad batch: it keeps its bytes, the
// log what is behind them, and file and position are told.
func TestABadBatchInAClosedSegmentCostsOnlyItself(t *testing.T) {
	whole := vfs.NewMem()
	l := testLog(t, whole, newTestClock(), smallConfig())
	for l.NumSegments() < 3 {
		mustAppend(t, l, values(1, "a value"))
	}
	size, next, end := l.segments[0].size, l.segments[1].base, l.LogEndOffset()
	each := size / next
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]int64{"a value": each - 1, "magic": 16} {
		for _, clean := range []bool{true, false} {
			m := whole.KillClone()
			f := logFile(t, m, 0)
			if _, err := f.WriteAt([]byte{0x55}, 2*each+at); err != nil {
				t.Fatal(err)
			}
			if err := m.Remove("/d/t-0/" + segmentName(0) + indexSuffix); err != nil {
				t.Fatal(err)
			}
			var told strings.Builder
			l := testLog(t, m, newTestClock(), smallConfig(), func(o *LogOptions) {
				o.Clean, o.RecoveryPoint, o.Logger = clean, end, slog.New(slog.NewTextHandler(&told, nil))
			})
			if got, _ := f.Size(); got != size || l.LogEndOffset() != end || l.Size() < size {
				t.Fatalf("%s, clean %v: %d of %d bytes are left, the log ends at %d of %d", name, clean, got, size, l.LogEndOffset(), end)
			}
			if want := fmt.Sprintf("position=%d", 2*each); !strings.Contains(told.String(), want) || !strings.Contains(told.String(), f.Name()) {
				t.Fatalf("%s, clean %v: %s", name, clean, told.String())
			}
			if got := readFrom(t, l, next); int64(len(got)) != end-next {
				t.Fatalf("%s, clean %v: behind it are %v", name, clean, got)
			}
			_, err := l.Read(3, 10, end, true)
			if name == "magic" && (!errors.Is(err, ErrCorruptRecord) || !strings.Contains(err.Error(), f.Name())) || name != "magic" && err != nil {
				t.Fatalf("%s, clean %v: behind the batch: %v", name, clean, err)
			}
			if err := l.Close(true); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A log has lost records below its recovery point. What is appended in their place
// is not taken for durable by the next start, should the power go before the next checkpoint.
func TestTheRecoveryPointFallsWithTheLog(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), DefaultLogConfig())
	l, err := mgr.CreateLog(testTP, testID, DefaultLogConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		mustAppend(t, l, values(1, "a value"))
	}
	size := l.Size()
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	if err := logFile(t, m, 0).Truncate(size/2 + 1); err != nil {
		t.Fatal(err)
	}
	mgr = openManager(t, m, newTestClock(), DefaultLogConfig())
	defer func() { _ = mgr.Close(false) }()
	if l = mgr.Log(testTP); l.LogEndOffset() != 5 {
		t.Fatal(l.LogEndOffset())
	}
	if got := content(t, m, "/d/"+recoveryPointFile); got != "0\n1\nt 0 0\n" {
		t.Fatalf("the next start would believe %q", got)
	}
}

// A log that was deleted does not come back with the power.
func TestADeletedLogStaysDeletedThroughAPowerCut(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), DefaultLogConfig())
	l, err := mgr.CreateLog(testTP, testID, DefaultLogConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, values(1, "a"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := mgr.DeleteLog(testTP); err != nil {
		t.Fatal(err)
	}
	m = m.CrashClone()
	_ = mgr.Close(false)
	mgr = openManager(t, m, newTestClock(), DefaultLogConfig())
	defer func() { _ = mgr.Close(false) }()
	if l := mgr.Log(testTP); l != nil {
		t.Fatalf("it is back with [%d, %d)", l.LogStartOffset(), l.LogEndOffset())
	}
}
