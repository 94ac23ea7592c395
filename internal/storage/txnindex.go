package storage

import (
	"encoding/binary"
	"fmt"

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
// only when it has entries. appendMu need not be held.
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
			return nil, fmt.Errorf("cannot read %s: %w", s.path(kindTxnIndex), err)
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
	if err != nil {
		return err
	}
	if n := len(txns); n > 0 && txns[n-1].LastOffset >= t.LastOffset {
		return nil // replayed after a stop: it is there
	}
	err = s.with(kindTxnIndex, func(f vfs.File) error {
		_, err := f.WriteAt(appendAbortedTxn(nil, t), int64(len(txns))*txnEntryBytes)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", s.path(kindTxnIndex), err)
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.aborted = append(s.aborted, t)
	s.nameDirty = s.nameDirty || len(s.aborted) == 1
	s.abortedDirty, s.dirty = true, true
	return nil
}

// cutAborted drops entries that end at or after offset. appendMu is held.
func (s *segment) cutAborted(offset int64) error {
	txns, err := s.loadAborted()
	if err != nil {
		return err
	}
	keep := len(txns)
	for keep > 0 && txns[keep-1].LastOffset >= offset {
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
	s.abortedDirty, s.dirty = true, true
	return nil
}
