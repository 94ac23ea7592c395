// Spare has more members in a group than there are partitions: one has nothing to do until another leaves.
package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/moldau-stream/moldau/examples/go/internal/tutorial"
	"github.com/twmb/franz-go/pkg/kgo"
)

// owners is how many partitions each member has.
type owners struct {
	mu      sync.Mutex
	has     map[string]int
	changed chan struct{}
}

func (o *owners) add(name string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.has[name] += n
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// wait waits until the members have as many partitions as given, in any order.
func (o *owners) wait(ctx context.Context, want ...int) {
	for {
		o.mu.Lock()
		var got []int
		for _, n := range o.has {
			got = append(got, n)
		}
		o.mu.Unlock()
		slices.Sort(got)
		if slices.Equal(got, want) {
			return
		}
		select {
		case <-o.changed:
		case <-ctx.Done():
			tutorial.Must(fmt.Errorf("the members have %v partitions, want %v", got, want))
		}
	}
}

func main() {
	ctx, cancel := tutorial.Context()
	defer cancel()
	topic := tutorial.Topic(ctx, "spare", 2, 0)
	o := &owners{has: map[string]int{}, changed: make(chan struct{}, 1)}
	members := map[string]*kgo.Client{}
	for _, name := range []string{"anna", "bert", "carl"} {
		o.add(name, 0)
		count := func(by int) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { o.add(name, by*len(parts[topic])) }
		}
		members[name] = tutorial.Client(kgo.ConsumerGroup(topic+"-group"), kgo.ConsumeTopics(topic), kgo.OnPartitionsAssigned(count(1)),
			kgo.OnPartitionsRevoked(count(-1)), kgo.OnPartitionsLost(count(-1)))
	}
	o.wait(ctx, 0, 1, 1)
	fmt.Println("two partitions, three members: one member has none", o.has)

	leaving := ""
	for name, n := range o.has {
		if n == 1 {
			leaving = name
			break
		}
	}
	members[leaving].Close()
	o.mu.Lock()
	delete(o.has, leaving)
	o.mu.Unlock()
	o.wait(ctx, 1, 1)
	fmt.Println(leaving, "has left: the spare member has its partition", o.has)
	for name, cl := range members {
		if name != leaving {
			cl.Close()
		}
	}
}
