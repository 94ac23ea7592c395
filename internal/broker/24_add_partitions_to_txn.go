package broker

import (
	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/txn"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// firstBrokerAdd is the first version of AddPartitionsToTxn, which brokers alone may send: they verify what they
// are asked to append, or add it on the client's behalf (KIP-890).
const firstBrokerAdd = 4

// addPartitionsToTxn makes partitions part of transactions. v0-5: one transaction of a client up to 3,
// several from another broker from 4 on.
func (b *Broker) addPartitionsToTxn(r *server.Request) {
	req := r.Body.(*kmsg.AddPartitionsToTxnRequest)
	resp := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	if r.Version < firstBrokerAdd {
		b.addClientPartitions(r, req, resp)
		return
	}
	if !b.allowedCluster(r, security.OperationClusterAction) {
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		r.Reply(resp)
		return
	}
	resp.Transactions = make([]kmsg.AddPartitionsToTxnResponseTransaction, len(req.Transactions))
	gather := coord.NewGather(len(req.Transactions), func() { r.Reply(resp) })
	for i := range req.Transactions {
		t := &req.Transactions[i]
		tps := b.partitionsIn(t.Topics)
		b.addOneTransaction(t, tps, func(codes []int16) {
			gather.Done(func() {
				out := kmsg.NewAddPartitionsToTxnResponseTransaction()
				out.TransactionalID, out.Topics = t.TransactionalID, addResults(tps, codes)
				resp.Transactions[i] = out
			})
		})
	}
}

func (b *Broker) partitionsIn(topics []kmsg.AddPartitionsToTxnRequestTransactionTopic) []txn.TopicPartition {
	var tps []txn.TopicPartition
	for _, t := range topics {
		for _, p := range t.Partitions {
			tps = append(tps, txn.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	return tps
}

// addOneTransaction serves one transaction of another broker's request.
func (b *Broker) addOneTransaction(t *kmsg.AddPartitionsToTxnRequestTransaction, tps []txn.TopicPartition, reply func(codes []int16)) {
	if codes, refused := b.refusePartitions(tps, func(string) bool { return true }); refused {
		reply(codes)
		return
	}
	p := txn.Partitions{
		TransactionalID: t.TransactionalID, ProducerID: t.ProducerID, ProducerEpoch: t.ProducerEpoch,
		Partitions: tps, TransactionVersion: bumpingTransactions,
	}
	if t.VerifyOnly {
		b.txns.VerifyPartitions(p, reply)
		return
	}
	b.txns.AddPartitions(p, func(code int16) { reply(repeat(code, len(tps))) })
}

// bumpingTransactions is the transaction version of those that have an epoch of their own each (KIP-890).
const bumpingTransactions = 2

func repeat(code int16, n int) []int16 {
	codes := make([]int16, n)
	for i := range codes {
		codes[i] = code
	}
	return codes
}

// addClientPartitions serves versions 0 to 3.
func (b *Broker) addClientPartitions(r *server.Request, req *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) {
	var tps []txn.TopicPartition
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			tps = append(tps, txn.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	answer := func(codes []int16) {
		for _, t := range addResults(tps, codes) {
			out := kmsg.NewAddPartitionsToTxnResponseTopic()
			out.Topic = t.Topic
			for _, p := range t.Partitions {
				o := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				o.Partition, o.ErrorCode = p.Partition, p.ErrorCode
				out.Partitions = append(out.Partitions, o)
			}
			resp.Topics = append(resp.Topics, out)
		}
		r.Reply(resp)
	}
	if !b.allowed(r, security.OperationWrite, security.ResourceTransactionalID, req.TransactionalID) {
		answer(repeat(kerr.TransactionalIDAuthorizationFailed.Code, len(tps)))
		return
	}
	mayWrite := func(topic string) bool {
		return !isInternal(topic) && b.allowedTopic(r, security.OperationWrite, topic)
	}
	if codes, refused := b.refusePartitions(tps, mayWrite); refused {
		answer(codes)
		return
	}
	p := txn.Partitions{TransactionalID: req.TransactionalID, ProducerID: req.ProducerID, ProducerEpoch: req.ProducerEpoch, Partitions: tps}
	b.txns.AddPartitions(p, func(code int16) { answer(repeat(txn.OlderAddCode(code, r.Version), len(tps))) })
}

// refusePartitions finds partitions that may not be written to or do not exist. One of them spoils the
// request: the others are told that nothing was tried.
func (b *Broker) refusePartitions(tps []txn.TopicPartition, mayWrite func(topic string) bool) (codes []int16, refused bool) {
	img := b.Image()
	codes = repeat(kerr.OperationNotAttempted.Code, len(tps))
	for i, tp := range tps {
		switch {
		case !mayWrite(tp.Topic):
			codes[i], refused = kerr.TopicAuthorizationFailed.Code, true
		case img.Partition(tp.Topic, tp.Partition) == nil:
			codes[i], refused = kerr.UnknownTopicOrPartition.Code, true
		}
	}
	return codes, refused
}

// addResults shapes the codes of partitions; a topic that is named twice stands there once.
func addResults(tps []txn.TopicPartition, codes []int16) []kmsg.AddPartitionsToTxnResponseTransactionTopic {
	var out []kmsg.AddPartitionsToTxnResponseTransactionTopic
	at := map[string]int{}
	for i, tp := range tps {
		n, ok := at[tp.Topic]
		if !ok {
			n = len(out)
			at[tp.Topic] = n
			t := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
			t.Topic = tp.Topic
			out = append(out, t)
		}
		p := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
		p.Partition, p.ErrorCode = tp.Partition, codes[i]
		out[n].Partitions = append(out[n].Partitions, p)
	}
	return out
}
