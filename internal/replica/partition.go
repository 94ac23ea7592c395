package replica

import (
	"container/heap"
	"sync"
	"sync/atomic"

	"github.com/moldau-stream/moldau/internal/storage"
)

// maxIdleFetchWaits is how many finished fetch waits a partition may still point
// to before it sweeps them out: a poll of a quiet partition costs one pointer.
const maxIdleFetchWaits = 16

// Role is what this broker is to a partition.
type Role int8

// The roles of a replica.
const (
	Offline Role = iota // no log, or its directory failed
	Follower
	Leader
)

// Partition is this broker's replica of one partition.
type Partition struct {
	tp      storage.TopicPartition
	topicID [16]byte
	m       *Manager

	// lead holds the role still: appends and reads hold it shared, a change of role alone.
	lead           sync.RWMutex
	role           Role
	log            *storage.Log // nil while offline
	leaderID       int32
	leaderEpoch    int32
	partitionEpoch int32
	replicas, isr  []int32
	minISR         int
	epochStart     int64 // log end offset when this broker became leader of leaderEpoch

	// mu guards the watermark's movement and who waits for it. Taken after lead, never before.
	mu      sync.Mutex
	acks    ackHeap
	fetches []*fetchWait
	seen    int64 // how much of appended the fetch waits were told of

	appended atomic.Int64 // bytes appended here as leader
}

// TopicPartition names the partition.
func (p *Partition) TopicPartition() storage.TopicPartition { return p.tp }

// TopicID is the id of the topic's incarnation.
func (p *Partition) TopicID() [16]byte { return p.topicID }

// State is a consistent view of a partition for describing it.
type State struct {
	Role                             Role
	LeaderID, LeaderEpoch            int32
	PartitionEpoch                   int32
	Replicas, ISR                    []int32
	MinISR                           int
	LogStartOffset, LogEndOffset, HW int64
	SizeBytes                        int64
}

// State returns what the partition is just now.
func (p *Partition) State() State {
	p.lead.RLock()
	defer p.lead.RUnlock()
	s := State{
		Role: p.role, LeaderID: p.leaderID, LeaderEpoch: p.leaderEpoch, PartitionEpoch: p.partitionEpoch,
		Replicas: p.replicas, ISR: p.isr, MinISR: p.minISR,
	}
	if p.log != nil {
		s.LogStartOffset, s.LogEndOffset = p.log.LogStartOffset(), p.log.LogEndOffset()
		s.HW, s.SizeBytes = p.log.HighWatermark(), p.log.Size()
	}
	return s
}

// Log is the partition's log; nil while it is offline.
func (p *Partition) Log() *storage.Log {
	p.lead.RLock()
	defer p.lead.RUnlock()
	return p.log
}

// checkLeader says why the partition cannot serve a request that must go to its leader and
// that names currentEpoch as the leader epoch it knows (-1: none). lead must be held.
func (p *Partition) checkLeader(currentEpoch int32) error {
	switch {
	case p.log == nil:
		return ErrOffline
	case currentEpoch >= 0 && currentEpoch < p.leaderEpoch:
		return ErrFencedLeaderEpoch
	case currentEpoch > p.leaderEpoch:
		return ErrUnknownLeaderEpoch
	case p.role != Leader:
		return ErrNotLeader
	}
	return nil
}

// append writes batches as the leader. The records are committed when awaitAck's callback says so.
func (p *Partition) append(batches []byte, acks int16, origin storage.Origin) (storage.AppendInfo, int32, error) {
	p.lead.RLock()
	if err := p.checkLeader(-1); err != nil {
		p.lead.RUnlock()
		return notAppended(), 0, err
	}
	if acks == -1 && len(p.isr) < p.effectiveMinISR() {
		defer p.lead.RUnlock()
		return refusedAppend(p.log, ErrNotEnoughReplicas), 0, ErrNotEnoughReplicas
	}
	log, epoch := p.log, p.leaderEpoch
	info, err := log.AppendAsLeader(batches, epoch, origin)
	if err != nil {
		info = refusedAppend(log, err)
	}
	var r released
	p.appended.Add(int64(info.SizeInBytes))
	if err == nil && !p.m.flushAcks {
		r = p.advance()
	}
	p.lead.RUnlock()
	if err == nil && p.m.flushAcks {
		log.AwaitSync(info.LastOffset+1, p.synced)
	}
	r.fire(p)
	return info, epoch, err
}

// effectiveMinISR is min.insync.replicas, but never more than there are replicas. lead must be held.
func (p *Partition) effectiveMinISR() int { return min(p.minISR, len(p.replicas)) }

// synced is told that a sync has reached the disk, or that it never will.
func (p *Partition) synced(err error) {
	if err != nil {
		p.m.logger.Error("cannot sync a partition's log: its records are not acknowledged",
			"topic", p.tp.Topic, "partition", p.tp.Partition, "cause", err)
		p.failWaits(err)
		return
	}
	p.tryAdvance()
}

