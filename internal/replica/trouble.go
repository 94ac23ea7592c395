package replica

import (
	"time"

	"github.com/moldau-stream/moldau/internal/storage"
)

const (
	// quietFailures is how many failures in a row of a partition are not told: after an election some are in order, until both sides
	// have heard of it.
	quietFailures = 8
	// troubleInterval is how long a fetcher is silent after it has told of a partition: its others mostly fail for the same reason.
	troubleInterval = 10 * time.Second
)

// trouble is what a fetcher has told of partitions that it cannot copy.
type trouble struct {
	toldAt time.Time
	untold map[storage.TopicPartition]struct{} // that have failed since
}

// tellLocked tells that d has failed once more, or counts it.
func (f *fetcher) tellLocked(d *followed, err error) {
	if d.failures <= quietFailures {
		return
	}
	t, now := &f.trouble, f.m.clock.Now()
	if !t.toldAt.IsZero() && now.Sub(t.toldAt) < troubleInterval {
		if t.untold == nil {
			t.untold = map[storage.TopicPartition]struct{}{}
		}
		t.untold[d.p.tp] = struct{}{}
		return
	}
	delete(t.untold, d.p.tp)
	f.m.logger.Warn("a partition cannot be copied from its leader: trying again", "topic", d.p.tp.Topic, "partition", d.p.tp.Partition,
		"leader", f.key.leader, "leaderEpoch", d.epoch, "failures", d.failures, "cause", err, "othersSinceTheLastLine", len(t.untold))
	t.toldAt, t.untold = now, nil
}
