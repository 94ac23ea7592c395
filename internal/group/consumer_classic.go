package group

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Members that speak the classic protocol to a consumer group: JoinGroup is a heartbeat that brings the subscription,
// SyncGroup fetches the assignment, and Heartbeat says when to join again. There is no leader and no barrier.

// joinConsumer answers a JoinGroup of a consumer group.
func (s *Shard) joinConsumer(t *coord.Turn, g *consumerGroup, r *joinRequest) {
	said, code := s.classicJoiner(g, r)
	if code != codeNone {
		s.refuseJoin(t, r, r.memberID, code)
		return
	}
	if r.memberID == "" && r.instanceID == nil && r.waiter.version >= memberIDRequiredVersion {
		s.refuseJoin(t, r, r.clientID+"-"+r.idSuffix, codeMemberIDRequired)
		return
	}
	m, replaces, code := s.classicMember(g, r)
	if code != codeNone {
		s.refuseJoin(t, r, r.memberID, code)
		return
	}
	if replaces != nil {
		s.replaceConsumerStatic(t, g, replaces, m)
		t.Then(func(t *coord.Turn) { s.progressClassic(t, g, g.members[m.id], said, r) })
		t.OnFailure(func(t *coord.Turn, err error) { s.refuseJoin(t, r, "", codeOf(err)) })
		return
	}
	s.progressClassic(t, g, m, said, r)
}

// classicJoiner reads what the client says of itself; all members of the classic protocol must have a way in common.
func (s *Shard) classicJoiner(g *consumerGroup, r *joinRequest) (classicSubscription, int16) {
	if r.protocolType != consumerProtocolType || len(r.protocols) == 0 {
		return classicSubscription{}, codeInconsistentProtocol
	}
	common := slices.ContainsFunc(r.protocols, func(p protocol) bool {
		for _, m := range g.members {
			if m.classic != nil && m.id != r.memberID && !slices.ContainsFunc(m.classic.protocols, func(o protocol) bool { return o.name == p.name }) {
				return false
			}
		}
		return true
	})
	said, err := parseSubscription(r.protocols[0].metadata)
	if !common || err != nil {
		return said, codeInconsistentProtocol
	}
	return said, codeNone
}

// classicMember finds the member that joins, or makes it.
func (s *Shard) classicMember(g *consumerGroup, r *joinRequest) (m, replaces *consumerMember, code int16) {
	prefix := r.clientID
	if r.instanceID != nil {
		prefix = *r.instanceID
		if known := g.byInstance(*r.instanceID); known != nil {
			switch r.memberID {
			case "":
				return known.reborn(prefix + "-" + r.idSuffix), known, codeNone
			case known.id:
				return known, nil, codeNone
			}
			return nil, nil, codeFencedInstanceID
		}
		if r.memberID != "" {
			return nil, nil, codeUnknownMemberID
		}
	}
	id := r.memberID
	if id == "" {
		id = prefix + "-" + r.idSuffix
	}
	if m := g.members[id]; m != nil {
		return m, nil, codeNone
	}
	if len(g.members) >= s.cfg.Consumer.MaxSize {
		return nil, nil, codeGroupMaxSizeReached
	}
	return &consumerMember{id: id, instanceID: r.instanceID}, nil, codeNone
}

func (s *Shard) progressClassic(t *coord.Turn, g *consumerGroup, m *consumerMember, said classicSubscription, r *joinRequest) {
	x := *m
	x.rackID, x.clientID, x.clientHost, x.topics, x.regex = said.rack, r.clientID, r.clientHost, said.topics, nil
	x.rebalanceTimeoutMs, x.assignor = r.rebalanceTimeoutMs, nil
	x.classic = &classicMetadata{sessionTimeoutMs: r.sessionTimeoutMs, protocols: r.protocols}
	if x.weight() > m.weight() && s.held+x.weight()-g.weights[m.id] > s.maxHeld {
		s.refuseJoin(t, r, r.memberID, codeCoordinatorNotAvailable)
		return
	}
	was := *m
	after, _, _ := s.advance(t, g, &was, &x, &heartbeatRequest{owned: byID(said.owned, s.metadata()), ownedKnown: true})
	if s.lastOfItsKind(g, m) {
		t.Then(func(t *coord.Turn) {
			if s.consumers[g.id] == g && s.mayDowngrade(g, nil) {
				s.downgrade(t, g, nil)
			}
		})
	}
	resp := kmsg.NewPtrJoinGroupResponse()
	protocolType := consumerProtocolType
	resp.Version, resp.Generation, resp.MemberID = r.waiter.version, after.epoch, after.id
	resp.ProtocolType, resp.Protocol = &protocolType, &r.protocols[0].name
	delete(g.joinTimer, after.id)
	t.StopTimer(rejoinKey(g, after.id))
	t.StopTimer(revocationKey(g, after.id))
	t.SetTimer(resyncKey(g, after.id), int64(r.rebalanceTimeoutMs))
	s.beginSession(t, g, after)
	s.answerJoin(t, r.waiter, resp)
}