// tryAdvance moves the watermark as far as it may go and lets those go who waited for it.
func (p *Partition) tryAdvance() {
	p.lead.RLock()
	var r released
	if p.role == Leader && p.log != nil {
		r = p.advance()
	}
	p.lead.RUnlock()
	r.fire(p)
}

// localEnd is how far this replica vouches for its log: to its end, or to what is
// synced where acknowledgements rest on the disk. lead must be held.
func (p *Partition) localEnd() int64 {
	if p.m.flushAcks {
		return p.log.FlushedOffset()
	}
	return p.log.LogEndOffset()
}

// released is who may go on because the high watermark has moved to hw.
type released struct {
	hw    int64
	epoch int32
	acked []*ackWait
	woken []*fetchWait
	moved bool
}

// fire calls them; no lock may be held.
func (r *released) fire(p *Partition) {
	if !r.moved {
		return
	}
	for _, w := range r.acked {
		w.fn(nil)
	}
	for _, w := range r.woken {
		go w.wake()
	}
	if f := p.m.onHighWatermark; f != nil {
		f(p.tp, r.epoch, r.hw)
	}
}

// advance raises the high watermark to the minimum over the in-sync replicas, unless
// they are fewer than min.insync.replicas (KIP-966), and says whom that releases.
// lead must be held shared.
func (p *Partition) advance() released {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.isr) < p.effectiveMinISR() {
		return released{}
	}
	hw := p.localEnd()
	if hw <= p.log.HighWatermark() {
		return released{}
	}
	p.log.SetHighWatermark(hw)
	return released{
		hw: hw, epoch: p.leaderEpoch, moved: true,
		acked: p.acks.popReached(hw, nil), woken: p.wakeFetchesLocked(),
	}
}

// wakeFetchesLocked tells the parked fetches how many bytes are new and returns those that are over.
func (p *Partition) wakeFetchesLocked() []*fetchWait {
	total := p.appended.Load()
	delta := max(total-p.seen, 1)
	p.seen = total
	if len(p.fetches) == 0 {
		return nil
	}
	var woken []*fetchWait
	keep := p.fetches[:0]
	for _, w := range p.fetches {
		switch {
		case w.done.Load():
		case w.add(delta) && w.take():
			woken = append(woken, w)
		default:
			keep = append(keep, w)
		}
	}
	clear(p.fetches[len(keep):])
	p.fetches = keep
	return woken
}

// awaitAck calls fn once offset is committed, or with the reason why it will not be.
// The returned wait can be cancelled with cancelAck; it is nil when fn has been called.
func (p *Partition) awaitAck(offset int64, epoch int32, fn func(error)) *ackWait {
	p.lead.RLock()
	if p.role != Leader || p.leaderEpoch != epoch || p.log == nil {
		p.lead.RUnlock()
		fn(ErrNotLeader)
		return nil
	}
	p.mu.Lock()
	if p.log.HighWatermark() >= offset {
		p.mu.Unlock()
		p.lead.RUnlock()
		fn(nil)
		return nil
	}
	if err := p.log.Err(); err != nil {
		p.mu.Unlock()
		p.lead.RUnlock()
		fn(err)
		return nil
	}
	w := &ackWait{offset: offset, fn: fn}
	heap.Push(&p.acks, w)
	p.mu.Unlock()
	p.lead.RUnlock()
	return w
}

func (p *Partition) cancelAck(w *ackWait) {
	p.mu.Lock()
	p.acks.remove(w)
	p.mu.Unlock()
}

// awaitData parks w until the watermark moves past hw; false means it has moved already.
func (p *Partition) awaitData(w *fetchWait, hw int64) bool {
	p.lead.RLock()
	defer p.lead.RUnlock()
	if p.log == nil || p.role == Offline {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.log.HighWatermark() != hw {
		return false
	}
	if len(p.fetches) >= maxIdleFetchWaits {
		p.sweepFetchesLocked()
	}
	p.fetches = append(p.fetches, w)
	return true
}

func (p *Partition) sweepFetchesLocked() {
	keep := p.fetches[:0]
	for _, w := range p.fetches {
		if !w.done.Load() {
			keep = append(keep, w)
		}
	}
	clear(p.fetches[len(keep):])
	p.fetches = keep
}

// failWaits answers everybody who waits on the partition: appends with err, fetches by reading again.
func (p *Partition) failWaits(err error) {
	p.mu.Lock()
	acks, fetches := p.acks.popAll(), p.fetches
	p.fetches = nil
	p.mu.Unlock()
	for _, w := range acks {
		w.fn(err)
	}
	for _, w := range fetches {
		if w.take() {
			go w.wake()
		}
	}
}
