package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is one node on a memory disk and a memory network.
type rig struct {
	t    *testing.T
	fs   *vfs.Mem
	net  *netx.Mem
	node *Node
}

func settings(t *testing.T, overrides ...string) *config.Config {
	t.Helper()
	base := []string{"moldau.admin.listener=", "moldau.flush.acks=true", "offsets.topic.num.partitions=3"}
	c, report := config.Load(config.Sources{Overrides: append(base, overrides...)})
	if c == nil {
		t.Fatal(strings.Join(report.Lines(), "\n"))
	}
	return c
}

func start(t *testing.T, fs *vfs.Mem, overrides ...string) *rig {
	t.Helper()
	r := &rig{t: t, fs: fs, net: netx.NewMem(clock.Real{})}
	n, err := Start(context.Background(), r.options(overrides...))
	if err != nil {
		t.Fatalf("cannot start: %v", err)
	}
	r.node = n
	t.Cleanup(func() { _ = n.Stop() })
	return r
}

func (r *rig) options(overrides ...string) Options {
	return Options{
		Settings: settings(r.t, overrides...), AutoFormat: true, FS: r.fs, Network: r.net.Host("localhost"),
		Clock: clock.Real{}, Logger: obs.Discard(), Version: "test",
	}
}

func (r *rig) client(opts ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		return r.net.Host("localhost").Dial(ctx, address)
	}
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers("localhost:9092"), kgo.Dialer(dial), kgo.RetryTimeout(5 * time.Second)}, opts...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.Close)
	return c
}

func (r *rig) create(topic string, partitions int32) {
	r.t.Helper()
	resp, err := kadm.NewClient(r.client()).CreateTopic(context.Background(), partitions, 1, nil, topic)
	if err != nil || resp.Err != nil {
		r.t.Fatalf("cannot create %s: %v %v", topic, err, resp.Err)
	}
}

// produce sends values one after the other and returns when all are acknowledged.
func (r *rig) produce(topic string, values ...string) {
	r.t.Helper()
	c := r.client(kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, v := range values {
		if err := c.ProduceSync(context.Background(), kgo.StringRecord(v)).FirstErr(); err != nil {
			r.t.Fatalf("cannot produce %q: %v", v, err)
		}
	}
}

// consume reads a topic from its start until it has n values.
func (r *rig) consume(topic string, n int) []string {
	r.t.Helper()
	c := r.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var out []string
	for len(out) < n {
		f := c.PollFetches(ctx)
		if ctx.Err() != nil {
			r.t.Fatalf("read %d of %d records of %s: %v", len(out), n, topic, out)
		}
		f.EachRecord(func(rec *kgo.Record) {
			if rec.Partition == 0 && rec.Offset != int64(len(out)) {
				r.t.Fatalf("offset %d where %d was due", rec.Offset, len(out))
			}
			out = append(out, string(rec.Value))
		})
	}
	return out
}

func TestSecondStartFindsEverything(t *testing.T) {
	r := start(t, vfs.NewMem())
	r.create("colours", 1)
	r.produce("colours", "red", "green", "blue")
	adm := kadm.NewClient(r.client())
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: "colours", Partition: 0, At: 2, LeaderEpoch: -1, Metadata: "half-way"})
	if err := adm.CommitAllOffsets(context.Background(), "readers", offsets); err != nil {
		t.Fatal(err)
	}
	cluster := r.node.ClusterID()
	if err := r.node.Stop(); err != nil {
		t.Fatal(err)
	}

	r = start(t, r.fs)
	if got := r.node.ClusterID(); got != cluster {
		t.Fatalf("cluster %s has become %s", cluster, got)
	}
	if got := fmt.Sprint(r.consume("colours", 3)); got != "[red green blue]" {
		t.Fatal(got)
	}
	got, err := kadm.NewClient(r.client()).FetchOffsets(context.Background(), "readers")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := got.Lookup("colours", 0); !ok || o.At != 2 || o.Metadata != "half-way" {
		t.Fatalf("committed offset: %+v", o)
	}
	r.produce("colours", "white")
	r.consume("colours", 4)
}

// A power cut at any moment: every record that was acknowledged is there, once, in
// order; and a second start after it finds the same.
func TestPowerCutLosesNothingAcknowledged(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { powerCut(t, seed) })
	}
}

