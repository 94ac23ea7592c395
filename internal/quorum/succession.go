package quorum

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// standStep is between the turns in which voters stand when their leader is known to be gone: time for one round of
// votes, so that they do not take each other's.
const standStep = 40 * time.Millisecond

// firstStand is how long after its start a voter stands for the first time: the others have time to start as well.
const firstStand = 150 * time.Millisecond

// ReportDown says that a member's process is gone for certain: it reset its connections, and nobody listens there any
// more. When it was the leader, this node waits for no timeout; who is lowest among the others stands first.
func (n *Node) ReportDown(node int32) {
	_ = n.put(op{fn: func(l *loop) {
		l.down[node] = true
		if l.active {
			l.state.Disconnected(l.now(), node)
		}
		if l.leads || l.leaderID != node || !l.n.Members().Voting {
			return
		}
		l.cfg.Logger.Info("the leader of the quorum is gone; standing for election", "leader", node)
		if err := l.raft.ForgetLeader(); err != nil {
			return
		}
		others := slices.DeleteFunc(nodesOf(l.disk.conf.GetVoters()), func(id int32) bool { return id == node })
		turn := slices.Index(others, l.cfg.NodeID)
		l.standAt = l.now().Add(time.Duration(turn) * standStep)
	}})
}

// BrokerDisconnected says that the connection by which a broker sent its heartbeats is gone.
func (n *Node) BrokerDisconnected(id int32) {
	_ = n.put(op{fn: func(l *loop) {
		if l.active {
			l.state.Disconnected(l.now(), id)
		}
	}})
}

// maybeStand stands for election when this node's turn has come and nobody else leads.
func (l *loop) maybeStand(now time.Time) {
	if l.standAt.IsZero() || now.Before(l.standAt) {
		return
	}
	l.standAt = time.Time{}
	if l.leaderID >= 0 || l.leads {
		return
	}
	if err := l.raft.Campaign(); err != nil {
		l.cfg.Logger.Debug("this node cannot stand for election", "error", err)
	}
}

// Resign hands leadership to the voter that has the most, and returns when this node does not lead any more.
func (n *Node) Resign(ctx context.Context) error {
	gone := make(chan struct{})
	err := n.put(op{fn: func(l *loop) {
		heir, ok := l.heir()
		if !l.leads || !ok {
			close(gone)
			return
		}
		l.cfg.Logger.Info("handing the lead of the quorum over", "to", nodeOf(heir))
		l.resign = append(l.resign, gone)
		l.raft.TransferLeader(heir)
	}})
	if errors.Is(err, ErrClosed) {
		return nil
	}
	if err != nil {
		return err
	}
	select {
	case <-gone:
		return nil
	case <-n.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// heir is the voter with the most entries, among those that were heard of lately.
func (l *loop) heir() (uint64, bool) {
	var best, match uint64
	lately := l.now().Add(-2 * raftTicksPerHeartbeat * l.raftTick())
	l.raft.WithProgress(func(id uint64, kind raft.ProgressType, pr tracker.Progress) {
		if kind == raft.ProgressTypePeer && id != l.ownID && !l.heard[id].Before(lately) && (best == 0 || pr.Match > match) {
			best, match = id, pr.Match
		}
	})
	return best, best != 0
}

// resigned tells who waits for it that this node does not lead.
func (l *loop) resigned() {
	for _, c := range l.resign {
		close(c)
	}
	l.resign = nil
}
