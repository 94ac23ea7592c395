package group

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// topicIDVersion is the first version of OffsetCommit and OffsetFetch that names topics by id.
	topicIDVersion = 10
	// lastRetentionVersion is the last version of OffsetCommit whose clients set a retention.
	lastRetentionVersion = 4
	// batchedFetchVersion is the first version of OffsetFetch that asks for several groups;
	// topLevelErrorVersion the first that can report an error of the whole group.
	batchedFetchVersion  = 8
	topLevelErrorVersion = 2
)

// OffsetCommit stores offsets. Topics and partitions are taken as they are: that they exist is the
// caller's to check, but ids are resolved here.
func (s *Service) OffsetCommit(_ RequestContext, version int16, req *kmsg.OffsetCommitRequest, reply func(*kmsg.OffsetCommitResponse)) {
	r := s.commitOf(version, req)
	// The answer has the shape of the request, whose memory is not ours for so long.
	resp := commitShape(version, req)
	answer := func() { reply(fillCommit(resp, r.items)) }
	fail := func(err error) {
		for i := range r.items {
			if r.items[i].code == codeNone {
				r.items[i].code = commitCodeOf(err)
			}
		}
		answer()
	}
	if code := checkGroupID(req.Group, true); code != codeNone {
		for i := range r.items {
			r.items[i].code = code
		}
		answer()
		return
	}
	s.do(r.group, func(sh *Shard, t *coord.Turn) {
		sh.commit(t, r)
		t.Reply(coord.Reply{Send: answer, Fail: fail})
	}, fail)
}

func (s *Service) commitOf(version int16, req *kmsg.OffsetCommitRequest) *commitRequest {
	r := &commitRequest{
		version:     version,
		group:       req.Group,
		memberID:    req.MemberID,
		instanceID:  clonePtr(req.InstanceID),
		generation:  req.Generation,
		retentionMs: -1,
	}
	if version <= lastRetentionVersion {
		r.retentionMs = req.RetentionTimeMillis
	}
	for _, topic := range req.Topics {
		name, id, code := topic.Topic, topic.TopicID, codeNone
		if version >= topicIDVersion {
			known := false
			if name, known = s.o.Topics.TopicName(id); !known {
				code = codeUnknownTopicID
			}
		} else {
			id, _ = s.o.Topics.TopicID(name)
		}
		for _, p := range topic.Partitions {
			it := commitItem{topic: name, topicID: id, partition: p.Partition, offset: p.Offset, leaderEpoch: p.LeaderEpoch, code: code}
			if version < 6 {
				it.leaderEpoch = -1
			}
			if p.Metadata != nil {
				it.metadata = *p.Metadata
			}
			r.items = append(r.items, it)
		}
	}
	return r
}

