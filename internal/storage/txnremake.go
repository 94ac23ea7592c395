package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// offsetRange is [from, to).
type offsetRange struct{ from, to int64 }

func inAny(ranges []offsetRange, offset int64) bool {
	return slices.ContainsFunc(ranges, func(r offsetRange) bool { return r.from <= offset && offset < r.to })
}

// remakeAborted makes the transaction index of a segment anew from its batches, if it does not say the same.
func (l *Log) remakeAborted(s *segment, why string) error {
	l.replaceMu.Lock()
	defer l.replaceMu.Unlock()
	l.mu.RLock()
	active := l.active() == s
	l.mu.RUnlock()
	if active {
		l.appendMu.Lock()
		defer l.appendMu.Unlock()
		return l.remakeAbortedLocked(s, why)
	}
	made, err := l.abortedOf(s)
	if err != nil {
		return err
	}
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	return l.useAborted(s, made, why)
}

// remakeAbortedLocked is remakeAborted with appendMu held, and replaceMu where s is not the active segment.
func (l *Log) remakeAbortedLocked(s *segment, why string) error {
	made, err := l.abortedOf(s)
	if err != nil {
		return err
	}
	return l.useAborted(s, made, why)
}

// derivedTxns is what the batches of a segment tell of aborted transactions.
type derivedTxns struct {
	aborted []AbortedTxn
	holes   []offsetRange // could not be read: there may have been more
}

// abortedOf finds the aborted transactions whose markers lie in a segment, in batches with good checksums.
func (l *Log) abortedOf(s *segment) (made derivedTxns, err error) {
	l.mu.RLock()
	at := l.findLocked(s)
	if at < 0 {
		l.mu.RUnlock()
		return made, errGone
	}
	v := l.viewLocked(at)
	l.mu.RUnlock()
	if err := l.Err(); err != nil {
		return made, err
	}
	ps, err := l.producersAt(s.base)
	if err != nil {
		return made, fmt.Errorf("cannot make the transaction index of segment %d of %s anew: %w", s.base, l.dir, err)
	}
	err = s.with(kindLog, func(f vfs.File) error {
		return l.eachGood(v, f, func(b record.Batch, _ int64) error {
			done, aborted, err := ps.apply(b)
			if err == nil && done != nil && aborted {
				made.aborted = append(made.aborted, AbortedTxn{done.producerID, done.first, done.last, ps.stableEnd(*done)})
			}
			ps.highWatermarkMoved(b.NextOffset()) // nothing waits for it here
			return err
		}, func(hole offsetRange) { made.holes = append(made.holes, hole) })
	})
	return made, err
}

// eachGood hands the batches of a segment that match their checksums to fn, and the offsets between which some do not to hole.
func (l *Log) eachGood(v view, f vfs.File, fn func(b record.Batch, pos int64) error, hole func(offsetRange)) error {
	c := checker{v: v, f: f, offset: v.seg.base, buf: verifyBuffers.Get().(*[]byte)}
	defer verifyBuffers.Put(c.buf)
	known, from := 0, v.seg.base
	notice := func(until int64) {
		if len(c.bad) > known {
			known = len(c.bad)
			hole(offsetRange{from, until})
		}
	}
	c.each = func(b record.Batch, pos int64) error {
		notice(b.BaseOffset())
		from = b.NextOffset()
		return fn(b, pos)
	}
	if err := c.run(0, v.size); err != nil {
		return err
	}
	notice(v.end)
	return nil
}

// useAborted puts what the batches say in the place of what the index said. appendMu is held.
func (l *Log) useAborted(s *segment, made derivedTxns, why string) error {
	had, err := s.loadAborted()
	if err != nil && !isUnreadable(err) {
		return err
	}
	unreadable := err != nil
	txns := made.aborted
	for _, t := range had {
		if inAny(made.holes, t.LastOffset) {
			txns = append(txns, t) // its marker may have been there
		}
	}
	slices.SortFunc(txns, func(a, b AbortedTxn) int { return int(min(1, max(-1, a.LastOffset-b.LastOffset))) })
	if !unreadable && slices.Equal(txns, had) {
		s.abortedProven.Store(true) // a header that is damaged has told something else
		return nil
	}
	l.env.damaged.Add(1)
	l.env.logger.Error("a transaction index is damaged, making it anew from the records", "partition", l.tp.String(), "file", s.path(kindTxnIndex),
		"why", why, "hadEntries", len(had), "hasEntries", len(txns))
	if err := s.rewriteAborted(txns); err != nil {
		// It is right in memory. The next start finds the file as wrong as this one has.
		l.env.logger.Error("cannot write an index that was made anew", "partition", l.tp.String(), "file", s.path(kindTxnIndex), "err", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.aborted, s.abortedLoaded, s.abortedOwed = txns, true, 0
	s.abortedProven.Store(true)
	return nil
}

// rewriteAborted writes the transaction index anew, in place: should the process die meanwhile, the next one looks at it as
// this one has.
func (s *segment) rewriteAborted(txns []AbortedTxn) error {
	var buf []byte
	for _, t := range txns {
		buf = appendAbortedTxn(buf, t)
	}
	return s.overwriteIndex(kindTxnIndex, buf)
}

// overwriteIndex makes buf all that is in an index file, durably. A file that cannot be written gives way to a new one.
func (s *segment) overwriteIndex(k fileKind, buf []byte) error {
	write := func(f vfs.File) error {
		if _, err := f.WriteAt(buf, 0); err != nil {
			return err
		}
		if err := f.Truncate(int64(len(buf))); err != nil {
			return err
		}
		return f.Sync()
	}
	err := s.with(k, write)
	if isUnreadable(err) {
		if err = s.emptyIndex(k, nil); err == nil {
			err = s.with(k, write)
		}
	}
	if err == nil {
		err = s.log.env.fs.SyncDir(s.log.dir)
	}
	return err
}

// emptyIndex puts an empty file in the place of an index that cannot be read; it is made anew from the records.
func (s *segment) emptyIndex(k fileKind, why error) error {
	if why != nil {
		s.log.env.damaged.Add(1)
		s.log.env.logger.Error("an index cannot be read, making it anew from the records", "partition", s.log.tp.String(), "file", s.path(k), "err", why)
	}
	s.log.env.files.closeIdle(&s.files[k])
	if err := clearPlace(s.log.env.fs, s.path(k)); err != nil {
		return err
	}
	if err := s.log.env.fs.Remove(s.path(k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove a damaged index: %w", err)
	}
	return s.with(k, func(f vfs.File) error { return f.Truncate(0) })
}

// isUnreadable says that a file of what can be made anew cannot be read, and that trying again would not help.
func isUnreadable(err error) bool {
	return err != nil && !errors.Is(err, errGone) && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrStorage) && !passes(err) && isIOError(err)
}
