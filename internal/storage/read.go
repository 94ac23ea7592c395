package storage

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"sync/atomic"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// Slice is a range of one segment's file that holds whole batches. The file stays
// open until Release, also when the segment is deleted meanwhile.
type Slice struct {
	File     vfs.File // nil when Len is 0
	Pos, Len int64
	// FirstOffset is the offset that was asked for; the first batch may begin before it.
	FirstOffset int64
	// NextOffset is where to go on reading.
	NextOffset int64

	seg      *segment
	data     []byte  // see Data
	mem      *[]byte // holds data
	released int32   // atomic; not an atomic.Bool, so that what embeds a slice can be copied
}

// Release lets the file go. It may be called more than once.
func (s *Slice) Release() {
	if s.seg != nil && atomic.CompareAndSwapInt32(&s.released, 0, 1) {
		s.forget()
		s.seg.release(kindLog)
	}
}

// Bytes reads the range into memory.
func (s *Slice) Bytes() ([]byte, error) {
	b := make([]byte, s.Len)
	if s.Len == 0 {
		return b, nil
	}
	if s.data != nil {
		copy(b, s.data)
		return b, nil
	}
	if _, err := s.File.ReadAt(b, s.Pos); err != nil {
		return nil, fmt.Errorf("cannot read %d bytes of %s at %d: %w", s.Len, s.File.Name(), s.Pos, err)
	}
	return b, nil
}

// view is a segment as it is at one moment.
type view struct {
	seg  *segment
	size int64
	end  int64 // offset after the segment
	last bool
	cuts int64 // the log's truncations then
}

// Read finds whole batches from the one that holds offset from on, all of whose
// offsets are below upTo: as many as fit into maxBytes, or, with minOneBatch, the
// first one however large it is. Len is 0 when there is nothing to read.
func (l *Log) Read(from int64, maxBytes int, upTo int64, minOneBatch bool) (*Slice, error) {
	s := new(Slice)
	if err := l.ReadInto(s, from, maxBytes, upTo, minOneBatch); err != nil {
		return nil, err
	}
	return s, nil
}

// ReadInto is Read into a slice of the caller's, which holds nothing: a new or a released one. After an error it holds nothing.
func (l *Log) ReadInto(s *Slice, from int64, maxBytes int, upTo int64, minOneBatch bool) error {
	if err := l.ensure(); err != nil {
		return err
	}
	for {
		err := l.tryRead(s, from, int64(maxBytes), upTo, minOneBatch)
		if l.overtaken(err) {
			continue
		}
		if broken := l.Err(); broken != nil && (errors.Is(err, errGone) || errors.Is(err, ErrOffsetOutOfRange)) {
			return broken // what it holds nobody can say
		}
		return err
	}
}

// overtaken says that a segment has gone under a reader, by retention, a cut or the cleaner, so that it must look again. In a log
// that has failed on the way the segment may be gone for good.
func (l *Log) overtaken(err error) bool { return errors.Is(err, errGone) && l.Err() == nil }

func (l *Log) tryRead(s *Slice, from, maxBytes, upTo int64, minOneBatch bool) error {
	if start, end := l.logStart.Load(), l.leo.Load(); from < start || from > end {
		return fmt.Errorf("%w: offset %d of %s, which has [%d, %d)", ErrOffsetOutOfRange, from, l.tp, start, end)
	}
	for at := from; at < upTo; {
		v, ok := l.viewAt(at)
		if !ok {
			break
		}
		if v.seg.base > at {
			return errGone // retention took the segment after the start offset was looked at
		}
		behind, err := l.readSegment(s, v, from, maxBytes, upTo, minOneBatch)
		if !behind || err != nil {
			return err
		}
		if v.last {
			break
		}
		at = v.end // compaction has left nothing in this segment
	}
	*s = Slice{FirstOffset: from, NextOffset: from}
	return nil
}

// checkGap looks, once for each closed segment that is read to its end, whether it goes up to the next one. Where nobody
// compacts, offsets between the two are the loss of a segment, and readers pass over them.
func (l *Log) checkGap(v view, f vfs.File) error {
	if v.last || l.compacted.Load() || l.config().Compact || !v.seg.gapTold.CompareAndSwap(false, true) {
		return nil
	}
	e, _, err := v.seg.floor(func(offsetEntry) bool { return true })
	if err != nil {
		return err
	}
	h := walkHeaders(f, v.size)
	defer h.close()
	next, err := l.offsetAfter(f, v.seg.startAt(&h, e), v.size)
	if errors.Is(err, ErrCorruptRecord) {
		return nil // told where it is read
	}
	if err != nil || next >= v.end || v.size == 0 || v.cuts != l.cuts() {
		return err
	}
	l.env.damaged.Add(1)
	l.env.logger.Error("offsets are missing, readers pass over them: a segment was lost, unless the topic was compacted once. If there is a backup or a replica, restore its file",
		"partition", l.tp.String(), "dir", l.dir, "from", next, "to", v.end)
	return nil
}

