package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"path"
	"sort"
	"sync/atomic"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

type fileKind uint8

const (
	kindLog fileKind = iota
	kindIndex
	kindTimeIndex
	kindTxnIndex
	numKinds
)

const (
	logSuffix       = ".log"
	indexSuffix     = ".index"
	timeIndexSuffix = ".timeindex"
	txnIndexSuffix  = ".txnindex"
	snapshotSuffix  = ".snapshot"
	deletedSuffix   = ".deleted"
	cleanedSuffix   = ".cleaned"
	swapSuffix      = ".swap"

	offsetEntryBytes = 8
	timeEntryBytes   = 12
	// maxSegmentBytes is what a position in the index can say.
	maxSegmentBytes = math.MaxInt32
	// indexFlushEntries is how many index entries wait in memory before they are
	// written. The files are only needed by the next process, which can rebuild them.
	indexFlushEntries = 64
)

func (k fileKind) suffix() string {
	return [numKinds]string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix}[k]
}

// offsetEntry says that the batch at pos ends with offset base+rel.
type offsetEntry struct{ rel, pos int32 }

// timeEntry says that ts is the largest timestamp up to offset base+rel.
type timeEntry struct {
	ts  int64
	rel int32
}

// segment is one .log file with its indexes. base, log and files never change.
// The rest is changed only by the holder of the log's appendMu while it also
// holds the log's mu: so either lock is enough to read it.
type segment struct {
	base  int64
	log   *Log
	files [numKinds]cachedFile

	size         int64
	reserved     bool  // its file has room behind its end
	createdMs    int64 // when this process opened or made it
	rollJitterMs int64

	firstTs      int64 // largest timestamp of the first batch
	firstTsKnown bool
	maxTs        int64 // largest timestamp
	maxTsOffset  int64 // last offset of the batch that has it
	maxTsKnown   bool

	// The indexes in memory, whole, while inMemory; else they are in their files.
	inMemory        bool
	offsets         []offsetEntry
	times           []timeEntry
	offsetsWritten  int // so many entries are in the file
	timesWritten    int
	bytesSinceIndex int

	aborted       []AbortedTxn
	abortedLoaded bool
	abortedOwed   int         // so many of the last entries found no room on the disk yet
	abortedProven atomic.Bool // the entries are those of the batches: this process has seen them all

	// dirty says that something of the segment may not be on the disk. The dirty
	// segments of a log are always the last ones.
	dirty         bool
	nameDirty     bool // its name may not be
	closedUnsaved bool // it was closed, its indexes may not be
	abortedDirty  bool

	verified   verified
	indexState atomic.Int32 // what is thought of the index files (indexdoubt.go)
	// failing says that a part of the file could not be read while it was being sent (unsent.go).
	failing atomic.Bool
	// gapTold says that missing offsets behind the segment have been told.
	gapTold atomic.Bool
	// derivedSeen says that the scrub has held the files beside the records against them.
	derivedSeen atomic.Bool
	// cleaned says that the files still bear the names under which the cleaner writes them.
	cleaned atomic.Bool
}

func newSegment(l *Log, base int64) *segment {
	s := &segment{base: base, log: l, createdMs: l.nowMs(), maxTs: record.NoTimestamp, maxTsOffset: base}
	for k := range s.files {
		s.files[k].seg, s.files[k].kind = s, fileKind(k)
	}
	// No more than a segment's whole time, as in Kafka: else it would be over before it begins.
	if j := min(l.config().SegmentJitterMs, l.config().SegmentMs); j > 0 {
		// The same for the same segment, different for others: that is all jitter is for.
		h := fnv.New64a()
		_, _ = fmt.Fprintf(h, "%s %d", l.dir, base) // a hash cannot fail to be written
		s.rollJitterMs = int64(h.Sum64() % uint64(j))
	}
	return s
}

// segmentNameDigits is the length of a segment's name.
const segmentNameDigits = 20

func segmentName(base int64) string { return fmt.Sprintf("%020d", base) }

func (s *segment) path(k fileKind) string {
	name := path.Join(s.log.dir, segmentName(s.base)+k.suffix())
	if s.cleaned.Load() {
		name += cleanedSuffix
	}
	return name
}

func (s *segment) open(k fileKind) (vfs.File, error) {
	flag := os.O_RDWR
	if k != kindLog {
		flag |= os.O_CREATE
	}
	return s.log.env.fs.OpenFile(s.path(k), flag, 0o644)
}

func (s *segment) acquire(k fileKind) (vfs.File, error) { return s.log.env.files.acquire(&s.files[k]) }
func (s *segment) release(k fileKind)                   { s.log.env.files.release(&s.files[k]) }

