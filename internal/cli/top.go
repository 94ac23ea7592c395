package cli

import (
	"fmt"
	"sort"

	"time"

	"github.com/moldau-stream/moldau/internal/client"
)

func topOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.").withDefault("localhost:9092")
	s.arg("command-config", "config file", "A properties file for the admin client.")
	s.arg("metrics-url", "URL", "Where a node's metrics are, as http://host:9644: request latencies are shown too. May be given several times.")
	s.arg("interval-ms", "ms", "How often to look.").ofKind(longValue).withDefault("1000")
	s.arg("rows", "count", "How many topics and groups to show.").ofKind(intValue).withDefault("15")
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
	ends     map[topicPartition]int64
	requests map[string]float64 // how many of each kind of request there had been
	at       time.Time
}

func (t *topView) execute() error {
	if t.p.has("help") {
		return t.usage(t.p.set, nil, "Shows throughput by topic, lag by group and partitions in trouble, again and again.")
	}
	interval, _ := t.p.number("interval-ms")
	rows, _ := t.p.number("rows")
	count, _ := t.p.number("count")
	if t.p.err != nil {
		return t.p.err
	}
	c, err := t.open(client.Admin, t.p.value("bootstrap-server"), t.p.value("command-config"))
	if err != nil {
		return err
	}
	defer c.Close()
	t.c = c
	ctx, sig, stop := t.watchSignals()
	defer stop()
	for n := int64(1); ctx.Err() == nil; n++ {
		if err := t.look(int(max(rows, 1))); err != nil {
			return err
		}
		if t.out.Flush() != nil {
			return nil // nobody reads any more
		}
		if n == count {
			return nil
		}
		sleepContext(ctx, client.Millis(max(interval, 100)))
	}
	if s := sig(); s != nil {
		return &exitError{signalExit(s)}
	}
	return nil
}

// The screen is cleared and bold switched on and off only on a terminal.
const (
	clearScreen = "\x1b[H\x1b[2J"
	bold        = "\x1b[1m"
	plain       = "\x1b[0m"
)

func (t *topView) heading(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if t.StdoutIsTerminal {
		text = bold + text + plain
	}
	t.println(text)
}

type topicRate struct {
	name       string
	partitions int
	perSecond  float64
	records    int64
}

func (t *topView) look(rows int) error {
	asked := time.Now()
	md, err := t.c.Metadata(t.ctx, "listTopics", nil, true)
	if err != nil {
		return err
	}
	latency := time.Since(asked)
	at := map[topicPartition]int64{}
	under, offline := 0, 0
	for _, topic := range md.Topics {
		for _, p := range topic.Partitions {
			at[topicPartition{*topic.Topic, p.Partition}] = latestOffset
			if len(p.ISR) < len(p.Replicas) {
				under++
			}
			if p.Leader < 0 {
				offline++
			}
		}
	}
	now := t.Now()
	ends := map[topicPartition]int64{}
	for tp, res := range t.listOffsets(t.c, at, false) {
		if res.err == nil {
			ends[tp] = res.offset
		}
	}
	if t.StdoutIsTerminal {
		t.out.WriteString(clearScreen)
	}
	t.heading("%s  brokers %d  topics %d  partitions %d  under-replicated %d  offline %d  metadata request %.1f ms",
		now.Format("15:04:05"), len(md.Brokers), len(md.Topics), len(at), under, offline, float64(latency.Microseconds())/1000)
	t.println("")
	t.showTopics(ends, now, rows)
	t.println("")
	err = t.showGroups(ends, rows)
	if err == nil && t.p.has("metrics-url") {
		t.println("")
		t.showRequests(now, rows)
	}
	t.ends, t.at = ends, now
	return err
}

func (t *topView) showTopics(ends map[topicPartition]int64, now time.Time, rows int) {
	rates := map[string]*topicRate{}
	for tp, end := range ends {
		r := rates[tp.topic]
		if r == nil {
			r = &topicRate{name: tp.topic}
			rates[tp.topic] = r
		}
		r.partitions++
		r.records += end
		if before, ok := t.ends[tp]; ok && now.After(t.at) {
			r.perSecond += float64(end-before) / now.Sub(t.at).Seconds()
		}
	}
	var list []*topicRate
	for _, name := range sortedKeys(rates) {
		list = append(list, rates[name])
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].perSecond > list[j].perSecond })
	t.heading("%-40s %10s %14s %16s", "TOPIC", "PARTITIONS", "RECORDS/S IN", "END OFFSETS")
	for _, r := range list[:min(rows, len(list))] {
		t.printf("%-40s %10d %14.1f %16d\n", r.name, r.partitions, r.perSecond, r.records)
	}
}

type groupLag struct {
	id, state string
	lag       int64
}

func (t *topView) showGroups(ends map[topicPartition]int64, rows int) error {
	all, err := t.listGroups(t.c, nil, nil)
	if err != nil {
		return err
	}
	var ids []string
	states := map[string]string{}
	for _, g := range all {
		if isConsumerGroup(g) {
			ids = append(ids, g.Group)
			states[g.Group] = g.GroupState
		}
	}
	var offsets map[string]map[topicPartition]committed
	if len(ids) > 0 {
		if offsets, err = t.committedOffsets(ids); err != nil {
			return err
		}
	}
	var list []groupLag
	for _, id := range ids {
		g := groupLag{id: id, state: states[id]}
		for tp, c := range offsets[id] {
			if end, ok := ends[tp]; ok {
				g.lag += max(end-c.offset, 0)
			}
		}
		list = append(list, g)
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].lag > list[j].lag })
	t.heading("%-40s %-20s %16s", "GROUP", "STATE", "LAG")
	for _, g := range list[:min(rows, len(list))] {
		t.printf("%-40s %-20s %16d\n", g.id, g.state, g.lag)
	}
	return nil
}
