package txn

import (
	"math"
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
)

// noTimeout is the time that Kafka stores for transactions which an outside coordinator ends: they never run out of it.
const noTimeout = math.MaxInt32

// epochBumps says that at a transaction version each transaction has an epoch of its own (KIP-890).
func epochBumps(version int16) bool { return version >= 2 }

// change begins the next value of a transaction.
func (tx *transaction) change(state State, nowMs int64) value {
	v := tx.value
	v.prevProducerID, v.state, v.updateMs = tx.producerID, state, nowMs
	return v
}

// decided is the value with which the outcome is fixed. Under transactions with epochs of their own
// the epoch rises, so that a marker can be told from those of transactions before and after it;
// without, it rises only to fence the producer.
func (tx *transaction) decided(commit bool, version int16, fence bool, nextProducerID, nowMs int64) value {
	state := PrepareAbort
	if commit {
		state = PrepareCommit
	}
	v := tx.change(state, nowMs)
	v.clientVersion, v.nextProducerID = version, nextProducerID
	bumped := v.epoch
	if bumped < maxEpoch {
		bumped++
	}
	switch {
	case epochBumps(version):
		v.lastEpoch, v.epoch = v.epoch, bumped
	case fence:
		v.lastEpoch, v.epoch, v.clientVersion = noProducerEpoch, bumped, 0
	default:
		v.clientVersion = 0
	}
	if tx.state.idle() { // an abort of nothing still has a beginning
		v.startMs = nowMs
	}
	return v
}

// completed is the value with which a decided transaction is over.
func (tx *transaction) completed(nowMs int64) value {
	state := CompleteAbort
	if tx.state == PrepareCommit {
		state = CompleteCommit
	}
	v := tx.change(state, nowMs)
	if epochBumps(v.clientVersion) && v.nextProducerID != noProducerID {
		v.producerID, v.epoch = v.nextProducerID, 0
	}
	v.nextProducerID, v.partitions = noProducerID, nil
	return v
}

// fence aborts an open transaction in the coordinator's own name: its producer was replaced, or too
// slow. False: a new producer id is needed and not at hand.
func (s *Shard) fence(t *coord.Turn, tx *transaction) bool {
	version, next := s.cfg.Version(), noProducerID
	if epochBumps(version) && epochExhausted(tx.epoch) {
		id, ok := s.cfg.NewProducerID()
		if !ok {
			return false
		}
		next = id
	}
	s.decide(t, tx.id, tx.decided(false, version, true, next, t.NowMs))
	return true
}

// initRequest asks for a producer id, or for a new epoch of it.
type initRequest struct {
	id         string
	timeoutMs  int32
	producerID int64 // that the producer has so far, with its epoch; noProducerID when it has none
	epoch      int16
}

// producerAnswer is a code and, with codeNone, what the producer goes by from now on. With
// needID nothing was decided: a producer id must be fetched first.
type producerAnswer struct {
	code       int16
	producerID int64
	epoch      int16
	needID     bool
}

func refused(code int16) producerAnswer {
	return producerAnswer{code: code, producerID: noProducerID, epoch: noProducerEpoch}
}

var needsID = producerAnswer{needID: true}

func (r *initRequest) hasExpected() bool { return r.producerID != noProducerID }

// initProducerID makes the caller the one producer of its transactional id.
func (s *Shard) initProducerID(t *coord.Turn, r *initRequest) producerAnswer {
	tx := s.txns[r.id]
	if tx == nil {
		return s.firstProducer(t, r)
	}
	switch {
	case tx.aside:
		return refused(codeCoordinatorNotAvailable)
	case r.hasExpected() && !tx.isOrWas(r.producerID, r.epoch):
		return refused(codeProducerFenced)
	case tx.state.decided():
		return refused(codeConcurrentTransactions)
	case tx.state == Ongoing:
		// The epoch of the fence is never a client's: it asks again when the abort is through.
		if !s.fence(t, tx) {
			return needsID
		}
		return refused(codeConcurrentTransactions)
	}
	return s.nextProducer(t, tx, r)
}

// isOrWas says that a producer is this one, or used up its epochs just before this one came.
func (tx *transaction) isOrWas(producerID int64, epoch int16) bool {
	return producerID == tx.producerID || producerID == tx.prevProducerID && epochExhausted(epoch)
}

