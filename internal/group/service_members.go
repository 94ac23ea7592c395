package group

import (
	"slices"
	"unicode/utf8"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// protocolsRequiredVersion is the first version of SyncGroup that must say which protocol it is about.
	protocolsRequiredVersion = 5
	// batchedLeaveVersion is the first version of LeaveGroup that names several members.
	batchedLeaveVersion = 3
	// maxReasonBytes is as much of a client's reason as goes into the log; Java clients cut at the same length.
	maxReasonBytes = 255
)

// JoinGroup answers when the member's next generation is formed.
func (s *Service) JoinGroup(rc RequestContext, version int16, req *kmsg.JoinGroupRequest, reply func(*kmsg.JoinGroupResponse)) {
	refuse := func(code int16) { reply(joinError(version, req.MemberID, code)) }
	if code := checkGroupID(req.Group, false); code != codeNone {
		refuse(code)
		return
	}
	if req.SessionTimeoutMillis < s.o.Config.MinSessionTimeoutMs || req.SessionTimeoutMillis > s.o.Config.MaxSessionTimeoutMs {
		refuse(codeInvalidSessionTimeout)
		return
	}
	if !namesFit(req) {
		refuse(codeInconsistentProtocol)
		return
	}
	if !metadataFits(req, s.o.MaxBatchBytes) {
		refuse(codeOf(coord.ErrTooLarge))
		return
	}
	r := &joinRequest{
		group:              req.Group,
		memberID:           req.MemberID,
		instanceID:         clonePtr(req.InstanceID),
		clientID:           cut(rc.ClientID, maxIDBytes),
		clientHost:         cut(rc.ClientHost, maxIDBytes),
		sessionTimeoutMs:   req.SessionTimeoutMillis,
		rebalanceTimeoutMs: req.RebalanceTimeoutMillis,
		protocolType:       req.ProtocolType,
		reason:             reasonText(req.Reason),
		idSuffix:           s.o.NewID(),
		waiter:             &joinWaiter{version: version, reply: reply},
	}
	if version == 0 {
		r.rebalanceTimeoutMs = req.SessionTimeoutMillis
	}
	r.protocols = protocolsOf(req.Protocols)
	fail := func(err error) { r.waiter.answer(joinError(version, "", codeOf(err))) }
	s.do(req.Group, func(sh *Shard, t *coord.Turn) {
		t.OnPanic(fail)
		sh.join(t, r)
	}, fail)
}

// protocolsOf copies what a member supports. Of a name that occurs twice the first counts.
func protocolsOf(protocols []kmsg.JoinGroupRequestProtocol) []protocol {
	seen := make(map[string]struct{}, len(protocols))
	var out []protocol
	for _, p := range protocols {
		if _, twice := seen[p.Name]; !twice {
			seen[p.Name] = struct{}{}
			out = append(out, protocol{name: p.Name, metadata: slices.Clone(p.Metadata)})
		}
	}
	return out
}

// namesFit tells whether the request's names can be stored; records count their lengths in 16 bits.
func namesFit(req *kmsg.JoinGroupRequest) bool {
	if len(req.ProtocolType) > maxIDBytes || (req.InstanceID != nil && len(*req.InstanceID) > maxIDBytes) {
		return false
	}
	return !slices.ContainsFunc(req.Protocols, func(p kmsg.JoinGroupRequestProtocol) bool { return len(p.Name) > maxIDBytes })
}

// metadataFits tells whether what the member says of itself can be recorded in a batch, were it
// the only one. If not, the generation would fail once the leader has assigned, time after time.
func metadataFits(req *kmsg.JoinGroupRequest, maxBatchBytes int) bool {
	return !slices.ContainsFunc(req.Protocols, func(p kmsg.JoinGroupRequestProtocol) bool { return len(p.Metadata) > maxBatchBytes })
}

