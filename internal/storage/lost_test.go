package storage

import (
	"errors"
	"maps"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

func TestWhatIsLostIsNotedInText(t *testing.T) {
	lost := map[TopicPartition]lostRecords{{"b", 1}: {testID, 7}, {"a", 10}: {[16]byte{1}, 1 << 40}}
	text := string(encodeLost(lost))
	if !strings.HasPrefix(text, "0\n2\na 10 ") || !strings.HasSuffix(text, " 7\n") {
		t.Fatal(text)
	}
	if got, err := parseLost([]byte(text)); err != nil || !maps.Equal(got, lost) {
		t.Fatal(got, err)
	}
	for _, bad := range []string{"", "0\n", "1\n0\n", "0\n1\na 0 x 5\n", text[:len(text)-3] + "-7\n", text[:len(text)-2] + "\n", "0\n1\na 0 5\n"} {
		if got, err := parseLost([]byte(bad)); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

// lossy opens a manager that somebody listens to.
func lossy(told *atomic.Int64) func(*ManagerOptions) {
	return func(o *ManagerOptions) { o.OnDiffers = func(TopicPartition) { told.Add(1) } }
}

// A log whose end was cut off from outside takes no records as leader before it is decided how it goes on; then it goes on behind
// the offsets that it had given, also through power cuts, and the gap is read over.
func TestALogGoesOnBehindWhatItHasLost(t *testing.T) {
	m := closedLog(t, 60)
	names := filesOf(t, m, "/d/t-0", logSuffix)
	if err := errors.Join(m.Remove(names[len(names)-1]), m.SyncDir("/d/t-0")); err != nil {
		t.Fatal(err)
	}
	var told atomic.Int64
	clk := newTestClock()
	mgr := openManager(t, m, clk, smallConfig(), lossy(&told))
	l := mgr.Log(testTP)
	if err := l.Wake(); err != nil {
		t.Fatal(err)
	}
	end := l.LogEndOffset()
	if l.LostUpTo() != 60 || end >= 60 {
		t.Fatal(l.LostUpTo(), end)
	}
	_, err := l.AppendAsLeader(values(1, "x"), 1, FromClient)
	wantErr(t, err, ErrNotReady)
	clk.Advance(time.Second)
	cut := m.CrashClone() // it is noted already
	_ = mgr.Close(false)
	mgr = openManager(t, cut, clk, smallConfig(), lossy(&told))
	l = mgr.Log(testTP)
	if told.Load() == 0 || l.LostUpTo() != 60 {
		t.Fatal(told.Load(), l.LostUpTo())
	}
	if err := mgr.PassLoss(l); err != nil || l.LogEndOffset() != 60 || l.FlushedOffset() != 60 || l.HighWatermark() != 60 {
		t.Fatal(err, l.LogEndOffset(), l.FlushedOffset(), l.HighWatermark())
	}
	if info := mustAppend(t, l, values(1, "behind the loss")); info.FirstOffset != 60 {
		t.Fatal(info)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		again := cut.CrashClone()
		_ = mgr.Close(false)
		mgr = openManager(t, again, clk, smallConfig(), lossy(&told))
		l = mgr.Log(testTP)
		got := readFrom(t, l, 0)
		if got[60] != "behind the loss" || int64(len(got)) != end+1 || l.LostUpTo() != 0 {
			t.Fatal(got, l.LostUpTo())
		}
		cut = again
	}
	_ = mgr.Close(true)
}

// The power goes at each step of the decision: the log goes on behind the loss, or it is not decided yet; never below.
func TestThePowerIsCutWhileALogPassesALoss(t *testing.T) {
	for _, all := range []bool{false, true} { // the whole directory is gone, or the last segment
		base := closedLog(t, 60)
		if all {
			if err := base.RemoveAll("/d/t-0"); err != nil {
				t.Fatal(err)
			}
		} else if names := filesOf(t, base, "/d/t-0", logSuffix); base.Remove(names[len(names)-1]) != nil {
			t.Fatal(names)
		}
		if err := base.SyncDir("/d"); err != nil {
			t.Fatal(err)
		}
		if !all {
			if err := base.SyncDir("/d/t-0"); err != nil {
				t.Fatal(err)
			}
		}
		var told atomic.Int64
		var cuts []*vfs.Mem
		disk := base.KillClone()
		fsys := vfs.NewFault(disk, func(op vfs.Op) error {
			if op.Kind.Mutates() {
				cuts = append(cuts, disk.CrashClone(), disk.KillClone(), disk.MixedClone(true, false), disk.MixedClone(false, true))
			}
			return nil
		})
		decide := func(fsys vfs.FS) {
			m := openManager(t, fsys, newTestClock(), smallConfig(), lossy(&told))
			defer func() { _ = m.Close(false) }()
			l := mustCreate(t, m, testTP, 0)
			if err := l.Wake(); err != nil {
				t.Fatal(err)
			}
			if err := m.PassLoss(l); err != nil {
				t.Fatal(err)
			}
			if l.LogEndOffset() != 60 || l.LostUpTo() != 0 {
				t.Fatal(l.LogEndOffset(), l.LostUpTo())
			}
		}
		decide(fsys)
		if len(cuts) < 40 {
			t.Fatal(len(cuts))
		}
		for _, cut := range cuts {
			decide(cut)
		}
	}
}

// The last segment was just begun when records before it were lost: the log goes on with that one gone, and no start takes it for one
// that has lost its records.
func TestALogThatGoesOnLeavesNoEmptySegmentBehind(t *testing.T) {
	m := closedLog(t, 60)
	names := filesOf(t, m, "/d/t-0", logSuffix)
	if err := logFile(t, m, baseOf(t, names[len(names)-1])).Truncate(0); err != nil {
		t.Fatal(err)
	}
	var told atomic.Int64
	clk := newTestClock()
	mgr := openManager(t, m, clk, smallConfig(), lossy(&told))
	l := mgr.Log(testTP)
	if err := l.Wake(); err != nil || l.LostUpTo() != 60 || l.active().size != 0 {
		t.Fatal(err, l.LostUpTo(), l.active().size)
	}
	var wg sync.WaitGroup
	wg.Go(func() { // as retention and the metrics do meanwhile
		for range 20 {
			_, _ = l.DeleteOldSegments()
			_ = l.NumSegments()
		}
	})
	if err := mgr.PassLoss(l); err != nil || l.LogEndOffset() != 60 {
		t.Fatal(err, l.LogEndOffset())
	}
	wg.Wait()
	mustAppend(t, l, values(1, "behind the loss"))
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	var out logTo
	mgr = openManager(t, m, clk, smallConfig(), lossy(&told), out.option)
	defer func() { _ = mgr.Close(true) }()
	if got := readFrom(t, mgr.Log(testTP), 0); got[60] != "behind the loss" || strings.Contains(out.String(), "is empty; its file was cut") {
		t.Fatal(got, out.String())
	}
}

func baseOf(t *testing.T, name string) int64 {
	t.Helper()
	base, err := strconv.ParseInt(strings.TrimSuffix(path.Base(name), logSuffix), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return base
}
