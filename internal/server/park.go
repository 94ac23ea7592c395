package server

import (
	"errors"
	"os"
	"runtime/debug"
	"time"
)

const (
	// parkAfter is how long a connection must have been silent before it gives up its goroutine, whose stack
	// is most of what an idle connection costs. What a wake costs, some 10 us, is nothing to who speaks once a second.
	parkAfter = time.Second
	// unstackAfter is how many connections must have been parked before their stacks are given back to the
	// system at once: 4 MB. Fewer are left to the garbage collector's next turn.
	unstackAfter = 1000
	// unstackInterval spaces these collections: each looks through the whole heap.
	unstackInterval = time.Minute
)

// errParked ends the goroutine of a connection that goes on without one.
var errParked = errors.New("parked")

// descriptor is a socket that can be waited for without a goroutine.
type descriptor interface {
	// control runs f on the descriptor, unless the connection is closed.
	control(f func(fd uintptr)) error
}

// parkingLot is where connections are parked, made on first use; nil where there is none, and at the end.
func (s *Server) parkingLot() *lot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lot == nil && !s.stopping && !s.lotFailed {
		var err error
		if s.lot, err = newLot(); err != nil {
			s.lotFailed = true
			s.cfg.Log.Warn("idle connections keep their goroutines", "cause", err)
		} else if s.lot != nil {
			s.accepting.Go(s.lot.attend)
		}
	}
	return s.lot
}

// existingLot is the same without making one.
func (s *Server) existingLot() *lot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lot
}

// closeLot ends the waiting; who is parked has been told to go on, or will be closed.
func (s *Server) closeLot() {
	s.mu.Lock()
	l := s.lot
	s.lot = nil
	s.mu.Unlock()
	if l != nil {
		l.close()
	}
}

// goOn is the life of a connection from when it was parked.
func (c *Conn) goOn() { c.settle(c.readLoop()) }

// overslept says what is to become of a wait for input that its deadline has ended: the sweeper wants the connection
// parked, or the server shuts down. Nil: it is to wait on.
func (c *Conn) overslept() error {
	c.nc.SetReadDeadline(time.Time{}) // before the look at draining, which is set before its deadline is
	idle := time.Duration(c.srv.now()-c.lastReadAt.Load()) >= parkAfter && c.in.buf == nil
	c.mu.Lock()
	if err := c.haltLocked(); err != nil || !idle {
		c.mu.Unlock()
		return err
	}
	c.parked = true
	c.mu.Unlock()
	if l := c.srv.parkingLot(); l != nil && l.add(c) == nil {
		return errParked // and nothing of the connection is this goroutine's any more
	}
	if c.claimParked() {
		return nil
	}
	return errParked
}

// claimParked says whether the caller is the one to go on with a parked connection.
func (c *Conn) claimParked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.parked
	c.parked = false
	return was
}

// parkIfIdle has a connection that has been silent give up its goroutine.
func (c *Conn) parkIfIdle(now int64) (asked bool) {
	if _, can := c.io.(descriptor); !can || time.Duration(now-c.lastReadAt.Load()) < parkAfter {
		return false
	}
	c.mu.Lock()
	idle := !c.active && !c.parked && !c.draining && !c.closed
	c.mu.Unlock()
	return idle && c.srv.parkingLot() != nil && c.nc.SetReadDeadline(c.srv.pastDeadline()) == nil
}

// isDeadline tells the end of a wait from the end of a connection.
func isDeadline(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// unstack gives the stacks of parked connections back, when there are many of them and no more are being parked.
func (s *Server) unstack(now int64, parked int) {
	if s.unstacking += parked; parked > 0 || s.unstacking < unstackAfter {
		return
	}
	if s.unstackedAt != 0 && time.Duration(now-s.unstackedAt) < unstackInterval {
		return
	}
	s.unstacking, s.unstackedAt = 0, now
	s.background(debug.FreeOSMemory)
}
