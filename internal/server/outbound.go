package server

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/moldau-stream/moldau/internal/vfs"
)

const (
	// scratchBytes collects small answers, so that many leave as one piece.
	scratchBytes = 16 << 10
	// smallAnswerBytes is the largest answer that is copied into the scratch; a larger one is a
	// piece of its own in the same writev.
	smallAnswerBytes = 2 << 10
	// copyBelowBytes is the smallest file range that is sent by sendfile: below, reading
	// and writing it is cheaper (measured: 4 KiB 2.3 against 2.6 CPU-s/GB, 16 KiB 0.74 against 0.65).
	copyBelowBytes = 16 << 10
	// copyBytes is read at a time from files where sendfile is not used.
	copyBytes = 256 << 10
	// maxPieces bounds one writev; the system takes 1,024.
	maxPieces = 256
	// maxKeptSegments bounds what a writer keeps of a very large answer's layout.
	maxKeptSegments = 4096
)

// segment is a piece to be sent: bytes, or the range [pos, end) of a file.
type segment struct {
	bytes    []byte
	file     vfs.File
	pos, end int64
	source   Source
}

// unreadable tells where a file's range has come from that it cannot be read.
func (s *segment) unreadable(err error) {
	if s.source != nil {
		s.source.Unreadable(err)
	}
}

// outbound is what one writer is sending: the answers at the head of a connection's
// queue. The goroutine that has set Conn.writing owns it.
type outbound struct {
	reqs     []*Request
	segs     []segment
	at       int // the segment that is being sent
	iov      [][]byte
	scratch  []byte
	borrowed *buffer // holds what was read from files
	loaded   int     // bytes of it in use
	loadedTo int     // up to this segment
	flat     *buffer // holds pieces that were joined, see plainSocket
	pool     *bufferPool
	bytes    int64
	started  int64        // Server.now
	stats    RequestStats // the account of one request after the other
}

func (s *Server) getOutbound() *outbound {
	if o, ok := s.outbounds.Get().(*outbound); ok {
		return o
	}
	return &outbound{pool: &s.buffers, scratch: make([]byte, 0, scratchBytes)}
}

func (s *Server) putOutbound(o *outbound) {
	for _, b := range []*buffer{o.borrowed, o.flat} {
		if b != nil {
			o.pool.put(b)
		}
	}
	if cap(o.segs) > maxKeptSegments {
		o.segs = nil
	}
	clear(o.reqs)
	clear(o.segs)
	clear(o.iov[:cap(o.iov)])
	*o = outbound{pool: o.pool, reqs: o.reqs[:0], segs: o.segs[:0], iov: o.iov[:0], scratch: o.scratch[:0]}
	s.outbounds.Put(o)
}

// full says that o takes no more answers after r.
func (o *outbound) full(r *Request) bool {
	return r.out.close != nil || len(o.reqs) >= holdResponses || o.bytes >= holdBytes
}

// lay lays out the answers as segments.
func (o *outbound) lay() {
	for _, r := range o.reqs {
		if r.out.frame != nil {
			o.addBytes(r.out.frame.b)
		}
		for i := range r.out.parts {
			o.addPart(&r.out.parts[i])
		}
	}
}

func (o *outbound) addBytes(b []byte) {
	if len(b) == 0 {
		return
	}
	if len(b) > smallAnswerBytes || len(o.scratch)+len(b) > cap(o.scratch) {
		o.segs = append(o.segs, segment{bytes: b})
		return
	}
	from := len(o.scratch)
	o.scratch = append(o.scratch, b...)
	o.extend(o.scratch[from:len(o.scratch):len(o.scratch)])
}

// extend adds bytes that lie in the scratch, as part of the last segment where that ends just before them.
func (o *outbound) extend(b []byte) {
	if last := len(o.segs) - 1; last >= 0 && o.segs[last].file == nil {
		s := &o.segs[last]
		if end := len(o.scratch) - len(b); len(s.bytes) <= end && &s.bytes[0] == &o.scratch[end-len(s.bytes)] {
			s.bytes = o.scratch[end-len(s.bytes) : end+len(b) : end+len(b)]
			return
		}
	}
	o.segs = append(o.segs, segment{bytes: b})
}

func (o *outbound) addPart(p *Part) {
	if p.File == nil {
		o.addBytes(p.Bytes)
	} else if p.Len > 0 {
		o.segs = append(o.segs, segment{file: p.File, pos: p.Pos, end: p.Pos + p.Len, source: p.Source})
	}
}

func (o *outbound) pending() bool { return o.at < len(o.segs) }

func (o *outbound) current() *segment { return &o.segs[o.at] }

// gather lists the next pieces that are to be written, of about atMost bytes together. File
// ranges among them are read into a borrowed buffer, so that many short ones leave in one write; it
// stops before one that sendfile is for.
func (o *outbound) gather(atMost int, sendfile bool) ([][]byte, error) {
	o.iov = o.iov[:0]
	if o.at >= o.loadedTo {
		o.loaded = 0 // all that was read has been sent
	}
	for i := o.at; i < len(o.segs) && atMost > 0 && len(o.iov) < maxPieces; i++ {
		if o.segs[i].file != nil {
			if sendfile && o.segs[i].sendable() {
				break
			}
			if ok, err := o.load(i); err != nil || !ok {
				return o.iov, err
			}
		}
		b := o.segs[i].bytes
		b = b[:min(len(b), atMost)]
		atMost -= len(b)
		o.iov = append(o.iov, b)
	}
	return o.iov, nil
}

// sendable says whether sendfile is the way for a segment.
func (s *segment) sendable() bool {
	_, ok := s.file.Fd()
	return ok && s.end-s.pos >= copyBelowBytes
}

// join makes one piece of several.
func (o *outbound) join(pieces [][]byte) []byte {
	if len(pieces) == 1 {
		return pieces[0]
	}
	if o.flat == nil {
		o.flat = o.pool.get(copyBytes)
	}
	all := o.flat.b[:0]
	for _, p := range pieces {
		all = append(all, p...)
	}
	return all
}

// load turns the file range at i into bytes, or its first part where the whole does not fit; false
// when there is no room at all.
func (o *outbound) load(i int) (bool, error) {
	if o.borrowed == nil {
		o.borrowed = o.pool.get(copyBytes)
	}
	room := o.borrowed.b[o.loaded:]
	s := &o.segs[i]
	n := int(min(s.end-s.pos, int64(len(room))))
	if n == 0 {
		return false, nil
	}
	b := room[:n:n]
	if err := readRange(s.file, b, s.pos); err != nil {
		s.unreadable(err)
		return false, err
	}
	if s.pos += int64(n); s.pos < s.end {
		o.segs = slices.Insert(o.segs, i, segment{bytes: b})
	} else {
		*s = segment{bytes: b}
	}
	o.loaded, o.loadedTo = o.loaded+n, i+1
	return true, nil
}

// advance passes n bytes that have been sent.
func (o *outbound) advance(n int64) {
	for o.pending() {
		s := o.current()
		if s.file != nil {
			if n == 0 && s.pos < s.end {
				return
			}
			step := min(n, s.end-s.pos)
			s.pos += step
			n -= step
			if s.pos < s.end {
				return
			}
		} else {
			step := min(n, int64(len(s.bytes)))
			s.bytes = s.bytes[step:]
			n -= step
			if len(s.bytes) > 0 {
				return
			}
		}
		o.at++
	}
}

func readRange(f vfs.File, b []byte, pos int64) error {
	n, err := f.ReadAt(b, pos)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("cannot read %d bytes at %d of %s for a response: %w", len(b), pos, f.Name(), err)
}
