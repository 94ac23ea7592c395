package replica

import (
	"maps"
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/storage"
)

// lowWait waits until every living replica of a partition has deleted its records below offset.
type lowWait struct {
	offset int64
	over   chan struct{} // closed by end: look again
}

// end wakes who waits. It is called once, by who has taken the wait out of its partition.
func (w *lowWait) end() { close(w.over) }

// Deletion is a deletion of records that this replica has made and the others may not have yet.
type Deletion struct {
	p      *Partition
	offset int64
	epoch  int32
}

// DeleteRecords moves the starts of logs to offsets (-1: the high watermark), with one write for each log directory. The
// followers move theirs when they next fetch, which the deletions wait for. Each partition has one or an error.
func (m *Manager) DeleteRecords(offsets map[storage.TopicPartition]int64) (map[storage.TopicPartition]*Deletion, map[storage.TopicPartition]error) {
	begun, failed := map[storage.TopicPartition]*Deletion{}, map[storage.TopicPartition]error{}
	starts := map[storage.TopicPartition]int64{}
	// The roles are held until it is written. In this order: two requests that each wait for what the other holds, and a
	// change of role between them, would be there for ever.
	for _, tp := range slices.SortedFunc(maps.Keys(offsets), storage.TopicPartition.Compare) {
		d, err := m.beginDeletion(tp, offsets[tp])
		if err != nil {
			failed[tp] = err
			continue
		}
		begun[tp], starts[tp] = d, d.offset
	}
	errs := m.logs.AdvanceLogStartOffsets(starts)
	for tp, d := range begun {
		d.p.lead.RUnlock()
		d.p.lookAtWatches()
		if errs[tp] != nil {
			failed[tp] = errs[tp]
			delete(begun, tp)
		}
	}
	return begun, failed
}

// beginDeletion says what is to be deleted. It returns with the partition's lead held, unless with an error.
func (m *Manager) beginDeletion(tp storage.TopicPartition, offset int64) (*Deletion, error) {
	p, err := m.Partition(tp)
	if err != nil {
		return nil, err
	}
	p.lead.RLock()
	if err = p.checkLeader(anyEpoch); err == nil {
		err = p.log.Wake() // of one that cannot be opened all offsets would be 0
	}
	if err == nil {
		if offset == -1 {
			offset = p.log.HighWatermark()
		}
		if offset < 0 || offset > p.log.HighWatermark() {
			err = storage.ErrOffsetOutOfRange
		}
	}
	if err != nil {
		p.lead.RUnlock()
		return nil, err
	}
	return &Deletion{p, offset, p.leaderEpoch}, nil
}

// Wait returns the low watermark, the smallest log start of all living replicas, once it has reached
// the offset of the deletion, or an error when that has not come by deadline or cannot come.
func (d *Deletion) Wait(deadline time.Time) (int64, error) {
	m := d.p.m
	for {
		low, wait, err := d.look()
		if wait == nil || err != nil {
			return low, err
		}
		expired := make(chan struct{})
		timer := m.clock.AfterFunc(deadline.Sub(m.clock.Now()), func() { close(expired) })
		select {
		case <-wait.over:
			timer.Stop()
		case <-expired:
			d.p.dropLow(wait)
			return low, ErrRequestTimedOut
		}
	}
}

// look is the low watermark now, and something to wait for if it has not come far enough.
func (d *Deletion) look() (int64, *lowWait, error) {
	p := d.p
	p.lead.RLock()
	defer p.lead.RUnlock()
	if err := p.checkLeader(anyEpoch); err != nil {
		return -1, nil, err
	}
	if p.leaderEpoch != d.epoch {
		return -1, nil, ErrNotLeader
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	low := p.lowWatermarkLocked()
	if low >= d.offset {
		return low, nil, nil
	}
	w := &lowWait{offset: d.offset, over: make(chan struct{})}
	p.lows = append(p.lows, w)
	return low, w, nil
}

// lowWatermarkLocked is the smallest log start offset of the living replicas.
func (p *Partition) lowWatermarkLocked() int64 {
	low := p.log.LogStartOffset()
	img := p.m.image.Load()
	for i := range p.followers {
		if f := &p.followers[i]; isAlive(img, f.id) {
			low = min(low, f.start)
		}
	}
	return low
}

// takeReachedLowLocked takes the waits out that have come to their end.
func (p *Partition) takeReachedLowLocked() (reached []*lowWait) {
	if len(p.lows) == 0 {
		return nil
	}
	low := p.lowWatermarkLocked()
	kept := p.lows[:0]
	for _, w := range p.lows {
		if w.offset <= low {
			reached = append(reached, w)
		} else {
			kept = append(kept, w)
		}
	}
	p.lows = kept
	return reached
}

// dropLow gives a wait up that has not been taken.
func (p *Partition) dropLow(w *lowWait) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, x := range p.lows {
		if x == w {
			p.lows = append(p.lows[:i], p.lows[i+1:]...)
			return
		}
	}
}

// lookAtLow wakes the waits that a broker's death has brought to their end.
func (p *Partition) lookAtLow() {
	p.mu.Lock()
	var r released
	if p.role == Leader && p.log != nil {
		r.low = p.takeReachedLowLocked()
	}
	p.mu.Unlock()
	r.fire(p)
}
