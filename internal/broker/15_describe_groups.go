package broker

import (
	"math"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeGroups shows classic groups with their members. v0-6; authorized operations from 3.
func (b *Broker) describeGroups(r *server.Request) {
	req := r.Body.(*kmsg.DescribeGroupsRequest)
	var refused []kmsg.DescribeGroupsResponseGroup
	asked := *req
	asked.Groups = nil
	for _, id := range req.Groups {
		if b.allowedGroup(r, security.OperationDescribe, id) {
			asked.Groups = append(asked.Groups, id)
			continue
		}
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.Group, g.ErrorCode, g.AuthorizedOperations = id, kerr.GroupAuthorizationFailed.Code, math.MinInt32
		refused = append(refused, g)
	}
	b.groups.DescribeGroups(groupContext(r), r.Version, &asked, func(resp *kmsg.DescribeGroupsResponse) {
		for i := range resp.Groups {
			g := &resp.Groups[i]
			g.AuthorizedOperations = math.MinInt32
			if req.IncludeAuthorizedOperations && g.ErrorCode == 0 {
				g.AuthorizedOperations = b.operations(r, security.ResourceGroup, g.Group)
			}
		}
		resp.Groups = append(resp.Groups, refused...)
		r.Reply(resp)
	})
}
