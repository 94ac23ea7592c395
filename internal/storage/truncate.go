package storage

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// TruncateTo cuts the log's end: the batch that holds offset and all after it go.
// The log may so end before offset. Leader epochs that begin at its end or behind go too, also where no record does.
func (l *Log) TruncateTo(offset int64) error {
	if err := l.ensure(); err != nil {
		return err
	}
	l.replaceMu.Lock()
	l.appendMu.Lock()
	err := l.truncateLocked(offset)
	l.appendMu.Unlock()
	l.replaceMu.Unlock()
	l.wakeWaiters()
	return err
}

func (l *Log) truncateLocked(offset int64) error {
	if err := l.endCut(); err != nil {
		return err
	}
	if err := l.errWrite(); err != nil {
		return err
	}
	if offset >= l.leo.Load() {
		// A leader that was deposed before it had appended anything has noted an epoch that begins at its end:
		// as a follower it must not go on telling it, or it would be sent here again and again.
		l.mu.Lock()
		l.epochs.truncateFromEnd(l.leo.Load())
		l.mu.Unlock()
		return nil
	}
	if err := l.touch(); err != nil {
		return err
	}
	if err := l.cutTo(func() (*unfinishedCut, error) { return l.cutAt(offset) }); err != nil {
		return l.failCut(fmt.Errorf("cannot truncate %s to offset %d: %w", l.tp, offset, err))
	}
	return nil
}

// afterCut rebuilds what follows from the log's records, and makes durable what
// recovery would otherwise believe.
func (l *Log) afterCut() error {
	end := l.leo.Load()
	if err := l.loadProducers(end, end); err != nil {
		return err
	}
	l.mu.Lock()
	l.setHighWatermarkLocked(l.hw.Load())
	l.mu.Unlock()
	if err := l.findUnreplicated(); err != nil {
		return err
	}
	if err := l.saveEpochs(); err != nil {
		return err
	}
	// Once more: between the first time and the cut a checkpoint may have noted what was true then.
	if err := errors.Join(l.env.markLowered(l, end), l.env.pointLowered(l, end)); err != nil {
		return err
	}
	return l.env.startMoved(l)
}

func (l *Log) cutAt(offset int64) (*unfinishedCut, error) {
	if offset <= l.segments[0].base {
		return l.replaceBySegmentAt(max(offset, 0))
	}
	return l.cutTail(offset)
}

// lowerPoint makes the recovery point no higher than what a cut will leave, before the cut. After it, a crash in
// between would look like the loss of synced records; and a point above the new end would leave records unchecked
// that are appended there next. The noted high watermark comes down with it.
func (l *Log) lowerPoint(to int64) error {
	return errors.Join(l.env.markLowered(l, to), l.env.pointLowered(l, to))
}

// cutTail cuts within or right after the segment that holds offset.
func (l *Log) cutTail(offset int64) (*unfinishedCut, error) {
	views := l.views()
	i, _ := slices.BinarySearchFunc(views, offset, func(v view, o int64) int {
		if v.seg.base <= o {
			return -1
		}
		return 1
	})
	v := views[i-1]
	pos, end, err := l.cutPosition(v, offset)
	if err != nil {
		return nil, err
	}
	if err := v.seg.loadIndexes(); err != nil {
		return nil, err
	}
	if err := l.lowerPoint(end); err != nil {
		return nil, err
	}
	l.mu.RLock()
	names := v.seg.nameDirty
	l.mu.RUnlock()
	c := &unfinishedCut{seg: v.seg, pos: pos, end: end, gone: l.segments[i:], names: names}
	l.publishCut(v.seg, i, pos, end)
	return c, nil
}

// cutPosition is where to cut so that whole batches stay, and where the log will end: after the last of them, also when
// compaction has left a gap there, since the next start would find nothing else.
func (l *Log) cutPosition(v view, offset int64) (pos, end int64, err error) {
	end = v.seg.base
	err = v.seg.with(kindLog, func(f vfs.File) error {
		if pos, err = l.locate(v, f, offset); err != nil || pos == 0 {
			return err
		}
		e, _, err := v.seg.floor(func(e offsetEntry) bool { return int64(e.pos) < pos })
		if err != nil {
			return err
		}
		h := walkHeaders(f, v.size)
		defer h.close()
		for at := v.seg.startAt(&h, e); at < pos; {
			b, size, err := h.at(at)
			if err != nil {
				return err
			}
			end = b.NextOffset()
			at += size
		}
		return nil
	})
	return pos, end, err
}

