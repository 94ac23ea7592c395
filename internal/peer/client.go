package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// defaultRequestTimeout is Kafka's controller.socket.timeout.ms and replica.socket.timeout.ms.
	defaultRequestTimeout = 30 * time.Second
	// firstBackoff and maxBackoff bound the pause before a connection is tried again: short enough that a node that
	// is back is found at once, long enough that one that is gone costs nothing.
	firstBackoff = 20 * time.Millisecond
	maxBackoff   = time.Second
	// maxQueued bounds the requests of one client that wait or are in flight.
	maxQueued = 10_000
	// defaultMaxResponseBytes bounds what a damaged length can make us allocate.
	defaultMaxResponseBytes = 256 << 20
	// setupTimeout bounds dialling and the handshake.
	setupTimeout = 5 * time.Second
)

// ErrClosed says that the client was closed.
var ErrClosed = errors.New("the connection to the peer was closed by this node")

// ErrBusy says that too many requests wait already.
var ErrBusy = errors.New("too many requests wait for the peer")

// Options is what a client is built from.
type Options struct {
	Network  netx.Network
	Addr     string // "host:port"
	ClientID string
	Clock    clock.Clock
	Logger   *slog.Logger // nil = silent
	// RequestTimeout is how long an answer may take, 0 = 30 s. Then the connection is given up, as nothing that comes
	// after could be trusted to come.
	RequestTimeout time.Duration
	// SetupTimeout bounds dialling and handshake; 0 = 5 s.
	SetupTimeout time.Duration
	// MaxResponseBytes bounds an answer; 0 = 256 MiB.
	MaxResponseBytes int
	// LendAnswers has the memory of an answer used again for the next one when done has returned: who keeps any of its bytes
	// longer (strings are copies, records are not) copies them.
	LendAnswers bool
	// OnDisconnect is told when a connection that stood is lost, but not when Close ends it. It must not block.
	OnDisconnect func(error)
	// Secure makes a secure connection of a plain one before anything is sent (TLS, SASL); nil = plaintext.
	Secure func(ctx context.Context, c net.Conn) (net.Conn, error)
}

// Client is one connection to another node.
type Client struct {
	o Options

	mu       sync.Mutex
	queue    []*call // not sent yet, in order
	inFlight []*call // sent, in order
	telling  bool    // the reader calls the last one that was in flight back, and sends what is queued meanwhile
	running  bool    // the goroutine that connects and writes is there
	closed   bool
	conn     net.Conn
	connErr  error // why conn was given up
	backoff  time.Duration
	notUntil time.Time
	wake     chan struct{}
	quit     chan struct{} // closed by Close
	timer    clock.Timer   // runs when the oldest call is due
	done     sync.WaitGroup

	spare sync.Pool // *[]byte, of answers that were lent; the garbage collector frees what is not used for a while
}

// call is one request under way.
type call struct {
	req     kmsg.Request
	done    func(kmsg.Response, error)
	id      int32
	due     time.Time
	version int16
}

// New returns a client that is not connected yet.
func New(o Options) *Client {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = defaultRequestTimeout
	}
	if o.SetupTimeout <= 0 {
		o.SetupTimeout = setupTimeout
	}
	if o.MaxResponseBytes <= 0 {
		o.MaxResponseBytes = defaultMaxResponseBytes
	}
	return &Client{o: o, wake: make(chan struct{}, 1), quit: make(chan struct{})}
}

// Addr is where the client connects to.
func (c *Client) Addr() string { return c.o.Addr }

// Do sends a request; done is called once, from another goroutine. Requests leave in the order of their Do. The version
// is the newest that both sides know. The request must not be changed until done.
func (c *Client) Do(req kmsg.Request, done func(kmsg.Response, error)) {
	c.mu.Lock()
	var err error
	switch {
	case c.closed:
		err = ErrClosed
	case len(c.queue)+len(c.inFlight) >= maxQueued:
		err = ErrBusy
	}
	if err != nil {
		c.mu.Unlock()
		go done(nil, err)
		return
	}
	c.queue = append(c.queue, &call{req: req, done: done, due: c.o.Clock.Now().Add(c.o.RequestTimeout)})
	if c.timer == nil {
		c.arm(c.o.RequestTimeout)
	}
	if !c.running {
		c.running = true
		c.done.Add(1)
		go c.run()
	}
	if !c.telling {
		c.signal()
	}
	c.mu.Unlock()
}

