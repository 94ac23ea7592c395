package group

import (
	"math"
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clientMemberIDVersion is the first version of ConsumerGroupHeartbeat whose clients make their member ids.
const clientMemberIDVersion = 1

// ConsumerGroupHeartbeat is how members join, stay in and leave a consumer group. mayDescribe tells whether the client may
// know of a topic that its regular expression matches; it is called before ConsumerGroupHeartbeat's reply.
func (s *Service) ConsumerGroupHeartbeat(rc RequestContext, version int16, req *kmsg.ConsumerGroupHeartbeatRequest, mayDescribe func(topic string) bool, reply func(*kmsg.ConsumerGroupHeartbeatResponse)) {
	memberID := req.MemberID
	var once coord.Latch
	answer := func(a heartbeatAnswer) {
		if once.Pass() {
			reply(heartbeatResponse(version, memberID, a))
		}
	}
	if why := s.checkHeartbeat(version, req); why != nil {
		memberID = ""
		answer(heartbeatAnswer{refused: why})
		return
	}
	if memberID == "" {
		memberID = s.o.NewID()
	}
	r := &heartbeatRequest{
		group: req.Group, memberID: memberID, epoch: req.MemberEpoch, instanceID: clonePtr(req.InstanceID), rackID: clonePtr(req.RackID),
		rebalanceTimeoutMs: req.RebalanceTimeoutMillis, topics: sortedOnce(req.SubscribedTopicNames), topicsKnown: req.SubscribedTopicNames != nil,
		regex: clonePtr(req.SubscribedTopicRegex), assignor: clonePtr(req.ServerAssignor), ownedKnown: req.Topics != nil, owned: assignment{},
		clientID: cut(rc.ClientID, maxIDBytes), clientHost: cut(rc.ClientHost, maxIDBytes), mayDescribe: mayDescribe, answer: answer,
	}
	for _, t := range req.Topics {
		r.owned[t.TopicID] = append(r.owned[t.TopicID], t.Partitions...)
	}
	fail := func(err error) { answer(heartbeatAnswer{refused: &refusal{code: codeOf(err)}}) }
	s.do(req.Group, func(sh *Shard, t *coord.Turn) {
		t.OnPanic(fail)
		sh.consumerHeartbeat(t, r)
	}, fail)
}

// checkHeartbeat refuses what no group could serve.
func (s *Service) checkHeartbeat(version int16, req *kmsg.ConsumerGroupHeartbeatRequest) *refusal {
	invalid := func(text string) *refusal { return &refusal{code: codeInvalidRequest, text: text} }
	isEmpty := func(s *string) bool { return s != nil && *s == "" }
	switch {
	case (version >= clientMemberIDVersion || req.MemberEpoch > 0 || req.MemberEpoch == leaveEpoch) && req.MemberID == "":
		return invalid("MemberId can't be empty.")
	case req.Group == "":
		return invalid("GroupId can't be empty.")
	case isEmpty(req.InstanceID):
		return invalid("InstanceId can't be empty.")
	case isEmpty(req.RackID):
		return invalid("RackId can't be empty.")
	case req.MemberEpoch == 0 && req.RebalanceTimeoutMillis == -1:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	case req.MemberEpoch == 0 && (req.Topics == nil || len(req.Topics) > 0):
		return invalid("TopicPartitions must be empty when (re-)joining.")
	case req.MemberEpoch == 0 && req.SubscribedTopicNames == nil && req.SubscribedTopicRegex == nil:
		return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	case req.MemberEpoch == staticAwayEpoch && req.InstanceID == nil:
		return invalid("InstanceId can't be null.")
	case req.MemberEpoch < staticAwayEpoch:
		return invalid("MemberEpoch is invalid.")
	case req.ServerAssignor != nil && !slices.Contains(s.o.Config.Consumer.Assignors, *req.ServerAssignor):
		return refuse(codeUnsupportedAssignor, "ServerAssignor %s is not supported. Supported assignors: %s.", *req.ServerAssignor, joined(s.o.Config.Consumer.Assignors))
	}
	if !heartbeatFits(req) {
		return invalid("A name is longer than a record can hold.")
	}
	return nil
}

// heartbeatFits tells whether the request's names can be stored; records count their lengths in 16 bits.
func heartbeatFits(req *kmsg.ConsumerGroupHeartbeatRequest) bool {
	fits := func(s *string) bool { return s == nil || len(*s) <= maxIDBytes }
	return fits(&req.Group) && fits(&req.MemberID) && fits(req.InstanceID) && fits(req.RackID) && fits(req.SubscribedTopicRegex) &&
		!slices.ContainsFunc(req.SubscribedTopicNames, func(name string) bool { return len(name) > maxIDBytes })
}

func joined(names []string) string {
	out := ""
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out
}

func heartbeatResponse(version int16, memberID string, a heartbeatAnswer) *kmsg.ConsumerGroupHeartbeatResponse {
	r := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	r.Version = version
	if a.refused != nil {
		r.ErrorCode = a.refused.code
		if a.refused.text != "" {
			r.ErrorMessage = &a.refused.text
		}
		return r
	}
	r.MemberID, r.MemberEpoch, r.HeartbeatIntervalMillis = &memberID, a.epoch, a.intervalMs
	if a.assigned != nil {
		r.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{}
		for _, topic := range sortedTopicIDs(a.assigned) {
			t := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
			t.TopicID, t.Partitions = topic, a.assigned[topic]
			r.Assignment.Topics = append(r.Assignment.Topics, t)
		}
	}
	return r
}

// ConsumerGroupDescribe shows consumer groups. Authorized operations, and what the client may see of topics, are the caller's.
func (s *Service) ConsumerGroupDescribe(_ RequestContext, version int16, req *kmsg.ConsumerGroupDescribeRequest, reply func(*kmsg.ConsumerGroupDescribeResponse)) {
	resp := kmsg.NewPtrConsumerGroupDescribeResponse()
	resp.Version = version
	ids := slices.Clone(req.Groups)
	resp.Groups = make([]kmsg.ConsumerGroupDescribeResponseGroup, len(ids))
	gather := coord.NewGather(len(ids), func() { reply(resp) })
	for i, id := range ids {
		put := func(d kmsg.ConsumerGroupDescribeResponseGroup) {
			d.Group, d.AuthorizedOperations = id, math.MinInt32 // not asked for
			gather.Done(func() { resp.Groups[i] = d })
		}
		fail := func(code int16) {
			d := kmsg.NewConsumerGroupDescribeResponseGroup()
			d.ErrorCode = code
			put(d)
		}
		if code := checkGroupID(id, false); code != codeNone {
			fail(code)
			continue
		}
		s.do(id, func(sh *Shard, t *coord.Turn) {
			d := sh.describeConsumer(id)
			t.Reply(coord.Reply{Send: func() { put(d) }, Fail: func(err error) { fail(codeOf(err)) }})
		}, func(err error) { fail(codeOf(err)) })
	}
}

// describeConsumer is one group as ConsumerGroupDescribe shows it.
func (s *Shard) describeConsumer(id string) kmsg.ConsumerGroupDescribeResponseGroup {
	d := kmsg.NewConsumerGroupDescribeResponseGroup()
	g := s.consumers[id]
	if g == nil {
		text := "Group " + id + " not found."
		if s.exists(id) {
			text = "Group " + id + " is not a consumer group."
		}
		d.ErrorCode, d.ErrorMessage = codeGroupIDNotFound, &text
		return d
	}
	d.State, d.Epoch, d.AssignmentEpoch = g.state(), g.epoch, g.targetEpoch
	d.AssignorName = (&draft{s: s, g: g}).assignorName()
	meta := s.metadata()
	for _, m := range g.sortedMembers() {
		x := kmsg.NewConsumerGroupDescribeResponseGroupMember()
		x.MemberID, x.InstanceID, x.RackID, x.MemberEpoch = m.id, m.instanceID, m.rackID, m.epoch
		x.ClientID, x.ClientHost, x.SubscribedTopics = m.clientID, m.clientHost, m.topics
		text := m.regexText() // Kafka shows none as an empty one
		x.SubscribedTopicRegex = &text
		x.Assignment, x.TargetAssignment = described(m.holds().assignment(), meta), described(g.target[m.id], meta)
		if x.MemberType = 1; m.classic != nil {
			x.MemberType = 0
		}
		d.Members = append(d.Members, x)
	}
	return d
}

func described(a assignment, meta Metadata) kmsg.Assignment {
	var out kmsg.Assignment
	for _, topic := range sortedTopicIDs(a) {
		info, ok := meta.TopicByID(topic)
		if !ok {
			continue // it is deleted, and about to be taken from the member
		}
		t := kmsg.NewAssignmentTopicPartition()
		t.TopicID, t.Topic, t.Partitions = topic, info.Name, a[topic]
		out.TopicPartitions = append(out.TopicPartitions, t)
	}
	return out
}
