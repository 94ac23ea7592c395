package server

import "time"

// sweepInterval is how often every connection is looked at for having been idle, stuck or
// unauthenticated too long: fine enough for limits of seconds and more, and ten thousand
// connections cost well under a millisecond.
const sweepInterval = time.Second

// sweepNow closes what has waited too long and gives up unused buffers. One timer does for all
// connections, so that none of their reads and writes sets one.
func (s *Server) sweepNow() {
	now := s.now()
	parked := 0
	for _, c := range s.all() {
		if err := c.overdue(now); err != nil {
			if err == ErrStuck {
				s.cfg.Log.Info("a stuck connection is closed", "connection", c.describe(), "after", s.cfg.StuckWriteTimeout)
			}
			c.Close(err)
		} else if c.parkIfIdle(now) {
			parked++
		}
	}
	s.unstack(now, parked)
	s.buffers.trim()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping {
		s.sweep.Reset(sweepInterval)
	}
}

// overdue is why the connection is to be closed now, or nil.
func (c *Conn) overdue(now int64) error {
	if from := c.writingFrom.Load(); from != 0 && time.Duration(now-from) >= c.srv.cfg.StuckWriteTimeout {
		return ErrStuck
	}
	if c.State() != Ready && c.srv.at(now).Sub(c.openedAt) >= authTimeout {
		return ErrAuthTimeout
	}
	idle := c.srv.cfg.ConnectionsMaxIdle
	if idle < 0 || time.Duration(now-c.lastReadAt.Load()) < idle {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queue.n > 0 || c.writing {
		return nil // it waits for us, not we for it
	}
	return ErrIdle
}
