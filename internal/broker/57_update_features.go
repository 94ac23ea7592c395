package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// updateFeatures finalizes feature levels (KIP-584). v0-2.
func (b *Broker) updateFeatures(r *server.Request) {
	req := r.Body.(*kmsg.UpdateFeaturesRequest)
	b.forwardCluster(r, security.OperationAlter, millis(req.TimeoutMillis), func(e *kerr.Error, why string) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.UpdateFeaturesResponse)
		resp.ErrorCode, resp.ErrorMessage = e.Code, text(why)
		return resp
	})
}
