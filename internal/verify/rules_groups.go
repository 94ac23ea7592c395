package verify

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Timeouts of the groups that rules make: long, so that a slow machine does not fence a member that a rule speaks of.
const (
	sessionTimeoutMs   = 30_000
	rebalanceTimeoutMs = 30_000
)

// member is one member of a classic group.
type member struct {
	x          *exam
	group      string
	id         string
	instance   *string
	generation int32
	protocol   string
}

// joinRequest is a JoinGroup at a version. At the version of no other rule the highest is taken.
func (m *member) joinRequest(version int16) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID, req.ProtocolType = m.group, m.id, m.instance, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = sessionTimeoutMs, rebalanceTimeoutMs
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: m.protocol, Metadata: []byte("meta")}}
	req.Version = version
	return req
}

func (x *exam) newMember(group string, instance *string) *member {
	return &member{x: x, group: group, instance: instance, protocol: "range"}
}

// joinVersion is the version at which members join: that under examination, where JoinGroup is examined.
func (x *exam) joinVersion() int16 {
	if x.rule.key == kmsg.JoinGroup {
		return x.version
	}
	return x.cluster.highest(int16(kmsg.JoinGroup))
}

// join joins, with the id that the broker gives where it wants that, and leaves at the exam's end.
func (m *member) join() *kmsg.JoinGroupResponse {
	x := m.x
	req := m.joinRequest(x.joinVersion())
	resp := askGroup[*kmsg.JoinGroupResponse](x, m.group, req)
	if m.id == "" && m.instance == nil && req.Version >= 4 {
		x.code("a first join without a member id", resp.ErrorCode, codeMemberIDRequired)
		x.must(resp.MemberID != "", "a member id", "none")
		m.id = resp.MemberID
		resp = askGroup[*kmsg.JoinGroupResponse](x, m.group, m.joinRequest(req.Version))
	}
	m.joined(resp)
	return resp
}

func (m *member) joined(resp *kmsg.JoinGroupResponse) {
	m.x.ok("the join", resp.ErrorCode)
	m.id, m.generation = resp.MemberID, resp.Generation
	m.x.onEnd(func() { m.forget() })
}

// forget leaves without looking at the answer, so that the group can be deleted at once.
func (m *member) forget() {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group, req.MemberID = min(1, m.x.cluster.highest(req.Key())), m.group, m.id
	m.x.try(m.x.home(m.group), req)
}

// home is the coordinator of a group, found without checks.
func (x *exam) home(group string) int32 {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKey = min(1, x.cluster.highest(req.Key())), group
	resp, err := x.try(x.any(), req)
	if err != nil {
		return x.any()
	}
	if f := resp.(*kmsg.FindCoordinatorResponse); f.ErrorCode == 0 {
		return f.NodeID
	}
	return x.any()
}

// sync gives every member its name as its assignment when it leads, and returns the assignment that it gets.
func (m *member) sync(members ...string) *kmsg.SyncGroupResponse {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = m.group, m.generation, m.id, m.instance
	req.ProtocolType, req.Protocol = ptr("consumer"), &m.protocol
	for _, id := range members {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: []byte("for " + id)})
	}
	return askGroup[*kmsg.SyncGroupResponse](m.x, m.group, req)
}

// settle joins and syncs as the only member.
func (m *member) settle() {
	m.join()
	r := m.sync(m.id)
	m.x.ok("the sync", r.ErrorCode)
	m.x.that(string(r.MemberAssignment) == "for "+m.id, "the assignment that the leader gave", "%q", r.MemberAssignment)
}

func (m *member) beat() int16 {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = m.group, m.generation, m.id, m.instance
	return askGroup[*kmsg.HeartbeatResponse](m.x, m.group, req).ErrorCode
}

// leave leaves in the way of the version under examination and returns the member's code.
func (m *member) leave() int16 {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = m.group, m.id
	req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: m.id, InstanceID: m.instance}}
	resp := askGroup[*kmsg.LeaveGroupResponse](m.x, m.group, req)
	if resp.ErrorCode != 0 || len(resp.Members) == 0 {
		return resp.ErrorCode
	}
	return resp.Members[0].ErrorCode
}

