package netx

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
)

const (
	// firstFreePort is where the ports begin that port 0 gives out, as on Linux.
	firstFreePort = 32768
	// backlog bounds the connections that wait to be accepted, as a system does; a dial beyond waits.
	backlog = 128
)

// Mem is a network in memory. All its methods may be called at any time.
type Mem struct {
	clock clock.Clock

	mu        sync.Mutex
	changed   chan struct{} // guarded by mu; closed and renewed when a link or listener changes
	listeners map[string]*memListener
	links     map[link]linkState
	conns     map[*memConn]struct{} // one end of each connection
	nextPort  int
	lives     map[string]int        // of each host, how often it has crashed
	orphans   map[string][]*memConn // of each host, connections of which it knew nothing any more when it came back
}

// link is the way from one host to another.
type link struct{ from, to string }

type linkState struct {
	delay   time.Duration
	blocked bool
}

// NewMem returns a network without hosts; a host comes to be when it is named.
func NewMem(c clock.Clock) *Mem {
	return &Mem{
		clock: c, changed: make(chan struct{}), listeners: map[string]*memListener{},
		links: map[link]linkState{}, conns: map[*memConn]struct{}{}, nextPort: firstFreePort, lives: map[string]int{}, orphans: map[string][]*memConn{},
	}
}

// Host is the network as one host sees it. It listens only on itself.
func (m *Mem) Host(name string) Network {
	m.mu.Lock()
	h, orphans := memHost{m, name, m.lives[name]}, m.orphans[name]
	delete(m.orphans, name)
	m.mu.Unlock()
	for _, c := range orphans {
		c.towards(name).reborn(c)
	}
	return h
}

type memHost struct {
	m    *Mem
	name string
	life int
}

// SetDelay makes each byte from one host take d to the other, and each byte back as well.
func (m *Mem) SetDelay(a, b string, d time.Duration) {
	m.change(a, b, func(l *linkState) { l.delay = d })
}

// Partition holds back everything between two hosts, new connections too, until Heal.
func (m *Mem) Partition(a, b string) { m.change(a, b, func(l *linkState) { l.blocked = true }) }

// Heal ends a partition; what was held back arrives.
func (m *Mem) Heal(a, b string) { m.change(a, b, func(l *linkState) { l.blocked = false }) }

// Block holds back what goes from one host to the other, and not what comes back.
func (m *Mem) Block(from, to string) {
	m.mu.Lock()
	m.changeLinkLocked(link{from, to}, func(l *linkState) { l.blocked = true })
	m.mu.Unlock()
	m.wakeAll()
}

// Reset breaks the connections between two hosts; both ends see that at once.
func (m *Mem) Reset(a, b string) {
	for _, c := range m.between(a, b) {
		c.reset(syscall.ECONNRESET)
	}
}

// Drop lets the connections between two hosts die without a word, as when a machine
// loses power: what is sent vanishes, and nothing arrives any more.
func (m *Mem) Drop(a, b string) {
	for _, c := range m.between(a, b) {
		c.in.vanish()
		c.out.vanish()
	}
}

func (m *Mem) change(a, b string, f func(*linkState)) {
	m.mu.Lock()
	m.changeLinkLocked(link{a, b}, f)
	m.changeLinkLocked(link{b, a}, f)
	m.mu.Unlock()
	m.wakeAll()
}

func (m *Mem) changeLinkLocked(l link, f func(*linkState)) {
	state := m.links[l]
	f(&state)
	m.links[l] = state
	m.announceLocked()
}

func (m *Mem) announceLocked() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Mem) state(l link) linkState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.links[l]
}

func (m *Mem) between(a, b string) []*memConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*memConn
	for c := range m.conns {
		if l := c.out.link; l == (link{a, b}) || l == (link{b, a}) {
			out = append(out, c)
		}
	}
	return out
}

// wakeAll has every stream look again at its link.
func (m *Mem) wakeAll() {
	m.mu.Lock()
	var streams []*stream
	for c := range m.conns {
		streams = append(streams, c.in, c.out)
	}
	m.mu.Unlock()
	for _, s := range streams {
		s.wake()
	}
}

