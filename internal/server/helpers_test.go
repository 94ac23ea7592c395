package server

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/moldau-stream/moldau/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type handlerFunc func(*Request)

func (f handlerFunc) Serve(r *Request) { f(r) }

func brokerTable(t testing.TB) *wire.Table {
	t.Helper()
	table, err := wire.NewTable(wire.Broker, wire.KafkaRanges(wire.Broker))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// start runs a server with one PLAINTEXT listener on loopback, until the test ends.
func start(t testing.TB, h handlerFunc, change func(*Config)) *Server {
	t.Helper()
	cfg := Config{Listeners: []ListenerConfig{{Name: "PLAINTEXT", Address: "127.0.0.1:0", Table: brokerTable(t), Handler: h}}}
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
	t.Cleanup(func() { shutdown(t, s, 0) })
	return s
}

func shutdown(t testing.TB, s *Server, patience time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.Shutdown(ctx)
}

func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	return dialListener(t, s, "PLAINTEXT")
}

func dialListener(t testing.TB, s *Server, name string) net.Conn {
	t.Helper()
	nc, err := s.cfg.Network.Dial(context.Background(), s.Addr(name).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	return nc
}

func frameOf(req kmsg.Request, correlationID int32) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, correlationID)
}

func heartbeat(correlationID int32) []byte {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group = 4, "group"
	return frameOf(req, correlationID)
}

func send(t testing.TB, nc net.Conn, frames ...[]byte) {
	t.Helper()
	for _, f := range frames {
		if _, err := nc.Write(f); err != nil {
			t.Fatal(err)
		}
	}
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

func wantAnswers(t testing.TB, nc io.Reader, ids ...int32) {
	t.Helper()
	for _, want := range ids {
		if id, _ := readFrame(t, nc); id != want {
			t.Fatalf("the answer to %d, want %d", id, want)
		}
	}
}

// wantClosed checks that the server ends the connection without another answer.
func wantClosed(t testing.TB, nc net.Conn) {
	t.Helper()
	n, err := nc.Read(make([]byte, 1))
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatalf("%d bytes, %v; the connection should be closed", n, err)
	}
}

// eventually waits for a state that other goroutines bring about.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for range 5000 {
		if f() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("it never happened: %s", what)
}

// settle waits until no write is under way: one that a test's clock leaps over would count as stuck.
func settle(t testing.TB, s *Server) {
	t.Helper()
	eventually(t, "all writes are over", func() bool {
		for _, c := range s.all() {
			if c.writingFrom.Load() != 0 {
				return false
			}
		}
		return true
	})
}

// parked collects requests for the test to answer.
type parked struct {
	mu   sync.Mutex
	list []*Request
}

func (p *parked) Serve(r *Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, r)
}

func (p *parked) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.list)
}

func (p *parked) await(t testing.TB, n int) []*Request {
	t.Helper()
	eventually(t, "requests are parked", func() bool { return p.len() >= n })
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list
}

func ok(r *Request) { r.Reply(&kmsg.HeartbeatResponse{}) }

// recorder is an Observer that remembers.
type recorder struct {
	mu      sync.Mutex
	opened  int
	closed  []error
	refused []error
	done    []RequestStats
}

func (o *recorder) ConnOpened(*Conn) { o.lock(func() { o.opened++ }) }

func (o *recorder) ConnClosed(_ *Conn, reason error) {
	o.lock(func() { o.closed = append(o.closed, reason) })
}

func (o *recorder) ConnRefused(_, _ string, reason error) {
	o.lock(func() { o.refused = append(o.refused, reason) })
}

func (o *recorder) RequestDone(s *RequestStats) { o.lock(func() { o.done = append(o.done, *s) }) }

func (o *recorder) lock(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

// accounts is what RequestDone has been told, once it has been told n times.
func (o *recorder) accounts(t testing.TB, n int) []RequestStats {
	t.Helper()
	var out []RequestStats
	eventually(t, "the account", func() bool {
		o.lock(func() { out = slices.Clone(o.done) })
		return len(out) >= n
	})
	return out
}

func (o *recorder) refusals() []error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.refused)
}

func (o *recorder) closedWith(err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.closed {
		if errors.Is(e, err) {
			return true
		}
	}
	return false
}

// testFile is a vfs.File over a real one, with a descriptor or without.
type testFile struct {
	*os.File
	noFd bool
}

func (f testFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f testFile) Fd() (uintptr, bool) { return f.File.Fd(), !f.noFd }

// fileOf writes a file of n bytes that differ from place to place.
func fileOf(t testing.TB, n int) (testFile, []byte) {
	t.Helper()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "segment.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	return testFile{File: f}, b
}
