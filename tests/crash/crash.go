package crash

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topic = "crash"
	// compactedTopic holds few keys, each of which gets a higher number again and again.
	compactedTopic = "crash-compacted"
	compactedKeys  = 50
	group          = "crash-group"
	partitions     = 4
	producers      = 4
	// inFlight bounds the records of one producer that wait for their acknowledgement.
	inFlight = 400
	// A kill comes between these moments after the server answers again, so that some hit its first
	// requests and some a running load.
	soonestKill = 50 * time.Millisecond
	latestKill  = 1500 * time.Millisecond
	// drainTimeout bounds the time after the last restart until every record that was sent is acknowledged.
	drainTimeout = 60 * time.Second
	// readTimeout bounds the final reading.
	readTimeout = 90 * time.Second
)

// Options of a run.
type Options struct {
	Kills int
	Seed  uint64
	Logf  func(format string, args ...any)
	// Kill ends the server and leaves its disk ready for the next start; nil for kill -9.
	Kill func(n *node.Node, i int) error
	// DoubtfulKill says that what is acknowledged while Kill is under way may be gone: on a disk that is being cut a sync can
	// succeed that has made nothing durable.
	DoubtfulKill bool
	// Suite is what the report names; "" for crash.
	Suite string
}

// ack is what the server promised: record seq of a producer lies at the offset.
type ack struct {
	producer  int
	partition int32
	seq       int64
	offset    int64
}

// ledger collects promises from all clients.
type ledger struct {
	mu        sync.Mutex
	acks      []ack    // guarded by mu, as is the rest
	failures  []string // producer errors that are not excused by a crash
	topics    []string
	committed int64
	latest    map[string]int64 // of the compacted topic, each key's last acknowledged value
	suite     string

	count  atomic.Int64
	doubts atomic.Bool // a disk is being cut: see Options.DoubtfulKill
	passed atomic.Int64
}

func (l *ledger) add(a ack) {
	if l.doubts.Load() {
		l.passed.Add(1)
		return
	}
	l.count.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = append(l.acks, a)
}

func (l *ledger) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < 20 { // one cause tends to repeat itself
		l.failures = append(l.failures, fmt.Sprintf(format, args...))
	}
}

// Run kills the node o.Kills times. The node is running when Run is called and when it returns.
func Run(ctx context.Context, n *node.Node, o Options, rep *report.Report) error {
	if o.Suite == "" {
		o.Suite = "crash"
	}
	l := &ledger{committed: -1, suite: o.Suite, latest: map[string]int64{}}
	start := time.Now()
	if err := createTopic(ctx, n.Bootstrap); err != nil {
		return err
	}
	workers, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var clients []*kgo.Client
	for p := range producers {
		cl, err := kgo.NewClient(producerOpts(n.Bootstrap)...)
		if err != nil {
			return err
		}
		defer cl.Close()
		clients = append(clients, cl)
		wg.Add(1)
		go func() {
			defer wg.Done()
			l.produce(workers, cl, p)
		}()
	}
	for _, work := range []func(context.Context, string){l.commit, l.createTopics, l.replaceKeys} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			work(workers, n.Bootstrap)
		}()
	}
	downtime, err := killLoop(ctx, n, o, l)
	stop()
	wg.Wait()
	if err != nil {
		rep.Check(o.Suite, "the server comes back after each kill", time.Since(start), err)
		return nil
	}
	rep.Check(o.Suite, fmt.Sprintf("the server comes back after each of %d kills", o.Kills), downtime, nil)
	drainErr := drain(ctx, clients)
	rep.Check(o.Suite, "every record that was sent is acknowledged in the end", 0, drainErr)
	l.verify(ctx, n.Bootstrap, rep)
	if o.DoubtfulKill {
		rep.Note(o.Suite+": %d records were acknowledged while the disk was being cut, and prove nothing", l.passed.Load())
	}
	rep.Note(o.Suite+": %d kills in %s (%s of it starting), %d records acknowledged", o.Kills, time.Since(start).Round(time.Second),
		downtime.Round(100*time.Millisecond), l.count.Load())
	return nil
}

func producerOpts(bootstrap string) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(bootstrap), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(2 * time.Millisecond), kgo.MaxBufferedRecords(inFlight),
		// A crashed server is no reason to give a record up.
		kgo.RecordRetries(1 << 30), kgo.UnknownTopicRetries(-1), kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
		kgo.AlwaysRetryEOF(), kgo.MetadataMinAge(50 * time.Millisecond), kgo.RetryTimeout(5 * time.Minute), kgo.ProduceRequestTimeout(10 * time.Second),
	}
}

func createTopic(ctx context.Context, bootstrap string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
		return fmt.Errorf("cannot create the topic: %w", err)
	}
	compacted := map[string]*string{"cleanup.policy": kadm.StringPtr("compact"), "segment.ms": kadm.StringPtr("400"), "min.cleanable.dirty.ratio": kadm.StringPtr("0.01")}
	if _, err := adm.CreateTopic(ctx, 1, 1, compacted, compactedTopic); err != nil {
		return fmt.Errorf("cannot create the compacted topic: %w", err)
	}
	return nil
}

