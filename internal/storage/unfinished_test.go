package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A log is cut while the disk is full, or while there are no descriptors. Whatever the operation that fails: afterwards, without a
// restart, the log is cut, takes records, and a start finds the same.
func TestACutGoesOnWhenThereIsRoomAgain(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EMFILE} {
		for _, anew := range []bool{false, true} {
			failed := 0
			for nth := 0; ; nth++ {
				name := fmt.Sprintf("%v, anew %v, operation %d", errno, anew, nth)
				m := vfs.NewMem()
				format(t, m, "/d")
				var broken atomic.Bool
				var ops atomic.Int64
				fsys := vfs.NewFault(m, func(op vfs.Op) error {
					wants := op.Kind == vfs.OpCreate || op.Kind == vfs.OpWrite
					if errno == syscall.EMFILE {
						wants = op.Kind == vfs.OpCreate || op.Kind == vfs.OpOpen || op.Kind == vfs.OpSyncDir || op.Kind == vfs.OpReadDir
					}
					if broken.Load() && wants && ops.Add(1) > int64(nth) {
						return errno
					}
					return nil
				})
				clk := newTestClock()
				mgr := openManager(t, fsys, clk, smallConfig(), func(o *ManagerOptions) { o.MaxOpenFiles = 1 })
				l := mustCreate(t, mgr, testTP, 0)
				for i := range 40 {
					mustAppend(t, l, from(1, 0, int32(i), strings.Repeat("v", 40)))
				}
				if err := errors.Join(l.Flush(), mgr.CheckpointAll()); err != nil {
					t.Fatal(err)
				}
				l.env.syncer.mu.Lock()
				for l.env.syncer.workers > 0 {
					l.env.syncer.idle.Wait()
				}
				l.env.syncer.mu.Unlock()
				cut := func() error {
					if anew {
						return l.TruncateFullyAndStartAt(100)
					}
					return l.TruncateTo(17)
				}
				broken.Store(true)
				err := cut()
				broken.Store(false)
				if err == nil {
					break // no operation was left to fail
				}
				failed++
				if !errors.Is(err, ErrStorage) || l.Err() != nil {
					t.Fatalf("%s: %v; the log: %v", name, err, l.Err())
				}
				if err := cut(); err != nil {
					t.Fatalf("%s, again: %v", name, err)
				}
				end := int64(17)
				if anew {
					end = 100
				}
				if info := mustAppend(t, l, values(1, "after the cut")); info.FirstOffset != end {
					t.Fatalf("%s: %+v", name, info)
				}
				if err := l.Flush(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				cutOff := m.CrashClone()
				if err := mgr.Close(true); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, disk := range []*vfs.Mem{m, cutOff} {
					mgr = openManager(t, disk, clk, smallConfig())
					l = mgr.Log(testTP)
					if got := readFrom(t, l, l.LogStartOffset()); l.LogEndOffset() != end+1 || got[end] != "after the cut" || !anew && len(got) != 18 {
						t.Fatalf("%s: [%d, %d) %d", name, l.LogStartOffset(), l.LogEndOffset(), len(got))
					}
					_ = mgr.Close(true)
					mustBeSound(t, disk)
				}
			}
			if failed < 3 {
				t.Errorf("%v, anew %v: only %d operations failed", errno, anew, failed)
			}
		}
	}
}

// What does not pass is not tried again: a checkpoint that the disk refuses takes the log out of use, and a sync of the names that has
// failed for want of space may have lost them, so that a second one that succeeds proves nothing.
func TestACutThatTheDiskRefusesEndsTheLog(t *testing.T) {
	for name, c := range map[string]struct {
		errno syscall.Errno
		is    func(vfs.Op) bool
	}{
		"the recovery point cannot be written": {syscall.EIO, func(op vfs.Op) bool {
			return op.Kind == vfs.OpWrite && strings.Contains(op.Name, recoveryPointFile)
		}},
		"the names cannot be synced": {syscall.ENOSPC, func(op vfs.Op) bool { return op.Kind == vfs.OpSyncDir && op.Name == "/d/t-0" }},
	} {
		for _, anew := range []bool{false, true} {
			m := vfs.NewMem()
			format(t, m, "/d")
			var broken atomic.Bool
			fsys := vfs.NewFault(m, func(op vfs.Op) error {
				if c.is(op) && broken.CompareAndSwap(true, false) {
					return &fs.PathError{Op: "write", Path: op.Name, Err: c.errno}
				}
				return nil
			})
			mgr := openManager(t, fsys, newTestClock(), smallConfig())
			l := mustCreate(t, mgr, testTP, 0)
			for i := range 40 {
				mustAppend(t, l, from(1, 0, int32(i), strings.Repeat("v", 40)))
			}
			if err := errors.Join(l.Flush(), mgr.CheckpointAll()); err != nil {
				t.Fatal(err)
			}
			broken.Store(true)
			cut := l.TruncateTo
			if anew {
				cut = l.TruncateFullyAndStartAt
			}
			if err := cut(17); err == nil || l.Err() == nil {
				t.Fatalf("%s, anew %v: %v; the log: %v", name, anew, err, l.Err())
			}
			_ = mgr.Close(false)
		}
	}
}
