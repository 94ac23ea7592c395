package storage

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// killedShort is what a kill leaves of a log with 40 records that are committed and noted to be, half of which were on the disk, when
// an older copy of its files takes their place.
func killedShort(t *testing.T) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	format(t, m, "/d")
	clk := newTestClock()
	cfg := smallConfig()
	cfg.SegmentBytes = 1 << 20
	mgr := openManager(t, m, clk, cfg)
	l := mustCreate(t, mgr, testTP, 0)
	for range 20 {
		mustAppend(t, l, values(1, "a"))
	}
	l.SetHighWatermark(20)
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := mgr.CheckpointAll(); err != nil {
		t.Fatal(err)
	}
	older := mustRead(t, m, "/d/t-0/"+segmentName(0)+logSuffix)
	for range 20 {
		mustAppend(t, l, values(1, "b"))
	}
	l.SetHighWatermark(40)
	if err := mgr.checkpointHighWatermarks(mgr.dirs[0]); err != nil {
		t.Fatal(err)
	}
	killed := m.KillClone()
	_ = mgr.Close(false)
	if err := logFile(t, killed, 0).Truncate(int64(len(older))); err != nil {
		t.Fatal(err)
	}
	return killed
}

// The process was killed, the kernel has everything, and yet the log ends below what was committed: somebody has put an older file in
// its place. That is told, and no offset is given again.
func TestAfterAKillALogThatEndsBelowItsHighWatermarkHasLostRecords(t *testing.T) {
	var told atomic.Int64
	var out logTo
	m := killedShort(t)
	for boot, want := range map[string]bool{"boot": true, "another": false, "": false} {
		damaged := false
		o := CheckOptions{FS: m, Dir: "/d", BootID: boot, Found: func(f Finding) {
			damaged = damaged || f.Damage && strings.Contains(f.Problem, "committed up to offset 40")
		}}
		if _, err := CheckDir(o); err != nil || damaged != want {
			t.Fatal(boot, err, damaged)
		}
	}
	clk := newTestClock()
	mgr := openManager(t, m, clk, smallConfig(), lossy(&told), out.option)
	mgr.AwaitRecovery()
	l := mgr.Log(testTP)
	if err := l.Wake(); err != nil || l.LogEndOffset() != 20 || l.LostUpTo() != 40 {
		t.Fatal(err, l.LogEndOffset(), l.LostUpTo())
	}
	clk.Advance(time.Millisecond)
	if !strings.Contains(out.String(), "records are lost") || told.Load() != 1 {
		t.Fatal(out.String(), told.Load())
	}
	_, err := l.AppendAsLeader(values(1, "x"), 1, FromClient)
	wantErr(t, err, ErrNotReady)
	if err := mgr.PassLoss(l); err != nil || l.LogEndOffset() != 40 {
		t.Fatal(err, l.LogEndOffset())
	}
	mustAppend(t, l, values(1, "behind"))
	killed := m.KillClone()
	_ = mgr.Close(false)
	mgr = openManager(t, killed, clk, smallConfig(), lossy(&told))
	defer func() { _ = mgr.Close(true) }()
	mgr.AwaitRecovery()
	if got := readFrom(t, mgr.Log(testTP), 0); got[40] != "behind" || len(got) != 21 || mgr.Log(testTP).LostUpTo() != 0 {
		t.Fatal(got)
	}
}

// After a power cut the same is nothing but what was not synced: a warning, and the log goes on where it ends.
func TestAfterAPowerCutALogMayEndBelowItsHighWatermark(t *testing.T) {
	var told atomic.Int64
	var out logTo
	mgr := openManager(t, killedShort(t), newTestClock(), smallConfig(), lossy(&told), out.option, func(o *ManagerOptions) { o.BootID = "another" })
	defer func() { _ = mgr.Close(true) }()
	mgr.AwaitRecovery()
	l := mgr.Log(testTP)
	if err := l.Wake(); err != nil || l.LogEndOffset() != 20 || l.LostUpTo() != 0 {
		t.Fatal(err, l.LogEndOffset(), l.LostUpTo())
	}
	if s := out.String(); strings.Contains(s, "level=ERROR") || !strings.Contains(s, "ends below the high watermark") {
		t.Fatal(s)
	}
	mustAppend(t, l, values(1, "x"))
}

// A follower that was told to cut its log below what it had noted as committed, and is killed at any moment of it, has lost nothing.
func TestACutBelowTheHighWatermarkIsNoLoss(t *testing.T) {
	for _, anew := range []bool{false, true} {
		base := vfs.NewMem()
		format(t, base, "/d")
		var mu sync.Mutex // logs are synced in the background
		var cuts []*vfs.Mem
		watch := false
		fsys := vfs.NewFault(base, func(op vfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if watch && op.Kind.Mutates() {
				cuts = append(cuts, base.KillClone())
			}
			return nil
		})
		var told atomic.Int64
		mgr := openManager(t, fsys, newTestClock(), smallConfig(), lossy(&told))
		l := mustCreate(t, mgr, testTP, 0)
		for range 40 {
			mustAppend(t, l, values(1, strings.Repeat("v", 40)))
		}
		l.SetHighWatermark(40)
		if err := mgr.checkpointHighWatermarks(mgr.dirs[0]); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		watch = true
		mu.Unlock()
		cut := l.TruncateTo
		if anew {
			cut = l.TruncateFullyAndStartAt
		}
		if err := cut(10); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		watch = false
		cuts = append(cuts, base.KillClone())
		mu.Unlock()
		_ = mgr.Close(false)
		for i, m := range cuts {
			mgr := openManager(t, m, newTestClock(), smallConfig(), lossy(&told))
			mgr.AwaitRecovery()
			if l := mgr.Log(testTP); l.LostUpTo() != 0 || l.Wake() != nil {
				t.Fatal(i, len(cuts), l.LostUpTo(), l.Wake())
			}
			_ = mgr.Close(false)
		}
	}
}
