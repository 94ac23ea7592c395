package crash

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// replaceKeys gives the keys of the compacted topic higher and higher numbers.
func (l *ledger) replaceKeys(ctx context.Context, bootstrap string) {
	cl, err := kgo.NewClient(append(producerOpts(bootstrap), kgo.DefaultProduceTopic(compactedTopic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))...)
	if err != nil {
		l.fail("cannot write to the compacted topic: %v", err)
		return
	}
	defer cl.Close()
	for i := int64(0); ctx.Err() == nil; i++ {
		key := strconv.FormatInt(i%compactedKeys, 10)
		cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Key: []byte(key), Value: []byte(strconv.FormatInt(i, 10))}, func(_ *kgo.Record, err error) {
			if err != nil {
				l.fail("the compacted topic, record %d: %v", i, err)
				return
			}
			if l.doubts.Load() {
				return
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.latest[key] = max(l.latest[key], i)
		})
		if i%16 == 0 {
			time.Sleep(time.Millisecond) // leaves the processor to the others
		}
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := cl.Flush(flush); err != nil {
		l.fail("the compacted topic still waits for acknowledgements after %s", drainTimeout)
	}
}

// checkCompacted reads the compacted topic: each key has the value that was acknowledged last, or a later one, and they rise.
func (l *ledger) checkCompacted(ctx context.Context, bootstrap string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{compactedTopic: {0: kgo.NewOffset().At(0)}}))
	if err != nil {
		return err
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, compactedTopic)
	if err != nil {
		return err
	}
	end, _ := ends.Lookup(compactedTopic, 0)
	var p problems
	last := map[string]int64{}
	for next := int64(0); next < end.Offset; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return fmt.Errorf("cannot read the compacted topic at offset %d of %d: %w", next, end.Offset, err)
		}
		for _, r := range fs.Records() {
			i, err := strconv.ParseInt(string(r.Value), 10, 64)
			if before, ok := last[string(r.Key)]; err != nil || ok && i <= before {
				p.add("offset %d: key %s has %q, before it %d", r.Offset, r.Key, r.Value, before)
			}
			last[string(r.Key)] = i
			next = r.Offset + 1
		}
	}
	for key, want := range l.latest {
		if got, ok := last[key]; !ok || got < want {
			p.add("key %s was acknowledged with %d, %d is there", key, want, got)
		}
	}
	return p.err()
}
