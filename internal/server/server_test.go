package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/wire"
)

// overMemory puts a server on a network in memory, and so on the portable socket.
func overMemory(cfg *Config) {
	cfg.Network = netx.NewMem(clock.Real{}).Host("broker")
	for i := range cfg.Listeners {
		cfg.Listeners[i].Address = ":0"
	}
}

// onBothSockets runs a test over TCP and over memory.
func onBothSockets(t *testing.T, f func(t *testing.T, change func(*Config))) {
	t.Run("tcp", func(t *testing.T) { f(t, func(*Config) {}) })
	t.Run("memory", func(t *testing.T) { f(t, overMemory) })
}

func TestPipelinedRequestsAreAnswered(t *testing.T) {
	onBothSockets(t, func(t *testing.T, change func(*Config)) {
		s := start(t, func(r *Request) {
			if r.ClientID != "test" || r.Body.(*kmsg.HeartbeatRequest).Group != "group" || r.Conn.Listener() != "PLAINTEXT" {
				t.Errorf("%+v", r)
			}
			r.Reply(&kmsg.HeartbeatResponse{ErrorCode: 7})
		}, change)
		nc := dial(t, s)
		var all []byte
		for id := range int32(500) {
			all = append(all, heartbeat(id)...)
		}
		go nc.Write(all)
		for id := range int32(500) {
			got, body := readFrame(t, nc)
			resp := kmsg.HeartbeatResponse{Version: 4}
			if err := resp.ReadFrom(body[1:]); err != nil || got != id || resp.ErrorCode != 7 {
				t.Fatalf("%d, %+v, %v", got, resp, err)
			}
		}
	})
}

// TestAnswersLeaveInOrder answers requests in any order, from any goroutine, in every form.
func TestAnswersLeaveInOrder(t *testing.T) {
	onBothSockets(t, func(t *testing.T, change func(*Config)) {
		var p parked
		s := start(t, p.Serve, change)
		file, content := fileOf(t, 300_000)
		rapid.Check(t, func(rt *rapid.T) {
			p.list = nil
			nc := dial(t, s)
			n := rapid.IntRange(1, 40).Draw(rt, "requests")
			forms := rapid.SliceOfN(rapid.IntRange(0, 5), n, n).Draw(rt, "forms")
			order := rapid.Permutation(seq(n)).Draw(rt, "order")
			for id := range int32(n) {
				send(t, nc, heartbeat(id))
			}
			requests := slices.Clone(p.await(t, n))
			var released atomic.Int64
			go func() {
				for _, i := range order {
					if i%3 == 0 {
						go answerIn(forms[i], requests[i], file, &released)
					} else {
						answerIn(forms[i], requests[i], file, &released)
					}
				}
			}()
			for i := range n {
				if forms[i] == 0 {
					continue
				}
				id, body := readFrame(t, nc)
				if want := expected(forms[i], content); id != int32(i) || !bytes.Equal(body[1:], want) {
					rt.Fatalf("answer %d has id %d and %d bytes, want %d", i, id, len(body)-1, len(want))
				}
			}
			eventually(t, "every release", func() bool { return released.Load() == int64(n) })
			nc.Close()
		})
	})
}

