package storage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"

	"github.com/moldau-stream/moldau/internal/record"
)

// rememberedBatches is how many batches of a producer can be recognised when they
// come again; clients have at most as many in flight.
const rememberedBatches = 5

// noTxn stands for "no transaction is open".
const noTxn int64 = -1

// sentBatch is one appended batch of a producer.
type sentBatch struct {
	lastSeq     int32
	offsetDelta int32
	lastOffset  int64
	timestampMs int64
}

func (b sentBatch) firstSeq() int32    { return subSequence(b.lastSeq, b.offsetDelta) }
func (b sentBatch) firstOffset() int64 { return b.lastOffset - int64(b.offsetDelta) }

// subSequence is the inverse of record.AddSequence.
func subSequence(seq, delta int32) int32 {
	if seq < delta {
		return math.MaxInt32 - (delta - seq) + 1
	}
	return seq - delta
}

// producer is what the log remembers of one idempotent producer.
type producer struct {
	id               int64
	epoch            int16
	coordinatorEpoch int32
	lastTimestampMs  int64
	txnFirstOffset   int64 // of the open transaction, or noTxn
	batches          [rememberedBatches]sentBatch
	n                int // batches in use, oldest first
}

func (p *producer) lastSeq() int32 {
	if p.n == 0 {
		return record.NoSequence
	}
	return p.batches[p.n-1].lastSeq
}

func (p *producer) add(b sentBatch) {
	if p.n == rememberedBatches {
		copy(p.batches[:], p.batches[1:])
		p.n--
	}
	p.batches[p.n] = b
	p.n++
}

func (p *producer) setEpoch(epoch int16) {
	if p.epoch != epoch {
		p.epoch, p.n = epoch, 0
	}
}

// duplicateOf finds the batch among those remembered: the newest that it can be, since a producer that was forgotten may have begun
// with the same sequence again, and what a start replays knows of both.
func (p *producer) duplicateOf(b record.Batch) (sentBatch, bool) {
	if b.ProducerEpoch() != p.epoch {
		return sentBatch{}, false
	}
	for _, s := range slices.Backward(p.batches[:p.n]) {
		if s.firstSeq() == b.BaseSequence() && s.lastSeq == b.LastSequence() {
			return s, true
		}
	}
	return sentBatch{}, false
}

// txn is a transaction in this partition; last is -1 while it is open.
type txn struct{ producerID, first, last int64 }

// producers is the producer state of a log, guarded as the fields of Log are.
type producers struct {
	byID map[int64]*producer
	// ongoing are the open transactions, unreplicated those whose marker is not yet
	// below the high watermark; both in order of their first offset.
	ongoing, unreplicated []txn
	// end is the offset up to which batches have been taken in.
	end int64
}

func (ps *producers) reset(end int64) {
	*ps = producers{byID: map[int64]*producer{}, end: end}
}

// check says whether a batch of a producer may be appended; dup when it has been.
// logEmpty says that nothing was ever in this log. Nothing is changed.
func (ps *producers) check(b record.Batch, origin Origin, logEmpty bool) (dup sentBatch, isDup bool, err error) {
	if !b.HasProducerID() {
		return dup, false, nil
	}
	p := ps.byID[b.ProducerID()]
	if b.IsControl() {
		return dup, false, ps.checkMarker(p, b, origin)
	}
	if p != nil && origin == FromClient {
		if dup, isDup = p.duplicateOf(b); isDup {
			return dup, true, nil
		}
	}
	if origin != FromReplication {
		if p != nil && b.ProducerEpoch() < p.epoch {
			return dup, false, refuse(ErrInvalidProducerEpoch, "Epoch of producer %d is %d, which is older than the last seen epoch %d",
				p.id, b.ProducerEpoch(), p.epoch)
		}
		if p != nil && p.txnFirstOffset != noTxn && !b.IsTransactional() {
			return dup, false, refuse(ErrInvalidTxnState, "Producer %d has a transaction open since offset %d and sent a batch outside of it",
				p.id, p.txnFirstOffset)
		}
	}
	if origin == FromClient {
		err = checkSequence(p, b, logEmpty)
	}
	return dup, false, err
}

// checkSequence holds a client to the order of its batches. A producer that is not
// known may begin anywhere, since retention may have removed what it sent before;
// but not in a log that never held anything: there an earlier batch was refused,
// and taking a later one first would shut it out for ever.
func checkSequence(p *producer, b record.Batch, logEmpty bool) error {
	seq := b.BaseSequence()
	switch {
	case p == nil:
		if logEmpty && seq != 0 {
			return refuse(ErrOutOfOrderSequence, "Out of order sequence number for producer %d: %d is its first in an empty partition, 0 is expected", b.ProducerID(), seq)
		}
	case p.epoch != b.ProducerEpoch():
		if seq != 0 {
			return refuse(ErrOutOfOrderSequence, "Out of order sequence number for producer %d: new epoch %d (after %d) begins with %d, 0 is expected",
				p.id, b.ProducerEpoch(), p.epoch, seq)
		}
	default:
		want := int32(0)
		if last := p.lastSeq(); last != record.NoSequence {
			want = record.AddSequence(last, 1)
		}
		if seq != want {
			return refuse(ErrOutOfOrderSequence, "Out of order sequence number for producer %d: %d came, %d is expected", p.id, seq, want)
		}
	}
	return nil
}