// viewAt is the segment that offset lies in; ok is false at the log's end.
func (l *Log) viewAt(offset int64) (view, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	leo := l.leo.Load()
	if offset >= leo {
		return view{}, false
	}
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].base > offset })
	return l.viewLocked(max(i-1, 0)), true
}

func (l *Log) viewLocked(i int) view {
	v := view{seg: l.segments[i], size: l.segments[i].size, end: l.leo.Load(), last: i == len(l.segments)-1, cuts: l.truncations}
	if !v.last {
		v.end = l.segments[i+1].base
	}
	return v
}

func (l *Log) views() []view {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]view, len(l.segments))
	for i := range l.segments {
		out[i] = l.viewLocked(i)
	}
	return out
}

// readSegment is Read within one segment; behind says that from lies behind its last batch.
func (l *Log) readSegment(s *Slice, v view, from, maxBytes, upTo int64, minOneBatch bool) (behind bool, err error) {
	f, err := v.seg.acquire(kindLog)
	if err != nil {
		return false, err
	}
	*s = Slice{File: f, FirstOffset: from, NextOffset: from, seg: v.seg}
	err = l.measure(s, v, maxBytes, upTo, minOneBatch)
	s.keepData()
	if s.Len > 0 && err == nil && s.data == nil {
		err = l.heedCut(s, v, upTo)
	}
	if s.Len > 0 && err == nil && s.data == nil {
		err = l.tryOut(s, v, upTo)
	}
	s.keepData()
	err = l.tellShort(s, v, err)
	if s.Len > 0 && err == nil {
		l.markRead(v, s.NextOffset, s.Pos+s.Len)
		return false, nil
	}
	beyond := s.Pos >= v.size
	s.Release()
	*s = Slice{FirstOffset: from, NextOffset: from}
	if err != nil {
		return false, l.unreadable(v, err)
	}
	return beyond, nil
}

// unreadable tells of damage that a read has met outside of what is checked before it is read, a few times for each segment.
func (l *Log) unreadable(v view, err error) error {
	var told *CorruptError
	if !errors.Is(err, ErrCorruptRecord) || errors.As(err, &told) {
		return err
	}
	if v.cuts != l.cuts() {
		return errGone // the file was cut under the reader, which looks again
	}
	if v.seg.verified.tellNew(err.Error()) {
		l.env.damaged.Add(1)
		l.env.logger.Error("a segment is damaged: records there cannot be read", "partition", l.tp.String(), "file", v.seg.path(kindLog), "err", err)
	}
	return err
}

// markRead notes where the reader goes on, unless the log was cut since the view was
// taken: other batches may lie there now, and a mark from before would outlive the
// clearing of all marks.
func (l *Log) markRead(v view, offset, pos int64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.truncations == v.cuts {
		l.marks.read(v.seg, offset, pos)
	}
}

// measure finds where the slice begins and how long it is.
func (l *Log) measure(s *Slice, v view, maxBytes, upTo int64, minOneBatch bool) (err error) {
	if s.Pos, err = l.locate(v, s.File, s.FirstOffset); err != nil || s.Pos >= v.size {
		return err
	}
	end, next := v.size, v.end
	if upTo < v.end {
		end, err = l.locate(v, s.File, upTo)
		next = upTo
		if errors.Is(err, ErrCorruptRecord) {
			end, next, err = l.beforeDamage(v, s.File, s.Pos, maxBytes, upTo)
		}
		if err != nil {
			return err
		}
	}
	l.readSmall(s, v, min(end-s.Pos, maxBytes))
	if end-s.Pos > maxBytes {
		if end, next, err = l.fit(s, v, end, maxBytes, minOneBatch); err != nil {
			return err
		}
	}
	if end <= s.Pos {
		return nil
	}
	good, err := l.verify(v, s.File, s.FirstOffset, s.Pos, end)
	if err != nil {
		return err
	}
	if good < end {
		end = good
		if next, err = l.offsetAfter(s.File, s.Pos, end); err != nil {
			return err
		}
	}
	s.Len, s.NextOffset = end-s.Pos, next
	if end == v.size {
		return l.checkGap(v, s.File)
	}
	return nil
}