// describeGroup is the group as its coordinator shows it.
func (x *exam) describeGroup(group string) kmsg.DescribeGroupsResponseGroup {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	resp := askGroup[*kmsg.DescribeGroupsResponse](x, group, req)
	x.count("one group in the answer", len(resp.Groups), 1)
	return resp.Groups[0]
}

// groupRule is a rule about a group of its own.
func groupRule(name string, key kmsg.Key, says, cites string, run func(x *exam, g string)) rule {
	return rule{name: "group/" + name, key: key, says: says, cites: cites, run: func(x *exam) { run(x, x.name("g")) }}
}

func groupRules() []rule {
	life := func(x *exam, g string) {
		m := x.newMember(g, nil)
		join := m.join()
		equal(x, "leader", join.LeaderID, m.id)
		equal(x, "members that the leader is told of", len(join.Members), 1)
		x.code("a heartbeat before the sync", m.beat(), 0)
		r := m.sync(m.id)
		x.ok("the sync", r.ErrorCode)
		x.that(string(r.MemberAssignment) == "for "+m.id, "the assignment that the leader gave", "%q", r.MemberAssignment)
		if x.rule.key == kmsg.SyncGroup && x.version >= 5 {
			x.that(r.Protocol != nil && *r.Protocol == "range", "protocol range", "%v", r.Protocol)
		}
		x.code("a heartbeat", m.beat(), 0)
		d := x.describeGroup(g)
		equal(x, "state", d.State, "Stable")
		x.count("one member", len(d.Members), 1)
		x.that(d.Members[0].MemberID == m.id && string(d.Members[0].MemberAssignment) == "for "+m.id && d.Members[0].ClientID == ourClientID, "the member as it is", "%+v", d.Members[0])
		x.code("the leave", m.leave(), 0)
		x.code("a heartbeat after it", m.beat(), codeUnknownMember)
		equal(x, "state", x.describeGroup(g).State, "Empty")
	}
	const says = "A group lives from join, sync and heartbeats to leave: the leader's assignment reaches the member, DescribeGroups shows it, and the group is then Empty."
	return []rule{
		groupRule("life-join", kmsg.JoinGroup, says, protocolGuide+", KIP-394", life),
		groupRule("life-sync", kmsg.SyncGroup, says, protocolGuide+", KIP-559", life),
		groupRule("life-heartbeat", kmsg.Heartbeat, says, protocolGuide, life),
		groupRule("life-describe", kmsg.DescribeGroups, says, protocolGuide, life),
		groupRule("life-leave", kmsg.LeaveGroup, says, protocolGuide, life),
		groupRule("two-members", kmsg.JoinGroup, "A member that joins makes the others join again: their heartbeats say REBALANCE_IN_PROGRESS, the generation grows, and each gets its own assignment.", "KIP-62", twoMembers),
		groupRule("fenced", kmsg.Heartbeat, "A wrong generation is ILLEGAL_GENERATION, and a member that is not of the group UNKNOWN_MEMBER_ID.", "KIP-62", func(x *exam, g string) {
			m := x.newMember(g, nil)
			m.settle()
			old, nobody := *m, *m
			old.generation++
			x.code("another generation", old.beat(), codeIllegalGeneration)
			nobody.id = "nobody"
			x.code("another member", nobody.beat(), codeUnknownMember)
			x.code("the member", m.beat(), 0)
		}),
	}
}