// Listen binds a port of the host.
func (h memHost) Listen(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	if host != "" && host != "0.0.0.0" && host != h.name {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: memAddr(address), Err: syscall.EADDRNOTAVAIL}
	}
	m := h.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.deadLocked() {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: memAddr(address), Err: errDead}
	}
	if port == "0" {
		port = m.freePortLocked()
	}
	addr := memAddr(net.JoinHostPort(h.name, port))
	if m.listeners[string(addr)] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: addr, Err: syscall.EADDRINUSE}
	}
	l := &memListener{m: m, host: h.name, addr: addr, accepted: make(chan *memConn, backlog), done: make(chan struct{})}
	m.listeners[string(addr)] = l
	m.announceLocked()
	return l, nil
}

func (m *Mem) freePortLocked() string {
	m.nextPort++
	return strconv.Itoa(m.nextPort)
}

// Dial connects to a listening host.
func (h memHost) Dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := h.dial(ctx, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: memAddr(address), Err: err}
	}
	return c, nil
}

func (h memHost) dial(ctx context.Context, address string) (*memConn, error) {
	to, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if err := h.m.travel(ctx, link{h.name, to}); err != nil {
		return nil, err
	}
	near, far, l, err := h.m.connect(h, address)
	if err != nil {
		return nil, err
	}
	select {
	case l.accepted <- far:
		if l.closing() { // Close may have looked before far was there
			near.reset(syscall.ECONNRESET)
		}
	case <-l.done:
		near.reset(syscall.ECONNREFUSED)
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		near.reset(syscall.ECONNRESET)
		return nil, ctx.Err()
	}
	if err := h.m.travel(ctx, link{to, h.name}); err != nil {
		near.reset(syscall.ECONNRESET)
		return nil, err
	}
	return near, nil
}

// connect makes both ends of a connection.
func (m *Mem) connect(h memHost, address string) (near, far *memConn, l *memListener, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := h.name
	if h.deadLocked() {
		return nil, nil, nil, errDead
	}
	if l = m.listeners[address]; l == nil {
		return nil, nil, nil, syscall.ECONNREFUSED
	}
	to, _, _ := net.SplitHostPort(address)
	here := memAddr(net.JoinHostPort(from, m.freePortLocked()))
	there, back := newStream(m, link{from, to}), newStream(m, link{to, from})
	near = &memConn{m: m, in: back, out: there, local: here, remote: l.addr}
	far = &memConn{m: m, in: there, out: back, local: l.addr, remote: here}
	near.peer, far.peer = far, near
	m.conns[near] = struct{}{}
	return near, far, l, nil
}

// travel waits as long as one packet takes over a link: for its delay, and for the end of a partition.
func (m *Mem) travel(ctx context.Context, l link) error {
	for {
		m.mu.Lock()
		state, changed := m.links[l], m.changed
		m.mu.Unlock()
		if !state.blocked {
			return m.sleep(ctx, state.delay)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *Mem) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	over := make(chan struct{})
	t := m.clock.AfterFunc(d, func() { close(over) })
	defer t.Stop()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *Mem) forget(c *memConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, c)
}

// memAddr is a "host:port".
type memAddr string

func (memAddr) Network() string  { return "tcp" }
func (a memAddr) String() string { return string(a) }

type memListener struct {
	m        *Mem
	host     string
	addr     memAddr
	accepted chan *memConn
	done     chan struct{}
	once     sync.Once
}

func (l *memListener) closing() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *memListener) Accept() (net.Conn, error) {
	if l.closing() {
		return nil, l.closedError()
	}
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.done:
		return nil, l.closedError()
	}
}

func (l *memListener) closedError() error {
	return &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
}

// Close stops the listening; connections that nobody has accepted are reset.
func (l *memListener) Close() error {
	err := fmt.Errorf("cannot close the listener on %s: %w", l.addr, net.ErrClosed)
	l.once.Do(func() {
		err = nil
		l.m.mu.Lock()
		delete(l.m.listeners, string(l.addr))
		l.m.announceLocked()
		l.m.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.accepted:
				c.reset(syscall.ECONNRESET)
			default:
				return
			}
		}
	})
	return err
}

func (l *memListener) Addr() net.Addr { return l.addr }
