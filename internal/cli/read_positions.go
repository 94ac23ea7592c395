package cli

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// readPositions are the offsets behind the records that a run has read. The client underneath joins its group anew when a
// broker was away, and would begin where the group has committed or, where nobody commits, where auto.offset.reset points:
// what was read would be read again.
type readPositions struct {
	mu   sync.Mutex
	next map[topicPartition]int64 // guarded by mu
}

func newReadPositions() *readPositions { return &readPositions{next: map[topicPartition]int64{}} }

// note remembers what was read.
func (r *readPositions) note(fetches kgo.Fetches) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if n := len(p.Records); n > 0 {
			r.next[topicPartition{p.Topic, p.Partition}] = p.Records[n-1].Offset + 1
		}
	})
}

// resume puts the offsets from which the client would read behind what this run has read.
func (r *readPositions) resume(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic, partitions := range offsets {
		for p, o := range partitions {
			if next, ok := r.next[topicPartition{topic, p}]; ok && o.EpochOffset().Offset < next {
				partitions[p] = kgo.NewOffset().At(next)
			}
		}
	}
	return offsets, nil
}
