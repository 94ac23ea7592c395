package storage

import (
	"errors"
	"fmt"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// What is derived from the records of a closed segment is doubted where it is used. Some damage does not show there: an
// index that was cut short only makes reads slow, a transaction index is only read by those who ask for committed records.
// So the scrub, once it has read a segment, holds all of it against the records, once while the log is open.

// checkDerived has what is wrong beside the records of a closed segment made anew.
func (l *Log) checkDerived(v view) error {
	if err := l.checkIndexes(v); err != nil {
		return err
	}
	// Which transactions were aborted is told with all that is known of producers: that is looked at only where the markers
	// and the entries do not match.
	if v.seg.abortedProven.Load() {
		return nil
	}
	_, err := l.proveAborted(v.seg.base, v.end)
	return err
}

// checkIndexes holds both indexes of a segment against its batches.
func (l *Log) checkIndexes(v view) error {
	s := v.seg
	if s.indexState.Load() != indexBelieved {
		return nil
	}
	ob, err := s.readAll(kindIndex)
	tb, terr := s.readAll(kindTimeIndex)
	if err = s.doubtUnreadable(errors.Join(err, terr)); err != nil || s.indexState.Load() != indexBelieved {
		return err
	}
	offsets, times := parseOffsetIndex(ob), parseTimeIndex(tb)
	if len(offsets)*offsetEntryBytes != len(ob) || len(times)*timeEntryBytes != len(tb) {
		s.doubtIndexes("an entry does not rise above the one before, or is cut short")
		return nil
	}
	why := ""
	err = s.with(kindLog, func(f vfs.File) error {
		c := indexComparison{s: s, offsets: offsets, times: times, maxTs: record.NoTimestamp, toldTs: record.NoTimestamp}
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
		why = c.end()
		return nil
	})
	if errors.Is(err, ErrCorruptRecord) {
		return nil // told of already; entries are confirmed where they are used
	}
	if err == nil && why != "" {
		s.doubtIndexes(why)
	}
	return err
}

// indexComparison goes through the entries of both indexes beside the batches.
type indexComparison struct {
	s       *segment
	offsets []offsetEntry
	times   []timeEntry
	maxTs   int64 // of the batches so far
	toldTs  int64 // of the last entry of the time index so far
	last    int64 // position of the last entry of the offset index
	why     string
}

func (c *indexComparison) say(format string, args ...any) {
	if c.why == "" {
		c.why = fmt.Sprintf(format, args...)
	}
}

// batch compares the entries that speak of a batch.
func (c *indexComparison) batch(b record.Batch, pos int64) {
	for len(c.offsets) > 0 && int64(c.offsets[0].pos) <= pos {
		if e := c.offsets[0]; int64(e.pos) != pos || !c.s.confirms(e, b) {
			c.say("the offset index tells of offset %d at position %d, where it is not", c.s.base+int64(e.rel), e.pos)
		}
		c.offsets, c.last = c.offsets[1:], pos
	}
	if pos-c.last > maxIndexGapBytes {
		c.say("the offset index has no entry for the bytes from position %d to %d", c.last, pos)
	}
	at := max(c.maxTs, b.MaxTimestamp())
	for len(c.times) > 0 && c.s.base+int64(c.times[0].rel) <= b.LastOffset() {
		if e := c.times[0]; e.ts != at {
			c.say("the time index tells of timestamp %d up to offset %d, where it is %d", e.ts, c.s.base+int64(e.rel), at)
		}
		c.toldTs, c.times = c.times[0].ts, c.times[1:]
	}
	c.maxTs = at
}

// end says what is wrong, once all batches have been seen.
func (c *indexComparison) end() string {
	if len(c.offsets) > 0 || len(c.times) > 0 {
		c.say("an index tells of what is behind the last batch")
	}
	if c.maxTs != c.toldTs {
		c.say("the time index ends with timestamp %d, the largest is %d", c.toldTs, c.maxTs)
	}
	return c.why
}
