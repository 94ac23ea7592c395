package storage

import (
	"math"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
)

// scheduler runs a manager's background work on the handed-in clock.
type scheduler struct {
	clock clock.Clock

	mu      sync.Mutex
	stopped bool
	timers  map[*clock.Timer]struct{} // armed
	running sync.WaitGroup
}

func newScheduler(c clock.Clock) *scheduler {
	return &scheduler{clock: c, timers: map[*clock.Timer]struct{}{}}
}

// after runs fn once, when d has passed and the scheduler has not been stopped.
func (s *scheduler) after(d time.Duration, fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	key := new(clock.Timer)
	s.timers[key] = struct{}{}
	*key = s.clock.AfterFunc(d, func() {
		s.mu.Lock()
		delete(s.timers, key)
		if s.stopped {
			s.mu.Unlock()
			return
		}
		s.running.Add(1)
		s.mu.Unlock()
		defer s.running.Done()
		fn()
	})
}

// every runs fn again and again, d after it has ended.
func (s *scheduler) every(d time.Duration, fn func()) {
	if d <= 0 {
		return
	}
	s.after(d, func() {
		fn()
		s.every(d, fn)
	})
}

// stop cancels what has not begun and waits for what has.
func (s *scheduler) stop() {
	s.mu.Lock()
	s.stopped = true
	for key := range s.timers {
		(*key).Stop()
	}
	s.timers = nil
	s.mu.Unlock()
	s.running.Wait()
}

// millis is a time of so many milliseconds, or the longest there is: "for ever" in a setting must not become "at once".
func millis(ms int64) time.Duration {
	const longest = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(min(ms, longest)) * time.Millisecond
}
