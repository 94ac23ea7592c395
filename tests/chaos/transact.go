package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	txnTopic  = "txn"
	writers   = 2
	txnSize   = 5 // records of one transaction
	copyIn    = "copy-in"
	copyOut   = "copy-out"
	copyGroup = "copy-group"
	copiers   = 2
	// copyRate is how many records a second are to be copied.
	copyRate = 300
	// abortOne of so many transactions.
	abortOne = 4
	// txnTimeout is after how long the coordinator gives a transaction up.
	txnTimeout = 10 * time.Second
	// txnPatience bounds one transaction of a client.
	txnPatience = 20 * time.Second
	// txnRest lies between two transactions of one writer.
	txnRest = 5 * time.Millisecond
)

// outcome of a transaction, as its writer was told.
type outcome int

const (
	unknown outcome = iota
	committed
	aborted
)

// transactions is what became of each transaction, by its name.
type transactions struct {
	mu      sync.Mutex
	ended   map[string]outcome
	commits int
	aborts  int
	copied  int
	retaken int // clients that had to be made anew
	died    int // clients that were cut off for good
}

func newTransactions() *transactions { return &transactions{ended: map[string]outcome{}} }

func (x *transactions) end(name string, o outcome) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ended[name] = o
	switch o {
	case committed:
		x.commits++
	case aborted:
		x.aborts++
	default:
		x.retaken++
	}
}

// dies counts a death.
func (x *transactions) dies() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.died++
}

// write writes transactions, some of which it aborts, until ctx ends. After an error, or its death, it goes on as a new client of
// the same id.
func (x *transactions) write(ctx context.Context, c *cluster, writer int, seed uint64) error {
	rnd := rand.New(rand.NewPCG(seed, uint64(writer)))
	for n := 0; ctx.Err() == nil; {
		life := newLife()
		cl, err := c.client(kgo.Dialer(life.dial), kgo.TransactionalID("writer-"+strconv.Itoa(writer)), kgo.TransactionTimeout(txnTimeout), kgo.DefaultProduceTopic(txnTopic),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
		if err != nil {
			return err
		}
		calledOff := life.dieAfter(span(rnd), ctx, x.dies)
		for healthy := true; healthy && ctx.Err() == nil; n++ {
			name := fmt.Sprintf("%d.%d", writer, n)
			o := transact(life.ctx, cl, name, rnd)
			x.end(name, o)
			healthy = o != unknown
			time.Sleep(txnRest)
		}
		calledOff()
		cl.Close()
	}
	return nil
}

// transact makes one transaction, which only the writer's death cuts short. Its outcome is unknown after any error: whoever takes
// the id over ends it.
func transact(ctx context.Context, cl *kgo.Client, name string, rnd *rand.Rand) outcome {
	ctx, cancel := context.WithTimeout(ctx, txnPatience)
	defer cancel()
	if cl.BeginTransaction() != nil {
		return unknown
	}
	first := rnd.IntN(partitions)
	var mu sync.Mutex
	failed := false
	for i := range txnSize {
		r := &kgo.Record{Partition: int32((first + i) % partitions), Value: fmt.Appendf(nil, "%s.%d", name, i)}
		cl.Produce(ctx, r, func(_ *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			failed = failed || err != nil
		})
	}
	if cl.Flush(ctx) != nil {
		return unknown
	}
	mu.Lock()
	lost := failed
	mu.Unlock()
	if lost { // the client would commit what it has written
		return unknown
	}
	want, o := kgo.TryCommit, committed
	if rnd.IntN(abortOne) == 0 {
		want, o = kgo.TryAbort, aborted
	}
	if cl.EndTransaction(ctx, want) != nil {
		return unknown
	}
	return o
}

// copier consumes, transforms and produces in transactions: each record of the input becomes two of the output, in two
// partitions. It stops when ctx ends, and dies now and then while the cluster is hurt.
func (x *transactions) copier(ctx, hurt context.Context, c *cluster, id int, seed uint64) error {
	rnd := rand.New(rand.NewPCG(seed, uint64(writers+id)))
	for ctx.Err() == nil {
		life := newLife()
		s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(c.seeds...), kgo.Dialer(life.dial), kgo.TransactionalID("copier-"+strconv.Itoa(id)), kgo.TransactionTimeout(txnTimeout),
			kgo.ConsumerGroup(copyGroup), kgo.ConsumeTopics(copyIn), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
			kgo.DefaultProduceTopic(copyOut), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.SessionTimeout(memberSession))
		if err != nil {
			return err
		}
		calledOff := life.dieAfter(span(rnd), hurt, x.dies)
		err = x.copyWith(ctx, life, s)
		calledOff()
		s.Close()
		if err != nil && ctx.Err() == nil {
			x.mu.Lock()
			x.retaken++
			x.mu.Unlock()
		}
	}
	return nil
}

func (x *transactions) copyWith(ctx context.Context, life *life, s *kgo.GroupTransactSession) error {
	poll, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(life.ctx, cancel)()
	for ctx.Err() == nil {
		fs := s.PollFetches(poll)
		if poll.Err() != nil || fs.IsClientClosed() {
			return nil
		}
		if err := s.Begin(); err != nil {
			return err
		}
		end, cancel := context.WithTimeout(life.ctx, txnPatience)
		n, failed := 0, false
		var mu sync.Mutex
		fs.EachRecord(func(r *kgo.Record) {
			n++
			for leg := range int32(2) {
				out := &kgo.Record{Partition: (r.Partition + leg) % partitions, Value: fmt.Appendf(nil, "%d.%d.%d", r.Partition, r.Offset, leg)}
				s.Produce(end, out, func(_ *kgo.Record, err error) {
					mu.Lock()
					defer mu.Unlock()
					failed = failed || err != nil
				})
			}
		})
		err := s.Client().Flush(end)
		mu.Lock()
		try := kgo.TransactionEndTry(err == nil && !failed)
		mu.Unlock()
		done, err := s.End(end, try)
		cancel()
		if err != nil {
			return err
		}
		if done {
			x.mu.Lock()
			x.copied += n
			x.mu.Unlock()
		}
	}
	return nil
}
