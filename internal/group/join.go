package group

import (
	"github.com/moldau-stream/moldau/internal/coord"
)

// memberIDRequiredVersion is the first version of JoinGroup whose clients first fetch a
// member id and join with it; skipAssignmentVersion the first that can be told that
// a returning leader need not assign.
const (
	memberIDRequiredVersion = 4
	skipAssignmentVersion   = 9
)

// joinRequest is a JoinGroup request whose slices are ours.
type joinRequest struct {
	group              string
	memberID           string
	instanceID         *string
	clientID           string
	clientHost         string
	sessionTimeoutMs   int32
	rebalanceTimeoutMs int32
	protocolType       string
	protocols          []protocol
	reason             string
	idSuffix           string // makes a new member id unique
	waiter             *joinWaiter
}

// join lets a member into its group, or keeps it there. The answer may come much later.
func (s *Shard) join(t *coord.Turn, r *joinRequest) {
	if g := s.consumers[r.group]; g != nil && len(g.members) > 0 {
		s.joinConsumer(t, g, r)
		return
	}
	g, code := s.groupToJoin(t, r)
	if code != codeNone {
		s.refuseJoin(t, r, r.memberID, code)
		return
	}
	switch {
	case !s.accepts(g, r.memberID):
		// In a rebalance of a group that has become too large, the last to rejoin lose their place.
		m := g.members[r.memberID]
		g.remove(r.memberID)
		t.StopTimer(sessionKey(g, r.memberID))
		s.refuseJoin(t, r, "", codeGroupMaxSizeReached)
		if m != nil {
			s.maybeCompleteJoin(t, g)
		}
	case !s.hasRoom(g, r):
		t.Warn("member is not let in since the shard holds as much of members as it may", "group", g.id, "client", r.clientID, "held_bytes", s.held)
		s.refuseJoin(t, r, r.memberID, codeCoordinatorNotAvailable)
	case !g.supports(r.protocolType, r.protocols):
		s.refuseJoin(t, r, r.memberID, codeInconsistentProtocol)
	case r.memberID == "":
		s.joinNew(t, g, r)
	default:
		s.joinKnown(t, g, r)
	}
}

// groupToJoin finds the group of r, or makes it. A new group is remembered only when its first
// member gets an id.
func (s *Shard) groupToJoin(t *coord.Turn, r *joinRequest) (*group, int16) {
	if g := s.groups[r.group]; g != nil {
		return g, codeNone
	}
	if s.foreign[r.group] != nil {
		return nil, codeInconsistentProtocol
	}
	if r.memberID != "" {
		return nil, codeUnknownMemberID
	}
	if s.full() {
		return nil, codeCoordinatorNotAvailable
	}
	return s.newGroup(r.group, t.NowMs), codeNone
}

// remember keeps a group that has got its first member. An empty consumer group of the same
// name becomes this classic one; its offsets stay.
func (s *Shard) remember(t *coord.Turn, g *group) {
	if s.groups[g.id] != nil {
		return
	}
	s.groups[g.id] = g
	if c := s.consumers[g.id]; c != nil {
		t.Append(c.tombstones()...)
	}
}

// accepts holds a group to group.max.size.
func (s *Shard) accepts(g *group, memberID string) bool {
	m := g.members[memberID]
	switch g.state {
	case Empty:
		return true
	case PreparingRebalance:
		// Those count who have come, not those who were there: the group may be too
		// large already, and this is how it shrinks.
		return (m != nil && m.join != nil) || g.awaiting < s.cfg.MaxSize
	default:
		return m != nil || len(g.members) < s.cfg.MaxSize
	}
}

