// Positions prints side by side where a consumer is, what it has committed, where the log ends, and how far it may be read.
package main

import (
	"context"
	"fmt"

	"github.com/moldau-stream/moldau/examples/go/internal/tutorial"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// row is the four offsets of a partition.
type row struct{ position, committed, logEnd, highWatermark int64 }

func main() {
	ctx, cancel := tutorial.Context()
	defer cancel()
	topic := tutorial.Topic(ctx, "positions", 1, 10)
	group := topic + "-group"
	cl := tutorial.Client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()

	fmt.Println("                         position  committed  log end  high watermark")
	six := poll(ctx, cl, 6)
	r := look(ctx, group, topic, six, "six records are polled")
	tutorial.Expect(r == row{6, -1, 10, 10}, "%v", r)

	tutorial.Must(cl.CommitRecords(ctx, six.Records()[:4]...))
	r = look(ctx, group, topic, six, "four are committed")
	tutorial.Expect(r == row{6, 4, 10, 10}, "%v", r)

	writer := tutorial.Client(kgo.DefaultProduceTopic(topic))
	defer writer.Close()
	tutorial.Must(writer.ProduceSync(ctx, &kgo.Record{Value: []byte("one more")}).FirstErr())
	r = look(ctx, group, topic, six, "one more is written")
	// The consumer has not fetched since then: the high watermark that it knows is old.
	tutorial.Expect(r == row{6, 4, 11, 10}, "%v", r)
	fmt.Println("lag, by what is committed:", r.logEnd-r.committed)
}

// poll polls until there are records.
func poll(ctx context.Context, cl *kgo.Client, max int) kgo.Fetches {
	for {
		fs := cl.PollRecords(ctx, max)
		tutorial.Must(fs.Err0())
		if fs.NumRecords() > 0 {
			return fs
		}
	}
}

// look tells the four. The position is the consumer's own business: one after the last record that it polled. The high
// watermark, up to which all in-sync replicas have the log, came with the fetch. Beyond it nobody may read: asked for the end
// of the log, a broker tells an ordinary client its high watermark of this moment.
func look(ctx context.Context, group, topic string, polled kgo.Fetches, when string) row {
	cl := tutorial.Client()
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	tutorial.Must(err)
	end, _ := ends.Lookup(topic, 0)
	records := polled.Records()
	r := row{position: records[len(records)-1].Offset + 1, committed: tutorial.Committed(ctx, group, topic, 0), logEnd: end.Offset}
	polled.EachPartition(func(p kgo.FetchTopicPartition) { r.highWatermark = p.HighWatermark })
	fmt.Printf("%-24s %8d %10d %8d %15d\n", when, r.position, r.committed, r.logEnd, r.highWatermark)
	return r
}