// publishCut makes s, the segment before number i, the last one and the log end at end.
func (l *Log) publishCut(s *segment, i int, pos, end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.truncations++
	l.noteCutLocked(end)
	l.segments = l.segments[:i:i]
	s.size, s.dirty, s.nameDirty = pos, true, true
	rel := end - s.base
	for n := len(s.offsets); n > 0 && int64(s.offsets[n-1].rel) >= rel; n-- {
		s.offsets = s.offsets[: n-1 : n-1]
	}
	for n := len(s.times); n > 0 && int64(s.times[n-1].rel) >= rel; n-- {
		s.times = s.times[: n-1 : n-1]
	}
	if pos == 0 {
		s.firstTsKnown = false
	}
	l.leo.Store(end)
	l.foundTo.Store(min(l.foundTo.Load(), end))
	l.synced.Store(min(l.synced.Load(), end))
	l.moveHighWatermark(min(l.hw.Load(), end))
	l.logStart.Store(min(l.logStart.Load(), end))
	l.epochs.truncateFromEnd(end)
	l.marks.clear()
}

// cutFiles brings the files of the last segment to its new length.
func (l *Log) cutFiles(s *segment, pos, end int64) error {
	s.offsetsWritten, s.timesWritten = min(s.offsetsWritten, len(s.offsets)), min(s.timesWritten, len(s.times))
	sizes := [numKinds]int64{kindLog: pos, kindIndex: int64(s.offsetsWritten) * offsetEntryBytes, kindTimeIndex: int64(s.timesWritten) * timeEntryBytes}
	for _, k := range []fileKind{kindLog, kindIndex, kindTimeIndex} {
		if err := s.with(k, func(f vfs.File) error { return f.Truncate(sizes[k]) }); err != nil {
			return err
		}
	}
	s.verified.cut(pos)
	// Else a power cut could bring back what was cut, below records of a newer epoch.
	if err := s.with(kindLog, syncCut); err != nil {
		return err
	}
	if err := s.cutAborted(end); err != nil {
		return err
	}
	t, err := s.walkTail(s.offsets, s.times, pos)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.maxTs, s.maxTsOffset, s.maxTsKnown, s.bytesSinceIndex = t.maxTs, t.maxTsOffset, true, 0
	return nil
}

// TruncateFullyAndStartAt throws all records away; the log goes on at offset.
func (l *Log) TruncateFullyAndStartAt(offset int64) error {
	if err := l.ensure(); err != nil {
		return err
	}
	l.replaceMu.Lock()
	l.appendMu.Lock()
	err := l.endCut()
	if err == nil {
		err = l.errWrite()
	}
	if err == nil {
		err = l.touch()
	}
	if err == nil {
		if err = l.cutTo(func() (*unfinishedCut, error) { return l.replaceBySegmentAt(offset) }); err != nil {
			err = l.failCut(fmt.Errorf("cannot begin %s anew at offset %d: %w", l.tp, offset, err))
		}
	}
	l.appendMu.Unlock()
	l.replaceMu.Unlock()
	l.wakeWaiters()
	return err
}

func (l *Log) replaceBySegmentAt(offset int64) (*unfinishedCut, error) {
	// To 0, since a death on the way may leave no segment at all, and that must not look like a loss.
	if err := l.lowerPoint(0); err != nil {
		return nil, err
	}
	// Readers see the new segment before the old ones go, and need no file of it.
	c := &unfinishedCut{anew: true, end: offset, gone: l.segments}
	unmade := newSegment(l, offset)
	unmade.inMemory, unmade.abortedLoaded, unmade.maxTsKnown = true, true, true
	unmade.abortedProven.Store(true)
	l.publishNew(unmade)
	return c, nil
}

// publishNew makes s, which has no records, the only segment, and the log begin and end there. appendMu is held.
func (l *Log) publishNew(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.truncations++
	l.noteCutLocked(min(s.base, l.segments[0].base))
	l.segments = []*segment{s}
	l.epochs.clear()
	l.marks.clear()
	l.logStart.Store(s.base)
	l.moveHighWatermark(s.base)
	l.leo.Store(s.base)
	l.foundTo.Store(0)
	l.synced.Store(s.base)
}

// AdvanceLogStartOffset deletes the records below offset, as DeleteRecords asks. The
// records are gone at once and stay so through a crash; their segments go with the
// next retention. Offsets above the high watermark are refused.
func (l *Log) AdvanceLogStartOffset(offset int64) error {
	if err := l.ensure(); err != nil {
		return err
	}
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if err := l.advanceStartLocked(offset); err != nil {
		return err
	}
	// Also when it did not move: the try before may have failed here.
	if err := l.env.startMoved(l); err != nil {
		return fmt.Errorf("cannot save the log start offset of %s: %w", l.tp, err)
	}
	return nil
}

