package client

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Send hands a record to the client, which calls done when it is known what became of it. While no broker takes connections
// records wait, at most delivery.timeout.ms, however few retries there are: as in Kafka's producer, what was never sent has
// not failed to be sent. The client underneath counts a refused connection as an attempt.
func (c *Client) Send(ctx context.Context, rec *kgo.Record, done func(*kgo.Record, error)) {
	if err := c.Settings.Producer.Fits(rec); err != nil {
		done(rec, err)
		return
	}
	begun := time.Now()
	handed := begun
	var again func(rec *kgo.Record, err error)
	again = func(rec *kgo.Record, err error) {
		unsent := errors.Is(err, kgo.ErrRecordRetries) && !c.dialer.produces.since(handed)
		if !unsent || ctx.Err() != nil || time.Since(begun) >= c.Settings.Producer.DeliveryTimeout {
			done(rec, err)
			return
		}
		handed = time.Now()
		c.TryProduce(ctx, rec, again) // it must not wait for room: this runs where room is made
	}
	c.Produce(ctx, rec, again)
}

// produceWrites remembers when something was last sent to be stored.
type produceWrites struct{ last atomic.Int64 }

func (w *produceWrites) since(t time.Time) bool { return w.last.Load() >= t.UnixNano() }

// OnBrokerWrite is called by the client underneath behind each request that it writes.
func (d *dialer) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, written int, _, _ time.Duration, _ error) {
	d.log.sent.Add(1) // the log names a request by its number
	const produce = 0
	if key == produce && written > 0 {
		d.produces.last.Store(time.Now().UnixNano())
	}
}