func seq(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

const fileFrom, fileTo = 1000, 250_001

// answerIn answers in one of the forms; each counts one release.
func answerIn(form int, r *Request, f testFile, released *atomic.Int64) {
	done := func() { released.Add(1) }
	switch form {
	case 0:
		r.NoReply()
		done()
	case 1:
		ok(r)
		done()
	case 2:
		r.ReplyParts([]Part{{Bytes: []byte("a few bytes")}}, done)
	case 3:
		r.ReplyParts([]Part{{Bytes: make([]byte, 100_000)}, {Bytes: []byte("end")}}, done)
	case 4:
		r.ReplyParts([]Part{{Bytes: []byte("head")}, {File: f, Pos: fileFrom, Len: fileTo - fileFrom}, {Bytes: []byte("tail")}, {File: f, Pos: 0, Len: 0}}, done)
	default:
		r.ReplyParts([]Part{{File: testFile{File: f.File, noFd: true}, Pos: 5, Len: 10}, {File: f, Pos: 20, Len: 100}}, done)
	}
}

func expected(form int, content []byte) []byte {
	switch form {
	case 1:
		return (&kmsg.HeartbeatResponse{Version: 4}).AppendTo(nil)
	case 2:
		return []byte("a few bytes")
	case 3:
		return append(make([]byte, 100_000), "end"...)
	case 4:
		return slices.Concat([]byte("head"), content[fileFrom:fileTo], []byte("tail"))
	default:
		return slices.Concat(content[5:15], content[20:120])
	}
}

func TestBadFramesCostOnlyTheirOwnConnection(t *testing.T) {
	onBothSockets(t, func(t *testing.T, change func(*Config)) {
		var served atomic.Int32
		s := start(t, func(r *Request) { served.Add(1); ok(r) }, func(cfg *Config) { change(cfg); cfg.SocketRequestMaxBytes = 1 << 20 })
		good := dial(t, s)
		length := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
		unknown := heartbeat(1)
		binary.BigEndian.PutUint16(unknown[4:], 7) // ControlledShutdown is gone
		tooNew := heartbeat(1)
		binary.BigEndian.PutUint16(tooNew[6:], 5)
		trailing := append(heartbeat(1), 0)
		binary.BigEndian.PutUint32(trailing, uint32(len(trailing)-4))
		truncated := heartbeat(1)
		truncated = truncated[:len(truncated)-2]
		binary.BigEndian.PutUint32(truncated, uint32(len(truncated)-4))
		for name, b := range map[string][]byte{
			"HTTP": []byte("GET / HTTP/1.1\r\n\r\n"), "negative": length(-1), "too small": length(3), "too large": length(1<<20 + 1),
			"unknown API": unknown, "unsupported version": tooNew, "trailing byte": trailing, "truncated body": truncated,
			"zeros": make([]byte, 100), "noise": bytes.Repeat([]byte{0xff}, 100),
		} {
			bad := dial(t, s)
			send(t, bad, b)
			wantClosed(t, bad)
			send(t, good, heartbeat(9))
			if id, _ := readFrame(t, good); id != 9 {
				t.Fatalf("%s: another connection suffers", name)
			}
		}
		if served.Load() != 10 {
			t.Fatalf("%d requests served, 10 were good", served.Load())
		}
	})
}

func TestRequestsBeforeABadOneAreAnswered(t *testing.T) {
	s := start(t, ok, nil)
	nc := dial(t, s)
	send(t, nc, slices.Concat(heartbeat(1), heartbeat(2), make([]byte, 8)))
	// The close may overtake what the client has sent, not what it is to receive.
	wantAnswers(t, nc, 1, 2)
	wantClosed(t, nc)
}

func TestAnEndlessSlowFrameArrivesWhole(t *testing.T) {
	s := start(t, func(r *Request) {
		if got := len(r.Body.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records); got != 3_000_000 {
			t.Errorf("%d bytes of records", got)
		}
		r.Reply(&kmsg.ProduceResponse{})
	}, nil)
	nc := dial(t, s)
	req := kmsg.NewPtrProduceRequest()
	req.Version = 9
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, 3_000_000)}}}}
	frame := append(frameOf(req, 1), frameOf(req, 2)...)
	rng := rand.New(rand.NewPCG(1, 1))
	for rest := frame; len(rest) > 0; {
		n := min(len(rest), 1+rng.IntN(1+rng.IntN(200_000)))
		send(t, nc, rest[:n])
		rest = rest[n:]
	}
	wantAnswers(t, nc, 1, 2)
}

func TestApiVersionsFromTheFutureIsAskedAsVersion0(t *testing.T) {
	s := start(t, func(r *Request) {
		if !r.UnsupportedVersion || r.Version != 0 {
			t.Errorf("%+v", r)
		}
		r.Reply(&kmsg.ApiVersionsResponse{ErrorCode: 35, ApiKeys: []kmsg.ApiVersionsResponseApiKey{{ApiKey: 18, MaxVersion: 4}}})
	}, nil)
	nc := dial(t, s)
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version = 4
	frame := frameOf(req, 5)
	binary.BigEndian.PutUint16(frame[6:], 99)
	send(t, nc, frame)
	id, body := readFrame(t, nc)
	resp := kmsg.ApiVersionsResponse{Version: 0}
	if err := resp.ReadFrom(body); err != nil || id != 5 || resp.ErrorCode != 35 || len(resp.ApiKeys) != 1 || len(body) != 12 {
		t.Fatalf("%d %x %v", id, body, err)
	}
}

