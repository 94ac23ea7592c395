package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/node"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	clusterID = "AAAAAAAAAAAAAAAAAAAAAw"
	dataDir   = "/data"
	// copies is the replication factor of everything; two of them must be in sync.
	copies = 3
)

// world is a cluster and what is done to it. Its test's goroutine owns it; what others touch is guarded by mu.
type world struct {
	t    *testing.T
	rnd  *rand.Rand
	size int32
	// synced: acknowledgements rest on the disk (moldau.flush.acks), and any node may lose power at any time.
	synced bool
	// fragile: a node has lost what it had not synced, and not everybody has everything again. Where acknowledgements rest on
	// replication the promise does not cover the death of others in that time: a process that was killed counts, as in
	// Kafka, as one that may have lost something, and when all have, it is the last leader's log that counts.
	fragile bool
	flaws   flaws

	net     *netx.Mem
	hosts   map[int32]*host
	clients []string       // their machines' names
	ended   sync.WaitGroup // former lives of nodes, which must be over before the bubble is

	ledger *ledger
	apps   *apps
	seen   *seen

	began   time.Time // by the bubble's clock
	history []string  // what was done to the cluster, and who led since when

	mu    sync.Mutex
	found []string // promises that were broken
}

// note remembers something that was done or seen, for whoever reads why a promise was broken.
func (w *world) note(format string, args ...any) {
	w.history = append(w.history, fmt.Sprintf("%9.3fs ", time.Since(w.began).Seconds())+fmt.Sprintf(format, args...))
}

// flaws are mistakes that must be found, or a run proves nothing.
type flaws struct {
	forgetSync       bool // syncs of records are reported and not done
	ackBeforeCopying bool // clients take a leader's word for a commit
	markerFirst      bool // a partition gets the marker of a commit before anything is decided
	readsOpen        bool // the last stable offset is past open transactions: readers of committed records see all
	epochLost        bool // what a producer writes that has been replaced counts
	nobodysOffsets   bool // offsets in transactions are taken from members that have been replaced
	offsetsFirst     bool // offsets count before their transaction is committed
}

// ofRecords says that the flaw is in how records are kept: the applications in transactions are left out then.
func (f flaws) ofRecords() bool { return f.forgetSync || f.ackBeforeCopying }

// host is one machine: its disk, and the life of the node that runs on it.
type host struct {
	id   int32
	disk *vfs.Mem
	dir  [16]byte // directory id

	life   int
	boot   int        // of the machine: a loss of power begins another
	up     *node.Node // nil while it is down or starting
	cancel context.CancelFunc
	start  chan started

	mu        sync.Mutex // guards what the disk's hook and the clock read
	skew      time.Duration
	slow      time.Duration
	syncFails bool
	full      bool // no room on the disk
	wasFull   bool // in this life: a node may have ended of it, and that is noticed later
	paused    bool
	held      []func() // timers that went off in the pause
}

type started struct {
	n   *node.Node
	err error
}

func (w *world) broke(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.found) < 10 {
		w.found = append(w.found, fmt.Sprintf(format, args...))
	}
}

func (w *world) broken() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.found, "\n")
}

