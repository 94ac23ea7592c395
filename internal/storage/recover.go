package storage

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// recover finds the end of the log. After a clean stop only the active segment's
// last batches are walked; otherwise all from the recovery point on is checked,
// batch by batch, and the log is cut at the first that is not whole.
func (o *opener) recover() (end int64, err error) {
	if o.st.clean {
		end, err = o.openClean()
		if err == nil && end < o.st.syncedTo {
			err = fmt.Errorf("%w: it ends at offset %d, and was synced up to %d", ErrCorruptRecord, end, o.st.syncedTo)
		}
		if err == nil && o.st.endKnown && end > o.st.syncedTo {
			// A segment from the future: what is behind the end that the last stop has noted is checked, and kept only if it
			// follows. Else the log would go on at offsets that it has never reached.
			o.env.logger.Warn("log was closed in order and has grown since, checking what was added", "partition", o.tp.String(), "end", end, "closedAt", o.st.syncedTo)
			o.st.clean, o.st.recoveryPoint, o.st.distrust = false, o.st.syncedTo, true
			return o.openUnclean()
		}
		if !errors.Is(err, ErrCorruptRecord) {
			return end, err
		}
		o.env.logger.Warn("log was closed in order but is damaged, checking all of it", "partition", o.tp.String(), "err", err)
		o.st.clean, o.st.recoveryPoint, o.st.distrust = false, -1, true
	}
	if o.st.sameBoot && !o.st.distrust && o.st.recoveryPoint >= 0 {
		if end, ok := o.nothingNew(); ok {
			return end, nil
		}
	}
	return o.openUnclean()
}

// nothingNew looks whether a log that has outlived its process ends just where everything is on the disk, as those
// do that nobody has written to for a while.
func (o *opener) nothingNew() (int64, bool) {
	s := o.active()
	if len(o.missing) == 0 {
		// A cut that the process died in may have left more in the other files than in the log.
		if end, err := o.openClean(); err == nil && end == o.st.recoveryPoint && s.indexesEndBelow(end) && s.cutAborted(end) == nil {
			o.trusted = end
			// The process that died may have come so far that the names are not on the disk yet, or what a cut has left of a file.
			s.dirty, s.nameDirty = true, true
			if n := len(o.segments); n > 1 && s.size == 0 { // it had just sealed the one before
				last := o.segments[n-2]
				last.dirty, last.nameDirty, last.closedUnsaved = true, true, true
			}
			return end, true
		}
	}
	s.inMemory, s.offsets, s.times, s.maxTsKnown, s.maxTs, s.maxTsOffset = false, nil, nil, false, record.NoTimestamp, s.base
	s.offsetsWritten, s.timesWritten = 0, 0
	return 0, false
}

// indexesEndBelow says that no index entry speaks of what is not in the log.
func (s *segment) indexesEndBelow(end int64) bool {
	n, m := len(s.offsets), len(s.times)
	return (n == 0 || s.base+int64(s.offsets[n-1].rel) < end) && (m == 0 || s.base+int64(s.times[m-1].rel) < end)
}

