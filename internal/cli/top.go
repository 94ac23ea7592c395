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
		f, err := t.look()
		if err != nil {
			return err
		}
		t.showFrame(f, int(max(rows, 1)))
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

// topFrame is what one look has seen.
type topFrame struct {
	at                              time.Time
	brokers, partitions, topicCount int
	underReplicated, offline        int
	latency                         time.Duration // of the metadata request
	topics                          []topicRate
	groups                          []groupLag
	requests                        []requestRate
	silent                          []string // metrics endpoints that did not answer, and why
	withRequests                    bool
}

// topicRate is what goes into a topic.
type topicRate struct {
	name       string
	partitions int
	perSecond  float64
	records    int64
}

// groupLag is how far a group is behind.
type groupLag struct {
	id, state string
	lag       int64
}

// look asks the cluster and remembers what the next look compares with.
func (t *topView) look() (*topFrame, error) {
	asked := time.Now()
	md, err := t.c.Metadata(t.ctx, "listTopics", nil, true)
	if err != nil {
		return nil, err
	}
	f := &topFrame{at: t.Now(), latency: time.Since(asked), brokers: len(md.Brokers), topicCount: len(md.Topics), withRequests: t.p.has("metrics-url")}
	at := map[topicPartition]int64{}
	for _, topic := range md.Topics {
		for _, p := range topic.Partitions {
			at[topicPartition{*topic.Topic, p.Partition}] = latestOffset
			if len(p.ISR) < len(p.Replicas) {
				f.underReplicated++
			}
			if p.Leader < 0 {
				f.offline++
			}
		}
	}
	f.partitions = len(at)
	ends := map[topicPartition]int64{}
	for tp, res := range t.listOffsets(t.c, at, false) {
		if res.err == nil {
			ends[tp] = res.offset
		}
	}
	f.topics = topicRates(ends, t.ends, f.at.Sub(t.at))
	if f.groups, err = t.groupLags(ends); err != nil {
		return nil, err
	}
	if f.withRequests {
		f.requests, f.silent = t.requestRates(f.at)
	}
	t.ends, t.at = ends, f.at
	return f, nil
}

// topicRates sums partitions up; what was not there at the last look has no rate yet. The busiest come first.
func topicRates(ends, before map[topicPartition]int64, since time.Duration) []topicRate {
	rates := map[string]*topicRate{}
	for tp, end := range ends {
		r := rates[tp.topic]
		if r == nil {
			r = &topicRate{name: tp.topic}
			rates[tp.topic] = r
		}
		r.partitions++
		r.records += end
		if old, ok := before[tp]; ok && since > 0 {
			r.perSecond += float64(end-old) / since.Seconds()
		}
	}
	var list []topicRate
	for _, name := range sortedKeys(rates) {
		list = append(list, *rates[name])
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].perSecond > list[j].perSecond })
	return list
}

// groupLags are the lags of the groups that commit offsets, the longest first.
func (t *topView) groupLags(ends map[topicPartition]int64) ([]groupLag, error) {
	all, err := t.listGroups(t.c, nil, nil)
	if err != nil {
		return nil, err
	}
	var ids []string
	states := map[string]string{}
	for _, g := range all {
		if isConsumerGroup(g) {
			ids = append(ids, g.Group)
			states[g.Group] = g.GroupState
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	offsets, err := t.committedOffsets(ids)
	if err != nil {
		return nil, err
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
	return list, nil
}

// The screen is cleared and bold switched on and off only on a terminal.
const (
	clearScreen = "\x1b[H\x1b[2J"
	bold        = "\x1b[1m"
	plain       = "\x1b[0m"
)

// showFrame draws what a look has seen, so many rows of each table.
func (r *run) showFrame(f *topFrame, rows int) {
	if r.StdoutIsTerminal {
		r.out.WriteString(clearScreen)
	}
	r.heading("%s  brokers %d  topics %d  partitions %d  under-replicated %d  offline %d  metadata request %.1f ms",
		f.at.Format("15:04:05"), f.brokers, f.topicCount, f.partitions, f.underReplicated, f.offline, float64(f.latency.Microseconds())/1000)
	r.println("")
	r.heading("%-40s %10s %14s %16s", "TOPIC", "PARTITIONS", "RECORDS/S IN", "END OFFSETS")
	for _, t := range f.topics[:min(rows, len(f.topics))] {
		r.printf("%-40s %10d %14.1f %16d\n", t.name, t.partitions, t.perSecond, t.records)
	}
	r.println("")
	r.heading("%-40s %-20s %16s", "GROUP", "STATE", "LAG")
	for _, g := range f.groups[:min(rows, len(f.groups))] {
		r.printf("%-40s %-20s %16d\n", g.id, g.state, g.lag)
	}
	if !f.withRequests {
		return
	}
	r.println("")
	for _, s := range f.silent {
		r.println(s)
	}
	r.heading("%-40s %14s %12s %12s", "REQUEST", "PER SECOND", "MEDIAN MS", "99% MS")
	for _, q := range f.requests[:min(rows, len(f.requests))] {
		r.printf("%-40s %14.1f %12.2f %12.2f\n", q.name, q.perSecond, q.median, q.p99)
	}
}

func (r *run) heading(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if r.StdoutIsTerminal {
		text = bold + text + plain
	}
	r.println(text)
}
