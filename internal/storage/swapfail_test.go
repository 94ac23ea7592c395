package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A copy is to take its log's place, and an operation on the names fails. Want of space or of descriptors takes nothing out of use:
// there is one log, with all its records, which takes more, or which waits for the next start. What a disk refuses costs that directory, and not the other.
func TestAMoveThatFailsAtItsEndCostsNothingElse(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENOSPC, syscall.EIO} {
		failed := 0
		for nth := 1; ; nth++ {
			name := fmt.Sprintf("%v, operation %d", errno, nth)
			m := vfs.NewMem()
			format(t, m, "/a", "/b")
			var broken atomic.Bool
			var ops atomic.Int64
			var where atomic.Value
			fsys := vfs.NewFault(m, func(op vfs.Op) error {
				names := op.Kind == vfs.OpRename && !strings.Contains(op.Name, ".tmp") || op.Kind == vfs.OpSyncDir && strings.Count(op.Name, "/") == 1
				if broken.Load() && names && ops.Add(1) == int64(nth) {
					where.Store(op.Name)
					return &fs.PathError{Op: "do", Path: op.Name, Err: errno}
				}
				return nil
			})
			clk := newTestClock()
			mgr := openManager(t, fsys, clk, smallConfig(), twoDirs)
			l := mustCreate(t, mgr, testTP, 0)
			other := TopicPartition{"other", 0}
			from := l.LogDir()
			to := map[string]string{"/a": "/b", "/b": "/a"}[from]
			mustAppend(t, mustCreate(t, mgr, other, 0), values(1, "x"))
			for range 20 {
				mustAppend(t, l, values(1, strings.Repeat("v", 40)))
			}
			l.SetHighWatermark(20)
			if err := errors.Join(l.Flush(), mgr.CheckpointAll()); err != nil {
				t.Fatal(err)
			}
			f, err := mgr.BeginMove(testTP, to)
			if err != nil {
				t.Fatal(err)
			}
			copyAll(t, f)
			broken.Store(true)
			_, err = f.Swap()
			broken.Store(false)
			if ops.Load() < int64(nth) {
				_ = mgr.Close(false)
				break // no operation was left to fail
			}
			if err != nil {
				failed++
				f.GiveUp()
				clk.Advance(2 * time.Minute) // what was given up is removed
			}
			at, _ := where.Load().(string)
			for _, d := range mgr.dirs {
				if guilty := errno == syscall.EIO && strings.HasPrefix(at, d.path); d.err() != nil && !guilty {
					t.Fatalf("%s on %s: %s is out of use: %v", name, at, d.path, d.err())
				}
			}
			l = mgr.Log(testTP)
			want := 20
			if errno != syscall.EIO && l.Err() == nil {
				want = 21
				if got := readFrom(t, l, 0); len(got) != 20 {
					t.Fatalf("%s on %s: %d records in %s, %v", name, at, len(got), l.LogDir(), l.Err())
				}
				mustAppend(t, l, values(1, "on"))
				if err := l.Flush(); err != nil {
					t.Fatalf("%s on %s: %v", name, at, err)
				}
			}
			if o := mgr.Log(other); errno != syscall.EIO && o.Err() != nil {
				t.Fatalf("%s on %s: %v", name, at, o.Err())
			}
			_ = mgr.Close(want == 21)
			for _, disk := range []*vfs.Mem{m.KillClone(), m.CrashClone()} {
				mgr := openManager(t, disk, clk, smallConfig(), twoDirs)
				mgr.AwaitRecovery()
				l := mgr.Log(testTP)
				if l == nil {
					t.Fatalf("%s on %s: the log is gone", name, at)
				}
				if got := readFrom(t, l, 0); len(got) != want {
					t.Fatalf("%s on %s: %d records in %s", name, at, len(got), l.LogDir())
				}
				_ = mgr.Close(true)
			}
		}
		if failed < 4 {
			t.Errorf("%v: only %d operations failed", errno, failed)
		}
	}
}