func newWorld(t *testing.T, seed uint64, size int32, synced bool, f flaws) *world {
	w := &world{
		t: t, rnd: rand.New(rand.NewPCG(seed, 9)), size: size, synced: synced, flaws: f,
		net: netx.NewMem(clock.Real{}), hosts: map[int32]*host{}, seen: newSeen(), began: time.Now(),
	}
	var voters []record.Voter
	for id := int32(1); id <= size; id++ {
		h := &host{id: id, disk: vfs.NewMem(), dir: [16]byte{0: 0xD0, 15: byte(id)}}
		w.hosts[id] = h
		voters = append(voters, record.Voter{
			ReplicaKey: record.ReplicaKey{ID: id, DirectoryID: h.dir}, MaxKRaftVersion: 1,
			Endpoints: []record.VoterEndpoint{{Name: "CONTROLLER", Host: hostName(id), Port: 9093}},
		})
	}
	for _, h := range w.hosts {
		if err := errors.Join(h.disk.MkdirAll(dataDir, 0o755), quorum.WriteBootstrap(h.disk, dataDir, 1, meta.BootstrapRecords()), quorum.WriteVoters(h.disk, dataDir, 1, 1, voters),
			storage.WriteMetaProperties(h.disk, dataDir, storage.MetaProperties{ClusterID: clusterID, NodeID: h.id, DirectoryID: h.dir}), h.disk.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
	}
	w.ledger, w.apps = newLedger(w), newApps(w)
	return w
}

func hostName(id int32) string { return fmt.Sprintf("n%d", id) }

// settings are those of a node; silences are found out sooner than by default, so that more happens in a run.
func (w *world) settings(id int32) *config.Config {
	c, report := config.Load(config.Sources{Overrides: []string{
		"moldau.admin.listener=", "process.roles=broker,controller", fmt.Sprintf("node.id=%d", id), "log.dirs=" + dataDir,
		"controller.quorum.bootstrap.servers=n1:9093,n2:9093,n3:9093", "controller.listener.names=CONTROLLER",
		fmt.Sprintf("listeners=PLAINTEXT://n%d:9092,CONTROLLER://n%d:9093", id, id),
		fmt.Sprintf("moldau.flush.acks=%t", w.synced), fmt.Sprintf("default.replication.factor=%d", copies), "min.insync.replicas=2",
		"broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500", "replica.lag.time.max.ms=2000", "log.cleaner.enable=false",
		"metadata.log.max.record.bytes.between.snapshots=4000", "initial.broker.registration.timeout.ms=3600000",
		// Clocks are hours off; a record from the future would be refused for good.
		"log.message.timestamp.after.max.ms=9223372036854775807",
		// One coordinator of each kind: whatever hurts it, hurts everybody.
		"offsets.topic.num.partitions=1", "transaction.state.log.num.partitions=1", "group.initial.rebalance.delay.ms=0",
		"group.consumer.min.session.timeout.ms=3000", "group.consumer.session.timeout.ms=6000", "group.consumer.min.heartbeat.interval.ms=300", "group.consumer.heartbeat.interval.ms=300",
	}})
	if c == nil {
		w.t.Fatal(strings.Join(report.Lines(), "\n"))
	}
	return c
}

// hook is what goes wrong with a disk.
func (h *host) hook(f flaws) func(vfs.Op) error {
	return func(op vfs.Op) error {
		h.mu.Lock()
		slow, fails, full := h.slow, h.syncFails, h.full
		h.mu.Unlock()
		switch op.Kind {
		case vfs.OpWrite, vfs.OpCreate, vfs.OpMkdir, vfs.OpReserve:
			if full {
				return syscall.ENOSPC
			}
			return nil
		case vfs.OpSync:
		default:
			return nil
		}
		if slow > 0 && strings.HasSuffix(op.Name, quorum.WALName) {
			// Raft's log alone: a partition that changes its role syncs its log under the lock of the role, and the bubble's time
			// stands while somebody waits at a lock.
			time.Sleep(slow)
		}
		switch {
		case f.forgetSync && strings.Contains(op.Name, topicName):
			return vfs.ErrLeftOut
		case fails:
			return errSync
		}
		return nil
	}
}

var errSync = errors.New("input/output error")

// begin starts a node; it is up once a quorum is there.
func (w *world) begin(h *host) {
	if h.up != nil || h.start != nil {
		return
	}
	h.mu.Lock()
	h.syncFails, h.full, h.wasFull, h.slow, h.skew = false, false, false, 0, 0
	if w.rnd.IntN(6) == 0 { // a machine whose clock is hours off
		h.skew = time.Duration(w.rnd.IntN(12)-6) * time.Hour
	}
	h.mu.Unlock()
	h.life++
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel, h.start = cancel, make(chan started, 1)
	o := node.Options{
		Settings: w.settings(h.id), FS: vfs.NewFault(h.disk, h.hook(w.flaws)), Network: w.net.Host(hostName(h.id)),
		Clock: h, Logger: w.logger(h), Version: "sim", BootID: fmt.Sprint(h.boot),
	}
	done := h.start
	w.ended.Go(func() {
		n, err := node.Start(ctx, o)
		done <- started{n, err}
	})
}

// Now is the host's wall clock, which may be hours off, all through a life of its node.
func (h *host) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.skew)
}

