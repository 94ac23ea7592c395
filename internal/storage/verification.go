package storage

import (
	"errors"

	"github.com/moldau-stream/moldau/internal/invariant"
	"github.com/moldau-stream/moldau/internal/record"
)

// VerificationGuard is the proof that an append was preceded by the transaction coordinator's
// word that the partition belongs to the transaction. It is good for one transaction: the race
// that it closes is a coordinator that answers "it does", an abort marker that ends the transaction,
// and the records that come after it and would stay open for ever.
type VerificationGuard uint64

// NoVerification is the guard of an append that needs none: the transaction is open here already.
const NoVerification VerificationGuard = 0

// AppendOptions are what an append of a transaction's records or of its marker knows beyond them.
type AppendOptions struct {
	// Guard is what StartVerification gave before the coordinator was asked.
	Guard VerificationGuard
	// TransactionVersion is that of the transaction a marker ends: from 2 on its epoch is higher
	// than that of the records, and one that is not comes late.
	TransactionVersion int8
}

func (e *env) verifiesTxns() bool { return e.verifyTxns != nil && e.verifyTxns.Load() }

// epochBumpVersion is the transaction.version from which each transaction has an epoch of its own.
const epochBumpVersion = 2

// verification is a transaction whose first records in this log are on the way.
type verification struct {
	guard     VerificationGuard
	sinceMs   int64
	epoch     int16
	bumps     bool  // the client's transactions have epochs of their own
	lowestSeq int32 // of what has been on the way: a batch after it must not overtake it
}

// maxVerifications bounds those of one log: more producers do not begin a transaction in a
// partition at one moment, and an id that is made up costs its sender a request each.
const maxVerifications = 10_000

// StartVerification says whether records of a transaction may be appended at once, which is
// NoVerification, or only with the guard that it returns, once the coordinator has consented.
func (l *Log) StartVerification(producerID int64, epoch int16, sequence int32, bumps bool) (VerificationGuard, error) {
	if err := l.ensure(); err != nil {
		return NoVerification, err
	}
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if err := l.Err(); err != nil {
		return NoVerification, err
	}
	if p := l.producers.byID[producerID]; p != nil {
		if epoch < p.epoch {
			return NoVerification, staleEpoch(p, epoch)
		}
		if p.epoch == epoch && p.txnFirstOffset != noTxn {
			return NoVerification, nil
		}
	}
	v := l.verifying[producerID]
	if v == nil {
		l.lastGuard++
		v = &verification{guard: l.lastGuard, sinceMs: l.nowMs(), epoch: epoch, bumps: bumps, lowestSeq: sequence}
		if l.verifying == nil {
			l.verifying = map[int64]*verification{}
		}
		l.boundVerifications()
		l.verifying[producerID] = v
	}
	switch {
	case epoch > v.epoch:
		v.epoch, v.lowestSeq = epoch, sequence
	case epoch == v.epoch:
		v.lowestSeq = min(v.lowestSeq, sequence)
	}
	return v.guard, nil
}

func staleEpoch(p *producer, epoch int16) error {
	return refuse(ErrInvalidProducerEpoch, "Epoch of producer %d is %d, which is older than the last seen epoch %d", p.id, epoch, p.epoch)
}

// boundVerifications makes room for one more by forgetting the oldest.
func (l *Log) boundVerifications() {
	if len(l.verifying) < maxVerifications {
		return
	}
	oldest, found := int64(0), false
	for id, v := range l.verifying {
		if !found || v.guard < l.verifying[oldest].guard {
			oldest, found = id, true
		}
	}
	delete(l.verifying, oldest)
}

// checkTransaction is what an append must hold to beyond its producer's epoch and sequence, whose
// verdict is err: records of a transaction that is not open here need their guard, and markers of
// transactions with epochs of their own a higher epoch. appendMu is held.
func (l *Log) checkTransaction(b record.Batch, origin Origin, opts AppendOptions, err error) error {
	if !b.IsTransactional() || errors.Is(err, ErrInvalidProducerEpoch) {
		return err
	}
	p := l.producers.byID[b.ProducerID()]
	if b.IsControl() {
		if err == nil && opts.TransactionVersion >= epochBumpVersion {
			err = checkBumpedMarker(p, b)
		}
		return err
	}
	if p != nil && p.epoch == b.ProducerEpoch() && p.txnFirstOffset != noTxn {
		return err
	}
	v := l.verifying[b.ProducerID()]
	if l.env.verifiesTxns() && (v == nil || v.guard != opts.Guard) {
		return refuse(ErrInvalidTxnState, "Record was not part of an ongoing transaction")
	}
	if v == nil || err != nil || origin != FromClient {
		return err
	}
	seq := b.BaseSequence()
	switch {
	case v.bumps && seq != 0 && (p == nil || p.n == 0 && p.epoch == b.ProducerEpoch()):
		return refuse(ErrOutOfOrderSequence, "Out of order sequence number for producer %d: %d is its first here, 0 is expected", b.ProducerID(), seq)
	case seq > v.lowestSeq && b.ProducerEpoch() == v.epoch:
		return refuse(ErrOutOfOrderSequence, "Out of order sequence number for producer %d: %d came, while %d is still on the way", b.ProducerID(), seq, v.lowestSeq)
	}
	return nil
}

// checkBumpedMarker refuses the marker of a transaction that has ended before, unless it is the same
// marker once more: a coordinator that does not know whether it was written writes it again.
func checkBumpedMarker(p *producer, b record.Batch) error {
	if p == nil || b.ProducerEpoch() > p.epoch {
		return nil
	}
	if p.txnFirstOffset == noTxn || p.epoch == maxProducerEpoch {
		return nil
	}
	return refuse(ErrInvalidProducerEpoch, "A marker for producer %d has epoch %d, which is not higher than the last seen epoch %d", p.id, b.ProducerEpoch(), p.epoch)
}

// maxProducerEpoch is never a client's: a producer that has it anyway must be able to end its transaction.
const maxProducerEpoch = 1<<15 - 1

// settleVerification forgets a verification whose transaction is open in the log now, or has ended.
// One for the next transaction, with the epoch that the marker brings, stays. appendMu is held.
func (l *Log) settleVerification(b record.Batch) {
	if len(l.verifying) == 0 || !b.IsTransactional() {
		return
	}
	v := l.verifying[b.ProducerID()]
	if v == nil || v.bumps && b.IsControl() && b.ProducerEpoch() == v.epoch {
		return
	}
	delete(l.verifying, b.ProducerID())
}

// expireVerifications forgets those that nobody has used since before a time. appendMu is held.
func (l *Log) expireVerifications(beforeMs int64) {
	for id, v := range l.verifying {
		if v.guard == NoVerification {
			invariant.Fail("producer %d has the guard that stands for none", id)
		}
		if v.sinceMs < beforeMs {
			delete(l.verifying, id)
		}
	}
}