// with runs fn on one of the segment's files.
func (s *segment) with(k fileKind, fn func(vfs.File) error) error {
	f, err := s.acquire(k)
	if err != nil {
		return err
	}
	defer s.release(k)
	return fn(f)
}

// createSegment makes the files of a new segment; leftovers of the same name are emptied.
func createSegment(l *Log, base int64) (*segment, error) {
	s := newSegment(l, base)
	s.inMemory, s.abortedLoaded, s.maxTsKnown = true, true, true
	s.abortedProven.Store(true)
	s.dirty, s.nameDirty = true, true
	for _, k := range []fileKind{kindIndex, kindTimeIndex, kindLog} {
		f, err := l.env.fs.OpenFile(s.path(k), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return nil, fmt.Errorf("cannot create segment %d of %s: %w", base, l.dir, err)
		}
		if k == kindLog {
			s.reserve(f)
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("cannot create segment %d of %s: %w", base, l.dir, err)
		}
	}
	return s, nil
}

// reserve has room for the whole segment set aside on the disk, where the topic asks for it (preallocate). Unlike in
// Kafka the file does not seem as long meanwhile, so that a crash leaves no zeros behind the records. Where
// the disk has no such room, or the system no such call, the file grows as it is written.
func (s *segment) reserve(f vfs.File) {
	cfg := s.log.config()
	p, ok := f.(vfs.Preallocator)
	if !cfg.Preallocate || !ok {
		return
	}
	err := p.Preallocate(int64(cfg.SegmentBytes))
	s.reserved = err == nil
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		s.log.env.logger.Warn("cannot preallocate a segment, it grows as it is written", "partition", s.log.tp.String(), "segment", s.base, "err", err)
	}
}

// unreserve gives back what the segment has not used. appendMu is held.
func (s *segment) unreserve() error {
	if !s.reserved {
		return nil
	}
	if err := s.with(kindLog, func(f vfs.File) error { return f.Truncate(s.size) }); err != nil {
		return fmt.Errorf("cannot give back what was preallocated for segment %d: %w", s.base, err)
	}
	s.reserved = false
	return nil
}

func (s *segment) forget() {
	for k := range s.files {
		s.log.env.files.forget(&s.files[k])
	}
}

// indexBatch notes a batch that lies at pos, as Kafka does: one entry after each
// IndexIntervalBytes of batches. Both locks are held.
func (s *segment) indexBatch(b record.Batch, size int64, pos int64, cfg *LogConfig) {
	if ts := b.MaxTimestamp(); ts > s.maxTs {
		s.maxTs, s.maxTsOffset = ts, b.LastOffset()
	}
	if !s.firstTsKnown && pos == 0 {
		s.firstTs, s.firstTsKnown = b.MaxTimestamp(), true
	}
	if s.bytesSinceIndex > cfg.IndexIntervalBytes {
		s.offsets = append(s.offsets, offsetEntry{int32(b.LastOffset() - s.base), int32(pos)})
		s.noteMaxTimestamp()
		s.bytesSinceIndex = 0
	}
	s.bytesSinceIndex += int(size)
}

// noteMaxTimestamp adds the largest timestamp so far to the time index, if it is news.
func (s *segment) noteMaxTimestamp() {
	if s.maxTs < 0 {
		return
	}
	if n := len(s.times); n > 0 && s.maxTs <= s.times[n-1].ts {
		return
	}
	s.times = append(s.times, timeEntry{s.maxTs, int32(s.maxTsOffset - s.base)})
}

func (s *segment) indexFull(cfg *LogConfig) bool {
	return len(s.offsets) >= max(1, cfg.IndexBytes/offsetEntryBytes) || len(s.times) >= max(1, cfg.IndexBytes/timeEntryBytes-1) // one more comes when the segment is closed
}

// writeIndexes appends the entries that are only in memory to their files, those of
// the time index first: recovery trusts it as far as the offset index goes. appendMu is held.
func (s *segment) writeIndexes() error {
	if len(s.times) > s.timesWritten {
		if err := s.writeIndex(kindTimeIndex, encodeTimeIndex(s.times[s.timesWritten:]), int64(s.timesWritten)*timeEntryBytes); err != nil {
			return err
		}
		s.timesWritten = len(s.times)
	}
	if len(s.offsets) > s.offsetsWritten {
		if err := s.writeIndex(kindIndex, encodeOffsetIndex(s.offsets[s.offsetsWritten:]), int64(s.offsetsWritten)*offsetEntryBytes); err != nil {
			return err
		}
		s.offsetsWritten = len(s.offsets)
	}
	return nil
}

