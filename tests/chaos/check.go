package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// settleTimeout bounds the time after the last fault until every transaction has ended, by its own timeout at the latest.
const settleTimeout = 60 * time.Second

// found is everything that the last reading found, by partition.
type found map[int32][]*kgo.Record

// readAll reads a topic of the clients to its end.
func (c *cluster) readAll(ctx context.Context, topic string, committed bool) (found, error) {
	return c.read(ctx, topic, partitions, committed)
}

// read reads a topic to its end. Transactions must have ended: the end of a partition is then a record or a marker.
func (c *cluster) read(ctx context.Context, topic string, partitions int32, committed bool) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	offsets := map[int32]kgo.Offset{}
	for p := range partitions {
		offsets[p] = kgo.NewOffset().At(0)
	}
	opts := []kgo.Opt{kgo.KeepControlRecords(), kgo.FetchMaxPartitionBytes(8 << 20), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets})}
	if committed {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	cl, err := c.client(opts...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the end offsets of %s: %w", topic, err)
	}
	left := map[int32]int64{} // partitions that are not read to their end
	for p := range partitions {
		if o, _ := ends.Lookup(topic, p); o.Offset > 0 {
			left[p] = o.Offset
		}
	}
	out := found{}
	for len(left) > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return nil, fmt.Errorf("cannot read %s, the ends are %v: %w", topic, left, err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				out[r.Partition] = append(out[r.Partition], r)
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return out, nil
}

// settled waits until no transaction is open: the last stable offset has come to the end everywhere.
func (c *cluster) settled(ctx context.Context) error {
	adm := kadm.NewClient(c.admin)
	var err error
	for deadline := time.Now().Add(settleTimeout); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		if err = c.open(ctx, adm); err == nil {
			return nil
		}
	}
	return err
}

func (c *cluster) open(ctx context.Context, adm *kadm.Client) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for _, topic := range []string{txnTopic, copyOut} {
		ends, err := adm.ListEndOffsets(ctx, topic)
		if err != nil {
			return err
		}
		stable, err := adm.ListCommittedOffsets(ctx, topic)
		if err != nil {
			return err
		}
		for p := range int32(partitions) {
			e, _ := ends.Lookup(topic, p)
			s, _ := stable.Lookup(topic, p)
			if e.Err != nil || s.Err != nil || e.Offset != s.Offset {
				return fmt.Errorf("%s-%d is stable up to %d and ends at %d (%w)", topic, p, s.Offset, e.Offset, errors.Join(e.Err, s.Err))
			}
		}
	}
	return nil
}

// compare holds a topic's contents against the promises: what is lost, doubled or out of order, and holes in the offsets.
func (l *ledger) compare(recs found) (lost, doubled, disorder, holes *problems) {
	lost, doubled, disorder, holes = &problems{}, &problems{}, &problems{}, &problems{}
	type stream struct {
		producer  int
		partition int32
	}
	at := map[stream]map[int64]int64{} // of each stream, the offset of each number
	last := map[stream]int64{}
	for p, rs := range recs {
		for i, r := range rs {
			if r.Offset != int64(i) {
				holes.add("%s-%d: record %d has offset %d", r.Topic, p, i, r.Offset)
			}
			rec, err := parse(r.Value)
			if err != nil {
				lost.add("%s-%d, offset %d: %w", r.Topic, p, r.Offset, err)
				continue
			}
			s := stream{rec.producer, p}
			if at[s] == nil {
				at[s] = map[int64]int64{}
				last[s] = -1
			}
			if first, twice := at[s][rec.seq]; twice {
				doubled.add("%s-%d: record %d of producer %d is at offsets %d and %d", r.Topic, p, rec.seq, rec.producer, first, r.Offset)
				continue
			}
			if rec.seq != last[s]+1 {
				disorder.add("%s-%d, offset %d: record %d of producer %d follows %d", r.Topic, p, r.Offset, rec.seq, rec.producer, last[s])
			}
			at[s][rec.seq], last[s] = r.Offset, rec.seq
		}
	}
	for _, a := range l.acks {
		is, ok := at[stream{a.producer, a.partition}][a.seq]
		switch {
		case !ok:
			lost.add("partition %d: record %d of producer %d, acknowledged at offset %d, is gone (the log has %d records)", a.partition, a.seq, a.producer, a.offset, len(recs[a.partition]))
		case is != a.offset:
			lost.add("partition %d: record %d of producer %d was acknowledged at offset %d and is at %d", a.partition, a.seq, a.producer, a.offset, is)
		}
	}
	return lost, doubled, disorder, holes
}

// sameAsSeen holds what live readers saw against the last reading of the same kind.
func (l *ledger) sameAsSeen(topic string, recs found) *problems {
	p := &problems{}
	for part := range int32(partitions) {
		final := map[int64]uint64{}
		for _, r := range recs[part] {
			final[r.Offset] = maphash.Bytes(l.hash, r.Value)
		}
		for offset, h := range l.seen[place{topic, part}] {
			if now, ok := final[offset]; !ok {
				p.add("%s-%d, offset %d was read and is gone", topic, part, offset)
			} else if now != h {
				p.add("%s-%d, offset %d was read as another record", topic, part, offset)
			}
		}
	}
	return p
}

