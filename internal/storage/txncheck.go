package storage

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// The index of aborted transactions lies in files that may be missing, cut or damaged, and what it leaves out would be
// given to readers of committed records as if it were. The batches tell the same: what a producer wrote in a transaction
// is decided by its next marker. So where the log was found, not written by this process, the batches that a reader of
// committed records is given are held against the index first: headers only, each once, and on behind them until the
// markers of all that was open have been met. An index that does not say the same is made anew.

// maxTxnScans is how many readers that are far apart in one log are followed; each needs a few bytes, and one for each
// transaction that is open where it is.
const maxTxnScans = 8

// txnCheck is what has been held against the transaction indexes of a log.
type txnCheck struct {
	mu    sync.Mutex // held over the walks
	cuts  int64      // the log's truncations when the scans were made
	scans []*txnScan // the one that was used last is the first
}

// txnScan is one walk over a part of the log, from an offset on.
type txnScan struct {
	from, next int64 // the batches of [from, next) have been seen
	seg        *segment
	pos        int64 // where in seg the batch at next begins
	// unsureBelow is behind the last place that could not be read: for what lies below, the index is all there is.
	unsureBelow int64

	open  map[int64]openRun // by producer: written in a transaction whose marker has not been met
	ended map[int64]int64   // by producer: the last marker that was met
}

// openRun is what a producer has written since its last marker.
type openRun struct {
	first   int64 // offset of its first batch
	seg     *segment
	pos     int64 // and where that is
	checked bool  // the bytes of that batch are good
}

// maxEndedProducers bounds what a scan remembers of markers. Without it only an index that tells a wrong beginning
// of a transaction could be taken for right.
const maxEndedProducers = 1 << 16

// errWrongTxnIndex says that the transaction index of a segment does not say what the batches do.
type errWrongTxnIndex struct {
	seg *segment
	why string
}

func (e *errWrongTxnIndex) Error() string {
	return fmt.Sprintf("the transaction index of segment %d is wrong: %s", e.seg.base, e.why)
}

// proveAborted makes sure that the transaction indexes are right for the batches of [from, to). What they say of
// transactions that end above upTo is not, and does not concern these batches.
func (l *Log) proveAborted(from, to int64) (upTo int64, err error) {
	if from >= l.foundTo.Load() {
		return math.MaxInt64, nil
	}
	c := &l.txnCheck
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		cuts := l.cuts()
		if c.cuts != cuts {
			c.cuts, c.scans = cuts, nil
		}
		s := c.scanFor(from)
		err := l.advance(s, to)
		var wrong *errWrongTxnIndex
		switch {
		case errors.As(err, &wrong):
			c.scans = nil
			if err := l.remakeAborted(wrong.seg, wrong.why); err != nil {
				return 0, err
			}
			continue
		case err != nil || l.cuts() != cuts:
			c.scans = nil
			if err == nil {
				err = errGone // somebody has cut the log meanwhile
			}
			return 0, err
		case from < s.unsureBelow || !s.knows(to):
			return math.MaxInt64, nil // there is nothing but the index to go by
		}
		return s.next - 1, nil
	}
}

// scanFor is the scan that has come by an offset or ends there, or a new one.
func (c *txnCheck) scanFor(from int64) *txnScan {
	for i, s := range c.scans {
		if s.from <= from && from <= s.next {
			copy(c.scans[1:i+1], c.scans[:i])
			c.scans[0] = s
			return s
		}
	}
	s := &txnScan{from: from, next: from, open: map[int64]openRun{}, ended: map[int64]int64{}}
	if len(c.scans) == maxTxnScans {
		c.scans = c.scans[:maxTxnScans-1]
	}
	c.scans = slices.Insert(c.scans, 0, s)
	return s
}

// advance walks on until the fate of all that lies below to is known, or the log ends. An entry is in the index before its
// marker can be seen.
func (l *Log) advance(s *txnScan, to int64) error {
	for !s.knows(to) {
		if err := l.Err(); err != nil {
			return err
		}
		v, ok := l.viewAt(s.next)
		if !ok {
			return nil
		}
		if err := l.advanceIn(s, v, to); err != nil {
			return err
		}
		if s.knows(to) || v.last {
			return nil
		}
		s.next, s.seg, s.pos = max(s.next, v.end), nil, 0
		if err := l.checkOpenRuns(s); err != nil {
			return err
		}
	}
	return nil
}

