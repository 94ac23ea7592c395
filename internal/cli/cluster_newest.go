package cli

import (
	"context"
	"sync"

	"github.com/moldau-stream/moldau/internal/client"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// newestPatienceMs is how long a broker may take to tell what it knows, before the others' word has to do.
const newestPatienceMs = 3000

// viewNewest makes the view's partitions what those brokers know that know most: the one that was asked first may not have heard yet
// of topics that were just made, or of leaders that were just elected.
func (r *run) viewNewest(c *client.Client, v *clusterView) error {
	ctx, cancel := context.WithTimeout(r.ctx, client.Millis(newestPatienceMs))
	defer cancel()
	var mu sync.Mutex
	var all []*kmsg.MetadataResponse
	var asked sync.WaitGroup
	for _, b := range v.brokers {
		asked.Go(func() {
			resp, err := c.OnBroker(ctx, "describeTopics", b.id, kmsg.NewPtrMetadataRequest())
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, resp.(*kmsg.MetadataResponse))
			}
		})
	}
	asked.Wait()
	if len(all) == 0 {
		return r.ctx.Err()
	}
	return r.viewTopics(c, v, newestOf(all))
}

// newestOf is of each partition what the answer with the highest leader epoch says.
func newestOf(all []*kmsg.MetadataResponse) *kmsg.MetadataResponse {
	type place struct {
		topic     string
		partition int32
	}
	out := kmsg.NewPtrMetadataResponse()
	topics, at := map[string]int{}, map[place]int{}
	for _, md := range all {
		for _, t := range md.Topics {
			if t.Topic == nil || t.ErrorCode != 0 {
				continue
			}
			i, known := topics[*t.Topic]
			if !known {
				i = len(out.Topics)
				topics[*t.Topic] = i
				fresh := kmsg.NewMetadataResponseTopic()
				fresh.Topic = t.Topic
				out.Topics = append(out.Topics, fresh)
			}
			mine := &out.Topics[i]
			for _, p := range t.Partitions {
				j, known := at[place{*t.Topic, p.Partition}]
				switch {
				case !known:
					at[place{*t.Topic, p.Partition}] = len(mine.Partitions)
					mine.Partitions = append(mine.Partitions, p)
				case p.LeaderEpoch > mine.Partitions[j].LeaderEpoch:
					mine.Partitions[j] = p
				}
			}
		}
	}
	return out
}