func (s *segment) writeIndex(k fileKind, buf []byte, at int64) error {
	return s.with(k, func(f vfs.File) error {
		_, err := f.WriteAt(buf, at)
		return err
	})
}

// rewriteIndexes brings the index files to what is in memory, of which the first entries are in them: those below the recovery
// point are on the disk, and stay there.
func (s *segment) rewriteIndexes(keptOffsets, keptTimes int) error {
	sizes := [numKinds]int64{kindIndex: int64(keptOffsets) * offsetEntryBytes, kindTimeIndex: int64(keptTimes) * timeEntryBytes}
	for _, k := range []fileKind{kindIndex, kindTimeIndex} {
		if err := s.with(k, func(f vfs.File) error { return f.Truncate(sizes[k]) }); err != nil {
			return err
		}
	}
	s.offsetsWritten, s.timesWritten = keptOffsets, keptTimes
	return s.writeIndexes()
}

// remakeIndexes makes both index files anew where the next start will trust them. It would not see that the time index lacks
// something which the offset index tells of; so there is none of the one before all of the other is on the disk.
func (s *segment) remakeIndexes() error {
	for _, k := range []fileKind{kindIndex, kindTimeIndex} {
		if err := s.with(k, func(f vfs.File) error { return f.Truncate(0) }); err != nil {
			return err
		}
	}
	if err := s.with(kindIndex, vfs.File.Sync); err != nil {
		return err
	}
	if err := s.writeIndex(kindTimeIndex, encodeTimeIndex(s.times), 0); err != nil {
		return err
	}
	if err := s.with(kindTimeIndex, vfs.File.Sync); err != nil {
		return err
	}
	s.offsetsWritten, s.timesWritten = 0, len(s.times)
	return s.writeIndexes()
}

// seal ends the segment's life as the active one: its indexes go to their files and out of memory.
func (s *segment) seal() error {
	if err := s.loadIndexes(); err != nil {
		return err
	}
	s.log.mu.Lock()
	s.noteMaxTimestamp()
	s.log.mu.Unlock()
	if err := s.writeIndexes(); err != nil {
		return err
	}
	if err := s.unreserve(); err != nil {
		return err
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.inMemory, s.offsets, s.times = false, nil, nil
	s.dirty, s.closedUnsaved = true, true
	return nil
}

// loadIndexes brings the indexes into memory. appendMu is held.
func (s *segment) loadIndexes() error {
	if s.inMemory {
		return nil
	}
	offsets, times, err := s.readIndexes()
	if err == nil {
		err = s.confirmIndex(offsets)
	}
	if isUnreadable(err) || errors.Is(err, ErrCorruptRecord) {
		made, werr := s.walkIndexes(s.size)
		if werr != nil {
			return errors.Join(err, werr)
		}
		offsets, times = made.offsets, made.times
		err = errors.Join(s.overwriteIndex(kindIndex, encodeOffsetIndex(offsets)), s.overwriteIndex(kindTimeIndex, encodeTimeIndex(times)))
	}
	if err != nil {
		return err
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.offsets, s.times, s.inMemory = offsets, times, true
	s.offsetsWritten, s.timesWritten = len(offsets), len(times)
	return nil
}

func (s *segment) readIndexes() (offsets []offsetEntry, times []timeEntry, err error) {
	ob, err := s.readAll(kindIndex)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the offset index of segment %d of %s: %w", s.base, s.log.dir, err)
	}
	tb, err := s.readAll(kindTimeIndex)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the time index of segment %d of %s: %w", s.base, s.log.dir, err)
	}
	return parseOffsetIndex(ob), parseTimeIndex(tb), nil
}

func (s *segment) readAll(k fileKind) (b []byte, err error) {
	err = s.with(k, func(f vfs.File) error {
		size, err := f.Size()
		if err != nil || size == 0 {
			return err
		}
		b = make([]byte, size)
		n, err := f.ReadAt(b, 0)
		b = b[:n]
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	})
	return b, err
}

// parseOffsetIndex takes the entries up to the first that does not rise: after a
// crash of Kafka itself zeros follow the last one.
func parseOffsetIndex(b []byte) []offsetEntry {
	var out []offsetEntry
	last := offsetEntry{-1, -1}
	for ; len(b) >= offsetEntryBytes; b = b[offsetEntryBytes:] {
		e := offsetEntry{int32(binary.BigEndian.Uint32(b)), int32(binary.BigEndian.Uint32(b[4:]))}
		if e.rel <= last.rel || e.pos <= last.pos {
			break
		}
		out = append(out, e)
		last = e
	}
	return out
}

