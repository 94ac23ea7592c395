package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/moldau-stream/moldau/internal/invariant"
	"github.com/moldau-stream/moldau/internal/wire"
)

// errDraining ends the reading of a connection whose server shuts down.
var errDraining = errors.New("draining")

// run is the life of a connection, on its own goroutine.
func (c *Conn) run() {
	err := c.greet()
	if err == nil {
		err = c.readLoop()
	}
	c.settle(err)
}

// settle ends the connection after its reading has ended, unless it is parked.
func (c *Conn) settle(err error) {
	if err == errParked {
		return
	}
	if errors.Is(err, errDraining) {
		err = c.drain()
	}
	c.rest() // what is answered still goes out, whatever ended the reading
	if t, ok := c.nc.(*tls.Conn); ok {
		t.Close() // says goodbye in TLS, if the peer still listens; the transport is closed below
	}
	c.Close(err)
	c.awaitWriter()
	c.end()
}

// awaitWriter waits for the goroutine that was writing when the connection was closed, which the
// close has woken.
func (c *Conn) awaitWriter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.writing {
		c.changed.Wait()
	}
}

// greet brings the connection to the state from which its listener's protocol starts.
func (c *Conn) greet() error {
	if t, ok := c.nc.(*tls.Conn); ok {
		if err := t.Handshake(); err != nil { // the sweeper closes one that takes too long
			return fmt.Errorf("cannot complete the TLS handshake: %w", err)
		}
	}
	c.state.Store(int32(Authenticating))
	c.noteSession()
	return nil
}

func (c *Conn) readLoop() error {
	for {
		frame, err := c.in.next(c.maxFrameBytes())
		if err != nil {
			return err
		}
		if frame == nil {
			if err := c.wait(); err != nil {
				return err
			}
			continue
		}
		if err := c.serveFrame(frame); err != nil {
			return err
		}
	}
}

func (c *Conn) maxFrameBytes() int {
	if c.State() == Ready {
		return c.srv.cfg.SocketRequestMaxBytes
	}
	return min(wire.MaxFrameBytesBeforeAuth, c.srv.cfg.SocketRequestMaxBytes)
}

// wait sends what is ready, leaves later answers to whoever gives them, and waits for input.
func (c *Conn) wait() error {
	c.in.release(&c.srv.buffers)
	c.rest()
	err := c.io.fill(c)
	for isDeadline(err) {
		if err := c.overslept(); err != nil {
			return err
		}
		err = c.io.fill(c)
	}
	now := c.srv.now()
	c.lastReadAt.Store(now)
	c.in.readAt, c.in.nextAt = now, now
	if err != nil {
		return c.readFailed(err)
	}
	return c.resume()
}

// rest ends the time in which the reading goroutine writes, with a last write.
func (c *Conn) rest() {
	c.mu.Lock()
	c.active = false
	write := c.claimWriteLocked()
	c.mu.Unlock()
	if write {
		c.write(nil)
	}
}

func (c *Conn) claimWriteLocked() bool {
	head := c.queue.peek()
	if c.writing || c.closed || head == nil || !head.answered {
		return false
	}
	c.writing = true
	return true
}

func (c *Conn) resume() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.haltLocked(); err != nil {
		return err
	}
	c.active = true
	return nil
}

// haltLocked is why no more requests are taken, or nil.
func (c *Conn) haltLocked() error {
	if c.closed {
		return c.reason
	}
	if c.draining {
		return errDraining
	}
	return nil
}

func (c *Conn) readFailed(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if halt := c.haltLocked(); halt != nil {
		return halt
	}
	if errors.Is(err, ErrClosedByPeer) && !c.in.empty() {
		return fmt.Errorf("%w in the middle of a request, after %d bytes of it", err, c.in.end-c.in.start)
	}
	return err
}

// serveFrame checks, decodes and serves one frame.
func (c *Conn) serveFrame(frame []byte) error {
	r, err := c.decode(frame)
	if err != nil {
		return err
	}
	if err := c.admit(r); err != nil {
		return err
	}
	r.startedAt = c.in.nextAt
	if isSASL(r.Key) {
		return c.authenticate(r)
	}
	return c.serve(r)
}

func (c *Conn) decode(frame []byte) (*Request, error) {
	key, version, err := wire.PeekAPI(frame)
	if err != nil {
		return nil, err
	}
	if err := c.allowed(key); err != nil {
		return nil, err
	}
	v, err := c.lis.cfg.Table.Lookup(key, version)
	if errors.Is(err, wire.ErrUnsupportedVersion) && key == int16(kmsg.ApiVersions) {
		return c.unsupportedApiVersions(frame, version)
	}
	if err != nil {
		return nil, err
	}
	h, body, err := wire.ParseRequestHeader(frame, v.Flexible)
	if err != nil {
		return nil, err
	}
	if key == int16(kmsg.Produce) {
		return c.decodeProduce(&h, v, body, len(frame))
	}
	r := c.newRequest(new(Request), &h, len(frame))
	r.flexible = v.Flexible
	if r.Body, err = v.Decode(body); err != nil {
		return nil, err
	}
	if av, ok := r.Body.(*kmsg.ApiVersionsRequest); ok && version >= 3 && ValidSoftware(av.ClientSoftwareName) && ValidSoftware(av.ClientSoftwareVersion) {
		c.setSoftware(av.ClientSoftwareName, av.ClientSoftwareVersion)
	}
	return r, nil
}

// decodeProduce uses the memory of a request that is done.
func (c *Conn) decodeProduce(h *wire.RequestHeader, v *wire.Version, body []byte, size int) (*Request, error) {
	p := c.srv.getProduce()
	r := c.newRequest(&p.r, h, size)
	r.flexible, r.Body, r.home = v.Flexible, &p.body, p
	r.holds.Store(holders)
	return r, v.DecodeProduce(body, &p.body)
}

