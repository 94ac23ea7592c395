package clients

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
)

// transactor is a client that copies a topic in transactions.
type transactor interface {
	// Transact reads the first count committed records of partition 0 of in as a member of group, and copies
	// their values to partition 0 of out in several transactions that commit the group's offsets with them; its second
	// transaction it aborts, and does again.
	Transact(ctx context.Context, id, group, in, out string, count int) error
}

// What the input of the transactions holds: records that were committed, aborted, and committed once more.
const (
	txnCommitted = 25
	txnAborted   = 10
	txnCopied    = 2 * txnCommitted
	// txnChunk is how many records a client puts into one transaction.
	txnChunk = 10
)

// transact lets the client copy a topic exactly once.
func (s *scenario) transact(ctx context.Context) error {
	in, out, group := s.prefix+"txn-in", s.prefix+"txn-out", s.prefix+"txn-group"
	for _, topic := range []string{in, out} {
		if err := s.env.ref.create(ctx, topic, 1); err != nil {
			return err
		}
	}
	want, err := s.env.ref.writeTransactions(ctx, s.prefix+"txn-writer", in)
	if err != nil {
		return fmt.Errorf("the reference cannot write in transactions: %w", err)
	}
	if err := s.c.(transactor).Transact(ctx, s.prefix+"txn-copier", group, in, out, len(want)); err != nil {
		return err
	}
	got, err := s.env.ref.readCommitted(ctx, out, len(want))
	if err != nil {
		return fmt.Errorf("the reference cannot read what was copied: %w", err)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("%d records were copied as %v", len(want), got)
	}
	return eventually(ctx, func() error {
		at, err := s.env.ref.committed(ctx, group, in)
		if err == nil && at < int64(txnCommitted+txnAborted+txnCommitted) {
			err = fmt.Errorf("offset %d is committed", at)
		}
		return err
	})
}

// writeTransactions writes three transactions, of which the second is aborted, and returns what counts.
func (r *reference) writeTransactions(ctx context.Context, id, topic string) (want []string, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds(r.bootstrap)...), kgo.TransactionalID(id), kgo.DefaultProduceTopic(topic), kgo.MetadataMinAge(20*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	defer EndsWith(ctx, cl)()
	for part, n := range []int{txnCommitted, txnAborted, txnCommitted} {
		if err := cl.BeginTransaction(); err != nil {
			return nil, err
		}
		commit := kgo.TransactionEndTry(part != 1)
		for i := range n {
			v := fmt.Sprintf("%d.%d", part, i)
			if err := cl.ProduceSync(ctx, kgo.StringRecord(v)).FirstErr(); err != nil {
				return nil, err
			}
			if commit {
				want = append(want, v)
			}
		}
		if err := cl.EndTransaction(ctx, commit); err != nil {
			return nil, err
		}
	}
	return want, nil
}

// readCommitted reads the values of a topic that count, and sees to it that there are no more than n.
func (r *reference) readCommitted(ctx context.Context, topic string, n int) ([]string, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds(r.bootstrap)...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var out []string
	for len(out) < n {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return out, fmt.Errorf("%w after %d of %d records", err, len(out), n)
		}
		fs.EachRecord(func(rec *kgo.Record) { out = append(out, string(rec.Value)) })
	}
	more, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	cl.PollFetches(more).EachRecord(func(rec *kgo.Record) { out = append(out, string(rec.Value)) })
	return out, nil
}

// Transact is franz-go's session for consume, transform and produce.
func (f *franz) Transact(ctx context.Context, id, group, in, out string, count int) error {
	opts := []kgo.Opt{kgo.SeedBrokers(seeds(f.bootstrap)...), kgo.TransactionalID(id), kgo.ConsumerGroup(group), kgo.ConsumeTopics(in),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.DefaultProduceTopic(out), kgo.MetadataMinAge(20 * time.Millisecond)}
	if f.versions != nil {
		opts = append(opts, kgo.MaxVersions(f.versions))
	}
	s, err := kgo.NewGroupTransactSession(opts...)
	if err != nil {
		return err
	}
	defer s.Close()
	defer EndsWith(ctx, s)()
	done := 0
	for turn := 0; done < count; turn++ {
		fs := s.PollRecords(ctx, txnChunk)
		if err := fs.Err(); err != nil {
			return err
		}
		if err := s.Begin(); err != nil {
			return err
		}
		n := 0
		var failed error
		fs.EachRecord(func(r *kgo.Record) {
			n++
			if err := s.ProduceSync(ctx, &kgo.Record{Value: r.Value}).FirstErr(); err != nil {
				failed = err
			}
		})
		if failed != nil {
			return failed
		}
		committed, err := s.End(ctx, kgo.TransactionEndTry(turn != 1))
		if err != nil {
			return err
		}
		if committed {
			done += n
		}
	}
	return nil
}

// Transact is sarama's: it leaves the group out and commits offsets in its name.
func (s *saramaClient) Transact(ctx context.Context, id, group, in, out string, count int) error {
	c := s.config()
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Producer.Idempotent, c.Net.MaxOpenRequests, c.Producer.RequiredAcks = true, 1, sarama.WaitForAll
	c.Producer.Transaction.ID = id
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Return.Successes = true
	read, err := sarama.NewConsumer(seeds(s.bootstrap), c)
	if err != nil {
		return err
	}
	defer read.Close()
	pc, err := read.ConsumePartition(in, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	defer pc.AsyncClose()
	p, err := sarama.NewSyncProducer(seeds(s.bootstrap), c)
	if err != nil {
		return err
	}
	defer p.Close()
	var all []*sarama.ConsumerMessage
	for len(all) < count {
		select {
		case m := <-pc.Messages():
			all = append(all, m)
		case err := <-pc.Errors():
			return err
		case <-ctx.Done():
			return fmt.Errorf("%d of %d records read: %w", len(all), count, ctx.Err())
		}
	}
	turn := 0
	for chunk := range slices.Chunk(all, txnChunk) {
		if err := saramaChunk(p, chunk, in, out, group, turn == 1); err != nil {
			return err
		}
		if turn++; turn == 2 {
			if err := saramaChunk(p, chunk, in, out, group, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func saramaChunk(p sarama.SyncProducer, chunk []*sarama.ConsumerMessage, in, out, group string, abort bool) error {
	if err := p.BeginTxn(); err != nil {
		return err
	}
	for _, m := range chunk {
		if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: out, Value: sarama.ByteEncoder(m.Value)}); err != nil {
			return err
		}
	}
	next := chunk[len(chunk)-1].Offset + 1
	offsets := map[string][]*sarama.PartitionOffsetMetadata{in: {{Partition: 0, Offset: next}}}
	if err := p.AddOffsetsToTxn(offsets, group); err != nil {
		return err
	}
	if abort {
		return p.AbortTxn()
	}
	return p.CommitTxn()
}

// Transact is the worker's operation of that name.
func (w *worker) Transact(ctx context.Context, id, group, in, out string, count int) error {
	_, err := w.call(ctx, request{Op: "transact", Name: id, Group: group, Topic: in, Out: out, Count: count})
	return err
}
