package chaos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	mainTopic  = "chaos"
	partitions = 6
	producers  = 3
	mainGroup  = "chaos-group"
	members    = 3
	// pace is how often a producer sends its share.
	pace = 5 * time.Millisecond
	// valueBytes is the size of a record's value.
	valueBytes = 64
	// commitGroup gets offsets committed by hand, each higher than the one before.
	commitGroup = "chaos-commits"
	commitEvery = 25 * time.Millisecond
	// drainTimeout bounds the time after the last fault until everything that was sent is acknowledged, and everything
	// that is to be read has been.
	drainTimeout = 90 * time.Second
)

// record names what a producer wrote: its number in the producer's stream to that partition.
type record struct {
	producer int
	seq      int64
}

// ack is what the cluster promised: the record lies at the offset.
type ack struct {
	record
	partition int32
	offset    int64
}

// place is a partition.
type place struct {
	topic     string
	partition int32
}

// ledger collects what all clients were told. Its methods may be called from any goroutine.
type ledger struct {
	mu        sync.Mutex
	acks      []ack
	errors    []error  // that a client surfaced
	backward  problems // polls that went back or jumped
	hash      maphash.Seed
	seen      map[place]map[int64]uint64 // the hash of what the first live reader saw at each offset
	differing problems                   // reads of one place that differ
	consumed  map[int32]map[int64]bool
	committed int64

	acked, read, grouped atomic.Int64
}

func newLedger() *ledger {
	l := &ledger{hash: maphash.MakeSeed(), seen: map[place]map[int64]uint64{}, consumed: map[int32]map[int64]bool{}, committed: -1}
	for p := range int32(partitions) {
		l.consumed[p] = map[int64]bool{}
	}
	return l
}

func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.errors) < 4*shownProblems { // one cause tends to repeat itself
		l.errors = append(l.errors, err)
	}
}

// saw notes what a reader found at an offset, and whether another found something else there.
func (l *ledger) saw(at place, offset int64, value []byte) {
	h := maphash.Bytes(l.hash, value)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen[at] == nil {
		l.seen[at] = map[int64]uint64{}
	}
	before, ok := l.seen[at][offset]
	if !ok {
		l.seen[at][offset] = h
	} else if before != h {
		l.differing.add("%s-%d, offset %d: two readers saw different records", at.topic, at.partition, offset)
	}
}

func value(r record) []byte {
	v := make([]byte, valueBytes)
	binary.BigEndian.PutUint32(v, uint32(r.producer))
	binary.BigEndian.PutUint64(v[4:], uint64(r.seq))
	return v
}

func parse(v []byte) (record, error) {
	if len(v) != valueBytes {
		return record{}, fmt.Errorf("a record of %d bytes", len(v))
	}
	return record{int(binary.BigEndian.Uint32(v)), int64(binary.BigEndian.Uint64(v[4:]))}, nil
}

// produce writes to all partitions of a topic in turn, so many records a second, until ctx ends; then it waits for the
// acknowledgements. The client has franz-go's own settings: idempotence, acks=all, patience.
func (l *ledger) produce(ctx context.Context, c *cluster, topic string, producer, rate int) error {
	cl, err := c.client(kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(2*time.Millisecond),
		kgo.WithLogger(kgo.BasicLogger(c.clientLog, kgo.LogLevelInfo, func() string {
			return fmt.Sprintf("%s producer %d %s: ", time.Now().Format("15:04:05.000"), producer, topic)
		})),
		kgo.ProducerOnDataLossDetected(func(t string, p int32) {
			l.fail(fmt.Errorf("producer %d, %s-%d: the cluster refuses a sequence number, the producer begins anew and may write twice", producer, t, p))
		}))
	if err != nil {
		return err
	}
	defer cl.Close()
	var next [partitions]int64
	tick := time.NewTicker(pace)
	defer tick.Stop()
	owed := 0.0
	for i := 0; ctx.Err() == nil; {
		for owed += float64(rate) * pace.Seconds(); owed >= 1 && ctx.Err() == nil; owed-- {
			p := int32(i % partitions)
			i++
			r := record{producer, next[p]}
			next[p]++
			// The record itself outlives ctx: what was sent is to be acknowledged in the end.
			cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Partition: p, Value: value(r)}, func(got *kgo.Record, err error) {
				if err != nil {
					l.fail(fmt.Errorf("producer %d, %s-%d, record %d: %w", producer, topic, p, r.seq, err))
				} else if topic == mainTopic {
					l.acked.Add(1)
					l.mu.Lock()
					l.acks = append(l.acks, ack{r, p, got.Offset})
					l.mu.Unlock()
				}
			})
		}
		<-tick.C
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := cl.Flush(drain); err != nil {
		l.fail(fmt.Errorf("producer %d of %s still waits for %d acknowledgements after %s", producer, topic, cl.BufferedProduceRecords(), drainTimeout))
	}
	return nil
}

