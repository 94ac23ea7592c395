package cli

import (
	"context"
	"sync"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kgo"
)

// groupStarts are the offsets at which a group begins in the partitions for which it has committed none. Kafka's consumer commits
// where it stands when it closes, also where nothing came: the next member goes on from there and not from wherever
// auto.offset.reset points by then. The client alone commits only behind records.
type groupStarts struct {
	run    *run
	opened chan struct{}  // closed when client is there
	client *client.Client // set before opened is closed

	mu sync.Mutex
	at map[topicPartition]int64 // guarded by mu
}

func newGroupStarts(r *run) *groupStarts {
	return &groupStarts{run: r, opened: make(chan struct{}), at: map[topicPartition]int64{}}
}

func (g *groupStarts) open(c *client.Client) {
	g.client = c
	close(g.opened)
}

// resolve turns "the first offset" and "the end" into offsets. What cannot be looked up stays, and the client looks later.
func (g *groupStarts) resolve(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	select {
	case <-g.opened:
	case <-ctx.Done():
		return offsets, nil
	}
	ask := map[topicPartition]int64{}
	for topic, partitions := range offsets {
		for p, o := range partitions {
			if at := o.EpochOffset().Offset; at == latestOffset || at == earliestOffset {
				ask[topicPartition{topic, p}] = at
			}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for tp, res := range g.run.listOffsets(g.client, ask, g.client.Settings.Consumer.ReadCommitted) {
		if res.err == nil {
			g.at[tp] = res.offset
			offsets[tp.topic][tp.partition] = kgo.NewOffset().At(res.offset)
		}
	}
	return offsets, nil
}

// unmoved are the partitions of this member that still stand where they began.
func (g *groupStarts) unmoved() map[string]map[int32]kgo.EpochOffset {
	out := map[string]map[int32]kgo.EpochOffset{}
	marked, held := g.client.MarkedOffsets(), g.client.CommittedOffsets()
	g.mu.Lock()
	defer g.mu.Unlock()
	for tp, at := range g.at {
		_, moved := marked[tp.topic][tp.partition]
		if stands, ours := held[tp.topic][tp.partition]; moved || !ours || stands.Offset != at {
			continue
		}
		if out[tp.topic] == nil {
			out[tp.topic] = map[int32]kgo.EpochOffset{}
		}
		out[tp.topic][tp.partition] = kgo.EpochOffset{Epoch: -1, Offset: at}
	}
	return out
}

// commit commits them, with what else there is to be committed.
func (g *groupStarts) commit(ctx context.Context) {
	if left := g.unmoved(); len(left) > 0 {
		g.client.CommitOffsetsSync(ctx, left, nil)
	}
}
