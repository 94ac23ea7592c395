package group

import (
	"github.com/moldau-stream/moldau/internal/coord"
)

// heartbeat keeps a member's session, and is how members learn of a rebalance.
func (s *Shard) heartbeat(t *coord.Turn, groupID, memberID string, instanceID *string, generation int32) int16 {
	if c := s.consumers[groupID]; c != nil && len(c.members) > 0 {
		return s.heartbeatClassic(t, c, memberID, instanceID, generation)
	}
	g := s.groups[groupID]
	if g == nil {
		return codeUnknownMemberID
	}
	if code := g.checkMember(memberID, instanceID); code != codeNone {
		return code
	}
	if generation != g.generation {
		return codeIllegalGeneration
	}
	s.restartSession(t, g, g.members[memberID])
	if g.state == PreparingRebalance {
		return codeRebalanceInProgress
	}
	return codeNone
}

// leaver is one member of a LeaveGroup request.
type leaver struct {
	memberID   string
	instanceID *string
	reason     string
}

// leave takes members out of a group and gives the code for each of them.
func (s *Shard) leave(t *coord.Turn, groupID string, leavers []leaver) []int16 {
	if c := s.consumers[groupID]; c != nil && len(c.members) > 0 {
		return s.leaveConsumer(t, c, leavers)
	}
	codes := make([]int16, len(leavers))
	g := s.groups[groupID]
	any := false
	for i, l := range leavers {
		codes[i] = codeUnknownMemberID
		if g != nil {
			codes[i] = s.leaveOne(t, g, l)
			any = any || codes[i] == codeNone
		}
	}
	if any {
		switch g.state {
		case Stable, CompletingRebalance:
			s.prepareRebalance(t, g, "members have left")
		case PreparingRebalance:
			s.maybeCompleteJoin(t, g)
		}
	}
	return codes
}

func (s *Shard) leaveOne(t *coord.Turn, g *group, l leaver) int16 {
	id := l.memberID
	if id == "" {
		// An administrator removes static members by their instance id alone.
		if l.instanceID == nil {
			return codeUnknownMemberID
		}
		known, ok := g.static[*l.instanceID]
		if !ok {
			return codeUnknownMemberID
		}
		id = known
	} else if _, pending := g.pendingJoin[id]; pending {
		g.remove(id)
		t.StopTimer(sessionKey(g, id))
		return codeNone
	} else if code := g.checkMember(id, l.instanceID); code != codeNone {
		return code
	}
	t.Note("member has left", "group", g.id, "member", id, "reason", l.reason)
	s.dropMember(t, g, g.members[id])
	return codeNone
}
