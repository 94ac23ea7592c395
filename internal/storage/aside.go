package storage

import (
	"fmt"
	"io"
	"os"
	"path"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// What recovery cuts off and what may hold records that somebody wants is kept beside the log, under names that
// neither Kafka nor this program opens: a person may look, restore, and remove them.
const damagedSuffix = ".damaged"

// setSegmentAside renames a segment's records and removes what is derived from them.
func (l *Log) setSegmentAside(s *segment, why error) error {
	s.forget()
	name, _, err := l.nameAside(s.path(kindLog))
	if err == nil {
		err = l.env.fs.Rename(s.path(kindLog), name)
	}
	if err != nil {
		return err
	}
	l.env.logger.Error("a segment is set aside: its records cannot follow those before it", "partition", l.tp.String(),
		"file", name, "bytes", s.size, "why", why)
	l.env.aside.Add(1)
	return l.removeSegment(s)
}

// maxAsideCopies bounds how often the end of one segment is copied aside. What is set aside by a new name takes no space.
const maxAsideCopies = 16

// nameAside is a name under which nothing is kept yet: what was kept of an earlier damage stays. n says how many there are.
func (l *Log) nameAside(name string) (free string, n int, err error) {
	for free = name + damagedSuffix; ; free = fmt.Sprintf("%s.%d%s", name, n+1, damagedSuffix) {
		ok, err := vfs.Exists(l.env.fs, free)
		if err != nil || !ok {
			return free, n, err
		}
		n++
	}
}

// keepTail copies what is about to be cut off a segment's end, if that is more than a write that was torn: records
// that had been synced, or whole batches behind a damaged one.
func (o *opener) keepTail(f vfs.File, s *segment, from, end int64) error {
	wasSynced := end < o.st.syncedTo
	if !wasSynced && !wholeBatchBehind(f, from, s.size) {
		return nil
	}
	name, n, err := o.nameAside(path.Join(o.dir, fmt.Sprintf("%s%s.%d", segmentName(s.base), logSuffix, from)))
	if err != nil {
		return err
	}
	if n >= maxAsideCopies {
		o.env.logger.Error("the damaged end of a segment is cut off and not kept, since many of its ends are kept already; look at them and remove them", "partition", o.tp.String(), "file", s.path(kindLog), "position", from, "bytes", s.size-from)
		return nil
	}
	o.env.aside.Add(1)
	if err := copyRange(o.env.fs, name, f, from, s.size); err != nil {
		return fmt.Errorf("cannot keep the damaged end of %s before it is cut off: %w", f.Name(), err)
	}
	o.env.logger.Error("the damaged end of a segment is kept beside the log, since there may be records in it", "partition", o.tp.String(), "file", name, "bytes", s.size-from)
	return nil
}

// wholeBatchBehind says that behind a bad batch, as far as its header tells its length, lies a good one.
func wholeBatchBehind(f vfs.File, pos, size int64) bool {
	h := walkHeaders(f, size)
	defer h.close()
	_, n, err := h.at(pos)
	if err != nil || pos+n >= size {
		return false
	}
	_, next, err := h.at(pos + n)
	if err != nil {
		return false
	}
	b, err := readBatch(f, pos+n, next)
	return err == nil && b.Validate() == nil && len(b) >= record.HeaderBytes
}

func copyRange(fsys vfs.FS, name string, from vfs.File, pos, end int64) error {
	to, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	buf := make([]byte, min(scanChunkBytes, end-pos))
	for at := pos; at < end && err == nil; {
		n := min(int64(len(buf)), end-at)
		if _, err = from.ReadAt(buf[:n], at); err != nil && err != io.EOF {
			break
		}
		_, err = to.WriteAt(buf[:n], at-pos)
		at += n
	}
	if err == nil {
		err = to.Sync()
	}
	if cerr := to.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = fsys.Remove(name) // half a copy helps nobody
	}
	return err
}
