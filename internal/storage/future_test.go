package storage

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

func twoDirs(o *ManagerOptions) { o.Dirs = []string{"/a", "/b"} }

// copyAll copies until the copy has caught up.
func copyAll(t tb, f *Future) {
	t.Helper()
	for {
		n, err := f.Copy(500, false)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

func TestALogMovesToAnotherDirectory(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	mgr := openManager(t, m, newTestClock(), smallConfig(), twoDirs)
	l := mustCreate(t, mgr, testTP, 1)
	for i := range 40 {
		mustAppend(t, l, from(7, 0, int32(i), fmt.Sprintf("value %d %s", i, strings.Repeat("v", 40))))
	}
	l.SetHighWatermark(40)
	if err := l.AdvanceLogStartOffset(5); err != nil {
		t.Fatal(err)
	}
	if _, err := mgr.BeginMove(testTP, "/c"); !errors.Is(err, ErrUnknownDirectory) {
		t.Fatal(err)
	}
	if f, err := mgr.BeginMove(testTP, "/a"); f != nil || err != nil {
		t.Fatal(f, err)
	}
	f, err := mgr.BeginMove(testTP, "/b")
	if err != nil || len(mgr.Futures()) != 1 {
		t.Fatal(err)
	}
	copyAll(t, f)
	mustAppend(t, l, from(7, 0, 40, "after")) // between the copy and the swap
	slice, err := l.Read(20, 300, 40, true)
	if err != nil {
		t.Fatal(err)
	}
	moved, err := f.Swap()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := slice.Bytes(); err != nil || len(b) == 0 {
		t.Fatal("a reader under way lost its file", err)
	}
	slice.Release()
	if mgr.Log(testTP) != moved || moved.LogDir() != "/b" || len(mgr.Futures()) != 0 {
		t.Fatal(moved.LogDir())
	}
	check := func(l *Log) {
		t.Helper()
		if got := readFrom(t, l, 5); len(got) != 36 || l.LogStartOffset() != 5 || l.LogEndOffset() != 41 || l.TopicID() != testID {
			t.Fatal(len(got), l.LogStartOffset(), l.LogEndOffset())
		}
	}
	check(moved)
	if info, err := moved.AppendAsLeader(from(7, 0, 40, "after"), 0, FromClient); err != nil || !info.Duplicate {
		t.Fatal("the producer is forgotten", info, err)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	mgr = openManager(t, m, newTestClock(), smallConfig(), twoDirs)
	check(mgr.Log(testTP))
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
}

// The power goes at every step of a move: the log is in one place, whole, and the move can go on. So it is in directories
// of a first run, and in those that an orderly stop has left, of which nothing is in doubt at first.
func TestAMoveThroughPowerCuts(t *testing.T) {
	t.Run("in the first run", func(t *testing.T) { moveThroughPowerCuts(t, false) })
	t.Run("after an orderly stop", func(t *testing.T) { moveThroughPowerCuts(t, true) })
}

func moveThroughPowerCuts(t *testing.T, restarted bool) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // logs are synced in the background
	var clones []*vfs.Mem
	fsys := vfs.NewFault(m, func(op vfs.Op) error {
		if op.Kind.Mutates() {
			mu.Lock()
			defer mu.Unlock()
			clones = append(clones, m.CrashClone(), m.KillClone())
		}
		return nil
	})
	mgr := openManager(t, fsys, newTestClock(), smallConfig(), twoDirs)
	l := mustCreate(t, mgr, testTP, 1)
	for i := range 20 {
		mustAppend(t, l, values(1, fmt.Sprintf("value %d %s", i, strings.Repeat("v", 40))))
	}
	l.SetHighWatermark(20)
	if err := errors.Join(l.Flush(), mgr.CheckpointAll()); err != nil {
		t.Fatal(err)
	}
	if restarted {
		if err := mgr.Close(true); err != nil {
			t.Fatal(err)
		}
		mgr = openManager(t, fsys, newTestClock(), smallConfig(), twoDirs)
	}
	mu.Lock()
	clones = nil
	mu.Unlock()
	f, err := mgr.BeginMove(testTP, "/b")
	if err != nil {
		t.Fatal(err)
	}
	copyAll(t, f)
	if _, err := f.Swap(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	cuts := clones
	mu.Unlock()
	_ = mgr.Close(false)
	places := map[string]int{}
	for i, c := range cuts {
		mgr := openManager(t, c, newTestClock(), smallConfig(), twoDirs)
		l := mgr.Log(testTP)
		if l == nil {
			t.Fatalf("cut %d: the log is gone: %s %s", i, files(t, c, "/a"), files(t, c, "/b"))
		}
		if got := readFrom(t, l, 0); len(got) != 20 || l.LogEndOffset() != 20 || l.TopicID() != testID {
			t.Fatalf("cut %d: %d records, end %d", i, len(got), l.LogEndOffset())
		}
		places[l.LogDir()]++
		for _, f := range mgr.ResumeMoves() {
			copyAll(t, f)
			l.SetHighWatermark(20)
			copyAll(t, f)
			if l, err = f.Swap(); err != nil {
				t.Fatalf("cut %d: %v", i, err)
			}
			if got := readFrom(t, l, 0); len(got) != 20 || l.LogDir() != "/b" {
				t.Fatalf("cut %d: %d records in %s", i, len(got), l.LogDir())
			}
		}
		mustAppend(t, l, values(1, "on"))
		if err := mgr.Close(true); err != nil {
			t.Fatalf("cut %d: %v", i, err)
		}
	}
	if places["/a"] < 10 || places["/b"] < 4 {
		t.Fatal(places)
	}
	t.Logf("%d cuts", len(cuts))
}

// While the copy grows, an election cuts the log, and other records come: also when an orderly stop lies between, the
// copy has what the log has.
func TestACutUnderAMove(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		m := vfs.NewMem()
		format(t, m, "/a", "/b")
		mgr := openManager(t, m, newTestClock(), smallConfig(), twoDirs)
		l := mustCreate(t, mgr, testTP, 1)
		for i := range 10 {
			mustAppend(t, l, values(1, fmt.Sprintf("old %d", i)))
		}
		l.SetHighWatermark(10)
		f, err := mgr.BeginMove(testTP, "/b")
		if err != nil {
			t.Fatal(err)
		}
		copyAll(t, f)
		if err := l.TruncateTo(4); err != nil {
			t.Fatal(err)
		}
		for i := 4; i < 12; i++ {
			mustAppend(t, l, values(1, fmt.Sprintf("new %d", i)))
		}
		l.SetHighWatermark(12)
		want := fmt.Sprint(readFrom(t, l, 0))
		if restarted {
			if err := mgr.Close(true); err != nil {
				t.Fatal(err)
			}
			mgr = openManager(t, m, newTestClock(), smallConfig(), twoDirs)
			f = mgr.ResumeMoves()[0]
			if f.log.LogEndOffset() != 4 {
				t.Fatal("the copy was not kept as far as it is one:", f.log.LogEndOffset())
			}
		}
		copyAll(t, f)
		moved, err := f.Swap()
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(readFrom(t, moved, 0)); got != want {
			t.Fatalf("restarted %v: the copy is another log:\n%s\n%s", restarted, got, want)
		}
		if err := mgr.Close(true); err != nil {
			t.Fatal(err)
		}
	}
}

// The disk that a log moves to is full at the last moment: the log stays, and can be moved later.
func TestAMoveThatCannotEndCanBeginAgain(t *testing.T) {
	for _, failing := range []vfs.OpKind{vfs.OpCreate, vfs.OpSync, vfs.OpRename, vfs.OpSyncDir} {
		m := vfs.NewMem()
		format(t, m, "/a", "/b")
		var mu sync.Mutex // logs are synced in the background
		full, marking := false, false
		fsys := vfs.NewFault(m, func(op vfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			marking = marking || full && strings.Contains(op.Name, futureCompleteFile)
			if marking && op.Kind == failing && strings.Contains(op.Name, futureDirSuffix) {
				full, marking = false, false
				return syscall.ENOSPC
			}
			return nil
		})
		mgr := openManager(t, fsys, newTestClock(), smallConfig(), twoDirs)
		l := mustCreate(t, mgr, testTP, 1)
		mustAppend(t, l, values(1, "one"))
		l.SetHighWatermark(1)
		f, err := mgr.BeginMove(testTP, "/b")
		if err != nil {
			t.Fatal(err)
		}
		copyAll(t, f)
		mu.Lock()
		full = true
		mu.Unlock()
		if _, err := f.Swap(); !errors.Is(err, syscall.ENOSPC) || len(mgr.Futures()) != 0 {
			t.Fatal(failing, err)
		}
		mustAppend(t, l, values(1, "two"))
		l.SetHighWatermark(2)
		if f, err = mgr.BeginMove(testTP, "/b"); f == nil || err != nil {
			t.Fatal(failing, "the second move does not begin", f, err)
		}
		// The log must be what it is now also after a kill.
		killed := openManager(t, m.KillClone(), newTestClock(), smallConfig(), twoDirs)
		if l := killed.Log(testTP); l.LogEndOffset() != 2 || l.LogDir() != "/a" {
			t.Fatal(failing, l.LogDir(), l.LogEndOffset())
		}
		_ = killed.Close(false)
		copyAll(t, f)
		moved, err := f.Swap()
		if err != nil || len(readFrom(t, moved, 0)) != 2 {
			t.Fatal(failing, err)
		}
		if err := mgr.Close(true); err != nil {
			t.Fatal(failing, err)
		}
	}
}

// A compacted log takes with it what the checkpoints say of it, also when those are written while it is between the
// directories, and whenever the process is killed.
func TestAMovedLogIsKnownWhereItComes(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	clk := newTestClock()
	var mu sync.Mutex // logs are synced in the background
	var clones []*vfs.Mem
	var between atomic.Pointer[func()]
	fsys := vfs.NewFault(m, func(op vfs.Op) error {
		if op.Kind == vfs.OpRename && strings.HasSuffix(op.Name, futureDirSuffix) {
			if do := between.Swap(nil); do != nil {
				(*do)()
			}
		}
		if op.Kind.Mutates() {
			mu.Lock()
			defer mu.Unlock()
			clones = append(clones, m.CrashClone(), m.KillClone())
		}
		return nil
	})
	mgr := openManager(t, fsys, clk, compactConfig(), twoDirs)
	l, err := mgr.CreateLog(testTP, testID, compactConfig(), mgr.dirs[0].props.DirectoryID)
	if err != nil {
		t.Fatal(err)
	}
	x := &compacted{t: t, fs: m, clk: clk, m: mgr, l: l}
	for i := range 30 {
		x.put(fmt.Sprintf("k%d=%d", i%4, i), fmt.Sprintf("once%d=%d", i, i))
	}
	x.roll()
	if err := l.AdvanceLogStartOffset(3); err != nil {
		t.Fatal(err)
	}
	x.clean()
	if err := errors.Join(l.Flush(), mgr.CheckpointAll()); err != nil {
		t.Fatal(err)
	}
	want := x.batches()
	cleanedTo, _ := mgr.dirs[0].cleanedTo(testTP)
	if cleanedTo == 0 {
		t.Fatal("nothing was cleaned")
	}
	f, err := mgr.BeginMove(testTP, "/b")
	if err != nil {
		t.Fatal(err)
	}
	copyAll(t, f)
	mu.Lock()
	clones = nil
	mu.Unlock()
	do := func() {
		if err := mgr.CheckpointAll(); err != nil {
			t.Error(err)
		}
	}
	between.Store(&do)
	if _, err = f.Swap(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	cuts := clones
	mu.Unlock()
	_ = mgr.Close(false)
	there := 0
	for i, c := range cuts {
		mgr := openManager(t, c, clk, compactConfig(), twoDirs)
		l := mgr.Log(testTP)
		if got := describe(t, l); got != want || l.LogStartOffset() != 3 {
			t.Fatalf("cut %d: start %d\n%s\nwant\n%s", i, l.LogStartOffset(), got, want)
		}
		d := mgr.dirOf(l)
		if to, known := d.cleanedTo(testTP); !known || to != cleanedTo {
			t.Fatalf("cut %d: the cleaner's checkpoint of %s: %d %v, want %d", i, d.path, to, known, cleanedTo)
		}
		if d.notedPoint(testTP) < l.LogEndOffset() {
			t.Fatalf("cut %d: the recovery point of %s is %d", i, d.path, d.notedPoint(testTP))
		}
		if d.path == "/b" {
			there++
		}
		_ = mgr.Close(false)
	}
	if there == 0 || there == len(cuts) {
		t.Fatal(there, len(cuts))
	}
}

// Records were deleted up to the middle of a batch: a copy of the log begins with that batch, and with the log's start.
func TestALogThatBeginsWithinABatchMoves(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	mgr := openManager(t, m, newTestClock(), smallConfig(), twoDirs)
	l := mustCreate(t, mgr, testTP, 1)
	for i := range 5 {
		mustAppend(t, l, values(1, fmt.Sprintf("a%d", i), "b", "c", "d"))
	}
	l.SetHighWatermark(20)
	if err := l.AdvanceLogStartOffset(6); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(readFrom(t, l, 6))
	f, err := mgr.BeginMove(testTP, "/b")
	if err != nil {
		t.Fatal(err)
	}
	copyAll(t, f)
	moved, err := f.Swap()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(readFrom(t, moved, 6)); got != want || moved.LogStartOffset() != 6 {
		t.Fatal(moved.LogStartOffset(), got)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
}

// A tombstone must not go before the copy has it: the copy would keep the deleted value. So the cleaner leaves a log that
// moves alone, until it has come or the move is given up.
func TestTheCleanerWaitsForAMove(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	clk := newTestClock()
	cfg := compactConfig()
	cfg.DeleteRetentionMs = 0
	mgr := openManager(t, m, clk, cfg, twoDirs)
	l, err := mgr.CreateLog(testTP, testID, cfg, mgr.dirs[0].props.DirectoryID)
	if err != nil {
		t.Fatal(err)
	}
	x := &compacted{t: t, fs: m, clk: clk, m: mgr, l: l}
	x.put("k=v")
	for i := range 20 {
		x.put(fmt.Sprintf("other%d=%d", i, i))
	}
	x.put("k")
	x.roll()
	busy, _ := mgr.cleaner.filthiest() // a pass has begun
	begun := make(chan *Future)
	go func() {
		f, err := mgr.BeginMove(testTP, "/b")
		if err != nil {
			t.Error(err)
		}
		begun <- f
	}()
	for !l.copying.Load() {
		runtime.Gosched()
	}
	if mgr.cleaner.cleanLog(0, busy) {
		t.Fatal("a pass did not end")
	}
	mgr.cleaner.mu.Lock()
	delete(mgr.cleaner.busy, l)
	mgr.cleaner.mu.Unlock()
	mgr.cleaner.freed.Broadcast()
	f := <-begun
	if _, err := f.Copy(100, false); err != nil { // it has the value, not the tombstone
		t.Fatal(err)
	}
	for range 3 {
		clk.Advance(time.Hour)
		if mgr.cleaner.cleanFilthiest(0) {
			t.Fatal("a log was cleaned while it moves")
		}
	}
	copyAll(t, f)
	if x.l, err = f.Swap(); err != nil {
		t.Fatal(err)
	}
	x.roll()
	for range 3 {
		clk.Advance(time.Hour)
		mgr.cleaner.cleanFilthiest(0)
		x.put("more=1")
		x.roll()
	}
	if s := x.batches(); strings.Contains(s, "k=v") || !strings.Contains(s, "other1=1") {
		t.Fatal(s)
	}
	if f, err = mgr.BeginMove(testTP, "/a"); err != nil {
		t.Fatal(err)
	}
	f.GiveUp()
	x.put("more=2")
	x.roll()
	if !mgr.cleaner.cleanFilthiest(0) {
		t.Fatal("nothing is cleaned after a move that was given up")
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
}

func TestAMoveThatIsGivenUpLeavesNothing(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	clk := newTestClock()
	mgr := openManager(t, m, clk, smallConfig(), twoDirs)
	defer func() { _ = mgr.Close(true) }()
	mustAppend(t, mustCreate(t, mgr, testTP, 1), values(1, "one"))
	for name, end := range map[string]func() error{
		"moved back": func() error { _, err := mgr.BeginMove(testTP, "/a"); return err },
		"deleted":    func() error { return mgr.DeleteLog(testTP) },
	} {
		if mgr.Log(testTP) == nil {
			mustAppend(t, mustCreate(t, mgr, testTP, 1), values(1, "one"))
		}
		f, err := mgr.BeginMove(testTP, "/b")
		if err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatal(name, err)
		}
		clk.Advance(0)
		if _, err := f.Copy(100, true); !errors.Is(err, ErrMoveGivenUp) {
			t.Fatal(name, err)
		}
		if s := files(t, m, "/b"); strings.Contains(s, "t-0") {
			t.Fatal(name, s)
		}
	}
}

// New logs keep away from a directory that is cordoned, unless it is asked for or there is no other.
func TestCordonedDirectories(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	mgr := openManager(t, m, newTestClock(), smallConfig(), twoDirs)
	defer func() { _ = mgr.Close(true) }()
	mgr.SetCordoned([]string{"/a/"})
	for i := range 3 {
		if l := mustCreate(t, mgr, TopicPartition{"t", int32(i)}, 0); l.LogDir() != "/b" {
			t.Fatal(l.LogDir())
		}
	}
	if l := mustCreate(t, mgr, TopicPartition{"t", 3}, 1); l.LogDir() != "/a" || len(mgr.Cordoned()) != 1 {
		t.Fatal(l.LogDir())
	}
	mgr.SetCordoned([]string{"*"})
	mustCreate(t, mgr, TopicPartition{"t", 4}, 0)
	if len(mgr.Cordoned()) != 2 {
		t.Fatal(mgr.Cordoned())
	}
}

// The directory that a log moves to knows of it what the old one knew, before it comes: else a crash after the move would
// take gaps that the cleaner has left for losses, and clean everything again.
func TestAMoveTakesTheCheckpointsAlong(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	mgr := openManager(t, m, newTestClock(), smallConfig(), twoDirs)
	l := mustCreate(t, mgr, testTP, 1)
	for i := range 20 {
		mustAppend(t, l, values(1, fmt.Sprintf("value %d %s", i, strings.Repeat("v", 40))))
	}
	l.SetHighWatermark(18)
	if err := errors.Join(l.AdvanceLogStartOffset(3), l.Flush(), mgr.dirs[0].noteCleaned(l, 10, l.cuts()), mgr.CheckpointAll()); err != nil {
		t.Fatal(err)
	}
	f, err := mgr.BeginMove(testTP, "/b")
	if err != nil {
		t.Fatal(err)
	}
	copyAll(t, f)
	// What is cleaned from now on may have been copied before.
	if err := mgr.dirs[0].noteCleaned(l, 15, l.cuts()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Swap(); err != nil {
		t.Fatal(err)
	}
	cut := m.CrashClone()
	if err := mgr.CheckpointAll(); err != nil {
		t.Fatal(err)
	}
	for name, image := range map[string]*vfs.Mem{"at once": cut, "after a checkpoint": m.CrashClone()} {
		for file, want := range map[string]int64{recoveryPointFile: 20, logStartFile: 3, highWatermarkFile: 18, cleanerFile: 10} {
			if file == logStartFile && name != "at once" {
				continue // the copy begins there: its first segment tells
			}
			if got, err := ReadOffsetCheckpoint(image, "/b/"+file); err != nil || got[testTP] != want {
				t.Errorf("%s: %s says %d, not %d: %v", name, file, got[testTP], want, err)
			}
		}
	}
	if got, err := ReadOffsetCheckpoint(m, "/a/"+cleanerFile); err != nil || len(got) != 0 {
		t.Error("the old directory still tells of it", got, err)
	}
	_ = mgr.Close(false)
	mgr = openManager(t, cut, newTestClock(), smallConfig(), twoDirs)
	defer func() { _ = mgr.Close(true) }()
	if l := mgr.Log(testTP); l.LogDir() != "/b" || l.LogStartOffset() != 3 || len(readFrom(t, l, 3)) != 17 {
		t.Fatal(l.LogDir(), l.LogStartOffset())
	}
}

// Retention does not go by the node's defaults while the topics' own configuration is not known.
func TestRetentionWaitsForTheTopicsConfiguration(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	clk := newTestClock()
	cfg := smallConfig()
	cfg.RetentionMs, cfg.RetentionBytes = 1, 0
	mgr := openManager(t, m, clk, cfg, func(o *ManagerOptions) { o.ConfigsComeLater = true })
	defer func() { _ = mgr.Close(true) }()
	l := mustCreate(t, mgr, testTP, 0)
	for range 20 {
		mustAppend(t, l, values(1, strings.Repeat("v", 100)))
	}
	l.SetHighWatermark(20)
	clk.Advance(time.Hour)
	if l.LogStartOffset() != 0 {
		t.Fatal("deleted by the defaults")
	}
	mgr.StartCleaner()
	clk.Advance(time.Hour)
	if l.LogStartOffset() != 20 {
		t.Fatal(l.LogStartOffset())
	}
}

// The name of a copy tells whose it is. Where it would be too long for that, the move is refused, and not begun under a name that
// a start after a kill could not read, or would read as another partition's.
func TestAMoveOfALongNameIsRefused(t *testing.T) {
	for _, c := range []struct {
		length int
		moves  bool
	}{{213, true}, {214, false}, {240, false}} {
		m := vfs.NewMem()
		format(t, m, "/a", "/b")
		mgr := openManager(t, m, newTestClock(), smallConfig(), twoDirs)
		tp := TopicPartition{strings.Repeat("n", c.length-4) + "-12n", 3}
		l := mustCreate(t, mgr, tp, 1)
		f, err := mgr.BeginMove(tp, otherDir(l))
		if c.moves != (err == nil && f != nil) {
			t.Fatal(c.length, f, err)
		}
		if !c.moves && (mgr.Log(tp) != l || l.Err() != nil || mgr.Dirs()[0].Err != nil || mgr.Dirs()[1].Err != nil) {
			t.Fatal("the refusal has cost something")
		}
		if err := mgr.Close(true); err != nil {
			t.Fatal(err)
		}
	}
}

func otherDir(l *Log) string {
	if l.LogDir() == "/a" {
		return "/b"
	}
	return "/a"
}

// Whoever has ended a move does not want it to go on after the next power cut.
func TestAMoveThatIsGivenUpStaysSo(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	clk := newTestClock()
	mgr := openManager(t, m, clk, smallConfig(), twoDirs)
	l := mustCreate(t, mgr, testTP, 1)
	mustAppend(t, l, values(1, "one"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := mgr.BeginMove(testTP, "/b"); err != nil {
		t.Fatal(err)
	}
	if _, err := mgr.BeginMove(testTP, "/a"); err != nil {
		t.Fatal(err)
	}
	after := m.CrashClone()
	_ = mgr.Close(false)
	mgr = openManager(t, after, clk, smallConfig(), twoDirs)
	defer func() { _ = mgr.Close(false) }()
	if moves := mgr.ResumeMoves(); len(moves) != 0 {
		t.Fatalf("%d moves go on", len(moves))
	}
}