func (ps *producers) checkMarker(p *producer, b record.Batch, origin Origin) error {
	m, ok, err := endTxnMarker(b)
	if err != nil || !ok || p == nil || origin == FromReplication {
		return err
	}
	if b.ProducerEpoch() < p.epoch {
		return refuse(ErrInvalidProducerEpoch, "A marker for producer %d has epoch %d, which is older than the last seen epoch %d", p.id, b.ProducerEpoch(), p.epoch)
	}
	if m.CoordinatorEpoch < p.coordinatorEpoch {
		return refuse(ErrCoordinatorFenced, "A marker for producer %d comes from coordinator epoch %d, the last seen is %d", p.id, m.CoordinatorEpoch, p.coordinatorEpoch)
	}
	return nil
}

// endTxnMarker reads the marker of a control batch; ok is false for a batch that
// compaction has emptied and for control records of other kinds.
func endTxnMarker(b record.Batch) (m record.EndTxnMarker, ok bool, err error) {
	if b.NumRecords() == 0 {
		return m, false, nil
	}
	err = b.ForEachKey(func(r record.Record) error {
		t, err := record.ParseControlType(r.Key)
		if err != nil || t != record.ControlAbort && t != record.ControlCommit {
			return err
		}
		c, err := record.ParseControl(r.Key, r.Value)
		if err == nil {
			m, ok = c.(record.EndTxnMarker), true
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("%w: cannot read a control record: %w", ErrCorruptRecord, err)
	}
	return m, ok, err
}

// apply takes a batch in that is in the log now. completed is the transaction that it ended, if any.
func (ps *producers) apply(b record.Batch) (completed *txn, aborted bool, err error) {
	ps.end = b.NextOffset()
	if !b.HasProducerID() {
		return nil, false, nil
	}
	if b.IsControl() {
		return ps.applyMarker(b)
	}
	p := ps.ensure(b.ProducerID(), b.ProducerEpoch())
	p.setEpoch(b.ProducerEpoch())
	p.add(sentBatch{lastSeq: b.LastSequence(), offsetDelta: b.LastOffsetDelta(), lastOffset: b.LastOffset(), timestampMs: b.MaxTimestamp()})
	p.lastTimestampMs = b.MaxTimestamp()
	if b.IsTransactional() && p.txnFirstOffset == noTxn {
		p.txnFirstOffset = b.BaseOffset()
		ps.ongoing = append(ps.ongoing, txn{p.id, b.BaseOffset(), -1})
	}
	return nil, false, nil
}

func (ps *producers) applyMarker(b record.Batch) (*txn, bool, error) {
	m, ok, err := endTxnMarker(b)
	if err != nil {
		return nil, false, err
	}
	if !ok {
		if b.NumRecords() == 0 {
			// The cleaner has left the header to tell the producer's epoch.
			p := ps.ensure(b.ProducerID(), b.ProducerEpoch())
			p.setEpoch(b.ProducerEpoch())
			p.lastTimestampMs = b.MaxTimestamp()
		}
		return nil, false, nil
	}
	p := ps.ensure(b.ProducerID(), b.ProducerEpoch())
	p.setEpoch(b.ProducerEpoch())
	p.coordinatorEpoch, p.lastTimestampMs = m.CoordinatorEpoch, b.MaxTimestamp()
	if p.txnFirstOffset == noTxn {
		return nil, false, nil // nothing of that transaction is here: the marker changes nothing
	}
	done := txn{p.id, p.txnFirstOffset, b.LastOffset()}
	p.txnFirstOffset = noTxn
	ps.ongoing = slices.DeleteFunc(ps.ongoing, func(t txn) bool { return t.producerID == p.id })
	i, _ := slices.BinarySearchFunc(ps.unreplicated, done.first, func(t txn, first int64) int { return int(min(1, max(-1, t.first-first))) })
	ps.unreplicated = slices.Insert(ps.unreplicated, i, done)
	return &done, !m.Commit, nil
}

func (ps *producers) ensure(id int64, epoch int16) *producer {
	p := ps.byID[id]
	if p == nil {
		p = &producer{id: id, epoch: epoch, coordinatorEpoch: -1, txnFirstOffset: noTxn, lastTimestampMs: record.NoTimestamp}
		ps.byID[id] = p
	}
	return p
}

// stableEnd is the last stable offset right after a transaction has completed: the
// first offset of those still open, or what follows its marker.
func (ps *producers) stableEnd(completed txn) int64 {
	if len(ps.ongoing) > 0 {
		return min(ps.ongoing[0].first, completed.last+1)
	}
	return completed.last + 1
}

// firstUnstable is the first offset of a transaction that is open or whose marker
// is not yet below the high watermark.
func (ps *producers) firstUnstable() int64 {
	first := int64(math.MaxInt64)
	if len(ps.ongoing) > 0 {
		first = ps.ongoing[0].first
	}
	if len(ps.unreplicated) > 0 {
		first = min(first, ps.unreplicated[0].first)
	}
	return first
}

func (ps *producers) highWatermarkMoved(hw int64) {
	ps.unreplicated = slices.DeleteFunc(ps.unreplicated, func(t txn) bool { return t.last < hw })
}

// expire forgets producers that have been silent since before a time, except those in a transaction.
func (ps *producers) expire(beforeMs int64) (n int) {
	for id, p := range ps.byID {
		if p.txnFirstOffset == noTxn && p.lastTimestampMs < beforeMs {
			delete(ps.byID, id)
			n++
		}
	}
	return n
}

// A snapshot: version int16 = 1, CRC-32C uint32 of all that follows, then the number
// of entries int32 and for each the fields in the order of encodeSnapshot. A producer has
// an entry for each batch that is remembered, the latest last: who reads only one, as
// Kafka does, is left with that. With the latest alone, a producer that had several batches
// in flight would be told after a restart that its first is out of order, and might write it twice.
const (
	snapshotVersion     = 1
	snapshotHeaderBytes = 10
	snapshotEntryBytes  = 46
)

func (ps *producers) encodeSnapshot() []byte {
	be := binary.BigEndian
	b := make([]byte, snapshotHeaderBytes, snapshotHeaderBytes+snapshotEntryBytes*len(ps.byID))
	be.PutUint16(b, snapshotVersion)
	entries := 0
	for _, id := range slices.Sorted(maps.Keys(ps.byID)) {
		p := ps.byID[id]
		for i := range max(p.n, 1) {
			last, at := sentBatch{lastSeq: record.NoSequence, lastOffset: -1}, p.lastTimestampMs
			if p.n > 0 {
				last = p.batches[i]
			}
			if i < p.n-1 {
				at = last.timestampMs
			}
			b = be.AppendUint64(b, uint64(id))
			b = be.AppendUint16(b, uint16(p.epoch))
			b = be.AppendUint32(b, uint32(last.lastSeq))
			b = be.AppendUint64(b, uint64(last.lastOffset))
			b = be.AppendUint32(b, uint32(last.offsetDelta))
			b = be.AppendUint64(b, uint64(at))
			b = be.AppendUint32(b, uint32(p.coordinatorEpoch))
			b = be.AppendUint64(b, uint64(p.txnFirstOffset))
			entries++
		}
	}
	be.PutUint32(b[6:], uint32(entries))
	be.PutUint32(b[2:], crc32.Checksum(b[6:], castagnoli))
	return b
}

// castagnoli is only ever read.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parseSnapshot reads a snapshot that was taken at offset end.
func parseSnapshot(b []byte, end int64) (producers, error) {
	be := binary.BigEndian
	var ps producers
	ps.reset(end)
	if len(b) < snapshotHeaderBytes {
		return ps, fmt.Errorf("%d bytes are no producer snapshot", len(b))
	}
	if v := be.Uint16(b); v != snapshotVersion {
		return ps, fmt.Errorf("producer snapshot has version %d, only %d is known", v, snapshotVersion)
	}
	if got, want := crc32.Checksum(b[6:], castagnoli), be.Uint32(b[2:]); got != want {
		return ps, fmt.Errorf("producer snapshot's checksum is %08x, its header says %08x", got, want)
	}
	n := int(int32(be.Uint32(b[6:])))
	b = b[snapshotHeaderBytes:]
	if n < 0 || n*snapshotEntryBytes != len(b) {
		return ps, fmt.Errorf("producer snapshot of %d entries has %d bytes of them", n, len(b))
	}
	for ; len(b) > 0; b = b[snapshotEntryBytes:] {
		id, epoch := int64(be.Uint64(b)), int16(be.Uint16(b[8:]))
		p := ps.ensure(id, epoch)
		p.setEpoch(epoch)
		p.lastTimestampMs, p.coordinatorEpoch, p.txnFirstOffset = int64(be.Uint64(b[26:])), int32(be.Uint32(b[34:])), int64(be.Uint64(b[38:]))
		last := sentBatch{lastSeq: int32(be.Uint32(b[10:])), lastOffset: int64(be.Uint64(b[14:])), offsetDelta: int32(be.Uint32(b[22:])), timestampMs: p.lastTimestampMs}
		if last.lastOffset >= 0 {
			p.add(last)
		}
		if p.txnFirstOffset < 0 {
			p.txnFirstOffset = noTxn
		}
	}
	for id, p := range ps.byID {
		if p.txnFirstOffset != noTxn {
			ps.ongoing = append(ps.ongoing, txn{id, p.txnFirstOffset, -1})
		}
	}
	slices.SortFunc(ps.ongoing, func(a, b txn) int { return int(min(1, max(-1, a.first-b.first))) })
	return ps, nil
}