// unsupportedApiVersions makes a request at version 0 of one from a client that is
// ahead of us or far behind. Its body is not looked at: nobody here knows how it reads.
func (c *Conn) unsupportedApiVersions(frame []byte, version int16) (*Request, error) {
	h, _, err := wire.ParseRequestHeader(frame, wire.ApiVersionsHeaderFlexible(version))
	if err != nil {
		return nil, err
	}
	r := c.newRequest(new(Request), &h, len(frame))
	r.Version, r.Body, r.UnsupportedVersion = 0, kmsg.NewPtrApiVersionsRequest(), true
	return r, nil
}

// newRequest fills in r, which is new or as good as new.
func (c *Conn) newRequest(r *Request, h *wire.RequestHeader, size int) *Request {
	if string(h.ClientID) != c.lastClientID {
		c.lastClientID = string(h.ClientID)
	}
	at := c.in.readAt
	r.Conn, r.Key, r.Version, r.CorrelationID, r.ClientID = c, h.Key, h.Version, h.CorrelationID, c.lastClientID
	r.SizeBytes, r.ReceivedAt, r.receivedAt = size, c.srv.at(at), at
	return r
}

// admit waits until the connection may take one more request, and queues it.
func (c *Conn) admit(r *Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if err := c.haltLocked(); err != nil {
			return err
		}
		if c.readyBytes >= holdBytes || c.readyN >= holdResponses {
			c.writeOnceLocked()
		}
		if c.roomLocked() {
			break
		}
		c.active = false
		c.writeOnceLocked()
		if !c.roomLocked() && !c.closed && !c.draining {
			c.waitLocked()
		}
		c.active = true
		c.in.nextAt = c.srv.now()
	}
	c.queue.push(r)
	return nil
}

// writeOnceLocked sends what is ready, without mu, unless another goroutine does.
func (c *Conn) writeOnceLocked() {
	if !c.claimWriteLocked() {
		return
	}
	c.mu.Unlock()
	c.write(nil)
	c.mu.Lock()
}

func (c *Conn) roomLocked() bool {
	return c.queue.n < c.srv.cfg.MaxInFlight && c.readyBytes < maxReadyBytes && !c.mutedLocked()
}

func (c *Conn) mutedLocked() bool {
	if c.mutedTill.IsZero() {
		return false
	}
	if c.srv.cfg.Clock.Now().Before(c.mutedTill) {
		return true
	}
	c.mutedTill = time.Time{}
	return false
}

// waitLocked waits until something about the connection has changed.
func (c *Conn) waitLocked() {
	if c.mutedLocked() {
		t := c.srv.cfg.Clock.AfterFunc(c.mutedTill.Sub(c.srv.cfg.Clock.Now()), func() {
			c.mu.Lock()
			c.changed.Broadcast()
			c.mu.Unlock()
		})
		defer t.Stop()
	}
	c.changed.Wait()
}

// serve runs the handler. A panic in it ends this connection and no other: a client's bytes
// must not be able to stop the node. A broken invariant does stop it.
func (c *Conn) serve(r *Request) (err error) {
	defer func() {
		p := recover()
		if broken, ok := p.(invariant.Broken); ok {
			panic(broken)
		}
		if p != nil {
			c.srv.cfg.Log.Error("a handler has panicked; its connection is closed", "api", r.Key, "version", r.Version,
				"connection", c.describe(), "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("cannot serve API %d v%d: the handler panicked: %v", r.Key, r.Version, p)
		}
	}()
	c.lis.cfg.Handler.Serve(r)
	c.served(r)
	return nil
}

// served notes that the handling of r has ended, and with it that of the next may begin: one look
// at the clock does for both.
func (c *Conn) served(r *Request) {
	c.in.nextAt = c.srv.now()
	r.servedAt.Store(c.in.nextAt)
	r.letGo()
}

// drain waits until the requests that were taken are answered and the answers sent.
func (c *Conn) drain() error {
	c.rest()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && (c.queue.n > 0 || c.writing) {
		c.changed.Wait()
	}
	return ErrShutdown
}

// beginDrain has the connection take no more requests, and close when those it has are answered.
func (c *Conn) beginDrain() {
	c.mu.Lock()
	c.draining = true
	parked := c.parked
	c.parked = false
	c.changed.Broadcast()
	c.mu.Unlock()
	c.nc.SetReadDeadline(c.srv.pastDeadline()) // wakes the reader; a failure means that it is closed already
	if parked {
		c.srv.background(c.goOn)
	}
}

// end gives back what the connection holds and tells of its end.
func (c *Conn) end() {
	if c.in.buf != nil {
		c.srv.buffers.put(c.in.buf)
		c.in.buf = nil
	}
	c.srv.forget(c)
	if l := c.srv.existingLot(); l != nil {
		l.forget(c)
	}
	reason := c.closeReason()
	c.logEnd(reason)
	c.srv.cfg.Observer.ConnClosed(c, reason)
	c.mu.Lock()
	fns := c.onClose
	c.onClose = nil
	c.mu.Unlock()
	for _, f := range fns {
		f()
	}
}

func (c *Conn) logEnd(reason error) {
	if c.srv.cfg.Log.Enabled(context.Background(), slog.LevelDebug) {
		c.srv.cfg.Log.Debug("connection closed", "connection", c.describe(), "reason", reason)
	}
}

// ValidSoftware is Kafka's rule for the name and the version by which a client's software calls itself:
// letters, digits, dots and hyphens, and a letter or digit at both ends.
func ValidSoftware(s string) bool {
	for i := range len(s) {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case (b == '.' || b == '-') && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return s != ""
}
