package broker

import (
	"errors"

	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterReplicaLogDirs begins to move replicas between this broker's log directories (KIP-113). v1-2. It makes
// directories, so it has a goroutine of its own.
func (b *Broker) alterReplicaLogDirs(r *server.Request) {
	go func() {
		req := r.Body.(*kmsg.AlterReplicaLogDirsRequest)
		resp := req.ResponseKind().(*kmsg.AlterReplicaLogDirsResponse)
		may := b.allowedCluster(r, security.OperationAlter)
		for _, d := range req.Dirs {
			for _, t := range d.Topics {
				out := answerFor(resp, t.Topic)
				for _, i := range t.Partitions {
					p := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
					p.Partition = i
					if may {
						p.ErrorCode = moveCode(b.replicas.MoveReplica(storage.TopicPartition{Topic: t.Topic, Partition: i}, d.Dir))
					} else {
						p.ErrorCode = kerr.ClusterAuthorizationFailed.Code
					}
					out.Partitions = append(out.Partitions, p)
				}
			}
		}
		r.Reply(resp)
	}()
}

// answerFor is the answer's part for a topic, which several directories of the request may name.
func answerFor(resp *kmsg.AlterReplicaLogDirsResponse, topic string) *kmsg.AlterReplicaLogDirsResponseTopic {
	for i := range resp.Topics {
		if resp.Topics[i].Topic == topic {
			return &resp.Topics[i]
		}
	}
	t := kmsg.NewAlterReplicaLogDirsResponseTopic()
	t.Topic = topic
	resp.Topics = append(resp.Topics, t)
	return &resp.Topics[len(resp.Topics)-1]
}

func moveCode(err error) int16 {
	switch {
	case errors.Is(err, storage.ErrUnknownDirectory):
		return kerr.LogDirNotFound.Code
	case errors.Is(err, replica.ErrNotLeader), errors.Is(err, replica.ErrUnknownTopicOrPartition), errors.Is(err, storage.ErrNotReady):
		return kerr.ReplicaNotAvailable.Code
	}
	return code(err)
}
