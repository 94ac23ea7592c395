package node

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// A transaction's coordinator, the partitions that it writes to and the coordinator of the group whose offsets it
// commits are on different brokers: partitions are verified or added, and markers come, over the wire between them.
func TestTransactionsAcrossBrokers(t *testing.T) {
	c := combined(t, 3)
	for id := range c.opts {
		c.opts[id] = append(c.opts[id], "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", "transaction.state.log.num.partitions=3",
			"offsets.topic.replication.factor=1")
	}
	c.startAll()
	transactAcross(t, c, "new", nil)
	transactAcross(t, c, "older", []kgo.Opt{kgo.MaxVersions(kversion.V3_7_0())})
}

func transactAcross(t *testing.T, c *crew, out string, protocol []kgo.Opt) {
	c.create(out, 6, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var want []string
	for i, id := range []string{"a", "b", "c", "d"} { // on several coordinators
		p := c.client(append(protocol[:len(protocol):len(protocol)], kgo.TransactionalID(out+id), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
			if err := p.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for partition := range int32(6) {
				v := fmt.Sprintf("%s %d %t", id, partition, end)
				if err := p.ProduceSync(ctx, &kgo.Record{Topic: out, Partition: partition, Value: []byte(v)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
				if end {
					want = append(want, v)
				}
			}
			if err := p.EndTransaction(ctx, end); err != nil {
				t.Fatal(i, err)
			}
		}
	}
	r := c.client(kgo.ConsumeTopics(out), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	var got []string
	for len(got) < len(want) {
		r.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records", len(got), len(want))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatal(got)
	}
	adm := kadm.NewClient(c.client())
	c.until("all transactions complete", func() bool {
		listed, err := adm.ListTransactions(ctx, nil, []string{"PrepareCommit", "PrepareAbort", "Ongoing"})
		return err == nil && len(listed) == 0
	})
}
