package storage

import (
	"errors"
	"fmt"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A file that somebody cuts short under the running node still seems whole to who knows its size. Readers would be sent less than
// they are told, and wait for the rest for ever; so what a slice promises is held against the file before it leaves.

// heedCut shortens a slice to what its file has, in whole batches; where nothing is left of it, the error says so.
func (l *Log) heedCut(s *Slice, v view, upTo int64) error {
	size, err := s.File.Size()
	if err != nil || size >= s.Pos+s.Len {
		return nil // what cannot be told here the read will tell
	}
	if err := l.tellCut(v, s.File.Name(), size); err != nil {
		return err
	}
	if size > s.Pos {
		s.Len = 0
		if err := l.measure(s, v, size-s.Pos, upTo, false); err != nil || s.Len > 0 {
			return err
		}
	}
	return &CorruptError{File: s.File.Name(), Position: size, Cause: errShorter}
}

// tellCut tells, once, of a segment's file that is shorter than the segment. An error says that the log was cut meanwhile.
func (l *Log) tellCut(v view, name string, size int64) error {
	l.mu.RLock()
	cut := l.truncations != v.cuts
	l.mu.RUnlock()
	if cut {
		return errGone
	}
	from, err := v.seg.batchAround(size)
	if err != nil {
		return err
	}
	why := fmt.Errorf("%w: it ends at %d, and had %d bytes", errShorter, size, v.size)
	l.tellDamage(v.seg, name, v.seg.verified.add(badRange{from: from, to: v.size, why: why}))
	return nil
}

// batchAround is where the batch begins that a position lies in, or behind which nothing more can be told.
func (s *segment) batchAround(at int64) (pos int64, err error) {
	e, _, err := s.floor(func(e offsetEntry) bool { return int64(e.pos) <= at })
	if err != nil {
		return 0, err
	}
	err = s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, at)
		defer h.close()
		for pos = s.startAt(&h, e); pos < at; {
			_, size, err := h.at(pos)
			if errors.Is(err, ErrCorruptRecord) {
				return nil
			}
			if err != nil {
				return err
			}
			pos += size
		}
		return nil
	})
	return pos, err
}

// add notes damage that was found by reading, and returns it if it is news.
func (v *verified) add(b badRange) []badRange {
	v.mu.Lock()
	defer v.mu.Unlock()
	if b.from >= b.to || !v.addLocked(b) {
		return nil
	}
	return []badRange{b}
}

// tellShort is tellCut for an error of reading.
func (l *Log) tellShort(s *Slice, v view, err error) error {
	if !errors.Is(err, errShorter) {
		return err
	}
	size, serr := s.File.Size()
	if serr != nil || size >= v.size {
		return err
	}
	return errors.Join(l.tellCut(v, s.File.Name(), size), err)
}
