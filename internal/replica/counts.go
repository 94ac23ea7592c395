package replica

import "sync/atomic"

// counter is a number that only grows.
type counter struct{ atomic.Int64 }

// Inc adds one.
func (c *counter) Inc() { c.Add(1) }

// Replication is what copying between brokers has come to.
type Replication struct {
	IsrShrinks, IsrExpands, FailedIsrUpdates int64
	BytesIn, BytesOut                        int64 // copied from leaders, handed to followers
	MaxLag                                   int64 // the most records that a partition here is behind its leader
	Followed                                 int   // partitions that are copied here
}

// Replication tells it.
func (m *Manager) Replication() Replication {
	r := Replication{
		IsrShrinks: m.counts.shrinks.Load(), IsrExpands: m.counts.expands.Load(), FailedIsrUpdates: m.counts.failed.Load(),
		BytesIn: m.counts.bytesIn.Load(), BytesOut: m.counts.bytesOut.Load(),
	}
	m.fetchers.eachLag(func(_ *Partition, lag int64) {
		r.Followed++
		r.MaxLag = max(r.MaxLag, lag)
	})
	return r
}

// counts is what replication counts for the metrics.
type counts struct {
	shrinks, expands, failed counter
	bytesIn, bytesOut        counter
}

func (c *counts) altered(kind isrChangeKind) {
	switch kind {
	case isrShrink:
		c.shrinks.Inc()
	case isrExpand:
		c.expands.Inc()
	}
}
