package storage

import (
	"errors"
	"fmt"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// Damage that nobody reads is found too late: when the replica that had it right is gone as well. So the closed
// segments of the open logs are read again and again, slowly. Logs that nobody uses are left alone: what is wrong with
// them is found when somebody does.

// scrubEvery is how often a share of the work is done.
const scrubEvery = time.Second

// scrubber is where the search in one log directory is. It is used by one goroutine.
type scrubber struct {
	logs  []*Log // still to be searched in this round
	views []view // of the log before them
	log   *Log
	chunk int64
}

// scrub reads some bytes more.
func (d *logDir) scrub(budget int64) {
	for budget > 0 && d.err() == nil && !d.m.isClosed() {
		n, ok := d.scrubber.step(d)
		if !ok {
			return
		}
		budget -= n
	}
}

// activeLookBytes is what a look at an active segment's file counts for, which may have to be opened: with many partitions a round would
// open all of their files in one go otherwise, each second.
const activeLookBytes = 16 << 10

// step checks one part of one segment, or looks at one that is active; ok is false at the end of a round.
func (s *scrubber) step(d *logDir) (n int64, ok bool) {
	for len(s.views) == 0 {
		if len(s.logs) == 0 {
			s.logs = d.m.logsIn(d)
			s.log = nil
			return 0, false
		}
		s.log, s.logs = s.logs[0], s.logs[1:]
		if s.log.isOpen() && s.log.Err() == nil {
			views := s.log.views()
			s.views, s.chunk = views[:len(views)-1], 0 // the active one is still being written
			active := views[len(views)-1]
			s.log.checkActive(active)
			if s.log.foundTo.Load() > active.seg.base && active.seg.derivedSeen.CompareAndSwap(false, true) {
				if err := s.log.checkActiveIndexes(active); err != nil && !errors.Is(err, errGone) && !errors.Is(err, ErrClosed) {
					d.env.logger.Error("cannot hold the indexes of an active segment against its records", "partition", s.log.tp.String(), "file", active.seg.path(kindIndex), "err", err)
					d.suspect()
				}
				return max(1, active.size), true
			}
			return activeLookBytes, true
		}
	}
	v := s.views[0]
	begin := s.chunk * verifyChunkBytes
	var err error
	if n = verifyChunkBytes; begin < v.size {
		s.chunk++
		n = min(n, v.size-begin)
		err = v.seg.with(kindLog, func(f vfs.File) error { return s.log.verifyChunk(v, f, s.chunk-1) })
	} else {
		s.views, s.chunk = s.views[1:], 0
		n = 1
		if v.seg.derivedSeen.CompareAndSwap(false, true) {
			n = max(1, v.size) // the segment is read once more
			err = s.log.checkDerived(v)
		}
	}
	if err != nil && !errors.Is(err, errGone) && !errors.Is(err, ErrClosed) {
		if do, _ := v.seg.verified.tell(); do {
			d.env.logger.Error("cannot read a closed segment", "partition", s.log.tp.String(), "file", v.seg.path(kindLog), "position", begin, "err", err)
		}
		d.suspect()
		if s.chunk > 0 {
			s.views, s.chunk = s.views[1:], 0
		}
	}
	return n, true
}

// checkActive looks whether the file of the active segment still has all that was written to it. Readers are sent it unseen.
func (l *Log) checkActive(v view) {
	err := v.seg.with(kindLog, func(f vfs.File) error {
		size, err := f.Size()
		if err == nil && size < v.size {
			err = fmt.Errorf("%w: %s at %d: %w", ErrCorruptRecord, f.Name(), size, errShorter)
		}
		return err
	})
	_ = l.unreadable(v, err) // which tells of it
}

// Damaged is how many damaged places have been found in segments since the start.
func (m *Manager) Damaged() (n int64) {
	for _, d := range m.dirs {
		n += d.env.damaged.Load()
	}
	return n
}

// KeptAside is how many files with damaged records have been kept beside the logs since the start.
func (m *Manager) KeptAside() (n int64) {
	for _, d := range m.dirs {
		n += d.env.aside.Load()
	}
	return n
}
