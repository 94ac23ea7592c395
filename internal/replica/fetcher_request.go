package replica

import (
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// throttlePause is how long a throttled partition is left out when the bound is reached, before it is looked at again.
const throttlePause = 100 * time.Millisecond

// Sessions' epochs with a meaning of their own (KIP-227).
const (
	noSession    = -1
	firstSession = 0 // everything is named
)

// requestLocked is the next request; nil when there is nothing to ask for.
func (f *fetcher) requestLocked() *kmsg.FetchRequest {
	req := f.newFetch()
	switch {
	case f.main != nil:
		req.SessionEpoch = noSession
		f.fillLocked(req, f.everyLocked())
	case f.session.epoch == firstSession:
		req.SessionID, req.SessionEpoch = f.session.id, firstSession
		f.fillLocked(req, f.everyLocked())
		f.forget = nil
	default:
		req.SessionID, req.SessionEpoch = f.session.id, f.session.epoch
		f.fillLocked(req, f.ask)
		f.forgetLocked(req)
	}
	f.ask = nil
	if len(req.Topics) == 0 && f.inUse == 0 {
		if f.session.epoch != firstSession { // the leader closes a session of nothing
			f.session.id, f.session.epoch = 0, firstSession
		}
		return nil
	}
	return req
}

// everyLocked is all that can be asked for.
func (f *fetcher) everyLocked() []*followed {
	all := make([]*followed, 0, len(f.all))
	for _, d := range f.all {
		if d.state == toAsk || d.state == askedFor {
			all = append(all, d)
		}
	}
	return all
}

// fillLocked puts partitions into a request, by topic.
func (f *fetcher) fillLocked(req *kmsg.FetchRequest, all []*followed) {
	slices.SortFunc(all, func(a, b *followed) int { return compareKeys(keyOf(a.p), keyOf(b.p)) })
	maxBytes := f.m.conf().FetchMaxBytes
	for _, d := range all {
		d.queued = false
		if !f.isMine(d) || d.state != toAsk && d.state != askedFor {
			continue
		}
		pos, ok := f.placeLocked(d)
		if !ok {
			continue
		}
		want := kmsg.NewFetchRequestTopicPartition()
		want.Partition, want.CurrentLeaderEpoch, want.FetchOffset = d.p.tp.Partition, d.epoch, pos.end
		want.LastFetchedEpoch, want.LogStartOffset, want.PartitionMaxBytes = pos.lastEpoch, pos.start, maxBytes
		n := len(req.Topics)
		if n == 0 || req.Topics[n-1].TopicID != d.p.topicID {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = d.p.tp.Topic, d.p.topicID
			req.Topics = append(req.Topics, t)
			n++
		}
		req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, want)
		d.state, d.start = askedFor, pos.start
		if f.main == nil && !d.inSession {
			d.inSession = true
			f.inUse++
		}
	}
	if f.session.epoch == firstSession {
		return
	}
	f.forget = slices.DeleteFunc(f.forget, func(k isrKey) bool { // it was forgotten and is wanted again
		d := f.all[k]
		return d != nil && d.inSession
	})
}

// placeLocked is where to fetch d from; what cannot be fetched now is put aside.
func (f *fetcher) placeLocked(d *followed) (position, bool) {
	if f.throttledLocked(d) {
		f.pauseLocked(d, throttlePause)
		return position{}, false
	}
	pos, err := d.p.position(d.epoch)
	switch {
	case err == nil:
		return pos, true
	case errors.Is(err, errUnsynced):
		f.leaveSessionLocked(d)
		d.state = waiting
		f.m.spawn(func() { f.syncFirst(d, pos.end) })
	case f.isOver(d, err):
		f.leaveSessionLocked(d)
		d.state = failed
	default:
		d.failures++
		f.pauseLocked(d, f.m.retryPause(d.failures))
	}
	return pos, false
}

// throttledLocked says that d is throttled, behind, and the bound of followers is reached.
func (f *fetcher) throttledLocked(d *followed) bool {
	return d.lag > 0 && d.p.isThrottledFollower() && f.m.throttles.followerExceeds()
}

func (p *Partition) isThrottledFollower() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.followerThrottled.has(p.m.nodeID)
}

// syncFirst has the log of d synced before it is asked for: what a former leader has written, for instance.
func (f *fetcher) syncFirst(d *followed, end int64) {
	log := d.p.Log()
	if log == nil {
		return
	}
	f.m.awaitSync(log, end, func(error) { // a failure shows when its position is asked for
		f.m.spawn(func() {
			f.mu.Lock()
			if f.isMine(d) && d.state == waiting {
				f.readyLocked(d)
			}
			f.mu.Unlock()
			f.send()
			if f.side != nil {
				f.side.send()
			}
		})
	})
}

// forgetLocked names what the session shall not have any more.
func (f *fetcher) forgetLocked(req *kmsg.FetchRequest) {
	slices.SortFunc(f.forget, compareKeys)
	for _, k := range f.forget {
		n := len(req.ForgottenTopics)
		if n == 0 || req.ForgottenTopics[n-1].TopicID != k.topicID {
			t := kmsg.NewFetchRequestForgottenTopic()
			t.TopicID = k.topicID
			req.ForgottenTopics = append(req.ForgottenTopics, t)
			n++
		}
		req.ForgottenTopics[n-1].Partitions = append(req.ForgottenTopics[n-1].Partitions, k.partition)
	}
	f.forget = nil
}

// closeSessionLocked has the next request name everything, and the leader begin a new session in place of this one.
func (f *fetcher) closeSessionLocked() {
	f.session.epoch = firstSession
	f.forget, f.ask, f.inUse = nil, nil, 0
	for _, d := range f.all {
		d.inSession, d.queued = false, false
		if d.state == askedFor {
			d.state = toAsk
		}
	}
}

// nextSession takes the session over that an answer belongs to.
func (f *fetcher) nextSession(id int32) {
	switch {
	case f.main != nil:
	case id == 0: // the leader has no room for one
		f.session.id, f.session.epoch = 0, firstSession
		f.closeSessionLocked()
	case f.session.epoch == firstSession || f.session.epoch == 1<<31-1:
		f.session.id, f.session.epoch = id, 1
	default:
		f.session.epoch++
	}
}
