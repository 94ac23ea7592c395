package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// An entry of the transaction index: version int16 = 0, producer id, first, last and
// last stable offset, each int64.
const (
	txnEntryBytes   = 34
	txnEntryVersion = 0
)

func appendAbortedTxn(b []byte, t AbortedTxn) []byte {
	b = binary.BigEndian.AppendUint16(b, txnEntryVersion)
	for _, v := range []int64{t.ProducerID, t.FirstOffset, t.LastOffset, t.LastStableOffset} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

// parseTxnIndex takes whole entries of the known version whose last offsets rise.
// good is how many bytes they take.
func parseTxnIndex(b []byte) (txns []AbortedTxn, good int) {
	last := int64(-1)
	for ; len(b)-good >= txnEntryBytes; good += txnEntryBytes {
		e := b[good:]
		i64 := func(at int) int64 { return int64(binary.BigEndian.Uint64(e[at:])) }
		t := AbortedTxn{i64(2), i64(10), i64(18), i64(26)}
		if binary.BigEndian.Uint16(e) != txnEntryVersion || t.LastOffset <= last || t.FirstOffset > t.LastOffset {
			break
		}
		txns = append(txns, t)
		last = t.LastOffset
	}
	return txns, good
}

// loadAborted brings the segment's transaction index into memory; the file exists
// only when it has entries. What it says is only what was found: see txncheck.go. appendMu need not be held.
func (s *segment) loadAborted() ([]AbortedTxn, error) {
	s.log.mu.RLock()
	txns, loaded := s.aborted, s.abortedLoaded
	s.log.mu.RUnlock()
	if loaded {
		return txns, nil
	}
	ok, err := vfs.Exists(s.log.env.fs, s.path(kindTxnIndex))
	if err != nil {
		return nil, err
	}
	if !ok && s.log.env.files.isGone(&s.files[kindTxnIndex]) {
		return nil, errGone // another segment is in its place, with an index of its own
	}
	if ok {
		b, err := s.readAll(kindTxnIndex)
		if err != nil {
			return nil, fmt.Errorf("cannot read the transaction index of segment %d of %s: %w", s.base, s.log.dir, err)
		}
		txns, _ = parseTxnIndex(b)
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if !s.abortedLoaded {
		s.aborted, s.abortedLoaded = txns, true
	}
	return s.aborted, nil
}

// addAborted appends an entry to the segment's transaction index. appendMu is held.
func (s *segment) addAborted(t AbortedTxn) error {
	txns, err := s.loadAborted()
	if isUnreadable(err) {
		if err = s.log.remakeAbortedLocked(s, err.Error()); err == nil {
			txns, err = s.loadAborted()
		}
	}
	if err != nil {
		return err
	}
	if n := len(txns); n > 0 && txns[n-1].LastOffset >= t.LastOffset {
		return nil // replayed after a stop: it is there
	}
	owed := s.abortedOwed + 1
	if err := s.writeAborted(append(txns[:len(txns):len(txns)], t), owed); err == nil {
		owed = 0
	} else if !isDiskFull(err) {
		return err
	}
	// Without space the entry waits in memory, where readers find it: its marker is in the log already.
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.abortedOwed = owed
	s.aborted = append(s.aborted, t)
	s.nameDirty = s.nameDirty || len(s.aborted) == 1
	s.abortedDirty, s.dirty = true, true
	return nil
}

// writeAborted writes the last n of the segment's entries.
func (s *segment) writeAborted(txns []AbortedTxn, n int) error {
	from := len(txns) - n
	var buf []byte
	for _, t := range txns[from:] {
		buf = appendAbortedTxn(buf, t)
	}
	err := s.with(kindTxnIndex, func(f vfs.File) error {
		_, err := f.WriteAt(buf, int64(from)*txnEntryBytes)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", s.path(kindTxnIndex), err)
	}
	return nil
}

// payAborted writes what found no room before. appendMu is held.
func (s *segment) payAborted() error {
	if s.abortedOwed == 0 {
		return nil
	}
	if err := s.writeAborted(s.aborted, s.abortedOwed); err != nil {
		return err
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.abortedOwed = 0
	return nil
}

// payRetry is how long a sync waits for space, or for its turn, to write entries that are owed.
const payRetry = time.Second

// payDebts writes the entries of transaction indexes that found no room, so that a sync makes them durable as well. A
// sync must not wait for appendMu, whose holder may wait for it: it comes again.
func (l *Log) payDebts(jobs []syncJob) error {
	owed := false
	l.mu.RLock()
	for _, j := range jobs {
		owed = owed || j.seg.abortedOwed > 0
	}
	l.mu.RUnlock()
	if !owed {
		return nil
	}
	if !l.appendMu.TryLock() {
		return errOwed
	}
	defer l.appendMu.Unlock()
	for _, j := range jobs {
		if err := j.seg.payAborted(); err != nil {
			return err
		}
	}
	return nil
}

// errOwed says that entries of a transaction index are still to be written.
var errOwed = errors.New("the log is busy")

// cutAborted drops entries that end at or after offset. appendMu is held.
func (s *segment) cutAborted(offset int64) error {
	txns, err := s.loadAborted()
	if isUnreadable(err) {
		// What it said is made anew where somebody asks.
		if err = s.emptyIndex(kindTxnIndex, err); err == nil {
			txns, err = s.loadAborted()
		}
	}
	if err != nil {
		return err
	}
	keep := len(txns)
	isNone := func(i int) bool { // zeros that the power has left look like an entry of what lies far below
		return txns[i].LastOffset < s.base || i > 0 && txns[i].LastOffset <= txns[i-1].LastOffset
	}
	for keep > 0 && (txns[keep-1].LastOffset >= offset || isNone(keep-1)) {
		keep--
	}
	exists, err := vfs.Exists(s.log.env.fs, s.path(kindTxnIndex))
	if err != nil || !exists {
		return err
	}
	// Also when nothing is dropped: half an entry may follow the last whole one.
	err = s.with(kindTxnIndex, func(f vfs.File) error { return f.Truncate(int64(keep) * txnEntryBytes) })
	if err != nil {
		return fmt.Errorf("cannot cut %s: %w", s.path(kindTxnIndex), err)
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.aborted = txns[:keep:keep]
	s.abortedOwed = 0
	s.abortedDirty, s.dirty = true, true
	return nil
}
