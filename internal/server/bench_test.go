package server

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/moldau-stream/moldau/internal/clock"
)

// drive sends each frame depth at a time over its connection, and reads the answers, until n are read in all.
func drive(b *testing.B, conns []net.Conn, frame []byte, depth, n int, read func(*bufio.Reader, int) error) {
	var wg sync.WaitGroup
	for i, nc := range conns {
		share := n / len(conns)
		if i < n%len(conns) {
			share++
		}
		wg.Go(func() {
			burst := make([]byte, 0, depth*len(frame))
			for range depth {
				burst = append(burst, frame...)
			}
			in := bufio.NewReaderSize(nc, 64<<10)
			for share > 0 {
				now := min(depth, share)
				if _, err := nc.Write(burst[:now*len(frame)]); err != nil {
					b.Error(err)
					return
				}
				if err := read(in, now); err != nil {
					b.Error(err)
					return
				}
				share -= now
			}
		})
	}
	wg.Wait()
}

func discardAnswers(in *bufio.Reader, n int) error {
	for range n {
		head, err := in.Peek(4)
		if err != nil {
			return err
		}
		if _, err := in.Discard(4 + int(binary.BigEndian.Uint32(head))); err != nil {
			return err
		}
	}
	return nil
}

func dialAll(b *testing.B, s *Server, n int) []net.Conn {
	conns := make([]net.Conn, n)
	for i := range conns {
		nc, err := net.Dial("tcp", s.Addr("PLAINTEXT").String())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { nc.Close() })
		conns[i] = nc
	}
	return conns
}

// BenchmarkSmallRequests measures both ends in one process: 200 bytes in, some 60 out.
func BenchmarkSmallRequests(b *testing.B) {
	for _, c := range []struct{ conns, depth int }{{1, 1}, {1, 5}, {16, 1}, {16, 5}, {100, 5}} {
		b.Run(fmt.Sprintf("conns=%d/depth=%d", c.conns, c.depth), func(b *testing.B) {
			s := start(b, func(r *Request) {
				r.Reply(&kmsg.ProduceResponse{Topics: []kmsg.ProduceResponseTopic{{Topic: "topic", Partitions: []kmsg.ProduceResponseTopicPartition{{BaseOffset: 1}}}}})
			}, nil)
			req := kmsg.NewPtrProduceRequest()
			req.Version = 9
			req.Topics = []kmsg.ProduceRequestTopic{{Topic: "topic", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, 150)}}}}
			conns := dialAll(b, s, c.conns)
			b.ReportAllocs()
			b.ResetTimer()
			drive(b, conns, frameOf(req, 1), c.depth, b.N, discardAnswers)
		})
	}
}

// BenchmarkSmallRequestsRoofline is the same exchange with the least loop that could do it, which looks at
// nothing but the lengths: what is left to gain.
func BenchmarkSmallRequestsRoofline(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go answerBlindly(nc)
		}
	}()
	conns := make([]net.Conn, 16)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conns[i].Close() })
	}
	frame := make([]byte, 200)
	binary.BigEndian.PutUint32(frame, 196)
	b.ResetTimer()
	drive(b, conns, frame, 5, b.N, discardAnswers)
}

func answerBlindly(nc net.Conn) {
	defer nc.Close()
	in, out := bufio.NewReaderSize(nc, 64<<10), make([]byte, 0, 64<<10)
	answer := binary.BigEndian.AppendUint32(nil, 56)
	answer = append(answer, make([]byte, 56)...)
	for {
		if discardAnswers(in, 1) != nil {
			return
		}
		out = append(out, answer...)
		if in.Buffered() < 200 {
			if _, err := nc.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
	}
}

// BenchmarkLargeRequests measures the reading of 1 MiB batches.
func BenchmarkLargeRequests(b *testing.B) {
	s := start(b, func(r *Request) { r.Reply(&kmsg.ProduceResponse{}) }, nil)
	req := kmsg.NewPtrProduceRequest()
	req.Version = 9
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "topic", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, 1<<20)}}}}
	conns := dialAll(b, s, 2)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	b.ResetTimer()
	drive(b, conns, frameOf(req, 1), 5, b.N, discardAnswers)
}

// BenchmarkParkedAnswers completes requests from another goroutine.
func BenchmarkParkedAnswers(b *testing.B) {
	todo := make(chan *Request, 1024)
	go func() {
		for r := range todo {
			r.Reply(&kmsg.HeartbeatResponse{})
		}
	}()
	b.Cleanup(func() { close(todo) })
	s := start(b, func(r *Request) { todo <- r }, func(cfg *Config) { cfg.Clock = clock.Real{} })
	conns := dialAll(b, s, 16)
	b.ReportAllocs()
	b.ResetTimer()
	drive(b, conns, heartbeat(1), 5, b.N, discardAnswers)
}
