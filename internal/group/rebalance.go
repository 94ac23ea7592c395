package group

import (
	"fmt"

	"github.com/moldau-stream/moldau/internal/coord"
)

// A rebalance has two barriers. In PreparingRebalance the group waits until all members
// have (re)joined, or their time is up; then a generation is formed, every parked join
// is answered, and in CompletingRebalance it waits for the leader's SyncGroup with everyone's
// assignment, which is recorded before anyone gets it.

// prepareOrComplete is called when a member has come, gone or changed.
func (s *Shard) prepareOrComplete(t *coord.Turn, g *group, why string) {
	if g.canRebalance() {
		s.prepareRebalance(t, g, why)
	} else {
		s.maybeCompleteJoin(t, g)
	}
}

func (s *Shard) prepareRebalance(t *coord.Turn, g *group, why string) {
	if g.state == CompletingRebalance {
		s.dropAssignments(t, g, codeRebalanceInProgress)
	}
	clear(g.pendingSync)
	t.StopTimer(syncKey(g))
	wasEmpty := g.state == Empty
	g.transition(PreparingRebalance, t.NowMs)
	t.Note("group prepares to rebalance", "group", g.id, "generation", g.generation, "members", len(g.members), "reason", why)
	switch {
	case wasEmpty && s.cfg.InitialRebalanceDelayMs > 0:
		delayMs := s.cfg.InitialRebalanceDelayMs
		g.initial = &initialDelay{delayMs: delayMs, remainingMs: max(g.rebalanceTimeoutMs()-delayMs, 0)}
		t.SetTimer(joinKey(g), delayMs)
	case wasEmpty || g.allJoined():
		s.completeJoin(t, g)
	default:
		t.SetTimer(joinKey(g), g.rebalanceTimeoutMs())
	}
}

// maybeCompleteJoin forms the generation if nobody is missing. The first rebalance is not cut short.
func (s *Shard) maybeCompleteJoin(t *coord.Turn, g *group) {
	if g.state == PreparingRebalance && g.initial == nil && g.allJoined() {
		s.completeJoin(t, g)
	}
}

// expireJoin: the time for joining is up.
func (s *Shard) expireJoin(t *coord.Turn, g *group) {
	if g.state != PreparingRebalance {
		return
	}
	if d := g.initial; d != nil && d.memberAdded && d.remainingMs > 0 {
		next := min(s.cfg.InitialRebalanceDelayMs, d.remainingMs)
		g.initial = &initialDelay{delayMs: next, remainingMs: max(d.remainingMs-d.delayMs, 0)}
		t.SetTimer(joinKey(g), next)
		return
	}
	s.completeJoin(t, g)
}

// completeJoin ends the join phase with those who came.
func (s *Shard) completeJoin(t *coord.Turn, g *group) {
	t.StopTimer(joinKey(g))
	g.initial = nil
	for _, m := range g.sorted() {
		if m.join == nil && m.instanceID == nil {
			g.remove(m.id)
			t.StopTimer(sessionKey(g, m.id))
			t.Note("member did not rejoin in time and is out of the group", "group", g.id, "member", m.id)
		}
	}
	switch {
	case len(g.members) == 0:
		s.becomeEmpty(t, g)
	case !g.electJoinedLeader():
		// Only static members that have not come: their sessions decide.
		t.Warn("group cannot complete its rebalance because no member has rejoined", "group", g.id, "members", len(g.members))
		t.SetTimer(joinKey(g), max(g.rebalanceTimeoutMs(), 1))
	default:
		s.formGeneration(t, g)
	}
}

// becomeEmpty records that the last member is gone. If that cannot be recorded, the group is
// empty all the same: a new coordinator would wait for members that never come, and expire them.
func (s *Shard) becomeEmpty(t *coord.Turn, g *group) {
	v := g.value(g.generation+1, t.NowMs, nil)
	t.Note("group is empty", "group", g.id, "generation", v.generation)
	t.Append(v.record(g.id))
	t.OnFailure(func(*coord.Turn, error) { g.adopt(v) })
}

func (s *Shard) formGeneration(t *coord.Turn, g *group) {
	g.generation++
	g.protocolName = g.selectProtocol()
	g.learnSubscriptions()
	g.transition(CompletingRebalance, t.NowMs)
	clear(g.pendingSync)
	g.fresh = 0
	t.Note("group has formed a generation", "group", g.id, "generation", g.generation, "members", len(g.members), "protocol", *g.protocolName, "leader", g.leader)
	for _, m := range g.sorted() {
		if w := g.park(m, nil); w != nil {
			s.replyJoin(t, g, m, w, g.leader == m.id, false)
		}
		s.restartSession(t, g, m)
		m.isNew = false
		g.pendingSync[m.id] = struct{}{}
	}
	t.SetTimer(syncKey(g), g.rebalanceTimeoutMs())
}

// expireSync: members that have not asked for their assignment are out.
func (s *Shard) expireSync(t *coord.Turn, g *group) {
	if (g.state != CompletingRebalance && g.state != Stable) || len(g.pendingSync) == 0 {
		return
	}
	late := sortedKeys(g.pendingSync)
	for _, id := range late {
		g.remove(id)
		t.StopTimer(sessionKey(g, id))
	}
	s.prepareRebalance(t, g, fmt.Sprintf("members %v did not fetch their assignments in time", late))
}

// expireSession: a member has not been heard of.
func (s *Shard) expireSession(t *coord.Turn, g *group, id string) {
	if _, pending := g.pendingJoin[id]; pending {
		g.remove(id)
		s.completeAfterExpiry(t, g)
		return
	}
	m := g.members[id]
	if m == nil || m.isAlive() {
		return
	}
	t.Note("member's session has expired", "group", g.id, "member", id, "session_timeout_ms", m.sessionTimeoutMs)
	s.dropMember(t, g, m)
	switch g.state {
	case Stable, CompletingRebalance:
		s.prepareRebalance(t, g, "the session of member "+id+" has expired")
	case PreparingRebalance:
		s.completeAfterExpiry(t, g)
	}
}

// completeAfterExpiry forms the generation if the one that has expired was the last to be waited for. A first
// rebalance is cut short only if nobody is left to wait for more members.
func (s *Shard) completeAfterExpiry(t *coord.Turn, g *group) {
	if g.initial != nil && len(g.members) > 0 {
		return
	}
	if g.state == PreparingRebalance && g.allJoined() {
		s.completeJoin(t, g)
	}
}

// dropMember removes m and tells whoever is parked under its id to start anew.
func (s *Shard) dropMember(t *coord.Turn, g *group, m *member) {
	t.StopTimer(sessionKey(g, m.id))
	if w := g.park(m, nil); w != nil {
		s.answerJoin(t, w, joinError(w.version, "", codeUnknownMemberID))
	}
	s.failSync(t, m, codeUnknownMemberID)
	g.remove(m.id)
}

// dropAssignments takes back what the last generation assigned, and fails parked syncs.
func (s *Shard) dropAssignments(t *coord.Turn, g *group, code int16) {
	for _, m := range g.sorted() {
		m.assignment = nil
		g.weigh(m)
		if m.sync != nil {
			s.failSync(t, m, code)
			s.restartSession(t, g, m)
		}
	}
}
