package storage

import "github.com/moldau-stream/moldau/internal/vfs"

// Records leave by sendfile, but for small ranges (smallread.go). When the disk fails under it, the answer has begun to leave, and nothing is left but to end the
// connection; the reader comes again, and would meet the same for ever. So the first byte of what is given out is read before, which
// finds a disk that is gone, and of a segment whose file has failed once all of it is: what lies before the bad place is
// given out, and who asks for the place itself is told.

// Unreadable notes that the slice's file could not be read while it was being sent.
func (s *Slice) Unreadable(err error) {
	if s.seg == nil {
		return
	}
	l := s.seg.log
	if !s.seg.failing.Swap(true) {
		l.env.logger.Error("records could not be read while they were being sent, a connection ends in the middle of an answer", "partition", l.tp.String(), "file", s.File.Name(), "position", s.Pos, "bytes", s.Len, "err", err)
	}
	l.env.suspect()
}

// tryOut looks whether a slice can be read, and shortens it to what can. What ends with the log was just written.
func (l *Log) tryOut(s *Slice, v view, upTo int64) error {
	failing := v.seg.failing.Load()
	if !failing && v.last && s.Pos+s.Len == v.size {
		return nil
	}
	buf := verifyBuffers.Get().(*[]byte)
	defer verifyBuffers.Put(buf)
	if !failing {
		_, err := s.File.ReadAt((*buf)[:1], s.Pos)
		return l.unreadableAt(s, err)
	}
	good, err := readThrough(s.File, *buf, s.Pos, s.Pos+s.Len)
	if err == nil {
		return nil
	}
	if good > s.Pos {
		at := s.Pos
		s.Len = 0
		if merr := l.measure(s, v, good-at, upTo, false); merr != nil || s.Len > 0 {
			return merr
		}
	}
	return l.unreadableAt(s, err)
}

// unreadableAt has the directory tried out when a read has failed.
func (l *Log) unreadableAt(s *Slice, err error) error {
	if err != nil {
		s.Len = 0
		l.env.suspect()
	}
	return err
}

// readThrough reads a range, and returns up to where it could.
func readThrough(f vfs.File, buf []byte, pos, end int64) (int64, error) {
	for pos < end {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), end-pos)], pos)
		pos += int64(n)
		if err != nil && pos < end {
			return pos, err
		}
	}
	return pos, nil
}
