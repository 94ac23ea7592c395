package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteRecords moves the start of logs forward (KIP-107). v0-2; -1 means the high watermark.
// It syncs checkpoints, so it has a goroutine of its own.
func (b *Broker) deleteRecords(r *server.Request) {
	go b.deleteRecordsAndReply(r)
}

func (b *Broker) deleteRecordsAndReply(r *server.Request) {
	req := r.Body.(*kmsg.DeleteRecordsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	deadline := b.clock.Now().Add(millis(max(req.TimeoutMillis, 0)))
	type pending struct {
		topic, partition int
		tp               storage.TopicPartition
	}
	var all []pending // all are begun before any is waited for
	offsets := map[storage.TopicPartition]int64{}
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		for _, want := range t.Partitions {
			p := kmsg.NewDeleteRecordsResponseTopicPartition()
			p.Partition = want.Partition
			p.LowWatermark = -1
			tp := storage.TopicPartition{Topic: t.Topic, Partition: want.Partition}
			if p.ErrorCode = b.mayDeleteRecords(r, tp); p.ErrorCode == 0 {
				all = append(all, pending{i, len(out.Partitions), tp})
				offsets[tp] = want.Offset // of a partition that is named twice the last counts
			}
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	begun, failed := b.replicas.DeleteRecords(offsets)
	for _, x := range all {
		out := &resp.Topics[x.topic].Partitions[x.partition]
		if err := failed[x.tp]; err != nil {
			out.ErrorCode = code(err)
			continue
		}
		low, err := begun[x.tp].Wait(deadline)
		out.LowWatermark, out.ErrorCode = low, code(err)
	}
	r.Reply(resp)
}

// mayDeleteRecords says why records of a partition may not be deleted.
func (b *Broker) mayDeleteRecords(r *server.Request, tp storage.TopicPartition) int16 {
	switch {
	case !b.allowedTopic(r, security.OperationDelete, tp.Topic):
		return kerr.TopicAuthorizationFailed.Code
	case partitionOf(b.Image(), tp) == nil:
		return kerr.UnknownTopicOrPartition.Code
	case isInternal(tp.Topic):
		return kerr.InvalidTopicException.Code
	}
	if p, err := b.replicas.Partition(tp); err == nil {
		if log := p.Log(); log != nil && !log.Config().Delete {
			return kerr.PolicyViolation.Code
		}
	}
	return 0
}
