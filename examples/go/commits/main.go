// Commits shows the ways to commit: all that was polled, some records, chosen offsets, with a limit of time, and without waiting.
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/moldau-stream/moldau/examples/go/internal/tutorial"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func main() {
	ctx, cancel := tutorial.Context()
	defer cancel()
	topic := tutorial.Topic(ctx, "commits", 1, 20)
	group := topic + "-group"
	cl := tutorial.Client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()

	shows := func(way string, want int64) {
		got := tutorial.Committed(ctx, group, topic, 0)
		fmt.Printf("%-28s the group reads next from offset %d\n", way, got)
		tutorial.Expect(got == want, "%s: committed %d, want %d", way, got, want)
	}

	// 1. Everything that the last poll has returned. What is committed is the offset of the next record, not of the last.
	tutorial.Poll(ctx, cl, 5)
	tutorial.Must(cl.CommitUncommittedOffsets(ctx))
	shows("everything polled:", 5)

	// 2. The same, but only for so long.
	tutorial.Poll(ctx, cl, 5)
	short, stop := context.WithTimeout(ctx, 10*time.Second)
	tutorial.Must(cl.CommitUncommittedOffsets(short))
	stop()
	shows("with a limit of time:", 10)

	// 3. Some of the records: those after them are read again if this program ends now.
	records := tutorial.Poll(ctx, cl, 5)
	tutorial.Must(cl.CommitRecords(ctx, records[:2]...))
	shows("two records of five:", 12)

	// 4. Offsets that one names oneself, with a limit of time.
	named := map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 15}}}
	short, stop = context.WithTimeout(ctx, 10*time.Second)
	var failed error
	cl.CommitOffsetsSync(short, named, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
		failed = err
	})
	stop()
	tutorial.Must(failed)
	shows("an offset by name:", 15)

	// 5. Without waiting: work goes on, and the answer comes to a function. A commit that fails is not repeated, since a later
	// one may have succeeded meanwhile and must not be undone.
	tutorial.Poll(ctx, cl, 5)
	answered := make(chan error, 1)
	cl.CommitOffsets(ctx, cl.UncommittedOffsets(), func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
		answered <- err
	})
	fmt.Println("(this line is printed while the commit is on its way)")
	tutorial.Must(<-answered)
	shows("without waiting:", 20)
}
