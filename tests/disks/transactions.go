package disks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	txnTopic      = "disk-transactions"
	txnPartitions = 3
	// txnRecords is how many records a transaction has, spread over the partitions.
	txnRecords = 6
	// refusedEnough is how many transactions in a row must fail before the disk counts as full.
	refusedEnough = 5
	// maxTransactions ends a disk that does not become full.
	maxTransactions = 5000
	txnTimeout      = 30 * time.Second
	// cutPace keeps the transactions under which the power is cut from filling the disk again.
	cutPace = 50 * time.Millisecond
)

// fate is how a transaction ended, as far as its client knows.
type fate int

const (
	unknown fate = iota // the end was not acknowledged
	committed
	aborted
	doubtful // while the disk was being cut: nothing that was acknowledged then is promised (mount.go)
)

// transactions is what a transactional client has been told.
type transactions struct {
	n     *node.Node
	fates []fate // by number
	cl    *kgo.Client
	// lastErr is what the client was told last.
	lastErr error
	// cuts counts the begins and the ends of cuts: it is odd while one is under way.
	cuts atomic.Int64
}

// RunTransactions has a transactional client write until the disk is full, goes on when there is room, and cuts the power under it. What
// readers of committed records are given afterwards are whole transactions: all that were committed, and none that was aborted.
func RunTransactions(ctx context.Context, v *Volume, n *node.Node, rep *report.Report) {
	t := &transactions{n: n}
	defer t.drop()
	start := time.Now()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"transactions fail on a full disk, and none by half", t.fill},
		{"when there is room, transactions are committed again", t.makeRoom},
		{"committed transactions are whole after the disk was full", t.read},
		{"the power is cut under a transaction", func(ctx context.Context) error { return t.cut(ctx, v) }},
		{"committed transactions are whole after the power cut", t.read},
	} {
		err := step.do(ctx)
		rep.Check("disks", step.name, time.Since(start), err)
		if err != nil {
			return
		}
	}
	count := map[fate]int{}
	for _, f := range t.fates {
		count[f]++
	}
	rep.Note("disks: of %d transactions %d were committed, %d aborted, of %d the end was not acknowledged, and %d fell into a cut", len(t.fates), count[committed], count[aborted], count[unknown], count[doubtful])
}

func (t *transactions) drop() {
	if t.cl != nil {
		t.cl.CloseAllowingRebalance()
		t.cl = nil
	}
}

// client is the transactional client; one that has met an error that ends it is made anew.
func (t *transactions) client() (*kgo.Client, error) {
	if t.cl != nil {
		return t.cl, nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.n.Bootstrap), kgo.TransactionalID("disk-transactions"), kgo.TransactionTimeout(txnTimeout),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.RecordDeliveryTimeout(5*time.Second), kgo.RequestRetries(3))
	t.cl = cl
	return cl, err
}

// one writes a transaction and says how it ended.
func (t *transactions) one(ctx context.Context) fate {
	i, cuts := len(t.fates), t.cuts.Load()
	f, err := t.try(ctx, i)
	if err != nil {
		t.lastErr = err
	}
	if cuts%2 == 1 || t.cuts.Load() != cuts {
		f = doubtful
	}
	if f == unknown || f == doubtful { // after a cut, the client may count on what is gone
		t.drop()
	}
	t.fates = append(t.fates, f)
	return f
}

// try writes a transaction. The error, if there is one, is what the client was told on the way.
func (t *transactions) try(ctx context.Context, number int) (fate, error) {
	ctx, cancel := context.WithTimeout(ctx, txnTimeout)
	defer cancel()
	cl, err := t.client()
	if err == nil {
		err = cl.BeginTransaction()
	}
	if err != nil {
		return unknown, err
	}
	var records []*kgo.Record
	for k := range txnRecords {
		r := record(txnTopic, int64(number*txnRecords+k))
		r.Partition = int32(k % txnPartitions)
		r.Key = binary.BigEndian.AppendUint32(nil, uint32(number))
		records = append(records, r)
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		if end := errors.Join(cl.AbortBufferedRecords(ctx), cl.EndTransaction(ctx, kgo.TryAbort)); end != nil {
			return unknown, errors.Join(err, end)
		}
		return aborted, err
	}
	if number%10 == 9 { // some by themselves
		if err := cl.EndTransaction(ctx, kgo.TryAbort); err != nil {
			return unknown, err
		}
		return aborted, nil
	}
	if err := cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return unknown, err
	}
	return committed, nil
}

