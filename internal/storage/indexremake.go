package storage

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// remakeIndexes writes the indexes of a closed segment anew, in place: should the process die meanwhile, each entry is an
// old or a new one. What passes, a full disk, is tried again.
func (l *Log) remakeIndexes(s *segment) {
	l.replaceMu.Lock()
	defer l.replaceMu.Unlock()
	made, err := l.indexOf(s)
	if err == nil {
		err = errors.Join(s.overwriteIndex(kindIndex, encodeOffsetIndex(made.offsets)), s.overwriteIndex(kindTimeIndex, encodeTimeIndex(made.times)))
	}
	if errors.Is(err, errGone) {
		// The segment is no more, or was made the active one, whose indexes lie in memory and are good.
		s.indexState.Store(indexBelieved)
		return
	}
	if err != nil {
		if s.indexState.Swap(indexHopeless) != indexHopeless {
			l.env.logger.Error("cannot make an index anew", "partition", l.tp.String(), "file", s.path(kindIndex), "tried again", passes(err), "err", err)
		}
		if passes(err) {
			l.env.after(payRetry, func() { l.remakeIndexes(s) })
		}
		return
	}
	// Where the index was no help to get over damage, more was taken for damaged than is.
	s.verified.again()
	l.mu.Lock()
	defer l.mu.Unlock()
	s.maxTs, s.maxTsOffset, s.maxTsKnown = made.maxTs, made.maxTsOffset, true
	s.indexState.Store(indexBelieved)
}

// indexOf makes the indexes of a closed segment in memory, from its headers. replaceMu is held.
func (l *Log) indexOf(s *segment) (*segment, error) {
	l.mu.RLock()
	at := l.findLocked(s)
	closed := at >= 0 && at < len(l.segments)-1 && !s.inMemory
	var v view
	if closed {
		v = l.viewLocked(at)
	}
	l.mu.RUnlock()
	if err := l.Err(); err != nil || !closed {
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	return s.indexesAround(v)
}

// indexesAround is walkIndexes for a segment that may be damaged: of headers that lead on no more, those entries of the old index
// lead on that are confirmed, and whose batch is whole. A batch that is damaged has no entry in what is made, so
// that nobody begins there who has asked for another one.
func (s *segment) indexesAround(v view) (*segment, error) {
	made := newSegment(s.log, s.base)
	made.beginIndexes()
	cfg := s.log.config()
	var old []byte
	err := s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, v.size)
		defer h.close()
		next := s.base
		for pos := int64(0); pos < v.size; {
			b, n, err := h.at(pos)
			if err == nil && (b.BaseOffset() < next || b.LastOffset() < b.BaseOffset() || b.LastOffset() >= v.end) {
				err = h.corrupt(pos, errElsewhere)
			}
			if errors.Is(err, ErrCorruptRecord) {
				if old == nil {
					if old, err = s.oldIndex(); err != nil {
						return err
					}
				}
				if pos, old, err = s.leadOn(&h, old, pos, next, v.end); err != nil {
					return err
				}
				made.bytesSinceIndex = cfg.IndexIntervalBytes + 1 // or nothing would lead here
				continue
			}
			if err != nil {
				return err
			}
			made.indexBatch(b, n, pos, cfg)
			pos, next = pos+n, b.NextOffset()
		}
		return nil
	})
	made.noteMaxTimestamp()
	return made, err
}

// errElsewhere says that a batch has offsets which cannot lie where it is.
var errElsewhere = errors.New("its offsets do not belong there")

// oldIndex is what the file of the offset index holds; nothing when it cannot be read.
func (s *segment) oldIndex() ([]byte, error) {
	b, err := s.readAll(kindIndex)
	if err != nil && !isUnreadable(err) {
		return nil, err
	}
	return append([]byte{}, b...), nil
}

// leadOn is the position of the first whole batch behind pos that an entry of the old index tells, and the entries behind it; the
// segment's end when there is none.
func (s *segment) leadOn(h *headers, old []byte, pos, next, end int64) (int64, []byte, error) {
	for ; len(old) >= offsetEntryBytes; old = old[offsetEntryBytes:] {
		e := offsetEntry{int32(binary.BigEndian.Uint32(old)), int32(binary.BigEndian.Uint32(old[4:]))}
		if int64(e.pos) <= pos {
			continue
		}
		b, size, err := h.at(int64(e.pos))
		if err == nil && s.confirms(e, b) && b.BaseOffset() >= next && b.LastOffset() < end {
			err = checkBatchAt(h.f, int64(e.pos), size)
			if err == nil {
				return int64(e.pos), old[offsetEntryBytes:], nil
			}
		}
		if err != nil && !errors.Is(err, ErrCorruptRecord) {
			return 0, nil, err
		}
	}
	return h.end, nil, nil
}
