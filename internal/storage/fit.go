package storage

import (
	"errors"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// A batch whose header is damaged costs itself: what is asked for ends before it, as it ends at the bytes that a reader takes.
// Only who begins at it is told.

// fit is the end of the last whole batch within maxBytes of where a slice begins, and the offset after it.
func (l *Log) fit(s *Slice, v view, end, maxBytes int64, minOneBatch bool) (int64, int64, error) {
	pos := s.Pos
	limit := min(pos+max(maxBytes, 0), end)
	e, ok, err := v.seg.floor(func(e offsetEntry) bool { return int64(e.pos) <= limit })
	if err != nil {
		return 0, 0, err
	}
	h := walkHeaders(s.File, end)
	defer h.close()
	h.have, h.from = s.data, pos
	at := pos
	if ok && int64(e.pos) > pos && int64(e.pos) < end {
		at = max(at, v.seg.startAt(&h, e))
	}
	next := int64(-1) // not known; where the index has led, the header was found good
	for at < end {
		if next >= 0 && at+record.HeaderBytes > limit {
			return at, next, nil
		}
		b, size, err := h.at(at)
		if errors.Is(err, ErrCorruptRecord) && next >= 0 && v.cuts == l.cuts() {
			return at, next, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if at+size > limit {
			if at == pos && minOneBatch {
				return at + size, b.NextOffset(), nil
			}
			return at, b.BaseOffset(), nil
		}
		at, next = at+size, b.NextOffset()
	}
	return at, v.end, nil
}

// beforeDamage is the end of the whole batches from pos on which lie below an offset, where there is damage on the way to it,
// and the offset after them. It goes no further than who asks will take, and a batch more.
func (l *Log) beforeDamage(v view, f vfs.File, pos, maxBytes, upTo int64) (end, next int64, err error) {
	h := walkHeaders(f, v.size)
	defer h.close()
	for end = pos; end < v.size && end-pos <= maxBytes; {
		b, size, err := h.at(end)
		if errors.Is(err, ErrCorruptRecord) && end > pos && v.cuts == l.cuts() {
			return end, next, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if b.LastOffset() >= upTo {
			if end == pos {
				next = upTo
			}
			return end, next, nil
		}
		end, next = end+size, b.NextOffset()
	}
	return end, next, nil
}
