package quorum

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// Members is who takes part in the quorum, as of the newest committed change.
type Members struct {
	KRaftVersion int16
	Voters       []Voter // of a static quorum the ids alone
	Learners     []int32 // controllers that follow without a vote
	// Member says that this node is a voter or a learner.
	Member bool
	Voting bool
}

// Members is who takes part in the quorum.
func (n *Node) Members() Members { return *n.members.Load() }

// publishMembers shows who takes part.
func (l *loop) publishMembers() {
	cs := l.disk.conf
	m := &Members{KRaftVersion: l.disk.kraft.version, Learners: nodesOf(cs.GetLearners())}
	m.Voting = slices.Contains(cs.GetVoters(), l.ownID)
	m.Member = m.Voting || slices.Contains(cs.GetLearners(), l.ownID)
	for _, id := range nodesOf(cs.GetVoters()) {
		v := Voter{ID: id}
		for _, known := range l.disk.kraft.voters {
			if known.ID == id {
				v.Directory, v.Endpoints = known.DirectoryID, known.Endpoints
			}
		}
		m.Voters = append(m.Voters, v)
	}
	l.n.members.Store(m)
	if l.cfg.OnMembers != nil {
		l.cfg.OnMembers(*m)
	}
}

// member finds the Raft id of the member on a node.
func (l *loop) member(node int32) (uint64, bool) {
	for _, id := range slices.Concat(l.disk.conf.GetVoters(), l.disk.conf.GetLearners()) {
		if nodeOf(id) == node {
			return id, true
		}
	}
	return 0, false
}

// forMe says whether a message is meant for this member, and not for the one that this node was with another disk. It
// notes when its sender was heard of.
func (l *loop) forMe(m *raftpb.Message) bool {
	if m.GetTo() != l.ownID {
		l.cfg.Logger.Debug("a message for another member of the quorum was passed over", "to", m.GetTo(), "own", l.ownID)
		return false
	}
	delete(l.down, nodeOf(m.GetFrom()))
	if !l.leads {
		return true
	}
	now := l.now()
	l.heard[m.GetFrom()] = now
	if m.GetType() == raftpb.MsgAppResp && !m.GetReject() {
		if last, err := l.disk.mem.LastIndex(); err == nil && m.GetIndex() >= last {
			l.caught[m.GetFrom()] = now
		}
	} else if m.GetType() == raftpb.MsgHeartbeatResp {
		l.raft.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
			if last, err := l.disk.mem.LastIndex(); id == m.GetFrom() && err == nil && pr.Match >= last {
				l.caught[id] = now
			}
		})
	}
	return true
}

// disbelieve ends a leader that hears of entries of its own epoch that it does not have: it led this epoch before, or somebody else
// does, and the log of one of them was lost. Raft would look for a snapshot to send, again and again, and count what is not there.
func (l *loop) disbelieve(m *raftpb.Message) error {
	if m.GetType() != raftpb.MsgAppResp || m.GetReject() {
		return nil
	}
	st := l.raft.BasicStatus()
	if st.RaftState != raft.StateLeader || st.HardState.GetTerm() != m.GetTerm() {
		return nil
	}
	last, err := l.disk.mem.LastIndex()
	if err != nil || m.GetIndex() <= last {
		return err
	}
	return l.rulesBroken(fmt.Sprintf("controller %d has entry %d of epoch %d, which this node leads, and here the log ends at entry %d", nodeOf(m.GetFrom()), m.GetIndex(), m.GetTerm(), last))
}

// Why a change of the members is refused.
var (
	// ErrStaticQuorum says that the voters are fixed by configuration.
	ErrStaticQuorum = errors.New("the voters of this quorum are configured by controller.quorum.voters and cannot be changed while it runs")
	ErrDuplicate    = errors.New("a voter with this id is there already")
	ErrNotVoter     = errors.New("there is no such voter")
	ErrLastVoter    = errors.New("the last voter cannot be removed: nobody could decide anything any more")
	ErrNotCaughtUp  = errors.New("the controller has not caught up with the metadata log in time: see that it runs, reaches the leader, and is a controller of this cluster")
	ErrChanging     = errors.New("another change of the voters is under way")
)

// change is one change of the members under way. Changes are made one at a time; each is checked when its turn comes.
type change struct {
	deadline time.Time
	// step looks at the quorum and says what to propose, if anything yet; done means that there is nothing left to do.
	step    func(l *loop) (cc *raftpb.ConfChangeV2, done bool, err error)
	waiting bool // for an entry to be committed
	reply   func(error)
}