// knows says whether the markers of all that lies below an offset have been met.
func (s *txnScan) knows(to int64) bool { return s.next >= to && s.waits(to) == 0 }

// waits is how many transactions have batches below an offset, and no marker yet.
func (s *txnScan) waits(to int64) (n int) {
	for _, r := range s.open {
		if r.first < to {
			n++
		}
	}
	return n
}

// advanceIn is advance within one segment.
func (l *Log) advanceIn(s *txnScan, v view, to int64) error {
	txns, err := v.seg.loadAborted()
	if err != nil {
		if isUnreadable(err) {
			return &errWrongTxnIndex{v.seg, err.Error()}
		}
		return err
	}
	return v.seg.with(kindLog, func(f vfs.File) error {
		if s.seg != v.seg {
			pos, err := l.locate(v, f, s.next)
			if err != nil {
				return err
			}
			s.seg, s.pos = v.seg, pos
		}
		w := txnWalk{txnScan: s, l: l, v: v, f: f, txns: txns, to: to, left: -1, trusted: v.seg.abortedProven.Load()}
		w.at = sort.Search(len(txns), func(i int) bool { return txns[i].LastOffset >= s.next })
		w.headers = walkHeaders(f, v.size)
		defer w.headers.close()
		return w.run()
	})
}

// txnWalk walks over batches of one segment, with the entries of its transaction index beside them.
type txnWalk struct {
	*txnScan
	l       *Log
	v       view
	f       vfs.File
	headers headers
	txns    []AbortedTxn
	trusted bool // txns was made from these batches: what looks wrong is not known better
	at      int  // the first entry of txns that has not been come by
	to      int64
	left    int // transactions that are waited for once to is reached; -1 before
}

