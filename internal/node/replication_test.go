package node

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kgo"
)

// replicated describes three nodes that notice soon when one is gone.
func replicated(t *testing.T, more ...string) *crew {
	c := combined(t, 3)
	for id := range c.opts {
		c.opts[id] = append(c.opts[id], "min.insync.replicas=2", "broker.session.timeout.ms=1000", "broker.heartbeat.interval.ms=200",
			"replica.lag.time.max.ms=1500", "default.replication.factor=3")
		c.opts[id] = append(c.opts[id], more...)
	}
	return c
}

// leader is who leads a partition, as the other nodes than not see it.
func (c *crew) leader(topic string, partition, not int32) int32 {
	for id, n := range c.nodes {
		if id == not {
			continue
		}
		if p := n.metadata.Image().Partition(topic, partition); p != nil {
			return p.Leader
		}
	}
	return -1
}

func (c *crew) inSync(topic string, want int) func() bool {
	return func() bool {
		for _, n := range c.nodes {
			p := n.metadata.Image().Partition(topic, 0)
			if p == nil || len(p.ISR) != want {
				return false
			}
		}
		return true
	}
}

// cutOff separates a node's machine from all others, or joins it again.
func (c *crew) cutOff(id int32, cut bool) {
	all := []string{"client"}
	for other := range c.opts {
		if other != id {
			all = append(all, fmt.Sprintf("n%d", other))
		}
	}
	for _, host := range all {
		if cut {
			c.net.Partition(fmt.Sprintf("n%d", id), host)
		} else {
			c.net.Heal(fmt.Sprintf("n%d", id), host)
		}
	}
}

// writer produces numbered records with acks=all, one after the other, until it is stopped.
type writer struct {
	stop  atomic.Bool
	done  sync.WaitGroup
	acked map[string]int64 // offset by value
	errs  []error
	n     atomic.Int64
}

func (c *crew) write(topic string) *writer {
	w := &writer{acked: map[string]int64{}}
	cl := c.client(kgo.DefaultProduceTopic(topic), kgo.RecordDeliveryTimeout(60*time.Second), kgo.ProducerLinger(0), kgo.RetryTimeout(60*time.Second),
		kgo.ProduceRequestTimeout(time.Second), kgo.RequestTimeoutOverhead(time.Second), // a machine that is cut off does not even refuse
		kgo.Dialer(func(ctx context.Context, _, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return c.net.Host("client").Dial(ctx, address)
		}))
	w.done.Go(func() {
		for i := 0; !w.stop.Load(); i++ {
			r := &kgo.Record{Value: fmt.Appendf(nil, "%d", i)}
			if err := cl.ProduceSync(context.Background(), r).FirstErr(); err != nil {
				w.errs = append(w.errs, err)
				continue
			}
			w.acked[string(r.Value)] = r.Offset
			w.n.Add(1)
		}
	})
	return w
}

func (w *writer) reached(n int64) func() bool { return func() bool { return w.n.Load() >= n } }

// verify reads the topic's one partition from its start and compares.
func (c *crew) verify(topic string, w *writer) {
	c.t.Helper()
	w.stop.Store(true)
	w.done.Wait()
	if len(w.errs) > 0 {
		c.t.Fatalf("the client was told of %d errors, the first: %v", len(w.errs), w.errs[0])
	}
	cl := c.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	got := map[string]int64{}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for len(got) < len(w.acked) && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if _, twice := got[string(r.Value)]; twice {
				c.t.Errorf("%s is there twice", r.Value)
			}
			got[string(r.Value)] = r.Offset
		})
	}
	for v, offset := range w.acked {
		if have, ok := got[v]; !ok || have != offset {
			c.t.Fatalf("%s was acknowledged at offset %d and is at %d (%v)", v, offset, have, ok)
		}
	}
}

func (c *crew) equalLogs(topic string) func() bool {
	return func() bool {
		end := int64(-1)
		for _, n := range c.nodes {
			p, err := n.replicas.Partition(storage.TopicPartition{Topic: topic})
			if err != nil {
				return false
			}
			s := p.State()
			if end < 0 {
				end = s.LogEndOffset
			}
			if s.LogEndOffset != end || s.HW != end || s.Role == replica.Offline {
				return false
			}
		}
		return true
	}
}

func TestALeaderStopsAndNothingIsLost(t *testing.T) {
	c := replicated(t)
	c.startAll()
	c.create("t", 1, 3)
	c.until("everybody in sync", c.inSync("t", 3))
	w := c.write("t")
	c.until("a start", w.reached(50))
	for range 2 {
		old := c.leader("t", 0, -1)
		c.stop(old)
		n := w.n.Load()
		c.until("acknowledgements from another leader", w.reached(n+50))
		c.startAll(old)
		c.until("everybody in sync again", c.inSync("t", 3))
	}
	c.verify("t", w)
	c.until("equal logs", c.equalLogs("t"))
}

func TestALeaderIsCutOffAndNothingIsLost(t *testing.T) {
	c := replicated(t)
	c.startAll()
	c.create("t", 1, 3)
	c.until("everybody in sync", c.inSync("t", 3))
	w := c.write("t")
	c.until("a start", w.reached(50))
	old := c.leader("t", 0, -1)
	c.cutOff(old, true)
	c.until("another leader", func() bool { l := c.leader("t", 0, old); return l >= 0 && l != old })
	n := w.n.Load()
	c.until("acknowledgements from another leader", w.reached(n+50))
	c.cutOff(old, false)
	c.until("everybody in sync again", c.inSync("t", 3))
	c.verify("t", w)
	c.until("equal logs", c.equalLogs("t"))
}
