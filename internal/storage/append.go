package storage

import (
	"errors"
	"fmt"
	"math"
	"syscall"

	"github.com/moldau-stream/moldau/internal/invariant"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// AppendAsLeader appends whole batches. Offsets, leader epoch and, for
// LogAppendTime, timestamps are assigned in place in the caller's bytes, then all
// are written at once. A refusal is an *InvalidRecordError and changes nothing.
// With flush.messages reached it returns only when the records are on the disk.
func (l *Log) AppendAsLeader(batches []byte, leaderEpoch int32, origin Origin) (AppendInfo, error) {
	return l.AppendWith(batches, leaderEpoch, origin, AppendOptions{})
}

// AppendWith is AppendAsLeader with what is known of the transaction.
func (l *Log) AppendWith(batches []byte, leaderEpoch int32, origin Origin, opts AppendOptions) (AppendInfo, error) {
	if err := l.ensure(); err != nil {
		return AppendInfo{}, err
	}
	cfg := l.config()
	c, err := l.checkAppend(batches, origin, cfg, l.nowMs())
	if err != nil {
		return AppendInfo{}, err
	}
	l.appendMu.Lock()
	info, err := l.appendAsLeaderLocked(c, leaderEpoch, origin, cfg, opts)
	l.appendMu.Unlock()
	if err != nil || info.Duplicate {
		return info, err
	}
	return info, l.flushByPolicy(cfg)
}

func (l *Log) appendAsLeaderLocked(c checked, leaderEpoch int32, origin Origin, cfg *LogConfig, opts AppendOptions) (AppendInfo, error) {
	if err := l.errWrite(); err != nil {
		return AppendInfo{}, err
	}
	if err := l.errLost(); err != nil {
		return AppendInfo{}, err
	}
	nowMs := int64(0)
	if cfg.TimestampType == record.LogAppendTime {
		nowMs = l.nowMs() // read under the lock: what is appended later has no earlier time
	}
	offset := l.leo.Load()
	info := AppendInfo{FirstOffset: offset, MaxTimestampMs: c.maxTs, LogAppendTimeMs: -1,
		LogStartOffset: l.logStart.Load(), NumRecords: c.numRecords, SizeInBytes: len(c.bytes)}
	for rest := c.bytes; len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest) // was checked
		dup, isDup, err := l.producers.check(b, origin, offset == 0)
		if !isDup {
			err = l.checkTransaction(b, origin, opts, err)
		}
		if err != nil {
			return AppendInfo{}, err
		}
		if isDup {
			info.Duplicate, info.FirstOffset, info.LastOffset, info.MaxTimestampMs = true, dup.firstOffset(), dup.lastOffset, dup.timestampMs
			if cfg.TimestampType == record.LogAppendTime {
				info.LogAppendTimeMs = dup.timestampMs
			}
			return info, nil
		}
		b.SetBaseOffset(offset)
		b.SetPartitionLeaderEpoch(leaderEpoch)
		if cfg.TimestampType == record.LogAppendTime {
			b.SetLogAppendTime(nowMs)
			info.LogAppendTimeMs, info.MaxTimestampMs = nowMs, nowMs
		}
		if b.NextOffset() <= offset {
			return AppendInfo{}, fmt.Errorf("%w: %s has used up its offsets: there is none above %d", ErrStorage, l.tp, int64(math.MaxInt64))
		}
		offset = b.NextOffset()
	}
	info.LastOffset = offset - 1
	if origin == FromClient {
		if err := l.env.space.take(len(c.bytes)); err != nil {
			return AppendInfo{}, err
		}
	}
	if err := l.write(c.bytes, info.FirstOffset, offset, info.MaxTimestampMs, cfg); err != nil {
		return AppendInfo{}, err
	}
	return info, nil
}

// AppendAsFollower appends batches as the leader assigned them. A batch that is cut
// short at the end, as a leader may send, is left out, and so is what comes from a
// newer epoch than the one that was fetched in.
func (l *Log) AppendAsFollower(batches []byte, leaderEpoch int32) (AppendInfo, error) {
	if err := l.ensure(); err != nil {
		return AppendInfo{}, err
	}
	cfg := l.config()
	l.appendMu.Lock()
	info, err := l.appendAsFollowerLocked(batches, leaderEpoch, cfg)
	l.appendMu.Unlock()
	if err != nil || info.NumRecords == 0 && info.SizeInBytes == 0 {
		return info, err
	}
	return info, l.flushByPolicy(cfg)
}

