package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// electLeaders makes preferred or other replicas lead (KIP-460). v0-2.
func (b *Broker) electLeaders(r *server.Request) {
	req := r.Body.(*kmsg.ElectLeadersRequest)
	b.forwardCluster(r, security.OperationAlter, millis(req.TimeoutMillis), func(e *kerr.Error, why string) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
		resp.ErrorCode = e.Code // v0 has no such field: each partition carries it
		for _, t := range req.Topics {
			o := kmsg.NewElectLeadersResponseTopic()
			o.Topic = t.Topic
			for _, i := range t.Partitions {
				p := kmsg.NewElectLeadersResponseTopicPartition()
				p.Partition, p.ErrorCode, p.ErrorMessage = i, e.Code, text(why)
				o.Partitions = append(o.Partitions, p)
			}
			resp.Topics = append(resp.Topics, o)
		}
		return resp
	})
}
