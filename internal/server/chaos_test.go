package server

import (
	"bufio"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestChaos has clients come, pipeline, dawdle and break off, and answers come from
// everywhere, in every form, while the server is at last shut down. Whatever happens, answers are in
// order and whole, and everything is released and accounted for exactly once.
func TestChaos(t *testing.T) {
	onBothSockets(t, func(t *testing.T, change func(*Config)) {
		file, content := fileOf(t, 300_000)
		var seen recorder
		var served, released atomic.Int64
		answers := make(chan *Request, 4096)
		var answering sync.WaitGroup
		for range 3 {
			answering.Go(func() {
				for r := range answers {
					answerRandomly(r, file, &released)
				}
			})
		}
		s := start(t, func(r *Request) {
			served.Add(1)
			if rand.IntN(2) == 0 {
				answerRandomly(r, file, &released)
			} else {
				answers <- r
			}
		}, func(cfg *Config) { change(cfg); cfg.Observer, cfg.MaxInFlight = &seen, 20 })

		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for range 8 {
					chaosClient(t, s, content)
				}
			})
		}
		clients.Wait()
		late := dial(t, s)
		send(t, late, heartbeat(0), heartbeat(1))
		shutdown(t, s, 5*time.Second)
		close(answers)
		answering.Wait()
		eventually(t, "everything is released", func() bool { return released.Load() == served.Load() })
		if n := len(seen.accounts(t, int(served.Load()))); n != int(served.Load()) {
			t.Fatalf("%d requests served, %d accounted for", served.Load(), n)
		}
		if seen.opened != len(seen.closed) || s.Connections() != 0 {
			t.Fatalf("%d opened, %d closed, %d left", seen.opened, len(seen.closed), s.Connections())
		}
	})
}

// answerRandomly answers in a form that the correlation id tells, so that the client knows it.
func answerRandomly(r *Request, f testFile, released *atomic.Int64) {
	if rand.IntN(3) == 0 {
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
	}
	answerIn(int(r.CorrelationID)%6, r, f, released)
}

// chaosClient is one client's life.
func chaosClient(t *testing.T, s *Server, content []byte) {
	nc := dial(t, s)
	defer nc.Close()
	n := int32(1 + rand.IntN(60))
	go func() {
		for id := range n {
			frame := heartbeat(id)
			cut := rand.IntN(len(frame))
			nc.Write(frame[:cut])
			if rand.IntN(400) == 0 {
				nc.Close() // in the middle of a request
			}
			nc.Write(frame[cut:])
		}
	}()
	in := bufio.NewReaderSize(nc, 1<<rand.IntN(17))
	stopAt := n
	if rand.IntN(3) == 0 {
		stopAt = rand.Int32N(n + 1)
	}
	for id := range stopAt {
		form := int(id) % 6
		if form == 0 {
			continue
		}
		var head [9]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return // broken off
		}
		want := expected(form, content)
		if got := int32(binary.BigEndian.Uint32(head[4:])); got != id || int(binary.BigEndian.Uint32(head[:])) != 5+len(want) {
			t.Errorf("the answer to %d with %d bytes, want %d with %d", got, binary.BigEndian.Uint32(head[:]), id, 5+len(want))
			return
		}
		body := make([]byte, len(want))
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		if string(body) != string(want) {
			t.Errorf("the answer to %d is damaged", id)
			return
		}
	}
}