func (l *Log) appendAsFollowerLocked(batches []byte, leaderEpoch int32, cfg *LogConfig) (AppendInfo, error) {
	if err := l.errWrite(); err != nil {
		return AppendInfo{}, err
	}
	end := l.leo.Load()
	info := AppendInfo{FirstOffset: end, LastOffset: end - 1, MaxTimestampMs: record.NoTimestamp, LogAppendTimeMs: -1, LogStartOffset: l.logStart.Load()}
	for rest := batches; len(rest) > 0; {
		b, next, err := record.Next(rest)
		if errors.Is(err, record.ErrTruncated) {
			break
		}
		if err == nil {
			err = b.Validate()
		}
		if err != nil {
			return AppendInfo{}, l.asRefusal(err)
		}
		if b.PartitionLeaderEpoch() > leaderEpoch {
			break
		}
		if info.SizeInBytes == 0 && l.holdsStart(b) {
			end = b.BaseOffset()
		}
		if b.BaseOffset() < end || b.LastOffsetDelta() < 0 || b.NextOffset() <= b.BaseOffset() {
			return AppendInfo{}, fmt.Errorf("%w: a batch [%d, %d] cannot follow offset %d in %s", ErrOffsetOutOfRange, b.BaseOffset(), b.LastOffset(), end-1, l.tp)
		}
		if _, _, err := l.producers.check(b, FromReplication, false); err != nil {
			return AppendInfo{}, err
		}
		if info.SizeInBytes == 0 {
			info.FirstOffset = b.BaseOffset()
		} else if b.LastOffset()-info.FirstOffset > math.MaxInt32 {
			break // no segment can hold both, the rest comes with the next fetch
		}
		end = b.NextOffset()
		info.NumRecords += b.NumRecords()
		info.SizeInBytes += len(b)
		info.MaxTimestampMs = max(info.MaxTimestampMs, b.MaxTimestamp())
		rest = next
	}
	if info.SizeInBytes == 0 {
		return info, nil
	}
	info.LastOffset = end - 1
	if err := l.env.space.take(info.SizeInBytes); err != nil {
		return AppendInfo{}, err
	}
	if info.FirstOffset < l.leo.Load() {
		if err := l.beginBelow(info.FirstOffset); err != nil {
			return AppendInfo{}, err
		}
	}
	if err := l.write(batches[:info.SizeInBytes], info.FirstOffset, end, info.MaxTimestampMs, cfg); err != nil {
		return AppendInfo{}, err
	}
	return info, nil
}

// write puts checked batches with assigned offsets at the end of the log and
// publishes them. appendMu is held.
func (l *Log) write(b []byte, first, end, maxTs int64, cfg *LogConfig) error {
	if err := l.maybeRoll(len(b), first, end, maxTs, cfg); err != nil {
		return err
	}
	s := l.active()
	if err := s.loadIndexes(); err != nil {
		return l.failUnlessFull(err)
	}
	if err := errors.Join(l.touch(), l.forgetOldMark()); err != nil {
		return err
	}
	pos := s.size
	if err := l.writeBytes(s, b, pos); err != nil {
		return err
	}
	l.mu.Lock()
	l.applyLocked(b)
	if len(l.aborted) > 0 {
		// The index must tell of an aborted transaction before its marker can be read.
		l.mu.Unlock()
		for _, t := range l.aborted {
			if err := s.addAborted(t); err != nil {
				return l.fail(err)
			}
		}
		l.mu.Lock()
	}
	l.publishLocked(s, b, pos, end, cfg)
	l.mu.Unlock()
	l.marks.appended(s, first, pos)
	if len(s.offsets)-s.offsetsWritten >= indexFlushEntries {
		// Without space the entries wait on in memory: the records are in the log already.
		if err := s.writeIndexes(); err != nil && !isDiskFull(err) && !isShortage(err) {
			return l.fail(err)
		}
	}
	return nil
}

