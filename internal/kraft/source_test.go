package kraft

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// controllerStub answers fetches of the metadata log as an Apache Kafka controller does, with nothing in the log.
type controllerStub struct {
	t             *testing.T
	id            int32
	leader, epoch int32

	mu    sync.Mutex
	asked []int32 // the epochs that were named
}

func (s *controllerStub) start(n *netx.Mem) {
	l, err := n.Host(stubHost(s.id)).Listen(stubHost(s.id) + ":9093")
	if err != nil {
		s.t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() { s.serve(c) })
		}
	})
	s.t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

func stubHost(id int32) string { return "n" + string(rune('0'+id)) }

func (s *controllerStub) serve(c net.Conn) {
	for {
		var size [4]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
		id, client := binary.BigEndian.Uint32(frame[4:]), int(int16(binary.BigEndian.Uint16(frame[8:])))
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		if err := req.ReadFrom(frame[10+max(client, 0)+1:]); err != nil {
			s.t.Errorf("request %d cannot be read: %v", key, err)
			return
		}
		out := binary.BigEndian.AppendUint32(make([]byte, 4), id)
		switch r := req.(type) {
		case *kmsg.ApiVersionsRequest:
			resp := r.ResponseKind().(*kmsg.ApiVersionsResponse)
			for _, k := range []kmsg.Request{kmsg.NewPtrFetchRequest(), kmsg.NewPtrApiVersionsRequest()} {
				v := kmsg.NewApiVersionsResponseApiKey()
				v.ApiKey, v.MaxVersion = k.Key(), k.MaxVersion()
				resp.ApiKeys = append(resp.ApiKeys, v)
			}
			out = resp.AppendTo(out)
		case *kmsg.FetchRequest:
			out = s.fetch(r).AppendTo(append(out, 0))
		default:
			s.t.Errorf("asked for %d", key)
			return
		}
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

func (s *controllerStub) fetch(r *kmsg.FetchRequest) *kmsg.FetchResponse {
	resp := r.ResponseKind().(*kmsg.FetchResponse)
	ask := r.Topics[0].Partitions[0]
	s.mu.Lock()
	s.asked = append(s.asked, ask.CurrentLeaderEpoch)
	s.mu.Unlock()
	if ask.CurrentLeaderEpoch < 0 || ask.LastFetchedEpoch < 0 {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	}
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches = []byte{}
	p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = s.leader, s.epoch
	switch {
	case s.id != s.leader:
		p.ErrorCode = kerr.NotLeaderForPartition.Code
	case ask.CurrentLeaderEpoch < s.epoch:
		p.ErrorCode = kerr.FencedLeaderEpoch.Code
	case ask.CurrentLeaderEpoch > s.epoch:
		p.ErrorCode = kerr.UnknownLeaderEpoch.Code
	}
	t := kmsg.NewFetchResponseTopic()
	t.TopicID, t.Partitions = metadataTopicID(), append(t.Partitions, p)
	resp.Topics = append(resp.Topics, t)
	return resp
}

// A broker that starts knows of no leader. Its first fetch asks as Apache Kafka's controllers allow, follows what they say of the
// leader and its epoch, and fails for none of it.
func TestTheFirstFetchOfTheMetadataFindsTheLeader(t *testing.T) {
	n := netx.NewMem(clock.Real{})
	first := &controllerStub{t: t, id: 1, leader: 2, epoch: 7}
	second := &controllerStub{t: t, id: 2, leader: 2, epoch: 7}
	first.start(n)
	second.start(n)
	d := NewDirectory(Options{
		NodeID: 5, Network: n.Host("n5"), Clock: clock.Real{}, Logger: slog.New(slog.DiscardHandler), RequestTimeout: 10 * time.Second,
		Fixed: map[int32]string{1: "n1:9093", 2: "n2:9093"},
	})
	defer d.Close()
	s := NewSource(d, [16]byte{1}, 10*time.Second)
	if _, err := s.Fetch(context.Background(), 0, 0, -1); err != nil {
		t.Fatal(err)
	}
	if id, epoch := s.Leader(); id != 2 || epoch != 7 {
		t.Errorf("leader %d in epoch %d", id, epoch)
	}
	for _, c := range []*controllerStub{first, second} {
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	if len(first.asked) != 1 || first.asked[0] != 0 || len(second.asked) != 1 || second.asked[0] != 7 {
		t.Errorf("asked with epochs %v and %v", first.asked, second.asked)
	}
}

// A log that knows of an epoch names it: who leads in it still is followed at once.
func TestAFetchNamesTheEpochOfTheLog(t *testing.T) {
	n := netx.NewMem(clock.Real{})
	c := &controllerStub{t: t, id: 1, leader: 1, epoch: 7}
	c.start(n)
	d := NewDirectory(Options{
		NodeID: 5, Network: n.Host("n5"), Clock: clock.Real{}, Logger: slog.New(slog.DiscardHandler), RequestTimeout: 10 * time.Second,
		Bootstrap: []string{"n1:9093"},
	})
	defer d.Close()
	s := NewSource(d, [16]byte{1}, 10*time.Second)
	if _, err := s.Fetch(context.Background(), 90, 7, -1); err != nil {
		t.Fatal(err)
	}
	// One that is behind is told of, and not asked without end.
	if _, err := s.Fetch(context.Background(), 90, 8, -1); err == nil {
		t.Error("a controller of epoch 7 was taken to lead in epoch 8")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.asked) != 2 {
		t.Errorf("asked with epochs %v", c.asked)
	}
}
