package broker

import (
	"math"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerGroupDescribe shows groups of the consumer protocol with their members. v0-1; the type of a member from 1.
// A group whose members have partitions of a topic that the client may not describe is refused as a whole.
func (b *Broker) consumerGroupDescribe(r *server.Request) {
	req := r.Body.(*kmsg.ConsumerGroupDescribeRequest)
	var refused []kmsg.ConsumerGroupDescribeResponseGroup
	refuse := func(id string, e *kerr.Error) {
		g := kmsg.NewConsumerGroupDescribeResponseGroup()
		g.Group, g.ErrorCode, g.AuthorizedOperations = id, e.Code, math.MinInt32
		refused = append(refused, g)
	}
	asked := *req
	asked.Groups = nil
	for _, id := range req.Groups {
		switch {
		case !b.consumerGroupsServed():
			refuse(id, kerr.UnsupportedVersion)
		case !b.allowedGroup(r, security.OperationDescribe, id):
			refuse(id, kerr.GroupAuthorizationFailed)
		default:
			asked.Groups = append(asked.Groups, id)
		}
	}
	b.groups.ConsumerGroupDescribe(groupContext(r), r.Version, &asked, func(resp *kmsg.ConsumerGroupDescribeResponse) {
		for i := range resp.Groups {
			g := &resp.Groups[i]
			b.hideTopics(r, g)
			if req.IncludeAuthorizedOperations && g.ErrorCode == 0 {
				g.AuthorizedOperations = b.operations(r, security.ResourceGroup, g.Group)
			}
		}
		resp.Groups = append(resp.Groups, refused...)
		r.Reply(resp)
	})
}

// hideTopics refuses a group that tells of topics that the client may not describe.
func (b *Broker) hideTopics(r *server.Request, g *kmsg.ConsumerGroupDescribeResponseGroup) {
	if b.open {
		return
	}
	for i := range g.Members {
		m := &g.Members[i]
		names := append([]string(nil), m.SubscribedTopics...)
		for _, a := range []kmsg.Assignment{m.Assignment, m.TargetAssignment} {
			for _, t := range a.TopicPartitions {
				names = append(names, t.Topic)
			}
		}
		for _, topic := range names {
			if !b.allowedQuietly(r, security.OperationDescribe, security.ResourceTopic, topic) {
				g.ErrorCode, g.Members = kerr.TopicAuthorizationFailed.Code, nil
				g.ErrorMessage = text("The group has described topic(s) that the client is not authorized to describe.")
				return
			}
		}
	}
}
