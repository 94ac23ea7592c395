package server

import (
	"fmt"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// sendfilePieceBytes is the most that one sendfile is asked for: 15 pages. One call for
	// the whole megabyte costs more than twice the CPU (0.48 against 0.20 CPU-s/GB on
	// loopback, Linux 6.18), aligned pieces of 64 KiB as much; measured again at need by
	// BenchmarkFetch.
	sendfilePieceBytes = 60 << 10
	// writevBytes is offered to the socket at a time, so that the progress of a slow
	// reader is seen.
	writevBytes = 1 << 20
)

// newSocket uses the descriptor of a TCP connection itself: it waits for input
// without a buffer, writes without blocking where it must not, and sends files.
func newSocket(c *Conn, nc net.Conn) socket {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return newPlainSocket(nc)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return newPlainSocket(nc)
	}
	s := &rawSocket{raw: raw, c: c}
	s.onReadable, s.onWritable = s.readNow, s.writeNow
	return s
}

type rawSocket struct {
	raw syscall.RawConn
	c   *Conn

	onReadable func(fd uintptr) bool // readNow, bound once
	readErr    error

	onWritable func(fd uintptr) bool // writeNow, bound once
	out        *outbound
	blocking   bool
	writeErr   error
}

func (s *rawSocket) control(f func(fd uintptr)) error { return s.raw.Control(f) }

func (s *rawSocket) fill(*Conn) error {
	s.readErr = nil
	if err := s.raw.Read(s.onReadable); err != nil {
		return err
	}
	return s.readErr
}

// readNow reads what is there. Without anything it says false, to be called again when
// there is, and gives its buffer back meanwhile.
func (s *rawSocket) readNow(fd uintptr) bool {
	pool := &s.c.srv.buffers
	in := &s.c.in
	for {
		n, err := unix.Read(int(fd), in.space(pool))
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			in.giveBackUnused(pool)
			return false
		case err != nil:
			s.readErr = err
			return true
		case n == 0:
			s.readErr = readError(0, io.EOF)
			return true
		default:
			in.advance(n)
			return true
		}
	}
}

func (s *rawSocket) send(_ *Conn, out *outbound, blocking bool) error {
	s.out, s.blocking, s.writeErr = out, blocking, nil
	err := s.raw.Write(s.onWritable)
	s.out = nil
	if err != nil {
		return err
	}
	return s.writeErr
}

// writeNow sends until all is sent or the socket is full.
func (s *rawSocket) writeNow(fd uintptr) bool {
	for s.out.pending() {
		n, err := s.writeSome(int(fd))
		if n > 0 {
			s.out.advance(n)
		}
		switch {
		case err == nil, err == unix.EINTR:
		case err == unix.EAGAIN:
			s.c.noteProgressIf(n > 0)
			if s.blocking {
				return false
			}
			s.writeErr = errWouldBlock
			return true
		default:
			s.writeErr = err
			return true
		}
		s.c.noteProgressIf(s.out.pending())
	}
	return true
}

// writeSome makes one system call.
func (s *rawSocket) writeSome(fd int) (int64, error) {
	pieces, err := s.out.gather(writevBytes, true)
	if err != nil {
		return 0, err
	}
	if len(pieces) > 0 {
		n, err := unix.SendmsgBuffers(fd, pieces, nil, nil, s.flags(len(pieces)))
		return int64(max(n, 0)), err
	}
	seg := s.out.current()
	src, _ := seg.file.Fd()
	pos := seg.pos
	n, err := unix.Sendfile(fd, int(src), &pos, int(min(seg.end-seg.pos, sendfilePieceBytes)))
	if n == 0 && err == nil {
		err = readRange(seg.file, make([]byte, 1), seg.pos) // the file has become shorter
		if err != nil {
			seg.unreadable(err)
		}
		return 0, err
	}
	if err == unix.EIO { // no socket fails so
		err = fmt.Errorf("cannot send %s from position %d on: %w", seg.file.Name(), seg.pos, err)
		seg.unreadable(err)
	}
	return int64(max(n, 0)), err
}

// flags holds a partial packet back while a file range is to follow it.
func (s *rawSocket) flags(pieces int) int {
	if s.out.at+pieces < len(s.out.segs) {
		return unix.MSG_NOSIGNAL | unix.MSG_MORE
	}
	return unix.MSG_NOSIGNAL
}