func TestClientSoftwareIsKept(t *testing.T) {
	names := make(chan string, 3)
	s := start(t, func(r *Request) {
		name, version := r.Conn.Software()
		names <- name + " " + version
		r.Reply(r.Body.ResponseKind())
	}, nil)
	nc := dial(t, s)
	for _, name := range []string{"bad name", "apache-kafka-java"} {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, name, "4.3.1"
		send(t, nc, frameOf(req, 1))
		readFrame(t, nc)
	}
	if a, b := <-names, <-names; a != " " || b != "apache-kafka-java 4.3.1" {
		t.Fatalf("%q, %q", a, b)
	}
}

func TestAnUnreadConnectionIsNoLongerReadAndThenClosed(t *testing.T) {
	onBothSockets(t, func(t *testing.T, change func(*Config)) {
		fake := clock.NewFake(time.Unix(0, 0))
		var seen recorder
		var served atomic.Int64
		big := make([]byte, 1<<20)
		s := start(t, func(r *Request) {
			served.Add(1)
			r.ReplyParts([]Part{{Bytes: big}}, nil)
		}, func(cfg *Config) { change(cfg); cfg.Clock, cfg.Observer = fake, &seen })
		nc := dial(t, s)
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			for id := int32(0); ; id++ {
				if _, err := nc.Write(heartbeat(id)); err != nil {
					return
				}
			}
		}()
		var last int64 = -1
		eventually(t, "the server stops reading", func() bool {
			time.Sleep(20 * time.Millisecond)
			now := served.Load()
			still := now == last
			last = now
			return still && now > 0
		})
		if n := served.Load(); n > 100 {
			t.Fatalf("%d requests of a peer that reads nothing were served", n)
		}
		for range 100 {
			fake.Advance(sweepInterval)
		}
		<-stop
		eventually(t, "it is closed as stuck", func() bool { return seen.closedWith(ErrStuck) })
	})
}

func TestAnAnswerFromElsewhereNeverBlocks(t *testing.T) {
	onBothSockets(t, func(t *testing.T, change func(*Config)) {
		var p parked
		s := start(t, p.Serve, change)
		nc := dial(t, s)
		send(t, nc, heartbeat(1), heartbeat(2))
		requests := p.await(t, 2)
		released := make(chan int, 2)
		big := make([]byte, 64<<20)
		requests[0].ReplyParts([]Part{{Bytes: big}}, func() { released <- 1 }) // nobody reads yet, and still it returns
		requests[1].ReplyParts([]Part{{Bytes: big[:100]}}, func() { released <- 2 })
		if id, b := readFrame(t, nc); id != 1 || len(b) != len(big)+1 {
			t.Fatal(id, len(b))
		}
		wantAnswers(t, nc, 2)
		if <-released != 1 || <-released != 2 {
			t.Fatal("released out of order")
		}
	})
}

func TestAReleaseRunsOnceWhenThePeerIsGone(t *testing.T) {
	onBothSockets(t, func(t *testing.T, change func(*Config)) {
		var p parked
		var seen recorder
		s := start(t, p.Serve, func(cfg *Config) { change(cfg); cfg.Observer = &seen })
		nc := dial(t, s)
		send(t, nc, heartbeat(1), heartbeat(2), heartbeat(3))
		requests := p.await(t, 3)
		var released [3]atomic.Int32
		release := func(i int) func() { return func() { released[i].Add(1) } }
		big := make([]byte, 64<<20)
		requests[0].ReplyParts([]Part{{Bytes: big}}, release(0)) // in the middle of being sent
		requests[1].ReplyParts([]Part{{Bytes: big}}, release(1)) // waits behind it
		closed := make(chan struct{})
		requests[0].Conn.OnClose(func() { close(closed) })
		nc.Close()
		<-closed
		requests[2].ReplyParts([]Part{{Bytes: big}}, release(2)) // comes too late
		for i := range released {
			eventually(t, fmt.Sprint("release ", i), func() bool { return released[i].Load() == 1 })
		}
		if !requests[2].Conn.Closed() {
			t.Fatal("not closed")
		}
		for _, d := range seen.accounts(t, 3) {
			if d.Err == nil {
				t.Error("an answer that was never sent is accounted as sent")
			}
		}
	})
}