func (s *Shard) firstProducer(t *coord.Turn, r *initRequest) producerAnswer {
	if len(s.txns) >= s.cfg.MaxIDs {
		return refused(codeCoordinatorNotAvailable)
	}
	id, ok := s.cfg.NewProducerID()
	if !ok {
		return needsID
	}
	s.write(t, r.id, value{
		producerID: id, prevProducerID: id, nextProducerID: noProducerID, lastEpoch: noProducerEpoch,
		timeoutMs: r.timeoutMs, state: Empty, updateMs: t.NowMs, startMs: -1,
	})
	return producerAnswer{producerID: id}
}

// nextProducer gives a new epoch, or a new id when the epochs of this one are used up.
func (s *Shard) nextProducer(t *coord.Turn, tx *transaction, r *initRequest) producerAnswer {
	v := tx.change(Empty, t.NowMs)
	v.timeoutMs, v.partitions, v.startMs = r.timeoutMs, nil, -1
	switch {
	case epochExhausted(tx.epoch) && (!r.hasExpected() || r.epoch == tx.epoch):
		id, ok := s.cfg.NewProducerID()
		if !ok {
			return needsID
		}
		v.producerID, v.epoch, v.lastEpoch = id, 0, noProducerEpoch
		if r.hasExpected() {
			v.lastEpoch = tx.epoch
		}
	case epochExhausted(tx.epoch):
		return refused(codeProducerFenced)
	case !r.hasExpected():
		v.epoch, v.lastEpoch = tx.epoch+1, noProducerEpoch
	case r.epoch == tx.epoch:
		v.epoch, v.lastEpoch = tx.epoch+1, tx.epoch
	case r.epoch == tx.lastEpoch:
		// It has the new epoch already and did not hear of it; had another come, lastEpoch would be none.
	default:
		return refused(codeProducerFenced)
	}
	s.write(t, tx.id, v)
	return producerAnswer{producerID: v.producerID, epoch: v.epoch}
}

// addRequest makes partitions part of a transaction, or asks whether they are.
type addRequest struct {
	id         string
	producerID int64
	epoch      int16
	partitions []TopicPartition
	version    int16 // transaction version of the client
}

// checkProducer is the code for a producer that may not speak for its transactional id; the transaction if it may.
func (s *Shard) checkProducer(r *addRequest) (*transaction, int16) {
	tx := s.txns[r.id]
	switch {
	case tx == nil:
		return nil, codeInvalidProducerIDMapping
	case tx.aside:
		return nil, codeCoordinatorNotAvailable
	case tx.producerID != r.producerID:
		return nil, codeInvalidProducerIDMapping
	case tx.epoch != r.epoch:
		return nil, codeProducerFenced
	case tx.state.decided():
		return nil, codeConcurrentTransactions
	}
	return tx, codeNone
}

func (s *Shard) addPartitions(t *coord.Turn, r *addRequest) int16 {
	tx, code := s.checkProducer(r)
	if code != codeNone {
		return code
	}
	all := union(tx.partitions, r.partitions)
	if tx.state == Ongoing && len(all) == len(tx.partitions) {
		return codeNone
	}
	v := tx.change(Ongoing, t.NowMs)
	v.partitions, v.clientVersion = all, r.version
	if tx.state.idle() {
		v.startMs = t.NowMs
	}
	s.write(t, tx.id, v)
	return codeNone
}

// verifyPartitions says of each partition whether it is part of the transaction.
func (s *Shard) verifyPartitions(r *addRequest) []int16 {
	codes := make([]int16, len(r.partitions))
	tx, code := s.checkProducer(r)
	for i, tp := range r.partitions {
		codes[i] = code
		if code == codeNone && !tx.has(tp) {
			codes[i] = codeTransactionAbortable
		}
	}
	return codes
}

func (tx *transaction) has(tp TopicPartition) bool {
	_, ok := slices.BinarySearchFunc(tx.partitions, tp, comparePartitions)
	return ok
}

// endRequest ends a transaction.
type endRequest struct {
	id         string
	producerID int64
	epoch      int16
	commit     bool
	version    int16 // transaction version of the client
}

