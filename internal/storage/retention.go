package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// DeleteOldSegments applies retention by time, by size and by log start offset:
// oldest segments first, without a gap, nothing at or above the high watermark.
// It returns how many segments went.
func (l *Log) DeleteOldSegments() (int, error) {
	if err := l.ensure(); err != nil {
		return 0, err
	}
	l.replaceMu.Lock()
	defer l.replaceMu.Unlock()
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if err := l.errWrite(); err != nil {
		return 0, err
	}
	n, err := l.countOld(l.config())
	if err != nil {
		return 0, fmt.Errorf("cannot apply retention to %s: %w", l.tp, err)
	}
	if n == 0 {
		return 0, nil
	}
	if n == len(l.segments) {
		// On a full disk the active segment stays and the others make room.
		if err := l.rollTo(l.leo.Load()); err != nil && (l.Err() != nil || n == 1) {
			return 0, err
		} else if err != nil {
			n--
		}
	}
	if err := l.touch(); err != nil {
		return 0, err
	}
	if err := l.keepStates(n); err != nil {
		return 0, fmt.Errorf("cannot apply retention to %s: %w", l.tp, err)
	}
	// The file of leader epochs must know those of the batches that go: nothing else tells in which the log went on.
	if err := l.saveEpochs(); err != nil && !isDiskFull(err) {
		return 0, l.failUnlessFull(err)
	}
	old := l.segments[:n:n]
	l.mu.Lock()
	l.segments = append([]*segment(nil), l.segments[n:]...)
	l.logStart.Store(max(l.logStart.Load(), l.segments[0].base))
	l.epochs.truncateFromStart(l.logStart.Load())
	l.mu.Unlock()
	for _, s := range old {
		if err := l.retire(s); err != nil {
			return 0, l.fail(fmt.Errorf("cannot delete a segment: %w", err))
		}
	}
	if err := l.syncNames(); err != nil {
		return 0, l.fail(fmt.Errorf("cannot delete a segment: %w", err))
	}
	// After the segments: a death on the way leaves the state at the beginning of each that is left.
	for _, s := range old {
		if err := l.retireFiles(l.snapshotPath(s.base)); err != nil {
			return 0, l.fail(fmt.Errorf("cannot delete a producer snapshot: %w", err))
		}
	}
	return n, nil
}

// keepStates makes the producers' state at the beginning of segment n durable, and of those before it that a death on the way may
// leave as the first; where the segment before has been synced, it is already. A full disk is the reason for many a deletion, and
// must not be in its way.
func (l *Log) keepStates(n int) error {
	for i := 1; i <= n; i++ {
		base := l.segments[i].base
		if i < n && base <= l.synced.Load() {
			continue
		}
		if err := l.keepStateAt(base); err != nil && !isDiskFull(err) {
			return err
		}
	}
	return nil
}

// syncNames makes the names of the log's files durable, so that deleted segments do
// not come back below a start offset that clients have seen. appendMu is held.
func (l *Log) syncNames() error {
	if err := l.env.fs.SyncDir(l.dir); err != nil {
		return err
	}
	l.mu.RLock()
	dirDirty := l.dirDirty
	l.mu.RUnlock()
	if !dirDirty {
		return nil
	}
	return l.env.fs.SyncDir(path.Dir(l.dir))
}

// countOld is how many of the oldest segments may go. appendMu is held.
func (l *Log) countOld(cfg *LogConfig) (int, error) {
	hw, start, size := l.hw.Load(), l.logStart.Load(), l.Size()
	nowMs := l.nowMs()
	for i, v := range l.views() {
		if v.end > hw || v.last && v.size == 0 {
			return i, nil
		}
		old := v.end <= start && !v.last
		if !old && cfg.Delete && cfg.RetentionBytes >= 0 {
			old = size-v.size >= cfg.RetentionBytes
		}
		if !old && cfg.Delete && cfg.RetentionMs >= 0 {
			ts, err := v.seg.retentionTimestamp()
			if err != nil {
				return 0, err
			}
			old = nowMs-ts > cfg.RetentionMs
		}
		if !old {
			return i, nil
		}
		size -= v.size
	}
	return len(l.segments), nil
}

// retire renames a segment's files, as Kafka does, and removes them later, so that
// whoever is reading them can end. appendMu is held.
func (l *Log) retire(s *segment) error {
	s.forget()
	var names []string
	for k := range numKinds {
		names = append(names, s.path(k))
	}
	l.env.logger.Info("deleting segment", "partition", l.tp.String(), "segment", s.base, "bytes", s.size)
	return l.retireFiles(names...)
}

func (l *Log) retireFiles(names ...string) error {
	var gone []string
	for _, name := range names {
		err := l.env.fs.Rename(name, name+deletedSuffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if isDiskFull(err) {
			// Even a name may find no room. What goes is what makes some, so it goes at once.
			if err = l.env.fs.Remove(name); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		gone = append(gone, name+deletedSuffix)
	}
	if len(gone) == 0 {
		return nil
	}
	delay := millis(l.config().FileDeleteDelayMs)
	l.mu.Lock()
	l.retired = append(l.retired, gone...)
	l.mu.Unlock()
	l.env.after(delay, func() { l.removeRetired(gone) })
	return nil
}

// removeRetired removes files of deleted segments.
func (l *Log) removeRetired(names []string) {
	for _, name := range names {
		if err := l.env.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.env.logger.Warn("cannot remove a deleted segment's file", "file", name, "err", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = slices.DeleteFunc(l.retired, func(name string) bool { return slices.Contains(names, name) })
}
