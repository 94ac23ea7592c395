package clock

import (
	"sort"
	"sync"
	"time"
)

// Fake is a clock that moves only by Advance.
type Fake struct {
	mu     sync.Mutex
	now    time.Time
	timers []*fakeTimer // armed timers, unordered
	seq    int64        // orders timers that are due at the same instant
}

// NewFake returns a clock that stands at t.
func NewFake(t time.Time) *Fake { return &Fake{now: t} }

// Now is where the clock stands.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// AfterFunc arms a timer that Advance will run.
func (f *Fake) AfterFunc(d time.Duration, fn func()) Timer {
	t := &fakeTimer{clock: f, fn: fn}
	f.mu.Lock()
	defer f.mu.Unlock()
	t.armLocked(d)
	return t
}

// Advance moves the clock by d and runs each timer that comes due on the way, in
// order of its time, with the clock standing at that time.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	end := f.now.Add(d)
	for {
		t := f.nextLocked(end)
		if t == nil {
			break
		}
		if t.due.After(f.now) {
			f.now = t.due
		}
		f.mu.Unlock()
		t.fn()
		f.mu.Lock()
	}
	f.now = end
	f.mu.Unlock()
}

// Pending is the number of armed timers.
func (f *Fake) Pending() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.timers)
}

func (f *Fake) nextLocked(end time.Time) *fakeTimer {
	if len(f.timers) == 0 {
		return nil
	}
	sort.Slice(f.timers, func(i, j int) bool {
		a, b := f.timers[i], f.timers[j]
		if !a.due.Equal(b.due) {
			return a.due.Before(b.due)
		}
		return a.seq < b.seq
	})
	t := f.timers[0]
	if t.due.After(end) {
		return nil
	}
	f.timers = f.timers[1:]
	t.armed = false
	return t
}

type fakeTimer struct {
	clock *Fake
	fn    func()
	due   time.Time
	seq   int64
	armed bool
}

func (t *fakeTimer) armLocked(d time.Duration) {
	t.clock.seq++
	t.due, t.seq, t.armed = t.clock.now.Add(d), t.clock.seq, true
	t.clock.timers = append(t.clock.timers, t)
}

func (t *fakeTimer) disarmLocked() bool {
	was := t.armed
	t.armed = false
	for i, x := range t.clock.timers {
		if x == t {
			t.clock.timers = append(t.clock.timers[:i:i], t.clock.timers[i+1:]...)
			break
		}
	}
	return was
}

func (t *fakeTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.disarmLocked()
}

func (t *fakeTimer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	was := t.disarmLocked()
	t.armLocked(d)
	return was
}