// groupRefusalRules are about joins that are refused.
func groupRefusalRules() []rule {
	return []rule{
		groupRule("session-timeout", kmsg.JoinGroup, "A session timeout outside of group.min.session.timeout.ms and group.max.session.timeout.ms is INVALID_SESSION_TIMEOUT.", "Kafka documentation, group.min.session.timeout.ms", func(x *exam, g string) {
			for _, ms := range []int32{1, 99_000_000} {
				req := x.newMember(g, nil).joinRequest(x.version)
				req.SessionTimeoutMillis = ms
				x.code(fmt.Sprintf("%d ms", ms), askGroup[*kmsg.JoinGroupResponse](x, g, req).ErrorCode, codeInvalidSessionTimeout)
			}
		}),
		groupRule("join-refused", kmsg.JoinGroup, "An empty group id is INVALID_GROUP_ID, no protocols are INCONSISTENT_GROUP_PROTOCOL, and an unknown member id is UNKNOWN_MEMBER_ID.", protocolGuide+", JoinGroup", func(x *exam, g string) {
			for _, c := range []struct {
				what   string
				change func(*kmsg.JoinGroupRequest)
				code   int16
			}{
				{"an empty group id", func(r *kmsg.JoinGroupRequest) { r.Group = "" }, codeInvalidGroupID},
				{"no protocols", func(r *kmsg.JoinGroupRequest) { r.Protocols = nil }, codeInconsistentProtocol},
				{"an unknown member", func(r *kmsg.JoinGroupRequest) { r.MemberID = "nobody" }, codeUnknownMember},
			} {
				req := x.newMember(g, nil).joinRequest(x.version)
				c.change(req)
				x.code(c.what, askGroup[*kmsg.JoinGroupResponse](x, g, req).ErrorCode, c.code)
			}
		}),
		groupRule("protocols", kmsg.JoinGroup, "A member without a protocol in common with the group, or of another protocol type, is INCONSISTENT_GROUP_PROTOCOL.", protocolGuide+", JoinGroup", func(x *exam, g string) {
			x.newMember(g, nil).settle()
			other := x.newMember(g, nil)
			other.protocol = "sticky"
			x.code("another protocol", askGroup[*kmsg.JoinGroupResponse](x, g, other.joinRequest(x.version)).ErrorCode, codeInconsistentProtocol)
			req := x.newMember(g, nil).joinRequest(x.version)
			req.ProtocolType = "connect"
			x.code("another protocol type", askGroup[*kmsg.JoinGroupResponse](x, g, req).ErrorCode, codeInconsistentProtocol)
		}),
	}
}

// staticMemberRules are about members with names of their own.
func staticMemberRules() []rule {
	return []rule{
		{name: "group/static-return", key: kmsg.JoinGroup, min: 5, says: "A static member that comes back takes its place without a rebalance, with a new member id, and the old id is FENCED_INSTANCE_ID.", cites: "KIP-345",
			run: func(x *exam) {
				m := x.newMember(x.name("g"), ptr("instance"))
				m.settle()
				back := x.newMember(m.group, m.instance)
				resp := askGroup[*kmsg.JoinGroupResponse](x, m.group, back.joinRequest(x.version))
				back.joined(resp)
				equal(x, "generation", back.generation, m.generation)
				x.that(back.id != m.id, "a new member id", "the old one")
				x.code("a heartbeat of the old id", m.beat(), codeFencedInstanceID)
				x.code("a heartbeat of the new id", back.beat(), 0)
			}},
		{name: "group/leave-many", key: kmsg.LeaveGroup, min: 3, says: "From version 3 several members leave at once, each with its own code, also by instance id.", cites: "KIP-345",
			run: func(x *exam) {
				m := x.newMember(x.name("g"), ptr("instance"))
				m.settle()
				req := kmsg.NewPtrLeaveGroupRequest()
				req.Group = m.group
				req.Members = []kmsg.LeaveGroupRequestMember{{InstanceID: m.instance}, {MemberID: "nobody"}}
				resp := askGroup[*kmsg.LeaveGroupResponse](x, m.group, req)
				x.ok("the answer", resp.ErrorCode)
				x.count("two members in the answer", len(resp.Members), 2)
				for _, r := range resp.Members {
					want := codeUnknownMember
					if r.InstanceID != nil {
						want = 0
					}
					x.code("member "+r.MemberID, r.ErrorCode, want)
				}
			}},
	}
}