// lastOfItsKind tells whether m was the last member of the consumer protocol: a static one whose client comes back
// with the classic protocol.
func (s *Shard) lastOfItsKind(g *consumerGroup, m *consumerMember) bool {
	return m.classic == nil && g.members[m.id] != nil && g.allClassic(m.id)
}

// classicOf finds the member in whose name a classic request comes.
func (g *consumerGroup) classicOf(memberID string, instanceID *string) (*consumerMember, int16) {
	m := g.members[memberID]
	if instanceID != nil {
		m = g.byInstance(*instanceID)
		if m != nil && m.id != memberID {
			return nil, codeFencedInstanceID
		}
	}
	if m == nil || m.classic == nil {
		return nil, codeUnknownMemberID
	}
	return m, codeNone
}

// mustRejoin tells a classic member to join again, and watches that it does.
func (s *Shard) mustRejoin(t *coord.Turn, g *consumerGroup, m *consumerMember) int16 {
	if _, told := g.joinTimer[m.id]; !told {
		g.joinTimer[m.id] = struct{}{}
		t.SetTimer(rejoinKey(g, m.id), int64(m.rebalanceTimeoutMs))
	}
	return codeRebalanceInProgress
}

// syncConsumer answers a SyncGroup of a consumer group.
func (s *Shard) syncConsumer(t *coord.Turn, g *consumerGroup, r *syncRequest) {
	m, code := g.classicOf(r.memberID, r.instanceID)
	switch {
	case code != codeNone:
	case r.generation != m.epoch:
		code = codeIllegalGeneration
	case r.protocolType != nil && *r.protocolType != consumerProtocolType, r.protocolName != nil && *r.protocolName != m.classic.protocols[0].name:
		code = codeInconsistentProtocol
	case g.epoch > m.epoch && m.state != memberUnrevoked:
		code = s.mustRejoin(t, g, m)
	}
	if code != codeNone {
		s.answerSync(t, r.waiter, syncError(r.waiter.version, code))
		return
	}
	t.StopTimer(resyncKey(g, m.id))
	s.beginSession(t, g, m)
	said, _ := parseSubscription(m.classic.protocols[0].metadata)
	resp := kmsg.NewPtrSyncGroupResponse()
	protocolType := consumerProtocolType
	resp.Version, resp.ProtocolType, resp.Protocol = r.waiter.version, &protocolType, &m.classic.protocols[0].name
	resp.MemberAssignment = classicAssignment(m.assigned, said.version, s.metadata())
	s.answerSync(t, r.waiter, resp)
}

// heartbeatClassic answers a Heartbeat of a consumer group.
func (s *Shard) heartbeatClassic(t *coord.Turn, g *consumerGroup, memberID string, instanceID *string, generation int32) int16 {
	m, code := g.classicOf(memberID, instanceID)
	if code != codeNone {
		return code
	}
	if generation != m.epoch {
		return codeIllegalGeneration
	}
	s.beginSession(t, g, m)
	if m.epoch < g.epoch || m.state == memberUnrevoked || (m.state == memberUnreleased && !g.waitsForOthers(m)) {
		return s.mustRejoin(t, g, m)
	}
	return codeNone
}

// waitsForOthers tells whether a partition of m's target is still held by another member.
func (g *consumerGroup) waitsForOthers(m *consumerMember) bool {
	for topic, partitions := range g.target[m.id] {
		for _, p := range partitions {
			if !m.assigned.has(topic, p) && !g.isFree(topic, p) {
				return true
			}
		}
	}
	return false
}

// leaveConsumer takes classic members out of a consumer group, and whom an administrator names by instance id.
func (s *Shard) leaveConsumer(t *coord.Turn, g *consumerGroup, leavers []leaver) []int16 {
	codes := make([]int16, len(leavers))
	var gone []string
	for i, l := range leavers {
		var m *consumerMember
		if l.memberID == "" && l.instanceID != nil {
			if m = g.byInstance(*l.instanceID); m == nil {
				codes[i] = codeUnknownMemberID
			}
		} else {
			m, codes[i] = g.classicOf(l.memberID, l.instanceID)
		}
		if m != nil && contains(gone, m.id) {
			codes[i] = codeUnknownMemberID
		} else if m != nil {
			t.Note("member has left the consumer group", "group", g.id, "member", m.id, "reason", l.reason)
			gone = append(gone, m.id)
		}
	}
	if len(gone) > 0 {
		s.fence(t, g, gone...)
	}
	return codes
}