// tellLoss says aloud that records are gone which were once synced: no stop of the process does that, only damage to
// the files. The log serves what is left; how it goes on is decided elsewhere (lost.go).
func (o *opener) tellLoss(end int64) {
	switch {
	case end < o.st.syncedTo:
		o.env.logger.Error("records are lost: the log ends before the offset up to which it was synced; its files were cut or damaged from outside. Check the disk; if there is a backup, stop the node and restore the directory before anything is produced",
			"partition", o.tp.String(), "dir", o.dir, "logEndOffset", end, "syncedTo", o.st.syncedTo)
	case end < o.st.provenTo:
		o.env.logger.Error("records are lost: the log ends before the high watermark that was noted, and the power was not cut since; its files were cut, damaged or exchanged from outside. If there is a backup, stop the node and restore the directory before anything is produced",
			"partition", o.tp.String(), "dir", o.dir, "logEndOffset", end, "highWatermark", o.st.highWatermark)
	case o.st.endKnown && end == o.st.syncedTo && end < o.st.highWatermark:
		o.env.logger.Warn("the checkpoint of high watermarks is damaged: the log was left in order, and ended below the one that it names. The log's end counts", "partition", o.tp.String(), "logEndOffset", end, "highWatermark", o.st.highWatermark)
	case end < o.st.highWatermark && o.env.noteLoss != nil:
		o.env.logger.Warn("a log ends below the high watermark that was noted: the power cut has taken what was not synced, or it was cut", "partition", o.tp.String(), "logEndOffset", end, "highWatermark", o.st.highWatermark)
	}
	for i, s := range o.segments {
		if i < len(o.segments)-1 && s.size == 0 && !o.st.compacted {
			o.env.logger.Error("records are lost: a segment that others follow is empty; its file was cut from outside. Readers skip its offsets", "partition", o.tp.String(),
				"file", s.path(kindLog), "firstOffset", s.base, "nextOffset", o.segments[i+1].base)
		}
	}
}

func (o *opener) openClean() (int64, error) {
	if err := o.rebuildMissing(len(o.segments) - 1); err != nil {
		return 0, err
	}
	s := o.active()
	if o.missing[s.base] {
		end, bad, err := o.checkSegment(s, 0, s.base, false)
		if err == nil && bad != nil {
			err = fmt.Errorf("%w: %w", ErrCorruptRecord, bad)
		}
		return end, err
	}
	return o.walkTail(s)
}

// walkTail reads the active segment's end from its last index entries on.
func (o *opener) walkTail(s *segment) (int64, error) {
	offsets, times, err := o.readIndexes(s)
	if err != nil {
		return 0, err
	}
	if err := s.confirmIndex(offsets); err != nil {
		return 0, err
	}
	s.offsets, s.times, s.inMemory = offsets, times, true
	s.offsetsWritten, s.timesWritten = len(offsets), len(times)
	if offsets, times, err = o.mendTimes(s); err != nil {
		return 0, err
	}
	t, err := s.walkTail(offsets, times, s.size)
	s.maxTs, s.maxTsOffset, s.maxTsKnown = t.maxTs, t.maxTsOffset, true
	if err == nil {
		err = s.trimIndexes()
	}
	return t.end, err
}

// readIndexes reads the indexes of a segment. Those that cannot be read count as empty, and are so from then on.
func (o *opener) readIndexes(s *segment) (offsets []offsetEntry, times []timeEntry, err error) {
	offsets, times, err = s.readIndexes()
	if !isUnreadable(err) {
		return offsets, times, err
	}
	return nil, nil, errors.Join(s.emptyIndex(kindIndex, err), s.emptyIndex(kindTimeIndex, nil))
}

// trimIndexes cuts off what follows the last entry of the active segment's index files: the room that Kafka has
// reserved there when it is killed. After an orderly stop Kafka would take the zeros for entries.
func (s *segment) trimIndexes() error {
	for k, want := range map[fileKind]int64{kindIndex: int64(len(s.offsets)) * offsetEntryBytes, kindTimeIndex: int64(len(s.times)) * timeEntryBytes} {
		err := s.with(k, func(f vfs.File) error {
			size, err := f.Size()
			if err != nil || size <= want {
				return err
			}
			return f.Truncate(want)
		})
		if err != nil {
			return fmt.Errorf("cannot cut the reserve off %s: %w", s.path(k), err)
		}
	}
	return nil
}