// tail reads topics from their beginnings, from whoever serves them, and checks that no poll goes back; of topics
// without transactions also that none jumps.
func (l *ledger) tail(ctx context.Context, c *cluster, committed bool, topics ...string) error {
	assigned := map[string]map[int32]kgo.Offset{}
	for _, t := range topics {
		assigned[t] = map[int32]kgo.Offset{}
		for p := range int32(partitions) {
			assigned[t][p] = kgo.NewOffset().At(0)
		}
	}
	opts := []kgo.Opt{kgo.ConsumePartitions(assigned)}
	if committed {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	cl, err := c.client(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	next := map[string]*[partitions]int64{}
	for _, t := range topics {
		next[t] = &[partitions]int64{}
	}
	for ctx.Err() == nil {
		fs := cl.PollFetches(ctx)
		fs.EachError(func(t string, p int32, err error) {
			if ctx.Err() == nil && lost(err, next[t][p]) {
				l.fail(fmt.Errorf("a reader of %s-%d: %w", t, p, err))
			}
		})
		fs.EachRecord(func(r *kgo.Record) {
			l.read.Add(1)
			expected := &next[r.Topic][r.Partition]
			if r.Offset < *expected || r.Topic == mainTopic && r.Offset != *expected {
				l.mu.Lock()
				l.backward.add("%s-%d: offset %d was polled where %d is next", r.Topic, r.Partition, r.Offset, *expected)
				l.mu.Unlock()
			}
			*expected = r.Offset + 1
			l.saw(place{r.Topic, r.Partition}, r.Offset, r.Value)
		})
	}
	return nil
}

// lost says whether a reader is told that records are gone which it was given. The client also speaks of loss after markers
// and aborted records: it counts their offsets and not their leader epochs, so that a new leader seems to have begun below them.
func lost(err error, next int64) bool {
	var loss *kgo.ErrDataLoss
	return errors.As(err, &loss) && loss.ResetTo < next
}

// consume is one member of a group that commits as it goes: each record reaches at least one member.
func (l *ledger) consume(ctx context.Context, c *cluster) error {
	cl, err := c.client(kgo.ConsumerGroup(mainGroup), kgo.ConsumeTopics(mainTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitInterval(500*time.Millisecond), kgo.SessionTimeout(10*time.Second))
	if err != nil {
		return err
	}
	defer cl.Close()
	for ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if !l.consumed[r.Partition][r.Offset] {
				l.consumed[r.Partition][r.Offset] = true
				l.grouped.Add(1)
			}
		})
	}
	return nil
}

// commit commits growing offsets and remembers the last one acknowledged.
func (l *ledger) commit(ctx context.Context, c *cluster) error {
	cl, err := c.client(kgo.MetadataMinAge(10*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
		kgo.DialTimeout(time.Second), kgo.RequestTimeoutOverhead(patientRequest))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for i := int64(0); ctx.Err() == nil; i++ {
		call, cancel := context.WithTimeout(ctx, askTimeout)
		offs := kadm.Offsets{}
		offs.Add(kadm.Offset{Topic: mainTopic, Partition: 0, At: i, LeaderEpoch: -1})
		if adm.CommitAllOffsets(call, commitGroup, offs) == nil {
			l.mu.Lock()
			l.committed = i
			l.mu.Unlock()
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(commitEvery):
		}
	}
	return nil
}
