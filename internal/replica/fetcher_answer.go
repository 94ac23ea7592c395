package replica

import (
	"errors"
	"fmt"

	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// answered goes on with the answer to a fetch, on the goroutine of the connection.
func (f *fetcher) answered(resp kmsg.Response, err error) {
	if err != nil {
		f.fail("the connection", err)
		return
	}
	r := resp.(*kmsg.FetchResponse)
	if r.GetVersion() < firstTopicIDs {
		f.fail(fmt.Sprintf("it speaks Fetch only up to version %d, which does not name topics by id", r.GetVersion()), nil)
		return
	}
	switch e := kerr.ErrorForCode(r.ErrorCode); e {
	case nil:
	case kerr.FetchSessionIDNotFound, kerr.InvalidFetchSessionEpoch, kerr.FetchSessionTopicIDError:
		f.mu.Lock()
		f.session.id = 0 // it is gone, or not ours
		f.closeSessionLocked()
		f.failures++
		pause := f.m.retryPause(f.failures)
		if !f.stopped {
			f.retry = f.m.clock.AfterFunc(pause, f.resume)
		}
		f.mu.Unlock()
		return
	default:
		f.fail("its answer", e)
		return
	}
	f.takeAnswer(r)
}

// answerPart is one partition's part of an answer.
type answerPart struct {
	d *followed
	a *kmsg.FetchResponseTopicPartition
}

// takeAnswer brings the logs forward, and sends the next request when what must be synced is.
func (f *fetcher) takeAnswer(r *kmsg.FetchResponse) {
	parts := f.match(r)
	var lost []*followed
	starts := make(map[storage.TopicPartition]int64)
	for _, x := range parts {
		if f.takePart(x, starts) {
			lost = append(lost, x.d)
		}
	}
	f.followStarts(starts)
	if len(lost) > 0 {
		f.lookUp(lost)
	}
	f.synced() // the one that match counted for itself
}

// followStarts deletes what the leaders have deleted, with one write for each log directory.
func (f *fetcher) followStarts(starts map[storage.TopicPartition]int64) {
	if len(starts) == 0 {
		return
	}
	for tp, err := range f.m.logs.AdvanceLogStartOffsets(starts) {
		f.m.logger.Warn("cannot delete the records that the leader has deleted", "topic", tp.Topic, "partition", tp.Partition, "cause", err)
	}
}

// match finds the partitions of an answer, and takes the session over.
func (f *fetcher) match(r *kmsg.FetchResponse) []answerPart {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.syncs = 1
	if f.stopped {
		return nil
	}
	f.failures = 0
	var parts []answerPart
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			if d := f.all[isrKey{t.TopicID, t.Partitions[j].Partition}]; d != nil && d.state == askedFor {
				parts = append(parts, answerPart{d, &t.Partitions[j]})
			}
		}
	}
	f.nextSession(r.SessionID)
	return parts
}

