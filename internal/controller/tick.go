package controller

import (
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
)

// Tick does what time has brought, one thing a call, and says when it wants to be called next; a time that has
// passed means at once. The records of a call must be applied before the next call.
func (s *State) Tick(c Call) ([]meta.Record, time.Time) {
	b := s.begin(c)
	if id, ok := s.silentBroker(c.Now); ok {
		b.fence(b.img.Broker(id))
		return b.records, c.Now
	}
	if every := s.cfg.LeaderImbalanceCheckInterval; every > 0 && c.Now.Sub(s.lastRebalance) >= every {
		s.lastRebalance = c.Now
		b.rebalance()
		return b.records, c.Now
	}
	if c.Now.Sub(s.lastUnclean) >= uncleanElectionInterval {
		s.lastUnclean = c.Now
		b.electLeaderless()
		return b.records, c.Now
	}
	return nil, s.NextTick(c.Now)
}

// silentBroker is an unfenced broker whose session has run out.
func (s *State) silentBroker(now time.Time) (int32, bool) {
	for _, br := range s.img.Brokers() {
		if !br.Fenced && !now.Before(s.fenceAt(br.ID, now)) {
			return br.ID, true
		}
	}
	return 0, false
}

// NextTick is when Tick has something to do, as things stand; every request may change it.
func (s *State) NextTick(now time.Time) time.Time {
	next := s.lastUnclean.Add(uncleanElectionInterval)
	soonest := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if every := s.cfg.LeaderImbalanceCheckInterval; every > 0 {
		soonest(s.lastRebalance.Add(every))
	}
	for _, br := range s.img.Brokers() {
		if !br.Fenced {
			soonest(s.fenceAt(br.ID, now))
		}
	}
	return next
}
