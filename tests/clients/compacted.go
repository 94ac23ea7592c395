package clients

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/tests/corpus"
	"github.com/twmb/franz-go/pkg/kadm"
)

// A compacted topic: keys that come again and again, a tombstone among them, in segments of the smallest size that Kafka
// allows. The cleaner takes some seconds; then every client must read what is left, over all the gaps.
const (
	compactedKeys       = 10
	compactedRounds     = 40
	compactedValueBytes = 20 << 10
	// compactedPatience is longer than a cleaner rests by default.
	compactedPatience = 60 * time.Second
)

func (e *Env) compactedTopic() string { return e.run + "-compacted" }

// writeCompacted makes the topic and remembers what is left of it when it has been cleaned.
func (e *Env) writeCompacted(ctx context.Context) error {
	topic := e.compactedTopic()
	resp, err := e.ref.adm.CreateTopic(ctx, corpus.Partitions, e.ref.replicas, map[string]*string{
		"cleanup.policy": kadm.StringPtr("compact"), "segment.bytes": kadm.StringPtr("1048576"), "min.cleanable.dirty.ratio": kadm.StringPtr("0.01"),
	}, topic)
	if err != nil {
		return fmt.Errorf("the reference cannot create topic %s: %w %s", topic, err, resp.ErrMessage)
	}
	// Two codecs, the one that takes no room first, so that its batches are not in the last segment; and an idempotent producer, of which the cleaner must leave the last sequence.
	for i, codec := range []string{"lz4", "none"} {
		if err := e.ref.write(ctx, topic, codec, e.updates(i)); err != nil {
			return fmt.Errorf("the reference cannot write to a compacted topic: %w", err)
		}
	}
	deadline := time.Now().Add(compactedPatience)
	for before := -1; ; {
		got, err := e.ref.read(ctx, topic)
		if err != nil {
			return err
		}
		left := fromKgos(got)
		if len(left) == before && len(left) < corpus.Partitions*compactedKeys*compactedRounds*2 {
			e.compacted = left
			return lastValues(left)
		}
		if before = len(left); time.Now().After(deadline) {
			return fmt.Errorf("the topic was not compacted within %v: it still has %d records", compactedPatience, len(left))
		}
		time.Sleep(2 * time.Second)
	}
}

// updates are the records of one of two turns.
func (e *Env) updates(turn int) (out []corpus.Record) {
	base := e.start.Add(-time.Hour).UnixMilli()
	for p := range int32(corpus.Partitions) {
		for round := range compactedRounds {
			for k := range compactedKeys {
				r := corpus.Record{Partition: p, TimestampMs: base + int64(round), Key: fmt.Appendf(nil, "key-%d", k)}
				n := turn*compactedRounds + round
				r.Offset = int64(n*compactedKeys + k)
				r.Value = fmt.Appendf(nil, "update %d of key %d %s", n, k, strings.Repeat("v", compactedValueBytes))
				out = append(out, r)
			}
		}
	}
	return out
}

// lastValues checks that nobody's last value was lost.
func lastValues(left []corpus.Record) error {
	want := fmt.Sprintf("update %d of ", 2*compactedRounds-1)
	last := map[string]string{}
	for _, r := range left {
		last[fmt.Sprint(r.Partition, " ", string(r.Key))] = string(r.Value)
	}
	if n := corpus.Partitions * compactedKeys; len(last) != n {
		return fmt.Errorf("the cleaner has left %d of %d keys", len(last), n)
	}
	for key, value := range last {
		if !strings.HasPrefix(value, want) {
			return fmt.Errorf("the last value of %s is %.40q", key, value)
		}
	}
	return nil
}

// compact lets the client read the compacted topic.
func (s *scenario) compact(ctx context.Context) error {
	if s.env.compactedErr != nil {
		return s.env.compactedErr
	}
	got, err := s.c.Consume(ctx, s.env.compactedTopic(), len(s.env.compacted))
	if err != nil {
		return err
	}
	if len(got) == 0 {
		return errors.New("nothing was read")
	}
	return corpus.Compare(s.env.compacted, got, s.c.Traits().ReadLimits)
}
