package server

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/wire"
)

// State is how far a connection has come.
type State int32

const (
	// Handshake is the TLS handshake, where there is one.
	Handshake State = iota
	// Authenticating serves only ApiVersions and the SASL APIs.
	Authenticating
	// Ready serves everything in the listener's table.
	Ready
)

func (s State) String() string {
	return [...]string{"handshake", "authenticating", "ready"}[s]
}

// Why connections end.
var (
	ErrClosedByPeer = errors.New("the peer has closed the connection")
	ErrIdle         = errors.New("no request within connections.max.idle.ms")
	ErrStuck        = errors.New("the peer takes no more of its responses")
	ErrAuthTimeout  = errors.New("not authenticated in time")
	ErrShutdown     = errors.New("the server shuts down")
	ErrMadeRoom     = errors.New("closed to make room for an inter-broker connection within max.connections")
)

// Conn is one connection. Handlers read its facts and keep values on it.
type Conn struct {
	srv      *Server
	lis      *listener
	number   uint64 // of all that the server has accepted
	id       string
	host     string // the peer's address without its port
	remote   net.Addr
	openedAt time.Time

	transport net.Conn // the connection that was accepted
	nc        net.Conn // the same, or TLS over it
	io        socket   // how bytes go in and out; see socket.go

	auth         security.Authenticator // the reading goroutine's
	in           inbound                // the reading goroutine's
	lastClientID string                 // the reading goroutine's
	expiresAt    time.Time              // the reading goroutine's; when the session ends, or zero

	state       atomic.Int32
	lastReadAt  atomic.Int64 // in the server's time, for the sweeper
	writingFrom atomic.Int64 // in the server's time, when the write under way last moved; 0 when there is none

	mu         sync.Mutex
	changed    sync.Cond        // on mu: an answer has left, the mute has ended, or the end has come
	active     bool             // guarded by mu; the reading goroutine is at work and will write
	writing    bool             // guarded by mu; one goroutine is sending
	parked     bool             // guarded by mu; there is no reading goroutine, see park.go
	draining   bool             // guarded by mu; no more requests are taken: the server shuts down, or an answer will close the connection
	closed     bool             // guarded by mu
	reason     error            // guarded by mu; why closed
	queue      queue            // guarded by mu
	readyN     int              // guarded by mu; answers that wait or are being sent
	readyBytes int64            // guarded by mu; their bytes
	mutedTill  time.Time        // guarded by mu
	session    security.Session // guarded by mu
	software   [2]string        // guarded by mu; name and version
	values     map[any]any      // guarded by mu
	onClose    []func()         // guarded by mu
}

func newConn(s *Server, l *listener, transport net.Conn, number uint64, id string) *Conn {
	nc := l.cfg.Auth.Transport(transport)
	now := s.cfg.Clock.Now()
	c := &Conn{srv: s, lis: l, number: number, id: id, transport: transport, nc: nc, remote: nc.RemoteAddr(), host: hostOf(nc.RemoteAddr()), openedAt: now}
	c.auth = l.cfg.Auth.Authenticator(security.Peer{Listener: l.cfg.Name, Addr: c.remote})
	c.changed.L = &c.mu
	c.lastReadAt.Store(s.now())
	c.in.wantClass = bufferClass(minBufferBytes)
	c.io = newSocket(c, nc)
	return c
}

// Listener is the name of the listener that accepted the connection.
func (c *Conn) Listener() string { return c.lis.cfg.Name }

// Kind is the kind of that listener.
func (c *Conn) Kind() wire.Listener { return c.lis.cfg.Table.Kind() }

// Table is what that listener serves.
func (c *Conn) Table() *wire.Table { return c.lis.cfg.Table }

// Protocol is that listener's security protocol.
func (c *Conn) Protocol() security.Protocol { return c.lis.cfg.Auth.Protocol() }

// ID names the connection in logs, as Kafka does: local and remote address and a number.
func (c *Conn) ID() string { return c.id }

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// RemoteHost is the peer's IP address, as text.
func (c *Conn) RemoteHost() string { return c.host }

// LocalAddr is the address that the peer has connected to.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// OpenedAt is when it was accepted.
func (c *Conn) OpenedAt() time.Time { return c.openedAt }

// NetConn is the connection underneath, a *tls.Conn where there is TLS, for what its
// handshake tells. It must not be read, written or closed.
func (c *Conn) NetConn() net.Conn { return c.nc }

// State is how far the connection has come.
func (c *Conn) State() State { return State(c.state.Load()) }

// Principal is who the peer is: User:ANONYMOUS until, and unless, it has authenticated.
func (c *Conn) Principal() security.Principal {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.Principal == (security.Principal{}) {
		return security.Anonymous()
	}
	return c.session.Principal
}

// Software is the client's name and version as its ApiVersions request gave them, or empty.
func (c *Conn) Software() (name, version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.software[0], c.software[1]
}

func (c *Conn) setSoftware(name, version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.software[0] != name || c.software[1] != version {
		c.software = [2]string{name, version}
	}
}

// Value is what SetValue has kept under key, or nil.
func (c *Conn) Value(key any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[key]
}

// SetValue keeps a value for the life of the connection. Keys are of the caller's own type.
func (c *Conn) SetValue(key, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil {
		c.values = map[any]any{}
	}
	c.values[key] = value
}

// OnClose has f called once, on another goroutine, when the connection has ended; at once when it has already.
func (c *Conn) OnClose(f func()) {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.onClose = append(c.onClose, f)
	}
	c.mu.Unlock()
	if closed {
		f()
	}
}

// Closed says whether the connection has ended: an answer to it goes nowhere.
func (c *Conn) Closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Close ends the connection at once; answers that have not left are dropped.
func (c *Conn) Close(reason error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed, c.reason = true, reason
	dropped, parked := c.dropQueueLocked(), c.parked
	c.parked = false
	c.changed.Broadcast()
	c.mu.Unlock()
	c.transport.Close() // wakes the reader and the writer; what it returns tells nothing more
	for _, r := range dropped {
		c.finish(r, new(RequestStats), reason, 0, 0)
	}
	if parked {
		c.srv.background(func() { c.settle(reason) })
	}
}

// dropQueueLocked empties the queue and returns the requests that were answered, whose
// answers are to be released. Those that are not answered yet are released when they are.
func (c *Conn) dropQueueLocked() []*Request {
	var dropped []*Request
	for c.queue.n > 0 {
		if r := c.queue.pop(); r.answered {
			r.taken = true
			dropped = append(dropped, r)
		}
	}
	c.readyN -= len(dropped)
	return dropped
}

// closeReason is why the connection has ended, or nil.
func (c *Conn) closeReason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

func (c *Conn) describe() string { return fmt.Sprintf("%s %s", c.lis.cfg.Name, c.id) }

func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}
