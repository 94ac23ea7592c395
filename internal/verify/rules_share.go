package verify

import (
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Types of acknowledgement.
const (
	ackAccept  = 1
	ackRelease = 2
)

// sharer is a member of a share group.
type sharer struct {
	x       *exam
	group   string
	id      string
	epoch   int32
	topic   *topic
	session int32 // the next epoch of its share session with the leader
}

// newSharer is a member of a share group that reads from the log's start, on a topic with n records.
func (x *exam) newSharer(n int) *sharer {
	s := &sharer{x: x, group: x.name("s"), id: memberID(), topic: x.topic(1)}
	if n > 0 {
		x.produced(s.topic, newBatch(n))
	}
	x.ok("share.auto.offset.reset", x.alterOf(kmsg.ConfigResourceTypeGroupConfig, s.group, false, change{"share.auto.offset.reset", opSet, ptr("earliest")}))
	x.onEnd(func() { x.forgetConfig(s.group) })
	return s
}

// forgetConfig takes a group's config away, without checks.
func (x *exam) forgetConfig(group string) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	r.Configs = []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "share.auto.offset.reset", Op: opDelete}}
	req.Resources = append(req.Resources, r)
	x.try(x.any(), req)
}

func (s *sharer) heartbeat(epoch int32, topics []string) *kmsg.ShareGroupHeartbeatResponse {
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.GroupID, req.MemberID, req.MemberEpoch, req.SubscribedTopicNames = s.group, s.id, epoch, topics
	return askGroup[*kmsg.ShareGroupHeartbeatResponse](s.x, s.group, req)
}

// join joins and waits for the topic's partition.
func (s *sharer) join() {
	x := s.x
	resp := s.heartbeat(epochJoin, []string{s.topic.name})
	x.ok("the join", resp.ErrorCode)
	s.epoch = resp.MemberEpoch
	x.onEnd(func() { s.leave() })
	got := resp.Assignment
	x.eventually("the member is assigned the partition", func() bool {
		if got == nil || len(got.TopicPartitions) == 0 {
			resp := s.heartbeat(s.epoch, nil)
			x.ok("the heartbeat", resp.ErrorCode)
			s.epoch, got = resp.MemberEpoch, resp.Assignment
		}
		return got != nil && len(got.TopicPartitions) == 1 && got.TopicPartitions[0].TopicID == s.topic.id
	})
}

func (s *sharer) leave() {
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.GroupID, req.MemberID, req.MemberEpoch = s.group, s.id, epochLeave
	s.x.try(s.x.home(s.group), req)
}

// fetch fetches in the member's session, which it opens at first.
func (s *sharer) fetch(session int32) *kmsg.ShareFetchResponse {
	req := kmsg.NewPtrShareFetchRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &s.group, &s.id, session
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.MaxRecords, req.BatchSize = 300, 1, fetchBytes, 500, 500
	t := kmsg.NewShareFetchRequestTopic()
	t.TopicID = s.topic.id
	p := kmsg.NewShareFetchRequestTopicPartition()
	p.PartitionMaxBytes = fetchBytes
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return askLeader[*kmsg.ShareFetchResponse](s.x, s.topic, req)
}

// acquired are the ranges of records that an answer gives to the member.
func acquired(resp *kmsg.ShareFetchResponse) (out []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord) {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			out = append(out, p.AcquiredRecords...)
		}
	}
	return out
}

// acquire fetches until n records are acquired and returns how often they have been delivered.
func (s *sharer) acquire(n int) (delivered int16) {
	x := s.x
	got := 0
	x.eventually(fmt.Sprintf("%d records are acquired", n), func() bool {
		resp := s.fetch(s.session)
		x.ok("the fetch", resp.ErrorCode)
		s.session++
		for _, c := range codesIn(resp) {
			x.ok("the partition", c)
		}
		for _, a := range acquired(resp) {
			got += int(a.LastOffset - a.FirstOffset + 1)
			delivered = a.DeliveryCount
		}
		return got >= n
	})
	equal(x, "records acquired", got, n)
	return delivered
}

// acknowledge answers for records and returns the partition's code.
func (s *sharer) acknowledge(first, last int64, kind int8) int16 {
	req := kmsg.NewPtrShareAcknowledgeRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &s.group, &s.id, s.session
	s.session++
	t := kmsg.NewShareAcknowledgeRequestTopic()
	t.TopicID = s.topic.id
	p := kmsg.NewShareAcknowledgeRequestTopicPartition()
	p.AcknowledgementBatches = []kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{{FirstOffset: first, LastOffset: last, AcknowledgeTypes: []int8{kind}}}
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := askLeader[*kmsg.ShareAcknowledgeResponse](s.x, s.topic, req)
	s.x.ok("the answer", resp.ErrorCode)
	s.x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
	return resp.Topics[0].Partitions[0].ErrorCode
}