func (n *Node) change(ctx context.Context, timeout time.Duration, c *change) error {
	done := make(chan error, 1)
	c.reply = func(err error) { done <- err }
	err := n.put(op{fn: func(l *loop) {
		switch {
		case !l.active:
			c.reply(&NotLeaderError{l.leaderID})
		case len(l.changes) > 0:
			c.reply(ErrChanging)
		default:
			c.deadline = l.now().Add(timeout)
			l.changes = append(l.changes, c)
		}
	}})
	if err != nil {
		return err
	}
	return n.outcome(ctx, done)
}

// AddLearner lets a controller follow the log without a vote, as a new one does before it is a voter. One that follows already stays.
func (n *Node) AddLearner(ctx context.Context, node int32, directory meta.UUID) error {
	return n.change(ctx, n.cfg.ElectionTimeout, &change{step: func(l *loop) (*raftpb.ConfChangeV2, bool, error) {
		id := raftID(node, directory)
		cs := l.disk.conf
		if slices.Contains(cs.GetVoters(), id) || slices.Contains(cs.GetLearners(), id) {
			return nil, true, nil
		}
		if !l.beginsBehindSnapshot() {
			return nil, false, nil
		}
		for _, other := range cs.GetLearners() { // what the node was before it lost its disk
			if nodeOf(other) == node {
				return simple(raftpb.ConfChangeRemoveNode, other, nil), false, nil
			}
		}
		return simple(raftpb.ConfChangeAddLearnerNode, id, nil), false, nil
	}})
}

// RemoveLearner forgets a controller that followed without a vote.
func (n *Node) RemoveLearner(ctx context.Context, node int32) error {
	return n.change(ctx, n.cfg.ElectionTimeout, &change{step: func(l *loop) (*raftpb.ConfChangeV2, bool, error) {
		for _, id := range l.disk.conf.GetLearners() {
			if nodeOf(id) == node {
				return simple(raftpb.ConfChangeRemoveNode, id, nil), false, nil
			}
		}
		return nil, true, nil
	}})
}

// AddVoter gives a controller a vote, once it has everything that is committed.
func (n *Node) AddVoter(ctx context.Context, timeout time.Duration, v record.Voter) error {
	id, added := raftID(v.ID, v.DirectoryID), false
	return n.change(ctx, timeout, &change{step: func(l *loop) (*raftpb.ConfChangeV2, bool, error) {
		cs := l.disk.conf
		switch {
		case !l.disk.kraft.dynamic():
			return nil, false, ErrStaticQuorum
		case slices.Contains(cs.GetVoters(), id) && added:
			return nil, true, nil
		case slices.Contains(nodesOf(cs.GetVoters()), v.ID):
			return nil, false, ErrDuplicate
		case !slices.Contains(cs.GetLearners(), id) && !l.beginsBehindSnapshot():
			return nil, false, nil
		case !slices.Contains(cs.GetLearners(), id):
			return simple(raftpb.ConfChangeAddLearnerNode, id, nil), false, nil
		case !l.caughtUp(id):
			return nil, false, nil
		}
		voters := append(slices.Clone(l.disk.kraft.voters), v)
		added = true
		return simple(raftpb.ConfChangeAddNode, id, l.votersBatch(voters)), false, nil
	}})
}

// RemoveVoter takes a controller's vote away. The leader may remove itself: it then leads no more.
func (n *Node) RemoveVoter(ctx context.Context, timeout time.Duration, node int32, directory meta.UUID) error {
	removed := false
	return n.change(ctx, timeout, &change{step: func(l *loop) (*raftpb.ConfChangeV2, bool, error) {
		voters := slices.Clone(l.disk.kraft.voters)
		i := slices.IndexFunc(voters, func(v record.Voter) bool { return v.ID == node && v.DirectoryID == directory })
		switch {
		case !l.disk.kraft.dynamic():
			return nil, false, ErrStaticQuorum
		case i < 0 && removed:
			return nil, true, nil
		case i < 0:
			return nil, false, ErrNotVoter
		case len(voters) == 1:
			return nil, false, ErrLastVoter
		}
		removed = true
		return simple(raftpb.ConfChangeRemoveNode, raftID(node, directory), l.votersBatch(slices.Delete(voters, i, i+1))), false, nil
	}})
}

