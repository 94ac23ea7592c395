package server

import (
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/moldau-stream/moldau/internal/clock"
)

// These tests are about sockets of the system, and about systems on which idle connections can be parked.

// aged starts a server whose connections have been silent for as long as parking takes, as soon as they are.
func aged(t *testing.T, h handlerFunc) (*Server, *clock.Fake) {
	t.Helper()
	fake := clock.NewFake(time.Unix(1_700_000_000, 0))
	return start(t, h, func(c *Config) { c.Clock, c.ConnectionsMaxIdle = fake, -1 }), fake
}

func parkAll(t *testing.T, s *Server, fake *clock.Fake) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("connections are parked on Linux only")
	}
	eventually(t, "connections are parked", func() bool {
		fake.Advance(parkAfter)
		for _, c := range s.all() {
			c.mu.Lock()
			parked := c.parked
			c.mu.Unlock()
			if !parked {
				return false
			}
		}
		return true
	})
}

// A connection that is silent gives up its goroutine, and is served again when it speaks, as often as it likes.
func TestAParkedConnectionIsServedAgain(t *testing.T) {
	s, fake := aged(t, ok)
	nc := dial(t, s)
	for id := range int32(3) {
		send(t, nc, heartbeat(id))
		wantAnswers(t, nc, id)
		parkAll(t, s, fake)
	}
	send(t, nc, heartbeat(7), heartbeat(8)[:5])
	wantAnswers(t, nc, 7)
	fake.Advance(parkAfter) // half a request keeps its goroutine
	send(t, nc, heartbeat(8)[5:])
	wantAnswers(t, nc, 8)
}

// An answer that comes while its connection is parked leaves at once, from the goroutine that gives it.
func TestAnAnswerLeavesWhileItsConnectionIsParked(t *testing.T) {
	var p parked
	s, fake := aged(t, p.Serve)
	nc := dial(t, s)
	send(t, nc, heartbeat(1), heartbeat(2))
	reqs := p.await(t, 2)
	parkAll(t, s, fake)
	reqs[1].Reply(&kmsg.HeartbeatResponse{})
	reqs[0].Reply(&kmsg.HeartbeatResponse{})
	wantAnswers(t, nc, 1, 2)
}

func TestTheEndOfAParkedConnection(t *testing.T) {
	t.Run("by its peer", func(t *testing.T) {
		s, fake := aged(t, ok)
		nc := dial(t, s)
		eventually(t, "the connection stands", func() bool { return s.Connections() == 1 })
		parkAll(t, s, fake)
		nc.Close()
		eventually(t, "it is gone", func() bool { return s.Connections() == 0 })
	})
	t.Run("by the server", func(t *testing.T) {
		s, fake := aged(t, ok)
		nc := dial(t, s)
		eventually(t, "the connection stands", func() bool { return s.Connections() == 1 })
		parkAll(t, s, fake)
		s.all()[0].Close(ErrIdle)
		wantClosed(t, nc)
		eventually(t, "it is gone", func() bool { return s.Connections() == 0 })
	})
	t.Run("by a shutdown, which lets it have its answer", func(t *testing.T) {
		var p parked
		s, fake := aged(t, p.Serve)
		nc := dial(t, s)
		send(t, nc, heartbeat(1))
		r := p.await(t, 1)[0]
		parkAll(t, s, fake)
		done := make(chan error, 1)
		go func() { done <- shutdown(t, s, time.Minute) }()
		eventually(t, "the shutdown has begun", func() bool {
			r.Conn.mu.Lock()
			defer r.Conn.mu.Unlock()
			return r.Conn.draining
		})
		r.Reply(&kmsg.HeartbeatResponse{})
		wantAnswers(t, nc, 1)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// A Produce request whose memory is used again is not, as long as anybody looks at it.
func TestAProduceRequestIsUsedAgainOnlyWhenAllHaveLetGo(t *testing.T) {
	kept := make(chan *Request, 1)
	answer := func(r *Request) {
		r.Reply(r.Body.(*kmsg.ProduceRequest).ResponseKind())
		select {
		case kept <- r:
		default:
			r.Release()
		}
	}
	s := start(t, answer, nil)
	nc := dial(t, s)
	for id := range int32(200) {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks, req.TimeoutMillis = 9, 1, id
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: id, Records: []byte("records")}}}}
		send(t, nc, frameOf(req, id))
		wantAnswers(t, nc, id)
	}
	r := <-kept
	if req := r.Body.(*kmsg.ProduceRequest); r.CorrelationID != 0 || req.TimeoutMillis != 0 || req.Topics[0].Partitions[0].Partition != 0 {
		t.Fatalf("the request that is still held has become number %d: %+v", r.CorrelationID, req)
	}
}
