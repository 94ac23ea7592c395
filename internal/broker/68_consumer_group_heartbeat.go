package broker

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerProtocol is the name of the group protocol of KIP-848 in group.coordinator.rebalance.protocols.
const consumerProtocol = "consumer"

// consumerGroupsServed tells whether this broker offers groups of the consumer protocol.
func (b *Broker) consumerGroupsServed() bool {
	return slices.Contains(b.conf().List(config.GroupCoordinatorRebalanceProtocols), consumerProtocol)
}

// consumerGroupHeartbeat joins, keeps and leaves a group of the consumer protocol (KIP-848). v0-1: subscriptions by
// regular expression, and member ids made by clients, from 1.
func (b *Broker) consumerGroupHeartbeat(r *server.Request) {
	req := r.Body.(*kmsg.ConsumerGroupHeartbeatRequest)
	refuse := func(e *kerr.Error) {
		resp := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
		resp.ErrorCode = e.Code
		r.Reply(resp)
	}
	switch {
	case !b.consumerGroupsServed():
		refuse(kerr.UnsupportedVersion)
		return
	case !b.allowedGroup(r, security.OperationRead, req.Group):
		refuse(kerr.GroupAuthorizationFailed)
		return
	case slices.ContainsFunc(req.SubscribedTopicNames, func(topic string) bool { return !b.allowedTopic(r, security.OperationDescribe, topic) }):
		refuse(kerr.TopicAuthorizationFailed)
		return
	}
	mayDescribe := func(topic string) bool { return true }
	if !b.open {
		mayDescribe = func(topic string) bool {
			return b.allowedQuietly(r, security.OperationDescribe, security.ResourceTopic, topic)
		}
	}
	b.groups.ConsumerGroupHeartbeat(groupContext(r), r.Version, req, mayDescribe, func(resp *kmsg.ConsumerGroupHeartbeatResponse) { r.Reply(resp) })
}
