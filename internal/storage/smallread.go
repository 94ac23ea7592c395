package storage

import (
	"errors"
	"io"
	"math/bits"
	"sync"
	"sync/atomic"
)

// A small range is read when it is looked up: one call of the system finds its batches, proves that the file has the bytes and that
// the disk gives them, and has them to be sent. Larger ones leave by sendfile, for which each of these is a call of its own.

const (
	// smallReadBytes is the largest range that is read at once; from there on sendfile is cheaper (server.copyBelowBytes).
	smallReadBytes = 16 << 10
	// leastReadBytes is the smallest memory for one: most records are smaller.
	leastReadBytes = 1 << 10
	// heldReadBytes is how much of a directory may lie in memory, until its readers have taken it. Slow ones leave the rest in
	// the page cache.
	heldReadBytes = 16 << 20
)

// readClasses is how many sizes of memory there are, each twice as large as the one before.
const readClasses = 5

var _ [smallReadBytes - leastReadBytes<<(readClasses-1)]struct{} // the last is the largest range's

// smallReads lends memory for small ranges.
type smallReads struct {
	held  atomic.Int64
	pools [readClasses]sync.Pool
}

// lend is memory for n bytes, nil when too much is lent.
func (r *smallReads) lend(n int64) *[]byte {
	class := bits.Len64(uint64(n-1) / leastReadBytes)
	size := int64(leastReadBytes) << class
	if r.held.Add(size) > heldReadBytes {
		r.held.Add(-size)
		return nil
	}
	if b, ok := r.pools[class].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, size)
	return &b
}

func (r *smallReads) takeBack(b *[]byte) {
	r.held.Add(-int64(len(*b)))
	r.pools[bits.Len64(uint64(len(*b)-1)/leastReadBytes)].Put(b)
}

// readSmall reads the n bytes that a slice may have, if they are few. What fails here, or finds a shorter file, is left to the
// checks of a slice that stays in its file.
func (l *Log) readSmall(s *Slice, v view, n int64) {
	s.forget()
	if n <= 0 || n > smallReadBytes || v.seg.failing.Load() {
		return
	}
	if s.mem = l.env.small.lend(n); s.mem == nil {
		return
	}
	got, err := s.File.ReadAt((*s.mem)[:n], s.Pos)
	if int64(got) == n {
		s.data = (*s.mem)[:n]
		return
	}
	s.forget()
	if err != nil && !errors.Is(err, io.EOF) {
		v.seg.failing.Store(true)
	}
}

// Data is the range where it was read already, nil where it is only in the file. It is valid until Release.
func (s *Slice) Data() []byte { return s.data }

// keepData keeps what was read for a slice that is known now: it may be less, but not more.
func (s *Slice) keepData() {
	if s.Len > int64(len(s.data)) || s.Len == 0 {
		s.forget()
		return
	}
	s.data = s.data[:s.Len]
}

// forget gives the memory back.
func (s *Slice) forget() {
	if s.mem != nil {
		s.seg.log.env.small.takeBack(s.mem)
		s.mem, s.data = nil, nil
	}
}
