package chaos

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	probeTopic      = "probe"
	probePartitions = size // with luck, one led by each node
	// probeEvery is how often each partition is written to: what a gap is measured with.
	probeEvery = 4 * time.Millisecond
	// probeWaiting bounds the records of a partition that wait for their acknowledgement.
	probeWaiting = 64
)

// probe writes all the time to partitions that several nodes lead, and knows the longest time without an acknowledgement.
type probe struct {
	cl *kgo.Client

	mu      sync.Mutex
	last    [probePartitions]time.Time
	worst   [probePartitions]time.Duration
	waiting [probePartitions]int
	errs    []error
}

func newProbe(c *cluster) (*probe, error) {
	cl, err := c.client(append(quick(), kgo.DefaultProduceTopic(probeTopic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	return &probe{cl: cl}, err
}

func (p *probe) run(ctx context.Context) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i := range int32(probePartitions) {
			p.mu.Lock()
			full := p.waiting[i] >= probeWaiting
			if !full {
				p.waiting[i]++
			}
			p.mu.Unlock()
			if !full {
				p.cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Partition: i, Value: []byte("probe")}, p.done)
			}
		}
	}
}

func (p *probe) done(r *kgo.Record, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[r.Partition]--
	if err != nil {
		if len(p.errs) < shownProblems {
			p.errs = append(p.errs, err)
		}
		return
	}
	p.note(int(r.Partition), time.Now())
	p.last[r.Partition] = time.Now()
}

// note counts the time since the last acknowledgement. Called with mu held.
func (p *probe) note(i int, now time.Time) {
	if !p.last[i].IsZero() {
		p.worst[i] = max(p.worst[i], now.Sub(p.last[i]))
	}
}

// reset begins a measurement.
func (p *probe) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.worst[:])
}

// gap is the longest time without an acknowledgement of any one partition since reset.
func (p *probe) gap() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	worst := time.Duration(0)
	for i := range p.worst {
		p.note(i, time.Now())
		worst = max(worst, p.worst[i])
	}
	return worst
}
