package storage

import (
	"math"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
)

// throttlePeriod is how often the cleaners' speed is compared with what is allowed.
const throttlePeriod = 300 * time.Millisecond

// throttle slows all cleaners of a node down to so many bytes a second together.
type throttle struct {
	clock clock.Clock

	mu    sync.Mutex
	rate  float64
	since time.Time
	bytes float64 // since then
	// looks is closed when those who wait are to look again; nil while nobody waits. changes counts the rates.
	looks   chan struct{}
	changes int
}

func (t *throttle) setRate(bytesPerSecond float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rate, t.since, t.bytes = bytesPerSecond, t.clock.Now(), 0
	t.changes++
	t.lookLocked()
}

// look has those who wait look whether what they work on is still wanted.
func (t *throttle) look() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lookLocked()
}

func (t *throttle) lookLocked() {
	if t.looks != nil {
		close(t.looks)
		t.looks = nil
	}
}

// waiting is what who waits has to watch: a channel that is closed when there is something to look at, and how often the rate has
// changed.
func (t *throttle) waiting() (looks <-chan struct{}, changes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.looks == nil {
		t.looks = make(chan struct{})
	}
	return t.looks, t.changes
}

// took notes bytes that were read or written, and waits if there were too many. The wait ends with stop, with another rate,
// and when ended says so, which look has it asked.
func (t *throttle) took(n int, stop <-chan struct{}, ended func() bool) {
	looks, before := t.waiting()
	wait := t.pause(float64(n))
	if wait <= 0 {
		return
	}
	over := make(chan struct{})
	timer := t.clock.AfterFunc(wait, func() { close(over) })
	defer timer.Stop()
	for {
		select {
		case <-over:
			return
		case <-stop:
			return
		case <-looks:
		}
		var changes int
		if looks, changes = t.waiting(); changes != before || ended() {
			return
		}
	}
}

func (t *throttle) pause(n float64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rate >= math.MaxFloat64 || t.rate <= 0 {
		return 0
	}
	t.bytes += n
	elapsed := t.clock.Now().Sub(t.since)
	allowed := time.Duration(min(t.bytes/t.rate, maxThrottleSeconds) * float64(time.Second))
	if elapsed < throttlePeriod && allowed < throttlePeriod {
		return 0
	}
	t.since, t.bytes = t.clock.Now().Add(max(0, allowed-elapsed)), 0
	return max(0, allowed-elapsed)
}

// maxThrottleSeconds keeps a tiny rate from becoming a wait that no Duration can tell.
const maxThrottleSeconds = 24 * 60 * 60
