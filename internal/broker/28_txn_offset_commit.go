package broker

import (
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// First versions of TxnOffsetCommit whose clients understand COORDINATOR_LOAD_IN_PROGRESS and
// TRANSACTION_ABORTABLE, and that need not have added the group's partition themselves.
const (
	firstLoadingTxnCommit   = 2
	firstAbortableTxnCommit = 4
	firstAddingTxnCommit    = 5
)

// txnOffsetCommit stores offsets that count when their transaction commits. v0-5.
func (b *Broker) txnOffsetCommit(r *server.Request) {
	req := r.Body.(*kmsg.TxnOffsetCommitRequest)
	c := &txnCommitting{b: b, r: r, req: req}
	switch {
	case !b.allowed(r, security.OperationWrite, security.ResourceTransactionalID, req.TransactionalID):
		c.refuseAll(req.Topics, kerr.TransactionalIDAuthorizationFailed.Code)
	case !b.allowedGroup(r, security.OperationRead, req.Group):
		c.refuseAll(req.Topics, kerr.GroupAuthorizationFailed.Code)
	default:
		c.begin()
	}
}

// txnCommitting is one TxnOffsetCommit under way.
type txnCommitting struct {
	b       *Broker
	r       *server.Request
	req     *kmsg.TxnOffsetCommitRequest
	good    kmsg.TxnOffsetCommitRequest // without what may not be read or does not exist
	refused []kmsg.TxnOffsetCommitResponseTopic
}

func (c *txnCommitting) begin() {
	c.good = *c.req
	c.good.Topics = nil
	img := c.b.Image()
	for i := range c.req.Topics {
		t := c.req.Topics[i]
		known := img.Topic(t.Topic)
		switch {
		case !c.b.allowedTopic(c.r, security.OperationRead, t.Topic):
			c.refuse(t, t.Partitions, kerr.TopicAuthorizationFailed.Code)
			continue
		case known == nil:
			c.refuse(t, t.Partitions, kerr.UnknownTopicOrPartition.Code)
			continue
		}
		var there, missing []kmsg.TxnOffsetCommitRequestTopicPartition
		for _, p := range t.Partitions {
			if p.Partition >= 0 && int(p.Partition) < len(known.Partitions) {
				there = append(there, p)
			} else {
				missing = append(missing, p)
			}
		}
		if len(missing) > 0 {
			c.refuse(t, missing, kerr.UnknownTopicOrPartition.Code)
		}
		if t.Partitions = there; len(there) > 0 {
			c.good.Topics = append(c.good.Topics, t)
		}
	}
	if len(c.good.Topics) == 0 {
		c.answer(nil)
		return
	}
	c.verify()
}

// verify asks the transaction's coordinator before the group's takes anything.
func (c *txnCommitting) verify() {
	partition, ok := c.b.groups.PartitionFor(c.req.Group)
	if !ok {
		c.refuseAll(c.good.Topics, kerr.CoordinatorNotAvailable.Code)
		return
	}
	v := &verifying{
		b: c.b, id: c.req.TransactionalID, producerID: c.req.ProducerID, epoch: c.req.ProducerEpoch,
		adds: c.r.Version >= firstAddingTxnCommit, abortable: c.r.Version >= firstAbortableTxnCommit,
		parts: []verifyPart{{tp: storage.TopicPartition{Topic: offsetsTopic, Partition: partition}, sequence: record.NoSequence}},
	}
	v.start(func() {
		p := &v.parts[0]
		if code := groupCode(p.code); code != 0 {
			c.refuseAll(c.good.Topics, code)
			return
		}
		c.b.groups.TxnOffsetCommit(groupContext(c.r), c.r.Version, &c.good, uint64(p.guard), func(resp *kmsg.TxnOffsetCommitResponse) {
			c.answer(resp.Topics)
		})
	})
}

// groupCode is how a client of the group's coordinator hears of trouble with the partition or with the transaction's.
func groupCode(code int16) int16 {
	switch code {
	case kerr.NetworkException.Code:
		return kerr.CoordinatorLoadInProgress.Code // asked again, and at the same broker
	case kerr.UnknownTopicOrPartition.Code, kerr.NotEnoughReplicas.Code, kerr.RequestTimedOut.Code:
		return kerr.CoordinatorNotAvailable.Code
	case kerr.NotLeaderForPartition.Code, kerr.KafkaStorageError.Code:
		return kerr.NotCoordinator.Code
	}
	return code
}

func (c *txnCommitting) refuse(t kmsg.TxnOffsetCommitRequestTopic, partitions []kmsg.TxnOffsetCommitRequestTopicPartition, code int16) {
	out := kmsg.NewTxnOffsetCommitResponseTopic()
	out.Topic = t.Topic
	for _, p := range partitions {
		o := kmsg.NewTxnOffsetCommitResponseTopicPartition()
		o.Partition, o.ErrorCode = p.Partition, code
		out.Partitions = append(out.Partitions, o)
	}
	c.refused = append(c.refused, out)
}

func (c *txnCommitting) refuseAll(topics []kmsg.TxnOffsetCommitRequestTopic, code int16) {
	for _, t := range topics {
		c.refuse(t, t.Partitions, code)
	}
	c.answer(nil)
}

// answer joins what the group's coordinator says and what was refused before it was asked.
func (c *txnCommitting) answer(topics []kmsg.TxnOffsetCommitResponseTopic) {
	resp := c.req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	resp.Topics = append(resp.Topics, topics...)
	for _, t := range c.refused {
		joined := false
		for i := range resp.Topics {
			if joined = resp.Topics[i].Topic == t.Topic; joined {
				resp.Topics[i].Partitions = append(resp.Topics[i].Partitions, t.Partitions...)
				break
			}
		}
		if !joined {
			resp.Topics = append(resp.Topics, t)
		}
	}
	if c.r.Version < firstLoadingTxnCommit {
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				if p := &resp.Topics[i].Partitions[j]; p.ErrorCode == kerr.CoordinatorLoadInProgress.Code {
					p.ErrorCode = kerr.CoordinatorNotAvailable.Code
				}
			}
		}
	}
	c.r.Reply(resp)
}