func (s *Shard) joinNew(t *coord.Turn, g *group, r *joinRequest) {
	prefix := r.clientID
	if r.instanceID != nil {
		prefix = *r.instanceID
	}
	id := prefix + "-" + r.idSuffix
	if r.instanceID != nil {
		if old, ok := g.static[*r.instanceID]; ok {
			s.replaceStatic(t, g, r, old, id)
			return
		}
	}
	if r.instanceID != nil || r.waiter.version < memberIDRequiredVersion {
		if g.fresh >= s.cfg.MaxFreshMembers {
			s.refuseJoin(t, r, "", codeCoordinatorNotAvailable)
			return
		}
		s.remember(t, g)
		s.addMember(t, g, r, id)
		return
	}
	if len(g.pendingJoin) >= s.cfg.MaxPendingMembers {
		s.refuseJoin(t, r, "", codeCoordinatorNotAvailable)
		return
	}
	s.remember(t, g)
	g.addPending(id)
	t.SetTimer(sessionKey(g, id), int64(r.sessionTimeoutMs))
	s.refuseJoin(t, r, id, codeMemberIDRequired)
}

func (s *Shard) joinKnown(t *coord.Turn, g *group, r *joinRequest) {
	if _, pending := g.pendingJoin[r.memberID]; pending {
		if r.instanceID != nil {
			// Ids are handed out to dynamic members only; this one is somebody else's.
			s.refuseJoin(t, r, r.memberID, codeUnknownMemberID)
			return
		}
		s.addMember(t, g, r, r.memberID)
		return
	}
	if code := g.checkMember(r.memberID, r.instanceID); code != codeNone {
		s.refuseJoin(t, r, r.memberID, code)
		return
	}
	m := g.members[r.memberID]
	switch {
	case g.state == PreparingRebalance:
		s.rejoin(t, g, m, r, "member "+m.id+" joins during the rebalance; its reason: "+r.reason)
	case g.state == Stable && g.leader == m.id:
		// The leader knows what others cannot see in its metadata, such as new partitions.
		s.rejoin(t, g, m, r, "the leader "+m.id+" joins again; its reason: "+r.reason)
	case !m.matches(r.protocols):
		s.rejoin(t, g, m, r, "the metadata of member "+m.id+" has changed; its reason: "+r.reason)
	default:
		// It has not heard of the generation that it is in.
		s.replyJoin(t, g, m, r.waiter, g.leader == m.id, false)
	}
}

// addMember takes a new member into the group, which begins or extends a rebalance.
func (s *Shard) addMember(t *coord.Turn, g *group, r *joinRequest, id string) {
	m := &member{
		id: id, instanceID: r.instanceID, clientID: r.clientID, clientHost: r.clientHost,
		rebalanceTimeoutMs: r.rebalanceTimeoutMs, sessionTimeoutMs: r.sessionTimeoutMs,
		protocols: r.protocols, join: r.waiter, isNew: true,
	}
	if len(g.members) == 0 {
		g.protocolType = r.protocolType
	}
	if g.initial != nil {
		g.initial.memberAdded = true
	}
	g.add(m)
	t.SetTimer(sessionKey(g, id), newMemberJoinTimeoutMs)
	s.prepareOrComplete(t, g, "new member "+id+"; its reason: "+r.reason)
}

// rejoin parks the join of a member of the last generation.
func (s *Shard) rejoin(t *coord.Turn, g *group, m *member, r *joinRequest, why string) {
	s.updateMember(t, g, m, r)
	s.prepareOrComplete(t, g, why)
}

func (s *Shard) updateMember(t *coord.Turn, g *group, m *member, r *joinRequest) {
	g.setProtocols(m, r.protocols)
	m.rebalanceTimeoutMs, m.sessionTimeoutMs = r.rebalanceTimeoutMs, r.sessionTimeoutMs
	if old := g.park(m, r.waiter); old != nil {
		// The same member asks twice: its first connection is most likely gone.
		s.answerJoin(t, old, joinError(old.version, m.id, codeRebalanceInProgress))
	}
}