func TestAFileThatHasBecomeShorterEndsTheConnection(t *testing.T) {
	for _, noFd := range []bool{false, true} {
		f, _ := fileOf(t, 100_000)
		f.noFd = noFd
		s := start(t, func(r *Request) { r.ReplyParts([]Part{{File: f, Pos: 50_000, Len: 100_000}}, nil) }, nil)
		nc := dial(t, s)
		send(t, nc, heartbeat(1))
		if b, _ := io.ReadAll(nc); len(b) > 4+5+50_000 {
			t.Fatalf("%d bytes of an answer that cannot be whole", len(b))
		}
	}
}

func TestNoReplyAndCloseKeepTheirPlaces(t *testing.T) {
	var seen recorder
	enough := errors.New("enough")
	var served atomic.Int32
	s := start(t, func(r *Request) {
		served.Add(1)
		switch r.CorrelationID {
		case 2:
			r.NoReply()
		case 4:
			r.ReplyAndClose(&kmsg.HeartbeatResponse{}, enough)
		default:
			ok(r)
		}
	}, func(cfg *Config) { cfg.Observer = &seen })
	nc := dial(t, s)
	send(t, nc, slices.Concat(heartbeat(1), heartbeat(2), heartbeat(3), heartbeat(4), heartbeat(5)))
	wantAnswers(t, nc, 1, 3, 4)
	wantClosed(t, nc)
	eventually(t, "the close is told", func() bool { return seen.closedWith(enough) })
	if served.Load() != 4 {
		t.Fatal("a request behind the close was served")
	}
	nc = dial(t, s)
	send(t, nc, heartbeat(4))
	wantAnswers(t, nc, 4)
	wantClosed(t, nc)
}

func TestThrottleAnswersAtOnceAndThenStopsReading(t *testing.T) {
	onBothSockets(t, func(t *testing.T, change func(*Config)) {
		fake := clock.NewFake(time.Unix(0, 0))
		var served atomic.Int32
		s := start(t, func(r *Request) {
			if served.Add(1) == 1 {
				r.Throttle(5 * time.Second)
			}
			ok(r)
		}, func(cfg *Config) { change(cfg); cfg.Clock = fake })
		nc := dial(t, s)
		send(t, nc, slices.Concat(heartbeat(1), heartbeat(2)))
		wantAnswers(t, nc, 1)
		eventually(t, "the mute is armed", func() bool { return fake.Pending() == 2 }) // with the sweeper
		fake.Advance(4 * time.Second)
		if served.Load() != 1 {
			t.Fatal("a muted connection was read")
		}
		fake.Advance(time.Second)
		wantAnswers(t, nc, 2)
	})
}

func TestMaxInFlightStopsReading(t *testing.T) {
	var p parked
	s := start(t, p.Serve, func(cfg *Config) { cfg.MaxInFlight = 3 })
	nc := dial(t, s)
	for id := range int32(6) {
		send(t, nc, heartbeat(id))
	}
	for n := range 4 {
		p.await(t, n+3)
		time.Sleep(5 * time.Millisecond)
		list := p.await(t, n+3)
		if len(list) != n+3 {
			t.Fatalf("%d requests taken after %d answers, 3 may wait", len(list), n)
		}
		if n < 3 {
			ok(list[n])
		}
	}
	for _, r := range p.list[3:] {
		ok(r)
	}
	wantAnswers(t, nc, 0, 1, 2, 3, 4, 5)
}

func TestIdleConnectionsAreClosedAndWaitingOnesAreNot(t *testing.T) {
	fake := clock.NewFake(time.Unix(0, 0))
	var p parked
	var seen recorder
	s := start(t, p.Serve, func(cfg *Config) {
		cfg.Clock, cfg.Observer, cfg.ConnectionsMaxIdle = fake, &seen, time.Minute
	})
	idle, waiting := dial(t, s), dial(t, s)
	send(t, waiting, heartbeat(1))
	requests := p.await(t, 1)
	eventually(t, "both are there", func() bool { return s.Connections() == 2 })
	fake.Advance(59 * time.Second)
	if s.Connections() != 2 {
		t.Fatal("closed too early")
	}
	fake.Advance(2 * time.Second)
	wantClosed(t, idle)
	eventually(t, "the reason is told", func() bool { return seen.closedWith(ErrIdle) })
	ok(requests[0])
	wantAnswers(t, waiting, 1)
}

