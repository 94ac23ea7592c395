package broker

import (
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// syncGroup hands the leader's assignment to every member. v0-5.
func (b *Broker) syncGroup(r *server.Request) {
	req := r.Body.(*kmsg.SyncGroupRequest)
	if e := b.readGroup(r, req.Group); e != 0 {
		resp := req.ResponseKind().(*kmsg.SyncGroupResponse)
		resp.ErrorCode = e
		r.Reply(resp)
		return
	}
	b.groups.SyncGroup(groupContext(r), r.Version, req, func(resp *kmsg.SyncGroupResponse) { r.Reply(resp) })
}
