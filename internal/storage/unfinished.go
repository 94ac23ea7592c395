package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A cut changes the log in memory first, and then many files, for some of which there may be no room or no descriptor. What passes
// must not cost the log: what is left of the cut is kept, the log takes no records meanwhile, and every second, and before the
// next cut, it is tried to be ended. Should the process die before, the next start finds some of what was to be cut, as after a
// death within any cut.

// errNotBegun says that a cut has changed nothing.
var errNotBegun = errors.New("nothing was cut")

// unfinishedCut is what is left to be done of a cut. Each step may be done again.
type unfinishedCut struct {
	seg  *segment // the last one; nil where the log begins anew
	pos  int64    // its new length
	end  int64    // where the log ends
	gone []*segment
	// names says that names of files were not on the disk before: a death within an earlier cut may have left some that the power
	// brings back.
	names bool
	anew  bool
}

// cutTo begins a cut and ends it. What fails before the first change is errNotBegun, if it passes. appendMu and replaceMu are held.
func (l *Log) cutTo(begin func() (*unfinishedCut, error)) error {
	c, err := begin()
	if err != nil {
		if passes(err) && !errors.Is(err, errNotBegun) {
			err = fmt.Errorf("%w: %w", errNotBegun, err)
		}
		return err
	}
	l.unfinished = c
	return l.finishCut()
}

// finishCut does what is left of a cut. appendMu and replaceMu are held.
func (l *Log) finishCut() error {
	c := l.unfinished
	finish := l.finishTail
	if c.anew {
		finish = l.finishAnew
	}
	if err := finish(c); err != nil {
		return err
	}
	if err := l.afterCut(); err != nil {
		return err
	}
	l.unfinished = nil
	return nil
}

func (l *Log) finishTail(c *unfinishedCut) error {
	for _, s := range slices.Backward(c.gone) { // a crash in between leaves no gap
		if err := l.removeSegment(s); err != nil {
			return err
		}
	}
	if len(c.gone) > 0 || c.names {
		if err := l.syncCutNames(); err != nil {
			return err
		}
	}
	return l.cutFiles(c.seg, c.pos, c.end)
}

func (l *Log) finishAnew(c *unfinishedCut) error {
	for _, s := range slices.Backward(c.gone) {
		if err := l.removeSegment(s); err != nil {
			return err
		}
	}
	if err := l.syncCutTopicID(); err != nil {
		return err
	}
	// A death before it has left some records, and what their producers have sent is known; one behind it has left nothing. The
	// power may bring back the names of the former, unless that is over, and not those of the latter.
	if err := l.syncCutNames(); err != nil {
		return err
	}
	if err := l.removeSnapshots(); err != nil {
		return err
	}
	s, err := createSegment(l, c.end)
	if err == nil {
		err = l.syncCutNames()
	}
	if err == nil {
		err = l.syncCutDir()
	}
	if err != nil {
		return err
	}
	l.publishNew(s)
	return nil
}

// failCut answers for a cut that has failed. The log goes on if that passes.
func (l *Log) failCut(err error) error {
	switch {
	case errors.Is(err, errNotBegun):
		return fmt.Errorf("%w: %w", ErrStorage, err)
	case l.unfinished != nil && (isDiskFull(err) || isShortage(err)) && !errors.Is(err, errCutSync):
		l.env.logger.Warn("a log cannot be cut to its end for want of space or descriptors: it takes no records until it is", "partition", l.tp.String(), "err", err)
		l.env.after(payRetry, l.endCutLater)
		return fmt.Errorf("%w: %w", ErrStorage, err)
	default:
		return l.fail(err)
	}
}

// errCutSync says that the sync of a cut has failed: what the kernel dropped of it cannot be written again, and a second sync that
// succeeds proves nothing.
var errCutSync = errors.New("a cut could not be synced")

func syncCut(f vfs.File) error {
	if err := f.Sync(); err != nil {
		return fmt.Errorf("%w: %w", errCutSync, err)
	}
	return nil
}

// syncCutNames is syncCut for the names of files that came and went.
func (l *Log) syncCutNames() error {
	if err := l.env.fs.SyncDir(l.dir); err != nil && !isUnopened(err) {
		return fmt.Errorf("%w: %w", errCutSync, err)
	} else if err != nil {
		return err // a directory that could not be opened was not synced
	}
	return nil
}

// syncCutTopicID is syncCut for the file of the topic's id, where that is new: without it, a log that begins anew on the disk would be
// taken by the next topic of the name, which would begin there.
func (l *Log) syncCutTopicID() error {
	l.mu.RLock()
	isNew := l.topicIDFile
	l.mu.RUnlock()
	if !isNew {
		return nil
	}
	f, err := l.env.fs.OpenFile(path.Join(l.dir, partitionMetadataFile), os.O_RDWR, 0)
	if err != nil {
		return err // what could not be opened was not synced
	}
	if err := errors.Join(syncCut(f), f.Close()); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.topicIDFile = false
	return nil
}

// syncCutDir is syncCut for the name of the log's directory, where that is new: the log is about to say that it is on the disk
// up to where it begins.
func (l *Log) syncCutDir() error {
	l.mu.RLock()
	dirDirty := l.dirDirty
	l.mu.RUnlock()
	if !dirDirty {
		return nil
	}
	if err := l.env.fs.SyncDir(path.Dir(l.dir)); err != nil && !isUnopened(err) {
		return fmt.Errorf("%w: %w", errCutSync, err)
	} else if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirDirty = false
	return nil
}

// endCut ends a cut that an earlier one has left. appendMu and replaceMu are held.
func (l *Log) endCut() error {
	if l.unfinished == nil || l.Err() != nil {
		return nil
	}
	if err := l.finishCut(); err != nil {
		return l.failCut(fmt.Errorf("cannot end the truncation of %s: %w", l.tp, err))
	}
	l.env.logger.Info("a log is cut to its end", "partition", l.tp.String(), "logEndOffset", l.leo.Load())
	return nil
}

func (l *Log) endCutLater() {
	l.replaceMu.Lock()
	l.appendMu.Lock()
	_ = l.endCut() // it tells, and comes again
	l.appendMu.Unlock()
	l.replaceMu.Unlock()
	l.wakeWaiters()
}

// errUnfinished refuses changes while a cut is not ended. appendMu is held.
func (l *Log) errUnfinished() error {
	if l.unfinished == nil {
		return nil
	}
	return fmt.Errorf("%w: %s is still being cut", ErrStorage, l.tp)
}
