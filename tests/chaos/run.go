package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kadm"
)

// Options of a run.
type Options struct {
	Duration time.Duration // of the faults; starting, draining and reading come on top
	Seed     uint64
	Rate     int    // records a second, of all producers
	Only     string // faults whose names contain this
	Logf     func(format string, args ...any)
}

// crowd is clients that run until they are told to stop.
type crowd struct {
	stop func()
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

// start runs work until the crowd is stopped.
func (w *crowd) start(work func() error) {
	w.wg.Go(func() {
		if err := work(); err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.errs = append(w.errs, err)
		}
	})
}

// end stops the crowd and waits for it.
func (w *crowd) end() error {
	w.stop()
	w.wg.Wait()
	return errors.Join(w.errs...)
}

// Run starts a cluster, hurts it for a while and reports what it finds.
func Run(ctx context.Context, spec node.Spec, fleet *node.Fleet, dir string, o Options, rep *report.Report) error {
	c, err := startCluster(spec, fleet, dir)
	if err != nil {
		return fmt.Errorf("cannot start the cluster: %w", err)
	}
	defer c.links.close()
	for topic, n := range map[string]int32{mainTopic: partitions, probeTopic: probePartitions, txnTopic: partitions, copyIn: partitions, copyOut: partitions} {
		if err := c.create(ctx, topic, n); err != nil {
			return err
		}
	}
	if _, err := c.untilWhole(ctx); err != nil {
		return fmt.Errorf("the cluster never became whole: %w", err)
	}
	l, x := newLedger(), newTransactions()
	p, err := newProbe(c)
	if err != nil {
		return err
	}
	defer p.cl.Close()
	groups := watchedGroups()
	writing, reading := l.work(ctx, c, x, p, groups, o)
	n := &nemesis{
		c: c, probe: p, rnd: rand.New(rand.NewPCG(o.Seed, 6)), logf: o.Logf, only: o.Only,
		longest: min(longestPause, o.Duration/pauseShare), gaps: map[string][]time.Duration{},
	}
	start := time.Now()
	err = n.run(ctx, start.Add(o.Duration))
	rep.Check("chaos", "the cluster comes back after each fault", time.Since(start), err)
	if err != nil { // what is read now may be found wrong for that reason alone
		c.links.heal()
	}
	if err := writing.end(); err != nil {
		return err
	}
	calmed := time.Now()
	err = converged(ctx, c, groups)
	rep.Check("chaos", "every group shares its partitions out among the living", time.Since(calmed), err)
	rep.Check("chaos", "readers, groups and copiers come to the end", 0, l.drain(ctx, c, groups))
	if err := reading.end(); err != nil {
		return err
	}
	rep.Check("chaos", "the probe is given no error", 0, errors.Join(p.errs...))
	verify(ctx, c, l, x, groups, rep)
	n.tell(rep)
	rep.Note("chaos: seed %d, %s of faults, %d records acknowledged, %d read live, %d consumed by the group; %d transactions committed, %d aborted, %d records copied, %d clients made anew",
		o.Seed, time.Since(start).Round(time.Second), l.acked.Load(), l.read.Load(), l.grouped.Load(), x.commits, x.aborts, x.copied, x.retaken)
	for _, w := range groups {
		rep.Note("chaos: group %s: %d members died, %d left", w.name, w.died, w.left)
	}
	rep.Note("chaos: %d transactional writers and copiers died", x.died)
	rep.Check("chaos", "the nodes stop in order", 0, c.stop())
	verifyReplicas(ctx, c, spec, rep)
	return nil
}

// work starts all clients: those that write, and those that read what they wrote until it is all read.
func (l *ledger) work(ctx context.Context, c *cluster, x *transactions, p *probe, groups []*watched, o Options) (writing, reading *crowd) {
	writing, reading = &crowd{}, &crowd{}
	write, stopWriting := context.WithCancel(ctx)
	read, stopReading := context.WithCancel(ctx)
	writing.stop, reading.stop = stopWriting, stopReading
	for i := range producers {
		writing.start(func() error { return l.produce(write, c, mainTopic, i, max(1, o.Rate/producers)) })
	}
	writing.start(func() error { return l.produce(write, c, copyIn, producers, copyRate) })
	writing.start(func() error { return l.commit(write, c) })
	writing.start(func() error { p.run(write); return nil })
	for i := range writers {
		writing.start(func() error { return x.write(write, c, i, o.Seed) })
	}
	for i := range copiers {
		reading.start(func() error { return x.copier(read, write, c, i, o.Seed) })
	}
	for g, w := range groups {
		for seat := range seatsEach {
			reading.start(func() error {
				return w.sit(read, write, c, seat, rand.New(rand.NewPCG(o.Seed, uint64(100+g*seatsEach+seat))))
			})
		}
	}
	for range members {
		reading.start(func() error { return l.consume(read, c) })
	}
	for range 2 { // two, since what they read is compared
		reading.start(func() error { return l.tail(read, c, true, mainTopic, txnTopic) })
	}
	return writing, reading
}

// drain waits until the group and the copiers have read all, and the live readers too.
func (l *ledger) drain(ctx context.Context, c *cluster, groups []*watched) error {
	adm := kadm.NewClient(c.admin)
	var err error
	for deadline := time.Now().Add(drainTimeout); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		if err = l.behind(ctx, adm, groups); err == nil {
			return nil
		}
	}
	return err
}

func (l *ledger) behind(ctx context.Context, adm *kadm.Client, groups []*watched) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	ends, err := adm.ListEndOffsets(ctx, mainTopic, copyIn)
	if err != nil {
		return err
	}
	reads := map[string]string{mainGroup: mainTopic, copyGroup: copyIn}
	for _, w := range groups {
		reads[w.name] = mainTopic
	}
	for group, topic := range reads {
		offs, err := adm.FetchOffsets(ctx, group)
		if err != nil {
			return fmt.Errorf("group %s: %w", group, err)
		}
		for p := range int32(partitions) {
			end, _ := ends.Lookup(topic, p)
			if at, ok := offs.Lookup(topic, p); end.Err != nil || end.Offset > 0 && (!ok || at.At < end.Offset) {
				return fmt.Errorf("group %s has committed %d of %s-%d, which ends at %d (%v)", group, at.At, topic, p, end.Offset, end.Err)
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range int32(partitions) {
		end, _ := ends.Lookup(mainTopic, p)
		if seen := int64(len(l.seen[place{mainTopic, p}])); seen < end.Offset {
			return fmt.Errorf("live readers have read %d of %s-%d, which ends at %d", seen, mainTopic, p, end.Offset)
		}
	}
	return nil
}
