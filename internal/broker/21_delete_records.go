package broker

import (
	"github.com/moldau-stream/moldau/internal/replica"
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
		deletion         *replica.Deletion
	}
	var all []pending // all are begun before any is waited for
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		for _, want := range t.Partitions {
			p := kmsg.NewDeleteRecordsResponseTopicPartition()
			p.Partition = want.Partition
			p.LowWatermark = -1
			var d *replica.Deletion
			if d, p.ErrorCode = b.deleteBefore(r, storage.TopicPartition{Topic: t.Topic, Partition: want.Partition}, want.Offset); d != nil {
				all = append(all, pending{i, len(out.Partitions), d})
			}
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	for _, x := range all {
		out := &resp.Topics[x.topic].Partitions[x.partition]
		low, err := x.deletion.Wait(deadline)
		out.LowWatermark, out.ErrorCode = low, code(err)
	}
	r.Reply(resp)
}

// deleteBefore deletes here; the other replicas follow.
func (b *Broker) deleteBefore(r *server.Request, tp storage.TopicPartition, offset int64) (*replica.Deletion, int16) {
	if !b.allowedTopic(r, security.OperationDelete, tp.Topic) {
		return nil, kerr.TopicAuthorizationFailed.Code
	}
	if partitionOf(b.Image(), tp) == nil {
		return nil, kerr.UnknownTopicOrPartition.Code
	}
	if isInternal(tp.Topic) {
		return nil, kerr.InvalidTopicException.Code
	}
	if p, err := b.replicas.Partition(tp); err == nil {
		if log := p.Log(); log != nil && !log.Config().Delete {
			return nil, kerr.PolicyViolation.Code
		}
	}
	d, err := b.replicas.DeleteRecords(tp, offset)
	return d, code(err)
}
