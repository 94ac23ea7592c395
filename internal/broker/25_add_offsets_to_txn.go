package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/txn"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// addOffsetsToTxn makes the partition that holds a group's offsets part of a transaction. v0-4.
func (b *Broker) addOffsetsToTxn(r *server.Request) {
	req := r.Body.(*kmsg.AddOffsetsToTxnRequest)
	answer := func(code int16) {
		resp := req.ResponseKind().(*kmsg.AddOffsetsToTxnResponse)
		resp.ErrorCode = code
		r.Reply(resp)
	}
	switch {
	case !b.allowed(r, security.OperationWrite, security.ResourceTransactionalID, req.TransactionalID):
		answer(kerr.TransactionalIDAuthorizationFailed.Code)
		return
	case !b.allowedGroup(r, security.OperationRead, req.Group):
		answer(kerr.GroupAuthorizationFailed.Code)
		return
	}
	if b.Image().Topic(offsetsTopic) == nil {
		go func() { // clients look for the group's coordinator only after this
			b.autoCreate(r, []string{offsetsTopic})
			b.addOffsets(r, req, answer)
		}()
		return
	}
	b.addOffsets(r, req, answer)
}

func (b *Broker) addOffsets(r *server.Request, req *kmsg.AddOffsetsToTxnRequest, answer func(int16)) {
	partition, ok := b.groups.PartitionFor(req.Group)
	if !ok {
		answer(kerr.CoordinatorNotAvailable.Code)
		return
	}
	p := txn.Partitions{
		TransactionalID: req.TransactionalID, ProducerID: req.ProducerID, ProducerEpoch: req.ProducerEpoch,
		Partitions: []txn.TopicPartition{{Topic: offsetsTopic, Partition: partition}},
	}
	b.txns.AddPartitions(p, func(code int16) { answer(txn.OlderAddCode(code, r.Version)) })
}
