package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// onlyOnce is a list without its repetitions, in order.
func onlyOnce[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	once := list[:0:0]
	for _, v := range list {
		if !seen[v] {
			seen[v] = true
			once = append(once, v)
		}
	}
	return once
}

// deleteGroups deletes groups without members, with their offsets. v0-2.
func (b *Broker) deleteGroups(r *server.Request) {
	req := r.Body.(*kmsg.DeleteGroupsRequest)
	var refused []kmsg.DeleteGroupsResponseGroup
	asked := *req
	asked.Groups = nil
	for _, id := range onlyOnce(req.Groups) {
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
