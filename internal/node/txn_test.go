package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
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

// A process that comes back under the same transactional id shuts out the one that it replaces, whose
// open transaction is aborted.
func TestAZombieIsFenced(t *testing.T) {
	r := start(t, vfs.NewMem(), smallTxns)
	r.create("t", 1)
	ctx := t.Context()
	zombie := r.producer("writer")
	if err := zombie.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := zombie.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("half")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r.txn(r.producer("writer"), kgo.TryCommit, "t", 1, "whole")
	err := zombie.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("other half")}).FirstErr()
	if err == nil {
		err = zombie.EndTransaction(ctx, kgo.TryCommit)
	}
	if !errors.Is(err, kerr.InvalidProducerEpoch) && !errors.Is(err, kerr.ProducerFenced) {
		t.Fatalf("the zombie goes on: %v", err)
	}
	if got := fmt.Sprint(r.committed("t", 1)); got != "[whole]" {
		t.Fatal(got)
	}
}

// A transaction that is open when the node stops is open when it is back, holds readers of committed records up,
// and is aborted when its time has run out.
func TestAnOpenTransactionSurvivesARestartAndRunsOutOfTime(t *testing.T) {
	quick := "transaction.abort.timed.out.transaction.cleanup.interval.ms=50"
	r := start(t, vfs.NewMem(), smallTxns, quick)
	r.create("t", 1)
	ctx := t.Context()
	c := r.producer("writer", kgo.TransactionTimeout(3*time.Second))
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("open")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r.produce("t", "plain")
	if err := r.node.Stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, r.fs, smallTxns, quick)
	adm := kadm.NewClient(r.client())
	offsets, err := adm.ListCommittedOffsets(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := offsets.Lookup("t", 0); o.Offset != 0 {
		t.Fatalf("stable up to %d while a transaction is open", o.Offset)
	}
	if got := fmt.Sprint(r.committed("t", 1)); got != "[plain]" {
		t.Fatal(got)
	}
	eventually(t, "the coordinator has noted that the markers are written", func() bool {
		described, err := adm.DescribeTransactions(ctx, "writer")
		if err != nil {
			t.Fatal(err)
		}
		return described["writer"].State == "CompleteAbort"
	})
}

// An operator finds a transaction that hangs by the partition's producers, and ends it there.
func TestAHangingTransactionIsFoundAndEnded(t *testing.T) {
	r := start(t, vfs.NewMem(), smallTxns)
	r.create("t", 1)
	ctx := t.Context()
	c := r.producer("writer")
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("open")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	adm := kadm.NewClient(r.client())
	producers, err := adm.DescribeProducers(ctx, kadm.TopicsSet{"t": {0: {}}})
	if err != nil {
		t.Fatal(err)
	}
	var found kadm.DescribedProducer
	producers.EachProducer(func(p kadm.DescribedProducer) { found = p })
	if found.CurrentTxnStartOffset != 0 {
		t.Fatalf("%+v", found)
	}
	_, err = adm.WriteTxnMarkers(ctx, kadm.TxnMarkers{
		ProducerID: found.ProducerID, ProducerEpoch: int16(found.ProducerEpoch), Commit: false, CoordinatorEpoch: found.CoordinatorEpoch,
		Topics: kadm.TopicsSet{"t": {0: {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.produce("t", "plain")
	if got := fmt.Sprint(r.committed("t", 1)); got != "[plain]" {
		t.Fatal(got)
	}
}

// Groups that commit in a transaction have the offset when the transaction has committed, and not before.
func TestOffsetsFollowTheirTransaction(t *testing.T) {
	r := start(t, vfs.NewMem(), smallTxns)
	r.create("in", 1)
	r.create("out", 1)
	r.produce("in", "a", "b", "c")
	s, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers("localhost:9092"), kgo.Dialer((&lives{t: t, r: r}).dial), kgo.TransactionalID("copier"), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("in"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DefaultProduceTopic("out"),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	adm := kadm.NewClient(r.client())
	at := func() int64 {
		offsets, err := adm.FetchOffsets(ctx, "g")
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := offsets.Lookup("in", 0); ok {
			return o.At
		}
		return -1
	}
	for _, try := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		for n := 0; n == 0; {
			n = s.PollRecords(ctx, 2).NumRecords()
		}
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		if err := s.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if got := at(); got != -1 {
			t.Fatalf("offset %d before the transaction has ended", got)
		}
		if committed, err := s.End(ctx, try); err != nil || committed != bool(try) {
			t.Fatal(committed, err)
		}
	}
	for got := at(); got < 2; got = at() { // the marker follows the answer
		if ctx.Err() != nil {
			t.Fatalf("offset %d after the commit", got)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := fmt.Sprint(r.committed("out", 1)); got != "[x]" {
		t.Fatal(got)
	}
}