// replaceStatic gives the place of a static member to its next incarnation. If nothing else
// changes, the group goes on as it is and only the new member id is recorded.
func (s *Shard) replaceStatic(t *coord.Turn, g *group, r *joinRequest, oldID, newID string) {
	if g.state == Stable && s.keepsProtocol(g, r, oldID) {
		s.replaceStaticInPlace(t, g, r, oldID, newID)
		return
	}
	m := s.swapStatic(t, g, oldID, newID)
	s.updateMember(t, g, m, r)
	switch g.state {
	case PreparingRebalance:
		s.maybeCompleteJoin(t, g)
	default:
		// The leader may be assigning to the old member id right now, or another protocol wins.
		s.prepareRebalance(t, g, "static member "+*r.instanceID+" is back as "+newID+"; its reason: "+r.reason)
	}
}

// keepsProtocol tells whether the group would choose the same protocol with what the
// new incarnation supports. It tries on the group itself and takes the trial back.
func (s *Shard) keepsProtocol(g *group, r *joinRequest, oldID string) bool {
	m := g.members[oldID]
	was := m.protocols
	g.setProtocols(m, r.protocols)
	chosen := g.selectProtocol()
	g.setProtocols(m, was)
	return chosen != nil && g.protocolName != nil && *chosen == *g.protocolName
}

// swapStatic renames a static member, and fences whoever waits under the old id.
func (s *Shard) swapStatic(t *coord.Turn, g *group, oldID, newID string) *member {
	old := g.members[oldID]
	s.failJoin(t, g, old, codeFencedInstanceID)
	s.failSync(t, old, codeFencedInstanceID)
	wasLeader := g.leader == oldID
	_, wasPendingSync := g.pendingSync[oldID]
	m := *old
	m.id = newID
	g.remove(oldID)
	g.add(&m)
	if wasLeader {
		g.leader = newID
	}
	if wasPendingSync {
		g.pendingSync[newID] = struct{}{}
	}
	t.StopTimer(sessionKey(g, oldID))
	s.restartSession(t, g, &m)
	return &m
}

// replaceStaticInPlace records the new id first: if that fails, the old one goes on. Nothing can be
// parked under the old id, since the group is stable.
func (s *Shard) replaceStaticInPlace(t *coord.Turn, g *group, r *joinRequest, oldID, newID string) {
	oldLeader := g.leader
	v := g.value(g.generation, g.stateSinceMs, func(m *member) []byte { return m.assignment })
	if g.leader == oldID {
		v.leader = &newID
	}
	for i := range v.members {
		if mv := &v.members[i]; mv.id == oldID {
			mv.id = newID
			mv.rebalanceTimeoutMs, mv.sessionTimeoutMs = r.rebalanceTimeoutMs, r.sessionTimeoutMs
			for _, p := range r.protocols {
				if p.name == *g.protocolName {
					mv.subscription = p.metadata
					break
				}
			}
		}
	}
	t.Note("static member replaced without a rebalance", "group", g.id, "instance", *r.instanceID, "old_member", oldID, "new_member", newID)
	old := g.members[oldID]
	t.Append(v.record(g.id))
	t.Then(func(t *coord.Turn) {
		// Replay has put newID in the place of oldID, with what the record holds of it.
		m := g.members[newID]
		m.seq, m.clientID, m.clientHost = old.seq, old.clientID, old.clientHost
		g.setProtocols(m, r.protocols)
		delete(g.pendingSync, oldID)
		t.StopTimer(sessionKey(g, oldID))
		s.restartSession(t, g, m)
		if r.waiter.version >= skipAssignmentVersion {
			lead := g.leader == newID
			s.replyJoin(t, g, m, r.waiter, lead, lead)
			return
		}
		// Older clients cannot be told to skip the assignment. If they are told that they lead,
		// they assign anew and upset a stable group; so they hear of the leader that was.
		resp := joinResponse(g, m, r.waiter.version, false, false)
		resp.LeaderID = oldLeader
		s.answerJoin(t, r.waiter, resp)
	})
	t.OnFailure(func(t *coord.Turn, err error) {
		s.refuseJoin(t, r, "", codeOf(err))
	})
}
