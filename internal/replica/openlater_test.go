package replica

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// The disk is full when a topic is made. Its partition has no log then; when there is room, it gets one without a restart or another
// change of the metadata, and what is made anew meanwhile starts no second try.
func TestALogThatFoundNoRoomIsMadeLater(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EMFILE} {
		r := newRig(t)
		var full atomic.Bool
		var tries atomic.Int32
		full.Store(true)
		r.setHook(func(op vfs.Op) error {
			if op.Kind == vfs.OpMkdir && full.Load() {
				tries.Add(1)
				return cause
			}
			return nil
		})
		r.create("t", 1, 1)
		r.reconfigure("t")
		if err := r.produce(1, never, to("t", "x")).wait()[0].Err; err == nil {
			t.Fatal("there is no log to append to")
		}
		begun := tries.Load()
		for range 3 {
			r.clock.Advance(createRetry)
		}
		if got := tries.Load() - begun; got != 3 {
			t.Errorf("%v: the log was tried %d times in 3 rounds", cause, got)
		}
		full.Store(false)
		r.clock.Advance(createRetry)
		r.put("t", "y")
		before := tries.Load()
		r.clock.Advance(time.Minute)
		if tries.Load() != before {
			t.Error("an open log is tried again")
		}
	}
}

// Another failure is not tried again by itself: a person mends the disk, and starts the node.
func TestALogThatCannotBeMadeIsNotTriedAgain(t *testing.T) {
	r := newRig(t)
	var tries atomic.Int32
	r.setHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpMkdir {
			tries.Add(1)
			return errors.New("broken")
		}
		return nil
	})
	r.create("t", 1, 1)
	before := tries.Load()
	r.clock.Advance(time.Hour)
	if tries.Load() != before {
		t.Errorf("tried %d times more", tries.Load()-before)
	}
}
