package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/moldau-stream/moldau/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type handlerFunc func(*Request)

func (f handlerFunc) Serve(r *Request) { f(r) }

// start runs a server with one PLAINTEXT listener on loopback, until the test ends.
func start(t testing.TB, h handlerFunc, change func(*Config)) *Server {
	t.Helper()
	table, err := wire.NewTable(wire.Broker, wire.KafkaRanges(wire.Broker))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Listeners: []ListenerConfig{{Name: "PLAINTEXT", Address: "127.0.0.1:0", Table: table, Handler: h}}}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err == nil {
		err = s.Listen()
	}
	if err == nil {
		err = s.Serve()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Shutdown(ctx)
	})
	return s
}

func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr("PLAINTEXT").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return nc
}

func frameOf(req kmsg.Request, correlationID int32) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, correlationID)
}

// readFrame reads one response, and returns its correlation id and all that follows.
func readFrame(t testing.TB, r io.Reader) (int32, []byte) {
	t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatalf("no response: %v", err)
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatalf("half a response: %v", err)
	}
	return int32(binary.BigEndian.Uint32(b)), b[4:]
}

func TestARequestIsAnswered(t *testing.T) {
	s := start(t, func(r *Request) {
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.ErrorCode = 7
		r.Reply(resp)
	}, nil)
	nc := dial(t, s)
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version = 4
	nc.Write(bytes.Repeat(frameOf(req, 42), 3))
	for range 3 {
		id, body := readFrame(t, nc)
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.Version = 4
		if err := resp.ReadFrom(body[1:]); err != nil || id != 42 || resp.ErrorCode != 7 {
			t.Fatalf("id %d, %+v, %v", id, resp, err)
		}
	}
}