// groupAdminRules are about groups as tools see them.
func groupAdminRules() []rule {
	return []rule{
		groupRule("describe-unknown", kmsg.DescribeGroups, "A group that does not exist is shown as Dead, and from version 6 as GROUP_ID_NOT_FOUND.", "KIP-1043", func(x *exam, g string) {
			d := x.describeGroup(g)
			equal(x, "state", d.State, "Dead")
			var want int16
			if x.version >= 6 {
				want = codeGroupIDNotFound
			}
			x.code("the group", d.ErrorCode, want)
		}),
		groupRule("list", kmsg.ListGroups, "A group is listed by its coordinator, from version 4 by state and from 5 by type.", "KIP-518, KIP-848", func(x *exam, g string) {
			x.newMember(g, nil).settle()
			req := kmsg.NewPtrListGroupsRequest()
			req.StatesFilter, req.TypesFilter = []string{"Stable"}, []string{"classic"}
			has := func(req *kmsg.ListGroupsRequest) bool {
				resp := askGroup[*kmsg.ListGroupsResponse](x, g, req)
				x.ok("the answer", resp.ErrorCode)
				return slices.ContainsFunc(resp.Groups, func(l kmsg.ListGroupsResponseGroup) bool { return l.Group == g && l.ProtocolType == "consumer" })
			}
			x.that(has(req), "the group in the list", "it is not")
			if x.version >= 4 {
				other := kmsg.NewPtrListGroupsRequest()
				other.StatesFilter = []string{"Empty"}
				x.that(!has(other), "the group not among empty ones", "it is")
			}
			if x.version >= 5 {
				other := kmsg.NewPtrListGroupsRequest()
				other.TypesFilter = []string{"consumer"}
				x.that(!has(other), "the group not among those of the consumer protocol", "it is")
			}
		}),
		groupRule("delete", kmsg.DeleteGroups, "A group with members is NON_EMPTY_GROUP; an empty one is deleted, and is then GROUP_ID_NOT_FOUND.", "KIP-229", func(x *exam, g string) {
			m := x.newMember(g, nil)
			m.settle()
			x.code("the group with a member", x.deleteGroup(g), codeNonEmptyGroup)
			m.forget()
			x.code("the empty group", x.deleteGroup(g), 0)
			x.code("the group again", x.deleteGroup(g), codeGroupIDNotFound)
		}),
	}
}

func (x *exam) deleteGroup(g string) int16 {
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{g}
	resp := askGroup[*kmsg.DeleteGroupsResponse](x, g, req)
	x.count("one group in the answer", len(resp.Groups), 1)
	return resp.Groups[0].ErrorCode
}

// twoMembers lets a second member in. Joins wait for each other, so they go over connections of their own.
func twoMembers(x *exam, g string) {
	a, b := x.newMember(g, nil), x.newMember(g, nil)
	a.settle()
	first := a.generation
	if x.version >= 4 { // b's id comes with the refusal of its first join
		resp := askGroup[*kmsg.JoinGroupResponse](x, g, b.joinRequest(x.version))
		x.code("a first join without a member id", resp.ErrorCode, codeMemberIDRequired)
		b.id = resp.MemberID
	}
	answerB := x.pending(g, b.joinRequest(x.version))
	x.eventually("the heartbeats of the first member say REBALANCE_IN_PROGRESS", func() bool { return a.beat() == codeRebalanceInProgress })
	a.joined(askGroup[*kmsg.JoinGroupResponse](x, g, a.joinRequest(x.version)))
	b.joined(answerB().(*kmsg.JoinGroupResponse))
	x.that(a.generation > first, "a later generation", "%d after %d", a.generation, first)
	equal(x, "the generation of both", b.generation, a.generation)
	follower := x.pending(g, b.syncRequest())
	r := a.sync(a.id, b.id)
	x.ok("the leader's sync", r.ErrorCode)
	x.that(string(r.MemberAssignment) == "for "+a.id, "its own assignment", "%q", r.MemberAssignment)
	s := follower().(*kmsg.SyncGroupResponse)
	x.ok("the follower's sync", s.ErrorCode)
	x.that(string(s.MemberAssignment) == "for "+b.id, "its own assignment", "%q", s.MemberAssignment)
	x.code("a heartbeat", a.beat(), 0)
	x.code("a heartbeat", b.beat(), 0)
}

func (m *member) syncRequest() *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = m.group, m.generation, m.id, m.instance
	req.ProtocolType, req.Protocol = ptr("consumer"), &m.protocol
	return req
}

// pending sends a request to a group's coordinator on a connection of its own; its answer is read by the function.
func (x *exam) pending(group string, req kmsg.Request) func() kmsg.Response {
	x.setVersion(req)
	x.request = describe(req)
	c := x.fresh(x.coordinator(coordinatorGroup, group))
	frame, id := c.frame(req)
	x.must(c.send(frame) == nil, "the connection stays", "it was closed")
	return func() kmsg.Response {
		x.request = describe(req)
		b, err := c.receive(x.ctx)
		x.must(err == nil, "an answer", "%v", err)
		resp, err := decode(b, id, req)
		x.must(err == nil, "a readable answer", "%v", err)
		return resp
	}
}

