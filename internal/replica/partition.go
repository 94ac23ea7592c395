package replica

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/moldau-stream/moldau/internal/storage"
)

// Role is what this broker is to a partition.
type Role int8

// The roles of a replica.
const (
	Offline Role = iota // no log, or it has failed
	Follower
	Leader
)

// anyEpoch is the leader epoch of a request that does not name one.
const anyEpoch = -1

// Partition is this broker's replica of one partition.
type Partition struct {
	tp      storage.TopicPartition
	topicID [16]byte
	m       *Manager
	synced  func(error) // whenSynced, made once: each append hands it to the log
	// awaitsSpace says that a sync has found no space, and another one is waited for.
	awaitsSpace atomic.Bool

	// lead holds the role still: appends and reads hold it shared, a change of role alone. An append may
	// wait for the disk with it, so what the disk's syncer calls must not want it.
	lead sync.RWMutex
	// mu guards the watermark's movement and who waits for it, for moments. Taken after lead, never before.
	mu sync.Mutex

	// The role: changed with lead and mu both held, so either is enough to read it.
	gone                               error // why nobody is served any more; nil while the partition lives
	role                               Role
	log                                *storage.Log // nil while it cannot be opened
	recovering                         bool         // that is because it is still being checked
	awaitsLog                          bool         // lead: that is for want of what passes, and it is tried again
	leaderID                           int32
	leaderEpoch                        int32
	partitionEpoch                     int32
	replicas, isr                      []int32
	minISR                             int
	epochStart                         int64 // log end offset when this broker became leader of leaderEpoch
	leaderThrottled, followerThrottled throttledReplicas
	uncleanTerm                        bool // this broker was elected uncleanly, and the controller does not know yet that it has recovered

	followers []follower // mu: the replicas on other brokers, while this one leads
	pending   *isrChange // mu: what the controller has been asked for and has not answered; nil when nothing
	lows      []*lowWait // mu: who waits for all replicas to have deleted records

	acks    ackHeap   // mu
	readers fetchList // mu
	watches []*Watch  // mu: the sessions of followers that ask for it
	backlog backlog   // mu
}

func newPartition(m *Manager, tp storage.TopicPartition, id [16]byte) *Partition {
	p := &Partition{tp: tp, topicID: id, m: m, leaderID: -1, leaderEpoch: -1, partitionEpoch: -1}
	p.synced = p.whenSynced
	return p
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
	MinISR                           int // never more than there are replicas
	LogStartOffset, LogEndOffset, HW int64
	SizeBytes                        int64
}

// State returns what the partition is just now.
func (p *Partition) State() State {
	p.lead.RLock()
	defer p.lead.RUnlock()
	s := p.roleStateLocked()
	if p.log != nil {
		g := p.log.Glance()
		s.LogStartOffset, s.LogEndOffset, s.HW, s.SizeBytes = g.LogStartOffset, g.LogEndOffset, g.HighWatermark, g.SizeBytes
	}
	return s
}

// roleState is State without what the log would have to be asked for.
func (p *Partition) roleState() State {
	p.lead.RLock()
	defer p.lead.RUnlock()
	return p.roleStateLocked()
}

func (p *Partition) roleStateLocked() State {
	s := State{
		Role: p.role, LeaderID: p.leaderID, LeaderEpoch: p.leaderEpoch, PartitionEpoch: p.partitionEpoch,
		Replicas: p.replicas, ISR: p.isr, MinISR: p.effectiveMinISR(),
	}
	if p.unusable() != nil {
		s.Role = Offline
	}
	return s
}

// Log is the partition's log; nil when it could not be opened or the partition is gone.
func (p *Partition) Log() *storage.Log {
	p.lead.RLock()
	defer p.lead.RUnlock()
	if p.gone != nil {
		return nil
	}
	return p.log
}

// unusable says why the log serves nobody; nil when it does. lead or mu must be held.
func (p *Partition) unusable() error {
	if p.gone != nil {
		return p.gone
	}
	if p.log == nil {
		if p.leaderEpoch == anyEpoch {
			return ErrNotLeader // its first image is being applied
		}
		if p.recovering {
			return storage.ErrNotReady
		}
		return ErrOffline
	}
	err := p.log.Err()
	if errors.Is(err, storage.ErrStorage) {
		return fmt.Errorf("%w: %w", ErrOffline, err)
	}
	return err
}

