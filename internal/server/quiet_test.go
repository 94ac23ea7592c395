package server

import (
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
)

func TestHowLongConnectionsAreSilent(t *testing.T) {
	fake := clock.NewFake(time.UnixMilli(1_700_000_000_000))
	s := start(t, func(r *Request) { r.Reply(r.Body.ResponseKind()) }, func(c *Config) { c.Clock = fake })
	silences := func() (out []time.Duration) {
		s.EachSilence(func(_ *Conn, silent time.Duration) bool {
			out = append(out, silent)
			return true
		})
		return out
	}
	if got := silences(); len(got) != 0 {
		t.Errorf("nobody is connected: %v", got)
	}
	nc := dial(t, s)
	ask := func() {
		send(t, nc, heartbeat(1))
		readFrame(t, nc)
	}
	ask()
	fake.Advance(time.Second)
	if got := silences(); len(got) != 1 || got[0] != time.Second {
		t.Errorf("silent for %v", got)
	}
	ask()
	if got := silences(); len(got) != 1 || got[0] != 0 {
		t.Errorf("it has asked again, and is silent for %v", got)
	}
}
