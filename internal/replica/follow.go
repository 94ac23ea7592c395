package replica

import (
	"errors"
	"fmt"

	"github.com/moldau-stream/moldau/internal/invariant"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What a follower does to its log. All of it is refused when the partition has another role or term meanwhile: then
// the answer of a leader that is one no more must not touch the log.

// errUnsynced says that the log's end is not on the disk yet, so that it may not be claimed.
var errUnsynced = errors.New("the log's end is not synced yet")

// position is where a follower's log stands: what its next fetch claims and asks for.
type position struct {
	end, start int64
	lastEpoch  int32 // of the last record; -1: none
}

// checkFollower says why a copy from the leader of epoch may not be used. lead must be held.
func (p *Partition) checkFollower(epoch int32) error {
	if err := p.unusable(); err != nil {
		return err
	}
	if p.role != Follower || p.leaderEpoch != epoch {
		return ErrFencedLeaderEpoch
	}
	return p.log.Wake()
}

// position tells where to fetch on in epoch. Where acknowledgements rest on the disk the leader counts what a fetch claims
// as synced, so while the log's end is not, the error is errUnsynced.
func (p *Partition) position(epoch int32) (position, error) {
	p.lead.RLock()
	defer p.lead.RUnlock()
	if err := p.checkFollower(epoch); err != nil {
		return position{}, err
	}
	pos := position{end: p.log.LogEndOffset(), start: p.log.LogStartOffset(), lastEpoch: -1}
	if e, ok := p.log.LatestEpoch(); ok && !p.m.flaws.skipEpochCheck && !p.m.flaws.truncateToWatermark {
		pos.lastEpoch = e
	}
	if p.m.flushAcks && !p.m.flaws.forgetSync && p.log.FlushedOffset() < pos.end {
		return pos, errUnsynced
	}
	return pos, nil
}

// copied is what a follower has taken over from one answer.
type copied struct {
	bytes    int64
	lag      int64 // records that the leader has committed and we do not hold
	startsAt int64 // the leader's log start if ours is behind it, -1 otherwise
}

// takeOver appends what the leader of epoch has sent, with one write, and follows its watermark.
func (p *Partition) takeOver(epoch int32, a *kmsg.FetchResponseTopicPartition) (copied, error) {
	p.lead.RLock()
	c, out, err := p.takeOverAs(epoch, a)
	p.lead.RUnlock()
	out.fire(p)
	return c, err
}

func (p *Partition) takeOverAs(epoch int32, a *kmsg.FetchResponseTopicPartition) (c copied, out released, err error) {
	c.startsAt = -1
	if err := p.checkFollower(epoch); err != nil {
		return c, out, err
	}
	var info storage.AppendInfo
	if len(a.RecordBatches) > 0 {
		if info, err = p.log.AppendAsFollower(a.RecordBatches, epoch); err != nil {
			return c, out, err
		}
	}
	c.bytes = int64(info.SizeInBytes)
	out = p.followed(info, a.HighWatermark)
	c.lag = max(a.HighWatermark-p.log.LogEndOffset(), 0)
	if regained(p.log.LogEndOffset(), p.log.LostUpTo(), a) {
		if err := p.m.logs.Regained(p.log); err != nil {
			return c, out, err
		}
	}
	if a.LogStartOffset > p.log.LogStartOffset() && a.LogStartOffset <= p.log.HighWatermark() {
		c.startsAt = a.LogStartOffset
	}
	return c, out, nil
}

// regained says that a follower has all that it had lost, or all that there still is. A leader that has just started may tell a high
// watermark from long ago: that it is reached says nothing as long as records come.
func regained(end, lostUpTo int64, a *kmsg.FetchResponseTopicPartition) bool {
	return end >= lostUpTo || len(a.RecordBatches) == 0 && a.HighWatermark == end
}

// truncate cuts the log where the leader of epoch says that the logs part (KIP-101, KIP-595). theirs is the largest
// epoch that the leader knows of those up to our last one, and where it ends there. If we do not know that epoch, our
// log is cut to the end of the largest one below it, and the next fetch asks again.
func (p *Partition) truncate(epoch int32, theirs storage.EpochEndOffset) error {
	p.lead.Lock()
	defer p.lead.Unlock()
	if err := p.checkFollower(epoch); err != nil {
		return err
	}
	if theirs.Epoch < 0 || theirs.EndOffset < 0 {
		return fmt.Errorf("%w: the leader does not say where the logs part", storage.ErrOffsetOutOfRange)
	}
	to := theirs.EndOffset
	if ours := p.log.EndOffsetForEpoch(theirs.Epoch); ours.Epoch >= 0 && ours.EndOffset >= 0 {
		if ours.Epoch == theirs.Epoch {
			to = min(to, ours.EndOffset)
		} else {
			to = ours.EndOffset
		}
	}
	return p.cutLocked(to, "its log has left the leader's")
}

// cutLocked cuts the log back. lead must be held alone.
func (p *Partition) cutLocked(to int64, why string) error {
	end, hw := p.log.LogEndOffset(), p.log.HighWatermark()
	if to < end {
		p.m.logger.Info("a follower truncates its log", "topic", p.tp.Topic, "partition", p.tp.Partition,
			"from", end, "to", to, "highWatermark", hw, "why", why)
	}
	if to < hw { // only an unclean election makes committed records go
		p.m.logger.Warn("a follower truncates below its high watermark: the leader does not have records that were committed",
			"topic", p.tp.Topic, "partition", p.tp.Partition, "highWatermark", hw, "to", to)
	}
	if err := p.log.TruncateTo(to); err != nil {
		return err
	}
	if now := p.log.LogEndOffset(); now > to && to < end {
		invariant.Fail("%s ends at %d after it was cut to %d", p.tp, now, to)
	}
	p.mu.Lock()
	p.backlog = nil
	p.mu.Unlock()
	return nil
}

// moveInto brings the log into the leader's range [start, end) when a fetch has missed it: a log that ends
// before the leader's begins is begun anew there, and one that ends after the leader's is cut.
func (p *Partition) moveInto(epoch int32, start, end int64) error {
	p.lead.Lock()
	defer p.lead.Unlock()
	if err := p.checkFollower(epoch); err != nil {
		return err
	}
	have := p.log.LogEndOffset()
	switch {
	case have < start:
		p.m.logger.Warn("a follower begins anew: what it would have to copy next the leader has deleted",
			"topic", p.tp.Topic, "partition", p.tp.Partition, "logEndOffset", have, "leaderLogStartOffset", start)
		if err := p.log.TruncateFullyAndStartAt(start); err != nil {
			return err
		}
		p.mu.Lock()
		p.backlog = nil
		p.mu.Unlock()
	case have > end:
		return p.cutLocked(end, "it is longer than the leader's")
	}
	return nil
}