// TestWholeServersRunInABubble runs ten idle minutes and a throttled client in no time.
func TestWholeServersRunInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		s := start(t, func(r *Request) {
			r.Throttle(20 * time.Second)
			time.AfterFunc(30*time.Second, func() { ok(r) })
		}, func(cfg *Config) { overMemory(cfg); cfg.Observer = &seen })
		nc := dial(t, s)
		nc.SetDeadline(time.Time{})
		begin := time.Now()
		send(t, nc, heartbeat(1), heartbeat(2))
		wantAnswers(t, nc, 1, 2)
		if d := time.Since(begin); d != 50*time.Second {
			t.Fatalf("it took %v, not two long polls of 30s the second of which begins 20s later", d)
		}
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Fatal("an idle connection stays")
		}
		synctest.Wait()
		if d := time.Since(begin); d < 10*time.Minute || d > 11*time.Minute || !seen.closedWith(ErrIdle) {
			t.Fatalf("closed after %v", d)
		}
		if err := shutdown(t, s, time.Second); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLimitsOfConnections(t *testing.T) {
	var seen recorder
	s := start(t, ok, func(cfg *Config) {
		cfg.Observer = &seen
		cfg.Limits = Limits{MaxConnectionsPerIP: 2}
	})
	a, b := dial(t, s), dial(t, s)
	send(t, a, heartbeat(1))
	send(t, b, heartbeat(1))
	wantAnswers(t, a, 1)
	wantAnswers(t, b, 1)
	wantClosed(t, dial(t, s))
	eventually(t, "the refusal is told", func() bool { return len(seen.refusals()) == 1 })
	if err := seen.refusals()[0]; !strings.Contains(err.Error(), "max.connections.per.ip") {
		t.Fatal(err)
	}
	s.SetLimits(Limits{MaxConnectionsPerIP: 2, MaxConnectionsPerIPOverrides: map[string]int{"127.0.0.1": 3}})
	c := dial(t, s)
	send(t, c, heartbeat(1))
	wantAnswers(t, c, 1)
	a.Close()
	b.Close()
	c.Close()
	eventually(t, "all are gone", func() bool { return s.Connections() == 0 })
	for _, nobody := range []map[string]int{{"127.0.0.1": 0}, {"10.0.0.1": 5}} {
		s.SetLimits(Limits{MaxConnectionsPerIPOverrides: nobody})
		wantClosed(t, dial(t, s))
	}
}

func TestTooManyConnectionsWaitForTheirTurn(t *testing.T) {
	s := start(t, ok, func(cfg *Config) { cfg.Limits = Limits{MaxConnections: 1} })
	first := dial(t, s)
	send(t, first, heartbeat(1))
	wantAnswers(t, first, 1)
	second := dial(t, s)
	send(t, second, heartbeat(2))
	second.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Fatal("one connection too many is served")
	}
	first.Close()
	second.SetReadDeadline(time.Now().Add(10 * time.Second))
	wantAnswers(t, second, 2)
}

func TestInterBrokerConnectionsDisplaceTheQuietest(t *testing.T) {
	var seen recorder
	s := start(t, ok, func(cfg *Config) {
		inter := cfg.Listeners[0]
		inter.Name = "INTERNAL"
		cfg.Listeners = append(cfg.Listeners, inter)
		cfg.InterBrokerListener, cfg.Observer, cfg.Limits = "INTERNAL", &seen, Limits{MaxConnections: 2}
	})
	quiet, busy := dial(t, s), dial(t, s)
	for _, nc := range []net.Conn{quiet, busy, busy} {
		send(t, nc, heartbeat(1))
		wantAnswers(t, nc, 1)
	}
	inter := dialListener(t, s, "INTERNAL")
	send(t, inter, heartbeat(2))
	wantAnswers(t, inter, 2)
	wantClosed(t, quiet)
	eventually(t, "the reason is told", func() bool { return seen.closedWith(ErrMadeRoom) })
	send(t, busy, heartbeat(3))
	wantAnswers(t, busy, 3)
}