// UpdateVoter notes where a voter is reached and what it supports.
func (n *Node) UpdateVoter(ctx context.Context, v record.Voter) error {
	done := make(chan error, 1)
	err := n.put(op{fn: func(l *loop) {
		voters := slices.Clone(l.disk.kraft.voters)
		i := slices.IndexFunc(voters, func(o record.Voter) bool { return o.ReplicaKey == v.ReplicaKey })
		switch {
		case !l.active:
			done <- &NotLeaderError{l.leaderID}
			return
		case !l.disk.kraft.dynamic():
			done <- ErrStaticQuorum
			return
		case i < 0:
			done <- ErrNotVoter
			return
		case len(l.changes) > 0:
			done <- ErrChanging
			return
		}
		voters[i] = v
		if err := l.proposeControl(record.Voters{Voters: voters}); err != nil {
			done <- err
			return
		}
		l.await(waiter{reply: func(_ kmsg.Response, err error) { done <- err }})
	}})
	if err != nil {
		return err
	}
	return n.outcome(ctx, done)
}

// outcome waits for what the loop says of a change.
func (n *Node) outcome(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-n.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beginsBehindSnapshot says that who joins gets a snapshot first, which tells it of the voters. A log that still holds
// the very first entry has a snapshot cut for it.
func (l *loop) beginsBehindSnapshot() bool {
	first, err := l.disk.mem.FirstIndex()
	l.snapshotWanted = err == nil && first == 1
	return !l.snapshotWanted
}

func simple(kind raftpb.ConfChangeType, id uint64, context []byte) *raftpb.ConfChangeV2 {
	return &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{{Type: kind.Enum(), NodeId: new(id)}}, Context: context}
}

func (l *loop) votersBatch(voters []record.Voter) []byte {
	opts := record.BuilderOptions{BaseOffset: l.nextOffset, PartitionLeaderEpoch: int32(l.term)}
	return record.ControlBatch(opts, l.now().UnixMilli(), record.Voters{Voters: voters})
}

// caughtUp says that a member has everything that is committed.
func (l *loop) caughtUp(id uint64) bool {
	ok := false
	commit := l.raft.BasicStatus().HardState.GetCommit()
	l.raft.WithProgress(func(other uint64, _ raft.ProgressType, pr tracker.Progress) {
		ok = ok || other == id && pr.Match >= commit
	})
	return ok
}

// advanceChanges brings the change that is under way a step further.
func (l *loop) advanceChanges(now time.Time) error {
	if len(l.changes) == 0 || !l.active {
		return nil
	}
	c := l.changes[0]
	if now.After(c.deadline) || now.Equal(c.deadline) {
		l.finish(c, ErrNotCaughtUp)
		return nil
	}
	if c.waiting {
		return nil
	}
	cc, done, err := c.step(l)
	if done || err != nil {
		l.finish(c, err)
		return nil
	}
	if cc == nil {
		return nil
	}
	if err := l.raft.ProposeConfChange(cc); err != nil {
		if errors.Is(err, raft.ErrProposalDropped) {
			return nil
		}
		return fmt.Errorf("cannot change the members: %w", err)
	}
	c.waiting = true
	if len(cc.GetContext()) > 0 {
		l.pending = append(l.pending, &proposal{base: l.nextOffset})
		l.nextOffset++
	}
	return nil
}

func (l *loop) finish(c *change, err error) {
	l.changes = slices.DeleteFunc(l.changes, func(x *change) bool { return x == c })
	c.reply(err)
}

func (l *loop) failChanges(err error) {
	for _, c := range slices.Clone(l.changes) {
		l.finish(c, err)
	}
}

// applyChange makes a committed change of the members true.
func (l *loop) applyChange(e *raftpb.Entry) error {
	cc, err := changeIn(e)
	if err != nil {
		return err
	}
	if len(cc.GetChanges()) == 0 { // what Raft made of a change that came while another was under way
		return nil
	}
	l.disk.conf = l.raft.ApplyConfChange(cc)
	l.publishMembers()
	l.cfg.Logger.Info("the members of the quorum have changed", "voters", nodesOf(l.disk.conf.GetVoters()), "following", nodesOf(l.disk.conf.GetLearners()))
	if len(l.changes) == 0 {
		return nil
	}
	c := l.changes[0]
	c.waiting = false
	if _, done, err := c.step(l); done && err == nil { // before a leader that removed itself steps down
		l.finish(c, nil)
	}
	signal(l.n.wake)
	return nil
}