func commitRules() []rule {
	return []rule{
		{name: "commit/read-back", key: kmsg.OffsetCommit, says: "A committed offset is read back, with its metadata; a later commit takes its place.", cites: protocolGuide + ", OffsetCommit",
			run: func(x *exam) {
				g := x.name("g")
				for _, at := range []int64{3, 4, 2} {
					x.code("the commit", x.commit(g, x.main, at, nil), 0)
					o := x.committed(g, x.main, false)
					x.ok("the partition", o.code)
					equal(x, "offset", o.offset, at)
					equal(x, "metadata", o.metadata, "note")
				}
			}},
		{name: "commit/refused", key: kmsg.OffsetCommit, says: "Of a member that is not of the group a commit is UNKNOWN_MEMBER_ID, of an old generation ILLEGAL_GENERATION, with too long metadata OFFSET_METADATA_TOO_LARGE.", cites: protocolGuide + ", OffsetCommit",
			run: func(x *exam) {
				m := x.newMember(x.name("g"), nil)
				m.settle()
				x.code("nobody's commit", x.commit(m.group, x.main, 1, func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = "nobody", m.generation }), codeUnknownMember)
				x.code("a commit of an old generation", x.commit(m.group, x.main, 1, func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = m.id, m.generation-1 }), codeIllegalGeneration)
				x.code("a commit from outside", x.commit(m.group, x.main, 1, nil), codeUnknownMember)
				long := string(slices.Repeat([]byte("m"), 4097))
				x.code("metadata of 4097 bytes", x.commit(m.group, x.main, 1, func(r *kmsg.OffsetCommitRequest) {
					r.MemberID, r.Generation, r.Topics[0].Partitions[0].Metadata = m.id, m.generation, &long
				}), codeMetadataTooLarge)
				equal(x, "offset", x.committed(m.group, x.main, false).offset, -1)
				x.code("the member's commit", x.commit(m.group, x.main, 1, func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = m.id, m.generation }), 0)
				equal(x, "offset", x.committed(m.group, x.main, false).offset, 1)
			}},
		{name: "commit/unknown-topic", key: kmsg.OffsetCommit, says: "A commit for a topic that does not exist is UNKNOWN_TOPIC_OR_PARTITION, or by id UNKNOWN_TOPIC_ID.", cites: "KIP-848",
			run: func(x *exam) {
				want := codeUnknownTopic
				if x.version >= 10 {
					want = codeUnknownTopicID
				}
				x.code("the commit", x.commit(x.name("g"), &topic{name: x.prefix + "never", id: noTopicID}, 1, nil), want)
			}},
	}
}

