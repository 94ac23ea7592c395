package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kgo"
)

const smallTxns = "transaction.state.log.num.partitions=2"

// producer is a transactional producer of one transactional id.
func (r *rig) producer(id string, opts ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	return r.client(append([]kgo.Opt{kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(30 * time.Second)}, opts...)...)
}

// txn writes values to a partition in one transaction and ends it.
func (r *rig) txn(c *kgo.Client, commit kgo.TransactionEndTry, topic string, partitions int32, values ...string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.BeginTransaction(); err != nil {
		r.t.Fatal(err)
	}
	for i, v := range values {
		rec := &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Value: []byte(v)}
		if err := c.ProduceSync(ctx, rec).FirstErr(); err != nil {
			r.t.Fatalf("cannot produce %q: %v", v, err)
		}
	}
	if err := c.EndTransaction(ctx, commit); err != nil {
		r.t.Fatalf("cannot end a transaction: %v", err)
	}
}

// committed reads what a read_committed consumer sees until it has n values.
func (r *rig) committed(topic string, n int) []string {
	r.t.Helper()
	c := r.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var out []string
	for len(out) < n {
		f := c.PollFetches(ctx)
		if ctx.Err() != nil {
			r.t.Fatalf("read %d of %d committed records of %s: %v", len(out), n, topic, out)
		}
		f.EachRecord(func(rec *kgo.Record) { out = append(out, string(rec.Value)) })
	}
	return out
}

func TestReadersSeeCommittedTransactionsAlone(t *testing.T) {
	r := start(t, vfs.NewMem(), smallTxns)
	r.create("t", 1)
	c := r.producer("writer")
	r.txn(c, kgo.TryCommit, "t", 1, "a", "b")
	r.txn(c, kgo.TryAbort, "t", 1, "x", "y")
	r.txn(c, kgo.TryCommit, "t", 1, "c")
	if got := fmt.Sprint(r.committed("t", 3)); got != "[a b c]" {
		t.Fatal(got)
	}
}
