package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/tests/report"
	"github.com/twmb/franz-go/pkg/kadm"
)

const (
	// calm is the least time without faults between two of them.
	calm = 700 * time.Millisecond
	// deadFor is how long a killed node stays away, at most.
	deadFor = 3 * time.Second
	// longestPause bounds pauses and cuts, however long the run is.
	longestPause = time.Minute
	// pauseShare of the run is the longest pause or cut of a short run.
	pauseShare = 12
)

// fault does damage and undoes it. What happens is told by its name; who suffers is chosen when it strikes.
type fault struct {
	name   string
	strike func(ctx context.Context, n *nemesis) error
}

// faults in an order that gives even a short run some of each sort.
func faults() []fault {
	return []fault{
		{"kill -9 of a leader", func(ctx context.Context, n *nemesis) error { return n.kill(n.dead(), n.leader(ctx)) }},
		{"kill -9 of the controller", func(ctx context.Context, n *nemesis) error { return n.kill(n.dead(), n.controller(ctx)) }},
		{"SIGTERM of a leader", func(ctx context.Context, n *nemesis) error { return n.terminate(n.leader(ctx)) }},
		{"SIGSTOP of a leader", func(ctx context.Context, n *nemesis) error { return n.pause(ctx, n.leader(ctx)) }},
		{"cut off the controller", func(ctx context.Context, n *nemesis) error { return n.isolate(ctx, n.controller(ctx), true, true) }},
		{"kill -9 of a coordinator of transactions", func(ctx context.Context, n *nemesis) error {
			return n.kill(n.dead(), n.coordinator(ctx, 1, "writer-0"))
		}},
		{"SIGTERM of the controller", func(ctx context.Context, n *nemesis) error { return n.terminate(n.controller(ctx)) }},
		{"cut off a leader", func(ctx context.Context, n *nemesis) error { return n.isolate(ctx, n.leader(ctx), true, true) }},
		{"kill -9 of a group's coordinator", func(ctx context.Context, n *nemesis) error { return n.kill(n.dead(), n.coordinator(ctx, 0, copyGroup)) }},
		{"kill -9 of two nodes", func(_ context.Context, n *nemesis) error { a := n.any(); return n.kill(n.dead(), a, a%size+1) }},
		{"cut one link", func(ctx context.Context, n *nemesis) error { return n.bridge(ctx) }},
		{"SIGSTOP of the controller", func(ctx context.Context, n *nemesis) error { return n.pause(ctx, n.controller(ctx)) }},
		{"rolling restart", func(ctx context.Context, n *nemesis) error { return n.roll(ctx) }},
		{"a leader is heard and hears nothing", func(ctx context.Context, n *nemesis) error { return n.isolate(ctx, n.leader(ctx), true, false) }},
		{"a leader hears and is not heard", func(ctx context.Context, n *nemesis) error { return n.isolate(ctx, n.leader(ctx), false, true) }},
		{"SIGSTOP of a moment", func(_ context.Context, n *nemesis) error { return n.blink(n.any()) }},
		{"kill -9 of all nodes", func(_ context.Context, n *nemesis) error { return n.kill(0, 1, 2, 3) }},
	}
}

// nemesis hurts the cluster, one fault after the other, and waits between them until it is whole.
type nemesis struct {
	c       *cluster
	probe   *probe
	rnd     *rand.Rand
	logf    func(string, ...any)
	only    string
	longest time.Duration

	gaps  map[string][]time.Duration
	stops []time.Duration
	heals []time.Duration
}

// run strikes until the time is up. An error is one of the cluster: it did not come back.
func (n *nemesis) run(ctx context.Context, until time.Time) error {
	adm := kadm.NewClient(n.c.admin)
	all := faults()
	if n.only != "" {
		all = slices.DeleteFunc(all, func(f fault) bool { return !strings.Contains(f.name, n.only) })
	}
	if len(all) == 0 {
		return fmt.Errorf("no fault is called %q", n.only)
	}
	for i := 0; ; i++ {
		if i%len(all) == 0 && i > 0 {
			n.rnd.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
		}
		rest := calm + time.Duration(n.rnd.Int64N(int64(calm)))
		if time.Now().Add(rest).After(until) || ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(rest)
		f := all[i%len(all)]
		n.probe.reset()
		if err := f.strike(ctx, n); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		took, err := n.c.untilWhole(ctx)
		if err != nil {
			return fmt.Errorf("%s after %s the cluster is not whole: %w", took.Round(time.Millisecond), f.name, err)
		}
		gap := n.probe.gap()
		n.gaps[f.name] = append(n.gaps[f.name], gap)
		n.heals = append(n.heals, took)
		n.logf("%s: no acknowledgement for %s, whole again %s later", f.name, gap.Round(time.Millisecond), took.Round(time.Millisecond))
		// Leaders go back to where they were: the next fault finds some on each node.
		call, cancel := context.WithTimeout(ctx, askTimeout)
		_, _ = adm.ElectLeaders(call, kadm.ElectPreferredReplica, nil)
		cancel()
	}
}

