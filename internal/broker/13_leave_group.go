package broker

import (
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaveGroup takes members out of a classic group; several, also by instance id, from version 3. v0-5.
func (b *Broker) leaveGroup(r *server.Request) {
	req := r.Body.(*kmsg.LeaveGroupRequest)
	if e := b.readGroup(r, req.Group); e != 0 {
		resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
		resp.ErrorCode = e
		r.Reply(resp)
		return
	}
	b.groups.LeaveGroup(groupContext(r), r.Version, req, func(resp *kmsg.LeaveGroupResponse) { r.Reply(resp) })
}