// start is the share-partition's start offset.
func (s *sharer) start() int64 {
	req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	req.Groups = []kmsg.DescribeShareGroupOffsetsRequestGroup{{GroupID: s.group, Topics: []kmsg.DescribeShareGroupOffsetsRequestGroupTopic{{Topic: s.topic.name, Partitions: []int32{0}}}}}
	resp := askGroup[*kmsg.DescribeShareGroupOffsetsResponse](s.x, s.group, req)
	s.x.count("one group in the answer", len(resp.Groups), 1)
	s.x.ok("the group", resp.Groups[0].ErrorCode)
	s.x.must(len(resp.Groups[0].Topics) == 1 && len(resp.Groups[0].Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Groups[0].Topics)
	return resp.Groups[0].Topics[0].Partitions[0].StartOffset
}

func shareRules() []rule {
	const kip = "KIP-932"
	all := []kmsg.Key{kmsg.ShareGroupHeartbeat, kmsg.ShareFetch, kmsg.ShareAcknowledge, kmsg.DescribeShareGroupOffsets}
	share := func(name string, key kmsg.Key, says string, run func(x *exam)) rule {
		return rule{name: "share/" + name, key: key, more: all, says: says, cites: kip, run: func(x *exam) {
			if x.cluster.feature("share.version") < 1 {
				x.skip("share.version is 0")
			}
			run(x)
		}}
	}
	life := func(x *exam) {
		s := x.newSharer(3)
		s.join()
		equal(x, "deliveries", s.acquire(3), 1)
		x.code("accepting two", s.acknowledge(1, 2, ackAccept), 0)
		x.code("releasing the first", s.acknowledge(0, 0, ackRelease), 0)
		x.code("accepting what is not acquired", s.acknowledge(0, 0, ackAccept), codeInvalidRecordState)
		equal(x, "deliveries of the released record", s.acquire(1), 2)
		x.code("accepting it", s.acknowledge(0, 0, ackAccept), 0)
		again := s.fetch(s.session)
		x.ok("the fetch", again.ErrorCode)
		equal(x, "records delivered again", len(acquired(again)), 0)
		x.that(s.start() >= 0 && s.start() <= 3, "a start from 0 to 3", "%d", s.start())
	}
	const says = "Records are acquired, accepted or released; released ones are delivered again, accepted ones never, and what is not acquired cannot be accepted: INVALID_RECORD_STATE."
	return []rule{
		share("life-heartbeat", kmsg.ShareGroupHeartbeat, says, life),
		share("life-fetch", kmsg.ShareFetch, says, life),
		share("life-acknowledge", kmsg.ShareAcknowledge, says, life),
		share("session", kmsg.ShareFetch, "A session epoch out of turn is INVALID_SHARE_SESSION_EPOCH, and a session that is not there SHARE_SESSION_NOT_FOUND.", func(x *exam) {
			s := x.newSharer(1)
			s.join()
			x.code("a session that is not there", s.fetch(5).ErrorCode, codeShareSessionNotFound)
			x.ok("the first fetch", s.fetch(0).ErrorCode)
			x.code("an epoch out of turn", s.fetch(7).ErrorCode, codeInvalidShareEpoch)
		}),
		share("refused", kmsg.ShareGroupHeartbeat, "Without a group id or a subscription a join is INVALID_REQUEST; a member that is not of the group is UNKNOWN_MEMBER_ID and an epoch that is ahead FENCED_MEMBER_EPOCH.", func(x *exam) {
			s := x.newSharer(0)
			s.join()
			x.code("an epoch that is ahead", s.heartbeat(s.epoch+5, nil).ErrorCode, codeFencedMemberEpoch)
			other := *s
			other.id = memberID()
			x.code("another member", other.heartbeat(1, nil).ErrorCode, codeUnknownMember)
			other.group = ""
			x.code("no group id", other.heartbeat(epochJoin, []string{s.topic.name}).ErrorCode, codeInvalidRequest)
		}),
		share("described", kmsg.ShareGroupDescribe, "ShareGroupDescribe tells a group's state and members; one that does not exist is GROUP_ID_NOT_FOUND.", func(x *exam) {
			s := x.newSharer(0)
			s.join()
			one := func(g string) kmsg.ShareGroupDescribeResponseGroup {
				req := kmsg.NewPtrShareGroupDescribeRequest()
				req.GroupIDs = []string{g}
				resp := askGroup[*kmsg.ShareGroupDescribeResponse](x, g, req)
				x.count("one group in the answer", len(resp.Groups), 1)
				return resp.Groups[0]
			}
			g := one(s.group)
			x.ok("the group", g.ErrorCode)
			equal(x, "state", g.GroupState, "Stable")
			x.count("one member", len(g.Members), 1)
			equal(x, "member", g.Members[0].MemberID, s.id)
			x.code("a group that does not exist", one(x.name("s")).ErrorCode, codeGroupIDNotFound)
		}),
		share("offsets-describe", kmsg.DescribeShareGroupOffsets, "DescribeShareGroupOffsets tells where a group starts.", offsetsLife),
		share("offsets-alter", kmsg.AlterShareGroupOffsets, "The offsets of an empty share group can be set; those of one with members are NON_EMPTY_GROUP.", offsetsLife),
		share("offsets-delete", kmsg.DeleteShareGroupOffsets, "The offsets of an empty share group can be deleted; those of one with members are NON_EMPTY_GROUP.", offsetsLife),
		share("state-initialize", kmsg.InitializeShareGroupState, stateSays, stateLife),
		share("state-read", kmsg.ReadShareGroupState, stateSays, stateLife),
		share("state-write", kmsg.WriteShareGroupState, stateSays, stateLife),
		share("state-summary", kmsg.ReadShareGroupStateSummary, stateSays, stateLife),
		share("state-delete", kmsg.DeleteShareGroupState, stateSays, stateLife),
	}
}

// offsetsLife sets and deletes the offsets of a group.
func offsetsLife(x *exam) {
	s := x.newSharer(3)
	s.join()
	s.acquire(3)
	x.code("setting while there is a member", s.alterStart(2), codeNonEmptyGroup)
	x.code("deleting while there is a member", s.deleteStart(), codeNonEmptyGroup)
	s.fetchClose()
	s.leave()
	x.code("setting", s.alterStart(2), 0)
	x.eventually("the group starts at 2", func() bool { return s.start() == 2 })
	x.code("deleting", s.deleteStart(), 0)
	equal(x, "start", s.start(), -1)
}

// fetchClose closes the session, which gives back what is acquired.
func (s *sharer) fetchClose() {
	req := kmsg.NewPtrShareFetchRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &s.group, &s.id, epochLeave
	s.x.ok("the end of the session", askLeader[*kmsg.ShareFetchResponse](s.x, s.topic, req).ErrorCode)
}

func (s *sharer) alterStart(to int64) int16 {
	req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	req.GroupID = s.group
	req.Topics = []kmsg.AlterShareGroupOffsetsRequestTopic{{Topic: s.topic.name, Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{StartOffset: to}}}}
	resp := askGroup[*kmsg.AlterShareGroupOffsetsResponse](s.x, s.group, req)
	if resp.ErrorCode != 0 {
		return resp.ErrorCode
	}
	s.x.must(len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", resp.Topics)
	return resp.Topics[0].Partitions[0].ErrorCode
}

func (s *sharer) deleteStart() int16 {
	req := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
	req.GroupID = s.group
	req.Topics = []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: s.topic.name}}
	resp := askGroup[*kmsg.DeleteShareGroupOffsetsResponse](s.x, s.group, req)
	if resp.ErrorCode != 0 {
		return resp.ErrorCode
	}
	s.x.must(len(resp.Topics) == 1, "one topic in the answer", "%+v", resp.Topics)
	return resp.Topics[0].ErrorCode
}

