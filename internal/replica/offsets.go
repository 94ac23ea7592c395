package replica

import "github.com/moldau-stream/moldau/internal/storage"

// The special timestamps of ListOffsets (KIP-79, KIP-734, KIP-405, KIP-1005).
const (
	LatestTimestamp        = -1
	EarliestTimestamp      = -2
	MaxTimestamp           = -3
	EarliestLocalTimestamp = -4
	LatestTieredTimestamp  = -5
	EarliestPendingUpload  = -6
)

// ListedOffset is the answer of ListOffset; Offset -1 means that no record fits.
type ListedOffset struct {
	Offset, TimestampMs int64
	LeaderEpoch         int32
}

// ListOffset finds the offset that timestamp asks for: one of the special ones above, or the first
// record that is not older. Readers see no further than iso lets them.
func (m *Manager) ListOffset(tp storage.TopicPartition, timestamp int64, iso Isolation, currentEpoch int32) (ListedOffset, error) {
	none := ListedOffset{Offset: -1, TimestampMs: -1, LeaderEpoch: -1}
	p, err := m.Partition(tp)
	if err != nil {
		return none, err
	}
	p.lead.RLock()
	defer p.lead.RUnlock()
	if err := p.checkLeader(currentEpoch); err != nil {
		return none, err
	}
	if err := p.log.Wake(); err != nil {
		return none, err
	}
	switch timestamp {
	case LatestTimestamp:
		if p.lagging(iso) {
			return none, ErrOffsetNotAvailable
		}
		return ListedOffset{Offset: p.readableEnd(iso), TimestampMs: -1, LeaderEpoch: p.leaderEpoch}, nil
	case EarliestTimestamp, EarliestLocalTimestamp:
		start := p.log.LogStartOffset()
		return ListedOffset{Offset: start, TimestampMs: -1, LeaderEpoch: p.epochOf(start)}, nil
	case LatestTieredTimestamp, EarliestPendingUpload:
		return none, nil // nothing is tiered
	}
	last := p.readableEnd(iso) // before the look-up: what is found below it is readable
	t, ok, err := p.findTimestamp(timestamp)
	switch {
	case err != nil:
		return none, readError(err)
	case !ok:
		return none, nil
	case t.Offset < last:
		return ListedOffset{Offset: t.Offset, TimestampMs: t.TimestampMs, LeaderEpoch: t.LeaderEpoch}, nil
	case p.lagging(iso):
		return none, ErrOffsetNotAvailable
	}
	return none, nil // what fits is not readable yet
}

func (p *Partition) findTimestamp(timestamp int64) (storage.TimestampOffset, bool, error) {
	if timestamp == MaxTimestamp {
		return p.log.MaxTimestampOffset()
	}
	return p.log.OffsetForTimestamp(timestamp)
}

// lagging says that a new leader does not know yet how much of its log is committed (KIP-207).
func (p *Partition) lagging(iso Isolation) bool {
	// The log of a start may prove shorter than its checkpoints said.
	return iso != ReadLogEnd && p.log.HighWatermark() < min(p.epochStart, p.log.LogEndOffset())
}

// readableEnd is the first offset that a reader may not see. lead must be held.
func (p *Partition) readableEnd(iso Isolation) int64 {
	switch iso {
	case ReadCommitted:
		return p.log.LastStableOffset()
	case ReadLogEnd:
		return p.log.LogEndOffset()
	}
	return p.log.HighWatermark()
}

// epochOf is the leader epoch in which offset was written, -1 when that is not known.
func (p *Partition) epochOf(offset int64) int32 {
	if e, ok := p.log.EpochForOffset(offset); ok {
		return e
	}
	return -1
}

// EndOffsetForEpoch is KIP-101's question: where did this epoch end? Undefined is (-1, -1).
func (m *Manager) EndOffsetForEpoch(tp storage.TopicPartition, currentEpoch, epoch int32) (storage.EpochEndOffset, error) {
	undefined := storage.EpochEndOffset{Epoch: -1, EndOffset: -1}
	p, err := m.Partition(tp)
	if err != nil {
		return undefined, err
	}
	p.lead.RLock()
	defer p.lead.RUnlock()
	if err := p.checkLeader(currentEpoch); err != nil {
		return undefined, err
	}
	if err := p.log.Wake(); err != nil {
		return undefined, err
	}
	return p.log.EndOffsetForEpoch(epoch), nil
}

// ActiveProducers lists the producers that the partition remembers, as leader or as follower: kafka-transactions asks any
// replica for its own.
func (m *Manager) ActiveProducers(tp storage.TopicPartition) ([]storage.ProducerState, error) {
	p, err := m.Partition(tp)
	if err != nil {
		return nil, err
	}
	p.lead.RLock()
	defer p.lead.RUnlock()
	if err := p.checkLeader(anyEpoch); err != nil && (err != ErrNotLeader || p.role != Follower || p.log == nil) {
		return nil, err
	}
	return p.log.ActiveProducers(), nil
}
