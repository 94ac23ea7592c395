package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// segmentCheck goes through one segment, and makes its indexes anew beside those that are there.
type segmentCheck struct {
	*partitionCheck
	base int64
	last bool  // it is the log's last
	next int64 // where the next segment begins
	file vfs.File
	size int64

	offsets    []offsetEntry // as the index says; what follows has been seen to be right
	times      []timeEntry
	nextOffset int
	nextTime   int
	badIndex   func() // reports the first thing that is wrong with the index; nil for nothing
	badTimes   func()
	// harmed says that some of the segment could not be read: entries that speak of it are not known to be wrong, and lead readers over it.
	harmed bool

	rebuilt segment // the indexes as they ought to be
	cfg     LogConfig
}

// segment checks the i-th segment.
func (p *partitionCheck) segment(i int) error {
	base := p.bases[i]
	name := path.Join(p.dir, segmentName(base)+logSuffix)
	f, err := p.FS.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		p.damage(name, -1, "it cannot be opened: %v", err)
		p.broken = true
		return nil
	}
	defer func() { _ = f.Close() }() // opened for reading only
	s := &segmentCheck{partitionCheck: p, base: base, last: i == len(p.bases)-1, next: math.MaxInt64, file: f, cfg: DefaultLogConfig()}
	if !s.last {
		s.next = p.bases[i+1]
	}
	s.rebuilt = segment{base: base, maxTs: record.NoTimestamp, maxTsOffset: base}
	if s.size, err = f.Size(); err != nil {
		return fmt.Errorf("cannot look at %s: %w", name, err)
	}
	p.segments.Add(1)
	p.compareSnapshots(min(base, p.ps.end))
	switch {
	case base < p.end:
		p.bad(name, -1, "it begins at offset %d, and the segment before it ends at %d", base, p.end)
	case base > p.end && !p.torn:
		p.missing(name, 0, base, true)
	}
	p.torn = false
	p.end = max(p.end, base)
	p.aborted, p.needed = nil, nil
	s.loadIndexes()
	if err := s.batchesOf(); err != nil {
		return err
	}
	if !s.swapping {
		s.compareIndexes()
		s.compareAborted()
	}
	return nil
}

// missing tells of offsets that no batch holds. The cleaner leaves such gaps, and its checkpoint names the logs that it has been
// in. A replica of another's cleaned log has them within its segments too; but that one segment ends and the next begins later
// comes from nothing but a cleaning, or the loss of a segment.
func (p *partitionCheck) missing(name string, pos, next int64, between bool) {
	_, compacted := p.cleaned[p.tp]
	switch {
	case compacted:
	case between && p.cleanedKnown && !p.gapsWithin && !p.unsynced(p.end):
		p.damage(name, pos, "offsets [%d, %d) are not there: a segment is lost. Only if the topic was compacted once, and %s was lost since, that is right", p.end, next, cleanerFile)
	case !p.gaps:
		p.report(Finding{File: name, Position: pos, Problem: fmt.Sprintf("offsets [%d, %d) are not there: that is right if the topic is or was compacted, and a loss otherwise", p.end, next)})
	}
	p.gaps, p.gapsWithin = true, p.gapsWithin || !between
	p.ps.end = next
}

// batchesOf reads all batches of the segment.
func (s *segmentCheck) batchesOf() error {
	h := walkHeaders(s.file, s.size)
	defer h.close()
	var buf []byte
	for pos := int64(0); pos < s.size; {
		_, size, err := h.at(pos)
		if errors.Is(err, ErrCorruptRecord) {
			next := s.behind(&h, pos)
			s.noBatch(pos, next, err)
			s.advance(next - pos)
			pos = next
			continue
		}
		if err != nil {
			s.harm(pos, "it cannot be read: %v", err)
			return nil
		}
		if size > scanChunkBytes {
			if err := checkBatchAt(s.file, pos, size); err != nil { // before there is memory for it
				next := pos + size
				if _, _, err := h.at(next); next < s.size && err != nil {
					next = s.behind(&h, pos)
				}
				s.harm(pos, "a batch that says that it has %d bytes does not match its checksum", size)
				s.advance(next - pos)
				pos = next
				continue
			}
		}
		buf = slices.Grow(buf[:0], int(size))[:size]
		if _, err := s.file.ReadAt(buf, pos); err != nil && !errors.Is(err, io.EOF) {
			s.harm(pos, "it cannot be read: %v", err)
			return nil
		}
		s.batch(record.Batch(buf), pos)
		pos += size
		s.advance(size)
	}
	return nil
}