// SyncGroup answers when the generation's assignment is recorded.
func (s *Service) SyncGroup(_ RequestContext, version int16, req *kmsg.SyncGroupRequest, reply func(*kmsg.SyncGroupResponse)) {
	refuse := func(code int16) { reply(syncError(version, code)) }
	if version >= protocolsRequiredVersion && (req.ProtocolType == nil || req.Protocol == nil) {
		refuse(codeInconsistentProtocol)
		return
	}
	if code := checkGroupID(req.Group, false); code != codeNone {
		refuse(code)
		return
	}
	r := &syncRequest{
		group:        req.Group,
		memberID:     req.MemberID,
		instanceID:   clonePtr(req.InstanceID),
		generation:   req.Generation,
		protocolType: clonePtr(req.ProtocolType),
		protocolName: clonePtr(req.Protocol),
		assignments:  make(map[string][]byte, len(req.GroupAssignment)),
		waiter:       &syncWaiter{version: version, reply: reply},
	}
	for _, a := range req.GroupAssignment {
		r.assignments[a.MemberID] = slices.Clone(a.MemberAssignment)
	}
	fail := func(err error) { r.waiter.answer(syncError(version, codeOf(err))) }
	s.do(req.Group, func(sh *Shard, t *coord.Turn) {
		t.OnPanic(fail)
		sh.sync(t, r)
	}, fail)
}

// Heartbeat keeps a member's session.
func (s *Service) Heartbeat(_ RequestContext, version int16, req *kmsg.HeartbeatRequest, reply func(*kmsg.HeartbeatResponse)) {
	answer := func(code int16) {
		r := kmsg.NewPtrHeartbeatResponse()
		r.Version, r.ErrorCode = version, code
		reply(r)
	}
	fail := func(err error) {
		code := codeOf(err)
		if code == codeCoordinatorLoading {
			code = codeNone // its session has not begun yet; there is nothing to tell it
		}
		answer(code)
	}
	if code := checkGroupID(req.Group, false); code != codeNone {
		answer(code)
		return
	}
	group, memberID, instanceID, generation := req.Group, req.MemberID, clonePtr(req.InstanceID), req.Generation
	s.do(group, func(sh *Shard, t *coord.Turn) {
		code := sh.heartbeat(t, group, memberID, instanceID, generation)
		t.Reply(coord.Reply{Send: func() { answer(code) }, Fail: fail})
	}, fail)
}

// LeaveGroup takes members out of their group.
func (s *Service) LeaveGroup(_ RequestContext, version int16, req *kmsg.LeaveGroupRequest, reply func(*kmsg.LeaveGroupResponse)) {
	leavers := leaversOf(version, req)
	answer := func(code int16, codes []int16) { reply(leaveResponse(version, leavers, code, codes)) }
	fail := func(err error) { answer(codeOf(err), nil) }
	if code := checkGroupID(req.Group, false); code != codeNone {
		answer(code, nil)
		return
	}
	group := req.Group
	s.do(group, func(sh *Shard, t *coord.Turn) {
		codes := sh.leave(t, group, leavers)
		t.Reply(coord.Reply{Send: func() { answer(codeNone, codes) }, Fail: fail})
	}, fail)
}

func leaversOf(version int16, req *kmsg.LeaveGroupRequest) []leaver {
	if version < batchedLeaveVersion {
		return []leaver{{memberID: req.MemberID, reason: reasonText(nil)}}
	}
	out := make([]leaver, 0, len(req.Members))
	for _, m := range req.Members {
		out = append(out, leaver{memberID: m.MemberID, instanceID: clonePtr(m.InstanceID), reason: reasonText(m.Reason)})
	}
	return out
}

func leaveResponse(version int16, leavers []leaver, code int16, codes []int16) *kmsg.LeaveGroupResponse {
	r := kmsg.NewPtrLeaveGroupResponse()
	r.Version, r.ErrorCode = version, code
	if code != codeNone {
		return r
	}
	if version < batchedLeaveVersion {
		r.ErrorCode = codes[0]
		return r
	}
	for i, l := range leavers {
		m := kmsg.NewLeaveGroupResponseMember()
		m.MemberID, m.InstanceID, m.ErrorCode = l.memberID, l.instanceID, codes[i]
		r.Members = append(r.Members, m)
	}
	return r
}

func reasonText(reason *string) string {
	if reason == nil || *reason == "" {
		return "not provided"
	}
	return cut(*reason, maxReasonBytes)
}

// cut shortens s to maxBytes or a little less, so that no character is cut in two.
func cut(s string, maxBytes int) string {
	if len(s) <= maxBytes {
		return s
	}
	for n := maxBytes; n > maxBytes-utf8.UTFMax; n-- {
		if utf8.RuneStart(s[n]) {
			return s[:n]
		}
	}
	return s[:maxBytes] // it is no text anyway
}

func clonePtr(s *string) *string {
	if s == nil {
		return nil
	}
	c := *s
	return &c
}
