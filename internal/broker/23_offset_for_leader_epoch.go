package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetForLeaderEpoch tells where leader epochs ended (KIP-101, KIP-320). v2-4.
func (b *Broker) offsetForLeaderEpoch(r *server.Request) {
	req := r.Body.(*kmsg.OffsetForLeaderEpochRequest)
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	replica := b.allowedQuietly(r, security.OperationClusterAction, security.ResourceCluster, security.ClusterName)
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewOffsetForLeaderEpochResponseTopic()
		out.Topic = t.Topic
		allowed := replica || b.allowedTopic(r, security.OperationDescribe, t.Topic)
		for _, want := range t.Partitions {
			p := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			p.Partition, p.LeaderEpoch, p.EndOffset = want.Partition, -1, -1
			if !allowed {
				p.ErrorCode = kerr.TopicAuthorizationFailed.Code
			} else {
				tp := storage.TopicPartition{Topic: t.Topic, Partition: want.Partition}
				end, err := b.replicas.EndOffsetForEpoch(tp, want.CurrentLeaderEpoch, want.LeaderEpoch)
				p.ErrorCode, p.LeaderEpoch, p.EndOffset = code(err), end.Epoch, end.EndOffset
			}
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	r.Reply(resp)
}
