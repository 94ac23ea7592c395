package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listGroups lists the groups that this broker coordinates and that the client
// may see. v0-5: filter by state from 4, by type from 5.
func (b *Broker) listGroups(r *server.Request) {
	req := r.Body.(*kmsg.ListGroupsRequest)
	everything := b.open || b.allowedQuietly(r, security.OperationDescribe, security.ResourceCluster, security.ClusterName)
	b.groups.ListGroups(groupContext(r), r.Version, req, func(resp *kmsg.ListGroupsResponse) {
		if !everything {
			resp.Groups = security.Filter(b.authorizer, r.SecurityContext(), security.OperationDescribe, security.ResourceGroup, resp.Groups,
				func(g kmsg.ListGroupsResponseGroup) string { return g.Group })
		}
		r.Reply(resp)
	})
}
