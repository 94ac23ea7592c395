package coord

import (
	"fmt"
	"runtime/debug"
)

// condemn is called when a turn has panicked. What the machine holds may be half of a change, so
// it is not asked again: everybody who waits is told to look for the coordinator, and the
// partition, which holds only whole changes, is loaded anew. It runs within the panicking event,
// so this shard's machine and timers are its own.
func (s *shard[M]) condemn(cause any) {
	s.rt.cfg.Log.Error("the coordinator has panicked; its partition is loaded anew", "shard", s.rt.describe(s.partition), "epoch", s.epoch,
		"after_ms", s.rt.cfg.LoadRetryMs, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
	waiting, parked, closed := s.takeOut()
	for _, t := range s.open {
		s.fail(t.takeReplies(), ErrNotCoordinator)
		if t.panicked != nil {
			s.guard(func() { t.panicked(ErrNotCoordinator) })
		}
	}
	s.open = nil
	s.fail(parked, ErrNotCoordinator)
	for _, e := range waiting {
		if e.refuse != nil {
			s.guard(func() { e.refuse(ErrNotCoordinator) })
		}
	}
	s.guard(s.dismiss) // answers requests that only the machine knows of
	var none M
	s.machine, s.timers, s.wakeArmed = none, timerQueue{}, false
	if s.wake != nil {
		s.wake.Stop()
	}
	if closed {
		return // the unload that waits in the queue ends it
	}
	s.rt.spawn(func() {
		if s.pause() {
			s.load()
		}
	})
}

// takeOut ends the shard's service and takes what waits. A shard that is closed keeps its
// queue, whose turns are refused as they come up.
func (s *shard[M]) takeOut() (waiting []event[M], parked []Reply, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed {
		return nil, nil, true
	}
	s.state = stateFailed
	waiting, s.queue = s.queue, nil
	parked = s.parked.all()
	if s.parkTimer != nil {
		s.parkTimer.Stop()
	}
	s.parkArmed = false
	return waiting, parked, false
}

// guard runs what answers one request. That it panics is no reason to leave others without an answer.
func (s *shard[M]) guard(answer func()) {
	defer func() {
		if cause := recover(); cause != nil {
			s.rt.cfg.Log.Error("cannot answer a request to the coordinator: panic", "shard", s.rt.describe(s.partition),
				"cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
		}
	}()
	answer()
}
