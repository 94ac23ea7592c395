package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bounds of one exchange. Kafka answers in milliseconds; a JVM that starts cold takes longer.
const (
	dialTimeout   = 5 * time.Second
	answerTimeout = 15 * time.Second
)

// maxAnswerBytes bounds what a broken server can make us allocate.
const maxAnswerBytes = 64 << 20

// correlation is the id that every request carries; one connection, one outstanding request.
const correlation = 0x4d6f6c64

// conn is one raw connection.
type conn struct {
	c net.Conn
	f *kmsg.RequestFormatter
}

func dial(addr string) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		return nil, err
	}
	return &conn{c: c, f: kmsg.NewRequestFormatter(kmsg.FormatterClientID("wire"))}, nil
}

func (c *conn) close() { c.c.Close() }

// errDisconnected is the visible behaviour "the broker closed the connection".
var errDisconnected = errors.New("disconnected")

// errSilence is the visible behaviour "no answer, and the connection stays".
var errSilence = errors.New("no answer")

func (c *conn) write(frame []byte) error {
	if _, err := c.c.Write(frame); err != nil {
		return errDisconnected
	}
	return nil
}

// readFrame returns the next answer without its length.
func (c *conn) readFrame(wait time.Duration) ([]byte, error) {
	if err := c.c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(c.c, size[:]); err != nil {
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			return nil, errSilence
		}
		return nil, errDisconnected
	}
	n := int32(binary.BigEndian.Uint32(size[:]))
	if n < 4 || n > maxAnswerBytes {
		return nil, fmt.Errorf("an answer of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.c, b); err != nil {
		return nil, fmt.Errorf("an answer that ends too early: %w", err)
	}
	return b, nil
}

// frame is the bytes of one request with its length.
func (c *conn) frame(req kmsg.Request) []byte { return c.f.AppendRequest(nil, req, correlation) }

// apiVersionsKey has an answer whose header never has tags, so that any client can read it.
const apiVersionsKey = 18

// decode reads an answer to req, and refuses bytes that are left over.
func decode(b []byte, req kmsg.Request) (kmsg.Response, error) {
	if got := int32(binary.BigEndian.Uint32(b)); got != correlation {
		return nil, fmt.Errorf("an answer with correlation id %#x instead of %#x", got, correlation)
	}
	b = b[4:]
	if req.IsFlexible() && req.Key() != apiVersionsKey {
		if len(b) == 0 || b[0] != 0 {
			return nil, fmt.Errorf("an answer whose header does not end with an empty tag section")
		}
		b = b[1:]
	}
	resp := req.ResponseKind()
	if err := resp.ReadFrom(b); err != nil {
		return nil, fmt.Errorf("an answer that cannot be read: %w (%x)", err, clip(b))
	}
	// The codec does not say what it left unread; writing the answer again does.
	if again := resp.AppendTo(nil); len(again) != len(b) {
		return nil, fmt.Errorf("an answer of %d bytes that holds %d (%x)", len(b), len(again), clip(b))
	}
	return resp, nil
}

func clip(b []byte) []byte { return b[:min(len(b), 64)] }

// ask sends one request on a connection of its own and returns the answer.
func ask(addr string, req kmsg.Request) (kmsg.Response, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.close()
	return c.ask(req)
}

func (c *conn) ask(req kmsg.Request) (kmsg.Response, error) {
	if err := c.write(c.frame(req)); err != nil {
		return nil, err
	}
	b, err := c.readFrame(answerTimeout)
	if err != nil {
		return nil, err
	}
	return decode(b, req)
}