func (l *Log) writeBytes(s *segment, b []byte, pos int64) error {
	f, err := s.acquire(kindLog)
	if err != nil {
		return l.failUnlessFull(fmt.Errorf("cannot append to %s: %w", l.tp, err))
	}
	defer s.release(kindLog)
	if _, err := f.WriteAt(b, pos); err != nil {
		err = fmt.Errorf("cannot append %d bytes to %s at %d: %w", len(b), f.Name(), pos, err)
		// What was written of it lies behind the log's end, where the next append
		// overwrites it and recovery cuts it off. A full disk passes; anything else does not.
		if isDiskFull(err) && f.Truncate(pos) == nil {
			return fmt.Errorf("%w: %w", ErrStorage, err)
		}
		return l.fail(err)
	}
	return nil
}

// failUnlessFull fails the log for an error that left it as it was before, unless it
// only lacks space or descriptors: that passes, and the append or the roll can be tried again.
func (l *Log) failUnlessFull(err error) error {
	if isDiskFull(err) || isShortage(err) {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	return l.fail(err)
}

func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, ErrDiskFull)
}

// applyLocked takes the batches into producer state and leader epochs.
func (l *Log) applyLocked(b []byte) {
	l.aborted = l.aborted[:0]
	for rest := b; len(rest) > 0; {
		var batch record.Batch
		batch, rest, _ = record.Next(rest) // was checked
		if epoch := batch.PartitionLeaderEpoch(); epoch >= 0 {
			l.epochs.assign(epoch, batch.BaseOffset())
		}
		l.settleVerification(batch)
		done, aborted, err := l.producers.apply(batch)
		if err != nil {
			invariant.Fail("a batch that was checked cannot be applied: %v", err)
		}
		if done != nil && aborted {
			l.aborted = append(l.aborted, AbortedTxn{done.producerID, done.first, done.last, l.producers.stableEnd(*done)})
		}
	}
}

// publishLocked lets readers see the batches that were written at pos.
func (l *Log) publishLocked(s *segment, b []byte, pos, end int64, cfg *LogConfig) {
	for rest := b; len(rest) > 0; {
		var batch record.Batch
		batch, rest, _ = record.Next(rest) // was checked
		s.indexBatch(batch, int64(len(batch)), pos, cfg)
		pos += int64(len(batch))
	}
	if end <= l.leo.Load() {
		invariant.Fail("log end %d does not rise to %d", l.leo.Load(), end)
	}
	s.size, s.dirty = pos, true
	l.leo.Store(end)
	l.unstable.Store(l.producers.firstUnstable())
}

// maybeRoll begins a new segment when Kafka would: the active one is full or too old,
// an index is full, or an offset would be too far from the base. appendMu is held.
func (l *Log) maybeRoll(size int, first, end, maxTs int64, cfg *LogConfig) error {
	s := l.active()
	if first > s.base && end-1-s.base > math.MaxInt32 {
		return l.rollTo(first)
	}
	if s.size == 0 {
		return nil
	}
	full := s.size > int64(min(cfg.SegmentBytes, maxSegmentBytes)-size)
	if full || s.indexFull(cfg) {
		return l.rollTo(l.leo.Load())
	}
	if cfg.maxSegmentMs() < math.MaxInt64 {
		old, err := l.tooOld(s, maxTs, cfg)
		if err != nil {
			return err
		}
		if old {
			return l.rollTo(l.leo.Load())
		}
	}
	return nil
}

// tooOld compares the first record's timestamp with the one that comes; without timestamps, the clock's.
func (l *Log) tooOld(s *segment, maxTs int64, cfg *LogConfig) (bool, error) {
	if !s.firstTsKnown {
		ts, err := s.readFirstTimestamp(s.size)
		if err != nil {
			return false, l.failUnlessFull(err)
		}
		l.mu.Lock()
		s.firstTs, s.firstTsKnown = ts, true
		l.mu.Unlock()
	}
	waited := maxTs - s.firstTs
	if s.firstTs < 0 {
		waited = l.nowMs() - s.createdMs
	}
	return waited > max(cfg.maxSegmentMs()-s.rollJitterMs, 0), nil // the setting may have become less than the jitter
}

