// Package tutorial is what every example needs and none is about: a topic with some records in it, and an end with a message
// when something is not as the example says. An example owns its topic and its group; their names have the time in them, so
// that it can be run again. If this is wrong, an example fails on a good cluster.
package tutorial

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Patience bounds a whole example.
const Patience = time.Minute

// Bootstrap is the first argument: where the cluster is.
func Bootstrap() string {
	if len(os.Args) > 1 {
		return os.Args[1]
	}
	return "localhost:9092"
}

// Context ends when an example takes too long.
func Context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), Patience)
}

// Client is a client of the cluster.
func Client(opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(Bootstrap())}, opts...)...)
	Must(err)
	return cl
}

// Topic makes a topic with so many partitions, and writes "record 0", "record 1" and so on, in turn to each.
func Topic(ctx context.Context, name string, partitions int32, records int) string {
	name = fmt.Sprintf("%s-%d", name, time.Now().UnixNano())
	cl := Client()
	defer cl.Close()
	_, err := kadm.NewClient(cl).CreateTopic(ctx, partitions, -1, nil, name)
	Must(err)
	Write(ctx, name, partitions, 0, records)
	return name
}

// Write writes the records of these numbers.
func Write(ctx context.Context, topic string, partitions int32, from, to int) {
	cl := Client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	for i := from; i < to; i++ {
		r := &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Value: fmt.Appendf(nil, "record %d", i)}
		Must(cl.ProduceSync(ctx, r).FirstErr())
	}
}

// Committed is what a group has committed of a partition: the offset of the record that it reads next, or -1.
func Committed(ctx context.Context, group, topic string, partition int32) int64 {
	cl := Client()
	defer cl.Close()
	offsets, err := kadm.NewClient(cl).FetchOffsets(ctx, group)
	Must(err)
	o, ok := offsets.Lookup(topic, partition)
	if !ok {
		return -1
	}
	Must(o.Err)
	return o.At
}

// Poll polls until there are records.
func Poll(ctx context.Context, cl *kgo.Client, max int) []*kgo.Record {
	for {
		fs := cl.PollRecords(ctx, max)
		Must(fs.Err0())
		if rs := fs.Records(); len(rs) > 0 {
			return rs
		}
	}
}

// Must ends the example when something failed.
func Must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "the example failed:", err)
		os.Exit(1)
	}
}

// Expect ends the example when something is not as it says.
func Expect(ok bool, format string, args ...any) {
	if !ok {
		Must(fmt.Errorf(format, args...))
	}
}
