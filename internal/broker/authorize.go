package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
)

// allowed asks whether the request may do op to the named resource.
func (b *Broker) allowed(r *server.Request, op security.Operation, t security.ResourceType, name string) bool {
	return b.open || security.Allowed(b.authorizer, r.SecurityContext(), security.On(op, t, name))
}

// allowedQuietly is allowed for things that the client did not ask for by name.
func (b *Broker) allowedQuietly(r *server.Request, op security.Operation, t security.ResourceType, name string) bool {
	return b.open || security.Allowed(b.authorizer, r.SecurityContext(), security.On(op, t, name).Quiet())
}

func (b *Broker) allowedTopic(r *server.Request, op security.Operation, topic string) bool {
	return b.allowed(r, op, security.ResourceTopic, topic)
}

func (b *Broker) allowedGroup(r *server.Request, op security.Operation, group string) bool {
	return b.allowed(r, op, security.ResourceGroup, group)
}

func (b *Broker) allowedCluster(r *server.Request, op security.Operation) bool {
	return b.allowed(r, op, security.ResourceCluster, security.ClusterName)
}

// operations is the bit set of what the request may do to a resource.
func (b *Broker) operations(r *server.Request, t security.ResourceType, name string) int32 {
	return security.AuthorizedOperations(b.authorizer, r.SecurityContext(), t, name)
}
