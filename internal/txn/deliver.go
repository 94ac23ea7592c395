package txn

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
)

// Marker ends a transaction in some partitions.
type Marker struct {
	TransactionalID    string
	ProducerID         int64
	ProducerEpoch      int16
	CoordinatorEpoch   int32
	Commit             bool
	TransactionVersion int8
	Partitions         []TopicPartition
}

// MarkerResult is what came of a marker in one partition: the code of its leader, or of whoever could not reach it.
type MarkerResult struct {
	Partition TopicPartition
	Code      int16
}

// MarkerSender brings markers to the leaders of partitions.
type MarkerSender interface {
	// SendMarkers writes m to each of its partitions, once, and calls done when all of them are decided: at
	// the latest after a request's time. A partition that does not exist any more counts as written. When done is called
	// nothing of this attempt may still be on its way, or a marker could end the next transaction instead.
	SendMarkers(m Marker, done func([]MarkerResult))
}

// Delivery is one attempt to bring a transaction's markers to the partitions that lack them.
type Delivery struct {
	Partition int32 // of Topic
	Attempt   int64
	Marker    Marker
	Err       error // the decision could not be committed: nothing may be sent
}

// delivery is how far the markers of a decided transaction are.
type delivery struct {
	left     []TopicPartition // without a marker so far
	attempt  int64            // under way; 0: none
	failures int              // in a row
}

// Pauses between attempts.
const (
	firstRetryMs = 20
	lastRetryMs  = 1000
	maxDoublings = 6
)

func retryMs(failures int) int64 {
	return min(int64(firstRetryMs)<<min(failures, maxDoublings), lastRetryMs)
}

func markersKey(id string) coord.TimerKey { return coord.TimerKey{Kind: timerMarkers, Group: id} }

// deliver sends the markers that are missing, as soon as everything is committed that this shard
// has written, the decision among it; when none is missing it completes the transaction.
func (s *Shard) deliver(t *coord.Turn, id string) {
	tx := s.txns[id]
	if tx == nil || tx.aside || !tx.state.decided() || tx.markers.attempt != 0 {
		return
	}
	if len(tx.markers.left) == 0 {
		s.complete(t, tx)
		return
	}
	s.attempts.Add(1)
	d := Delivery{Partition: s.partition, Attempt: s.attempts.Load(), Marker: Marker{
		TransactionalID: id, ProducerID: tx.producerID, ProducerEpoch: tx.epoch, CoordinatorEpoch: t.LeaderEpoch,
		Commit: tx.state == PrepareCommit, TransactionVersion: int8(tx.clientVersion), Partitions: slices.Clone(tx.markers.left),
	}}
	tx.markers.attempt = d.Attempt
	t.Reply(coord.Reply{
		Send: func() { s.send(d) },
		Fail: func(err error) { d.Err = err; s.send(d) },
	})
}

// delivered notes what came of an attempt.
func (s *Shard) delivered(t *coord.Turn, id string, attempt int64, results []MarkerResult) {
	tx := s.txns[id]
	if tx == nil || tx.markers.attempt != attempt {
		return
	}
	tx.markers.attempt = 0
	fenced := false
	for _, r := range results {
		switch r.Code {
		case codeNone:
		case codeInvalidProducerEpoch:
			// The partition has gone on to a later epoch, so this transaction was ended there before, by
			// hand as a rule. No marker will ever be taken: to wait for one would block the id for ever.
			t.Warn("a partition refuses the marker of a transaction because it has seen a later epoch: the transaction was ended there by somebody else",
				"transactionalId", id, "topic", r.Partition.Topic, "partition", r.Partition.Partition, "epoch", tx.epoch)
		case codeCoordinatorFenced:
			fenced = true
			continue
		default:
			continue
		}
		tx.markers.left = without(tx.markers.left, r.Partition)
	}
	switch {
	case fenced:
		t.Warn("a newer transaction coordinator is at work: this one leaves the transaction to it", "transactionalId", id, "coordinatorEpoch", t.LeaderEpoch)
	case len(tx.markers.left) == 0:
		s.complete(t, tx)
	default:
		t.SetTimer(markersKey(id), retryMs(tx.markers.failures))
		if tx.markers.failures++; tx.markers.failures == warnAfterFailures {
			t.Warn("markers of a transaction cannot be written; trying on", "transactionalId", id, "partitions", len(tx.markers.left), "first", tx.markers.left[0])
		}
	}
}

// warnAfterFailures: a leader that moves takes a few attempts; this many take ten seconds.
const warnAfterFailures = 15

func without(list []TopicPartition, tp TopicPartition) []TopicPartition {
	return slices.DeleteFunc(slices.Clone(list), func(o TopicPartition) bool { return o == tp })
}

// complete ends a transaction of which every partition has its marker.
func (s *Shard) complete(t *coord.Turn, tx *transaction) {
	id := tx.id
	s.write(t, id, tx.completed(t.NowMs))
	t.OnFailure(func(t *coord.Turn, _ error) { t.SetTimer(markersKey(id), lastRetryMs) })
}
