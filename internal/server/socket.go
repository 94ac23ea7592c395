package server

import (
	"errors"
	"io"
	"net"
	"time"
)

// socket is how a connection's bytes move. The reading goroutine alone reads; one
// goroutine at a time writes.
type socket interface {
	// fill waits until something can be read and reads it. It takes its buffer only when
	// bytes are there, where the system can tell.
	fill(c *Conn) error
	// send sends segs in order from where out stands. A blocking one returns when all is
	// sent or the connection has failed. One that must not block returns errWouldBlock when the
	// socket takes no more; out stands where it is to go on.
	send(c *Conn, out *outbound, blocking bool) error
}

// errWouldBlock says that the rest must be sent by someone who may wait.
var errWouldBlock = errors.New("the socket takes no more at present")

// idleReadBytes is what a connection without readiness (TLS, memory) keeps to read into while it is idle.
const idleReadBytes = 1 << 10

// plainSocket works over any net.Conn. It cannot write without blocking.
type plainSocket struct {
	nc   net.Conn
	idle []byte
}

func newPlainSocket(nc net.Conn) *plainSocket {
	return &plainSocket{nc: nc, idle: make([]byte, idleReadBytes)}
}

func (s *plainSocket) fill(c *Conn) error {
	if c.in.buf != nil {
		n, err := s.nc.Read(c.in.space(&c.srv.buffers))
		c.in.advance(n)
		return readError(n, err)
	}
	n, err := s.nc.Read(s.idle)
	if n > 0 {
		c.in.advance(copy(c.in.space(&c.srv.buffers), s.idle[:n]))
	}
	return readError(n, err)
}

// readError is nil when something has been read: what is wrong will be met again by the next read.
func readError(n int, err error) error {
	if n > 0 || err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return ErrClosedByPeer
	}
	return err
}

func (s *plainSocket) send(c *Conn, out *outbound, blocking bool) error {
	if !blocking {
		return errWouldBlock
	}
	for out.pending() {
		n, err := s.write(out)
		out.advance(n)
		c.noteProgress()
		if err != nil {
			return err
		}
	}
	return nil
}

// write sends the next pieces: by one writev where there is one, else joined, so that TLS
// makes few records of them.
func (s *plainSocket) write(out *outbound) (int64, error) {
	pieces, err := out.gather(copyBytes, false)
	if err != nil {
		return 0, err
	}
	if _, ok := s.nc.(*net.TCPConn); ok {
		bufs := net.Buffers(pieces)
		return bufs.WriteTo(s.nc)
	}
	n, err := s.nc.Write(out.join(pieces))
	return int64(n), err
}

// noteProgress tells the sweeper that the write under way has moved.
func (c *Conn) noteProgress() { c.writingFrom.Store(c.srv.now()) }

// pastDeadline wakes a read at once: it has passed by the machine's clock and by the server's.
func (s *Server) pastDeadline() time.Time {
	past := s.cfg.Clock.Now().Add(-time.Hour)
	if epoch := time.Unix(1, 0); epoch.Before(past) {
		return epoch
	}
	return past
}

func (c *Conn) noteProgressIf(moved bool) {
	if moved {
		c.noteProgress()
	}
}
