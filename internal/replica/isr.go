package replica

import (
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// isrChange is a change of the in-sync replicas that the leader has asked the controller for and has no answer to
// (KIP-497). The controller may have made it already, so until then both are counted with: who joins must
// hold what is committed, and who leaves must hold it too.
type isrChange struct {
	isr  []int32
	kind isrChangeKind
	// epochs are those of isr's brokers, as the leader has seen them when it decided. A change may wait for its sending; a replica
	// that was restarted meanwhile, and fetches again, need not hold what it held (KIP-903).
	epochs []int64
}

type isrChangeKind int8

const (
	isrExpand isrChangeKind = iota
	isrShrink
	isrRecover // the same replicas: the leader of an unclean election has recovered
)

// maximalISR is every replica that the controller may hold to be in sync. lead or mu must be held.
func (p *Partition) maximalISR() []int32 {
	if p.pending != nil && p.pending.kind == isrExpand {
		return p.pending.isr
	}
	return p.isr
}

// maybeExpandLocked asks for a follower to be in sync that has caught up: it holds everything that is committed,
// and everything from before this term.
func (p *Partition) maybeExpandLocked(f *follower, now time.Time) {
	if p.role != Leader || p.pending != nil || slices.Contains(p.isr, f.id) {
		return
	}
	if f.end < p.log.HighWatermark() || f.end < p.epochStart || f.brokerEpoch < 0 || !p.mayJoin(f) {
		return
	}
	p.proposeLocked(isrExpand, append(slices.Clone(p.isr), f.id))
}

// maybeShrink asks for those to be out of sync that have fallen behind for longer than maxLag.
func (p *Partition) maybeShrink(now time.Time, maxLag time.Duration) {
	p.lead.RLock()
	defer p.lead.RUnlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.role != Leader || p.pending != nil || len(p.isr) < 2 || p.unusable() != nil {
		return
	}
	end := p.log.LogEndOffset()
	keep := make([]int32, 0, len(p.isr))
	for _, id := range p.isr {
		f := p.followerOf(id)
		if id == p.m.nodeID || f != nil && f.isCaughtUp(end, now, maxLag) {
			keep = append(keep, id)
			continue
		}
		p.m.logger.Warn("a replica has fallen behind and is put out of sync", "topic", p.tp.Topic,
			"partition", p.tp.Partition, "replica", id, "leaderEndOffset", end)
	}
	if len(keep) < len(p.isr) {
		p.proposeLocked(isrShrink, keep)
	}
}

// proposeLocked makes a change pending and has it sent.
func (p *Partition) proposeLocked(kind isrChangeKind, isr []int32) {
	p.pending = &isrChange{isr: isr, kind: kind, epochs: p.epochsOf(isr)}
	p.m.isr.submit(p)
}

// epochsOf are the broker epochs by which this leader knows replicas; -1: not known. mu must be held.
func (p *Partition) epochsOf(replicas []int32) []int64 {
	epochs := make([]int64, len(replicas))
	for i, id := range replicas {
		epochs[i] = -1
		if f := p.followerOf(id); f != nil {
			epochs[i] = f.brokerEpoch
		} else if id == p.m.nodeID {
			epochs[i] = p.m.epochNow()
		}
	}
	return epochs
}

// proposal is the pending change as the controller wants to hear it; ok is false when there is none any more.
func (p *Partition) proposal() (ask kmsg.AlterPartitionRequestTopicPartition, change *isrChange, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == nil || p.role != Leader {
		return ask, nil, false
	}
	ask = kmsg.NewAlterPartitionRequestTopicPartition()
	ask.Partition, ask.LeaderEpoch, ask.PartitionEpoch = p.tp.Partition, p.leaderEpoch, p.partitionEpoch
	ask.LeaderRecoveryState = meta.RecoveryStateRecovered
	for i, id := range p.pending.isr {
		member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		member.BrokerID, member.BrokerEpoch = id, p.pending.epochs[i]
		ask.NewEpochISR = append(ask.NewEpochISR, member)
	}
	return ask, p.pending, true
}

// altered takes the controller's answer to a change; again says that it is to be sent once more.
func (p *Partition) altered(change *isrChange, a *kmsg.AlterPartitionResponseTopicPartition) (again bool) {
	p.lead.Lock()
	p.mu.Lock()
	again = p.takeAnswerLocked(change, a)
	p.mu.Unlock()
	p.lead.Unlock()
	if !again {
		p.tryAdvance()
	}
	return again
}

func (p *Partition) takeAnswerLocked(change *isrChange, a *kmsg.AlterPartitionResponseTopicPartition) (again bool) {
	if p.pending != change || p.role != Leader {
		return false // the metadata was faster
	}
	err := kerr.ErrorForCode(a.ErrorCode)
	if err != nil && p.m.flaws.keepStaleLeader {
		p.isr, p.pending = change.isr, nil
		return false
	}
	switch err {
	case nil:
		if a.LeaderEpoch != p.leaderEpoch || a.PartitionEpoch < p.partitionEpoch {
			return false // of another term: the metadata tells
		}
		p.isr, p.partitionEpoch, p.pending = a.ISR, a.PartitionEpoch, nil
		p.tellWatchesLocked(0, false, nil)
		p.uncleanTerm = false
		p.m.counts.altered(change.kind)
		return false
	case kerr.OperationNotAttempted, kerr.IneligibleReplica:
		// The controller has not made it and will not: who is caught up may ask again.
		p.pending = nil
	case kerr.FencedLeaderEpoch, kerr.InvalidUpdateVersion, kerr.NewLeaderElected,
		kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InvalidRequest:
		// It has something newer than we have. What exactly, the metadata will tell; until then both are counted with.
	default:
		p.m.counts.failed.Inc()
		return true
	}
	p.m.counts.failed.Inc()
	p.m.logger.Info("the controller does not make a change of the in-sync replicas", "topic", p.tp.Topic,
		"partition", p.tp.Partition, "isr", change.isr, "cause", err)
	return false
}