// Call is Do for callers who wait. When ctx ends first, the request may still be carried out.
func (c *Client) Call(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	type result struct {
		resp kmsg.Response
		err  error
	}
	done := make(chan result, 1)
	c.Do(req, func(resp kmsg.Response, err error) { done <- result{resp, err} })
	select {
	case r := <-done:
		return r.resp, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s has not answered: %w", c.o.Addr, ctx.Err())
	}
}

// Close ends the connection; requests under way get ErrClosed. It returns when no goroutine is left.
func (c *Client) Close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.quit)
		if c.timer != nil {
			c.timer.Stop()
		}
		if c.conn != nil {
			_ = c.conn.Close()
		}
	}
	c.mu.Unlock()
	c.done.Wait()
}

// Break ends the connection of now with an error; the next request makes a new one.
func (c *Client) Break(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveUpLocked(c.conn, why)
}

// signal wakes the writer. The lock is held.
func (c *Client) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// giveUpLocked closes a connection; the goroutines that use it see that and end.
func (c *Client) giveUpLocked(conn net.Conn, why error) {
	if conn == nil || c.conn != conn {
		return
	}
	if c.connErr == nil {
		c.connErr = why
	}
	_ = conn.Close()
	c.signal()
}

// arm sets the timer for the oldest call. The lock is held.
func (c *Client) arm(d time.Duration) {
	c.timer = c.o.Clock.AfterFunc(d, c.expire)
}

// expire gives up when the oldest call has waited too long.
func (c *Client) expire() {
	now := c.o.Clock.Now()
	c.mu.Lock()
	c.timer = nil
	if c.closed {
		c.mu.Unlock()
		return
	}
	var late []*call
	if len(c.inFlight) > 0 && !c.inFlight[0].due.After(now) {
		c.giveUpLocked(c.conn, fmt.Errorf("%s has not answered a request within %s", c.o.Addr, c.o.RequestTimeout))
	} else if len(c.inFlight) == 0 {
		for len(c.queue) > 0 && !c.queue[0].due.After(now) {
			late = append(late, c.queue[0])
			c.queue = c.queue[1:]
		}
	}
	switch {
	case len(c.inFlight) > 0 && c.inFlight[0].due.After(now):
		c.arm(c.inFlight[0].due.Sub(now))
	case len(c.inFlight) > 0:
		c.arm(c.o.RequestTimeout) // the connection was given up, and its calls end with it
	case len(c.queue) > 0:
		c.arm(c.queue[0].due.Sub(now))
	}
	c.mu.Unlock()
	for _, x := range late {
		x.done(nil, fmt.Errorf("cannot reach %s within %s", c.o.Addr, c.o.RequestTimeout))
	}
}

// run connects, writes, and ends with the connection.
func (c *Client) run() {
	defer c.done.Done()
	err := c.pause()
	var s *session
	if err == nil {
		s, err = c.connect()
	}
	if err == nil {
		err = s.serve()
		if c.o.OnDisconnect != nil && !errors.Is(err, ErrClosed) {
			c.o.OnDisconnect(err)
		}
	}
	c.end(s != nil, err)
}

// pause waits until the next try is allowed.
func (c *Client) pause() error {
	c.mu.Lock()
	wait := c.notUntil.Sub(c.o.Clock.Now())
	c.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	elapsed := make(chan struct{})
	t := c.o.Clock.AfterFunc(wait, func() { close(elapsed) })
	defer t.Stop()
	select {
	case <-elapsed:
		return nil
	case <-c.quit:
		return ErrClosed
	}
}

// end fails what is under way. What was queued while the connection was lost is tried on the next one.
func (c *Client) end(stood bool, err error) {
	c.mu.Lock()
	failed := c.inFlight
	c.inFlight = nil
	if !stood || c.closed {
		failed = append(failed, c.queue...)
		c.queue = nil
	}
	if stood {
		c.backoff = 0
	}
	c.backoff = min(max(2*c.backoff, firstBackoff), maxBackoff)
	c.notUntil = c.o.Clock.Now().Add(c.backoff)
	c.conn, c.connErr = nil, nil
	if c.closed {
		err = ErrClosed
	}
	c.running = len(c.queue) > 0
	if c.running {
		c.done.Add(1)
		go c.run()
	}
	if len(c.queue) == 0 && c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.mu.Unlock()
	for _, x := range failed {
		x.done(nil, err)
	}
}
