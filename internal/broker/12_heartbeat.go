package broker

import (
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// heartbeat keeps a member of a classic group alive. v0-4.
func (b *Broker) heartbeat(r *server.Request) {
	req := r.Body.(*kmsg.HeartbeatRequest)
	if e := b.readGroup(r, req.Group); e != 0 {
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = e
		r.Reply(resp)
		return
	}
	b.groups.Heartbeat(groupContext(r), r.Version, req, func(resp *kmsg.HeartbeatResponse) { r.Reply(resp) })
}
