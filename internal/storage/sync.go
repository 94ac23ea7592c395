package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// maxParallelSyncs is how many files of a directory are synced at once. The file
// system joins syncs that overlap into one commit of its journal, so that one more costs next to nothing; each holds a thread.
const maxParallelSyncs = 16

// syncer makes the logs of a directory durable in the background. Logs that are
// enqueued while it works are synced once, in its next round, however many wait for
// them. It has goroutines only while there is work.
type syncer struct {
	mu      sync.Mutex
	queue   []*Log // each at most once: Log.enqueued
	workers int
	closed  bool
	idle    sync.Cond // workers has become 0
}

func newSyncer() *syncer {
	s := &syncer{}
	s.idle.L = &s.mu
	return s
}

// enqueue asks for a sync of everything that is in the log now.
func (s *syncer) enqueue(l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.enqueued || s.closed {
		return
	}
	l.enqueued = true
	s.queue = append(s.queue, l)
	if s.workers < maxParallelSyncs {
		s.workers++
		go s.work()
	}
}

func (s *syncer) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		l := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		l.enqueued = false // from here on another append asks for another sync
		s.mu.Unlock()
		_ = l.syncNow() // told to the waiters, and it sticks in the log
		s.mu.Lock()
	}
	if s.workers--; s.workers == 0 {
		s.queue = nil
		s.idle.Broadcast()
	}
}

// close lets what is queued end and refuses more.
func (s *syncer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for s.workers > 0 {
		s.idle.Wait()
	}
}

// cutPause is how long a sync waits for a cut that it has run into: some file operations.
const cutPause = 100 * time.Microsecond

// syncWaiter waits for offset to be durable.
type syncWaiter struct {
	offset int64
	fn     func(error)
	// impatient ones hold locks: they are told at once of what passes, where the others wait for the next try.
	impatient bool
}

// AwaitSync calls fn once, at once or from another goroutine, when everything below
// offset is on the disk, or with the error that made that impossible. fn must not
// block: other waiters come after it.
func (l *Log) AwaitSync(offset int64, fn func(error)) {
	l.awaitSync(syncWaiter{offset: offset, fn: fn})
}

func (l *Log) awaitSync(w syncWaiter) {
	offset, fn := w.offset, w.fn
	if err := l.ensure(); err != nil {
		fn(err)
		return
	}
	if l.synced.Load() >= offset {
		fn(nil)
		return
	}
	if err := l.Err(); err != nil {
		fn(err)
		return
	}
	l.waitMu.Lock()
	l.waiters = append(l.waiters, w)
	l.waitMu.Unlock()
	// What happened since the checks above did not see this waiter.
	if l.synced.Load() >= offset || l.Err() != nil || offset > l.leo.Load() {
		l.wakeWaiters()
		return
	}
	l.env.syncer.enqueue(l)
}

// Flush makes everything durable that has been appended, and returns when it is; or, since it may be called under locks, with an error
// as soon as it is known that descriptors or space are wanting: it may be tried again.
func (l *Log) Flush() error {
	if err := l.ensure(); err != nil {
		return err
	}
	end := l.leo.Load()
	if l.synced.Load() >= end {
		return l.Err()
	}
	done := make(chan error, 1)
	l.awaitSync(syncWaiter{offset: end, fn: func(err error) { done <- err }, impatient: true})
	return <-done
}

// wakeWaiters tells those whose offset is durable, and, if the log has failed or
// was cut below theirs, the others.
func (l *Log) wakeWaiters() {
	var ready, lost []syncWaiter
	l.waitMu.Lock()
	// Read under the lock: an older value could stem from before a cut, and a waiter from after it.
	synced, err := l.synced.Load(), l.Err()
	keep := l.waiters[:0]
	for _, w := range l.waiters {
		switch {
		case w.offset <= synced:
			ready = append(ready, w)
		case err != nil || w.offset > l.leo.Load():
			lost = append(lost, w)
		default:
			keep = append(keep, w)
		}
	}
	clear(l.waiters[len(keep):])
	l.waiters = keep
	l.waitMu.Unlock()
	for _, w := range slices.Backward(ready) { // the latest first, as when the watermark rises
		w.fn(nil)
	}
	for _, w := range lost {
		if err != nil {
			w.fn(err)
		} else {
			w.fn(fmt.Errorf("%w: %s ends at %d, offset %d was waited for", ErrTruncated, l.tp, l.leo.Load(), w.offset))
		}
	}
}

// syncNow makes everything durable that is in the log when it begins. A failure
// sticks: after a failed sync the kernel may have dropped the pages, and a second
// try that succeeds would prove nothing. After one that only found no space they are
// written again first (rewrite.go).
func (l *Log) syncNow() error {
	l.flushMu.Lock()
	err := l.Err()
	for err == nil {
		var again bool
		if again, err = l.syncOnce(); !again {
			break
		}
	}
	passes := err == nil || errors.Is(err, ErrClosed) || errors.Is(err, ErrStorage) || isDiskFull(err)
	if !passes { // before the next round begins, which would find nothing that is left to be synced
		l.doubtPages()
		_ = l.failLog(fmt.Errorf("cannot sync: %w", err))
	}
	l.flushMu.Unlock()
	switch {
	case !passes:
		err = l.fail(fmt.Errorf("cannot sync: %w", err))
	case isDiskFull(err) && !errors.Is(err, ErrStorage):
		err = fmt.Errorf("%w: %w: cannot sync %s: %w", ErrStorage, ErrDiskFull, l.tp, err)
		l.refuseWaiters(err)
	}
	l.wakeWaiters()
	return err
}

// syncJob is one segment's part of a sync.
type syncJob struct {
	seg                     *segment
	names, indexes, aborted bool
}

