package group

import (
	"github.com/moldau-stream/moldau/internal/coord"
)

// syncRequest is a SyncGroup request whose slices are ours.
type syncRequest struct {
	group        string
	memberID     string
	instanceID   *string
	generation   int32
	protocolType *string
	protocolName *string
	assignments  map[string][]byte
	waiter       *syncWaiter
}

// sync gives a member its assignment; the leader brings everyone's.
func (s *Shard) sync(t *coord.Turn, r *syncRequest) {
	if c := s.consumers[r.group]; c != nil && len(c.members) > 0 {
		s.syncConsumer(t, c, r)
		return
	}
	g := s.groups[r.group]
	if g == nil || g.state == Empty {
		s.answerSync(t, r.waiter, syncError(r.waiter.version, codeUnknownMemberID))
		return
	}
	if code := checkSync(g, r); code != codeNone {
		s.answerSync(t, r.waiter, syncError(r.waiter.version, code))
		return
	}
	m := g.members[r.memberID]
	switch g.state {
	case PreparingRebalance:
		s.answerSync(t, r.waiter, syncError(r.waiter.version, codeRebalanceInProgress))
	case CompletingRebalance:
		if m.sync != nil {
			s.failSync(t, m, codeRebalanceInProgress) // asked twice; the first connection is most likely gone
		}
		m.sync = r.waiter
		s.arrived(t, g, m)
		if g.leader == m.id {
			s.takeAssignments(t, g, r)
		}
	case Stable:
		s.arrived(t, g, m)
		s.answerSync(t, r.waiter, syncResponse(g, m, r.waiter.version))
	}
}

func checkSync(g *group, r *syncRequest) int16 {
	if code := g.checkMember(r.memberID, r.instanceID); code != codeNone {
		return code
	}
	if r.generation != g.generation {
		return codeIllegalGeneration
	}
	if r.protocolType != nil && g.protocolType != "" && *r.protocolType != g.protocolType {
		return codeInconsistentProtocol
	}
	if r.protocolName != nil && g.protocolName != nil && *r.protocolName != *g.protocolName {
		return codeInconsistentProtocol
	}
	return codeNone
}

// arrived notes that a member has asked for its assignment.
func (s *Shard) arrived(t *coord.Turn, g *group, m *member) {
	if delete(g.pendingSync, m.id); len(g.pendingSync) == 0 {
		t.StopTimer(syncKey(g))
	}
}

// takeAssignments records what the leader decided. Replay makes the group stable with it.
func (s *Shard) takeAssignments(t *coord.Turn, g *group, r *syncRequest) {
	v := g.value(g.generation, t.NowMs, func(m *member) []byte { return r.assignments[m.id] })
	t.Note("group has its assignment", "group", g.id, "generation", g.generation, "members", len(g.members), "leader", g.leader)
	t.Append(v.record(g.id))
	t.Then(func(t *coord.Turn) {
		s.counts.CompletedRebalances.Add(1)
		for _, m := range g.sorted() {
			if w := m.sync; w != nil {
				m.sync = nil
				s.answerSync(t, w, syncResponse(g, m, w.version))
				s.restartSession(t, g, m)
			}
		}
	})
	t.OnFailure(func(t *coord.Turn, err error) {
		s.dropAssignments(t, g, codeOf(err))
		s.prepareRebalance(t, g, "the assignment could not be recorded: "+err.Error())
	})
}
