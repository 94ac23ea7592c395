package broker

import (
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeProducers lists the producers that partitions remember (KIP-664). v0.
func (b *Broker) describeProducers(r *server.Request) {
	req := r.Body.(*kmsg.DescribeProducersRequest)
	resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
	for _, t := range req.Topics {
		out := kmsg.NewDescribeProducersResponseTopic()
		out.Topic = t.Topic
		named := meta.CheckTopicName(t.Topic)
		allowed := named == nil && b.allowedTopic(r, security.OperationRead, t.Topic)
		for _, i := range t.Partitions {
			p := kmsg.NewDescribeProducersResponseTopicPartition()
			p.Partition = i
			switch {
			case named != nil:
				p.ErrorCode, p.ErrorMessage = kerr.InvalidTopicException.Code, message(named)
			case !allowed:
				p.ErrorCode = kerr.TopicAuthorizationFailed.Code
			default:
				producers, err := b.replicas.ActiveProducers(storage.TopicPartition{Topic: t.Topic, Partition: i})
				p.ErrorCode, p.ErrorMessage, p.ActiveProducers = code(err), message(err), activeProducers(producers)
			}
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	r.Reply(resp)
}

func activeProducers(states []storage.ProducerState) []kmsg.DescribeProducersResponseTopicPartitionActiveProducer {
	var out []kmsg.DescribeProducersResponseTopicPartitionActiveProducer
	for _, s := range states {
		p := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		p.ProducerID, p.ProducerEpoch = s.ProducerID, int32(s.ProducerEpoch)
		p.LastSequence, p.LastTimestamp = s.LastSequence, s.LastTimestampMs
		p.CoordinatorEpoch, p.CurrentTxnStartOffset = s.CoordinatorEpoch, s.CurrentTxnStartOffset
		out = append(out, p)
	}
	return out
}
