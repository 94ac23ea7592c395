package moldautest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/node"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience bounds every wait; a cluster of three is ready within a second on any machine, also with the race detector.
const patience = time.Minute

// clientHost is where clients are on the engine's network.
const clientHost = "client"

// Engine is a Kafka cluster of one or more brokers inside the test's process.
type Engine struct {
	t       testing.TB
	opts    options
	net     *netx.Mem
	clock   *clock.Moved
	brokers []*Broker
	admin   *kgo.Client

	closing  chan struct{}
	watchers sync.WaitGroup
}

// New starts one node, which is gone when the test is over.
func New(t testing.TB, opts ...Option) *Engine {
	t.Helper()
	return Cluster(t, 1, opts...)
}

// Cluster starts n nodes, each broker and controller, with ids from 1. Topics have three replicas unless asked otherwise (or n, if
// that is less), and take records with acks=all while two are in sync.
func Cluster(t testing.TB, n int, opts ...Option) *Engine {
	t.Helper()
	if n < 1 {
		t.Fatalf("moldautest: a cluster has 1 node or more, not %d", n)
	}
	e := &Engine{t: t, net: netx.NewMem(clock.Real{}), clock: clock.NewMoved(), closing: make(chan struct{})}
	for _, o := range opts {
		o(&e.opts)
	}
	t.Cleanup(e.close)
	for id := range n {
		e.brokers = append(e.brokers, newBroker(e, id+1))
	}
	e.start(e.brokers...)
	return e
}

// start starts brokers at once, since none is ready before a majority is there, and waits until each knows of all that run.
func (e *Engine) start(brokers ...*Broker) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	errs := make([]error, len(brokers))
	var all sync.WaitGroup
	for i, b := range brokers {
		all.Go(func() {
			n, err := node.Start(ctx, b.options())
			if errs[i] = err; err == nil {
				b.run(n)
			}
		})
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			e.t.Fatalf("moldautest: broker %d cannot start: %v", brokers[i].id, err)
		}
	}
	e.waitReady()
}

// waitReady waits until every broker that runs and can be reached knows of all others that can.
func (e *Engine) waitReady() {
	e.t.Helper()
	want := 0
	for _, b := range e.brokers {
		if b.running() && !b.cut {
			want++
		}
	}
	for _, b := range e.brokers {
		if b.running() && !b.cut && want > len(e.brokers)/2 {
			e.until(fmt.Sprintf("broker %d to know of %d brokers", b.id, want), func(ctx context.Context) bool { return b.knows(ctx) == want })
		}
	}
}

