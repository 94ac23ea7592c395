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
}

func (t *throttle) setRate(bytesPerSecond float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rate, t.since, t.bytes = bytesPerSecond, t.clock.Now(), 0
}

// took notes bytes that were read or written, and waits if there were too many. stop ends the wait.
func (t *throttle) took(n int, stop <-chan struct{}) {
	wait := t.pause(float64(n))
	if wait <= 0 {
		return
	}
	over := make(chan struct{})
	timer := t.clock.AfterFunc(wait, func() { close(over) })
	select {
	case <-over:
	case <-stop:
		timer.Stop()
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
