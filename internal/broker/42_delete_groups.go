package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteGroups deletes groups without members, with their offsets. v0-2.
func (b *Broker) deleteGroups(r *server.Request) {
	req := r.Body.(*kmsg.DeleteGroupsRequest)
	var refused []kmsg.DeleteGroupsResponseGroup
	asked := *req
	asked.Groups = nil
	for _, id := range req.Groups {
		if b.allowedGroup(r, security.OperationDelete, id) {
			asked.Groups = append(asked.Groups, id)
			continue
		}
		g := kmsg.NewDeleteGroupsResponseGroup()
		g.Group, g.ErrorCode = id, kerr.GroupAuthorizationFailed.Code
		refused = append(refused, g)
	}
	b.groups.DeleteGroups(groupContext(r), r.Version, &asked, func(resp *kmsg.DeleteGroupsResponse) {
		resp.Groups = append(resp.Groups, refused...)
		r.Reply(resp)
	})
}