// confirmIndex looks whether the last entry speaks of a batch that is there. A damaged index would hide the batches
// behind it, and their offsets would be given again.
func (s *segment) confirmIndex(offsets []offsetEntry) error {
	if len(offsets) == 0 {
		return nil
	}
	last := offsets[len(offsets)-1]
	return s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, s.size)
		defer h.close()
		b, _, err := h.at(int64(last.pos))
		if err != nil && !errors.Is(err, ErrCorruptRecord) {
			return err
		}
		if err != nil || b.LastOffset() != s.base+int64(last.rel) {
			return fmt.Errorf("%w: the last entry of %s speaks of offset %d at position %d, where it is not", ErrCorruptRecord, s.path(kindIndex), s.base+int64(last.rel), last.pos)
		}
		return nil
	})
}

// tail is what the batches after the last index entry tell.
type tail struct{ end, maxTs, maxTsOffset int64 }

// walkTail reads the headers after the last index entry up to the position size.
func (s *segment) walkTail(offsets []offsetEntry, times []timeEntry, size int64) (tail, error) {
	t := tail{end: s.base, maxTs: record.NoTimestamp, maxTsOffset: s.base}
	if n := len(times); n > 0 {
		t.maxTs, t.maxTsOffset = times[n-1].ts, s.base+int64(times[n-1].rel)
	}
	pos := int64(0)
	if n := len(offsets); n > 0 {
		pos = int64(offsets[n-1].pos)
		if pos >= size { // nothing would be walked, and the log look empty
			return t, fmt.Errorf("%w: %s ends at %d, its index tells of a batch at %d", ErrCorruptRecord, s.path(kindLog), size, pos)
		}
	}
	err := s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, size)
		defer h.close()
		for pos < size {
			b, n, err := h.at(pos)
			if err != nil {
				return err
			}
			if ts := b.MaxTimestamp(); ts > t.maxTs {
				t.maxTs, t.maxTsOffset = ts, b.LastOffset()
			}
			t.end = b.NextOffset()
			pos += n
		}
		return nil
	})
	return t, err
}

// openUnclean checks the segments from the recovery point on.
func (o *opener) openUnclean() (int64, error) {
	known := o.st.recoveryPoint >= 0 || o.st.syncedTo > 0
	first, point, err := o.beginOfCheck()
	if err != nil {
		return 0, err
	}
	pos, end, err := o.startOfCheck(o.segments[first], point)
	if err != nil {
		return 0, err
	}
	o.trusted = point
	if err := o.removeBrokenSnapshots(o.segments[first].base); err != nil {
		return 0, err
	}
	o.epochs.truncateFromEnd(end) // the batches tell the rest
	if n := o.st.segmentsLeft; n != nil {
		n.Store(int64(len(o.segments) - first))
	}
	for i := first; i < len(o.segments); i++ {
		s := o.segments[i]
		if n := o.st.segmentsLeft; n != nil && i > first {
			n.Add(-1)
		}
		if i > first {
			if s.base < end || s.base > end && (known && o.isLoss(end, max(point, o.st.syncedTo)) || o.st.endKnown && end >= o.st.syncedTo) {
				return end, o.dropFrom(i, fmt.Errorf("it begins at offset %d, the one before ends at %d", s.base, end))
			}
			pos, end = 0, s.base
		}
		var bad error
		if end, bad, err = o.checkSegment(s, pos, end, true); err != nil {
			return 0, err
		}
		// Aborted transactions from the recovery point on are found anew in the batches.
		if err := s.cutAborted(min(point, end)); err != nil {
			return 0, err
		}
		if bad != nil {
			return end, o.dropFrom(i+1, nil)
		}
		if i < len(o.segments)-1 {
			if err := s.seal(); err != nil {
				return 0, err
			}
		}
	}
	return end, nil
}

// beginOfCheck finds the first segment that is to be checked, and the offset up to which nothing is in doubt.
func (o *opener) beginOfCheck() (first int, point int64, err error) {
	if o.st.recoveryPoint < 0 && o.st.syncedTo > 0 {
		first, point, err = o.keepSynced()
		if err == nil && first > 0 {
			o.st.recoveryPoint = point // also for the next start, before a checkpoint says so
		}
		return first, point, err
	}
	point = max(o.st.recoveryPoint, o.segments[0].base)
	first = len(o.segments) - 1
	for first > 0 && o.segments[first].base >= point {
		first-- // one that ends at the point may have been sealed after the sync
	}
	return first, point, o.rebuildMissing(first)
}