// AfterFunc waits as long as anywhere, and as long as the host is paused.
func (h *host) AfterFunc(d time.Duration, f func()) clock.Timer {
	return time.AfterFunc(d, func() {
		h.mu.Lock()
		paused := h.paused
		if paused {
			h.held = append(h.held, f)
		}
		h.mu.Unlock()
		if !paused {
			f()
		}
	})
}

// hurt says that what ends this node is its disk's fault, or that its disk is about to end it.
func (h *host) hurt() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.syncFails || h.wasFull
}

// logger is silent unless the test is run with MOLDAU_TEST_LOG set.
func (w *world) logger(h *host) *slog.Logger {
	if os.Getenv("MOLDAU_TEST_LOG") == "" {
		return obs.Discard()
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})).With("node", h.id, "life", h.life)
}

// arrivals takes notice of nodes that have come up, or cannot, and ends those that cannot go on.
func (w *world) arrivals() {
	for id := int32(1); id <= w.size; id++ {
		h := w.hosts[id]
		if h.start != nil {
			select {
			case s := <-h.start:
				h.start, h.up = nil, s.n
				w.note("node %d is up: %v", id, s.err == nil)
				if s.err != nil {
					h.up = nil
					if !h.hurt() {
						w.broke("node %d does not start: %v", id, s.err)
					}
					w.crash(h, loseNothing)
				}
			default:
			}
		}
		if h.up == nil {
			continue
		}
		select {
		case <-h.up.Failed():
			if !h.hurt() {
				w.broke("node %d cannot go on: %v", id, h.up.Err())
			}
			w.crash(h, loseNothing)
		default:
		}
	}
}

// What a crash does to what was not synced.
type loss int

const (
	loseNothing loss = iota // the process died
	loseAll                 // the power failed
	loseSome                // the power failed while the disk wrote
)

// crash ends a node in one moment: nobody hears of it any more, and then its disk is taken as it is.
func (w *world) crash(h *host, l loss) {
	w.note("node %d crashes: %s", h.id, [...]string{"killed", "power lost", "power lost in a write"}[l])
	w.resume(h)
	if l != loseNothing {
		h.boot++
		w.fragile = !w.synced
	}
	w.net.Crash(hostName(h.id), l == loseNothing)
	switch l {
	case loseNothing:
		h.disk = h.disk.KillClone()
	case loseAll:
		h.disk = h.disk.CrashClone()
	case loseSome:
		h.disk = h.disk.TornClone(w.rnd)
	}
	if h.cancel != nil {
		h.cancel()
	}
	n, start := h.up, h.start
	h.up, h.start, h.cancel = nil, nil, nil
	w.ended.Go(func() { // the former life goes on for a moment, unheard and on a disk that nobody will see again
		if start != nil {
			n = (<-start).n
		}
		if n != nil {
			_ = n.Stop()
		}
	})
	w.seen.forget(h.id)
}

// stop ends a node in order.
func (w *world) stop(h *host) {
	if h.up == nil {
		return
	}
	w.note("node %d stops", h.id)
	w.resume(h)
	if err := h.up.Stop(); err != nil {
		if !h.hurt() {
			w.broke("node %d does not stop in order: %v", h.id, err)
		}
	}
	h.cancel()
	h.up, h.cancel = nil, nil
	w.seen.forget(h.id)
}

// client is a client of the cluster, on a machine of its own.
func (w *world) client(name string, opts ...kgo.Opt) *kgo.Client {
	w.clients = append(w.clients, name)
	return w.connect(name, opts...)
}

// connect is client for a machine that the world knows of.
func (w *world) connect(name string, opts ...kgo.Opt) *kgo.Client {
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		return w.net.Host(name).Dial(ctx, address)
	}
	var seeds []string
	for id := int32(1); id <= w.size; id++ {
		seeds = append(seeds, hostName(id)+":9092")
	}
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(seeds...), kgo.Dialer(dial), kgo.MetadataMinAge(50 * time.Millisecond), kgo.RetryTimeout(10 * time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.RequestTimeoutOverhead(3 * time.Second),
		kgo.ProduceRequestTimeout(3 * time.Second), kgo.DialTimeout(2 * time.Second),
	}, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	return cl
}

// each visits the nodes that are up, in the order of their ids.
func (w *world) each(fn func(h *host, n *node.Node)) {
	for id := int32(1); id <= w.size; id++ {
		if h := w.hosts[id]; h.up != nil {
			fn(h, h.up)
		}
	}
}
