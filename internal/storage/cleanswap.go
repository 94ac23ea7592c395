package storage

import (
	"errors"
	"fmt"
	"io/fs"
)

// errCleaningAborted says that a log changed under its cleaning, which begins anew another time.
var errCleaningAborted = errors.New("the cleaning was ended")

// replaceSegments puts a cleaned segment in the place of those that it was made from. Its contents are on the disk. The
// names follow in four steps, each made durable before the next:
//
//  1. index files: .cleaned -> .swap. After a stop these are leftovers, and removed.
//  2. the log file: .cleaned -> .swap. From here on the next start ends the replacement.
//  3. the other old segments' files are removed, and the index files get their own names.
//  4. the log file gets its own, over the old one.
//
// There is always a transaction index, if an empty one, so that the next start can tell
// from its .swap being gone that the one in place is the new one: it can not be made anew
// from the batches, as the other two are. Readers go on: those of the old segments with the files they hold,
// others find the new segment, whose files are open, whatever they are called.
//
// replaceMu keeps others from removing or cutting segments; appends are not held up.
func (l *Log) replaceSegments(w *cleanWriter, old []*segment, cuts int64) error {
	l.replaceMu.Lock()
	defer l.replaceMu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	if !l.holds(old, cuts) {
		return fmt.Errorf("%w: the log was cut", errCleaningAborted)
	}
	base := w.seg.base
	for _, k := range derivedKinds {
		if err := l.env.fs.Rename(l.fileOf(base, k, cleanedSuffix), l.fileOf(base, k, swapSuffix)); err != nil {
			return l.undoSwap(base, err)
		}
	}
	if err := l.env.fs.SyncDir(l.dir); err != nil {
		return l.undoSwap(base, err)
	}
	if err := l.touch(); err != nil {
		return l.undoSwap(base, err)
	}
	l.compacted.Store(true)
	if err := l.commitSwap(w, old); err != nil {
		// The files are on their way between two states, and only the next start can tell.
		return l.fail(fmt.Errorf("cannot put a cleaned segment in its place: %w", err))
	}
	w.named()
	if len(w.aborted) == 0 {
		if err := l.env.fs.Remove(l.fileOf(base, kindTxnIndex, "")); err != nil {
			l.env.logger.Warn("cannot remove an empty transaction index", "partition", l.tp.String(), "segment", base, "err", err)
		}
	}
	return nil
}

// derivedKinds are the files beside the log file.
var derivedKinds = [...]fileKind{kindIndex, kindTimeIndex, kindTxnIndex}

// holds says whether the log still has these segments, uncut.
func (l *Log) holds(old []*segment, cuts int64) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	at := l.findLocked(old[0])
	if l.truncations != cuts || at < 0 || at+len(old) >= len(l.segments) {
		return false
	}
	for i, s := range old {
		if l.segments[at+i] != s {
			return false
		}
	}
	return true
}

func (l *Log) findLocked(s *segment) int {
	for i, x := range l.segments {
		if x == s {
			return i
		}
	}
	return -1
}

// undoSwap removes the renamed index files after a failure before the commit.
func (l *Log) undoSwap(base int64, cause error) error {
	for _, k := range derivedKinds {
		if err := l.env.fs.Remove(l.fileOf(base, k, swapSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(cause, err)
		}
	}
	return cause
}

func (l *Log) commitSwap(w *cleanWriter, old []*segment) error {
	base := w.seg.base
	if err := l.env.fs.Rename(l.fileOf(base, kindLog, cleanedSuffix), l.fileOf(base, kindLog, swapSuffix)); err != nil {
		return err
	}
	if err := l.env.fs.SyncDir(l.dir); err != nil {
		return err
	}
	l.publishReplacement(w.seg, old)
	for _, s := range old {
		s.forget()
		if s.base == base {
			continue
		}
		if err := l.removeSegment(s); err != nil {
			return err
		}
		if err := l.env.fs.Remove(l.snapshotPath(s.base)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, k := range derivedKinds {
		if err := l.env.fs.Rename(l.fileOf(base, k, swapSuffix), l.fileOf(base, k, "")); err != nil {
			return err
		}
	}
	if err := l.env.fs.SyncDir(l.dir); err != nil {
		return err
	}
	if err := l.env.fs.Rename(l.fileOf(base, kindLog, swapSuffix), l.fileOf(base, kindLog, "")); err != nil {
		return err
	}
	return l.env.fs.SyncDir(l.dir)
}

func (l *Log) publishReplacement(s *segment, old []*segment) {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.findLocked(old[0])
	segments := make([]*segment, 0, len(l.segments))
	segments = append(segments, l.segments[:at]...)
	segments = append(segments, s)
	l.segments = append(segments, l.segments[at+len(old):]...)
}
