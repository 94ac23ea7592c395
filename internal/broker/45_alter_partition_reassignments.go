package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterPartitionReassignments moves partitions to other brokers (KIP-455). v0-1.
func (b *Broker) alterPartitionReassignments(r *server.Request) {
	req := r.Body.(*kmsg.AlterPartitionAssignmentsRequest)
	b.forwardCluster(r, security.OperationAlter, millis(req.TimeoutMillis), func(e *kerr.Error, why string) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
		resp.ErrorCode, resp.ErrorMessage = e.Code, text(why)
		return resp
	})
}
