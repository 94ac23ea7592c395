package coord

import (
	"context"
	"sync"
)

// MemLog is a coordinator topic in memory: the twin that tests hand to a Runtime
// as Writer and Loader, with the faults and delays that a real log has.
type MemLog struct {
	mu       sync.Mutex
	parts    map[int32]*memPartition
	manual   bool
	fail     error
	failLoad error
	gate     chan struct{}
	onCommit func(p int32, hw int64)
}

type memPartition struct {
	batches   []StoredBatch
	end       int64
	highWater int64
	epoch     int32
}

// NewMemLog returns an empty topic. onCommit is told of every move of a high watermark;
// Runtime.HighWatermark fits.
func NewMemLog(onCommit func(p int32, hw int64)) *MemLog {
	return &MemLog{parts: map[int32]*memPartition{}, onCommit: onCommit}
}

// OnCommit replaces the function that is told of commits.
func (l *MemLog) OnCommit(fn func(p int32, hw int64)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onCommit = fn
}

// HoldCommits makes appends wait for Commit, or ends that.
func (l *MemLog) HoldCommits(hold bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.manual = hold
}

// FailAppends makes appends fail with err; nil ends that.
func (l *MemLog) FailAppends(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

// FailLoads makes loads fail with err; nil ends that.
func (l *MemLog) FailLoads(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failLoad = err
}

// HoldLoads makes loads wait until the returned function is called.
func (l *MemLog) HoldLoads() (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gate := make(chan struct{})
	l.gate = gate
	return func() {
		l.mu.Lock()
		l.gate = nil
		l.mu.Unlock()
		close(gate)
	}
}

// SetEpoch makes appends of older epochs fail with ErrNotLeader.
func (l *MemLog) SetEpoch(p, epoch int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partLocked(p).epoch = epoch
}

// Append is Writer's.
func (l *MemLog) Append(p int32, b Batch) (int64, error) {
	l.mu.Lock()
	mp := l.partLocked(p)
	if l.fail != nil || b.LeaderEpoch < mp.epoch {
		defer l.mu.Unlock()
		if l.fail != nil {
			return 0, l.fail
		}
		return 0, ErrNotLeader
	}
	sb := StoredBatch{BaseOffset: mp.end, ProducerID: b.ProducerID, ProducerEpoch: b.ProducerEpoch}
	for _, r := range b.Records {
		sb.Records = append(sb.Records, StoredRecord{Offset: mp.end, Record: cloneRecord(r)})
		mp.end++
	}
	mp.batches = append(mp.batches, sb)
	end := mp.end
	manual := l.manual
	l.mu.Unlock()
	if !manual {
		l.Commit(p, end)
	}
	return end, nil
}

// AppendMarker is Writer's.
func (l *MemLog) AppendMarker(p int32, m Marker) (int64, error) {
	l.mu.Lock()
	fail, epoch := l.fail, l.partLocked(p).epoch
	l.mu.Unlock()
	switch {
	case fail != nil:
		return 0, fail
	case m.LeaderEpoch < epoch:
		return 0, ErrNotLeader
	}
	l.AppendStored(p, StoredBatch{ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, EndTxn: &EndTxn{Commit: m.Commit}})
	return l.End(p), nil
}

// AppendStored adds a batch as another writer would have: a transaction's, or one read from a file.
func (l *MemLog) AppendStored(p int32, b StoredBatch) {
	l.mu.Lock()
	mp := l.partLocked(p)
	b.BaseOffset = mp.end
	b.Records = append([]StoredRecord(nil), b.Records...)
	for i := range b.Records {
		b.Records[i].Offset = mp.end
		mp.end++
	}
	if b.EndTxn != nil {
		mp.end++
	}
	mp.batches = append(mp.batches, b)
	end := mp.end
	manual := l.manual
	l.mu.Unlock()
	if !manual {
		l.Commit(p, end)
	}
}

// Commit moves p's high watermark to hw and tells of it.
func (l *MemLog) Commit(p int32, hw int64) {
	l.mu.Lock()
	mp := l.partLocked(p)
	mp.highWater = max(mp.highWater, min(hw, mp.end))
	hw, fn := mp.highWater, l.onCommit
	l.mu.Unlock()
	if fn != nil {
		fn(p, hw)
	}
}

// CommitAll moves p's high watermark to its end.
func (l *MemLog) CommitAll(p int32) { l.Commit(p, l.End(p)) }

// TruncateToCommitted drops what is not committed, as a failover may.
func (l *MemLog) TruncateToCommitted(p int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mp := l.partLocked(p)
	for i, b := range mp.batches {
		if b.BaseOffset >= mp.highWater {
			mp.batches = mp.batches[:i]
			break
		}
	}
	mp.end = mp.highWater
}

// End is p's log end offset.
func (l *MemLog) End(p int32) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.partLocked(p).end
}

// Batches is all that p holds.
func (l *MemLog) Batches(p int32) []StoredBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]StoredBatch(nil), l.partLocked(p).batches...)
}

// Load is Loader's.
func (l *MemLog) Load(ctx context.Context, p int32, fn func(StoredBatch) error) (Extent, error) {
	l.mu.Lock()
	gate, err := l.gate, l.failLoad
	l.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return Extent{}, ctx.Err()
		}
	}
	if err != nil {
		return Extent{}, err
	}
	for _, b := range l.Batches(p) {
		if err := fn(b); err != nil {
			return Extent{}, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	mp := l.partLocked(p)
	return Extent{EndOffset: mp.end, HighWatermark: mp.highWater}, nil
}

func (l *MemLog) partLocked(p int32) *memPartition {
	mp := l.parts[p]
	if mp == nil {
		mp = &memPartition{}
		l.parts[p] = mp
	}
	return mp
}

func cloneRecord(r Record) Record {
	c := Record{Key: append([]byte{}, r.Key...)}
	if r.Value != nil {
		c.Value = append([]byte{}, r.Value...)
	}
	return c
}
