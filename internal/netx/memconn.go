package netx

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// memConn is one end of a connection in memory.
type memConn struct {
	m      *Mem
	in     *stream
	out    *stream
	local  memAddr
	remote memAddr
	peer   *memConn
	once   sync.Once
	closed atomic.Bool
}

func (c *memConn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.wrap("read", err)
}

func (c *memConn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.wrap("write", err)
}

func (c *memConn) wrap(op string, err error) error {
	if err == nil || isEOF(err) {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// CloseWrite ends what this end sends; the other reads the rest and then the end.
func (c *memConn) CloseWrite() error {
	c.out.finish()
	return nil
}

// Close ends both ways. What was written still arrives.
func (c *memConn) Close() error {
	err := error(net.ErrClosed)
	c.once.Do(func() {
		err = nil
		c.out.finish()
		c.out.fail(side{writer: true}, net.ErrClosed)
		c.in.fail(side{reader: true}, net.ErrClosed)
		c.in.fail(side{writer: true}, syscall.EPIPE)
		c.closed.Store(true)
		if c.peer.closed.Load() { // until then what this end has sent may still be on its way
			c.m.forget(c)
			c.m.forget(c.peer)
		}
	})
	return c.wrap("close", err)
}

// reset breaks the connection for both ends; what was on its way is lost.
func (c *memConn) reset(err error) {
	both := side{reader: true, writer: true}
	c.in.fail(both, err)
	c.out.fail(both, err)
	c.m.forget(c)
	c.m.forget(c.peer)
}

func (c *memConn) LocalAddr() net.Addr  { return c.local }
func (c *memConn) RemoteAddr() net.Addr { return c.remote }

func (c *memConn) SetDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}
