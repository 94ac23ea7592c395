package broker

import (
	"context"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataTopic is the only topic that DescribeQuorum knows.
const metadataTopic = "__cluster_metadata"

// describeQuorum shows the metadata quorum (KIP-595, KIP-853). v0-2.
func (b *Broker) describeQuorum(r *server.Request) {
	req := r.Body.(*kmsg.DescribeQuorumRequest)
	resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	resp.ErrorMessage = new(string) // Kafka's schema: empty, never null
	if !b.allowedCluster(r, security.OperationDescribe) {
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		r.Reply(resp)
		return
	}
	go func() { // the controller is asked, and waited for
		ctx, cancel := context.WithTimeout(context.Background(), b.patience())
		defer cancel()
		state, nodes, err := b.controller.DescribeQuorum(ctx)
		for _, t := range req.Topics {
			resp.Topics = append(resp.Topics, describeQuorumTopic(t, state, err))
		}
		resp.Nodes = nodes
		r.Reply(resp)
	}()
}

func describeQuorumTopic(t kmsg.DescribeQuorumRequestTopic, state kmsg.DescribeQuorumResponseTopicPartition, err error) kmsg.DescribeQuorumResponseTopic {
	out := kmsg.NewDescribeQuorumResponseTopic()
	out.Topic = t.Topic
	for _, want := range t.Partitions {
		p := kmsg.NewDescribeQuorumResponseTopicPartition()
		switch {
		case t.Topic != metadataTopic || want.Partition != 0:
			p.ErrorCode = kerr.UnknownTopicOrPartition.Code
		case err != nil:
			p.ErrorCode, p.ErrorMessage = kerr.NotLeaderForPartition.Code, message(err)
		default:
			p = state
		}
		if p.ErrorMessage == nil {
			p.ErrorMessage = new(string) // Kafka's schema: empty, never null
		}
		p.Partition = want.Partition
		out.Partitions = append(out.Partitions, p)
	}
	return out
}