func (e *Engine) until(what string, cond func(context.Context) bool) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for !cond(ctx) {
		if ctx.Err() != nil {
			e.t.Fatalf("moldautest: waited %v in vain for %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (e *Engine) close() {
	if e.admin != nil {
		e.admin.Close()
	}
	for _, b := range e.brokers {
		e.net.Heal(clientHost, b.host())
		b.end()
	}
	close(e.closing)
	e.watchers.Wait()
}

// Bootstrap is the value of bootstrap.servers: the addresses of all brokers, with commas between them.
func (e *Engine) Bootstrap() string { return strings.Join(e.Addrs(), ",") }

// Addrs are the addresses of all brokers, in the order of their ids.
func (e *Engine) Addrs() []string {
	var out []string
	for _, b := range e.brokers {
		out = append(out, b.Addr())
	}
	return out
}

// Broker is the broker of that id; the first one's is 1.
func (e *Engine) Broker(id int) *Broker {
	e.t.Helper()
	if id < 1 || id > len(e.brokers) {
		e.t.Fatalf("moldautest: there is no broker %d, there are %d", id, len(e.brokers))
	}
	return e.brokers[id-1]
}

// Brokers are all brokers, those that do not run included.
func (e *Engine) Brokers() []*Broker { return append([]*Broker(nil), e.brokers...) }

// Dial connects to a broker by its address, on the engine's own network or on loopback. kgo.Dialer takes it as it is, and so
// does sarama's or kafka-go's Dialer with a method around it.
func (e *Engine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if e.opts.inMemory {
		return e.net.Host(clientHost).Dial(ctx, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// Client is a franz-go client of the cluster; it is closed with the test. The options are added to those that connect it. It asks
// for metadata as often as it wants to: by its defaults it would find a new leader only five seconds later.
func (e *Engine) Client(opts ...kgo.Opt) *kgo.Client {
	e.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(e.Addrs()...), kgo.Dialer(e.Dial), kgo.MetadataMinAge(10 * time.Millisecond)}, opts...)...)
	if err != nil {
		e.t.Fatalf("moldautest: %v", err)
	}
	e.t.Cleanup(c.Close)
	return c
}

// client is the engine's own, which lives as long as the engine.
func (e *Engine) client() *kgo.Client {
	if e.admin == nil {
		c, err := kgo.NewClient(kgo.SeedBrokers(e.Addrs()...), kgo.Dialer(e.Dial), kgo.MetadataMinAge(10*time.Millisecond))
		if err != nil {
			e.t.Fatalf("moldautest: %v", err)
		}
		e.admin = c
	}
	return e.admin
}

// CreateTopic creates a topic with as many partitions and the cluster's default of replicas, and waits until all brokers that run
// know it. Each config is a "key=value" of the topic.
func (e *Engine) CreateTopic(topic string, partitions int, configs ...string) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	values := map[string]*string{}
	for _, c := range configs {
		key, value, ok := strings.Cut(c, "=")
		if !ok {
			e.t.Fatalf("moldautest: %q is no key=value", c)
		}
		values[key] = &value
	}
	resp, err := kadm.NewClient(e.client()).CreateTopic(ctx, int32(partitions), -1, values, topic)
	if err == nil {
		err = resp.Err
	}
	if err != nil {
		e.t.Fatalf("moldautest: cannot create topic %s: %v %s", topic, err, resp.ErrMessage)
	}
	for _, b := range e.brokers {
		if b.running() && !b.cut {
			e.until(fmt.Sprintf("broker %d to know topic %s", b.id, topic), func(ctx context.Context) bool {
				_, ok := b.leader(ctx, topic, partitions-1)
				return ok
			})
		}
	}
}

// Leader is the broker that leads a partition. It waits while an election is under way.
func (e *Engine) Leader(topic string, partition int) *Broker {
	e.t.Helper()
	var leader *Broker
	e.until(fmt.Sprintf("a leader of %s-%d", topic, partition), func(ctx context.Context) bool {
		for _, b := range e.brokers {
			if !b.running() || b.cut {
				continue
			}
			if id, ok := b.leader(ctx, topic, partition); ok && e.Broker(id).running() && !e.Broker(id).cut {
				leader = e.Broker(id)
				return true
			}
		}
		return false
	})
	return leader
}

// WaitInSync waits until all replicas of the topic's partitions are in sync.
func (e *Engine) WaitInSync(topic string) {
	e.t.Helper()
	e.until("all replicas of "+topic+" to be in sync", func(ctx context.Context) bool {
		topics, err := kadm.NewClient(e.client()).ListTopics(ctx, topic)
		if err != nil || topics[topic].Err != nil {
			return false
		}
		for _, p := range topics[topic].Partitions {
			if len(p.ISR) != len(p.Replicas) || p.Leader < 0 {
				return false
			}
		}
		return true
	})
}

// Now is the time by the brokers' clocks. It is the machine's until Advance is called.
func (e *Engine) Now() time.Time { return e.clock.Now() }

// Advance lets d pass for all brokers at once: what comes due meanwhile happens now, in no order, as on machines that have slept.
// Sessions of clients may have run out then, and leaders may change. It returns when the cluster is ready again.
func (e *Engine) Advance(d time.Duration) {
	e.t.Helper()
	if d < 0 {
		e.t.Fatalf("moldautest: time does not go back by %v", -d)
	}
	e.clock.Advance(d)
	e.waitReady()
}
