package broker

import "github.com/moldau-stream/moldau/internal/server"

// acls answers DescribeAcls, CreateAcls and DeleteAcls (KIP-140): there is no authorizer that could keep ACLs. v1-3 each.
func (*Broker) acls(r *server.Request) { server.ReplyWithoutAuthorizer(r) }
