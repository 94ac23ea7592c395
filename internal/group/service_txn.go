package group

import (
	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// firstTxnLeaderEpochVersion is the first version of TxnOffsetCommit that carries leader epochs.
const firstTxnLeaderEpochVersion = 2

// firstTxnMemberVersion is the first version of TxnOffsetCommit that says which member commits.
const firstTxnMemberVersion = 3

// TxnOffsetCommit stores offsets that count from the moment at which the producer's transaction commits. guard is
// what lets the transaction's first records into the partition of the group; see coord.Batch.
func (s *Service) TxnOffsetCommit(_ RequestContext, version int16, req *kmsg.TxnOffsetCommitRequest, guard uint64, reply func(*kmsg.TxnOffsetCommitResponse)) {
	r := s.txnCommitOf(version, req, guard)
	resp := txnCommitShape(version, req)
	answer := func() {
		i := 0
		for t := range resp.Topics {
			for p := range resp.Topics[t].Partitions {
				resp.Topics[t].Partitions[p].ErrorCode = r.items[i].code
				i++
			}
		}
		reply(resp)
	}
	refuse := func(code int16) {
		for i := range r.items {
			if r.items[i].code == codeNone {
				r.items[i].code = code
			}
		}
		answer()
	}
	if code := checkGroupID(req.Group, false); code != codeNone {
		refuse(code)
		return
	}
	fail := func(err error) { refuse(commitCodeOf(err)) }
	s.do(r.group, func(sh *Shard, t *coord.Turn) {
		sh.commit(t, r)
		t.Reply(coord.Reply{Send: answer, Fail: fail})
	}, fail)
}

func (s *Service) txnCommitOf(version int16, req *kmsg.TxnOffsetCommitRequest, guard uint64) *commitRequest {
	r := &commitRequest{
		version: version, group: req.Group, generation: -1, retentionMs: -1,
		producer: &coord.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch, Guard: guard},
	}
	if version >= firstTxnMemberVersion {
		r.generation, r.memberID, r.instanceID = req.Generation, req.MemberID, clonePtr(req.InstanceID)
	}
	for _, topic := range req.Topics {
		id, _ := s.o.Topics.TopicID(topic.Topic)
		for _, p := range topic.Partitions {
			it := commitItem{topic: topic.Topic, topicID: id, partition: p.Partition, offset: p.Offset, leaderEpoch: -1}
			if version >= firstTxnLeaderEpochVersion {
				it.leaderEpoch = p.LeaderEpoch
			}
			if p.Metadata != nil {
				it.metadata = *p.Metadata
			}
			r.items = append(r.items, it)
		}
	}
	return r
}

func txnCommitShape(version int16, req *kmsg.TxnOffsetCommitRequest) *kmsg.TxnOffsetCommitResponse {
	resp := kmsg.NewPtrTxnOffsetCommitResponse()
	resp.Version = version
	for _, topic := range req.Topics {
		rt := kmsg.NewTxnOffsetCommitResponseTopic()
		rt.Topic = topic.Topic
		for _, p := range topic.Partitions {
			rp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			rp.Partition = p.Partition
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// EndTransaction writes a transaction's marker to partition p of Topic: what the producer's transaction has
// committed there counts from now on, or never will. done is called when the marker is committed, or with why it is not.
func (s *Service) EndTransaction(p int32, m coord.Marker, done func(error)) {
	s.rt.Do(p, func(_ *Shard, t *coord.Turn) {
		t.EndTransaction(m)
		t.Reply(coord.Reply{Send: func() { done(nil) }, Fail: done})
	}, done)
}
