package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetFetch reads committed offsets of groups. v1-10: all topics by null from 2,
// several groups from 8 (KIP-709), topics by id from 10. What may not be described
// is left out of "all" and refused where it is named.
func (b *Broker) offsetFetch(r *server.Request) {
	req := r.Body.(*kmsg.OffsetFetchRequest)
	switch {
	case b.open:
		b.groups.OffsetFetch(groupContext(r), r.Version, req, func(resp *kmsg.OffsetFetchResponse) { r.Reply(resp) })
	case r.Version < 8:
		b.offsetFetchOne(r, req)
	default:
		b.offsetFetchMany(r, req)
	}
}

// offsetFetchOne is the shape before version 8: one group at the top level.
func (b *Broker) offsetFetchOne(r *server.Request, req *kmsg.OffsetFetchRequest) {
	var refused []kmsg.OffsetFetchResponseTopic
	groupAllowed := b.allowedGroup(r, security.OperationDescribe, req.Group)
	asked := *req
	if req.Topics != nil {
		asked.Topics = []kmsg.OffsetFetchRequestTopic{}
	}
	for _, t := range req.Topics {
		switch {
		case !groupAllowed:
			refused = append(refused, refusedOffsets(t, kerr.GroupAuthorizationFailed))
		case !b.allowedTopic(r, security.OperationDescribe, t.Topic):
			refused = append(refused, refusedOffsets(t, kerr.TopicAuthorizationFailed))
		default:
			asked.Topics = append(asked.Topics, t)
		}
	}
	if !groupAllowed {
		resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		resp.ErrorCode, resp.Topics = kerr.GroupAuthorizationFailed.Code, refused
		r.Reply(resp)
		return
	}
	b.groups.OffsetFetch(groupContext(r), r.Version, &asked, func(resp *kmsg.OffsetFetchResponse) {
		if req.Topics == nil {
			resp.Topics = security.Filter(b.authorizer, r.SecurityContext(), security.OperationDescribe, security.ResourceTopic, resp.Topics,
				func(t kmsg.OffsetFetchResponseTopic) string { return t.Topic })
		}
		resp.Topics = append(resp.Topics, refused...)
		r.Reply(resp)
	})
}

func refusedOffsets(t kmsg.OffsetFetchRequestTopic, e *kerr.Error) kmsg.OffsetFetchResponseTopic {
	out := kmsg.NewOffsetFetchResponseTopic()
	out.Topic = t.Topic
	for _, partition := range t.Partitions {
		p := kmsg.NewOffsetFetchResponseTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.ErrorCode, p.Metadata = partition, -1, -1, e.Code, new(string)
		out.Partitions = append(out.Partitions, p)
	}
	return out
}

// offsetFetchMany is the shape from version 8 on.
func (b *Broker) offsetFetchMany(r *server.Request, req *kmsg.OffsetFetchRequest) {
	asked := *req
	asked.Groups = nil
	var refusedGroups []kmsg.OffsetFetchResponseGroup
	refusedTopics := make(map[string][]kmsg.OffsetFetchResponseGroupTopic)
	all := make(map[string]bool)
	for _, g := range req.Groups {
		if !b.allowedGroup(r, security.OperationDescribe, g.Group) {
			out := kmsg.NewOffsetFetchResponseGroup()
			out.Group, out.ErrorCode = g.Group, kerr.GroupAuthorizationFailed.Code
			refusedGroups = append(refusedGroups, out)
			continue
		}
		all[g.Group] = g.Topics == nil
		g.Topics, refusedTopics[g.Group] = b.splitOffsetTopics(r, g.Topics)
		asked.Groups = append(asked.Groups, g)
	}
	b.groups.OffsetFetch(groupContext(r), r.Version, &asked, func(resp *kmsg.OffsetFetchResponse) {
		for i := range resp.Groups {
			g := &resp.Groups[i]
			if all[g.Group] {
				g.Topics = security.Filter(b.authorizer, r.SecurityContext(), security.OperationDescribe, security.ResourceTopic, g.Topics,
					func(t kmsg.OffsetFetchResponseGroupTopic) string { return b.nameOf(r, t.Topic, t.TopicID) })
			}
			g.Topics = append(g.Topics, refusedTopics[g.Group]...)
		}
		resp.Groups = append(resp.Groups, refusedGroups...)
		r.Reply(resp)
	})
}

// splitOffsetTopics parts the topics that may be described from those that are refused.
func (b *Broker) splitOffsetTopics(r *server.Request, topics []kmsg.OffsetFetchRequestGroupTopic) (allowed []kmsg.OffsetFetchRequestGroupTopic, refused []kmsg.OffsetFetchResponseGroupTopic) {
	if topics == nil {
		return nil, nil
	}
	allowed = []kmsg.OffsetFetchRequestGroupTopic{}
	for _, t := range topics {
		name := b.nameOf(r, t.Topic, t.TopicID)
		if name == "" || b.allowedTopic(r, security.OperationDescribe, name) {
			allowed = append(allowed, t) // an id that nobody has is the coordinator's to refuse
			continue
		}
		out := kmsg.NewOffsetFetchResponseGroupTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		for _, partition := range t.Partitions {
			p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch, p.ErrorCode, p.Metadata = partition, -1, -1, kerr.TopicAuthorizationFailed.Code, new(string)
			out.Partitions = append(out.Partitions, p)
		}
		refused = append(refused, out)
	}
	return allowed, refused
}

// nameOf is a topic's name, found by its id from version 10 on; empty when there is none.
func (b *Broker) nameOf(r *server.Request, name string, id [16]byte) string {
	if r.Version < 10 {
		return name
	}
	if t := b.Image().TopicByID(id); t != nil {
		return t.Name
	}
	return ""
}
