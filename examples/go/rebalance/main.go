// Rebalance commits what a member has processed at the moment that a partition is taken from it, so that the next owner
// begins where it ended.
package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/moldau-stream/moldau/examples/go/internal/tutorial"
	"github.com/twmb/franz-go/pkg/kgo"
)

// once counts how often each record was processed, by whichever member.
type once struct {
	mu    sync.Mutex
	times map[string]int
}

func (o *once) process(rs []*kgo.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range rs {
		o.times[string(r.Value)]++
	}
}

func (o *once) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.times)
}

func member(name, topic string, given chan<- string) *kgo.Client {
	return tutorial.Client(kgo.ConsumerGroup(topic+"-group"), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			if len(got[topic]) > 0 {
				fmt.Println(name, "is given", got[topic])
				given <- name
			}
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, cl *kgo.Client, gone map[string][]int32) {
			// The last moment at which this member may commit for these partitions.
			tutorial.Must(cl.CommitUncommittedOffsets(ctx))
			if len(gone[topic]) > 0 {
				fmt.Println(name, "gives up", gone[topic], "and has committed")
			}
		}),
		// Lost is not revoked: somebody else has the partitions already, and a commit would be refused.
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
			fmt.Println(name, "has lost", gone[topic])
		}))
}

func main() {
	ctx, cancel := tutorial.Context()
	defer cancel()
	topic := tutorial.Topic(ctx, "rebalance", 4, 20)
	seen := &once{times: map[string]int{}}
	given := make(chan string, 100)

	anna := member("anna", topic, given)
	seen.process(tutorial.Poll(ctx, anna, 10)) // not committed yet
	anna.AllowRebalance()

	bert := member("bert", topic, given)
	var both sync.WaitGroup
	for _, cl := range []*kgo.Client{anna, bert} {
		both.Go(func() {
			for seen.count() < 40 && ctx.Err() == nil {
				short, stop := context.WithTimeout(ctx, tutorial.Patience/100)
				seen.process(cl.PollFetches(short).Records())
				stop()
				cl.AllowRebalance()
			}
			cl.CloseAllowingRebalance()
		})
	}
	for name := range given {
		if name == "bert" {
			break
		}
	}
	tutorial.Write(ctx, topic, 4, 20, 40)
	both.Wait()
	tutorial.Must(ctx.Err())
	for value, n := range seen.times {
		tutorial.Expect(n == 1, "%s was processed %d times", value, n)
	}
	fmt.Println("40 records, each processed once, by two members")
}
