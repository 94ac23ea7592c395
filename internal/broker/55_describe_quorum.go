package broker

import (
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
	if !b.allowedCluster(r, security.OperationDescribe) {
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		r.Reply(resp)
		return
	}
	q := b.controller.Quorum()
	for _, t := range req.Topics {
		out := kmsg.NewDescribeQuorumResponseTopic()
		out.Topic = t.Topic
		for _, want := range t.Partitions {
			p := kmsg.NewDescribeQuorumResponseTopicPartition()
			p.Partition = want.Partition
			if t.Topic != metadataTopic || want.Partition != 0 {
				p.ErrorCode = kerr.UnknownTopicOrPartition.Code
			} else {
				p.LeaderID, p.LeaderEpoch, p.HighWatermark = q.LeaderID, q.LeaderEpoch, q.HighWatermark
				p.CurrentVoters, p.Observers = replicaStates(q.Voters), replicaStates(q.Observers)
			}
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	resp.Nodes = q.Nodes
	r.Reply(resp)
}

func replicaStates(replicas []QuorumReplica) []kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	out := make([]kmsg.DescribeQuorumResponseTopicPartitionReplicaState, 0, len(replicas))
	for _, q := range replicas {
		s := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		s.ReplicaID, s.ReplicaDirectoryID, s.LogEndOffset = q.ID, q.DirectoryID, q.LogEndOffset
		s.LastFetchTimestamp, s.LastCaughtUpTimestamp = q.LastFetchTimestamp, q.LastCaughtUpStamp
		out = append(out, s)
	}
	return out
}
