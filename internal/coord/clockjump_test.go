package coord

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
)

// jumping tells a time that somebody has put forward; its timers run as before.
type jumping struct {
	*clock.Fake
	by *atomic.Int64
}

func (j jumping) Now() time.Time { return j.Fake.Now().Add(time.Duration(j.by.Load())) }

// A timer that is set after the clock has jumped over a later one was not armed at all: the wake for the later one, whose moment
// seemed to have passed, counted as one that is about to come. A group waited for ten minutes to end a rebalance.
func TestATimerSetAfterAJumpOfTheClockFires(t *testing.T) {
	by := new(atomic.Int64)
	w := newWorld(t, func(c *Config[*register]) { c.Clock = jumping{c.Clock.(*clock.Fake), by} })
	w.lead(0, 1)
	var m *register
	set := func(name string, afterMs int64) {
		w.rt.Do(0, func(r *register, t *Turn) { m = r; t.SetTimer(TimerKey{Group: name}, afterMs) }, nil)
	}
	set("far", 600_000)
	by.Store(int64(2 * time.Hour))
	set("near", 6_000)
	w.clk.Advance(10 * time.Second)
	if n := len(m.fired); n != 2 {
		t.Fatalf("%d timers have fired: %v", n, m.fired)
	}
}

// A clock that is put back while timers fire makes what they set lie in the past of the firing: it fires in another one, and this one ends.
func TestAClockThatGoesBackWhileTimersFire(t *testing.T) {
	by := new(atomic.Int64)
	w := newWorld(t, func(c *Config[*register]) { c.Clock = jumping{c.Clock.(*clock.Fake), by} })
	w.lead(0, 1)
	var m *register
	w.rt.Do(0, func(r *register, t *Turn) {
		m = r
		r.onFire = func(t *Turn) {
			by.Store(-int64(2 * time.Hour))
			if len(r.fired) < 100 {
				t.SetTimer(TimerKey{Group: "again"}, 1)
			}
		}
		t.SetTimer(TimerKey{Group: "again"}, 5)
	}, nil)
	w.clk.Advance(5 * time.Millisecond)
	if n := len(m.fired); n != 1 {
		t.Fatalf("%d timers have fired at once", n)
	}
}
