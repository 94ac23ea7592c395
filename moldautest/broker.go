package moldautest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/node"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Broker is one node of an Engine.
type Broker struct {
	e       *Engine
	id      int
	disk    *vfs.Mem
	faults  diskFaults
	boots   int
	gateway *gateway // nil where clients are on the engine's network
	cut     bool

	mu    sync.Mutex
	node  *node.Node    // nil while it does not run
	ended chan struct{} // closed when the node has given up by itself
}

func newBroker(e *Engine, id int) *Broker {
	b := &Broker{e: e, id: id, disk: vfs.NewMem()}
	if !e.opts.inMemory {
		b.gateway = newGateway(e.net, b.clientAddr())
		b.openGateway()
	}
	return b
}

// ID is the broker's node.id.
func (b *Broker) ID() int { return b.id }

// Addr is the address at which clients find the broker. It stays the same over restarts.
func (b *Broker) Addr() string {
	if b.e.opts.inMemory {
		return b.clientAddr()
	}
	return b.gateway.addr
}

func (b *Broker) host() string       { return fmt.Sprintf("broker-%d", b.id) }
func (b *Broker) clientAddr() string { return b.host() + ":9092" }

func (b *Broker) running() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.node != nil
}

// openGateway lets clients in, before the broker starts: its address is one of its settings.
func (b *Broker) openGateway() {
	b.e.t.Helper()
	if b.gateway == nil || b.gateway.listener != nil {
		return
	}
	if err := b.gateway.open(); err != nil {
		b.e.t.Fatalf("moldautest: broker %d: %v", b.id, err)
	}
}

// run takes over a node that has started, and ends it when it gives up, as the process of a real one would end.
func (b *Broker) run(n *node.Node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ended := make(chan struct{})
	b.node, b.ended = n, ended
	b.e.watchers.Go(func() {
		select {
		case <-n.Failed():
		case <-b.e.closing:
			return
		}
		if b.take(n) != nil {
			b.gateway.close()
			n.Kill()
			close(ended)
		}
	})
}

// take hands the node over to who ends it; nil when it does not run, or is another than the one wanted.
func (b *Broker) take(wanted *node.Node) *node.Node {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.node
	if wanted != nil && n != wanted {
		return nil
	}
	b.node = nil
	return n
}

// settings are those of a small cluster for tests, and what the test has set goes before them.
func (b *Broker) settings() *config.Config {
	n := len(b.e.brokers)
	var voters []string
	for id := 1; id <= n; id++ {
		voters = append(voters, fmt.Sprintf("%d@broker-%d:9093", id, id))
	}
	replicas := min(n, 3)
	all := append([]string{
		"process.roles=broker,controller", fmt.Sprintf("node.id=%d", b.id), "controller.quorum.voters=" + strings.Join(voters, ","),
		fmt.Sprintf("listeners=PLAINTEXT://%s:9092,CONTROLLER://%s:9093,BROKERS://%s:9094", b.host(), b.host(), b.host()),
		fmt.Sprintf("advertised.listeners=PLAINTEXT://%s,BROKERS://%s:9094", b.Addr(), b.host()),
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,BROKERS:PLAINTEXT",
		"inter.broker.listener.name=BROKERS", "controller.listener.names=CONTROLLER", "controller.quorum.election.timeout.ms=300",
		"log.dirs=/data", "moldau.admin.listener=", "moldau.flush.acks=true", "group.initial.rebalance.delay.ms=0",
		fmt.Sprintf("default.replication.factor=%d", replicas), fmt.Sprintf("min.insync.replicas=%d", min(replicas, 2)),
		fmt.Sprintf("offsets.topic.replication.factor=%d", replicas), "offsets.topic.num.partitions=3",
		fmt.Sprintf("transaction.state.log.replication.factor=%d", replicas), "transaction.state.log.num.partitions=3",
		fmt.Sprintf("transaction.state.log.min.isr=%d", min(replicas, 2)),
	}, b.e.opts.settings...)
	c, report := config.Load(config.Sources{Overrides: all})
	if c == nil {
		b.e.t.Fatalf("moldautest: the settings are refused:\n%s", strings.Join(report.Lines(), "\n"))
	}
	return c
}

func (b *Broker) options() node.Options {
	logger := obs.Discard()
	if w := b.e.opts.log; w != nil {
		logger = slog.New(slog.NewTextHandler(w, nil)).With("broker", b.id)
	}
	return node.Options{
		Settings: b.settings(), AutoFormat: true, ClusterID: clusterID, FS: b.faults.over(b.disk), Network: b.e.net.Host(b.host()),
		Clock: b.e.clock, Logger: logger, Version: "moldautest", BootID: fmt.Sprint("boot ", b.boots),
	}
}

// clusterID is the same for all: no engine can reach another.
const clusterID = "bW9sZGF1dGVzdC1rYWZrYQ"

// Stop stops the broker in order: leadership moves first, clients are answered, files are closed.
func (b *Broker) Stop() {
	b.e.t.Helper()
	n := b.take(nil)
	if n == nil {
		b.e.t.Fatalf("moldautest: broker %d does not run", b.id)
	}
	if err := n.Stop(); err != nil {
		b.e.t.Logf("moldautest: broker %d: %v", b.id, err)
	}
	b.gateway.close()
}

// Kill ends the broker as kill -9 does: nobody is told, and its files are left as they are.
func (b *Broker) Kill() {
	b.e.t.Helper()
	b.fall((*vfs.Mem).KillClone)
}

// LosePower ends the broker as a cut of the power does: what it had not synced is lost.
func (b *Broker) LosePower() {
	b.e.t.Helper()
	b.fall((*vfs.Mem).CrashClone)
	b.boots++
}

// fall ends what runs, if it does. The next life begins on a copy of the disk of this moment, of which nothing that runs knows. The network goes
// first, so that nothing is promised to anybody that the copy has not.
func (b *Broker) fall(left func(*vfs.Mem) *vfs.Mem) {
	b.e.net.Crash(b.host(), true)
	b.disk = left(b.disk)
	b.end()
}

func (b *Broker) end() {
	b.gateway.close()
	if n := b.take(nil); n != nil {
		n.Kill()
	}
}

// Start starts a broker that was stopped, killed or lost its power, on the disk that it has. It returns when the broker serves.
func (b *Broker) Start() {
	b.e.t.Helper()
	if b.running() {
		b.e.t.Fatalf("moldautest: broker %d runs already", b.id)
	}
	b.openGateway()
	b.e.start(b)
}

// ask sends one request to this broker and no other.
func (b *Broker) ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.Dialer(b.e.Dial))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return c.SeedBrokers()[0].Request(ctx, req)
}

// knows is the number of brokers that this one tells clients of.
func (b *Broker) knows(ctx context.Context) int {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := b.ask(ctx, req)
	if err != nil {
		return 0
	}
	return len(resp.(*kmsg.MetadataResponse).Brokers)
}

// leader is who leads a partition as this broker tells clients.
func (b *Broker) leader(ctx context.Context, topic string, partition int) (id int, ok bool) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	req.AllowAutoTopicCreation = false
	resp, err := b.ask(ctx, req)
	if err != nil {
		return 0, false
	}
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		for _, p := range t.Partitions {
			if int(p.Partition) == partition && p.ErrorCode == 0 && p.Leader > 0 {
				return int(p.Leader), true
			}
		}
	}
	return 0, false
}
