package hostile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// growthBytes bounds how much resident memory an attack may add. Idle connections at 20 KiB each are
	// 20 MiB; the rest is what a garbage collector may leave before it runs again.
	growthBytes = 256 << 20
	// patience is how long the normal client may wait for one record to go round. It is for hangs; a slow
	// machine must not fail here.
	patience = 15 * time.Second
	// beatInterval is the pause between the normal client's records.
	beatInterval = 10 * time.Millisecond
	// settle is how long each attack's aftermath is watched.
	settle = 300 * time.Millisecond
)

const normalTopic = "normal"

// Run carries out each attack against the node. A server that is not honest
// about memory allocates whatever a frame claims (Apache Kafka does) and is
// spared that attack. growth replaces the bound on memory when it is not 0.
func Run(ctx context.Context, n *node.Node, honest bool, growth int64, logf func(string, ...any), rep *report.Report) error {
	if growth == 0 {
		growth = growthBytes
	}
	if err := createTopics(ctx, n.Bootstrap); err != nil {
		return err
	}
	if err := warm(n.Bootstrap); err != nil {
		return err
	}
	for _, a := range attacks() {
		start := time.Now()
		if a.claims && !honest {
			continue
		}
		said, err := underAttack(n, a, growth)
		rep.Check("hostile", a.name, time.Since(start), err)
		logf("%s: %s in %s", a.name, said, time.Since(start).Round(time.Millisecond))
		if !n.Alive() {
			return fmt.Errorf("the server ended during %q; the end of its output:\n%s", a.name, n.LogTail())
		}
	}
	return nil
}

func createTopics(ctx context.Context, bootstrap string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	compact := "compact"
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, normalTopic); err != nil {
		return err
	}
	_, err = adm.CreateTopic(ctx, 1, 1, map[string]*string{"cleanup.policy": &compact}, bombTopic)
	return err
}

// warm lets the normal client work for a moment, so that the server has the memory that it always needs.
func warm(bootstrap string) error {
	c, err := startNormal(bootstrap)
	if err != nil {
		return err
	}
	time.Sleep(time.Second)
	return c.stop()
}

// underAttack runs one attack beside the normal client and measures the server.
func underAttack(n *node.Node, a attack, growth int64) (string, error) {
	before, err := n.RSSBytes()
	if err != nil {
		return "", err
	}
	c, err := startNormal(n.Bootstrap)
	if err != nil {
		return "", err
	}
	var peak atomic.Int64
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			if rss, err := n.RSSBytes(); err == nil && rss > peak.Load() {
				peak.Store(rss)
			}
			select {
			case <-quit:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	attackErr := a.run(n.Bootstrap)
	time.Sleep(settle)
	normalErr := c.stop()
	close(quit)
	wg.Wait()
	var memErr error
	if grown := peak.Load() - before; grown > growth {
		memErr = fmt.Errorf("the server's memory grew by %d MiB, from %d to %d MiB; the bound is %d MiB", grown>>20, before>>20, peak.Load()>>20, growth>>20)
	}
	if normalErr != nil {
		normalErr = fmt.Errorf("the normal client noticed: %w", normalErr)
	}
	said := fmt.Sprintf("memory %d MiB, peak %d MiB, normal client %d records, slowest %s", before>>20, peak.Load()>>20, c.done.Load(), time.Duration(c.slowest.Load()).Round(time.Millisecond))
	return said, errors.Join(attackErr, normalErr, memErr)
}

// normal is a well-behaved client: it writes a record, reads it, and again.
type normal struct {
	cl      *kgo.Client
	quit    chan struct{}
	ended   chan error
	done    atomic.Int64
	slowest atomic.Int64
}

func startNormal(bootstrap string) (*normal, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.DefaultProduceTopic(normalTopic), kgo.UnknownTopicRetries(-1), kgo.ProducerLinger(0),
		kgo.DisableIdempotentWrite(), kgo.RecordDeliveryTimeout(patience), // an idempotent producer does not let go of a record whose fate is unknown
		// From the start: the end is looked up some time after the client is made, perhaps behind its own records.
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{normalTopic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return nil, err
	}
	c := &normal{cl: cl, quit: make(chan struct{}), ended: make(chan error, 1)}
	first := make(chan error, 1)
	go c.loop(first)
	return c, <-first
}

// loop reports its first round trip on first, and why it ended on ended.
func (c *normal) loop(first chan<- error) {
	var err error
	for i := 0; err == nil; i++ {
		start := time.Now()
		err = c.roundTrip(fmt.Sprintf("%d-%d", start.UnixNano(), i))
		if took := int64(time.Since(start)); i > 0 && took > c.slowest.Load() {
			c.slowest.Store(took)
		}
		if i == 0 {
			first <- err
		}
		c.done.Add(1)
		select {
		case <-c.quit:
			c.ended <- err
			return
		case <-time.After(beatInterval):
		}
	}
	c.ended <- err
}

func (c *normal) roundTrip(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.cl.ProduceSync(ctx, kgo.StringRecord(text)).FirstErr(); err != nil {
		return fmt.Errorf("cannot produce: %w", err)
	}
	for {
		fs := c.cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return fmt.Errorf("cannot fetch: %w", err)
		}
		for _, r := range fs.Records() {
			if string(r.Value) == text {
				return nil
			}
		}
	}
}

func (c *normal) stop() error {
	close(c.quit)
	err := <-c.ended
	c.cl.Close()
	return err
}
