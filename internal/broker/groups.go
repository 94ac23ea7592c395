package broker

import (
	"github.com/moldau-stream/moldau/internal/group"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
)

// groupContext is what the group coordinator wants to know of who asks.
func groupContext(r *server.Request) group.RequestContext {
	return group.RequestContext{ClientID: r.ClientID, ClientHost: "/" + r.Conn.RemoteHost()}
}

// readGroup is the code for a client that may not READ a group; 0 when it may.
func (b *Broker) readGroup(r *server.Request, id string) int16 {
	if b.allowedGroup(r, security.OperationRead, id) {
		return 0
	}
	return kerr.GroupAuthorizationFailed.Code
}