// behind is where the check goes on behind what is no batch: where an entry of the index leads to a whole one, as a node does, or the end.
func (s *segmentCheck) behind(h *headers, pos int64) int64 {
	for _, e := range s.offsets {
		if int64(e.pos) <= pos {
			continue
		}
		b, size, err := h.at(int64(e.pos))
		if err == nil && s.rebuilt.confirms(e, b) && b.BaseOffset() >= s.end && checkBatchAt(s.file, int64(e.pos), size) == nil {
			return int64(e.pos)
		}
	}
	return s.size
}

// harm is bad for what lies in this segment.
func (s *segmentCheck) harm(pos int64, format string, args ...any) {
	s.bad(s.file.Name(), pos, format, args...)
	s.harmed, s.torn = true, true
}

// noBatch tells of bytes that no batch begins at. At the end of a log that was not closed in order they
// are what a stop leaves.
func (s *segmentCheck) noBatch(pos, next int64, why error) {
	switch {
	case next < s.size:
		s.harm(pos, "%d bytes are no whole batch: %v; the index leads to the next one behind them", next-pos, rootOf(why))
	case s.last && !s.clean:
		s.report(Finding{File: s.file.Name(), Position: pos, Problem: fmt.Sprintf("the last %d bytes are no whole batch (%v); the log was not closed in order, and a node that starts cuts them off", s.size-pos, rootOf(why))})
	default:
		s.harm(pos, "the last %d bytes are no whole batch: %v", s.size-pos, rootOf(why))
	}
}

// rootOf leaves out the file and position that the finding names itself.
func rootOf(err error) error {
	for _, known := range []error{record.ErrTruncated, record.ErrUnsupportedMagic} {
		if errors.Is(err, known) {
			return known
		}
	}
	return record.ErrCorrupt
}

// batch checks one batch in itself and against what came before it.
func (s *segmentCheck) batch(b record.Batch, pos int64) {
	s.batches.Add(1)
	name := s.file.Name()
	if err := b.Validate(); err != nil {
		s.harm(pos, "the batch of offsets [%d, %d]: %v", b.BaseOffset(), b.LastOffset(), err)
		if b.BaseOffset() == s.end && b.LastOffset() >= s.end && b.LastOffset()-s.base <= math.MaxInt32 {
			s.end = b.NextOffset() // its header seems right: what follows is not missed
			s.torn = false
		}
		return
	}
	switch {
	case b.BaseOffset() < s.base || b.LastOffset() < b.BaseOffset() || b.LastOffset()-s.base > math.MaxInt32:
		s.harm(pos, "a batch of offsets [%d, %d] cannot lie in the segment of offset %d", b.BaseOffset(), b.LastOffset(), s.base)
		return
	case b.BaseOffset() >= s.next && s.end == s.base: // one that has taken over what follows has some of its own before
		s.harm(pos, "a batch of offsets [%d, %d] lies where offsets below %d belong, with which the next segment begins: the file was put there from elsewhere", b.BaseOffset(), b.LastOffset(), s.next)
		return
	case b.BaseOffset() < s.end:
		s.harm(pos, "a batch of offsets [%d, %d] comes where offset %d is next", b.BaseOffset(), b.LastOffset(), s.end)
		return
	case b.BaseOffset() > s.end && s.torn:
		s.ps.end = b.BaseOffset()
	case b.BaseOffset() > s.end:
		s.missing(name, pos, b.BaseOffset(), false)
	}
	s.torn = false
	if epoch := b.PartitionLeaderEpoch(); epoch < s.lastEpoch {
		s.bad(name, pos, "a batch of leader epoch %d follows one of epoch %d", epoch, s.lastEpoch)
	} else {
		if epoch > s.lastEpoch {
			s.found = append(s.found, epochEntry{epoch, b.BaseOffset()})
			s.foundEnds = append(s.foundEnds, 0)
		}
		if s.lastEpoch = epoch; epoch >= 0 {
			s.foundEnds[len(s.foundEnds)-1] = b.NextOffset()
		}
	}
	s.compareSnapshots(b.BaseOffset())
	s.end = b.NextOffset()
	s.deep(b, pos)
	s.compareEntries(b, pos)
	s.rebuilt.indexBatch(b, int64(len(b)), pos, &s.cfg)
}