// syncOnce is one round; again says that the log was cut meanwhile, so that nothing can be said.
func (l *Log) syncOnce() (again bool, err error) {
	l.mu.Lock()
	if l.pagesLost {
		l.mu.Unlock()
		return false, fmt.Errorf("%w: %w: %s is still to be written again", ErrStorage, ErrDiskFull, l.tp)
	}
	target, gen, jobs := l.leo.Load(), l.truncations, l.takeDirtyLocked()
	topicIDFile, dirDirty := l.topicIDFile, l.dirDirty
	l.topicIDFile, l.dirDirty = false, false
	l.mu.Unlock()

	if err := l.payDebts(jobs); isDiskFull(err) {
		l.putBack(jobs, topicIDFile, dirDirty)
		l.notePagesLost()
		return false, err
	} else if errors.Is(err, errOwed) {
		l.putBack(jobs, topicIDFile, dirDirty)
		return false, l.syncLater(err)
	} else if err != nil && !errors.Is(err, errGone) {
		return false, err
	}
	began := l.env.clock.Now()
	err = l.syncFiles(jobs, topicIDFile, dirDirty)
	if l.env.flushTimes != nil {
		l.env.flushTimes(l.env.clock.Now().Sub(began))
	}
	if err != nil {
		if isUnopened(err) {
			l.putBack(jobs, topicIDFile, dirDirty)
			return false, l.syncLater(err)
		}
		if isDiskFull(err) {
			l.putBack(jobs, topicIDFile, dirDirty)
			l.notePagesLost()
		}
		if !errors.Is(err, errGone) {
			return false, err
		}
		// A segment is being cut off under this round, which therefore made nothing sure: what
		// it took on itself is put back for the next round. The cut is soon done or has failed
		// the log; its lock cannot be waited for, since who holds it may wait for this sync.
		l.putBack(jobs, topicIDFile, dirDirty)
		if l.closed.Load() {
			return false, fmt.Errorf("%w: %s", ErrClosed, l.tp)
		}
		time.Sleep(cutPause)
		return true, l.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.truncations != gen {
		return true, nil
	}
	l.synced.Store(max(l.synced.Load(), target))
	if l.env.segmentSynced != nil && slices.ContainsFunc(jobs, func(j syncJob) bool { return j.indexes }) {
		l.env.segmentSynced(l)
	}
	return false, nil
}

// syncLater has a sync tried again that has failed for want of what may be there then.
func (l *Log) syncLater(cause error) error {
	err := fmt.Errorf("%w: cannot sync %s yet: %w", ErrStorage, l.tp, cause)
	l.env.after(payRetry, func() { l.env.syncer.enqueue(l) })
	l.refuse(err, func(w syncWaiter) bool { return w.impatient })
	return err
}

// isUnopened says that a file could not be opened for want of a descriptor: nothing of it was synced, and nothing lost.
func isUnopened(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// syncFiles makes the files of one round durable, and then their names.
func (l *Log) syncFiles(jobs []syncJob, topicIDFile, dirDirty bool) error {
	names := topicIDFile
	for _, j := range jobs {
		names = names || j.names
		if err := j.run(); err != nil && !l.hasGone(j.seg, err) {
			return err
		}
	}
	if topicIDFile {
		if err := syncFile(l.env.fs, path.Join(l.dir, partitionMetadataFile)); err != nil {
			return err
		}
	}
	if names {
		if err := l.env.fs.SyncDir(l.dir); err != nil {
			return err
		}
	}
	if dirDirty {
		return l.env.fs.SyncDir(path.Dir(l.dir))
	}
	return nil
}

// putBack raises the flags again that a round has taken down.
func (l *Log) putBack(jobs []syncJob, topicIDFile, dirDirty bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range jobs {
		s := j.seg
		s.dirty = true
		s.nameDirty, s.closedUnsaved, s.abortedDirty = s.nameDirty || j.names, s.closedUnsaved || j.indexes, s.abortedDirty || j.aborted
	}
	l.topicIDFile, l.dirDirty = l.topicIDFile || topicIDFile, l.dirDirty || dirDirty
}

// takeDirtyLocked lists what is to be synced, oldest segment first, and takes the
// flags down: an append during the sync raises them again, a failure of it fails the log.
func (l *Log) takeDirtyLocked() []syncJob {
	first := len(l.segments)
	for first > 0 && l.segments[first-1].dirty {
		first--
	}
	var jobs []syncJob
	for _, s := range l.segments[first:] {
		jobs = append(jobs, syncJob{seg: s, names: s.nameDirty, indexes: s.closedUnsaved, aborted: s.abortedDirty})
		s.dirty, s.nameDirty, s.closedUnsaved, s.abortedDirty = false, false, false, false
	}
	return jobs
}

func (j syncJob) run() error {
	kinds := [numKinds]bool{kindLog: true, kindIndex: j.indexes, kindTimeIndex: j.indexes, kindTxnIndex: j.aborted}
	for k, do := range kinds {
		if !do {
			continue
		}
		if err := j.seg.with(fileKind(k), vfs.File.Sync); err != nil {
			return fmt.Errorf("cannot sync %s: %w", j.seg.path(fileKind(k)), err)
		}
	}
	if !j.indexes {
		return nil
	}
	// The producer snapshot from when the segment began; a new log has none.
	err := syncFile(j.seg.log.env.fs, j.seg.log.snapshotPath(j.seg.base))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// hasGone says whether a sync failed only because the segment was deleted meanwhile.
func (l *Log) hasGone(s *segment, err error) bool {
	if !errors.Is(err, errGone) {
		return false
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, x := range l.segments {
		if x == s {
			return false
		}
	}
	return true
}

func syncFile(fsys vfs.FS, name string) error {
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
