package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
)

// Server listens and serves. Build it with New, bind with Listen, begin with Serve, and end with Shutdown.
type Server struct {
	cfg       Config
	epoch     time.Time // the zero of now
	buffers   bufferPool
	smalls    sync.Pool // of *smallBuf
	outbounds sync.Pool // of *outbound
	produces  sync.Pool // of *produceRequest
	nextID    atomic.Uint64

	accepting sync.WaitGroup // accept loops
	running   sync.WaitGroup // connections and their writers

	mu        sync.Mutex
	room      sync.Cond // on mu: a connection has gone, the limits have changed, or the end has come
	limits    Limits
	listeners []*listener
	conns     map[*Conn]struct{}
	perIP     map[string]int
	stopping  bool
	sweep     clock.Timer
	lot       *lot // guarded by mu; see park.go
	lotFailed bool // guarded by mu

	unstacking  int   // the sweeper's; connections that were parked since stacks were last given back
	unstackedAt int64 // the sweeper's

	refusalLoggedAt  int64 // guarded by mu; 0 before the first
	refusalsUnlogged int   // guarded by mu
}

// listener is one bound address.
type listener struct {
	cfg     ListenerConfig
	nl      net.Listener
	serving bool // guarded by Server.mu
	conns   int  // guarded by Server.mu
}

// New checks a configuration.
func New(cfg Config) (*Server, error) {
	full, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: full, epoch: full.Clock.Now(), limits: full.Limits, conns: map[*Conn]struct{}{}, perIP: map[string]int{}}
	s.room.L = &s.mu
	return s, nil
}

// now is the time since the server was built, in nanoseconds, and never 0: steady where the clock is.
func (s *Server) now() int64 { return int64(s.cfg.Clock.Now().Sub(s.epoch)) + 1 }

// at turns now back into a time.
func (s *Server) at(now int64) time.Time { return s.epoch.Add(time.Duration(now - 1)) }

// Listen binds every listener, or none.
func (s *Server) Listen() error {
	for _, cfg := range s.cfg.Listeners {
		nl, err := s.cfg.Network.Listen(cfg.Address)
		if err != nil {
			s.closeListeners()
			return fmt.Errorf("cannot listen on %s for listener %s: %w", cfg.Address, cfg.Name, err)
		}
		s.mu.Lock()
		s.listeners = append(s.listeners, &listener{cfg: cfg, nl: nl})
		s.mu.Unlock()
	}
	return nil
}

// Addr is the address that a listener is bound to, or nil.
func (s *Server) Addr(name string) net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if l.cfg.Name == name {
			return l.nl.Addr()
		}
	}
	return nil
}

// Serve begins to accept on every bound listener and returns. With names it begins on
// those only; it may be called again for others.
func (s *Server) Serve(names ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return ErrShutdown
	}
	for _, l := range s.listeners {
		if l.serving || !wanted(l.cfg.Name, names) {
			continue
		}
		l.serving = true
		s.accepting.Add(1)
		go s.accept(l)
	}
	if s.sweep == nil {
		s.sweep = s.cfg.Clock.AfterFunc(sweepInterval, s.sweepNow)
	}
	return nil
}

func wanted(name string, names []string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return len(names) == 0
}

// SetLimits changes the limits; connections that exist stay.
func (s *Server) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
	s.room.Broadcast()
}

// Connections is how many connections there are.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Shutdown stops accepting, lets the requests that were taken be answered, and closes
// every connection. When ctx ends first it closes what is left, and returns why.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	if s.sweep != nil {
		s.sweep.Stop()
	}
	s.room.Broadcast()
	s.mu.Unlock()
	s.closeListeners()
	s.closeLot()
	s.accepting.Wait()
	for _, c := range s.all() {
		c.beginDrain()
	}
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	left := s.all()
	for _, c := range left {
		c.Close(ErrShutdown)
	}
	<-done
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("cannot finish the requests of %d connections before the shutdown: %w", len(left), context.Cause(ctx))
}

func (s *Server) closeListeners() {
	s.mu.Lock()
	listeners := s.listeners
	s.mu.Unlock()
	for _, l := range listeners {
		if err := l.nl.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			s.cfg.Log.Warn("cannot close a listener", "listener", l.cfg.Name, "error", err)
		}
	}
}

func (s *Server) all() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		out = append(out, c)
	}
	return out
}

// background runs f as part of the server.
func (s *Server) background(f func()) { s.running.Go(f) }
