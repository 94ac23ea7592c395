package kraft

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// controllerStub answers fetches of the metadata log as an Apache Kafka controller does, with nothing in the log.
type controllerStub struct {
	id            int32
	leader, epoch int32

	mu    sync.Mutex
	asked []int32 // the epochs that were named
}

func (s *controllerStub) start(t *testing.T, n *netx.Mem) {
	host := fmt.Sprintf("n%d", s.id)
	srv, err := server.New(server.Config{
		Network: n.Host(host), Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler),
		Listeners: []server.ListenerConfig{{Name: "CONTROLLER", Address: host + ":9093", Table: Table(), Handler: s}},
	})
	if err == nil {
		err = errors.Join(srv.Listen(), srv.Serve())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
}

func (s *controllerStub) Serve(r *server.Request) {
	switch req := r.Body.(type) {
	case *kmsg.ApiVersionsRequest:
		server.ReplyApiVersions(r, meta.NewImage(), 0)
	case *kmsg.FetchRequest:
		r.Reply(s.fetch(req))
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
	first := &controllerStub{id: 1, leader: 2, epoch: 7}
	second := &controllerStub{id: 2, leader: 2, epoch: 7}
	first.start(t, n)
	second.start(t, n)
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
	c := &controllerStub{id: 1, leader: 1, epoch: 7}
	c.start(t, n)
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