func (w *txnWalk) run() error {
	for w.pos < w.v.size {
		if w.l.env.stopping.Load() || w.l.closed.Load() { // a long transaction in a cold log would hold the stop up
			return fmt.Errorf("%w: the check of the transactions of %s is given up", ErrClosed, w.l.tp)
		}
		if w.next >= w.to {
			if w.left < 0 {
				w.left = w.waits(w.to)
			}
			if w.left == 0 {
				return nil
			}
		}
		b, size, err := w.batch()
		if err == nil && !b.IsControl() {
			err = w.data(b)
		} else if err == nil {
			err = w.control(size)
		}
		if errors.Is(err, ErrCorruptRecord) {
			if err := w.skip(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		w.pos, w.next = w.pos+size, max(w.next, b.NextOffset())
	}
	if w.pos >= w.v.size && !w.v.last {
		return w.entriesBelow(math.MaxInt64)
	}
	return nil
}

// batch is the header at pos, if it can be one there and no damage is known of it.
func (w *txnWalk) batch() (record.Batch, int64, error) {
	if bad, ok := w.v.seg.verified.firstBad(w.pos, w.pos+1); ok {
		return nil, 0, fmt.Errorf("%w: %w", ErrCorruptRecord, bad.why)
	}
	b, size, err := w.headers.at(w.pos)
	if err == nil && (b.LastOffset() < w.next || b.LastOffset() >= w.v.end || b.LastOffsetDelta() < 0) {
		err = fmt.Errorf("%w: offsets [%d, %d] where %d is next", ErrCorruptRecord, b.BaseOffset(), b.LastOffset(), w.next)
	}
	return b, size, err
}

// data takes in a batch of records.
func (w *txnWalk) data(b record.Batch) error {
	if err := w.entriesBelow(b.NextOffset()); err != nil {
		return err
	}
	if b.IsTransactional() {
		if _, ok := w.open[b.ProducerID()]; !ok {
			w.open[b.ProducerID()] = openRun{first: b.BaseOffset(), seg: w.v.seg, pos: w.pos}
		}
	}
	return nil
}

// control takes in a marker.
func (w *txnWalk) control(size int64) error {
	b, err := readChecked(w.f, w.pos, size)
	if err != nil {
		return err
	}
	m, ok, err := endTxnMarker(b)
	if err != nil {
		return err
	}
	if !ok { // of another kind, or emptied by the cleaner: nothing of its transaction is left
		return w.entriesBelow(b.BaseOffset())
	}
	if err := w.compare(b, m.Commit); err != nil {
		return err
	}
	pid := b.ProducerID()
	if run, has := w.open[pid]; has && run.first < w.to && w.left > 0 {
		w.left--
	}
	delete(w.open, pid)
	if len(w.ended) >= maxEndedProducers {
		clear(w.ended)
	}
	w.ended[pid] = b.LastOffset()
	return nil
}

// compare holds the index against a marker.
func (w *txnWalk) compare(b record.Batch, commit bool) error {
	pid, end := b.ProducerID(), b.LastOffset()
	if err := w.entriesBelow(end); err != nil || w.trusted {
		return err
	}
	run, has := w.open[pid]
	if w.at == len(w.txns) || w.txns[w.at].LastOffset > end {
		if has && !commit {
			return w.wrong("it does not tell of the aborted transaction of producer %d from offset %d to %d", pid, run.first, end)
		}
		return nil
	}
	t := w.txns[w.at]
	last, seen := w.ended[pid]
	switch {
	case commit || t.ProducerID != pid:
		return w.wrong("it tells of an aborted transaction of producer %d that ends at offset %d, which is no such marker", t.ProducerID, t.LastOffset)
	case t.LastStableOffset > w.stableBelow(pid, end+1):
		return w.wrong("it tells that the last stable offset after the aborted transaction of producer %d up to offset %d was %d", pid, end, t.LastStableOffset)
	case t.FirstOffset > end || has && t.FirstOffset > run.first || seen && t.FirstOffset <= last:
		return w.wrong("it tells that the aborted transaction of producer %d up to offset %d began at %d", pid, end, t.FirstOffset)
	}
	w.at++
	return nil
}

// stableBelow is what the last stable offset can be at most when a producer's transaction has ended.
func (w *txnWalk) stableBelow(pid, offset int64) int64 {
	if len(w.open) > maxStableOpen {
		return offset
	}
	for id, r := range w.open {
		if id != pid {
			offset = min(offset, r.first)
		}
	}
	return offset
}

// maxStableOpen bounds the work at each marker. We do not go by the field; Kafka ends its search at it.
const maxStableOpen = 1024

// entriesBelow comes by the entries that end below an offset and were met by no marker.
func (w *txnWalk) entriesBelow(offset int64) error {
	if w.trusted || w.at == len(w.txns) || w.txns[w.at].LastOffset >= offset {
		return nil
	}
	t := w.txns[w.at]
	return w.wrong("it tells of an aborted transaction of producer %d that ends at offset %d, where there is no marker", t.ProducerID, t.LastOffset)
}

func (w *txnWalk) wrong(format string, args ...any) error {
	return &errWrongTxnIndex{w.v.seg, fmt.Sprintf(format, args...)}
}

// skip passes over what cannot be read. Markers may have been there: the index is believed for all that was open before.
func (w *txnWalk) skip() error {
	next, err := w.v.seg.nextIndexed(w.f, w.pos, w.v.size)
	if err != nil {
		return err
	}
	if bad, ok := w.v.seg.verified.firstBad(w.pos, w.pos+1); ok {
		next = max(bad.to, w.pos+1)
	}
	w.pos = min(next, w.v.size)
	w.next = max(w.next+1, w.offsetAt(w.pos))
	w.unsureBelow = w.next
	clear(w.open)
	clear(w.ended)
	w.left = -1
	for w.at < len(w.txns) && w.txns[w.at].LastOffset < w.next {
		w.at++
	}
	return nil
}

// offsetAt is the offset of the batch at a position, or where the segment ends.
func (w *txnWalk) offsetAt(pos int64) int64 {
	b, _, err := w.headers.at(pos)
	if pos >= w.v.size || err != nil {
		return w.next
	}
	return min(b.BaseOffset(), w.v.end)
}

// checkOpenRuns looks, before a walk goes on to another segment, whether the batches for whose markers it does are good:
// a flipped bit in a header may speak of a producer that never wrote anything, and the walk would go on to the log's end.
func (l *Log) checkOpenRuns(s *txnScan) error {
	for pid, r := range s.open {
		if r.checked {
			continue
		}
		err := r.seg.with(kindLog, func(f vfs.File) error {
			end, err := f.Size()
			if err != nil {
				return err
			}
			h := walkHeaders(f, end)
			defer h.close()
			_, size, err := h.at(r.pos)
			if err == nil {
				err = checkBatchAt(f, r.pos, size)
			}
			return err
		})
		switch {
		case errors.Is(err, ErrCorruptRecord):
			delete(s.open, pid)
			s.unsureBelow = max(s.unsureBelow, r.first+1)
		case err != nil:
			return err
		default:
			r.checked = true
			s.open[pid] = r
		}
	}
	return nil
}