// fill makes transactions until several in a row fail.
func (t *transactions) fill(ctx context.Context) error {
	admin, err := kgo.NewClient(kgo.SeedBrokers(t.n.Bootstrap))
	if err != nil {
		return err
	}
	defer admin.Close()
	config := map[string]*string{"segment.bytes": kadm.StringPtr("4194304")}
	for topic, partitions := range map[string]int32{txnTopic: txnPartitions, fillerTopic: 1} {
		if _, err := kadm.NewClient(admin).CreateTopic(ctx, partitions, 1, config, topic); err != nil {
			return err
		}
	}
	filler, err := kgo.NewClient(kgo.SeedBrokers(t.n.Bootstrap), kgo.DisableIdempotentWrite(), kgo.RecordRetries(1), kgo.RecordDeliveryTimeout(time.Second), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return err
	}
	defer filler.Close()
	for failed := 0; failed < refusedEnough; {
		if len(t.fates) > maxTransactions {
			return errors.New("the disk does not become full")
		}
		for k := range 3 {
			_ = filler.ProduceSync(ctx, record(fillerTopic, int64(k))).FirstErr() // it is there to take room
		}
		own := len(t.fates)%10 == 9
		switch f := t.one(ctx); {
		case f == committed:
			failed = 0
		case !own:
			failed++
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if !t.n.Alive() {
		return errors.New("the process is gone; the end of its output:\n" + t.n.LogTail())
	}
	return nil
}

// makeRoom deletes what is not wanted, and waits until transactions are committed.
func (t *transactions) makeRoom(ctx context.Context) error {
	admin, err := kgo.NewClient(kgo.SeedBrokers(t.n.Bootstrap))
	if err != nil {
		return err
	}
	defer admin.Close()
	if _, err := kadm.NewClient(admin).DeleteTopic(ctx, fillerTopic); err != nil {
		return err
	}
	return t.some(ctx, 10)
}

// some makes transactions until so many have been committed.
func (t *transactions) some(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*againTimeout)
	defer cancel()
	for want > 0 {
		if t.one(ctx) == committed {
			want--
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%d more transactions were to be committed: %w; the last error of one: %w; the end of the server's output:\n%s", want, ctx.Err(), t.lastErr, t.n.LogTail())
		}
	}
	return nil
}

// cut takes the power away while transactions are on their way.
func (t *transactions) cut(ctx context.Context, v *Volume) error {
	for i := range 3 {
		stop, cancel := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for stop.Err() == nil {
				t.one(stop)
				time.Sleep(cutPace)
			}
		}()
		time.Sleep(time.Second)
		t.cuts.Add(1)
		err := v.CutUnder(t.n, i)
		if err == nil {
			err = t.n.Restart() // what is on its way to a server the client does not give up
		}
		t.cuts.Add(1)
		cancel()
		if err != nil {
			return err
		}
		<-ended
		if err := t.some(ctx, 2); err != nil {
			return err
		}
	}
	return nil
}

// ended waits until no transaction is open, and says where each partition ends. The end of a transaction is answered before its markers
// are written, and the transactions that nobody ended have been by the next one of the same id.
func ended(ctx context.Context, adm *kadm.Client) (map[int32]int64, error) {
	for {
		stable, err := adm.ListCommittedOffsets(ctx, txnTopic)
		if err != nil {
			return nil, err
		}
		ends, err := adm.ListEndOffsets(ctx, txnTopic)
		if err != nil {
			return nil, err
		}
		left, open := map[int32]int64{}, false
		ends.Each(func(o kadm.ListedOffset) {
			s, _ := stable.Lookup(o.Topic, o.Partition)
			left[o.Partition], open = o.Offset, open || o.Err != nil || s.Err != nil || s.Offset != o.Offset
		})
		if !open {
			return left, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("a transaction stays open: the last stable offsets are %v, the ends %v", stable, ends)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// read holds what readers of committed records are given against what the client was told.
func (t *transactions) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*againTimeout)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.n.Bootstrap), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer cl.Close()
	left, err := ended(ctx, kadm.NewClient(cl))
	if err != nil {
		return err
	}
	starts := map[int32]kgo.Offset{}
	for p := range left {
		starts[p] = kgo.NewOffset().At(0)
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{txnTopic: starts})
	seen := make([]int, len(t.fates))
	for len(left) > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return fmt.Errorf("with partitions %v to go: %w", left, err)
		}
		fs.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				if r.Offset == left[p.Partition]-1 { // a marker: nothing is written to these partitions outside of transactions
					delete(left, p.Partition)
				}
				if r.Attrs.IsControl() {
					continue
				}
				if number := int(binary.BigEndian.Uint32(r.Key)); number < len(seen) {
					seen[number]++
				}
			}
		})
	}
	for number, n := range seen {
		f := t.fates[number]
		if f == doubtful {
			continue
		}
		if n != 0 && n != txnRecords || f == committed && n == 0 || f == aborted && n != 0 {
			return fmt.Errorf("of transaction %d, whose end was %v, %d of %d records are there", number, [...]string{"not acknowledged", "committed", "aborted"}[f], n, txnRecords)
		}
	}
	return nil
}
