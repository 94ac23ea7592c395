package storage

import (
	"errors"
	"fmt"
	"strings"
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

// The power goes at every step of a move: the log is in one place, whole, and the move can go on.
func TestAMoveThroughPowerCuts(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	var clones []*vfs.Mem
	fsys := vfs.NewFault(m, func(op vfs.Op) error {
		if op.Kind.Mutates() {
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
	clones = nil
	f, err := mgr.BeginMove(testTP, "/b")
	if err != nil {
		t.Fatal(err)
	}
	copyAll(t, f)
	if _, err := f.Swap(); err != nil {
		t.Fatal(err)
	}
	cuts := clones
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
		if _, err := f.Copy(100, true); !errors.Is(err, ErrClosed) || f.Valid() {
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