// killLoop kills and restarts the server, and returns how long it was away in all.
func killLoop(ctx context.Context, n *node.Node, o Options, l *ledger) (time.Duration, error) {
	rnd := rand.New(rand.NewPCG(o.Seed, 2))
	var away time.Duration
	for i := range o.Kills {
		before := l.count.Load()
		wait := soonestKill + time.Duration(rnd.Int64N(int64(latestKill-soonestKill)))
		select {
		case <-ctx.Done():
			return away, ctx.Err()
		case <-time.After(wait):
		}
		if !n.Alive() {
			return away, fmt.Errorf("the server ended by itself before kill %d; the end of its output:\n%s", i+1, n.LogTail())
		}
		down := time.Now()
		l.doubts.Store(o.DoubtfulKill)
		if err := o.kill(n, i); err != nil {
			return away, err
		}
		if err := n.Restart(); err != nil {
			return away, fmt.Errorf("after kill %d: %w", i+1, err)
		}
		away += time.Since(down)
		l.doubts.Store(false)
		o.Logf("kill %d after %s: back in %s, %d records acknowledged meanwhile", i+1, wait.Round(time.Millisecond), time.Since(down).Round(time.Millisecond), l.count.Load()-before)
	}
	return away, nil
}

func (o *Options) kill(n *node.Node, i int) error {
	if o.Kill == nil {
		n.Kill()
		return nil
	}
	if err := o.Kill(n, i); err != nil {
		return fmt.Errorf("kill %d: %w", i+1, err)
	}
	return nil
}

// value is what a record holds: who wrote it and its number in the producer's
// stream to that partition.
func value(producer int, seq int64) []byte {
	v := make([]byte, 100) // a record of an ordinary size
	binary.BigEndian.PutUint32(v, uint32(producer))
	binary.BigEndian.PutUint64(v[4:], uint64(seq))
	return v
}

func parse(v []byte) (producer int, seq int64, err error) {
	if len(v) != 100 {
		return 0, 0, fmt.Errorf("a record of %d bytes", len(v))
	}
	return int(binary.BigEndian.Uint32(v)), int64(binary.BigEndian.Uint64(v[4:])), nil
}

// produce writes to all partitions in turn until ctx ends; MaxBufferedRecords
// makes Produce wait while the server is away.
func (l *ledger) produce(ctx context.Context, cl *kgo.Client, producer int) {
	var next [partitions]int64
	for i := 0; ctx.Err() == nil; i++ {
		p := int32(i % partitions)
		seq := next[p]
		next[p]++
		// The record itself outlives ctx: what was sent is to be acknowledged in the end.
		cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Partition: p, Value: value(producer, seq)}, func(r *kgo.Record, err error) {
			if err != nil {
				l.fail("producer %d, partition %d, record %d: %v", producer, p, seq, err)
				return
			}
			l.add(ack{producer, p, seq, r.Offset})
		})
		if i%64 == 0 {
			time.Sleep(time.Millisecond) // leaves the processor to the server
		}
	}
}

// drain waits until the producers have every acknowledgement.
func drain(ctx context.Context, clients []*kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	var errs []error
	for i, cl := range clients {
		if err := cl.Flush(ctx); err != nil {
			errs = append(errs, fmt.Errorf("producer %d still waits for %d records after %s", i, cl.BufferedProduceRecords(), drainTimeout))
		}
	}
	return errors.Join(errs...)
}

// each calls fn on a client of its own until ctx ends; a crash makes fn fail, which is no failure of the test.
func each(ctx context.Context, bootstrap string, every time.Duration, fn func(ctx context.Context, adm *kadm.Client, i int64)) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.RequestRetries(0), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		return
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for i := int64(0); ctx.Err() == nil; i++ {
		call, cancel := context.WithTimeout(ctx, 3*time.Second)
		fn(call, adm, i)
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
}

// commit commits growing offsets for a group and remembers the last one acknowledged.
func (l *ledger) commit(ctx context.Context, bootstrap string) {
	each(ctx, bootstrap, 20*time.Millisecond, func(ctx context.Context, adm *kadm.Client, i int64) {
		offs := kadm.Offsets{}
		offs.Add(kadm.Offset{Topic: topic, Partition: 0, At: i, LeaderEpoch: -1})
		if err := adm.CommitAllOffsets(ctx, group, offs); err == nil && !l.doubts.Load() {
			l.mu.Lock()
			l.committed = i
			l.mu.Unlock()
		}
	})
}

// createTopics makes a topic now and then.
func (l *ledger) createTopics(ctx context.Context, bootstrap string) {
	each(ctx, bootstrap, 400*time.Millisecond, func(ctx context.Context, adm *kadm.Client, i int64) {
		name := fmt.Sprintf("crash-%d", i)
		_, err := adm.CreateTopic(ctx, 1, 1, nil, name)
		if (err == nil || errors.Is(err, kerr.TopicAlreadyExists)) && !l.doubts.Load() {
			l.mu.Lock()
			l.topics = append(l.topics, name)
			l.mu.Unlock()
		}
	})
}
