package group

import (
	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinResponse tells m of the group's generation. The leader, asked to assign, gets all members.
func joinResponse(g *group, m *member, version int16, withMembers, skip bool) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	r.Version = version
	r.Generation, r.LeaderID, r.MemberID, r.SkipAssignment = g.generation, g.leader, m.id, skip
	protocolType := g.protocolType
	r.ProtocolType, r.Protocol = &protocolType, g.protocolName
	if withMembers {
		for _, x := range g.sorted() {
			jm := kmsg.NewJoinGroupResponseMember()
			jm.MemberID, jm.InstanceID, jm.ProtocolMetadata = x.id, x.instanceID, x.metadata(*g.protocolName)
			r.Members = append(r.Members, jm)
		}
	}
	return r
}

func joinError(version int16, memberID string, code int16) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	r.Version, r.ErrorCode, r.Generation, r.MemberID = version, code, -1, memberID
	return r
}

func syncResponse(g *group, m *member, version int16) *kmsg.SyncGroupResponse {
	r := kmsg.NewPtrSyncGroupResponse()
	r.Version = version
	protocolType := g.protocolType
	r.ProtocolType, r.Protocol, r.MemberAssignment = &protocolType, g.protocolName, m.assignment
	return r
}

func syncError(version, code int16) *kmsg.SyncGroupResponse {
	r := kmsg.NewPtrSyncGroupResponse()
	r.Version, r.ErrorCode = version, code
	return r
}

func (s *Shard) answerJoin(t *coord.Turn, w *joinWaiter, resp *kmsg.JoinGroupResponse) {
	t.Reply(coord.Reply{
		Send: func() { w.answer(resp) },
		Fail: func(err error) { w.answer(joinError(w.version, "", codeOf(err))) },
	})
}

func (s *Shard) replyJoin(t *coord.Turn, g *group, m *member, w *joinWaiter, withMembers, skip bool) {
	s.answerJoin(t, w, joinResponse(g, m, w.version, withMembers, skip))
}

func (s *Shard) refuseJoin(t *coord.Turn, r *joinRequest, memberID string, code int16) {
	s.answerJoin(t, r.waiter, joinError(r.waiter.version, memberID, code))
}

// failJoin answers m's parked join, if there is one, with code.
func (s *Shard) failJoin(t *coord.Turn, g *group, m *member, code int16) {
	if w := g.park(m, nil); w != nil {
		s.answerJoin(t, w, joinError(w.version, m.id, code))
	}
}

func (s *Shard) answerSync(t *coord.Turn, w *syncWaiter, resp *kmsg.SyncGroupResponse) {
	t.Reply(coord.Reply{
		Send: func() { w.answer(resp) },
		Fail: func(err error) { w.answer(syncError(w.version, codeOf(err))) },
	})
}

// failSync answers m's parked sync, if there is one, with code.
func (s *Shard) failSync(t *coord.Turn, m *member, code int16) {
	if w := m.sync; w != nil {
		m.sync = nil
		s.answerSync(t, w, syncError(w.version, code))
	}
}
