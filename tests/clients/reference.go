package clients

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/moldau-stream/moldau/tests/corpus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// reference is the client that judges the others. It is safe for concurrent use.
type reference struct {
	bootstrap string
	replicas  int16
	cl        *kgo.Client
	adm       *kadm.Client // over cl
}

// readPollBytes lets one fetch return the largest corpus at once.
const readPollBytes = 16 << 20

func newReference(bootstrap string, replicas int16) (*reference, error) {
	// It looks at topics that others have just made: its view may not be seconds old.
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds(bootstrap)...), kgo.MetadataMinAge(20*time.Millisecond))
	if err != nil {
		return nil, err
	}
	return &reference{bootstrap: bootstrap, replicas: replicas, cl: cl, adm: kadm.NewClient(cl)}, nil
}

func (r *reference) close() { r.adm.Close() }

func (r *reference) create(ctx context.Context, topic string, partitions int32) error {
	resp, err := r.adm.CreateTopic(ctx, partitions, r.replicas, nil, topic)
	// The names are of this run alone: a topic that exists is what a request did whose answer was late, and which was sent again.
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("the reference cannot create topic %s: %w %s", topic, err, resp.ErrMessage)
	}
	// Kafka answers before the leaders serve, and some clients give up at once.
	return eventually(ctx, func() error {
		ends, err := r.adm.ListEndOffsets(ctx, topic)
		if err == nil {
			err = ends.Error()
		}
		return err
	})
}

// partitionsOf returns how many partitions the topic has, 0 when it does not exist.
func (r *reference) partitionsOf(ctx context.Context, topic string) (int, error) {
	topics, err := r.adm.ListTopics(ctx, topic)
	if err != nil {
		return 0, err
	}
	return len(topics[topic].Partitions), nil
}

// read returns every record of the topic below the end offsets of now.
func (r *reference) read(ctx context.Context, topic string) ([]*kgo.Record, error) {
	ends, err := r.adm.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	if err := ends.Error(); err != nil {
		return nil, err
	}
	left := map[int32]int64{}
	start := map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		start[o.Partition] = kgo.NewOffset().At(0)
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds(r.bootstrap)...), kgo.FetchMaxPartitionBytes(readPollBytes),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: maps.Clone(start)}), kgo.KeepControlRecords())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var out []*kgo.Record
	for len(left) > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return out, fmt.Errorf("the reference cannot read %s: %w (%d records read, %d partitions left)", topic, err, len(out), len(left))
		}
		fs.EachRecord(func(rec *kgo.Record) {
			out = append(out, rec)
			if end, ok := left[rec.Partition]; ok && rec.Offset+1 >= end {
				delete(left, rec.Partition)
			}
		})
	}
	return out, nil
}

// write produces the records to a topic, one codec.
func (r *reference) write(ctx context.Context, topic, codec string, records []corpus.Record) error {
	c := &franz{bootstrap: r.bootstrap, replicas: r.replicas}
	return c.Produce(ctx, topic, codec, true, records)
}

// committed returns the committed offset of partition 0, -1 when there is none.
func (r *reference) committed(ctx context.Context, group, topic string) (int64, error) {
	offs, err := r.adm.FetchOffsets(ctx, group)
	if err != nil {
		return -1, err
	}
	o, ok := offs.Lookup(topic, 0)
	if !ok {
		return -1, errors.New("nothing is committed")
	}
	return o.At, o.Err
}

func fromKgo(rec *kgo.Record) corpus.Record {
	c := corpus.Record{Partition: rec.Partition, Offset: rec.Offset, TimestampMs: rec.Timestamp.UnixMilli(), Key: rec.Key, Value: rec.Value}
	for _, h := range rec.Headers {
		c.Headers = append(c.Headers, corpus.Header{Key: h.Key, Value: h.Value})
	}
	return c
}

func fromKgos(recs []*kgo.Record) []corpus.Record {
	out := make([]corpus.Record, len(recs))
	for i, r := range recs {
		out[i] = fromKgo(r)
	}
	return out
}