func TestShutdownLetsTakenRequestsBeAnswered(t *testing.T) {
	onBothSockets(t, func(t *testing.T, change func(*Config)) {
		var p parked
		s := start(t, p.Serve, change)
		nc, idle := dial(t, s), dial(t, s)
		send(t, nc, heartbeat(1), heartbeat(2))
		requests := p.await(t, 2)
		done := make(chan error)
		go func() { done <- shutdown(t, s, 10*time.Second) }()
		wantClosed(t, idle)
		eventually(t, "the other one drains", func() bool {
			c := requests[0].Conn
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.draining
		})
		send(t, nc, heartbeat(3)) // too late
		ok(requests[1])
		ok(requests[0])
		wantAnswers(t, nc, 1, 2)
		if err := <-done; err != nil || p.len() != 2 {
			t.Fatal(err, p.len())
		}
		wantClosed(t, nc)
	})
}

func TestShutdownDoesNotWaitForever(t *testing.T) {
	var p parked
	s := start(t, p.Serve, nil)
	nc := dial(t, s)
	send(t, nc, heartbeat(1))
	requests := p.await(t, 1)
	if err := shutdown(t, s, 10*time.Millisecond); err == nil {
		t.Fatal("a request is unanswered, and nobody is told")
	}
	ok(requests[0]) // goes nowhere, harms nothing
	if err := s.Serve(); !errors.Is(err, ErrShutdown) {
		t.Fatal(err)
	}
}

func TestAPanicOrADoubleAnswerHarmsNobodyElse(t *testing.T) {
	s := start(t, func(r *Request) {
		if r.CorrelationID == 2 {
			panic("the handler is broken")
		}
		ok(r)
		ok(r)
	}, nil)
	bad, good := dial(t, s), dial(t, s)
	send(t, bad, heartbeat(2))
	wantClosed(t, bad)
	send(t, good, heartbeat(1), heartbeat(3))
	wantAnswers(t, good, 1, 3)
}

func TestAWrongResponseIsNotSent(t *testing.T) {
	s := start(t, func(r *Request) { r.Reply(&kmsg.MetadataResponse{}) }, nil)
	nc := dial(t, s)
	send(t, nc, heartbeat(1))
	wantClosed(t, nc)
}

func TestRequestsAreAccountedFor(t *testing.T) {
	fake := clock.NewFake(time.Unix(0, 0))
	var seen recorder
	var p parked
	s := start(t, func(r *Request) { fake.Advance(2 * time.Millisecond); p.Serve(r) }, func(cfg *Config) { cfg.Clock, cfg.Observer = fake, &seen })
	nc := dial(t, s)
	frame := heartbeat(1)
	send(t, nc, frame)
	r := p.await(t, 1)[0]
	eventually(t, "Serve has returned", func() bool { return r.servedAt.Load() != 0 })
	fake.Advance(3 * time.Millisecond)
	r.Throttle(time.Millisecond)
	ok(r)
	wantAnswers(t, nc, 1)
	got := seen.accounts(t, 1)[0]
	if got.Key != 12 || got.Version != 4 || got.RequestBytes != len(frame)-4 || got.ResponseBytes != 16 || got.Err != nil ||
		got.LocalTime != 2*time.Millisecond || got.RemoteTime != 3*time.Millisecond || got.TotalTime != 5*time.Millisecond || got.ThrottleTime != time.Millisecond {
		t.Fatalf("%+v", got)
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	s := start(t, ok, nil)
	cfg := s.cfg
	cfg.Listeners = slices.Clone(cfg.Listeners)
	cfg.Listeners[0].Address = s.Addr("PLAINTEXT").String()
	other, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Listen(); err == nil || !strings.Contains(err.Error(), "listener PLAINTEXT") || !strings.Contains(err.Error(), "address already in use") {
		t.Fatal(err)
	}
	for _, bad := range []ListenerConfig{{}, {Name: "A"}, {Name: "A", Table: &wire.Table{}}} {
		if _, err := New(Config{Listeners: []ListenerConfig{bad}}); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
