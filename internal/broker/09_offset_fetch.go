package broker

import (
	"sync"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetFetch reads a group's committed offsets. v1-10: all topics by null from 2,
// several groups from 8 (KIP-709), topics by id from 10. What may not be described
// is left out of "all" and refused where it is named.
func (b *Broker) offsetFetch(r *server.Request) {
	req := r.Body.(*kmsg.OffsetFetchRequest)
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	groups := req.Groups
	if r.Version < 8 {
		groups = []kmsg.OffsetFetchRequestGroup{singleGroup(req)}
	}
	results := make([]kmsg.OffsetFetchResponseGroup, len(groups))
	left := len(groups)
	if left == 0 {
		r.Reply(resp)
		return
	}
	var mu sync.Mutex
	for i := range groups {
		b.fetchGroup(r, &groups[i], req.RequireStable, func(g kmsg.OffsetFetchResponseGroup) {
			mu.Lock()
			results[i] = g
			left--
			last := left == 0
			mu.Unlock()
			if last {
				finishOffsetFetch(resp, results)
				r.Reply(resp)
			}
		})
	}
}

// finishOffsetFetch puts the groups into the shape of the version.
func finishOffsetFetch(resp *kmsg.OffsetFetchResponse, results []kmsg.OffsetFetchResponseGroup) {
	if resp.Version >= 8 {
		resp.Groups = results
		return
	}
	g := results[0]
	resp.ErrorCode = g.ErrorCode
	for _, t := range g.Topics {
		out := kmsg.NewOffsetFetchResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			o := kmsg.NewOffsetFetchResponseTopicPartition()
			o.Partition, o.Offset, o.LeaderEpoch = p.Partition, p.Offset, p.LeaderEpoch
			o.Metadata, o.ErrorCode = p.Metadata, p.ErrorCode
			if resp.Version < 2 && g.ErrorCode != 0 {
				o.ErrorCode = g.ErrorCode
			}
			out.Partitions = append(out.Partitions, o)
		}
		resp.Topics = append(resp.Topics, out)
	}
}

// singleGroup is the request of versions before 8 in the shape of those after.
func singleGroup(req *kmsg.OffsetFetchRequest) kmsg.OffsetFetchRequestGroup {
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = req.Group
	if req.Topics == nil && req.Version >= 2 {
		return g
	}
	g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	for _, t := range req.Topics {
		o := kmsg.NewOffsetFetchRequestGroupTopic()
		o.Topic, o.Partitions = t.Topic, t.Partitions
		g.Topics = append(g.Topics, o)
	}
	return g
}

// fetchGroup reads one group's offsets after asking what the client may see.
func (b *Broker) fetchGroup(r *server.Request, want *kmsg.OffsetFetchRequestGroup, stable bool, done func(kmsg.OffsetFetchResponseGroup)) {
	if !b.allowedGroup(r, security.OperationDescribe, want.Group) {
		done(refuseOffsets(want, kerr.GroupAuthorizationFailed.Code))
		return
	}
	all := want.Topics == nil
	asked := *want
	var refused []kmsg.OffsetFetchResponseGroupTopic
	if !all {
		asked.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
		for _, t := range want.Topics {
			if e := b.refuseOffsetTopic(r, &t); e != 0 {
				refused = append(refused, refuseTopic(&t, e))
				continue
			}
			asked.Topics = append(asked.Topics, t)
		}
		if len(asked.Topics) == 0 {
			g := kmsg.NewOffsetFetchResponseGroup()
			g.Group, g.Topics = want.Group, refused
			done(g)
			return
		}
	}
	b.groups.OffsetFetch(groupContext(r), r.Version, &asked, stable, func(g kmsg.OffsetFetchResponseGroup) {
		if all {
			g.Topics = security.Filter(b.authorizer, who(r), security.OperationDescribe, security.ResourceTopic, g.Topics,
				func(t kmsg.OffsetFetchResponseGroupTopic) string { return t.Topic })
		}
		b.addTopicIDs(r, &g)
		g.Topics = append(g.Topics, refused...)
		done(g)
	})
}

// refuseOffsetTopic fills in a topic's name from its id and says why it may not be read.
func (b *Broker) refuseOffsetTopic(r *server.Request, t *kmsg.OffsetFetchRequestGroupTopic) int16 {
	if r.Version >= 10 {
		known := b.Image().TopicByID(t.TopicID)
		if known == nil {
			return kerr.UnknownTopicID.Code
		}
		t.Topic = known.Name
	}
	if !b.allowedTopic(r, security.OperationDescribe, t.Topic) {
		return kerr.TopicAuthorizationFailed.Code
	}
	return 0
}

// addTopicIDs gives each topic its id from version 10 on; topics that are gone have none and are left out.
func (b *Broker) addTopicIDs(r *server.Request, g *kmsg.OffsetFetchResponseGroup) {
	if r.Version < 10 {
		return
	}
	img := b.Image()
	kept := g.Topics[:0]
	for _, t := range g.Topics {
		if known := img.Topic(t.Topic); known != nil {
			t.TopicID = known.ID
			kept = append(kept, t)
		}
	}
	g.Topics = kept
}

func refuseOffsets(want *kmsg.OffsetFetchRequestGroup, errorCode int16) kmsg.OffsetFetchResponseGroup {
	g := kmsg.NewOffsetFetchResponseGroup()
	g.Group, g.ErrorCode = want.Group, errorCode
	for i := range want.Topics {
		g.Topics = append(g.Topics, refuseTopic(&want.Topics[i], errorCode))
	}
	return g
}

func refuseTopic(t *kmsg.OffsetFetchRequestGroupTopic, errorCode int16) kmsg.OffsetFetchResponseGroupTopic {
	out := kmsg.NewOffsetFetchResponseGroupTopic()
	out.Topic, out.TopicID = t.Topic, t.TopicID
	for _, partition := range t.Partitions {
		p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.ErrorCode = partition, -1, -1, errorCode
		p.Metadata = new(string)
		out.Partitions = append(out.Partitions, p)
	}
	return out
}