const stateSays = "The state of a share-partition is made, written, read and deleted at its share coordinator; what is written is read back."

// shareState is the state of a share-partition that no share group of the cluster knows.
type shareState struct {
	x     *exam
	group string
	topic *topic
}

// send sends to the share coordinator of the state's key.
func (s *shareState) send(req kmsg.Request) kmsg.Response {
	key := s.group + ":" + base64.RawURLEncoding.EncodeToString(s.topic.id[:]) + ":0"
	return s.x.sendTo(func() int32 { return s.x.shareCoordinator(key) }, req)
}

// shareCoordinator finds the coordinator of a share-partition, whose kind only version 6 of FindCoordinator knows.
func (x *exam) shareCoordinator(key string) int32 {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorType, req.CoordinatorKeys = x.cluster.highest(req.Key()), coordinatorShare, []string{key}
	resp := ask[*kmsg.FindCoordinatorResponse](x, req)
	x.count("one coordinator in the answer", len(resp.Coordinators), 1)
	if resp.Coordinators[0].ErrorCode == codeClusterAuthorization {
		x.skip("it is for brokers, and we may not do what they may")
	}
	x.ok("a coordinator:", resp.Coordinators[0].ErrorCode)
	return resp.Coordinators[0].NodeID
}

func stateLife(x *exam) {
	s := &shareState{x, x.name("s"), x.topic(1)}
	s.initialize()
	s.write(4)
	equal(x, "start that is read", s.read(), 4)
	equal(x, "start in the summary", s.summary(), 4)
	s.delete()
}

