package quorum

import (
	"context"
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// DescribeQuorum is the state of the metadata partition, for the answer to DescribeQuorum. Only the leader can tell.
func (n *Node) DescribeQuorum(ctx context.Context) (kmsg.DescribeQuorumResponseTopicPartition, error) {
	type result struct {
		p   kmsg.DescribeQuorumResponseTopicPartition
		err error
	}
	done := make(chan result, 1)
	err := n.put(op{fn: func(l *loop) {
		p, err := l.describe()
		done <- result{p, err}
	}})
	if err != nil {
		return kmsg.DescribeQuorumResponseTopicPartition{}, err
	}
	select {
	case r := <-done:
		return r.p, r.err
	case <-n.done:
		return kmsg.DescribeQuorumResponseTopicPartition{}, ErrClosed
	case <-ctx.Done():
		return kmsg.DescribeQuorumResponseTopicPartition{}, ctx.Err()
	}
}

func (l *loop) describe() (kmsg.DescribeQuorumResponseTopicPartition, error) {
	ms := func(t time.Time) int64 {
		if t.IsZero() {
			return -1
		}
		return t.UnixMilli()
	}
	p := kmsg.NewDescribeQuorumResponseTopicPartition()
	p.LeaderID, p.LeaderEpoch = l.leaderID, int32(l.term)
	if !l.leads {
		p.ErrorCode = kerr.NotLeaderForPartition.Code
		return p, &NotLeaderError{l.leaderID}
	}
	p.HighWatermark = l.disk.applied.endOffset
	now := l.now().UnixMilli()
	l.raft.WithProgress(func(id uint64, kind raft.ProgressType, pr tracker.Progress) {
		s := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		s.ReplicaID = nodeOf(id)
		s.ReplicaDirectoryID = l.directoryOfMember(id)
		if l.disk.kraft.version == 0 {
			s.ReplicaDirectoryID = [16]byte{} // static voters have none, and Kafka says so
		}
		s.LogEndOffset = l.endOffsetAt(pr.Match)
		s.LastFetchTimestamp, s.LastCaughtUpTimestamp = -1, -1
		if s.ReplicaID == l.cfg.NodeID {
			s.LogEndOffset = l.disk.applied.endOffset
			s.LastFetchTimestamp, s.LastCaughtUpTimestamp = now, now
		} else {
			s.LastFetchTimestamp, s.LastCaughtUpTimestamp = ms(l.heard[id]), ms(l.caught[id])
		}
		if kind == raft.ProgressTypeLearner {
			p.Observers = append(p.Observers, s)
			return
		}
		p.CurrentVoters = append(p.CurrentVoters, s)
	})
	p.Observers = append(p.Observers, l.n.observers.describe(now)...)
	slices.SortFunc(p.Observers, func(a, b kmsg.DescribeQuorumResponseTopicPartitionReplicaState) int {
		return int(a.ReplicaID - b.ReplicaID)
	})
	slices.SortFunc(p.CurrentVoters, func(a, b kmsg.DescribeQuorumResponseTopicPartitionReplicaState) int {
		return int(a.ReplicaID - b.ReplicaID)
	})
	return p, nil
}

// directoryOfMember is the metadata directory of a voter, or of a controller that follows without a vote; zeros while none is known.
func (l *loop) directoryOfMember(id uint64) meta.UUID {
	node := nodeOf(id)
	if d := l.directoryOf(node); d != (meta.UUID{}) {
		return d
	}
	if said, ok := l.n.senders.Load(node); ok && raftID(node, said.(meta.UUID)) == id {
		return said.(meta.UUID)
	}
	return meta.UUID{}
}

// endOffsetAt is where the metadata log ends for who has the entries up to index, -1 when that is not known.
func (l *loop) endOffsetAt(index uint64) int64 {
	first, err := l.disk.mem.FirstIndex()
	if err != nil {
		return -1
	}
	for i := index; i >= first; i-- {
		entries, err := l.disk.mem.Entries(i, i+1, 1<<62)
		if err != nil || len(entries) == 0 {
			return -1
		}
		if data, err := batchIn(entries[0]); err == nil && len(data) > 0 {
			return record.Batch(data).NextOffset()
		}
	}
	return -1
}
