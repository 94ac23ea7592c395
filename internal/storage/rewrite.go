package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// A sync may end with "no space": where space is only promised by a write and taken by the sync, on thin volumes, with
// quotas on the network. Space comes back, but what the kernel could not write it may have marked as written or have
// dropped, so that a second sync would succeed and prove nothing. Cutting the unsynced end off would throw records away
// that, by Kafka's default, were acknowledged without a sync. So everything above the recovery point is read back, each
// batch held against its checksum, and written again in its place: the sync after that is one of pages that are dirty
// anew. What is derived is made anew. Until it has succeeded nobody is told that anything is durable. Records that
// cannot be read back whole end the log, as any other failed sync does; the next start finds what is left.

// notePagesLost notes that a sync found no space, and has everything unsynced written again soon.
func (l *Log) notePagesLost() {
	l.mu.Lock()
	again := l.pagesLost
	l.pagesLost = true
	l.mu.Unlock()
	if again {
		return
	}
	l.doubtPages()
	l.env.logger.Error("a sync found no space on the disk: what is not synced is written again when there is some, and nothing is acknowledged that waits for it", "partition", l.tp.String(), "dir", l.dir)
	l.env.after(payRetry, l.saveAgain)
}

// doubtPages has the next start of the same boot write everything again that is not known to be on the disk.
func (l *Log) doubtPages() {
	if l.env.doubtPages != nil {
		l.env.doubtPages()
	}
}

// writeDoubted is the next start's part, where the log opens: nobody else uses it yet.
func (l *Log) writeDoubted() error {
	err := l.rewriteFiles(l.synced.Load())
	if !isDiskFull(err) {
		return err
	}
	l.mu.Lock()
	l.pagesLost = true
	l.mu.Unlock()
	l.env.after(payRetry, l.saveAgain)
	return nil
}

func (l *Log) hasLostPages() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.pagesLost
}

// saveAgain writes what is not synced again and has it synced. Without space it comes back.
func (l *Log) saveAgain() {
	l.replaceMu.Lock()
	l.appendMu.Lock()
	err := l.Err()
	if err == nil {
		err = l.rewriteUnsynced()
	}
	l.appendMu.Unlock()
	l.replaceMu.Unlock()
	switch {
	case err == nil:
		l.env.syncer.enqueue(l)
	case l.Err() == nil:
		l.refuseWaiters(err)
		l.env.after(payRetry, l.saveAgain)
	default:
		l.wakeWaiters()
	}
}

// rewriteUnsynced writes everything again that may not be on the disk, if a sync has found no space. An error of a log
// that has not failed says that there still is none. appendMu is held.
func (l *Log) rewriteUnsynced() error {
	if !l.hasLostPages() {
		return nil
	}
	err := l.rewriteFiles(l.synced.Load())
	if isDiskFull(err) {
		return fmt.Errorf("%w: %w: cannot write the unsynced records of %s again: %w", ErrStorage, ErrDiskFull, l.tp, err)
	}
	if err != nil {
		return l.fail(fmt.Errorf("cannot write again what a sync found no space for: %w", err))
	}
	l.mu.Lock()
	l.pagesLost = false
	l.mu.Unlock()
	l.env.logger.Info("what a sync found no space for is written again", "partition", l.tp.String())
	return nil
}

func (l *Log) rewriteFiles(synced int64) error {
	if err := l.payAll(); err != nil { // the cheapest way to see that there is still no space
		return err
	}
	for _, v := range l.views() {
		if !v.seg.dirty {
			continue
		}
		if err := l.rewriteRecords(v, synced); err != nil {
			return err
		}
		if err := v.seg.rewriteDerived(v); err != nil {
			return err
		}
	}
	if l.topicIDFile {
		if err := l.writeTopicID(l.topicID); err != nil {
			return err
		}
	}
	// A name that comes and goes makes the directory dirty anew; the next start would remove it.
	name := path.Join(l.dir, probeFile+".tmp")
	if err := writeFile(l.env.fs, name, nil, false); err != nil {
		return err
	}
	return l.env.fs.Remove(name)
}

// errNotReadBack says that records were lost between their append and their sync.
var errNotReadBack = errors.New("unsynced records cannot be read back")