// isLoss says whether a gap between segments that begins at an offset is a part that
// the disk lost, so that what is behind it must go too. Compaction leaves gaps, but only
// below the recovery point: the cleaner sees to that before it begins. Kafka's does
// not; what it has cleaned its checkpoint tells.
func (o *opener) isLoss(gap, point int64) bool {
	return gap >= max(point, o.st.cleanedTo)
}

// rebuildMissing makes index files that closed segments lack of which nothing is to be checked, those before number first.
func (o *opener) rebuildMissing(first int) error {
	for i, s := range o.segments[:first] {
		if !o.missing[s.base] {
			continue
		}
		if err := o.indexSegment(s, o.segments[i+1].base, false); err != nil {
			return err
		}
		if err := s.seal(); err != nil {
			return err
		}
		if err := o.syncIndexes(s); err != nil {
			return err
		}
	}
	return nil
}

// syncIndexes makes the indexes of a closed segment durable at once: a sync of the log looks only at its last segments. A
// power cut would else leave an index of zeros, which the next start does not miss.
func (o *opener) syncIndexes(s *segment) error {
	for _, k := range []fileKind{kindIndex, kindTimeIndex} {
		if err := s.with(k, vfs.File.Sync); err != nil {
			return fmt.Errorf("cannot sync %s: %w", s.path(k), err)
		}
	}
	if err := o.env.fs.SyncDir(o.dir); err != nil {
		return err
	}
	s.dirty, s.nameDirty, s.closedUnsaved = false, false, false
	return nil
}

// indexSegment makes the indexes of a segment whose records are known to be on the
// disk. A batch that is damaged nevertheless costs nothing but itself: the bytes
// stay, for who reads that place to be told and for a person to look at. Offsets end before limit, where the next segment begins.
func (o *opener) indexSegment(s *segment, limit int64, epochs bool) error {
	s.inMemory, s.maxTsKnown, s.dirty, s.nameDirty = true, true, true, true
	s.beginIndexes()
	end, told := s.base, false
	var old []byte // what is left of the index that was there
	err := s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, s.size)
		defer h.close()
		for pos := int64(0); pos < s.size; {
			stopped, bad, err := scanBatches(f, pos, s.size, func(b record.Batch, at int64) error {
				if err := o.givenUp(); err != nil {
					return err
				}
				if err := s.follows(b, end); err != nil {
					return err
				}
				if b.LastOffset() >= limit { // the offset is not under the checksum
					return fmt.Errorf("%w: it ends at offset %d, and the next segment begins at %d", errStop, b.LastOffset(), limit)
				}
				if epochs {
					o.epochs.assign(b.PartitionLeaderEpoch(), b.BaseOffset())
				}
				s.indexBatch(b, int64(len(b)), at, &o.st.cfg)
				end = b.NextOffset()
				return nil
			})
			if bad == nil || err != nil {
				return err
			}
			if !told { // of the first; nobody knows how many follow
				o.env.logger.Error("closed segment is damaged, keeping its bytes", "partition", o.tp.String(), "file", f.Name(), "position", stopped, "why", bad)
				told = true
			}
			_, size, err := h.at(stopped)
			if err == nil {
				pos = stopped + size
				continue
			}
			if !errors.Is(err, ErrCorruptRecord) {
				return err
			}
			if old == nil {
				if old, err = s.oldIndex(); err != nil {
					return err
				}
			}
			if pos, old, err = s.leadOn(&h, old, stopped, end, limit); err != nil {
				return err
			}
			s.bytesSinceIndex = math.MaxInt32 // or nothing would lead here
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.remakeIndexes()
}

