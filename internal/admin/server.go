package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/obs"
)

// Bounds of the listener: it serves a scraper, a supervisor and an operator, not a crowd.
const (
	maxConnections    = 64
	maxHeaderBytes    = 16 << 10
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	// A CPU profile takes as long as it is asked to, so writing has no time limit of its own; reading has.
	readTimeout = 30 * time.Second
)

// Options are what the listener needs.
type Options struct {
	Address     string // host:port
	AllowRemote bool   // bind addresses other than loopback
	Listen      func(address string) (net.Listener, error)
	Registry    *obs.Registry
	Health      *obs.Health
	Log         *slog.Logger
}

// Server is a running listener.
type Server struct {
	listener net.Listener
	http     *http.Server
	done     chan struct{}
}

// Start listens and serves.
func Start(o Options) (*Server, error) {
	if !o.AllowRemote {
		if err := mustBeLoopback(o.Address); err != nil {
			return nil, fmt.Errorf("cannot start the admin listener: %w", err)
		}
	}
	l, err := o.Listen(o.Address)
	if err != nil {
		return nil, fmt.Errorf("cannot start the admin listener on %s: %w", o.Address, err)
	}
	if !o.AllowRemote {
		// A name such as localhost may have been resolved to anything.
		if err := mustBeLoopback(l.Addr().String()); err != nil {
			_ = l.Close() // it has served nobody
			return nil, fmt.Errorf("cannot start the admin listener on %s: %w", o.Address, err)
		}
	}
	s := &Server{listener: l, done: make(chan struct{})}
	s.http = &http.Server{
		Handler: routes(o), ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(&limited{Listener: l, free: make(chan struct{}, maxConnections)}); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the admin listener has ended", "err", err)
		}
	}()
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close stops listening and lets requests that are being answered end until ctx does.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.done
	return err
}

func mustBeLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s is not of the form host:port", address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is not a loopback address, and the listener asks nobody for a password; set moldau.admin.allow.remote=true if that is meant", address)
	}
	return nil
}

// limited holds the open connections to a number: more wait to be accepted.
type limited struct {
	net.Listener
	free chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &counted{Conn: c, release: sync.OnceFunc(func() { <-l.free })}, nil
}

type counted struct {
	net.Conn
	release func()
}

func (c *counted) Close() error {
	c.release()
	return c.Conn.Close()
}
