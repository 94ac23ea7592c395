package cli

import (
	"fmt"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
)

func topOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.").withDefault("localhost:9092")
	s.arg("command-config", "config file", "A properties file for the admin client.")
	s.arg("metrics-url", "URL", "Where a node's metrics are, as http://host:9644: request latencies are shown too. May be given several times.")
	s.arg("interval-ms", "ms", "How often to look, 100 at least.").ofKind(longValue).withDefault("1000")
	s.arg("rows", "count", "How many rows of each table to show, as far as the terminal has room.").ofKind(intValue).withDefault("15")
	s.arg("count", "count", "Stop after so many looks; 0 for no end.").ofKind(intValue).withDefault("0")
	return s
}

// runTop is `moldau top`: what goes on in a cluster, by the protocol alone.
func runTop(r *run, args []string) int {
	set := topOptions()
	p, err := set.parse(args)
	if err == nil {
		t := &topView{groupsTool: groupsTool{run: r, p: p}}
		err = t.execute()
	}
	return r.outcome(err)
}

// topView is a live view. Its state is what the last look saw.
type topView struct {
	groupsTool
	interval, rows, count int64
	ends                  map[topicPartition]int64
	requests              map[string]float64 // how many of each kind of request there had been
	at                    time.Time
}

// leastInterval is how often a view may look: each look asks for every partition and group there is.
const leastInterval = 100

// topPatience are the client's bounds for one look: a broker that is away must not make the view stand still.
func topPatience() client.Properties {
	return client.Properties{"default.api.timeout.ms": "4000", "request.timeout.ms": "2000"}
}

func (t *topView) execute() error {
	if t.p.has("help") {
		return t.usage(t.p.set, nil, "Shows throughput by topic, lag by group and partitions in trouble, again and again.")
	}
	if err := t.readOptions(); err != nil {
		return err
	}
	c, err := t.open(client.Admin, t.p.value("bootstrap-server"), t.p.value("command-config"), topPatience())
	if err != nil {
		return err
	}
	defer c.Close()
	t.c = c
	return t.watch()
}

func (t *topView) readOptions() error {
	t.interval, _ = t.p.number("interval-ms")
	t.rows, _ = t.p.number("rows")
	t.count, _ = t.p.number("count")
	switch {
	case t.p.err != nil:
		return t.p.err
	case t.interval < leastInterval:
		return fmt.Errorf("--interval-ms is %d: it must be at least %d", t.interval, leastInterval)
	case t.rows < 1:
		return fmt.Errorf("--rows is %d: it must be at least 1", t.rows)
	case t.count < 0:
		return fmt.Errorf("--count is %d: it must be 0, for no end, or more", t.count)
	}
	for _, url := range t.p.all("metrics-url") {
		if _, err := metricsURL(url, false); err != nil {
			return fmt.Errorf("--metrics-url %s: %w", url, err)
		}
	}
	return nil
}

// watch looks again and again. A cluster that cannot be reached at first is an error; one that is away later comes back.
func (t *topView) watch() error {
	ctx, sig, stop := t.watchSignals()
	defer stop()
	t.ctx = ctx
	for n := int64(1); ctx.Err() == nil; n++ {
		f, err := t.look()
		switch {
		case ctx.Err() != nil:
			continue
		case err != nil && n == 1:
			return err
		case err != nil:
			f = &topFrame{at: t.Now(), away: err.Error()}
		}
		if n > 1 && !t.StdoutIsTerminal {
			t.println("")
		}
		t.showFrame(f, int(t.rows))
		if t.out.Flush() != nil {
			return nil // nobody reads any more
		}
		if n == t.count {
			return nil
		}
		sleepContext(ctx, client.Millis(t.interval))
	}
	if s := sig(); s != nil {
		return &exitError{signalExit(s)}
	}
	return nil
}