// any is a node at random, whoever else cannot be found.
func (n *nemesis) any() int { return 1 + n.rnd.IntN(size) }

func (n *nemesis) or(node int) int {
	if node < 1 || node > size {
		return n.any()
	}
	return node
}

func (n *nemesis) leader(ctx context.Context) int {
	return n.or(n.c.leader(ctx, probeTopic, int32(n.rnd.IntN(probePartitions))))
}

func (n *nemesis) controller(ctx context.Context) int { return n.or(n.c.controller(ctx)) }

func (n *nemesis) coordinator(ctx context.Context, kind int8, key string) int {
	return n.or(n.c.coordinator(ctx, kind, key))
}

// dead is how long a killed node stays away.
func (n *nemesis) dead() time.Duration { return time.Duration(n.rnd.Int64N(int64(deadFor))) }

// spell is how long a pause or a cut lasts.
func (n *nemesis) spell() time.Duration {
	return time.Second + time.Duration(n.rnd.Int64N(int64(n.longest)))
}

func (n *nemesis) kill(away time.Duration, victims ...int) error {
	for _, v := range victims {
		if !n.c.nodes[v].Alive() {
			return fmt.Errorf("node %d had ended by itself; the end of its output:\n%s", v, n.c.nodes[v].LogTail())
		}
	}
	for _, v := range victims {
		n.c.nodes[v].Kill()
	}
	time.Sleep(away)
	return n.start(victims...)
}

func (n *nemesis) start(ids ...int) error {
	var errs []error
	for _, id := range ids {
		errs = append(errs, n.c.nodes[id].Launch())
	}
	for _, id := range ids {
		if err := n.c.nodes[id].WaitReady(); err != nil {
			errs = append(errs, fmt.Errorf("node %d: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func (n *nemesis) terminate(v int) error {
	took, err := n.c.nodes[v].TimedStop()
	if err != nil {
		return fmt.Errorf("node %d: %w", v, err)
	}
	n.stops = append(n.stops, took)
	time.Sleep(n.dead() / 2)
	return n.start(v)
}

func (n *nemesis) roll(ctx context.Context) error {
	for v := 1; v <= size; v++ {
		if err := n.terminate(v); err != nil {
			return err
		}
		if took, err := n.c.untilWhole(ctx); err != nil {
			return fmt.Errorf("%s after the restart of node %d the cluster is not whole: %w", took.Round(time.Millisecond), v, err)
		}
	}
	return nil
}

func (n *nemesis) pause(ctx context.Context, v int) error {
	if err := n.c.nodes[v].Pause(); err != nil {
		return err
	}
	sleep(ctx, n.spell())
	return n.c.nodes[v].Resume()
}

func (n *nemesis) blink(v int) error {
	if err := n.c.nodes[v].Pause(); err != nil {
		return err
	}
	time.Sleep(time.Duration(n.rnd.Int64N(int64(time.Second))))
	return n.c.nodes[v].Resume()
}

// isolate cuts what comes to a node from the others, what goes from it to them, or both. Clients still reach it.
func (n *nemesis) isolate(ctx context.Context, v int, in, out bool) error {
	for o := 1; o <= size; o++ {
		if o != v {
			n.c.links.set(o, v, in)
			n.c.links.set(v, o, out)
		}
	}
	sleep(ctx, n.spell())
	n.c.links.heal()
	return nil
}

// bridge cuts two nodes from each other; both still reach the third.
func (n *nemesis) bridge(ctx context.Context) error {
	a := n.any()
	b := a%size + 1
	n.c.links.set(a, b, true)
	n.c.links.set(b, a, true)
	sleep(ctx, n.spell())
	n.c.links.heal()
	return nil
}

// sleep also ends with ctx.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// tell adds what was measured to the report.
func (n *nemesis) tell(rep *report.Report) {
	var names []string
	for name := range n.gaps {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		g := n.gaps[name]
		slices.Sort(g)
		rep.Note("chaos: %-42s %3d times, longest time without an acknowledgement: median %s, worst %s", name, len(g), g[len(g)/2].Round(time.Millisecond), g[len(g)-1].Round(time.Millisecond))
	}
	if len(n.stops) > 0 {
		rep.Note("chaos: SIGTERM until the process is gone: worst %s", slices.Max(n.stops).Round(time.Millisecond))
	}
	if len(n.heals) > 0 {
		rep.Note("chaos: whole again after a fault: worst %s", slices.Max(n.heals).Round(time.Millisecond))
	}
}
