package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// In a log that is compacted, files of different times may come to lie beside each other when somebody restores some of them: a
// segment from before a cleaning beside the one that has taken its records over, or an older, shorter copy under the name of
// a cleaned one. No batch of theirs is damaged, so that no checksum tells. The last entry of each closed segment's index does: where it
// speaks of offsets behind the next segment's beginning, the next one is the older; where it speaks of what is behind the
// file's end, the file is.

// setOlderAside sets the closed segments aside whose records the segment before them has taken over.
func (o *opener) setOlderAside() error {
	if !o.st.compacted && !o.st.cfg.Compact {
		return nil
	}
	for i := 0; i+1 < len(o.segments); i++ {
		s := o.segments[i]
		e, ok, err := s.lastIndexed()
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if int64(e.pos) >= s.size {
			o.env.damaged.Add(1)
			o.env.logger.Error("records may be lost: a segment ends before a batch that its index tells of. An older copy of the file was put in its place, or the index is damaged; if there is a backup of the right file, stop the node and restore it",
				"partition", o.tp.String(), "file", s.path(kindLog), "bytes", s.size, "position", e.pos, "offset", s.base+int64(e.rel))
			continue
		}
		for i+2 < len(o.segments) && o.segments[i+1].base <= s.base+int64(e.rel) {
			whole, err := s.holdsIndexed(e)
			if err != nil {
				return err
			}
			if !whole {
				break
			}
			older := o.segments[i+1]
			if older.size == 0 { // a death in a cut leaves such: recovery sees to it
				break
			}
			why := fmt.Errorf("the segment before it, %s, holds its offsets too, up to %d at least: it is from before a cleaning", segmentName(s.base)+logSuffix, s.base+int64(e.rel))
			if err := o.setSegmentAside(older, why); err != nil {
				return err
			}
			o.env.damaged.Add(1)
			delete(o.missing, older.base)
			o.segments = slices.Delete(o.segments, i+1, i+2)
		}
	}
	return nil
}

// lastIndexed is the last entry of a segment's index file; ok is false where there is none that could be one.
func (s *segment) lastIndexed() (e offsetEntry, ok bool, err error) {
	if exists, err := vfs.Exists(s.log.env.fs, s.path(kindIndex)); err != nil || !exists {
		return e, false, err
	}
	err = s.with(kindIndex, func(f vfs.File) error {
		size, err := f.Size()
		if err != nil || size < offsetEntryBytes {
			return err
		}
		var buf [offsetEntryBytes]byte
		if _, err := f.ReadAt(buf[:], (size/offsetEntryBytes-1)*offsetEntryBytes); err != nil {
			return err
		}
		e = offsetEntry{int32(binary.BigEndian.Uint32(buf[:])), int32(binary.BigEndian.Uint32(buf[4:]))}
		ok = e.rel >= 0 && e.pos > 0
		return nil
	})
	if isUnreadable(err) {
		return e, false, nil // it is doubted where it is used
	}
	return e, ok, err
}

// holdsIndexed says whether the batch that an index entry speaks of is there, and whole.
func (s *segment) holdsIndexed(e offsetEntry) (whole bool, err error) {
	err = s.with(kindLog, func(f vfs.File) error {
		h := walkHeaders(f, s.size)
		defer h.close()
		b, size, err := h.at(int64(e.pos))
		if err == nil && b.LastOffset() == s.base+int64(e.rel) {
			err = checkBatchAt(f, int64(e.pos), size)
			whole = err == nil
		}
		if errors.Is(err, ErrCorruptRecord) {
			return nil
		}
		return err
	})
	return whole, err
}
