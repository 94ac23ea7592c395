package storage

import (
	"errors"
	"fmt"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// The indexes of closed segments lie in files of which nothing else tells whether they are as they were written. An entry
// is believed when the batch that it speaks of is where it says. If not, both indexes of the segment are left aside, so that
// its headers are walked from its beginning, and made anew from the batches.

// What is thought of the index files of a closed segment.
const (
	indexBelieved int32 = iota
	indexDoubted        // being made anew
	indexHopeless       // they could not be made anew: each entry is held against its batch, and one that fails is passed over
)

// confirms says whether a batch can lie where an index entry says. Kafka before 4.0 has entries that tell the last offset
// of several batches that were appended at once, and the position of the first.
func (s *segment) confirms(e offsetEntry, b record.Batch) bool {
	return b.BaseOffset() >= s.base && b.BaseOffset() <= b.LastOffset() && b.LastOffset() <= s.base+int64(e.rel)
}

// startAt is from where to walk the headers, given an entry: its position, or where an entry before it says, or the segment's
// beginning when none is to be believed. It is never behind what the entry was looked up for.
func (s *segment) startAt(h *headers, e offsetEntry) int64 {
	for range maxStepsBack {
		if e.pos == 0 {
			return 0
		}
		if e.pos > 0 {
			if b, _, err := h.at(int64(e.pos)); err == nil && s.confirms(e, b) {
				return int64(e.pos)
			}
		}
		s.doubtIndexes(fmt.Sprintf("the offset index tells of offset %d at position %d, where it is not", s.base+int64(e.rel), e.pos))
		if s.indexState.Load() != indexHopeless {
			return 0
		}
		before, ok, err := s.floor(func(x offsetEntry) bool { return x.rel < e.rel && (x.pos < e.pos || e.pos < 0) })
		if err != nil || !ok {
			return 0
		}
		e = before
	}
	return 0
}

// maxStepsBack bounds how many entries are tried, one before the other: in an index in which so many are wrong there is
// nothing to be found.
const maxStepsBack = 16

// doubtIndexes leaves the segment's indexes aside and has them made anew.
func (s *segment) doubtIndexes(why string) {
	if !s.indexState.CompareAndSwap(indexBelieved, indexDoubted) {
		return
	}
	l := s.log
	l.env.damaged.Add(1)
	l.env.logger.Error("an index is damaged, making it anew from the records", "partition", l.tp.String(), "file", s.path(kindIndex), "why", why)
	l.env.after(0, func() { l.remakeIndexes(s) })
}

// doubtUnreadable is doubtIndexes for an index that cannot be read, whose error it takes away.
func (s *segment) doubtUnreadable(err error) error {
	if !isUnreadable(err) || s.indexState.Load() == indexHopeless {
		return err
	}
	s.doubtIndexes(err.Error())
	return nil
}

// maxIndexGapBytes is how far apart two entries of an offset index may be: further than Kafka's one entry for all that
// a follower appends at once.
const maxIndexGapBytes = 16 << 20

// heedGap doubts the indexes of a closed segment in which a walk from an entry has come too far: the rest of the entries is missing.
func (s *segment) heedGap(walked int64) {
	if walked > maxIndexGapBytes {
		s.doubtIndexes("the offset index has no entry for too many bytes")
	}
}

// walkIndexes makes the indexes of a segment in memory, from its headers.
func (s *segment) walkIndexes(size int64) (*segment, error) {
	made := newSegment(s.log, s.base)
	made.beginIndexes()
	cfg := s.log.config()
	err := s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, size)
		defer h.close()
		for pos := int64(0); pos < size; {
			b, n, err := h.at(pos)
			if err != nil {
				return err
			}
			made.indexBatch(b, n, pos, cfg)
			pos += n
		}
		return nil
	})
	made.noteMaxTimestamp()
	return made, err
}

// confirmTimestamp says whether an entry of the time index speaks of a batch that is there and has that timestamp, and no batch between
// the entry before and that one is later. With isLast, also whether no batch behind it is, as the last entry promises: usually it
// speaks of the last batch.
func (s *segment) confirmTimestamp(e timeEntry, size int64, isLast bool) (ok bool, err error) {
	want := s.base + int64(e.rel)
	err = s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, size)
		defer h.close()
		pos, err := s.beforeTimestamp(&h, e)
		if err != nil {
			return err
		}
		for pos < size {
			b, n, err := h.at(pos)
			if err != nil {
				return err
			}
			switch {
			case !ok && b.LastOffset() >= want:
				ok = b.BaseOffset() <= want && b.MaxTimestamp() == e.ts
				if !ok || !isLast {
					return nil
				}
			case b.MaxTimestamp() > e.ts:
				ok = false
				return nil
			}
			pos += n
		}
		return nil
	})
	return ok, err
}

// beforeTimestamp is from where to walk to what an entry of the time index speaks of: from the entry before it, unless that is so far away that
// entries must be missing, or that timestamps fall for long.
func (s *segment) beforeTimestamp(h *headers, e timeEntry) (int64, error) {
	near, _, err := s.floor(func(x offsetEntry) bool { return x.rel < e.rel })
	if err != nil {
		return 0, err
	}
	start := s.startAt(h, near)
	before, found, err := s.floorTime(func(x timeEntry) bool { return x.ts < e.ts })
	if err != nil {
		return 0, err
	}
	far := offsetEntry{}
	if found {
		if far, _, err = s.floor(func(x offsetEntry) bool { return x.rel <= before.rel }); err != nil {
			return 0, err
		}
	}
	if from := s.startAt(h, far); from < start && start-from <= maxIndexGapBytes {
		start = from
	}
	return start, nil
}

// timeIndexSays is the largest timestamp that the time index of a closed segment tells, or that of the batches if it is not to be believed.
func (s *segment) timeIndexSays(size int64) (ts, offset int64, err error) {
	ts, offset = record.NoTimestamp, s.base
	e, ok, err := s.floorTime(func(timeEntry) bool { return true })
	if err != nil || size == 0 {
		return ts, offset, err
	}
	if ok {
		ts, offset = e.ts, s.base+int64(e.rel)
		confirmed, err := s.confirmTimestamp(e, size, true)
		if errors.Is(err, ErrCorruptRecord) {
			return ts, offset, nil // the batches tell no more
		}
		if confirmed || err != nil {
			return ts, offset, err
		}
	}
	found, at, err := s.walkMaxTimestamp(size)
	if errors.Is(err, ErrCorruptRecord) {
		return ts, offset, nil
	}
	if err == nil && found != ts {
		s.doubtIndexes(fmt.Sprintf("the time index tells of the largest timestamp %d, it is %d", ts, found))
	}
	return found, at, err
}

// walkMaxTimestamp finds the largest timestamp in the headers.
func (s *segment) walkMaxTimestamp(size int64) (ts, offset int64, err error) {
	ts, offset = record.NoTimestamp, s.base
	err = s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, size)
		defer h.close()
		for pos := int64(0); pos < size; {
			b, n, err := h.at(pos)
			if err != nil {
				return err
			}
			if b.MaxTimestamp() > ts {
				ts, offset = b.MaxTimestamp(), b.LastOffset()
			}
			pos += n
		}
		return nil
	})
	return ts, offset, err
}
