package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// unregisterBroker takes a broker out of the cluster for good (KIP-500). v0.
func (b *Broker) unregisterBroker(r *server.Request) {
	req := r.Body.(*kmsg.UnregisterBrokerRequest)
	b.forwardCluster(r, security.OperationAlter, 0, func(e *kerr.Error, why string) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.UnregisterBrokerResponse)
		resp.ErrorCode, resp.ErrorMessage = e.Code, text(why)
		return resp
	})
}
