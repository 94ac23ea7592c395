package broker

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetCommit stores offsets of a group. v2-10; topics by id from 10. What may not
// be read or does not exist is refused for itself, the rest is stored.
func (b *Broker) offsetCommit(r *server.Request) {
	req := r.Body.(*kmsg.OffsetCommitRequest)
	if e := b.readGroup(r, req.Group); e != 0 {
		r.Reply(offsetCommitError(req, e))
		return
	}
	var refused []kmsg.OffsetCommitResponseTopic
	accepted := *req
	accepted.Topics = nil
	for i := range req.Topics {
		t := req.Topics[i]
		refusedAll, bad := b.refuseCommit(r, &t)
		if refusedAll != 0 {
			refused = append(refused, commitResult(&t, refusedAll))
			continue
		}
		if len(bad.Partitions) > 0 {
			refused = append(refused, bad)
		}
		if len(t.Partitions) > 0 {
			accepted.Topics = append(accepted.Topics, t)
		}
	}
	if len(accepted.Topics) == 0 && len(refused) > 0 {
		resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		resp.Topics = refused
		r.Reply(resp)
		return
	}
	b.groups.OffsetCommit(groupContext(r), r.Version, &accepted, func(resp *kmsg.OffsetCommitResponse) {
		resp.Topics = mergeCommits(resp.Topics, refused)
		r.Reply(resp)
	})
}

// refuseCommit checks one topic: a code for all of it, or the partitions that do
// not exist, which it takes out of t. It fills in the name where the request gives an id.
func (b *Broker) refuseCommit(r *server.Request, t *kmsg.OffsetCommitRequestTopic) (int16, kmsg.OffsetCommitResponseTopic) {
	img := b.Image()
	var none kmsg.OffsetCommitResponseTopic
	if r.Version >= 10 {
		known := img.TopicByID(t.TopicID)
		if known == nil {
			return kerr.UnknownTopicID.Code, none
		}
		t.Topic = known.Name
	}
	if !b.allowedTopic(r, security.OperationRead, t.Topic) {
		return kerr.TopicAuthorizationFailed.Code, none
	}
	known := img.Topic(t.Topic)
	if known == nil {
		return kerr.UnknownTopicOrPartition.Code, none
	}
	bad := kmsg.NewOffsetCommitResponseTopic()
	bad.Topic, bad.TopicID = t.Topic, t.TopicID
	var good []kmsg.OffsetCommitRequestTopicPartition
	for _, p := range t.Partitions {
		if p.Partition >= 0 && int(p.Partition) < len(known.Partitions) {
			good = append(good, p)
			continue
		}
		o := kmsg.NewOffsetCommitResponseTopicPartition()
		o.Partition, o.ErrorCode = p.Partition, kerr.UnknownTopicOrPartition.Code
		bad.Partitions = append(bad.Partitions, o)
	}
	t.Partitions = good
	return 0, bad
}

// mergeCommits adds what was refused; a topic has one entry in the answer, since clients may keep only the last.
func mergeCommits(topics, refused []kmsg.OffsetCommitResponseTopic) []kmsg.OffsetCommitResponseTopic {
	for _, t := range refused {
		i := slices.IndexFunc(topics, func(o kmsg.OffsetCommitResponseTopic) bool {
			return o.TopicID == t.TopicID && (o.Topic == t.Topic || t.TopicID != [16]byte{})
		})
		if i < 0 {
			topics = append(topics, t)
			continue
		}
		topics[i].Partitions = append(topics[i].Partitions, t.Partitions...)
	}
	return topics
}

func commitResult(t *kmsg.OffsetCommitRequestTopic, errorCode int16) kmsg.OffsetCommitResponseTopic {
	out := kmsg.NewOffsetCommitResponseTopic()
	out.Topic, out.TopicID = t.Topic, t.TopicID
	for _, p := range t.Partitions {
		o := kmsg.NewOffsetCommitResponseTopicPartition()
		o.Partition, o.ErrorCode = p.Partition, errorCode
		out.Partitions = append(out.Partitions, o)
	}
	return out
}

func offsetCommitError(req *kmsg.OffsetCommitRequest, errorCode int16) *kmsg.OffsetCommitResponse {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for i := range req.Topics {
		resp.Topics = append(resp.Topics, commitResult(&req.Topics[i], errorCode))
	}
	return resp
}
