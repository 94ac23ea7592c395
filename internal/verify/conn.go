package verify

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxAnswerBytes bounds what a broken server can make us allocate.
const maxAnswerBytes = 64 << 20

// ourClientID is what the probe calls itself.
const ourClientID = "moldau-verify"

// errDisconnected is the visible behaviour "the broker closed the connection".
var errDisconnected = errors.New("the connection was closed")

// errSilence is the visible behaviour "no answer, and the connection stays".
var errSilence = errors.New("no answer came")

// conn is one raw connection with at most one request under way, except where a rule pipelines by hand.
type conn struct {
	net.Conn
	f    *kmsg.RequestFormatter
	next int32         // the correlation id of the next request
	wait time.Duration // bounds one exchange: request.timeout.ms
}

// dial opens a connection and logs in, as the settings say.
func dial(ctx context.Context, s *client.Settings, addr string) (*conn, error) {
	d := net.Dialer{Timeout: max(s.DialTimeout, time.Second)}
	raw, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", addr, err)
	}
	c := &conn{Conn: raw, f: kmsg.NewRequestFormatter(kmsg.FormatterClientID(ourClientID)), next: 1, wait: max(s.RequestTimeout, time.Second)}
	if err := c.secure(ctx, s, addr); err != nil {
		raw.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) secure(ctx context.Context, s *client.Settings, addr string) error {
	if s.TLS != nil {
		cfg := s.TLS.Clone()
		if cfg.ServerName == "" {
			cfg.ServerName, _, _ = net.SplitHostPort(addr)
		}
		t := tls.Client(c.Conn, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("the TLS handshake with %s failed: %w", addr, err)
		}
		c.Conn = t
	}
	if s.SASL == nil {
		return nil
	}
	if err := c.logIn(ctx, s, addr); err != nil {
		return fmt.Errorf("cannot log in to %s: %w", addr, err)
	}
	return nil
}

// logIn is SaslHandshake and as many SaslAuthenticate as the mechanism takes.
func (c *conn) logIn(ctx context.Context, s *client.Settings, addr string) error {
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Version, hello.Mechanism = 1, s.SASL.Name()
	resp, err := c.ask(ctx, hello)
	if err != nil {
		return err
	}
	h := resp.(*kmsg.SASLHandshakeResponse)
	if err := client.CodeError(h.ErrorCode, nil); err != nil {
		return fmt.Errorf("%w (it offers %v)", err, h.SupportedMechanisms)
	}
	session, say, err := s.SASL.Authenticate(ctx, addr)
	if err != nil {
		return err
	}
	for done := false; !done; {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.Version, req.SASLAuthBytes = 1, say
		resp, err := c.ask(ctx, req)
		if err != nil {
			return err
		}
		a := resp.(*kmsg.SASLAuthenticateResponse)
		if err := client.CodeError(a.ErrorCode, a.ErrorMessage); err != nil {
			return err
		}
		if done, say, err = session.Challenge(a.SASLAuthBytes); err != nil {
			return err
		}
	}
	return nil
}

// send writes bytes as they are.
func (c *conn) send(frame []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(c.wait)); err != nil {
		return errDisconnected
	}
	if _, err := c.Write(frame); err != nil {
		return errDisconnected
	}
	return nil
}

// receive returns the next answer without its length.
func (c *conn) receive(ctx context.Context) ([]byte, error) {
	deadline := time.Now().Add(c.wait)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.SetReadDeadline(deadline); err != nil {
		return nil, errDisconnected
	}
	// A context that ends, as by a signal, ends the read too.
	defer context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })()
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			return nil, errSilence
		}
		return nil, errDisconnected
	}
	n := int32(binary.BigEndian.Uint32(size[:]))
	if n < 4 || n > maxAnswerBytes {
		return nil, fmt.Errorf("an answer that claims %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		return nil, fmt.Errorf("an answer that ends too early: %w", err)
	}
	return b, nil
}

// frame is the bytes of a request with its length; the correlation id is c.next.
func (c *conn) frame(req kmsg.Request) (frame []byte, correlation int32) {
	correlation = c.next
	c.next++
	return c.f.AppendRequest(nil, req, correlation), correlation
}

// ask sends one request and reads its answer.
func (c *conn) ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	frame, id := c.frame(req)
	if err := c.send(frame); err != nil {
		return nil, err
	}
	b, err := c.receive(ctx)
	if err != nil {
		return nil, err
	}
	return decode(b, id, req)
}

// decode reads an answer to req, and refuses what a client would stumble over.
func decode(b []byte, correlation int32, req kmsg.Request) (resp kmsg.Response, err error) {
	if got := int32(binary.BigEndian.Uint32(b)); got != correlation {
		return nil, fmt.Errorf("an answer with correlation id %d instead of %d", got, correlation)
	}
	b = b[4:]
	// The header of an ApiVersions answer never has tags, so that any client can read it (KIP-511).
	if req.IsFlexible() && req.Key() != int16(kmsg.ApiVersions) {
		if b, err = skipTags(b); err != nil {
			return nil, err
		}
	}
	defer func() {
		if p := recover(); p != nil { // the codec trusts what it reads
			resp, err = nil, fmt.Errorf("an answer that cannot be read: %v (%x)", p, clip(b))
		}
	}()
	resp = req.ResponseKind()
	if err := resp.ReadFrom(b); err != nil {
		return nil, fmt.Errorf("an answer that does not follow the schema of version %d: %w (%x)", req.GetVersion(), err, clip(b))
	}
	// The codec does not say what it left unread; writing the answer again does.
	if again := resp.AppendTo(nil); len(again) != len(b) {
		return nil, fmt.Errorf("an answer of %d bytes, of which the schema of version %d knows %d (%x)", len(b), req.GetVersion(), len(again), clip(b))
	}
	return resp, nil
}

// skipTags steps over the tagged fields of a response header.
func skipTags(b []byte) ([]byte, error) {
	next := func() (uint64, bool) {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, false
		}
		b = b[n:]
		return v, true
	}
	count, ok := next()
	for ; ok && count > 0; count-- {
		var size uint64
		if _, ok = next(); !ok {
			break
		}
		if size, ok = next(); !ok || size > uint64(len(b)) {
			ok = false
			break
		}
		b = b[size:]
	}
	if !ok {
		return nil, fmt.Errorf("an answer whose header has no readable tag section (%x)", clip(b))
	}
	return b, nil
}

// clip keeps enough of an answer to see what went wrong.
func clip(b []byte) []byte { return b[:min(len(b), 48)] }