func powerCut(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	r := start(t, vfs.NewMem(), "log.segment.bytes=1048576")
	r.create("t", 1)
	r.create("other", 3)
	acked, stop := r.produceUntil("t", rng)
	for acked.len() < 20+rng.IntN(200) {
		time.Sleep(time.Millisecond)
	}
	before := acked.len()
	survivor := r.fs.TornClone(rng)
	stop()

	again := start(t, survivor, "log.segment.bytes=1048576")
	values := again.consume("t", before)
	seen := make(map[string]bool)
	for i, v := range values {
		if seen[v] {
			t.Fatalf("record %q is there twice", v)
		}
		seen[v] = true
		if want := fmt.Sprintf("%06d", i); v[:6] != want {
			t.Fatalf("record %d is %q", i, v[:6])
		}
	}
	again.produce("other", "x")
}

// ledger counts what has been acknowledged.
type ledger struct {
	mu sync.Mutex
	n  int
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// produceUntil sends numbered records without pause until stop is called.
func (r *rig) produceUntil(topic string, rng *rand.Rand) (acked *ledger, stop func()) {
	c := r.client(kgo.DefaultProduceTopic(topic), kgo.MaxBufferedRecords(50), kgo.ProducerLinger(0))
	ctx, cancel := context.WithCancel(context.Background())
	acked = &ledger{}
	var done sync.WaitGroup
	padding := strings.Repeat("x", 1+rng.IntN(20_000))
	done.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			c.Produce(ctx, kgo.StringRecord(fmt.Sprintf("%06d", i)+padding), func(_ *kgo.Record, err error) {
				if err == nil {
					acked.mu.Lock()
					acked.n++
					acked.mu.Unlock()
				}
			})
		}
	})
	return acked, func() {
		cancel()
		done.Wait()
	}
}

func TestTopicsAreForgottenWithTheirOffsets(t *testing.T) {
	r := start(t, vfs.NewMem())
	r.create("t", 2)
	r.produce("t", "old")
	adm := kadm.NewClient(r.client())
	ctx := context.Background()
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: "t", Partition: 0, At: 1, LeaderEpoch: -1})
	if err := adm.CommitAllOffsets(ctx, "g", offsets); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.DeleteTopic(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	got, err := adm.FetchOffsets(ctx, "g")
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		t.Fatal(err)
	}
	if o, ok := got.Lookup("t", 0); ok && o.At >= 0 {
		t.Fatalf("offset %d of a deleted topic is still committed", o.At)
	}
	r.create("t", 2)
	r.produce("t", "new")
	if got := r.consume("t", 1); got[0] != "new" {
		t.Fatalf("a topic that was created again begins with %q", got[0])
	}
}

// A group's records are held to what the broker takes in one batch.
func TestCommitsAreBoundedByMessageMaxBytes(t *testing.T) {
	r := start(t, vfs.NewMem(), "message.max.bytes=2000")
	r.create("t", 3)
	admin := kadm.NewClient(r.client())
	commit := func(metadata string) error {
		offsets := kadm.Offsets{}
		for p := range int32(3) {
			offsets.Add(kadm.Offset{Topic: "t", Partition: p, At: 1, Metadata: metadata})
		}
		resp, err := admin.CommitOffsets(context.Background(), "g", offsets)
		return errors.Join(err, resp.Error())
	}
	if err := commit(strings.Repeat("m", 1000)); !errors.Is(err, kerr.InvalidCommitOffsetSize) {
		t.Fatal(err)
	}
	if err := commit("short"); err != nil {
		t.Fatal(err)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	r := start(t, vfs.NewMem())
	r.create("t", 1)
	other := func(overrides ...string) error {
		n, err := Start(context.Background(), r.options(overrides...))
		if err == nil {
			_ = n.Stop()
		}
		return err
	}
	wantError(t, other(), "9092", "another process listens there")
	wantError(t, other("listeners=PLAINTEXT://localhost:9192"), "moldau-data", "lock")
	wantError(t, other("listeners=PLAINTEXT://localhost:9192", "node.id=7"),
		"belongs to node 1, and this node is 7")
	o := r.options("listeners=PLAINTEXT://localhost:9192", "log.dirs=/elsewhere")
	o.AutoFormat = false
	_, err := Start(context.Background(), o)
	wantError(t, err, "/elsewhere is not formatted", "kafka-storage format", "kafka-cluster cluster-id")
	r.produce("t", "still", "serving")
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("started, where an error with %q was due", parts)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("the error %q does not say %q", err, p)
		}
	}
}
