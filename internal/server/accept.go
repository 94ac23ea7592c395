package server

import (
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// acceptBackoffMin and acceptBackoffMax space the tries of an accept that fails, as
	// it does while the process has no descriptor left.
	acceptBackoffMin = 5 * time.Millisecond
	acceptBackoffMax = time.Second
	// refusalLogInterval is the time between two log lines about refused connections.
	refusalLogInterval = time.Second
)

// accept takes the connections of one listener.
func (s *Server) accept(l *listener) {
	defer s.accepting.Done()
	backoff := acceptBackoffMin
	for {
		nc, err := l.nl.Accept()
		if err == nil {
			backoff = acceptBackoffMin
			s.take(l, nc)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.cfg.Log.Error("cannot accept a connection", "listener", l.cfg.Name, "error", err, "retryAfter", backoff)
		s.sleep(backoff)
		backoff = min(2*backoff, acceptBackoffMax)
	}
}

func (s *Server) hasRoomLocked(l *listener) bool {
	if l.cfg.MaxConnections > 0 && l.conns >= l.cfg.MaxConnections {
		return false
	}
	return s.limits.MaxConnections <= 0 || len(s.conns) < s.limits.MaxConnections || s.protected(l)
}

// protected says whether the listener's connections may displace others.
func (s *Server) protected(l *listener) bool {
	return l.cfg.Name == s.cfg.InterBrokerListener && len(s.listeners) > 1
}

// take makes a connection of what was accepted, unless its address has too many. Where
// max.connections is reached it waits, as Kafka's acceptor does, and leaves all others in the
// system's backlog.
func (s *Server) take(l *listener, nc net.Conn) {
	s.tune(nc)
	number := s.nextID.Add(1)
	c := newConn(s, l, nc, number, fmt.Sprintf("%s-%s-%d", nc.LocalAddr(), nc.RemoteAddr(), number))
	displaced, err := s.remember(c)
	if err != nil {
		s.cfg.Observer.ConnRefused(l.cfg.Name, c.host, err)
		s.logRefusal(c, err)
		nc.Close()
		return
	}
	if displaced != nil {
		displaced.Close(ErrMadeRoom)
	}
	s.cfg.Observer.ConnOpened(c)
	s.background(c.run)
}

func (s *Server) remember(c *Conn) (displaced *Conn, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.stopping && !s.hasRoomLocked(c.lis) {
		s.room.Wait()
	}
	if s.stopping {
		return nil, ErrShutdown
	}
	if limit, bounded := s.limits.perIP(c.host); bounded && s.perIP[c.host] >= limit {
		return nil, fmt.Errorf("%s has %d connections, as many as max.connections.per.ip allows", c.host, limit)
	}
	if s.limits.MaxConnections > 0 && len(s.conns) >= s.limits.MaxConnections {
		displaced = s.quietestLocked(c.lis)
	}
	s.conns[c] = struct{}{}
	s.perIP[c.host]++
	c.lis.conns++
	return displaced, nil
}

// perIP is how many connections an address may have.
func (l *Limits) perIP(host string) (limit int, bounded bool) {
	if n, ok := l.MaxConnectionsPerIPOverrides[host]; ok {
		return n, true
	}
	return l.MaxConnectionsPerIP, l.MaxConnectionsPerIP > 0 || len(l.MaxConnectionsPerIPOverrides) > 0
}

// quietestLocked is the connection of another listener that has asked nothing for the longest time, or nil.
func (s *Server) quietestLocked(but *listener) *Conn {
	var quietest *Conn
	for c := range s.conns {
		if c.lis != but && (quietest == nil || c.lastReadAt.Load() < quietest.lastReadAt.Load()) {
			quietest = c
		}
	}
	return quietest
}

// forget removes a connection that has ended.
func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	c.lis.conns--
	if s.perIP[c.host]--; s.perIP[c.host] == 0 {
		delete(s.perIP, c.host)
	}
	s.room.Broadcast()
}

// logRefusal logs one refused connection a second; a client in a loop must not fill the log.
func (s *Server) logRefusal(c *Conn, reason error) {
	s.mu.Lock()
	now := s.now()
	quiet := s.refusalLoggedAt != 0 && time.Duration(now-s.refusalLoggedAt) < refusalLogInterval
	if quiet {
		s.refusalsUnlogged++
	} else {
		s.refusalLoggedAt = now
	}
	more := s.refusalsUnlogged
	if !quiet {
		s.refusalsUnlogged = 0
	}
	s.mu.Unlock()
	if !quiet {
		s.cfg.Log.Info("connection refused", "listener", c.Listener(), "remote", c.host, "reason", reason, "refusedSinceTheLastLine", more)
	}
}

// tune sets the socket's options. A socket that refuses one still serves.
func (s *Server) tune(nc net.Conn) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	var errs []error
	if n := s.cfg.SocketSendBufferBytes; n > 0 {
		errs = append(errs, tcp.SetWriteBuffer(n))
	}
	if n := s.cfg.SocketReceiveBufferBytes; n > 0 {
		errs = append(errs, tcp.SetReadBuffer(n))
	}
	errs = append(errs, tcp.SetNoDelay(true), tcp.SetKeepAlive(true))
	if err := errors.Join(errs...); err != nil {
		s.cfg.Log.Debug("cannot set a socket's options", "remote", nc.RemoteAddr().String(), "error", err)
	}
}

// sleep waits for d or the end of the server.
func (s *Server) sleep(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	over := false
	t := s.cfg.Clock.AfterFunc(d, func() {
		s.mu.Lock()
		over = true
		s.room.Broadcast()
		s.mu.Unlock()
	})
	defer t.Stop()
	for !over && !s.stopping {
		s.room.Wait()
	}
}
