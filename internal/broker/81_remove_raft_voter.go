package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// removeRaftVoter takes a controller's vote away (KIP-853). v0.
func (b *Broker) removeRaftVoter(r *server.Request) {
	req := r.Body.(*kmsg.RemoveRaftVoterRequest)
	b.forwardCluster(r, security.OperationAlter, 0, func(e *kerr.Error, why string) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.RemoveRaftVoterResponse)
		resp.ErrorCode, resp.ErrorMessage = e.Code, text(why)
		return resp
	})
}