func (s *segment) readFirstTimestamp(size int64) (ts int64, err error) {
	err = s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, size)
		defer h.close()
		b, _, err := h.at(0)
		if err == nil {
			ts = b.MaxTimestamp()
		}
		return err
	})
	return ts, err
}

// Roll begins a new segment, unless the active one is empty.
func (l *Log) Roll() error {
	if err := l.ensure(); err != nil {
		return err
	}
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if err := l.errWrite(); err != nil {
		return err
	}
	if l.active().size == 0 {
		return nil
	}
	return l.rollTo(l.leo.Load())
}

// rollTo seals the active segment and begins one at base. Without space for it the
// log stays as it is and refuses. appendMu is held.
func (l *Log) rollTo(base int64) error {
	if err := l.tryRoll(base); err != nil {
		return l.failUnlessFull(fmt.Errorf("cannot begin a new segment of %s at offset %d: %w", l.tp, base, err))
	}
	// The old segment goes to the disk soon, so that little is to be checked after a crash.
	l.env.syncer.enqueue(l)
	return nil
}

// tryRoll makes the new segment as the last step, so that before it nothing needs to
// be taken back: a snapshot may lie anywhere, and a sealed segment that stays the
// active one gets its indexes back into memory when it is next written to.
func (l *Log) tryRoll(base int64) error {
	if err := l.saveSnapshot(false); err != nil {
		return err
	}
	if err := l.active().seal(); err != nil {
		return err
	}
	if err := l.syncActiveName(); err != nil {
		return err
	}
	s, err := createSegment(l, base)
	if err != nil {
		if rerr := l.removeSegment(newSegment(l, base)); rerr != nil {
			// A file left behind would be the active segment of the next start.
			return l.fail(fmt.Errorf("%w, and what there is of it cannot be removed: %w", err, rerr))
		}
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments = append(l.segments[:len(l.segments):len(l.segments)], s)
	return nil
}

// syncActiveName makes sure, before a segment begins, that the power cannot take the name of the one before and leave the new one's: a
// log of which only that is left would begin and end there, and never copy what is below from its leader. appendMu is held.
func (l *Log) syncActiveName() error {
	s := l.active()
	l.mu.RLock()
	dirty := s.nameDirty
	l.mu.RUnlock()
	if !dirty {
		return nil // as after each sync, and one is asked for when a segment begins
	}
	if err := l.env.fs.SyncDir(l.dir); err != nil {
		return fmt.Errorf("cannot sync the names in %s: %w", l.dir, err)
	}
	return nil
}

// flushByPolicy heeds flush.messages and flush.ms.
func (l *Log) flushByPolicy(cfg *LogConfig) error {
	if cfg.FlushMessages < math.MaxInt64 && l.leo.Load()-l.synced.Load() >= cfg.FlushMessages {
		return l.Flush()
	}
	l.flushLater(cfg)
	return nil
}

// flushLater heeds flush.ms: a flush is due so long after the first record that is not synced; earlier, if the setting becomes less.
func (l *Log) flushLater(cfg *LogConfig) {
	if cfg.FlushMs == math.MaxInt64 {
		return
	}
	delay := millis(cfg.FlushMs)
	due := l.nowMs() + delay.Milliseconds()
	for {
		set := l.flushDueMs.Load()
		if set != 0 && set <= due {
			return
		}
		if l.flushDueMs.CompareAndSwap(set, due) {
			break
		}
	}
	l.env.after(delay, func() {
		if l.flushDueMs.CompareAndSwap(due, 0) { // else another timer has taken its place
			l.env.syncer.enqueue(l)
		}
	})
}

// forgetOldMark is called before the first append to a log that was found to end below the high watermark that was noted. Should the
// process die before the next checkpoint, that would count for the new records, which nobody has committed. Logs that have been found so
// together share one write. appendMu is held.
func (l *Log) forgetOldMark() error {
	if !l.hwAbove.Load() {
		return nil
	}
	if err := l.env.noteMarks(); err != nil {
		return l.failUnlessFull(fmt.Errorf("cannot note that the high watermark of %s has fallen: %w", l.tp, err))
	}
	l.hwAbove.Store(false)
	return nil
}
