package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// addRaftVoter gives a controller a vote (KIP-853). v0-1.
func (b *Broker) addRaftVoter(r *server.Request) {
	req := r.Body.(*kmsg.AddRaftVoterRequest)
	b.forwardCluster(r, security.OperationAlter, millis(req.TimeoutMillis), func(e *kerr.Error, why string) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.AddRaftVoterResponse)
		resp.ErrorCode, resp.ErrorMessage = e.Code, text(why)
		return resp
	})
}