// takePart takes one partition's part of an answer; lost says that its log and the leader's have no offset in common to go on from.
func (f *fetcher) takePart(x answerPart, starts map[storage.TopicPartition]int64) (lost bool) {
	d, err := x.d, kerr.ErrorForCode(x.a.ErrorCode)
	switch {
	case err == kerr.OffsetOutOfRange:
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.isMine(d) {
			return false
		}
		f.leaveSessionLocked(d)
		d.state = waiting
		return true
	case err != nil:
		f.partFailed(d, err)
		return false
	case x.a.DivergingEpoch.Epoch >= 0 || x.a.DivergingEpoch.EndOffset >= 0:
		theirs := storage.EpochEndOffset{Epoch: x.a.DivergingEpoch.Epoch, EndOffset: x.a.DivergingEpoch.EndOffset}
		if err := d.p.truncate(d.epoch, theirs); err != nil {
			f.partFailed(d, err)
			return false
		}
		f.goOn(d, nil)
		return false
	}
	c, err := d.p.takeOver(d.epoch, x.a)
	if err != nil {
		f.partFailed(d, err)
		return false
	}
	f.m.counts.bytesIn.Add(c.bytes)
	if c.bytes > 0 && d.p.isThrottledFollower() {
		f.m.throttles.copied(c.bytes)
	}
	if c.startsAt >= 0 {
		starts[d.p.tp] = c.startsAt
	}
	if c.bytes > 0 || c.startsAt >= 0 || f.isUntold(d, x.a.LogStartOffset) {
		f.goOn(d, &c)
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isMine(d) { // the other lane may have taken it over meanwhile
		d.lag, d.failures = c.lag, 0
	}
	return false
}

// isUntold says that the leader takes our log to begin before its own, and may wait for it to follow: it has been there before, and
// has not said so.
func (f *fetcher) isUntold(d *followed, leaderStart int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return d.start < leaderStart
}

// goOn has d put into the next request, which waits for its log to be synced where acknowledgements rest on the disk.
func (f *fetcher) goOn(d *followed, c *copied) {
	log := d.p.Log()
	f.mu.Lock()
	if !f.isMine(d) || d.state != askedFor && d.state != toAsk {
		f.mu.Unlock()
		return
	}
	d.failures = 0
	if c != nil {
		d.lag = c.lag
	}
	d.state = toAsk
	if !d.queued {
		d.queued = true
		f.ask = append(f.ask, d)
	}
	wait := f.m.flushAcks && !f.m.flaws.forgetSync && log != nil && c != nil && c.bytes > 0
	if wait {
		f.syncs++
	}
	f.mu.Unlock()
	if wait {
		f.m.awaitSync(log, log.LogEndOffset(), func(error) { // a failure shows when its position is asked for
			f.m.spawn(f.synced)
		})
	}
}

// synced counts one log down that the next request waits for, and sends it with the last.
func (f *fetcher) synced() {
	f.mu.Lock()
	f.syncs--
	if f.syncs > 0 {
		f.mu.Unlock()
		return
	}
	f.busy = false
	f.mu.Unlock()
	f.send()
	if f.side != nil {
		f.side.send()
	}
}

// partFailed puts a partition aside: for a pause, or, when its log is out of use, until the metadata moves it.
func (f *fetcher) partFailed(d *followed, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.isMine(d) {
		return
	}
	if f.isOver(d, err) {
		f.leaveSessionLocked(d)
		d.state = failed
		return
	}
	d.failures++
	f.tellLocked(d, err)
	f.pauseLocked(d, f.m.retryPause(d.failures))
}

// isOver says that the role or the log has gone, so that only the metadata tells how it goes on. What else fails may
// succeed later: a disk that is full, a descriptor that is missing, a leader that has not heard that it is one.
func (f *fetcher) isOver(d *followed, err error) bool {
	log := d.p.Log()
	return log == nil || log.Err() != nil || errors.Is(err, ErrFencedLeaderEpoch)
}

// The special timestamps are asked for one after the other: no request may name a partition twice.

// lookUp asks the leader where the logs of these partitions begin and end, and moves ours there.
func (f *fetcher) lookUp(lost []*followed) {
	f.listOffsets(lost, EarliestTimestamp, func(starts map[isrKey]int64) {
		f.listOffsets(lost, LatestTimestamp, func(ends map[isrKey]int64) {
			for _, d := range lost {
				start, known := starts[keyOf(d.p)]
				end, known2 := ends[keyOf(d.p)]
				if !known || !known2 {
					f.partFailed(d, storage.ErrOffsetOutOfRange)
					continue
				}
				if err := d.p.moveInto(d.epoch, start, end); err != nil {
					f.partFailed(d, err)
					continue
				}
				f.mu.Lock()
				if f.isMine(d) && d.state == waiting {
					f.readyLocked(d)
				}
				f.mu.Unlock()
			}
			f.send()
			if f.side != nil {
				f.side.send()
			}
		})
	})
}

// listOffsets asks the leader for one special offset of partitions; what it refuses is not in the answer.
func (f *fetcher) listOffsets(all []*followed, timestamp int64, then func(map[isrKey]int64)) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = req.MaxVersion(), f.m.nodeID
	ids := make(map[string][16]byte)
	for _, d := range all {
		n := len(req.Topics)
		if n == 0 || req.Topics[n-1].Topic != d.p.tp.Topic {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = d.p.tp.Topic
			req.Topics = append(req.Topics, t)
			n++
		}
		ids[d.p.tp.Topic] = d.p.topicID
		want := kmsg.NewListOffsetsRequestTopicPartition()
		want.Partition, want.CurrentLeaderEpoch, want.Timestamp = d.p.tp.Partition, d.epoch, timestamp
		req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, want)
	}
	f.mu.Lock()
	peer := f.peer
	f.mu.Unlock()
	if peer == nil {
		then(nil)
		return
	}
	peer.Do(req, func(resp kmsg.Response, err error) {
		if err != nil {
			then(nil)
			return
		}
		found := make(map[isrKey]int64)
		for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 && p.Offset >= 0 {
					found[isrKey{ids[t.Topic], p.Partition}] = p.Offset
				}
			}
		}
		then(found)
	})
}