func commitShape(version int16, req *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	resp := kmsg.NewPtrOffsetCommitResponse()
	resp.Version = version
	for _, topic := range req.Topics {
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			rp := kmsg.NewOffsetCommitResponseTopicPartition()
			rp.Partition = p.Partition
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func fillCommit(resp *kmsg.OffsetCommitResponse, items []commitItem) *kmsg.OffsetCommitResponse {
	i := 0
	for t := range resp.Topics {
		for p := range resp.Topics[t].Partitions {
			resp.Topics[t].Partitions[p].ErrorCode = items[i].code
			i++
		}
	}
	return resp
}

// fetchGroup is one group of an OffsetFetch request, and its answer.
type fetchGroup struct {
	group  string
	all    bool
	topics []fetchTopic
	code   int16

	memberID    *string // who asks, if a member of a consumer group
	memberEpoch int32
}

type fetchTopic struct {
	topic      string
	topicID    [16]byte
	unknown    bool // the id is nobody's
	partitions []int32
	offsets    []fetchedOffset
}

// OffsetFetch gives committed offsets, of one group or, since version 8, of several.
func (s *Service) OffsetFetch(_ RequestContext, version int16, req *kmsg.OffsetFetchRequest, reply func(*kmsg.OffsetFetchResponse)) {
	groups := s.fetchesOf(version, req)
	requireStable := req.RequireStable
	gather := coord.NewGather(len(groups), func() { reply(fetchResponse(version, groups)) })
	for _, fg := range groups {
		fail := func(err error) { gather.Done(func() { fg.code = fetchCodeOf(err) }) }
		if code := checkGroupID(fg.group, true); code != codeNone {
			gather.Done(func() { fg.code = code })
			continue
		}
		s.do(fg.group, func(sh *Shard, t *coord.Turn) {
			s.fill(sh, fg, requireStable)
			t.Reply(coord.Reply{Send: func() { gather.Done(func() {}) }, Fail: fail})
		}, fail)
	}
}

func (s *Service) fetchesOf(version int16, req *kmsg.OffsetFetchRequest) []*fetchGroup {
	if version < batchedFetchVersion {
		fg := &fetchGroup{group: req.Group, memberEpoch: -1, all: version >= topLevelErrorVersion && req.Topics == nil}
		for _, t := range req.Topics {
			fg.topics = append(fg.topics, fetchTopic{topic: t.Topic, partitions: slices.Clone(t.Partitions)})
		}
		return []*fetchGroup{fg}
	}
	var out []*fetchGroup
	for _, g := range req.Groups {
		fg := &fetchGroup{group: g.Group, memberEpoch: -1, all: g.Topics == nil}
		if version >= memberEpochVersion {
			fg.memberID, fg.memberEpoch = clonePtr(g.MemberID), g.MemberEpoch
		}
		for _, t := range g.Topics {
			ft := fetchTopic{topic: t.Topic, topicID: t.TopicID, partitions: slices.Clone(t.Partitions)}
			if version >= topicIDVersion {
				name, known := s.o.Topics.TopicName(t.TopicID)
				ft.topic, ft.unknown = name, !known
			}
			fg.topics = append(fg.topics, ft)
		}
		out = append(out, fg)
	}
	return out
}

// fill answers fg from the shard.
func (s *Service) fill(sh *Shard, fg *fetchGroup, requireStable bool) {
	if code := sh.checkFetch(fg); code != codeNone {
		fg.code = code
		return
	}
	if fg.all {
		topics, byTopic := sh.fetchAll(fg.group, requireStable)
		for _, topic := range topics {
			id, _ := s.o.Topics.TopicID(topic)
			fg.topics = append(fg.topics, fetchTopic{topic: topic, topicID: id, offsets: byTopic[topic]})
		}
		return
	}
	for i := range fg.topics {
		ft := &fg.topics[i]
		if !ft.unknown {
			ft.offsets = sh.fetch(fg.group, ft.topic, ft.partitions, requireStable)
			continue
		}
		for _, p := range ft.partitions {
			ft.offsets = append(ft.offsets, noOffset(p, codeUnknownTopicID))
		}
	}
}

func fetchResponse(version int16, groups []*fetchGroup) *kmsg.OffsetFetchResponse {
	resp := kmsg.NewPtrOffsetFetchResponse()
	resp.Version = version
	if version < batchedFetchVersion {
		fillSingleFetch(resp, groups[0])
		return resp
	}
	for _, fg := range groups {
		rg := kmsg.NewOffsetFetchResponseGroup()
		rg.Group, rg.ErrorCode = fg.group, fg.code
		if fg.code == codeNone {
			for _, ft := range fg.topics {
				if version >= topicIDVersion && ft.topicID == ([16]byte{}) && !ft.unknown {
					continue // all topics were asked for, and this one no longer has an id
				}
				rt := kmsg.NewOffsetFetchResponseGroupTopic()
				rt.Topic, rt.TopicID = ft.topic, ft.topicID
				for _, o := range ft.offsets {
					rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
					metadata := o.metadata
					rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata, rp.ErrorCode = o.partition, o.offset, o.leaderEpoch, &metadata, o.code
					rt.Partitions = append(rt.Partitions, rp)
				}
				rg.Topics = append(rg.Topics, rt)
			}
		}
		resp.Groups = append(resp.Groups, rg)
	}
	return resp
}

// fillSingleFetch makes the answer of versions 1 to 7. Version 1 has no place for the group's
// error but its partitions.
func fillSingleFetch(resp *kmsg.OffsetFetchResponse, fg *fetchGroup) {
	if fg.code != codeNone && resp.Version >= topLevelErrorVersion {
		resp.ErrorCode = fg.code
		return
	}
	for _, ft := range fg.topics {
		rt := kmsg.NewOffsetFetchResponseTopic()
		rt.Topic = ft.topic
		offsets := ft.offsets
		if fg.code != codeNone {
			offsets = nil
			for _, p := range ft.partitions {
				offsets = append(offsets, noOffset(p, fg.code))
			}
		}
		for _, o := range offsets {
			rp := kmsg.NewOffsetFetchResponseTopicPartition()
			metadata := o.metadata
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata, rp.ErrorCode = o.partition, o.offset, o.leaderEpoch, &metadata, o.code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
}

// OffsetDelete forgets offsets of topics that the group does not read.
func (s *Service) OffsetDelete(_ RequestContext, version int16, req *kmsg.OffsetDeleteRequest, reply func(*kmsg.OffsetDeleteResponse)) {
	var items []deleteItem
	resp := kmsg.NewPtrOffsetDeleteResponse()
	resp.Version = version
	for _, topic := range req.Topics {
		rt := kmsg.NewOffsetDeleteResponseTopic()
		rt.Topic = topic.Topic
		for _, p := range topic.Partitions {
			items = append(items, deleteItem{topic: topic.Topic, partition: p.Partition})
			rp := kmsg.NewOffsetDeleteResponseTopicPartition()
			rp.Partition = p.Partition
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	answer := func(code int16) {
		if resp.ErrorCode = code; code != codeNone {
			resp.Topics = nil
		}
		i := 0
		for t := range resp.Topics {
			for p := range resp.Topics[t].Partitions {
				resp.Topics[t].Partitions[p].ErrorCode = items[i].code
				i++
			}
		}
		reply(resp)
	}
	fail := func(err error) { answer(codeOf(err)) }
	if code := checkGroupID(req.Group, false); code != codeNone {
		answer(code)
		return
	}
	group := req.Group
	s.do(group, func(sh *Shard, t *coord.Turn) {
		code := sh.deleteOffsets(t, group, items)
		t.Reply(coord.Reply{Send: func() { answer(code) }, Fail: fail})
	}, fail)
}

// TopicPartition names a partition that is gone.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// PartitionsDeleted forgets, in every group that this broker coordinates, the offsets for
// partitions whose topic was deleted. done is called when that is committed, or
// with the first reason for which some of it is not.
func (s *Service) PartitionsDeleted(gone []TopicPartition, done func(error)) {
	set := make(map[topicPartition]struct{}, len(gone))
	for _, tp := range gone {
		set[topicPartition{tp.Topic, tp.Partition}] = struct{}{}
	}
	var first error
	partitions := s.rt.Partitions()
	gather := coord.NewGather(len(partitions), func() { done(first) })
	for _, p := range partitions {
		fail := func(err error) {
			gather.Done(func() {
				if first == nil {
					first = err
				}
			})
		}
		s.rt.Do(p, func(sh *Shard, t *coord.Turn) {
			sh.partitionsDeleted(t, set)
			t.Reply(coord.Reply{Send: func() { gather.Done(func() {}) }, Fail: fail})
		}, fail)
	}
}