// rewriteRecords reads the batches of a segment from an offset on and writes them again where they are.
func (l *Log) rewriteRecords(v view, from int64) error {
	if v.end <= from {
		return nil
	}
	return v.seg.with(kindLog, func(f vfs.File) error {
		pos, end := int64(0), v.seg.base
		if from > v.seg.base {
			var err error
			if pos, err = l.locate(v, f, from); err != nil {
				return err
			}
			end = min(end, from)
		}
		stopped, bad, err := scanBatches(f, pos, v.size, func(b record.Batch, at int64) error {
			if err := v.seg.follows(b, end); err != nil {
				return err
			}
			end = b.NextOffset()
			_, err := f.WriteAt(b, at)
			return err
		})
		if err == nil && bad == nil && v.last && end != l.leo.Load() {
			bad = fmt.Errorf("they end at offset %d, not at %d", end, l.leo.Load())
		}
		if bad != nil {
			return fmt.Errorf("%w: %s at %d: %w", errNotReadBack, f.Name(), stopped, bad)
		}
		return err
	})
}

// rewriteDerived writes the files again that go with a segment's records. appendMu is held.
func (s *segment) rewriteDerived(v view) error {
	if s.inMemory {
		s.offsetsWritten, s.timesWritten = 0, 0
		if err := s.writeIndexes(); err != nil {
			return err
		}
	} else if s.closedUnsaved {
		if err := s.remakeIndexFiles(v.size); err != nil {
			return err
		}
	}
	if s.abortedDirty && len(s.aborted) > 0 {
		if err := s.writeAborted(s.aborted, len(s.aborted)); err != nil {
			return err
		}
		s.log.mu.Lock()
		s.abortedOwed = 0
		s.log.mu.Unlock()
	}
	return s.log.rewriteSnapshot(s.base)
}

// remakeIndexFiles makes the index files of a closed segment from its batches.
func (s *segment) remakeIndexFiles(size int64) error {
	anew := newSegment(s.log, s.base)
	cfg := s.log.config()
	err := s.with(kindLog, func(f vfs.File) error {
		stopped, bad, err := scanBatches(f, 0, size, func(b record.Batch, at int64) error {
			anew.indexBatch(b, int64(len(b)), at, cfg)
			return nil
		})
		if bad != nil {
			return fmt.Errorf("%w: %s at %d: %w", errNotReadBack, f.Name(), stopped, bad)
		}
		return err
	})
	if err != nil {
		return err
	}
	anew.noteMaxTimestamp()
	for k, data := range map[fileKind][]byte{kindIndex: encodeOffsetIndex(anew.offsets), kindTimeIndex: encodeTimeIndex(anew.times)} {
		err := s.with(k, func(f vfs.File) error {
			if _, err := f.WriteAt(data, 0); err != nil {
				return err
			}
			return f.Truncate(int64(len(data)))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rewriteSnapshot writes a producer snapshot again, if there is one; a damaged one goes, it can be made from the batches.
func (l *Log) rewriteSnapshot(offset int64) error {
	name := l.snapshotPath(offset)
	data, err := vfs.ReadFile(l.env.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := parseSnapshot(data, offset); err != nil {
		return l.env.fs.Remove(name)
	}
	f, err := l.env.fs.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	return errors.Join(err, f.Close())
}

// refuseWaiters tells those whose offset is not durable that it will not be soon. The log goes on, with their records.
func (l *Log) refuseWaiters(err error) { l.refuse(err, func(syncWaiter) bool { return true }) }

// refuse is refuseWaiters for some of them.
func (l *Log) refuse(err error, which func(syncWaiter) bool) {
	var refused []syncWaiter
	l.waitMu.Lock()
	synced := l.synced.Load()
	keep := l.waiters[:0]
	for _, w := range l.waiters {
		if w.offset <= synced || !which(w) {
			keep = append(keep, w)
		} else {
			refused = append(refused, w)
		}
	}
	clear(l.waiters[len(keep):])
	l.waiters = keep
	l.waitMu.Unlock()
	for _, w := range refused {
		w.fn(err)
	}
	l.wakeWaiters()
}