// checkLeader says why the partition cannot serve a request that must go to its leader and
// that names currentEpoch as the leader epoch it knows. lead or mu must be held.
func (p *Partition) checkLeader(currentEpoch int32) error {
	if err := p.unusable(); err != nil {
		return err
	}
	switch {
	case currentEpoch >= 0 && currentEpoch < p.leaderEpoch:
		return ErrFencedLeaderEpoch
	case currentEpoch > p.leaderEpoch:
		return ErrUnknownLeaderEpoch
	case p.role != Leader:
		return ErrNotLeader
	}
	return nil
}

// checkReader says why the partition cannot serve a reader. Consumers that know how may read from a follower (KIP-392).
// lead or mu must be held.
func (p *Partition) checkReader(spec *FetchSpec, currentEpoch int32) error {
	if p.m.flaws.skipEpochCheck {
		currentEpoch = anyEpoch
	}
	err := p.checkLeader(currentEpoch)
	if err == ErrNotLeader && spec.FromFollower && p.role == Follower {
		return nil
	}
	return err
}

// effectiveMinISR is min.insync.replicas, but never more than there are replicas. lead or mu must be held.
func (p *Partition) effectiveMinISR() int { return min(p.minISR, len(p.replicas)) }

// result is what an append did.
type result struct {
	info  storage.AppendInfo
	epoch int32        // leader epoch that it was made in
	log   *storage.Log // where it lies
	acked bool         // it is held already as acks wants it
}

// append writes batches as the leader of the given epoch, or of any. It is refused with
// acks -1 when too few replicas are in sync, before anything is written.
func (p *Partition) append(batches []byte, acks int16, origin storage.Origin, epoch int32, txn storage.AppendOptions) (result, error) {
	p.lead.RLock()
	if err := p.checkLeader(epoch); err != nil {
		p.lead.RUnlock()
		return result{info: notAppended()}, err
	}
	if acks == -1 && len(p.isr) < p.effectiveMinISR() {
		defer p.lead.RUnlock()
		return result{info: refusedAppend(p.log, ErrNotEnoughReplicas)}, ErrNotEnoughReplicas
	}
	r := result{epoch: p.leaderEpoch, log: p.log}
	var err error
	r.info, err = r.log.AppendWith(batches, r.epoch, origin, txn)
	if err != nil {
		p.lead.RUnlock()
		p.afterFailure(r.log)
		return result{info: refusedAppend(r.log, err)}, err
	}
	out := p.appended(r.info)
	r.acked = p.isAcked(acks, r.info.LastOffset+1)
	p.lead.RUnlock()
	out.fire(p)
	if p.m.flushAcks {
		p.m.awaitSync(r.log, r.info.LastOffset+1, p.synced)
	}
	return r, nil
}

// afterFailure wakes everybody if a failed append has taken the log out of use: what they wait for will not come.
func (p *Partition) afterFailure(log *storage.Log) {
	if err := log.Err(); err != nil {
		p.failWaits(err)
	}
}

// isAcked says whether everything below offset is already held as acks asks. lead must be held.
func (p *Partition) isAcked(acks int16, offset int64) bool {
	switch {
	case acks == 0 || acks == 1 && !p.m.flushAcks:
		return true
	case acks == 1:
		return p.log.FlushedOffset() >= offset
	}
	return p.log.HighWatermark() >= offset
}

// whenThereIsSpace has the high watermark move on when a sync that has found no space has succeeded after all. It
// returns false if the log does not go on.
func (p *Partition) whenThereIsSpace() bool {
	p.mu.Lock()
	log := p.log
	if p.gone != nil {
		log = nil
	}
	p.mu.Unlock()
	if log == nil || log.Err() != nil {
		return false
	}
	if p.awaitsSpace.CompareAndSwap(false, true) {
		p.m.awaitSync(log, log.LogEndOffset(), func(err error) {
			p.awaitsSpace.Store(false)
			p.synced(err)
		})
	}
	return true
}

// whenSynced is told, on the syncer's goroutine, that a sync has reached the disk or never will.
func (p *Partition) whenSynced(err error) {
	if err == nil {
		p.tryAdvance()
		return
	}
	if errors.Is(err, storage.ErrDiskFull) && p.whenThereIsSpace() {
		p.failWaits(err)
		return
	}
	if !errors.Is(err, storage.ErrClosed) { // a log that was deleted or closed in order is no news
		p.m.logger.Error("cannot sync a partition's log: its records are not acknowledged",
			"topic", p.tp.Topic, "partition", p.tp.Partition, "cause", err)
	}
	p.failWaits(err)
}