// offsetAfter is the offset after the batches from pos to end.
func (l *Log) offsetAfter(f vfs.File, pos, end int64) (next int64, err error) {
	h := walkHeaders(f, end)
	defer h.close()
	for pos < end {
		b, size, err := h.at(pos)
		if err != nil {
			return 0, err
		}
		next, pos = b.NextOffset(), pos+size
	}
	return next, nil
}

// locate is the position of the first batch that ends at or after offset, or the segment's size.
func (l *Log) locate(v view, f vfs.File, offset int64) (int64, error) {
	if offset <= v.seg.base {
		return 0, nil
	}
	if offset >= v.end {
		return v.size, nil
	}
	if pos, ok := l.marks.find(v.seg, offset); ok && pos <= v.size {
		return pos, nil
	}
	rel := offset - v.seg.base
	e, _, err := v.seg.floor(func(e offsetEntry) bool { return int64(e.rel) <= rel })
	if err != nil {
		return 0, err
	}
	h := walkHeaders(f, v.size)
	defer h.close()
	began := v.seg.startAt(&h, e)
	pos := began
	for pos < v.size {
		b, size, err := h.at(pos)
		if err != nil {
			return 0, err
		}
		if b.LastOffset() >= offset {
			break
		}
		pos += size
	}
	if !v.last {
		v.seg.heedGap(pos - began)
	}
	return pos, nil
}

// OffsetForTimestamp finds the first record whose timestamp is at least ts.
func (l *Log) OffsetForTimestamp(ts int64) (found TimestampOffset, ok bool, err error) {
	if err := l.ensure(); err != nil {
		return TimestampOffset{}, false, err
	}
	for {
		found, ok, err = l.tryOffsetForTimestamp(ts)
		if l.overtaken(err) {
			continue
		}
		if err != nil {
			err = fmt.Errorf("cannot look up timestamp %d in %s: %w", ts, l.tp, err)
		}
		return found, ok, err
	}
}

func (l *Log) tryOffsetForTimestamp(ts int64) (TimestampOffset, bool, error) {
	for _, v := range l.views() {
		largest, _, err := v.seg.maxTimestamp()
		if err != nil {
			return TimestampOffset{}, false, err
		}
		if largest < ts {
			continue
		}
		if found, ok, err := l.findTimestamp(v, ts, l.logStart.Load()); ok || err != nil {
			return found, ok, err
		}
	}
	return TimestampOffset{}, false, nil
}

// MaxTimestampOffset finds the first record with the largest timestamp of the log.
func (l *Log) MaxTimestampOffset() (found TimestampOffset, ok bool, err error) {
	if err := l.ensure(); err != nil {
		return found, false, err
	}
	for {
		found, ok, err = l.tryMaxTimestamp()
		if l.overtaken(err) {
			continue
		}
		if err != nil {
			err = fmt.Errorf("cannot find the largest timestamp of %s: %w", l.tp, err)
		}
		return found, ok, err
	}
}

func (l *Log) tryMaxTimestamp() (TimestampOffset, bool, error) {
	best, bestTs := view{}, record.NoTimestamp
	for _, v := range l.views() {
		ts, _, err := v.seg.maxTimestamp()
		if err != nil {
			return TimestampOffset{}, false, err
		}
		if ts > bestTs {
			best, bestTs = v, ts
		}
	}
	if best.seg == nil {
		return TimestampOffset{}, false, nil
	}
	found, ok, err := l.findTimestamp(best, bestTs, l.logStart.Load())
	if ok || err != nil {
		return found, ok, err
	}
	// The cleaner has left only the header of the batch that had it.
	ts, err := l.largestWithRecords()
	if err != nil || ts < 0 {
		return TimestampOffset{}, false, err
	}
	for _, v := range l.views() {
		if found, ok, err = l.findTimestamp(v, ts, l.logStart.Load()); ok || err != nil {
			return found, ok, err
		}
	}
	return TimestampOffset{}, false, nil
}