// endTxn fixes the outcome of a producer's transaction.
func (s *Shard) endTxn(t *coord.Turn, r *endRequest) producerAnswer {
	tx := s.txns[r.id]
	switch {
	case tx == nil:
		return refused(codeInvalidProducerIDMapping)
	case tx.aside:
		return refused(codeCoordinatorNotAvailable)
	case epochBumps(r.version):
		return s.endWithBump(t, tx, r)
	}
	return s.endPlain(t, tx, r)
}

// endPlain ends a transaction whose epoch is its producer's for many of them. A producer that did
// not hear the answer asks again, and is told the same.
func (s *Shard) endPlain(t *coord.Turn, tx *transaction, r *endRequest) producerAnswer {
	switch {
	case tx.producerID != r.producerID:
		return refused(codeInvalidProducerIDMapping)
	case tx.epoch != r.epoch:
		return refused(codeProducerFenced)
	case tx.state.decided():
		return refused(codeConcurrentTransactions)
	case tx.state == Ongoing:
		s.decide(t, tx.id, tx.decided(r.commit, 0, false, noProducerID, t.NowMs))
		return refused(codeNone)
	case tx.state == Empty || tx.state.commits() != r.commit:
		return s.invalidEnd(t, tx, r)
	}
	return refused(codeNone)
}

// commits tells the outcome of a decided or completed transaction.
func (s State) commits() bool { return s == PrepareCommit || s == CompleteCommit }

func (s *Shard) invalidEnd(t *coord.Turn, tx *transaction, r *endRequest) producerAnswer {
	t.Warn("a producer wants to end its transaction in a way that its state does not allow", "transactionalId", tx.id,
		"state", tx.state.String(), "commit", r.commit, "producerId", r.producerID, "epoch", r.epoch)
	return refused(codeInvalidTxnState)
}

// endWithBump ends a transaction that has an epoch of its own, and gives the producer the next. The
// epoch tells the request that comes again (the one before) from that of the next transaction (the present one).
//
// While the markers of one transaction are on their way, its producer, who was answered before they left, may give up the
// next one already: it must ask again, and is not fenced.
func (s *Shard) endWithBump(t *coord.Turn, tx *transaction, r *endRequest) producerAnswer {
	if tx.state.decided() {
		return refused(codeConcurrentTransactions)
	}
	// After an end without a bump, the epoch before the present one is of a producer that was fenced.
	mayBeAgain := epochBumps(tx.clientVersion)
	overflown := mayBeAgain && tx.prevProducerID == r.producerID && r.epoch == maxEpoch-1 && tx.epoch == 0 // its answer was a new producer id
	bumped := mayBeAgain && int32(tx.epoch) == int32(r.epoch)+1
	again, current := overflown || bumped, r.epoch == tx.epoch
	valid := current || again
	if tx.state == Ongoing || tx.state == Empty {
		valid = current
	}
	switch {
	case tx.producerID != r.producerID && !overflown:
		return refused(codeInvalidProducerIDMapping)
	case !valid:
		return refused(codeProducerFenced)
	}
	switch tx.state {
	case Ongoing:
		return s.bump(t, tx, r)
	case Empty:
		if !r.commit {
			return s.bump(t, tx, r)
		}
	case CompleteCommit, CompleteAbort:
		switch {
		case again && tx.state.commits() == r.commit:
			return producerAnswer{producerID: tx.producerID, epoch: tx.epoch}
		case !again && !r.commit: // the producer does not know whether it had begun anything
			return s.bump(t, tx, r)
		}
	}
	return s.invalidEnd(t, tx, r)
}

func (s *Shard) bump(t *coord.Turn, tx *transaction, r *endRequest) producerAnswer {
	next := noProducerID
	if epochExhausted(tx.epoch) {
		id, ok := s.cfg.NewProducerID()
		if !ok {
			return needsID
		}
		next = id
	}
	v := tx.decided(r.commit, r.version, false, next, t.NowMs)
	s.decide(t, tx.id, v)
	if next != noProducerID {
		return producerAnswer{producerID: next}
	}
	return producerAnswer{producerID: v.producerID, epoch: v.epoch}
}