// compare looks at a topic as readers of committed records see it: a committed transaction is there once and whole, an
// aborted one not at all, one whose end nobody was told either way.
func (x *transactions) compare(recs found) (torn, ghosts *problems) {
	torn, ghosts = &problems{}, &problems{}
	count := map[string]map[string]int{} // of each transaction, how often each of its records is there
	for _, rs := range recs {
		for _, r := range rs {
			name, _, _ := cutLast(string(r.Value))
			if count[name] == nil {
				count[name] = map[string]int{}
			}
			count[name][string(r.Value)]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.ended)) {
		o, is := x.ended[name], count[name]
		delete(count, name)
		total := 0
		for _, n := range is {
			total += n
		}
		switch {
		case o == aborted && total > 0:
			ghosts.add("transaction %s was aborted and %d of its records are there", name, total)
		case o == committed && (len(is) != txnSize || total != txnSize), o == unknown && total > 0 && (len(is) != txnSize || total != txnSize):
			torn.add("transaction %s of %d records has %d, %d of them different", name, txnSize, total, len(is))
		}
	}
	for name := range count {
		ghosts.add("transaction %q was never begun", name)
	}
	return torn, ghosts
}

// cutLast splits at the last dot.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// compareCopies looks whether each record of the input has its two copies, each once.
func compareCopies(in, out found) *problems {
	p := &problems{}
	count := map[string]int{}
	for _, rs := range out {
		for _, r := range rs {
			count[string(r.Value)]++
		}
	}
	for part, rs := range in {
		for _, r := range rs {
			for leg := range 2 {
				key := fmt.Sprintf("%d.%d.%d", part, r.Offset, leg)
				if n := count[key]; n != 1 {
					p.add("record %d of %s-%d was copied %d times to leg %s", r.Offset, copyIn, part, n, strconv.Itoa(leg))
				}
				delete(count, key)
			}
		}
	}
	for key := range count {
		p.add("%q is a copy of nothing", key)
	}
	return p
}

// verify reads everything and reports.
func verify(ctx context.Context, c *cluster, l *ledger, x *transactions, groups []*watched, rep *report.Report) {
	start := time.Now()
	check := func(name string, err error) { rep.Check("chaos", name, time.Since(start), err) }
	l.mu.Lock()
	defer l.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	check("no client surfaces an error that an application must handle", errors.Join(l.errors...))
	check("no poll goes back or jumps", l.backward.err())
	check("two live readers see the same", l.differing.err())
	check("every transaction ends", c.settled(ctx))

	if recs, err := c.readAll(ctx, mainTopic, false); err != nil {
		check("everything can be read", err)
	} else {
		lost, doubled, disorder, holes := l.compare(recs)
		check("each acknowledged record is there, at its offset", lost.err())
		check("no record is there twice", doubled.err())
		check("each producer's records are in order, without gaps", disorder.err())
		check("offsets have no holes", holes.err())
		check("live readers saw what is there", l.sameAsSeen(mainTopic, recs).err())
		check("the group consumed each record", l.unconsumed(recs).err())
		for _, w := range groups {
			check("group "+w.name+" consumed each record, though members died", w.unconsumed(recs).err())
		}
	}
	if recs, err := c.readAll(ctx, txnTopic, true); err != nil {
		check("transactions can be read", err)
	} else {
		torn, ghosts := x.compare(recs)
		check("committed transactions are whole, once", torn.err())
		check("nothing of an aborted transaction is seen", ghosts.err())
		check("live readers of committed records saw what is there", l.sameAsSeen(txnTopic, recs).err())
	}
	in, err := c.readAll(ctx, copyIn, true)
	if err == nil {
		var out found
		if out, err = c.readAll(ctx, copyOut, true); err == nil {
			err = compareCopies(in, out).err()
		}
	}
	check("each record is copied exactly once", err)
	check("committed offsets do not go back", l.checkCommits(ctx, c))
	commits, err := history(ctx, c)
	if err == nil {
		err = goesBack(commits, names(groups)...).err()
	}
	check("no commit in the log lies before an earlier one", err)
}

func (l *ledger) unconsumed(recs found) *problems {
	p := &problems{}
	for part, rs := range recs {
		for _, r := range rs {
			if !l.consumed[part][r.Offset] {
				p.add("%s-%d, offset %d reached no member of the group", mainTopic, part, r.Offset)
			}
		}
	}
	return p
}

// checkCommits allows for a later commit, whose answer was lost, and not for an earlier one.
func (l *ledger) checkCommits(ctx context.Context, c *cluster) error {
	if l.committed < 0 {
		return errors.New("no commit was acknowledged at all")
	}
	offs, err := kadm.NewClient(c.admin).FetchOffsets(ctx, commitGroup)
	if err != nil {
		return err
	}
	if o, ok := offs.Lookup(mainTopic, 0); !ok || o.At < l.committed {
		return fmt.Errorf("offset %d was committed, %d is there", l.committed, o.At)
	}
	return nil
}
