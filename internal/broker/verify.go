package broker

import (
	"bytes"
	"fmt"
	"time"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/txn"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// verifying asks a transaction's coordinator whether partitions belong to the transaction before its
// first records are taken there, or has them added: records of a transaction that its
// coordinator does not know of would never get a marker, and hold up every reader behind them (KIP-890).
type verifying struct {
	b          *Broker
	id         string
	producerID int64
	epoch      int16
	adds       bool // the client leaves it to us to add partitions
	abortable  bool // the client understands TRANSACTION_ABORTABLE
	parts      []verifyPart
	began      time.Time
	waits      func() // called once, before the coordinator is asked; may be nil
}

// verifyPart is one partition of it. code and guard are the outcome.
type verifyPart struct {
	tp       storage.TopicPartition
	sequence int32 // of the first record
	guard    storage.VerificationGuard
	code     int16
	cause    error // of code, when the partition itself has refused
}

// start calls done when each part has its code, and a guard where one is needed: at once when all of
// them know the transaction, or later on another goroutine.
func (v *verifying) start(done func()) {
	if !v.adds && !v.b.conf().Bool(config.TransactionPartitionVerificationEnable) {
		done()
		return
	}
	v.began = v.b.clock.Now()
	v.ask(done)
}

// ask is one attempt.
func (v *verifying) ask(done func()) {
	var asked []int
	for i := range v.parts {
		p := &v.parts[i]
		p.guard, p.cause = v.b.replicas.StartVerification(p.tp, v.producerID, v.epoch, p.sequence, v.adds)
		if p.code = code(p.cause); p.code == 0 && p.guard != storage.NoVerification {
			asked = append(asked, i)
		}
	}
	if len(asked) == 0 {
		done()
		return
	}
	if v.waits != nil {
		v.waits()
		v.waits = nil
	}
	v.askCoordinator(asked, func(codes []int16) {
		busy := false
		for n, i := range asked {
			v.parts[i].code = v.understood(codes[n])
			if codes[n] != 0 {
				v.b.unverified.Add(1)
			}
			busy = busy || codes[n] == kerr.ConcurrentTransactions.Code
		}
		if busy && v.adds && v.again(done) {
			return
		}
		go done() // who calls has moved a high watermark, and others wait for that too
	})
}

// again arranges another attempt: the transaction before this one is being ended, which as a rule takes
// less time than a client would wait before it asks again.
func (v *verifying) again(done func()) bool {
	c := v.b.conf()
	longest := min(c.Duration(config.AddPartitionsToTxnRetryBackoffMaxMs), c.Duration(config.RequestTimeoutMs))
	if v.b.clock.Now().Sub(v.began) >= longest {
		return false
	}
	v.b.clock.AfterFunc(c.Duration(config.AddPartitionsToTxnRetryBackoffMs), func() { v.ask(done) })
	return true
}

// understood is a coordinator's code as a producer of this version knows it.
func (v *verifying) understood(code int16) int16 {
	switch {
	case code == kerr.ProducerFenced.Code:
		return kerr.InvalidProducerEpoch.Code
	case code == kerr.TransactionAbortable.Code && !v.abortable:
		return kerr.InvalidTxnState.Code
	}
	return code
}

func (v *verifying) askCoordinator(asked []int, reply func(codes []int16)) {
	all := func(code int16) { reply(repeat(code, len(asked))) }
	p := txn.Partitions{TransactionalID: v.id, ProducerID: v.producerID, ProducerEpoch: v.epoch, TransactionVersion: bumpingTransactions}
	for _, i := range asked {
		p.Partitions = append(p.Partitions, txn.TopicPartition{Topic: v.parts[i].tp.Topic, Partition: v.parts[i].tp.Partition})
	}
	partition, exists := v.b.txns.PartitionFor(v.id)
	at := v.b.Image().Partition(transactionsTopic, partition)
	switch {
	case !exists || at == nil || at.Leader < 0:
		all(kerr.CoordinatorNotAvailable.Code)
	case at.Leader != v.b.nodeID:
		v.b.askPeer(at.Leader, p, !v.adds, reply)
	case v.adds:
		v.b.txns.AddPartitions(p, all)
	default:
		v.b.txns.VerifyPartitions(p, reply)
	}
}

// askPeer asks the coordinator on another broker.
func (b *Broker) askPeer(broker int32, p txn.Partitions, verifyOnly bool, reply func(codes []int16)) {
	if b.markers.peers == nil {
		reply(repeat(kerr.NetworkException.Code, len(p.Partitions)))
		return
	}
	t := kmsg.NewAddPartitionsToTxnRequestTransaction()
	t.TransactionalID, t.ProducerID, t.ProducerEpoch, t.VerifyOnly = p.TransactionalID, p.ProducerID, p.ProducerEpoch, verifyOnly
	at := map[string]int{}
	for _, tp := range p.Partitions {
		n, ok := at[tp.Topic]
		if !ok {
			n = len(t.Topics)
			at[tp.Topic] = n
			topic := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
			topic.Topic = tp.Topic
			t.Topics = append(t.Topics, topic)
		}
		t.Topics[n].Partitions = append(t.Topics[n].Partitions, tp.Partition)
	}
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.Transactions = append(req.Transactions, t)
	b.markers.peers.Do(broker, req, func(resp kmsg.Response, err error) { reply(peerCodes(p.Partitions, resp, err)) })
}

// peerCodes reads a coordinator's answer; a partition that it does not mention was not verified.
func peerCodes(tps []txn.TopicPartition, resp kmsg.Response, err error) []int16 {
	codes := repeat(kerr.NetworkException.Code, len(tps))
	r, ok := resp.(*kmsg.AddPartitionsToTxnResponse)
	switch {
	case err != nil || !ok:
		return codes
	case r.ErrorCode == kerr.ClusterAuthorizationFailed.Code: // not the client's: what is wrong is between the brokers
		return repeat(kerr.InvalidTxnState.Code, len(tps))
	case r.ErrorCode != 0:
		return repeat(r.ErrorCode, len(tps))
	}
	told := map[txn.TopicPartition]int16{}
	for _, t := range r.Transactions {
		for _, topic := range t.Topics {
			for _, p := range topic.Partitions {
				told[txn.TopicPartition{Topic: topic.Topic, Partition: p.Partition}] = p.ErrorCode
			}
		}
	}
	for i, tp := range tps {
		if code, ok := told[tp]; ok {
			codes[i] = code
		}
	}
	return codes
}

// First versions of Produce whose clients understand TRANSACTION_ABORTABLE, and leave it to the broker to add partitions.
const (
	firstAbortableProduce = 11
	firstAddingProduce    = 12
)

// verify has the transaction of a produce verified, and then appends. False: there is nothing to verify.
func (p *producing) verify() bool {
	v := &verifying{b: p.b, id: *p.req.TransactionID, adds: p.r.Version >= firstAddingProduce, abortable: p.r.Version >= firstAbortableProduce}
	var of []int // the parts of the produce
	for i := range p.parts {
		a := &p.parts[i]
		if a.Err != nil {
			continue
		}
		batch, _, err := record.Next(a.Batches)
		if err != nil || !batch.IsTransactional() || !batch.HasProducerID() {
			continue
		}
		if len(of) > 0 && (batch.ProducerID() != v.producerID || batch.ProducerEpoch() != v.epoch) {
			p.refuseMixed()
			return false
		}
		v.producerID, v.epoch = batch.ProducerID(), batch.ProducerEpoch()
		v.parts = append(v.parts, verifyPart{tp: a.TP, sequence: batch.BaseSequence()})
		of = append(of, i)
	}
	if len(of) == 0 {
		return false
	}
	v.waits = p.keepBatches
	run := func() {
		v.start(func() {
			for n, i := range of {
				a := &p.parts[i]
				a.Txn.Guard, a.Err = v.parts[n].guard, v.refusal(&v.parts[n])
			}
			p.append()
			v.b.turns.leave(v.producerID)
		})
	}
	park := func() {
		p.keepBatches()
		v.waits = nil
	}
	if v.b.turns.enter(v.producerID, park, run) {
		run()
	}
	return true
}

// keepBatches copies the records of a request that will wait: the connection's buffer is ours only until then.
func (p *producing) keepBatches() {
	for i := range p.parts {
		if p.parts[i].Err == nil {
			p.parts[i].Batches = bytes.Clone(p.parts[i].Batches)
		}
	}
}

// refuseMixed refuses a request whose transactional batches are of several producers.
func (p *producing) refuseMixed() {
	for i := range p.parts {
		if p.parts[i].Err == nil {
			p.parts[i].Err = fmt.Errorf("%w: Transactional records contained more than one producer ID", kerr.InvalidProducerIDMapping)
		}
	}
}

// refusal is why a part may not be appended; nil if it may.
func (v *verifying) refusal(p *verifyPart) error {
	if p.code == 0 || p.cause != nil {
		return p.cause
	}
	e := kerr.TypedErrorForCode(p.code)
	switch p.code {
	case kerr.InvalidTxnState.Code:
		return fmt.Errorf("%w: Partition was not added to the transaction", e)
	case kerr.ConcurrentTransactions.Code:
		if v.adds {
			return e
		}
	case kerr.NetworkException.Code, kerr.CoordinatorLoadInProgress.Code, kerr.CoordinatorNotAvailable.Code, kerr.NotCoordinator.Code:
	default:
		return e
	}
	// Older clients do not expect these of a produce; this one they retry, without asking for metadata first.
	return fmt.Errorf("%w: Unable to verify the partition has been added to the transaction. Underlying error: %s", kerr.NotEnoughReplicas, e.Message)
}

// VerificationFailures is how often a transaction coordinator did not confirm a partition.
func (b *Broker) VerificationFailures() int64 { return b.unverified.Load() }
