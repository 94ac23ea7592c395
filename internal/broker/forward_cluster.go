package broker

import (
	"time"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// forwardCluster serves a request that is about the cluster as a whole: whoever may do op to the cluster may ask, and
// the controller's answer is the answer. failed makes one where there is none.
func (b *Broker) forwardCluster(r *server.Request, op security.Operation, timeout time.Duration, failed func(e *kerr.Error, why string) kmsg.Response) {
	if !b.allowedCluster(r, op) {
		r.Reply(failed(kerr.ClusterAuthorizationFailed, "Cluster authorization failed."))
		return
	}
	b.forward(r, r.Body, timeout, r.Reply, func(e *kerr.Error, why string) { r.Reply(failed(e, why)) })
}