// parseTimeIndex is parseOffsetIndex for the time index.
func parseTimeIndex(b []byte) []timeEntry {
	var out []timeEntry
	last := timeEntry{-1, -1}
	for ; len(b) >= timeEntryBytes; b = b[timeEntryBytes:] {
		e := timeEntry{int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))}
		if e.ts <= last.ts || e.rel < last.rel || e.rel < 0 {
			break
		}
		out = append(out, e)
		last = e
	}
	return out
}

// floor finds the last entry for which keep is true, where keep is true for a
// first part of the entries. ok is false when there is none.
func (s *segment) floor(keep func(offsetEntry) bool) (e offsetEntry, ok bool, err error) {
	s.log.mu.RLock()
	if s.inMemory {
		defer s.log.mu.RUnlock()
		i := sort.Search(len(s.offsets), func(i int) bool { return !keep(s.offsets[i]) })
		if i == 0 {
			return e, false, nil
		}
		return s.offsets[i-1], true, nil
	}
	s.log.mu.RUnlock()
	if s.indexState.Load() == indexDoubted {
		return e, false, nil
	}
	var buf [offsetEntryBytes]byte
	err = s.searchFile(kindIndex, buf[:], func() bool {
		x := offsetEntry{int32(binary.BigEndian.Uint32(buf[:])), int32(binary.BigEndian.Uint32(buf[4:]))}
		if keep(x) {
			e, ok = x, true
			return true
		}
		return false
	})
	if err = s.doubtUnreadable(err); s.indexState.Load() == indexDoubted {
		return offsetEntry{}, false, err
	}
	return e, ok, err
}

// floorTime is floor for the time index.
func (s *segment) floorTime(keep func(timeEntry) bool) (e timeEntry, ok bool, err error) {
	s.log.mu.RLock()
	if s.inMemory {
		defer s.log.mu.RUnlock()
		i := sort.Search(len(s.times), func(i int) bool { return !keep(s.times[i]) })
		if i == 0 {
			return e, false, nil
		}
		return s.times[i-1], true, nil
	}
	s.log.mu.RUnlock()
	if s.indexState.Load() == indexDoubted {
		return e, false, nil
	}
	var buf [timeEntryBytes]byte
	err = s.searchFile(kindTimeIndex, buf[:], func() bool {
		x := timeEntry{int64(binary.BigEndian.Uint64(buf[:])), int32(binary.BigEndian.Uint32(buf[8:]))}
		if keep(x) {
			e, ok = x, true
			return true
		}
		return false
	})
	if err = s.doubtUnreadable(err); s.indexState.Load() == indexDoubted {
		return timeEntry{}, false, err
	}
	return e, ok, err
}

// searchFile reads entries of an index file into buf, halving the range by what keep says.
func (s *segment) searchFile(k fileKind, buf []byte, keep func() bool) error {
	return s.with(k, func(f vfs.File) error {
		size, err := f.Size()
		if err != nil {
			return err
		}
		lo, hi := int64(0), size/int64(len(buf))
		for lo < hi {
			mid := (lo + hi) / 2
			if _, err := f.ReadAt(buf, mid*int64(len(buf))); err != nil {
				return fmt.Errorf("cannot search %s: %w", f.Name(), err)
			}
			if keep() {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		return nil
	})
}

// maxTimestamp is the segment's largest timestamp and the last offset of its batch;
// for a closed segment the time index's last entry tells.
func (s *segment) maxTimestamp() (ts, offset int64, err error) {
	s.log.mu.RLock()
	ts, offset, known, size := s.maxTs, s.maxTsOffset, s.maxTsKnown, s.size
	s.log.mu.RUnlock()
	if known {
		return ts, offset, nil
	}
	if ts, offset, err = s.timeIndexSays(size); err != nil {
		return 0, 0, err
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if !s.maxTsKnown {
		s.maxTs, s.maxTsOffset, s.maxTsKnown = ts, offset, true
	}
	return s.maxTs, s.maxTsOffset, nil
}

// retentionTimestamp is what retention by time goes by: the largest timestamp, or
// the file's own time when no record has one.
func (s *segment) retentionTimestamp() (int64, error) {
	ts, _, err := s.maxTimestamp()
	if err != nil || ts >= 0 {
		return ts, err
	}
	info, err := s.log.env.fs.Stat(s.path(kindLog))
	if err != nil {
		return 0, err
	}
	return info.ModTime().UnixMilli(), nil
}