// deep unpacks the batch's records, and takes it into the producers' state.
func (s *segmentCheck) deep(b record.Batch, pos int64) {
	n := int64(0)
	if err := b.ForEach(func(record.Record) error { n++; return nil }); err != nil {
		s.bad(s.file.Name(), pos, "the records of the batch of offsets [%d, %d] cannot be unpacked: %v", b.BaseOffset(), b.LastOffset(), err)
	}
	s.records.Add(n)
	if s.MetadataBatch != nil && s.tp.String() == MetadataLogDir {
		if err := s.MetadataBatch(b); err != nil {
			s.damage(s.file.Name(), pos, "the metadata records of the batch of offsets [%d, %d]: %v", b.BaseOffset(), b.LastOffset(), err)
		}
	}
	done, aborted, err := s.ps.apply(b)
	if err != nil {
		s.bad(s.file.Name(), pos, "the control batch at offset %d: %v", b.BaseOffset(), err)
		return
	}
	if b.IsTransactional() && !b.IsControl() && n > 0 {
		s.wrote[b.ProducerID()] = true
	}
	if done != nil && aborted {
		s.aborted = append(s.aborted, AbortedTxn{done.producerID, done.first, done.last, s.ps.stableEnd(*done)})
		if s.wrote[done.producerID] {
			s.needed = append(s.needed, s.aborted[len(s.aborted)-1])
		}
	}
	if done != nil {
		delete(s.wrote, done.producerID)
	}
	s.ps.highWatermarkMoved(s.end) // nothing waits for it here
}

// indexUnsynced says that a stop may have left the segment's indexes behind its records.
func (s *segmentCheck) indexUnsynced() bool {
	return s.unsynced(s.end) || s.last && !s.clean
}

// indexName is the file of one of the segment's indexes.
func (s *segmentCheck) indexName(suffix string) string {
	return path.Join(s.dir, segmentName(s.base)+suffix)
}

func (s *segmentCheck) loadIndexes() {
	for _, x := range []struct {
		suffix string
		entry  int
		parse  func([]byte) int
		bad    *func()
		repair func() error
	}{
		{indexSuffix, offsetEntryBytes, func(b []byte) int { s.offsets = parseOffsetIndex(b); return len(s.offsets) }, &s.badIndex, s.rewriteOffsets},
		{timeIndexSuffix, timeEntryBytes, func(b []byte) int { s.times = parseTimeIndex(b); return len(s.times) }, &s.badTimes, s.rewriteTimes},
	} {
		name := s.indexName(x.suffix)
		data, err := readSmallFile(s.FS, name)
		if err != nil {
			*x.bad = func() {
				if errors.Is(err, fs.ErrNotExist) {
					s.derived(s.indexUnsynced(), name, -1, x.repair, "it is missing")
				} else {
					s.derived(false, name, -1, x.repair, "it cannot be read: %v", err)
				}
			}
			continue
		}
		good := x.parse(data) * x.entry
		if zero(data[good:]) && (s.last && !s.clean || good == len(data)) {
			continue // Kafka reserves room in the index of the segment that it writes to
		}
		*x.bad = func() {
			s.derived(s.indexUnsynced(), name, int64(good), x.repair, "entry %d does not rise above the one before, or is cut short", good/x.entry)
		}
	}
}

func zero(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 })
}

// compareEntries holds the entries that speak of a batch against it.
func (s *segmentCheck) compareEntries(b record.Batch, pos int64) {
	for ; s.nextOffset < len(s.offsets) && int64(s.offsets[s.nextOffset].pos) <= pos; s.nextOffset++ {
		e := s.offsets[s.nextOffset]
		if at := int64(e.pos); at == pos && b.BaseOffset() <= s.base+int64(e.rel) || s.badIndex != nil {
			continue
		}
		n := s.nextOffset
		s.badIndex = func() {
			if s.harmed {
				return
			}
			s.derived(s.indexUnsynced(), s.indexName(indexSuffix), int64(n)*offsetEntryBytes, s.rewriteOffsets, "entry %d says that offset %d lies at position %d of the log, where no batch begins that could hold it", n, s.base+int64(e.rel), e.pos)
		}
	}
	for ; s.nextTime < len(s.times) && s.base+int64(s.times[s.nextTime].rel) <= b.LastOffset(); s.nextTime++ {
		e := s.times[s.nextTime]
		// Everything up to the entry's offset is at most as late as it says: who looks for a later time begins behind it.
		if s.rebuilt.maxTs <= e.ts && b.MaxTimestamp() <= e.ts && (b.MaxTimestamp() == e.ts || s.rebuilt.maxTs == e.ts) || s.badTimes != nil {
			continue
		}
		n := s.nextTime
		latest := max(s.rebuilt.maxTs, b.MaxTimestamp())
		s.badTimes = func() {
			if s.harmed {
				return
			}
			s.derived(s.indexUnsynced(), s.indexName(timeIndexSuffix), int64(n)*timeEntryBytes, s.rewriteTimes, "entry %d says that the largest timestamp up to offset %d is %d, and it is %d", n, s.base+int64(e.rel), e.ts, latest)
		}
	}
}

