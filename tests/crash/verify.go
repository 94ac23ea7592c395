package crash

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// shownProblems bounds how many records of one kind of problem are named.
const shownProblems = 5

// problems counts what is wrong and names the first few.
type problems struct {
	n     int
	shown []error
}

func (p *problems) add(format string, args ...any) {
	if p.n++; p.n <= shownProblems {
		p.shown = append(p.shown, fmt.Errorf(format, args...))
	}
}

func (p *problems) err() error {
	if p.n == 0 {
		return nil
	}
	return fmt.Errorf("%d times, such as:\n%w", p.n, errors.Join(p.shown...))
}

// verify reads everything and holds it against the promises.
func (l *ledger) verify(ctx context.Context, bootstrap string, rep *report.Report) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	start := time.Now()
	check := func(name string, err error) { rep.Check(l.suite, name, time.Since(start), err) }

	var failed error
	for _, f := range l.failures {
		failed = errors.Join(failed, errors.New(f))
	}
	check("no producer is given an error that it cannot retry", failed)

	recs, err := readAll(ctx, bootstrap)
	if err != nil {
		check("everything can be read", err)
		return
	}
	check("everything can be read", nil)
	lost, doubled, misordered, holes := l.compare(recs)
	check("each acknowledged record is there, at its offset", lost.err())
	check("no record is there twice", doubled.err())
	check("each producer's records are in order", misordered.err())
	check("offsets have no holes", holes.err())
	check("the last acknowledged value of each key of a compacted topic is there", l.checkCompacted(ctx, bootstrap))
	check("acknowledged topics and offsets are there", l.checkMetadata(ctx, bootstrap))
}

// compare looks for acknowledged records at their offsets, and at the stream of each producer in each partition.
func (l *ledger) compare(recs map[int32][]*kgo.Record) (lost, doubled, misordered, holes *problems) {
	lost, doubled, misordered, holes = &problems{}, &problems{}, &problems{}, &problems{}
	type stream struct {
		producer  int
		partition int32
	}
	found := map[stream]map[int64]int64{} // of each stream, the offset of each sequence number
	last := map[stream]int64{}
	for p, rs := range recs {
		for i, r := range rs {
			if r.Offset != int64(i) {
				holes.add("partition %d: record %d has offset %d", p, i, r.Offset)
			}
			producer, seq, err := parse(r.Value)
			if err != nil {
				lost.add("partition %d, offset %d: %w", p, r.Offset, err)
				continue
			}
			s := stream{producer, p}
			if found[s] == nil {
				found[s] = map[int64]int64{}
				last[s] = -1
			}
			if at, twice := found[s][seq]; twice {
				doubled.add("partition %d: record %d of producer %d is at offsets %d and %d", p, seq, producer, at, r.Offset)
				continue
			}
			if seq < last[s] {
				misordered.add("partition %d, offset %d: record %d of producer %d follows %d", p, r.Offset, seq, producer, last[s])
			}
			found[s][seq], last[s] = r.Offset, seq
		}
	}
	for _, a := range l.acks {
		at, ok := found[stream{a.producer, a.partition}][a.seq]
		switch {
		case !ok:
			lost.add("partition %d: record %d of producer %d, acknowledged at offset %d, is gone (the log has %d records)", a.partition, a.seq, a.producer, a.offset, len(recs[a.partition]))
		case at != a.offset:
			lost.add("partition %d: record %d of producer %d was acknowledged at offset %d and is at %d", a.partition, a.seq, a.producer, a.offset, at)
		}
	}
	return lost, doubled, misordered, holes
}

func readAll(ctx context.Context, bootstrap string) (map[int32][]*kgo.Record, error) {
	offsets := map[int32]kgo.Offset{}
	for p := range int32(partitions) {
		offsets[p] = kgo.NewOffset().At(0)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.FetchMaxPartitionBytes(8<<20), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("cannot list the end offsets: %w", err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	out := map[int32][]*kgo.Record{}
	for left > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return nil, fmt.Errorf("cannot read, %d records are left: %w", left, err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			out[r.Partition] = append(out[r.Partition], r)
			left--
		})
	}
	return out, nil
}

func (l *ledger) checkMetadata(ctx context.Context, bootstrap string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	var p problems
	topics, err := adm.ListTopics(ctx)
	if err != nil {
		return err
	}
	for _, name := range l.topics {
		if !topics.Has(name) {
			p.add("topic %s was created and is gone", name)
		}
	}
	if l.committed >= 0 {
		offs, err := adm.FetchOffsets(ctx, group)
		if err != nil {
			return err
		}
		// A later commit may have been stored although its answer was lost; an earlier one may not be back.
		if o, ok := offs.Lookup(topic, 0); !ok || o.At < l.committed {
			p.add("offset %d was committed, %d is there", l.committed, o.At)
		}
	}
	return p.err()
}