// beginIndexes empties a segment's indexes, to be made anew from its batches.
func (s *segment) beginIndexes() {
	s.offsets, s.times, s.maxTs, s.maxTsOffset, s.bytesSinceIndex = nil, nil, record.NoTimestamp, s.base, 0
}

// follows says why a batch cannot lie in the segment where offset end or later is expected.
func (s *segment) follows(b record.Batch, end int64) error {
	if b.BaseOffset() < end || b.LastOffset() < b.BaseOffset() || b.LastOffset()-s.base > math.MaxInt32 {
		return fmt.Errorf("%w: offsets [%d, %d] where %d is next", errStop, b.BaseOffset(), b.LastOffset(), end)
	}
	return nil
}

// startOfCheck finds an indexed batch below the recovery point from where the check
// can begin, and keeps the indexes up to there: those were synced before the point
// was noted. Should an index be damaged nevertheless, it counts only up to its last
// entry that the log confirms.
func (o *opener) startOfCheck(s *segment, point int64) (pos, offset int64, err error) {
	if o.missing[s.base] {
		return 0, s.base, nil
	}
	offsets, times, err := o.readIndexes(s)
	if err != nil {
		return 0, 0, err
	}
	keep := len(offsets)
	for keep > 0 && s.base+int64(offsets[keep-1].rel) >= point {
		keep--
	}
	err = s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, s.size)
		defer h.close()
		for ; keep > 0; keep-- {
			e := offsets[keep-1]
			b, _, err := h.at(int64(e.pos))
			if err == nil && b.LastOffset() == s.base+int64(e.rel) && b.BaseOffset() >= s.base {
				pos, offset = int64(e.pos), b.BaseOffset()
				return nil
			}
			if err != nil && !errors.Is(err, ErrCorruptRecord) {
				return err
			}
		}
		return nil
	})
	if err != nil || keep == 0 {
		return 0, s.base, err
	}
	for len(times) > 0 && s.base+int64(times[len(times)-1].rel) >= offset {
		times = times[:len(times)-1]
	}
	if n := len(times); n > 0 {
		ok, err := s.confirmTime(offsets[:keep], times[n-1])
		if err != nil {
			return 0, 0, err
		}
		if !ok { // half an entry, from behind the point: what is the largest timestamp before pos is not known then
			return 0, s.base, nil
		}
		s.maxTs, s.maxTsOffset = times[n-1].ts, s.base+int64(times[n-1].rel)
	}
	// The entry at pos is made anew by the check, with those after it.
	s.offsets, s.times = offsets[:keep-1:keep-1], times
	s.bytesSinceIndex = math.MaxInt32
	return pos, offset, nil
}

// confirmTime looks whether an entry of the time index speaks of a batch that is there.
func (s *segment) confirmTime(offsets []offsetEntry, e timeEntry) (ok bool, err error) {
	pos := int64(0)
	for i := len(offsets) - 1; i >= 0; i-- {
		if offsets[i].rel <= e.rel {
			pos = int64(offsets[i].pos)
			break
		}
	}
	err = s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, s.size)
		defer h.close()
		for at := s.base + int64(e.rel); pos < s.size; {
			b, size, err := h.at(pos)
			if errors.Is(err, ErrCorruptRecord) {
				return nil
			}
			if err != nil {
				return err
			}
			if b.LastOffset() >= at {
				ok = b.BaseOffset() <= at && b.MaxTimestamp() == e.ts
				return nil
			}
			pos += size
		}
		return nil
	})
	return ok, err
}