// compareIndexes tells what was found of the indexes, once the segment has been read.
func (s *segmentCheck) compareIndexes() {
	if n := s.nextOffset; n < len(s.offsets) && s.badIndex == nil && !s.harmed {
		e := s.offsets[n]
		s.badIndex = func() {
			s.derived(s.indexUnsynced(), s.indexName(indexSuffix), int64(n)*offsetEntryBytes, s.rewriteOffsets, "entry %d says that offset %d lies at position %d of the log, behind its last batch", n, s.base+int64(e.rel), e.pos)
		}
	}
	if n := s.nextTime; n < len(s.times) && s.badTimes == nil && !s.harmed {
		e := s.times[n]
		s.badTimes = func() {
			s.derived(s.indexUnsynced(), s.indexName(timeIndexSuffix), int64(n)*timeEntryBytes, s.rewriteTimes, "entry %d speaks of offset %d, which the segment does not hold", n, s.base+int64(e.rel))
		}
	}
	s.rebuilt.noteMaxTimestamp()
	for _, tell := range []func(){s.badIndex, s.badTimes} {
		if tell != nil {
			tell()
		}
	}
}

// errLeadsOver says why an index is not made anew.
var errLeadsOver = errors.New("some batches cannot be read, and what is left of the entries leads over them: a node that starts makes the index anew, and heeds them")

func (s *segmentCheck) rewriteOffsets() error {
	if s.harmed && len(s.offsets) > 0 {
		return errLeadsOver
	}
	return vfs.WriteFileAtomic(s.FS, s.indexName(indexSuffix), encodeOffsetIndex(s.rebuilt.offsets))
}

func (s *segmentCheck) rewriteTimes() error {
	if s.harmed && len(s.times) > 0 {
		return errLeadsOver
	}
	return vfs.WriteFileAtomic(s.FS, s.indexName(timeIndexSuffix), encodeTimeIndex(s.rebuilt.times))
}

// compareAborted holds the transaction index against the markers in the segment.
func (s *segmentCheck) compareAborted() {
	name := s.indexName(txnIndexSuffix)
	data, err := readSmallFile(s.FS, name)
	listed, good := parseTxnIndex(data)
	repair := s.rewriteAborted(name, listed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.derived(false, name, -1, repair, "it cannot be read: %v", err)
		return
	}
	if good < len(data) {
		s.derived(s.indexUnsynced(), name, int64(good), repair, "entry %d does not end above the one before, is of an unknown version, or is cut short", good/txnEntryBytes)
		return
	}
	if s.broken {
		return
	}
	same := func(a AbortedTxn) func(AbortedTxn) bool {
		return func(b AbortedTxn) bool { return a.ProducerID == b.ProducerID && a.LastOffset == b.LastOffset }
	}
	for _, a := range s.needed {
		i := slices.IndexFunc(listed, same(a))
		switch {
		case i < 0:
			s.derived(s.indexUnsynced(), name, -1, repair, "producer %d aborted the transaction from offset %d to %d, which is not listed: readers of committed records would be given what it wrote", a.ProducerID, a.FirstOffset, a.LastOffset)
			return
		case listed[i].FirstOffset > a.FirstOffset:
			s.derived(s.indexUnsynced(), name, int64(i)*txnEntryBytes, repair, "the aborted transaction of producer %d begins at offset %d by the index, and at %d by the log", a.ProducerID, listed[i].FirstOffset, a.FirstOffset)
			return
		}
	}
	for i, a := range listed {
		// Compaction and retention take away what an entry speaks of, and leave the entry.
		if !s.gaps && a.FirstOffset >= s.bases[0] && !slices.ContainsFunc(s.aborted, same(a)) {
			s.derived(s.indexUnsynced(), name, int64(i)*txnEntryBytes, repair, "no transaction of producer %d from offset %d was aborted at %d: readers of committed records would miss what it wrote", a.ProducerID, a.FirstOffset, a.LastOffset)
			return
		}
	}
}

// rewriteAborted makes the transaction index from the markers; entries of which the log no longer holds the beginning stay.
func (s *segmentCheck) rewriteAborted(name string, listed []AbortedTxn) func() error {
	return func() error {
		if s.broken {
			return errors.New("some batches cannot be read, so that their transactions are not known")
		}
		txns := slices.Clone(s.aborted)
		for _, a := range listed {
			if a.FirstOffset < s.bases[0] && !slices.ContainsFunc(txns, func(b AbortedTxn) bool { return b.LastOffset == a.LastOffset }) {
				txns = append(txns, a)
			}
		}
		slices.SortFunc(txns, func(a, b AbortedTxn) int { return int(min(1, max(-1, a.LastOffset-b.LastOffset))) })
		if len(txns) == 0 {
			return removeIfThere(s.FS, name)
		}
		var b []byte
		for _, a := range txns {
			b = appendAbortedTxn(b, a)
		}
		return vfs.WriteFileAtomic(s.FS, name, b)
	}
}
