package clock

import (
	"sync"
	"time"
)

// Moved is the machine's clock with a hand on it: it runs by itself, and Advance lets time pass at once.
type Moved struct {
	mu     sync.Mutex
	ahead  time.Duration // of the machine's clock
	wrong  time.Duration // by how much Now tells another time than it is
	timers map[*movedTimer]struct{}
}

// NewMoved returns a clock that tells the machine's time.
func NewMoved() *Moved { return &Moved{timers: map[*movedTimer]struct{}{}} }

// Now is the machine's time and all that Advance and Set have added.
func (m *Moved) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.ahead + m.wrong)
}

// Set makes Now tell a time that is wrong by d, as a clock that somebody has put forward or back. No timer is due earlier or
// later for it, as on a real machine.
func (m *Moved) Set(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrong = d
}

// AfterFunc arms a timer that goes off when d has passed by this clock.
func (m *Moved) AfterFunc(d time.Duration, f func()) Timer {
	t := &movedTimer{clock: m, fn: f}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.armLocked(d)
	return t
}

// Advance lets d pass: whatever comes due meanwhile goes off now, each timer once, as after a machine has slept.
func (m *Moved) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ahead += d
	now := time.Now().Add(m.ahead)
	for t := range m.timers {
		t.real.Reset(max(0, t.due.Sub(now)))
	}
}

type movedTimer struct {
	clock *Moved
	fn    func()
	real  *time.Timer
	due   time.Time // by the moved clock
	round int       // how often it was armed; an earlier call that comes late is none
}

func (t *movedTimer) armLocked(d time.Duration) {
	t.round++
	round := t.round
	t.due = time.Now().Add(t.clock.ahead + d)
	t.real = time.AfterFunc(d, func() { t.run(round) })
	t.clock.timers[t] = struct{}{}
}

func (t *movedTimer) run(round int) {
	t.clock.mu.Lock()
	_, armed := t.clock.timers[t]
	armed = armed && t.round == round
	if armed {
		delete(t.clock.timers, t)
	}
	t.clock.mu.Unlock()
	if armed {
		t.fn()
	}
}

func (t *movedTimer) disarmLocked() bool {
	_, armed := t.clock.timers[t]
	if armed {
		delete(t.clock.timers, t)
		t.real.Stop()
	}
	return armed
}

func (t *movedTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.disarmLocked()
}

func (t *movedTimer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	was := t.disarmLocked()
	t.armLocked(d)
	return was
}
