package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// A follower begins where its leader's log does, in the middle of a batch, and is given the whole batch. Whatever happens
// meanwhile, it can go on from where it is.
func TestAFollowerBeginsWithinABatch(t *testing.T) {
	leader := testLog(t, vfs.NewMem(), newTestClock(), smallConfig())
	for range 3 {
		mustAppend(t, leader, values(1, "a", "b", "c", "d"))
	}
	s, err := leader.Read(5, math.MaxInt32, 12, true)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s.Release()

	m := vfs.NewMem()
	format(t, m, "/a")
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // logs are synced in the background
	var clones []*vfs.Mem
	full := false
	fsys := vfs.NewFault(m, func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if full && op.Kind == vfs.OpCreate && strings.Contains(op.Name, segmentName(4)) {
			return syscall.ENOSPC
		}
		if op.Kind.Mutates() {
			clones = append(clones, m.CrashClone(), m.KillClone())
		}
		return nil
	})
	one := func(o *ManagerOptions) { o.Dirs = []string{"/a"} }
	mgr := openManager(t, fsys, newTestClock(), smallConfig(), one)
	l := mustCreate(t, mgr, testTP, 1)
	if err := errors.Join(l.TruncateFullyAndStartAt(5), mgr.CheckpointAll()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	full = true
	mu.Unlock()
	if _, err := l.AppendAsFollower(bytes.Clone(sent), 1); !errors.Is(err, syscall.ENOSPC) || l.LogStartOffset() != 5 || l.LogEndOffset() != 5 {
		t.Fatal(err, l.LogStartOffset(), l.LogEndOffset())
	}
	mu.Lock()
	full, clones = false, nil
	mu.Unlock()
	info, err := l.AppendAsFollower(bytes.Clone(sent), 1)
	if err != nil || info.FirstOffset != 4 || info.LastOffset != 11 {
		t.Fatal(info, err)
	}
	check := func(l *Log) {
		t.Helper()
		if got := readFrom(t, l, 5); l.LogStartOffset() != 5 || l.LogEndOffset() != 12 || len(got) != 8 {
			t.Fatal(l.LogStartOffset(), l.LogEndOffset(), got)
		}
	}
	check(l)
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	cuts := append(clones, m.CrashClone())
	mu.Unlock()
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	for i, c := range cuts {
		mgr := openManager(t, c, newTestClock(), smallConfig(), one)
		l := mgr.Log(testTP)
		if start, end := l.LogStartOffset(), l.LogEndOffset(); start != 5 || end != 5 && end != 12 || i == len(cuts)-1 && end != 12 {
			t.Fatalf("cut %d: [%d, %d)", i, start, end)
		}
		if l.LogEndOffset() == 5 {
			if _, err := l.AppendAsFollower(bytes.Clone(sent), 1); err != nil {
				t.Fatal(fmt.Sprintf("cut %d: ", i), err)
			}
		}
		check(l)
		_ = mgr.Close(true)
	}
	mgr = openManager(t, m, newTestClock(), smallConfig(), one)
	check(mgr.Log(testTP))
	// With records it takes no batch that begins below its end.
	if _, err := mgr.Log(testTP).AppendAsFollower(record.Batch(bytes.Clone(sent)), 1); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatal(err)
	}
	_ = mgr.Close(true)
}
