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
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		for _, want := range t.Partitions {
			p := kmsg.NewDeleteRecordsResponseTopicPartition()
			p.Partition = want.Partition
			p.LowWatermark, p.ErrorCode = b.deleteBefore(r, storage.TopicPartition{Topic: t.Topic, Partition: want.Partition}, want.Offset)
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	r.Reply(resp)
}

func (b *Broker) deleteBefore(r *server.Request, tp storage.TopicPartition, offset int64) (int64, int16) {
	if !b.allowedTopic(r, security.OperationDelete, tp.Topic) {
		return -1, kerr.TopicAuthorizationFailed.Code
	}
	if partitionOf(b.Image(), tp) == nil {
		return -1, kerr.UnknownTopicOrPartition.Code
	}
	if isInternal(tp.Topic) {
		return -1, kerr.InvalidTopicException.Code
	}
	if p, err := b.replicas.Partition(tp); err == nil {
		if log := p.Log(); log != nil && !log.Config().Delete {
			return -1, kerr.PolicyViolation.Code
		}
	}
	low, err := b.replicas.DeleteRecords(tp, offset)
	return low, code(err)
}
