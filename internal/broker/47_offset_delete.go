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
	var refused []kmsg.OffsetDeleteResponseTopic
	asked := *req
	asked.Topics = nil
	for _, t := range req.Topics {
		e := int16(0)
		switch {
		case !b.allowedTopic(r, security.OperationRead, t.Topic):
			e = kerr.TopicAuthorizationFailed.Code
		case b.Image().Topic(t.Topic) == nil:
			e = kerr.UnknownTopicOrPartition.Code
		}
		if e == 0 {
			asked.Topics = append(asked.Topics, t)
			continue
		}
		out := kmsg.NewOffsetDeleteResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			o := kmsg.NewOffsetDeleteResponseTopicPartition()
			o.Partition, o.ErrorCode = p.Partition, e
			out.Partitions = append(out.Partitions, o)
		}
		refused = append(refused, out)
	}
	b.groups.OffsetDelete(groupContext(r), r.Version, &asked, func(resp *kmsg.OffsetDeleteResponse) {
		if resp.ErrorCode == 0 {
			resp.Topics = append(resp.Topics, refused...)
		}
		r.Reply(resp)
	})
}