// checkSegment reads batches from pos on, where the one at offset end or later is
// expected, rebuilds the indexes from there and cuts the file at the first batch
// that is not whole; bad says why it did. A closed segment that was on the disk with all its records is not cut.
func (o *opener) checkSegment(s *segment, pos, end int64, epochs bool) (newEnd int64, bad, err error) {
	s.inMemory, s.maxTsKnown, s.dirty, s.nameDirty = true, true, true, true
	if pos == 0 {
		s.beginIndexes()
	}
	kept := [2]int{len(s.offsets), len(s.times)}
	var stopped int64
	number := slices.Index(o.segments, s)
	// Behind the last of its offsets may lie what a power cut has brought back of what was cut: that goes.
	rotten := func() bool { return o.wasSynced(number) && end < o.segments[number+1].base }
	err = s.with(kindLog, func(f vfs.File) (err error) {
		take := func(b record.Batch, size, at int64) error {
			if err := o.givenUp(); err != nil {
				return err
			}
			if err := s.follows(b, end); err != nil {
				return err
			}
			if epochs {
				o.epochs.assign(b.PartitionLeaderEpoch(), b.BaseOffset())
			}
			s.indexBatch(b, size, at, &o.st.cfg)
			end = b.NextOffset()
			return nil
		}
		from := pos
		if o.st.sameBoot && !o.st.distrust {
			// All that was written is there: the headers tell the rest, and only what was written last may be torn.
			if from, err = o.walkTo(f, s, pos, take); err != nil {
				return err
			}
		}
		stopped, bad, err = scanBatches(f, from, s.size, func(b record.Batch, at int64) error { return take(b, int64(len(b)), at) })
		if err == nil && bad != nil && !rotten() {
			o.env.logger.Warn("log has a damaged end, cutting it", "partition", o.tp.String(), "segment", s.base, "position", stopped, "bytes", s.size-stopped, "why", bad)
			if err := o.keepTail(f, s, stopped, end); err != nil {
				return err
			}
			err = f.Truncate(stopped)
		}
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	if bad != nil && rotten() {
		o.epochs.truncateFromEnd(s.base) // it was all of them from pos on
		return o.segments[number+1].base, nil, o.keepSegment(number, epochs)
	}
	s.size = stopped
	s.verified.cut(stopped)
	if kept[0] == 0 && len(s.offsets) > 0 && s.base+int64(s.offsets[0].rel) < o.trusted {
		return end, bad, s.remakeIndexes()
	}
	return end, bad, s.rewriteIndexes(kept[0], kept[1])
}

// tornTailBytes is how much of a segment's end is checked in full where the kernel has not stopped: more than one write.
const tornTailBytes = 1 << 20

// walkTo takes in the batches from pos on by their headers, and returns where the check in full must go on: near the
// segment's end, or at what does not look like a batch.
func (o *opener) walkTo(f vfs.File, s *segment, pos int64, take func(b record.Batch, size, at int64) error) (int64, error) {
	h := walkHeaders(f, s.size)
	defer h.close()
	for pos < s.size-o.env.tornTailBytes {
		b, size, err := h.at(pos)
		if errors.Is(err, ErrCorruptRecord) {
			return pos, nil
		}
		if err == nil {
			err = take(b, size, pos)
		}
		if errors.Is(err, errStop) {
			return pos, nil
		}
		if err != nil {
			return 0, err
		}
		pos += size
	}
	return pos, nil
}

// givenUp ends the opening of a log that is not wanted any more: it may have to read all of it, while a deletion or a stop waits.
func (l *Log) givenUp() error {
	if l.env.stopping.Load() || l.lazy.abandoned.Load() {
		return fmt.Errorf("%w: its recovery is given up", ErrClosed)
	}
	return nil
}

// dropFrom sets the segments from i on aside, which cannot follow what is before them.
func (o *opener) dropFrom(i int, why error) error {
	for _, s := range slices.Backward(o.segments[i:]) { // a crash in between leaves no gap
		if s.size == 0 {
			if err := o.removeSegment(s); err != nil {
				return err
			}
			continue
		}
		if err := o.setSegmentAside(s, why); err != nil {
			return err
		}
	}
	o.segments = o.segments[:i:i]
	// The last one is the active segment from now on; if it was sealed, its index is in its file.
	return o.active().loadIndexes()
}

func (l *Log) removeSegment(s *segment) error {
	s.forget()
	for k := range numKinds {
		ok, err := vfs.Exists(l.env.fs, s.path(k))
		if err == nil && ok {
			err = l.env.fs.Remove(s.path(k))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// snapshotOffsets lists the producer snapshots, lowest first.
func (l *Log) snapshotOffsets() ([]int64, error) {
	entries, err := l.env.fs.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var offsets []int64
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), snapshotSuffix)
		if !ok {
			continue
		}
		if off, err := strconv.ParseInt(stem, 10, 64); err == nil && off >= 0 {
			offsets = append(offsets, off)
		}
	}
	slices.Sort(offsets)
	return offsets, nil
}

func (l *Log) snapshotPath(offset int64) string {
	return path.Join(l.dir, segmentName(offset)+snapshotSuffix)
}

// loadProducers rebuilds the producer state at end: from the newest good snapshot
// that is not above usable, and the batches since. Newer snapshots are removed.
// It is called where the log opens or with appendMu held.
func (l *Log) loadProducers(end, usable int64) error {
	offsets, err := l.snapshotOffsets()
	if err != nil {
		return err
	}
	for len(offsets) > 0 && offsets[len(offsets)-1] > min(usable, end) {
		if err := l.env.fs.Remove(l.snapshotPath(offsets[len(offsets)-1])); err != nil {
			return err
		}
		offsets = offsets[:len(offsets)-1]
	}
	var ps producers
	ps.reset(min(l.segments[0].base, end))
	l.lastSnapshot = -1
	for i := len(offsets) - 1; i >= 0 && l.lastSnapshot < 0; i-- {
		if found, ok := l.loadSnapshot(offsets[i]); ok {
			ps, l.lastSnapshot = found, offsets[i]
		}
	}
	l.mu.Lock()
	l.producers = ps
	l.mu.Unlock()
	if err := l.replayProducers(end); err != nil {
		return fmt.Errorf("cannot rebuild the producer state: %w", err)
	}
	return nil
}

// loadSnapshot reads one snapshot; a bad one is removed, there are older ones or the log itself.
func (l *Log) loadSnapshot(offset int64) (producers, bool) {
	name := l.snapshotPath(offset)
	data, err := readSmallFile(l.env.fs, name)
	if err == nil {
		var ps producers
		if ps, err = parseSnapshot(data, offset); err == nil {
			return ps, true
		}
	}
	l.env.logger.Warn("ignoring a producer snapshot", "file", name, "err", err)
	if err := errors.Join(clearPlace(l.env.fs, name), removeIfThere(l.env.fs, name)); err != nil {
		l.env.logger.Warn("cannot remove a bad producer snapshot", "file", name, "err", err)
	}
	return producers{}, false
}

// saveSnapshot writes the producer state of the log's end. Without sync a power cut
// may leave a broken file, which its checksum tells. appendMu is held.
func (l *Log) saveSnapshot(sync bool) error {
	end := l.leo.Load()
	if l.lastSnapshot == end {
		return nil
	}
	l.mu.RLock()
	data := l.producers.encodeSnapshot()
	l.mu.RUnlock()
	if err := writeFile(l.env.fs, l.snapshotPath(end), data, sync); err != nil {
		return fmt.Errorf("cannot write the producer snapshot of %s: %w", l.tp, err)
	}
	l.lastSnapshot = end
	return nil
}

func writeFile(fsys vfs.FS, name string, data []byte, sync bool) error {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// removeStraySnapshots keeps those at the base of a segment, the newest, and the
// newest that recovery would believe if the process died now.
func (o *opener) removeStraySnapshots() error {
	offsets, err := o.snapshotOffsets()
	if err != nil {
		return err
	}
	believed := -1
	for i, off := range offsets {
		if off <= o.synced.Load() {
			believed = i
		}
	}
	for i, off := range offsets {
		isBase := slices.ContainsFunc(o.segments, func(s *segment) bool { return s.base == off })
		if isBase || i == len(offsets)-1 || i == believed {
			continue
		}
		if err := o.env.fs.Remove(o.snapshotPath(off)); err != nil {
			return err
		}
	}
	return nil
}

// replayProducers takes in the batches between the producer state's end and end, and
// makes the snapshots at the beginnings of segments that it comes by and are missing.
func (l *Log) replayProducers(end int64) error {
	from := l.producers.end
	snapshots, err := l.snapshotOffsets()
	if err != nil {
		return err
	}
	for i, s := range l.segments {
		if _, have := slices.BinarySearch(snapshots, s.base); i > 0 && s.base >= from && !have {
			if err := writeFile(l.env.fs, l.snapshotPath(s.base), l.producers.encodeSnapshot(), true); err != nil {
				return fmt.Errorf("cannot write a producer snapshot: %w", err)
			}
		}
		next := end
		if i < len(l.segments)-1 {
			next = l.segments[i+1].base
		}
		if next <= from {
			continue
		}
		v := view{seg: s, size: s.size, end: next, last: i == len(l.segments)-1, cuts: l.cuts()}
		if err := s.with(kindLog, func(f vfs.File) error { return l.replaySegment(v, f, from) }); err != nil {
			return err
		}
	}
	l.producers.end = end
	l.unstable.Store(l.producers.firstUnstable())
	return nil
}

func (l *Log) replaySegment(v view, f vfs.File, from int64) error {
	return l.eachHeader(v, f, from, func(b record.Batch, pos, size int64) (err error) {
		if !b.HasProducerID() {
			return nil
		}
		if b.IsControl() { // its record says what it is
			if b, err = readChecked(f, pos, size); err != nil {
				return err
			}
		}
		return l.replayBatch(v.seg, b)
	})
}

// eachHeader hands the headers of a segment's batches to fn, from the one that holds an offset on. What cannot be read of a
// closed segment is told and passed over: it costs itself, and not the log.
func (l *Log) eachHeader(v view, f vfs.File, from int64, fn func(b record.Batch, pos, size int64) error) error {
	pos, err := l.locate(v, f, from)
	if errors.Is(err, ErrCorruptRecord) && !v.last {
		pos, err = 0, nil
	}
	if err != nil {
		return err
	}
	h := walkHeaders(f, v.size)
	defer h.close()
	for pos < v.size {
		if err := l.givenUp(); err != nil && !l.isOpen() {
			return err
		}
		b, size, err := h.at(pos)
		next := pos + size
		if err == nil && b.LastOffset() >= from {
			err = fn(b, pos, size)
		}
		if errors.Is(err, ErrCorruptRecord) && !v.last {
			if err := l.unreadable(v, err); errors.Is(err, errGone) {
				return err
			}
			if err = nil; next == pos {
				next, err = v.seg.nextIndexed(f, pos, v.size)
			}
		}
		if err != nil {
			return err
		}
		pos = next
	}
	return nil
}

// readChecked is readBatch for one whose records are gone by.
func readChecked(f vfs.File, pos, size int64) (record.Batch, error) {
	b, err := readBatch(f, pos, size)
	if err == nil {
		if err = b.Validate(); err != nil {
			err = fmt.Errorf("%w: %s at %d: %w", ErrCorruptRecord, f.Name(), pos, err)
		}
	}
	return b, err
}

func (l *Log) replayBatch(s *segment, b record.Batch) error {
	l.mu.Lock()
	done, aborted, err := l.producers.apply(b)
	l.mu.Unlock()
	if err != nil || done == nil || !aborted {
		return err
	}
	return s.addAborted(AbortedTxn{done.producerID, done.first, done.last, l.producers.stableEnd(*done)})
}
