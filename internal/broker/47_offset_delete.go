package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetDelete forgets committed offsets of topics that the group does not read (KIP-496). v0.
func (b *Broker) offsetDelete(r *server.Request) {
	req := r.Body.(*kmsg.OffsetDeleteRequest)
	if !b.allowedGroup(r, security.OperationDelete, req.Group) {
		resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
		resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		r.Reply(resp)
		return
	}
	asked, refused := b.splitOffsetDelete(r, req)
	b.groups.OffsetDelete(groupContext(r), r.Version, asked, func(resp *kmsg.OffsetDeleteResponse) {
		if resp.ErrorCode == 0 {
			resp.Topics = mergeOffsetDelete(resp.Topics, refused)
		}
		r.Reply(resp)
	})
}

// splitOffsetDelete takes out of a request what the client may not touch and what does not exist.
func (b *Broker) splitOffsetDelete(r *server.Request, req *kmsg.OffsetDeleteRequest) (*kmsg.OffsetDeleteRequest, []kmsg.OffsetDeleteResponseTopic) {
	asked := *req
	asked.Topics = nil
	var refused []kmsg.OffsetDeleteResponseTopic
	for _, t := range req.Topics {
		allowed := b.allowedTopic(r, security.OperationRead, t.Topic)
		known, out := t, kmsg.NewOffsetDeleteResponseTopic()
		known.Partitions, out.Topic = nil, t.Topic
		for _, p := range t.Partitions {
			e := kerr.UnknownTopicOrPartition
			if !allowed {
				e = kerr.TopicAuthorizationFailed
			} else if b.Image().Partition(t.Topic, p.Partition) != nil {
				known.Partitions = append(known.Partitions, p)
				continue
			}
			o := kmsg.NewOffsetDeleteResponseTopicPartition()
			o.Partition, o.ErrorCode = p.Partition, e.Code
			out.Partitions = append(out.Partitions, o)
		}
		if len(known.Partitions) > 0 {
			asked.Topics = append(asked.Topics, known)
		}
		if len(out.Partitions) > 0 {
			refused = append(refused, out)
		}
	}
	return &asked, refused
}

// mergeOffsetDelete puts both kinds of answers for a topic under one head.
func mergeOffsetDelete(topics, refused []kmsg.OffsetDeleteResponseTopic) []kmsg.OffsetDeleteResponseTopic {
	at := make(map[string]int, len(topics))
	for i := range topics {
		at[topics[i].Topic] = i
	}
	for _, t := range refused {
		if i, ok := at[t.Topic]; ok {
			topics[i].Partitions = append(topics[i].Partitions, t.Partitions...)
			continue
		}
		topics = append(topics, t)
	}
	return topics
}
