package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// lives is a node that dies and comes back, and clients that follow it.
type lives struct {
	t    *testing.T
	mu   sync.Mutex
	r    *rig // nil while the node is dead
	open []net.Conn
}

func (l *lives) dial(ctx context.Context, _, address string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.r == nil {
		return nil, net.ErrClosed
	}
	c, err := l.r.net.Host("localhost").Dial(ctx, address)
	if err == nil {
		l.open = append(l.open, c)
	}
	return c, err
}

func (l *lives) client(opts ...kgo.Opt) *kgo.Client {
	l.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers("localhost:9092"), kgo.Dialer(l.dial)}, opts...)...)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// crash cuts the power: what was answered before is on the disk, what comes after is heard by nobody.
func (l *lives) crash(rng *rand.Rand) {
	l.mu.Lock()
	old := l.r
	l.r = nil
	for _, c := range l.open {
		_ = c.Close()
	}
	l.open = nil
	l.mu.Unlock()
	if old == nil {
		return
	}
	disk := old.fs.TornClone(rng)
	_ = old.node.Stop()
	next := start(l.t, disk, smallTxns)
	l.mu.Lock()
	l.r = next
	l.mu.Unlock()
}

// afterRequest crashes the node when the n-th answer to a kind of request has come.
type afterRequest struct {
	key   int16
	n     int
	mu    sync.Mutex
	crash chan struct{}
}

func (h *afterRequest) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if key != h.key || e.Err() != nil {
		return
	}
	if h.n--; h.n == 0 {
		close(h.crash)
	}
}

const copied = 40

// copier reads the input in a group, writes each record to the output and commits both in one transaction, as often as it takes.
func (l *lives) copier(ctx context.Context, opts []kgo.Opt) {
	for ctx.Err() == nil {
		l.copyOnce(ctx, opts)
	}
}

// copyOnce is one life of the copier's process.
func (l *lives) copyOnce(ctx context.Context, opts []kgo.Opt) {
	s, err := kgo.NewGroupTransactSession(append([]kgo.Opt{
		kgo.SeedBrokers("localhost:9092"), kgo.Dialer(l.dial), kgo.TransactionalID("copier"), kgo.ConsumerGroup("copiers"), kgo.ConsumeTopics("in"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DefaultProduceTopic("out"), kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(200 * time.Millisecond),
		kgo.RetryTimeout(3 * time.Second), kgo.TransactionTimeout(20 * time.Second), kgo.RecordDeliveryTimeout(5 * time.Second),
	}, opts...)...)
	if err != nil {
		l.t.Error(err)
		return
	}
	defer s.Close()
	for ctx.Err() == nil {
		poll, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		fetches := s.PollRecords(poll, 7)
		cancel()
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := s.Begin(); err != nil {
			return
		}
		failed := false
		fetches.EachRecord(func(in *kgo.Record) {
			if err := s.ProduceSync(ctx, &kgo.Record{Topic: "out", Value: in.Value}).FirstErr(); err != nil {
				failed = true
			}
		})
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 8*time.Second)
		_, err := s.End(end, kgo.TransactionEndTry(!failed))
		cancel()
		if err != nil {
			return // a new process takes over
		}
	}
}

// The power goes after each kind of step of consume, transform, produce: every record of the input is in
// the output once, for those who read what is committed. Clients of the older protocol add partitions themselves.
func TestCopyingExactlyOnceThroughPowerCuts(t *testing.T) {
	older := []kgo.Opt{kgo.MaxVersions(kversion.V3_7_0())}
	for _, c := range []struct {
		name     string
		protocol []kgo.Opt
		key      kmsg.Key
		times    int
	}{
		{"InitProducerId", nil, kmsg.InitProducerID, 1}, {"Produce", nil, kmsg.Produce, 2}, {"TxnOffsetCommit", nil, kmsg.TxnOffsetCommit, 2}, {"EndTxn", nil, kmsg.EndTxn, 2},
		{"older AddPartitionsToTxn", older, kmsg.AddPartitionsToTxn, 2}, {"older AddOffsetsToTxn", older, kmsg.AddOffsetsToTxn, 2},
		{"older Produce", older, kmsg.Produce, 2}, {"older TxnOffsetCommit", older, kmsg.TxnOffsetCommit, 2}, {"older EndTxn", older, kmsg.EndTxn, 2},
	} {
		for n := 1; n <= c.times; n++ {
			t.Run(fmt.Sprintf("%s %d", c.name, n), func(t *testing.T) {
				t.Parallel()
				copyWithCrash(t, c.key.Int16(), n, c.protocol)
			})
		}
	}
}

func copyWithCrash(t *testing.T, key int16, n int, protocol []kgo.Opt) {
	rng := rand.New(rand.NewPCG(uint64(key), uint64(n)))
	l := &lives{t: t, r: start(t, vfs.NewMem(), smallTxns)}
	l.r.create("in", 1)
	l.r.create("out", 1)
	var want []string
	for i := range copied {
		want = append(want, fmt.Sprintf("%03d", i))
	}
	l.r.produce("in", want...)
	hook := &afterRequest{key: key, n: n, crash: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	var wg sync.WaitGroup
	wg.Go(func() { l.copier(ctx, append(protocol[:len(protocol):len(protocol)], kgo.WithHooks(hook))) })
	wg.Go(func() {
		select {
		case <-hook.crash:
			l.crash(rng)
		case <-ctx.Done():
		}
	})
	got := l.readCommitted(ctx, "out", copied)
	cancel()
	wg.Wait()
	select {
	case <-hook.crash:
	default:
		t.Error("the power was never cut")
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("%d records copied: %v", len(got), got)
	}
}

// readCommitted reads until it has n records, and then looks whether more come.
func (l *lives) readCommitted(ctx context.Context, topic string, n int) []string {
	c := l.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond))
	defer c.Close()
	var out []string
	for len(out) < n && ctx.Err() == nil {
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) { out = append(out, string(r.Value)) })
	}
	more, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	c.PollFetches(more).EachRecord(func(r *kgo.Record) { out = append(out, string(r.Value)) })
	return out
}
