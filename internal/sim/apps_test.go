package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// txnTopic is what the transactional writers write to.
	txnTopic   = "fables"
	txnWriters = 2
	// txnRecords is how many records a transaction has, in as many partitions.
	txnRecords = 3
	// abortOne of so many transactions; in dieOne of so many the application dies: the transaction stays open, and nobody is told.
	abortOne, dieOne = 4, 30
	// txnTimeout is after how long a coordinator gives a transaction up, in ms.
	txnTimeout = 8 * time.Second
	// patience bounds one step of an application: longer than a cluster that is well needs, and short enough to try again often.
	patience = 20 * time.Second
	// roundTrip is the least time between an application's request and its answer.
	roundTrip = 2 * time.Millisecond
	// again is the pause before an application begins anew.
	again = 200 * time.Millisecond
)

// outcome is what the writer of a transaction was told.
type outcome int

const (
	unknown outcome = iota
	committed
	aborted
)

// apps are the applications that work in transactions, beside the ledger's writers: writers, and groups that copy what the ledger
// writes. What they were told is held against what is there at the end.
type apps struct {
	w       *world
	groups  []*copyGroup
	topicID [16]byte // of the ledger's topic
	stop    chan struct{}
	once    sync.Once
	ended   sync.WaitGroup
	// calm: all is well, and the copiers have only to come to the end. They do not stand still, die or abort any more, which
	// costs them a session or a rebalance each time, and would take minutes.
	calm atomic.Bool

	mu   sync.Mutex
	told map[string]outcome // by transaction
}

func newApps(w *world) *apps {
	a := &apps{w: w, stop: make(chan struct{}), told: map[string]outcome{}}
	for _, protocol := range []string{"classic", "consumer"} {
		a.groups = append(a.groups, &copyGroup{apps: a, protocol: protocol, name: "copiers-" + protocol, out: "copies-" + protocol})
	}
	return a
}

// begin makes the topics and starts everybody, in a cluster that is well.
func (a *apps) begin(adm *kadm.Client, topicID [16]byte) {
	a.topicID = topicID
	topics := []string{txnTopic}
	for _, g := range a.groups {
		topics = append(topics, g.out)
	}
	resp, err := adm.CreateTopics(context.Background(), partitions, copies, nil, topics...)
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		a.w.broke("cannot create topics in a cluster that is well: %v", err)
		return
	}
	for i := range txnWriters {
		host, rnd := a.machine("txn-writer-%d", i)
		a.ended.Go(func() { a.write(i, host, rnd) })
	}
	for _, g := range a.groups {
		for i := range copiers {
			host, rnd := a.machine(g.name+"-%d", i)
			a.ended.Go(func() { g.copy(i, host, rnd) })
		}
	}
}

// machine is one of its own for an application, with its own chances.
func (a *apps) machine(format string, i int) (string, *rand.Rand) {
	name := fmt.Sprintf(format, i)
	a.w.clients = append(a.w.clients, name)
	// A client that asks again at once would do so without end if no time passed meanwhile.
	for id := range a.w.hosts {
		a.w.net.SetDelay(name, hostName(id), roundTrip/2)
	}
	return name, rand.New(rand.NewPCG(a.w.rnd.Uint64(), 1))
}

// close ends the applications, and every transaction that is open.
func (a *apps) close() {
	a.once.Do(func() { close(a.stop) })
	a.ended.Wait()
}

func (a *apps) stopped() bool {
	select {
	case <-a.stop:
		return true
	default:
		return false
	}
}

// producer is a client of a transactional id that has fenced the one before it; nil if that could not be done.
//
// It asks for its producer id at once: the client holds a lock as long as it does so, and the bubble's time stands while another
// of its goroutines waits for that. For the same reason a client that met an error is not used any more.
func (a *apps) producer(host, id string, opts ...kgo.Opt) *kgo.Client {
	cl := a.w.connect(host, append([]kgo.Opt{
		kgo.TransactionalID(id), kgo.TransactionTimeout(txnTimeout), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	}, opts...)...)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, _, err := cl.ProducerID(ctx); err != nil {
		cl.Close()
		time.Sleep(again)
		return nil
	}
	return cl
}

// finish ends what the last transaction of an id may have left open, once all is well.
func (a *apps) finish(host, id string) {
	if a.w.broken() != "" {
		return
	}
	for range 10 {
		if cl := a.producer(host, id); cl != nil {
			cl.Close()
			return
		}
	}
	a.w.broke("%s gets no producer id though all is well", id)
}

// write writes transactions until the applications are closed.
func (a *apps) write(i int, host string, rnd *rand.Rand) {
	id := fmt.Sprintf("fabulist-%d", i)
	defer a.finish(host, id)
	late := &late{}
	for n := 0; !a.stopped(); {
		cl := a.producer(host, id, kgo.DefaultProduceTopic(txnTopic))
		if cl == nil {
			continue
		}
		for well := true; well && !a.stopped(); n++ {
			name := fmt.Sprintf("t%d-%05d", i, n)
			o := a.transact(cl, name, late, rnd)
			a.mu.Lock()
			a.told[name] = o
			a.mu.Unlock()
			well = o != unknown
			time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
		}
		cl.Close()
	}
}

// late is a planted bug: what a writer that has died would still have written is written in the next one's transaction, as if the
// dead one's epoch counted.
type late struct{ records []*kgo.Record }

// transact is one transaction.
func (a *apps) transact(cl *kgo.Client, name string, late *late, rnd *rand.Rand) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	commit := rnd.IntN(abortOne) != 0
	first := rnd.IntN(partitions)
	if cl.BeginTransaction() != nil {
		return unknown
	}
	var mu sync.Mutex
	var failed error
	written := func(_ *kgo.Record, err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = errors.Join(failed, err)
	}
	for _, r := range late.records {
		cl.Produce(ctx, r, nil)
	}
	late.records = nil
	dies := rnd.IntN(dieOne) == 0
	for i := range txnRecords {
		r := &kgo.Record{Partition: int32((first + i) % partitions), Value: fmt.Appendf(nil, "%s.%d", name, i)}
		if dies && i == txnRecords-1 {
			if a.w.flaws.epochLost {
				late.records = append(late.records, r)
			}
			_ = cl.Flush(ctx) // what it did not live to write does not matter
			return unknown
		}
		cl.Produce(ctx, r, written)
		if i == 0 {
			time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond) // open for readers to see, if they could
		}
	}
	if cl.Flush(ctx) != nil {
		return unknown
	}
	mu.Lock()
	lost := failed
	mu.Unlock()
	if lost != nil { // the client would commit what it has written
		return unknown
	}
	if a.w.flaws.markerFirst {
		a.markEarly(ctx, cl, int32(first))
	}
	if cl.EndTransaction(ctx, kgo.TransactionEndTry(commit)) != nil {
		return unknown
	}
	if commit {
		return committed
	}
	return aborted
}

// markEarly is a planted bug: a partition is told that the transaction is committed before anything is decided.
func (a *apps) markEarly(ctx context.Context, cl *kgo.Client, partition int32) {
	id, epoch, err := cl.ProducerID(ctx)
	if err != nil {
		return
	}
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.Committed = id, epoch, true
	t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	t.Topic, t.Partitions = txnTopic, []int32{partition}
	m.Topics = append(m.Topics, t)
	req.Markers = append(req.Markers, m)
	_, _ = req.RequestWith(ctx, cl)
}
