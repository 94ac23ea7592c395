package broker

import (
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// firstVersionOf says from which version a special timestamp may be asked for.
var firstVersionOf = map[int64]int16{
	replica.LatestTimestamp: 1, replica.EarliestTimestamp: 1, replica.MaxTimestamp: 7,
	replica.EarliestLocalTimestamp: 8, replica.LatestTieredTimestamp: 9, replica.EarliestPendingUpload: 11,
}

// noReplica is the replica id of a consumer.
const noReplica = -1

// listOffsets finds offsets by timestamp. v1-11.
func (b *Broker) listOffsets(r *server.Request) {
	req := r.Body.(*kmsg.ListOffsetsRequest)
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	twice := listedTwice(req)
	iso := replica.ReadUncommitted
	switch {
	case req.ReplicaID != noReplica:
		iso = replica.ReadLogEnd
	case req.IsolationLevel == 1:
		iso = replica.ReadCommitted
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewListOffsetsResponseTopic()
		out.Topic = t.Topic
		allowed := b.allowedTopic(r, security.OperationDescribe, t.Topic)
		for j := range t.Partitions {
			want := &t.Partitions[j]
			tp := storage.TopicPartition{Topic: t.Topic, Partition: want.Partition}
			again := twice[tp]
			if again == answered {
				continue
			}
			if again == namedAgain && allowed {
				twice[tp] = answered
			}
			p := kmsg.NewListOffsetsResponseTopicPartition()
			p.Partition, p.Offset, p.Timestamp, p.LeaderEpoch = want.Partition, -1, -1, -1
			switch {
			case !allowed:
				p.ErrorCode = kerr.TopicAuthorizationFailed.Code
			case again == namedAgain:
				p.ErrorCode = kerr.InvalidRequest.Code
			case want.Timestamp < 0 && !mayAsk(want.Timestamp, r.Version):
				p.ErrorCode = kerr.UnsupportedVersion.Code
			default:
				b.listOffset(&p, tp, want, iso, r.Version)
			}
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	r.Reply(resp)
}

func mayAsk(timestamp int64, version int16) bool {
	first, ok := firstVersionOf[timestamp]
	return ok && version >= first
}

func (b *Broker) listOffset(p *kmsg.ListOffsetsResponseTopicPartition, tp storage.TopicPartition,
	want *kmsg.ListOffsetsRequestTopicPartition, iso replica.Isolation, version int16) {
	epoch := want.CurrentLeaderEpoch
	if version < 4 {
		epoch = -1
	}
	found, err := b.replicas.ListOffset(tp, want.Timestamp, iso, epoch)
	p.ErrorCode = code(err)
	if p.ErrorCode == kerr.OffsetNotAvailable.Code && version < 5 {
		p.ErrorCode = kerr.LeaderNotAvailable.Code
	}
	if err == nil {
		p.Offset, p.Timestamp, p.LeaderEpoch = found.Offset, found.TimestampMs, found.LeaderEpoch
	}
}

// How often a request names a partition: Kafka refuses, once, what is named more than once.
const (
	namedOnly = iota
	namedAgain
	answered
)

func listedTwice(req *kmsg.ListOffsetsRequest) map[storage.TopicPartition]int {
	seen := make(map[storage.TopicPartition]int)
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			tp := storage.TopicPartition{Topic: req.Topics[i].Topic, Partition: req.Topics[i].Partitions[j].Partition}
			if _, again := seen[tp]; again {
				seen[tp] = namedAgain
			} else {
				seen[tp] = namedOnly
			}
		}
	}
	return seen
}