func (s *shareState) initialize() {
	req := kmsg.NewPtrInitializeShareGroupStateRequest()
	req.GroupID = s.group
	t := kmsg.NewInitializeShareGroupStateRequestTopic()
	t.TopicID = s.topic.id
	t.Partitions = []kmsg.InitializeShareGroupStateRequestTopicPartition{{StateEpoch: 1, StartOffset: 2}}
	req.Topics = append(req.Topics, t)
	// The coordinator may learn of the topic a little later than those whom clients ask for metadata.
	var resp kmsg.Response
	s.x.eventually("the share coordinator knows the topic", func() bool {
		resp = s.send(req)
		return !slices.Contains(codesIn(resp), codeUnknownTopic)
	})
	s.codes("making the state", resp)
}

func (s *shareState) write(start int64) {
	req := kmsg.NewPtrWriteShareGroupStateRequest()
	req.GroupID = s.group
	t := kmsg.NewWriteShareGroupStateRequestTopic()
	t.TopicID = s.topic.id
	p := kmsg.NewWriteShareGroupStateRequestTopicPartition()
	p.StateEpoch, p.StartOffset = 1, start
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	s.codes("writing the state", s.send(req))
}

func (s *shareState) read() int64 {
	req := kmsg.NewPtrReadShareGroupStateRequest()
	req.GroupID = s.group
	t := kmsg.NewReadShareGroupStateRequestTopic()
	t.TopicID = s.topic.id
	t.Partitions = []kmsg.ReadShareGroupStateRequestTopicPartition{{}}
	req.Topics = append(req.Topics, t)
	resp := s.send(req)
	s.codes("reading the state", resp)
	r := resp.(*kmsg.ReadShareGroupStateResponse)
	s.x.must(len(r.Topics) == 1 && len(r.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", r.Topics)
	return r.Topics[0].Partitions[0].StartOffset
}

func (s *shareState) summary() int64 {
	req := kmsg.NewPtrReadShareGroupStateSummaryRequest()
	req.GroupID = s.group
	t := kmsg.NewReadShareGroupStateSummaryRequestTopic()
	t.TopicID = s.topic.id
	t.Partitions = []kmsg.ReadShareGroupStateSummaryRequestTopicPartition{{}}
	req.Topics = append(req.Topics, t)
	resp := s.send(req)
	s.codes("reading the summary", resp)
	r := resp.(*kmsg.ReadShareGroupStateSummaryResponse)
	s.x.must(len(r.Topics) == 1 && len(r.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", r.Topics)
	return r.Topics[0].Partitions[0].StartOffset
}

func (s *shareState) delete() {
	req := kmsg.NewPtrDeleteShareGroupStateRequest()
	req.GroupID = s.group
	t := kmsg.NewDeleteShareGroupStateRequestTopic()
	t.TopicID = s.topic.id
	t.Partitions = []kmsg.DeleteShareGroupStateRequestTopicPartition{{}}
	req.Topics = append(req.Topics, t)
	s.codes("deleting the state", s.send(req))
}

// codes checks that every code of an answer is 0.
func (s *shareState) codes(what string, resp kmsg.Response) {
	cs := codesIn(resp)
	s.x.must(len(cs) > 0, "a code", "none")
	for _, c := range cs {
		if c == codeClusterAuthorization {
			s.x.skip("it is for brokers, and we may not do what they may")
		}
		s.x.ok(what, c)
	}
}

func streamsRules() []rule {
	const kip = "KIP-1071"
	return []rule{
		{name: "streams/life", key: kmsg.StreamsGroupHeartbeat, says: "A member of a streams group joins with its topology and is assigned a task for each partition of the source topic.", cites: kip,
			run: func(x *exam) {
				if x.cluster.feature("streams.version") < 1 {
					x.skip("streams.version is 0")
				}
				m := &streamer{x: x, group: x.name("streams"), id: memberID()}
				m.join()
				x.eventually("the only member has all tasks", func() bool { return m.poll() == int(x.main.partitions) })
			}},
		{name: "streams/refused", key: kmsg.StreamsGroupHeartbeat, says: "Without a group id a heartbeat is INVALID_REQUEST, and a member that is not of the group is UNKNOWN_MEMBER_ID.", cites: kip,
			run: func(x *exam) {
				if x.cluster.feature("streams.version") < 1 {
					x.skip("streams.version is 0")
				}
				m := &streamer{x: x, group: x.name("streams"), id: memberID()}
				m.join()
				other := *m
				other.id = memberID()
				x.code("another member", other.heartbeat(1, nil).ErrorCode, codeUnknownMember)
				other.group = ""
				x.code("no group id", other.heartbeat(epochJoin, nil).ErrorCode, codeInvalidRequest)
			}},
		{name: "streams/described", key: kmsg.StreamsGroupDescribe, says: "A streams group that does not exist is GROUP_ID_NOT_FOUND.", cites: kip,
			run: func(x *exam) {
				g := x.name("streams")
				req := kmsg.NewPtrStreamsGroupDescribeRequest()
				req.Groups = []string{g}
				resp := askGroup[*kmsg.StreamsGroupDescribeResponse](x, g, req)
				x.count("one group in the answer", len(resp.Groups), 1)
				if c := resp.Groups[0].ErrorCode; c == codeUnsupportedVersion {
					x.skip("streams groups are off")
				}
				x.code("the group", resp.Groups[0].ErrorCode, codeGroupIDNotFound)
			}},
	}
}

// streamer is a member of a streams group with one subtopology that reads the main topic.
type streamer struct {
	x     *exam
	group string
	id    string
	epoch int32
	tasks []kmsg.TaskIDs
}

func (m *streamer) heartbeat(epoch int32, change func(*kmsg.StreamsGroupHeartbeatRequest)) *kmsg.StreamsGroupHeartbeatResponse {
	req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = m.group, m.id, epoch, -1
	if change != nil {
		change(req)
	}
	return askGroup[*kmsg.StreamsGroupHeartbeatResponse](m.x, m.group, req)
}

func (m *streamer) join() {
	resp := m.heartbeat(epochJoin, func(req *kmsg.StreamsGroupHeartbeatRequest) {
		req.RebalanceTimeoutMillis, req.ProcessID = rebalanceTimeoutMs, ptr("process")
		sub := kmsg.NewStreamsGroupHeartbeatRequestTopologySubtopology()
		sub.SubtopologyID, sub.SourceTopics = "0", []string{m.x.main.name}
		sub.SourceTopicRegex, sub.StateChangelogTopics, sub.RepartitionSinkTopics, sub.RepartitionSourceTopics = []string{}, []kmsg.TopicInfo{}, []string{}, []kmsg.TopicInfo{}
		sub.CopartitionGroups = []kmsg.StreamsGroupHeartbeatRequestTopologySubtopologyCopartitionGroup{}
		top := kmsg.NewStreamsGroupHeartbeatRequestTopology()
		top.Subtopologies = append(top.Subtopologies, sub)
		req.Topology = &top
		req.ActiveTasks, req.StandbyTasks, req.WarmupTasks = []kmsg.TaskIDs{}, []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
		req.ClientTags = []kmsg.StreamsGroupHeartbeatRequestClientTag{}
	})
	m.x.ok("the join", resp.ErrorCode)
	m.take(resp)
	m.x.onEnd(func() { m.leave() })
}

func (m *streamer) take(resp *kmsg.StreamsGroupHeartbeatResponse) {
	m.epoch = resp.MemberEpoch
	if resp.ActiveTasks != nil {
		m.tasks = resp.ActiveTasks
	}
}

// poll heartbeats with the tasks that it has and returns how many they are.
func (m *streamer) poll() int {
	resp := m.heartbeat(m.epoch, func(req *kmsg.StreamsGroupHeartbeatRequest) {
		req.ActiveTasks, req.StandbyTasks, req.WarmupTasks = append([]kmsg.TaskIDs{}, m.tasks...), []kmsg.TaskIDs{}, []kmsg.TaskIDs{}
	})
	m.x.ok("the heartbeat", resp.ErrorCode)
	m.take(resp)
	n := 0
	for _, t := range m.tasks {
		n += len(t.Partitions)
	}
	return n
}

func (m *streamer) leave() {
	req := kmsg.NewPtrStreamsGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = m.group, m.id, epochLeave, -1
	m.x.try(m.x.home(m.group), req)
}