// advanceStart is AdvanceLogStartOffset in memory.
func (l *Log) advanceStart(offset int64) error {
	if err := l.ensure(); err != nil {
		return err
	}
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	return l.advanceStartLocked(offset)
}

func (l *Log) advanceStartLocked(offset int64) error {
	if err := l.errWrite(); err != nil {
		return err
	}
	if hw := l.hw.Load(); offset > hw {
		return fmt.Errorf("%w: records of %s cannot be deleted up to offset %d, its high watermark is %d", ErrOffsetOutOfRange, l.tp, offset, hw)
	}
	if offset <= l.logStart.Load() {
		return nil
	}
	if err := l.touch(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logStart.Store(offset)
	l.epochs.truncateFromStart(offset)
	return nil
}

// writeTopicID notes the topic's id; the next sync makes it durable. appendMu is held.
func (l *Log) writeTopicID(id [16]byte) error {
	return writeFile(l.env.fs, path.Join(l.dir, partitionMetadataFile), encodePartitionMetadata(id), false)
}

// Close ends the log. With clean everything is on the disk afterwards and the next
// start has nothing to check; without, it is as if the process had died.
func (l *Log) Close(clean bool) error {
	if !l.isOpen() {
		l.abandonLazy()
	}
	l.replaceMu.Lock()
	l.appendMu.Lock()
	var err error
	if clean && !l.closed.Load() {
		// The next start does not look into a log that was left in order: they would stay until somebody uses it.
		l.mu.RLock()
		retired := slices.Clone(l.retired)
		l.mu.RUnlock()
		l.removeRetired(retired)
		if err = l.Err(); err == nil {
			if err = errors.Join(l.endCut(), l.payAll(), l.settle(true), l.rewriteUnsynced()); err == nil && l.changed.Load() {
				err = l.syncNow()
			}
		}
	}
	l.closed.Store(true)
	for _, s := range l.segments {
		s.forget()
	}
	l.appendMu.Unlock()
	l.replaceMu.Unlock()
	l.wakeWaiters()
	if err != nil {
		return fmt.Errorf("cannot close the log of %s in order: %w", l.tp, err)
	}
	return nil
}

// settle writes everything that the next start wants to find; without sync, for a directory that will be synced as a
// whole. appendMu is held.
func (l *Log) settle(sync bool) error {
	if !l.changed.Load() {
		return nil
	}
	if l.leo.Load() > l.segments[0].base { // an empty log has nothing to tell, as in Kafka
		if err := l.saveSnapshot(sync); err != nil {
			return err
		}
	}
	s := l.active()
	if err := s.loadIndexes(); err != nil {
		return err
	}
	l.mu.Lock()
	s.noteMaxTimestamp()
	l.mu.Unlock()
	if err := errors.Join(s.writeIndexes(), s.unreserve()); err != nil {
		return err
	}
	if err := l.writeEpochs(sync); err != nil {
		return err
	}
	l.mu.Lock()
	s.dirty, s.nameDirty, s.closedUnsaved = true, true, true
	l.mu.Unlock()
	return nil
}

// payAll writes the entries of transaction indexes that are owed. appendMu is held.
func (l *Log) payAll() error {
	for _, s := range l.segments {
		if err := s.payAborted(); err != nil {
			return err
		}
	}
	return nil
}

// settleAll writes what the next start wants to find, for a directory that is then synced as a whole: no append comes
// after it.
func (l *Log) settleAll() error {
	if !l.isOpen() {
		return nil
	}
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if l.closed.Load() {
		return nil
	}
	if err := l.Err(); err != nil {
		return err
	}
	if err := errors.Join(l.endCut(), l.payAll()); err != nil {
		return err
	}
	if err := l.settle(false); err != nil {
		return err
	}
	if err := l.rewriteUnsynced(); err != nil {
		return err
	}
	l.settled.Store(true)
	return nil
}

// syncedAll says that the whole directory has been synced since settleAll.
func (l *Log) syncedAll() {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if !l.settled.Load() || l.Err() != nil {
		return
	}
	l.mu.Lock()
	l.takeDirtyLocked()
	l.topicIDFile, l.dirDirty = false, false
	l.synced.Store(l.leo.Load())
	l.mu.Unlock()
	l.changed.Store(false)
}
