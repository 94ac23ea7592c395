package replica

import (
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
)

// follower is what the leader knows of a replica on another broker, from that broker's fetches.
type follower struct {
	id          int32
	brokerEpoch int64     // of the broker's registration when it last fetched; -1: it has not fetched in this term
	end         int64     // its log holds everything below; -1: not known
	start       int64     // its log start offset; -1: not known
	caughtUp    time.Time // when its log last reached to the leader's end
	fetchedAt   time.Time // when it last fetched
	endThen     int64     // the leader's log end then
	// resting says that the last fetch that was noted had everything, and the log has not grown since: then the fetches of its
	// session are not noted one by one (session.go).
	resting bool
	watch   *Watch // nil: its fetches have no session
}

// unknownOffset is what a follower holds as long as it has not told.
const unknownOffset = -1

// fetched takes over what a fetch says, at a moment when the leader's log ends at end. A fetch from the leader's
// end shows that the follower has everything now; one from where the leader's end was at the fetch before
// shows that it had everything then, which is all that a follower under load can ever show.
func (f *follower) fetched(offset, start, end, brokerEpoch int64, now time.Time) {
	switch {
	case offset >= end:
		f.caughtUp = now
	case offset >= f.endThen && f.fetchedAt.After(f.caughtUp):
		f.caughtUp = f.fetchedAt
	}
	f.end, f.start, f.brokerEpoch = offset, start, brokerEpoch
	f.fetchedAt, f.endThen = now, end
	f.resting = offset >= end
}

// isCaughtUp says that the follower has everything, or had it less than maxLag ago.
func (f *follower) isCaughtUp(leaderEnd int64, now time.Time, maxLag time.Duration) bool {
	return f.end == leaderEnd || now.Sub(f.lastCaughtUp()) <= maxLag
}

func (f *follower) lastCaughtUp() time.Time {
	if f.resting && f.watch != nil {
		if at := f.watch.lastFetch(); at.After(f.caughtUp) {
			return at
		}
	}
	return f.caughtUp
}

// leaveBehindLocked notes of followers which had everything up to end, where the log has just grown, when they last asked for more.
func (p *Partition) leaveBehindLocked(end int64) {
	for i := range p.followers {
		if f := &p.followers[i]; f.resting && f.end == end {
			f.caughtUp = f.lastCaughtUp()
			f.fetchedAt, f.resting = f.caughtUp, false
		}
	}
}

// followerOf finds a replica on another broker; nil when the partition has none there. lead or mu must be held.
func (p *Partition) followerOf(id int32) *follower {
	for i := range p.followers {
		if p.followers[i].id == id {
			return &p.followers[i]
		}
	}
	return nil
}

// watchFollowersLocked makes followers what the replicas are. In a new term nothing is known of any of them yet, but
// those in sync count as caught up, or they would be put out of sync before they have had the time to fetch.
func (p *Partition) watchFollowersLocked(newTerm bool, now time.Time) {
	old := p.followers
	p.followers = make([]follower, 0, max(len(p.replicas)-1, 0))
	for _, id := range p.replicas {
		if id == p.m.nodeID {
			continue
		}
		f := follower{id: id, brokerEpoch: -1, end: unknownOffset, start: unknownOffset}
		i := slices.IndexFunc(old, func(f follower) bool { return f.id == id })
		switch {
		case !newTerm && i >= 0:
			f = old[i]
		case slices.Contains(p.isr, id):
			f.caughtUp = now
		}
		p.followers = append(p.followers, f)
	}
}

// noteFetch takes over what a follower's fetch says, once it is known that its log is a prefix of ours, and lets
// those go on whom that releases. lead must be held.
func (p *Partition) noteFetch(spec *FetchSpec, f *FetchPart) (released, error) {
	now := p.m.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	var r released
	who := p.followerOf(spec.Replica)
	switch {
	case who == nil && f.LeaderEpoch >= 0: // it may have heard of its assignment before we did
		return r, ErrUnknownLeaderEpoch
	case who == nil, spec.ReplicaEpoch >= 0 && spec.ReplicaEpoch < who.brokerEpoch: // or a fetch from before a restart
		return r, ErrNotLeader
	}
	rose := f.ReplicaStart > who.start
	who.fetched(f.Offset, f.ReplicaStart, p.log.LogEndOffset(), spec.ReplicaEpoch, now)
	who.watch = f.Watch
	if rose {
		r.low = p.takeReachedLowLocked()
	}
	p.maybeExpandLocked(who, now)
	p.advanceLocked(&r)
	return r, nil
}

// mayJoin says that the metadata has nothing against counting on the follower: its broker is registered, not fenced
// and not leaving, and has not been restarted since it fetched (KIP-903).
func (p *Partition) mayJoin(f *follower) bool {
	img := p.m.image.Load()
	if img == nil {
		return false
	}
	b := img.Broker(f.id)
	return b != nil && b.Active() && (f.brokerEpoch < 0 || b.Epoch == f.brokerEpoch)
}

// isAlive says that a broker is registered and not fenced.
func isAlive(img *meta.Image, id int32) bool {
	b := img.Broker(id)
	return b != nil && !b.Fenced
}

// readSource is the replica that a consumer in rack should read from offset on: this one, unless another in-sync
// replica is in the consumer's rack and this one is not; of several the one that has most. -1 means this one. lead
// must be held.
func (p *Partition) readSource(rack string, offset int64) int32 {
	img := p.m.image.Load()
	if img == nil || rack == "" || rackOf(img, p.m.nodeID) == rack {
		return -1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *follower
	for i := range p.followers {
		f := &p.followers[i]
		holds := f.end >= offset && f.start <= offset
		if !holds || !slices.Contains(p.isr, f.id) || rackOf(img, f.id) != rack || !isAlive(img, f.id) {
			continue
		}
		if best == nil || f.end > best.end || f.end == best.end && f.caughtUp.After(best.caughtUp) {
			best = f
		}
	}
	if best == nil {
		return -1
	}
	return best.id
}

func rackOf(img *meta.Image, id int32) string {
	if b := img.Broker(id); b != nil && b.Rack != nil {
		return *b.Rack
	}
	return ""
}
