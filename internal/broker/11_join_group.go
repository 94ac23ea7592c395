package broker

import (
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinGroup enters a member into a classic group. v0-9: rebalance timeout from 1,
// the member id comes first from 4 (KIP-394), static members from 5 (KIP-345).
func (b *Broker) joinGroup(r *server.Request) {
	req := r.Body.(*kmsg.JoinGroupRequest)
	if e := b.readGroup(r, req.Group); e != 0 {
		resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
		resp.ErrorCode, resp.Generation, resp.MemberID = e, -1, req.MemberID
		r.Reply(resp)
		return
	}
	b.groups.JoinGroup(groupContext(r), r.Version, req, func(resp *kmsg.JoinGroupResponse) { r.Reply(resp) })
}