// offsetFetchRules are about reading committed offsets and deleting them.
func offsetFetchRules() []rule {
	return []rule{
		{name: "offset-fetch/nothing", key: kmsg.OffsetFetch, says: "Where nothing was committed the offset is -1, without an error.", cites: protocolGuide + ", OffsetFetch",
			run: func(x *exam) {
				o := x.committed(x.name("g"), x.main, false)
				x.ok("the partition", o.code)
				equal(x, "offset", o.offset, -1)
			}},
		{name: "offset-fetch/one", key: kmsg.OffsetFetch, says: "A committed offset is read back by partition, and from version 2 with all others of the group.", cites: protocolGuide + ", KIP-88",
			run: func(x *exam) {
				g := x.name("g")
				x.code("the commit", x.commit(g, x.main, 3, nil), 0)
				equal(x, "offset", x.committed(g, x.main, false).offset, 3)
				if x.version < 2 {
					return
				}
				req := kmsg.NewPtrOffsetFetchRequest()
				req.Group = g
				rg := kmsg.NewOffsetFetchRequestGroup()
				rg.Group = g
				req.Groups = append(req.Groups, rg)
				n := 0
				resp := askGroup[*kmsg.OffsetFetchResponse](x, g, req)
				for _, t := range resp.Topics {
					n += len(t.Partitions)
				}
				for _, rg := range resp.Groups {
					x.ok("the group", rg.ErrorCode)
					for _, t := range rg.Topics {
						n += len(t.Partitions)
					}
				}
				equal(x, "partitions of the whole group", n, 1)
			}},
		{name: "offset-fetch/groups", key: kmsg.OffsetFetch, min: 8, says: "From version 8 several groups are asked for at once.", cites: "KIP-709",
			run: func(x *exam) {
				a := x.name("g")
				b := a
				home := x.coordinator(coordinatorGroup, a)
				for b == a || x.coordinator(coordinatorGroup, b) != home {
					b = x.name("g")
				}
				x.code("the commit", x.commit(a, x.main, 3, nil), 0)
				req := x.offsetFetchRequest(a, x.main)
				req.Groups = append(req.Groups, x.offsetFetchRequest(b, x.main).Groups...)
				resp := askGroup[*kmsg.OffsetFetchResponse](x, a, req)
				x.count("two groups in the answer", len(resp.Groups), 2)
				for _, g := range resp.Groups {
					want := int64(-1)
					if g.Group == a {
						want = 3
					}
					x.ok("the group", g.ErrorCode)
					x.must(len(g.Topics) == 1 && len(g.Topics[0].Partitions) == 1, "one partition", "%+v", g.Topics)
					equal(x, "offset in "+g.Group, g.Topics[0].Partitions[0].Offset, want)
				}
			}},
		{name: "offset-delete/life", key: kmsg.OffsetDelete, says: "A committed offset is deleted; of a group that does not exist it is GROUP_ID_NOT_FOUND.", cites: "KIP-496",
			run: func(x *exam) {
				g := x.name("g")
				x.code("the commit", x.commit(g, x.main, 3, nil), 0)
				req := kmsg.NewPtrOffsetDeleteRequest()
				req.Group = g
				req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: x.main.name, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}}}
				resp := askGroup[*kmsg.OffsetDeleteResponse](x, g, req)
				x.ok("the answer", resp.ErrorCode)
				x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
				x.ok("the partition", resp.Topics[0].Partitions[0].ErrorCode)
				equal(x, "offset", x.committed(g, x.main, false).offset, -1)
				never := kmsg.NewPtrOffsetDeleteRequest()
				never.Group, never.Topics = x.name("g"), req.Topics
				x.code("a group that does not exist", askGroup[*kmsg.OffsetDeleteResponse](x, never.Group, never).ErrorCode, codeGroupIDNotFound)
			}},
	}
}

// commit commits an offset of partition 0, from outside of the group unless change says otherwise.
func (x *exam) commit(group string, t *topic, offset int64, change func(*kmsg.OffsetCommitRequest)) int16 {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation, req.RetentionTimeMillis = group, -1, -1
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.Metadata = offset, ptr("note")
	ct := kmsg.NewOffsetCommitRequestTopic()
	ct.Topic, ct.TopicID = t.name, t.id
	ct.Partitions = append(ct.Partitions, p)
	req.Topics = append(req.Topics, ct)
	if change != nil {
		change(req)
	}
	resp := askGroup[*kmsg.OffsetCommitResponse](x, group, req)
	x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
	return resp.Topics[0].Partitions[0].ErrorCode
}

// committedOffset is what a group has committed for partition 0.
type committedOffset struct {
	offset   int64
	metadata string
	code     int16
}

func (x *exam) offsetFetchRequest(group string, t *topic) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: t.name, Partitions: []int32{0}}}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	gt := kmsg.NewOffsetFetchRequestGroupTopic()
	gt.Topic, gt.TopicID, gt.Partitions = t.name, t.id, []int32{0}
	g.Topics = append(g.Topics, gt)
	req.Groups = append(req.Groups, g)
	return req
}

func (x *exam) committed(group string, t *topic, stable bool) committedOffset {
	req := x.offsetFetchRequest(group, t)
	req.RequireStable = stable
	resp := askGroup[*kmsg.OffsetFetchResponse](x, group, req)
	meta := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	if req.Version < 8 {
		x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
		p := resp.Topics[0].Partitions[0]
		return committedOffset{p.Offset, meta(p.Metadata), p.ErrorCode}
	}
	x.count("one group in the answer", len(resp.Groups), 1)
	x.ok("the group", resp.Groups[0].ErrorCode)
	x.must(len(resp.Groups[0].Topics) == 1 && len(resp.Groups[0].Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Groups[0].Topics)
	p := resp.Groups[0].Topics[0].Partitions[0]
	return committedOffset{p.Offset, meta(p.Metadata), p.ErrorCode}
}
