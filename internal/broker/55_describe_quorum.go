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
	if !asksForMetadata(req) {
		resp.Topics = unknownPartitions(req)
		r.Reply(resp)
		return
	}
	go func() { // the controller is asked, and waited for
		ctx, cancel := context.WithTimeout(context.Background(), b.patience())
		defer cancel()
		state, nodes, err := b.controller.DescribeQuorum(ctx)
		if err != nil {
			state = kmsg.NewDescribeQuorumResponseTopicPartition()
			state.ErrorCode, state.ErrorMessage = kerr.NotLeaderForPartition.Code, message(err)
		}
		if state.ErrorMessage == nil {
			state.ErrorMessage = new(string)
		}
		out := kmsg.NewDescribeQuorumResponseTopic()
		out.Topic, out.Partitions = metadataTopic, append(out.Partitions, state)
		resp.Topics, resp.Nodes = append(resp.Topics, out), nodes
		r.Reply(resp)
	}()
}

// asksForMetadata: partition 0 of the metadata topic, nothing else, is what there is to describe.
func asksForMetadata(req *kmsg.DescribeQuorumRequest) bool {
	return len(req.Topics) == 1 && req.Topics[0].Topic == metadataTopic &&
		len(req.Topics[0].Partitions) == 1 && req.Topics[0].Partitions[0].Partition == 0
}

func unknownPartitions(req *kmsg.DescribeQuorumRequest) []kmsg.DescribeQuorumResponseTopic {
	var topics []kmsg.DescribeQuorumResponseTopic
	for _, t := range req.Topics {
		out := kmsg.NewDescribeQuorumResponseTopic()
		out.Topic = t.Topic
		for _, want := range t.Partitions {
			p := kmsg.NewDescribeQuorumResponseTopicPartition()
			p.Partition, p.ErrorCode = want.Partition, kerr.UnknownTopicOrPartition.Code
			p.ErrorMessage = text("only partition 0 of " + metadataTopic + " has a quorum to describe")
			out.Partitions = append(out.Partitions, p)
		}
		topics = append(topics, out)
	}
	return topics
}
