package clock

import "time"

// Clock tells the time and calls back later.
type Clock interface {
	// Now is the current wall time, with a monotonic reading where there is one.
	Now() time.Time
	// AfterFunc calls f once, on another goroutine (Real) or from Advance (Fake), when d has passed.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a call that AfterFunc has arranged.
type Timer interface {
	// Stop cancels the call; false means it has run, is running, or was stopped before.
	Stop() bool
	// Reset arranges the call anew, d from now; the result is as for Stop.
	Reset(d time.Duration) bool
}

// Real is the machine's clock.
type Real struct{}

// Now returns time.Now.
func (Real) Now() time.Time { return time.Now() }

// AfterFunc is time.AfterFunc.
func (Real) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

// Millis is t in Kafka's unit of time: milliseconds since the epoch.
func Millis(t time.Time) int64 { return t.UnixMilli() }
