package storage

import (
	"errors"
	"fmt"
	"slices"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// The time index of the active segment lies in memory while the log is open, as its file said when it was opened. It tells the segment's
// largest timestamp, which lookups and retention go by. Its last entry is held against the batches where the log opens, and
// the scrub holds all of them, once.

// mendTimes makes the indexes of the active segment anew, which have just been read, if those of times are damaged, and returns them.
func (o *opener) mendTimes(s *segment) ([]offsetEntry, []timeEntry, error) {
	why, err := s.wrongTimes()
	if err != nil || why == "" {
		return s.offsets, s.times, err
	}
	o.env.damaged.Add(1)
	o.env.logger.Error("an index is damaged, making it anew from the records", "partition", o.tp.String(), "file", s.path(kindTimeIndex), "why", why)
	made, err := s.walkIndexes(s.size)
	if err != nil {
		return nil, nil, err
	}
	s.offsets, s.times = made.offsets, made.times
	return s.offsets, s.times, s.remakeIndexes()
}

// wrongTimes says what shows of the damage of a time index without reading all batches, or "".
func (s *segment) wrongTimes() (string, error) {
	data, err := s.readAll(kindTimeIndex)
	if err != nil {
		return "", err
	}
	n := len(s.times)
	if !zero(data[min(n*timeEntryBytes, len(data)):]) {
		return "an entry does not rise above the one before, or is cut short", nil
	}
	if n == 0 {
		if len(s.offsets) == 0 {
			return "", nil
		}
		ts, err := s.readFirstTimestamp(s.size)
		if err != nil || ts < 0 {
			return "", err
		}
		return "it has no entry", nil
	}
	ok, err := s.confirmTime(s.offsets, s.times[n-1])
	if err != nil || ok {
		return "", err
	}
	// Kafka's entries may name another offset of an append of several batches.
	ts, _, err := s.walkMaxTimestamp(s.size)
	if err != nil || ts == s.times[n-1].ts {
		return "", err
	}
	return fmt.Sprintf("it tells of the largest timestamp %d, it is %d", s.times[n-1].ts, ts), nil
}

// checkActiveIndexes holds the indexes of the active segment against the batches that were found in it.
func (l *Log) checkActiveIndexes(v view) error {
	s := v.seg
	l.mu.RLock()
	c := indexComparison{s: s, offsets: slices.Clone(s.offsets), times: slices.Clone(s.times), maxTs: record.NoTimestamp, toldTs: record.NoTimestamp}
	inMemory := s.inMemory && l.truncations == v.cuts
	l.mu.RUnlock()
	if !inMemory {
		return nil
	}
	err := s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, v.size)
		defer h.close()
		for pos := int64(0); pos < v.size; {
			b, n, err := h.at(pos)
			if err != nil {
				return err
			}
			c.batch(b, pos)
			pos += n
		}
		return nil
	})
	if errors.Is(err, ErrCorruptRecord) {
		return nil // told of where it is read
	}
	if err != nil || c.why == "" {
		return err
	}
	return l.remakeActive(s, c.why)
}

// remakeActive makes the indexes of the active segment anew.
func (l *Log) remakeActive(s *segment, why string) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if s != l.active() || !s.inMemory || l.errWrite() != nil {
		return nil // it was closed meanwhile, and is looked at as such
	}
	l.env.damaged.Add(1)
	l.env.logger.Error("an index is damaged, making it anew from the records", "partition", l.tp.String(), "file", s.path(kindTimeIndex), "why", why)
	made, err := s.walkIndexes(s.size)
	if err != nil {
		return err
	}
	l.mu.Lock()
	s.offsets, s.times = made.offsets, made.times
	s.maxTs, s.maxTsOffset, s.maxTsKnown = made.maxTs, made.maxTsOffset, true
	l.mu.Unlock()
	if err := s.remakeIndexes(); err != nil {
		s.offsetsWritten, s.timesWritten = 0, 0 // whatever is left of the files is written over with the next entries
		return l.failUnlessFull(err)
	}
	return nil
}