// largestWithRecords is the largest timestamp of the records that can be read, markers too: those below the log's start do not count,
// nor do batches of which the cleaner has left the header alone.
func (l *Log) largestWithRecords() (int64, error) {
	ts, start := record.NoTimestamp, l.logStart.Load()
	for _, v := range l.views() {
		err := v.seg.with(kindLog, func(f vfs.File) error {
			h := walkHeaders(f, v.size)
			defer h.close()
			for pos := int64(0); pos < v.size; {
				b, size, err := h.at(pos)
				if err != nil {
					return err
				}
				if b.NumRecords() > 0 && b.LastOffset() >= start {
					largest, err := largestFrom(f, b, pos, size, start)
					if err != nil {
						return err
					}
					ts = max(ts, largest)
				}
				pos += size
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return ts, nil
}

// largestFrom is the largest timestamp of a batch's records from an offset on; b is its header.
func largestFrom(f vfs.File, b record.Batch, pos, size, start int64) (ts int64, err error) {
	if b.BaseOffset() >= start {
		return b.MaxTimestamp(), nil
	}
	whole, err := readBatch(f, pos, size)
	if err != nil {
		return 0, err
	}
	ts = record.NoTimestamp
	err = whole.ForEachKey(func(r record.Record) error {
		if r.Offset >= start {
			ts = max(ts, r.TimestampMs)
		}
		return nil
	})
	return ts, err
}

// findTimestamp finds the first record in a segment with at least this timestamp, at or after an offset.
func (l *Log) findTimestamp(v view, ts, from int64) (found TimestampOffset, ok bool, err error) {
	te, hit, err := v.seg.floorTime(func(e timeEntry) bool { return e.ts < ts })
	if err != nil {
		return found, false, err
	}
	if hit {
		hit, err = v.seg.confirmTimestamp(te, v.size, false)
		if err == nil && !hit {
			v.seg.doubtIndexes(fmt.Sprintf("the time index tells of timestamp %d at offset %d, where it is not", te.ts, v.seg.base+int64(te.rel)))
		}
	}
	if hit && err == nil {
		from = max(from, v.seg.base+int64(te.rel)+1) // all records up to there are older
	}
	err = v.seg.with(kindLog, func(f vfs.File) error {
		pos, err := l.locate(v, f, from)
		if err != nil {
			return err
		}
		h := walkHeaders(f, v.size)
		defer h.close()
		for pos < v.size && !ok {
			b, size, err := h.at(pos)
			if err != nil {
				return err
			}
			if b.MaxTimestamp() >= ts {
				if found, ok, err = findInBatch(f, pos, size, ts, from); err != nil {
					return err
				}
			}
			pos += size
		}
		return nil
	})
	return found, ok, err
}

// errFound ends a walk over records.
var errFound = errors.New("found")

func findInBatch(f vfs.File, pos, size, ts, from int64) (found TimestampOffset, ok bool, err error) {
	b, err := readBatch(f, pos, size)
	if err != nil {
		return found, false, err
	}
	err = b.ForEachKey(func(r record.Record) error {
		if r.TimestampMs >= ts && r.Offset >= from {
			found = TimestampOffset{TimestampMs: r.TimestampMs, Offset: r.Offset, LeaderEpoch: b.PartitionLeaderEpoch()}
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		return found, true, nil
	}
	return found, false, err
}

// AbortedTxns lists the aborted transactions with records in [from, to).
func (l *Log) AbortedTxns(from, to int64) ([]AbortedTxn, error) {
	if err := l.ensure(); err != nil {
		return nil, err
	}
	for {
		upTo, err := l.proveAborted(from, to)
		var txns []AbortedTxn
		if err == nil {
			txns, err = l.tryAbortedTxns(from, to, upTo)
		}
		if l.overtaken(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot list the aborted transactions of %s: %w", l.tp, err)
		}
		return txns, nil
	}
}

// tryAbortedTxns leaves out what ends above upTo.
func (l *Log) tryAbortedTxns(from, to, upTo int64) ([]AbortedTxn, error) {
	var out []AbortedTxn
	for _, v := range l.views() {
		if v.end <= from {
			continue
		}
		if v.seg.base > upTo {
			break
		}
		txns, err := v.seg.loadAborted()
		if err != nil {
			return nil, err
		}
		for _, t := range txns {
			if t.LastOffset >= from && t.FirstOffset < to && t.LastOffset <= upTo {
				out = append(out, t)
			}
			if t.LastStableOffset >= to && upTo == math.MaxInt64 {
				return out, nil // all that ended later also began later
			}
		}
	}
	return out, nil
}
