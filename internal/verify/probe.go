package verify

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Options of a run.
type Options struct {
	// Properties are the client's: bootstrap.servers, and how to log in.
	Properties client.Properties
	// Only and Skip choose rules by name; nil is no choice.
	Only, Skip *regexp.Regexp
	// AllVersions examines every version and not only the lowest and the highest.
	AllVersions bool
	// Timeout bounds the examination; what has not been examined then is reported as such. Zero is DefaultTimeout.
	Timeout time.Duration
	// History is how long the history is written. Zero is DefaultHistory.
	History time.Duration
	// Patience is how long what must come about by itself may take: elections, coordinators, what brokers tell each other. Zero
	// is DefaultPatience.
	Patience time.Duration
	// Hint gets sentences that help a human; it may be nil.
	Hint func(string)
}

const (
	// DefaultTimeout is enough for a broker on a slow machine, and short enough to wait for.
	DefaultTimeout = 30 * time.Second
	// DefaultHistory is long enough for some hundred transactions and several rebalances.
	DefaultHistory = 5 * time.Second
	// DefaultPatience is many times what a healthy cluster needs.
	DefaultPatience = 10 * time.Second
	// examiners is how many rules are examined at once: most of them wait for the broker most of the time.
	examiners = 8
)

// Prefix begins every name that the probe makes; some random digits follow.
const Prefix = "moldau-verify-"

// probe is one run.
type probe struct {
	cluster *cluster
	options Options
	prefix  string
	main    *topic // 2 partitions, 5 records in the first
	compact *topic // cleanup.policy=compact

	mu  sync.Mutex
	rep *Report // mu
}

// Run examines a cluster. The error says that it could not be examined at all; what it did wrong is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.History <= 0 {
		o.History = DefaultHistory
	}
	if o.Patience <= 0 {
		o.Patience = DefaultPatience
	}
	s, err := client.ReadSettings(client.Admin, o.Properties)
	if err != nil {
		return nil, err
	}
	if o.Hint != nil {
		for _, r := range s.Remarks {
			o.Hint(r)
		}
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	c, err := meet(limited, s)
	if err != nil {
		return nil, err
	}
	var digits [4]byte
	rand.Read(digits[:])
	p := &probe{cluster: c, options: o, prefix: Prefix + hex.EncodeToString(digits[:]) + "-", rep: newReport(c)}
	p.rep.Prefix = p.prefix
	p.examineAll(limited)
	p.clean(context.WithoutCancel(ctx))
	p.rep.finish(time.Since(began))
	return p.rep, ctx.Err()
}

// task is a rule at a version.
type task struct {
	rule    *rule
	version int16
}

// wanted says whether a rule was chosen.
func (p *probe) wanted(name string) bool {
	return (p.options.Only == nil || p.options.Only.MatchString(name)) && (p.options.Skip == nil || !p.options.Skip.MatchString(name))
}

func (p *probe) tasks() []task {
	var out []task
	for _, r := range append(rules(), p.readableRules()...) {
		if !p.wanted(r.name) {
			continue
		}
		p.rep.rule(r.name)
		switch vs := r.versions(p.cluster.table, p.options.AllVersions); {
		case len(p.cluster.nodes()) < r.nodes:
			p.rep.notApplicable(r.name, fmt.Sprintf("needs %d brokers", r.nodes))
		case len(vs) == 0:
			p.rep.notApplicable(r.name, "what it speaks of is not advertised")
		default:
			for _, v := range vs {
				out = append(out, task{&r, v})
			}
		}
	}
	return out
}

func (p *probe) examineAll(ctx context.Context) {
	tasks := p.tasks()
	if err := p.setUp(ctx); err != nil {
		p.rep.Failures = append(p.rep.Failures, *err)
		for _, t := range tasks {
			p.rep.unfinished(t.rule.name, "the topics that it needs could not be made")
		}
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	if slices.ContainsFunc(historyRules(), func(h historyRule) bool { return p.wanted(h.name) }) {
		wg.Go(func() { p.history(ctx) })
	}
	todo := make(chan task)
	for range examiners {
		wg.Go(func() {
			for t := range todo {
				p.take(p.examine(ctx, t.rule, t.version))
			}
		})
	}
	for _, t := range tasks {
		select {
		case todo <- t:
		case <-ctx.Done():
			p.mu.Lock()
			p.rep.unfinished(t.rule.name, "the time was up before it")
			p.mu.Unlock()
		}
	}
	close(todo)
}

// examine examines one rule at one version. It does not panic.
func (p *probe) examine(ctx context.Context, r *rule, version int16) (x *exam) {
	x = &exam{probe: p, ctx: ctx, rule: r, version: version, conns: map[int32]*conn{}, spoken: map[spokenAt]bool{}}
	defer func() {
		for _, fn := range slices.Backward(x.ends) {
			fn()
		}
		for _, c := range x.conns {
			c.Close()
		}
	}()
	defer func() {
		switch e := recover().(type) {
		case nil:
		case stop:
			x.ended = true
		case notApplicable:
			x.why = e.why
		default:
			panic(e)
		}
	}()
	r.run(x)
	return x
}

// take puts what an exam has found into the report.
func (p *probe) take(x *exam) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range x.spoken {
		p.rep.spoke(s)
	}
	if x.ctx.Err() != nil && len(x.failed) > 0 {
		// The last check failed since the time was up, or may have, which says nothing about the cluster.
		x.failed = x.failed[:len(x.failed)-1]
		x.checks--
		p.rep.unfinished(x.rule.name, "the time was up during it")
	}
	if x.why != "" {
		p.rep.notApplicable(x.rule.name, x.why)
	}
	p.rep.examined(x)
}

// setUp makes the two topics that most rules look at.
func (p *probe) setUp(ctx context.Context) *Failure {
	r := &rule{name: "set-up", key: kmsg.CreateTopics, says: "A client can create a topic and write to it.", cites: "Kafka protocol guide", run: func(x *exam) {
		p.main = x.newTopic("main", 2, "retention.ms=-1")
		p.compact = x.newTopic("compact", 1, "cleanup.policy=compact")
		for i := range mainRecords {
			// Times of 1970, so that they are known.
			x.produced(p.main, newBatch(1).at(mainTime+int64(i)))
		}
	}}
	x := p.examine(ctx, r, p.cluster.highest(int16(kmsg.CreateTopics)))
	p.take(x)
	if len(x.failed) > 0 {
		f := x.failed[0]
		p.rep.Failures = nil
		return &f
	}
	return nil
}

// The records of the main topic.
const (
	mainRecords = 5
	mainTime    = 1000 // the timestamp of the first; each later one is 1 ms younger
)

// readableRules are made for what is advertised and for which there is no rule at its lowest or highest version, such as
// the APIs of a newer Kafka: an empty request must be answered readably.
func (p *probe) readableRules() []rule {
	covered := map[spokenAt]bool{}
	for _, r := range rules() {
		for _, v := range r.versions(p.cluster.table, p.options.AllVersions) {
			covered[spokenAt{int16(r.key), v}] = true
		}
	}
	var out []rule
	for key := range p.cluster.table {
		k := kmsg.Key(key)
		if k.Request() == nil {
			p.rep.unknown(key)
			continue
		}
		if changesThings(k) {
			continue
		}
		r := readable(k)
		for _, v := range r.versions(p.cluster.table, p.options.AllVersions) {
			if !covered[spokenAt{key, v}] {
				r.min, r.max = v, v
				if v == 0 {
					r.max = versionZero
				}
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, func(a, b rule) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.min, b.min)) })
	return out
}

// changesThings says of which APIs an empty request may change the cluster.
func changesThings(k kmsg.Key) bool { return k == kmsg.AllocateProducerIDs }

func readable(k kmsg.Key) rule {
	return rule{name: "readable/" + k.Name(), key: k, says: "A request for an advertised API at an advertised version gets an answer that follows the schema.",
		cites: "Kafka protocol guide, ApiVersions", run: func(x *exam) {
			_, err := x.try(x.any(), k.Request())
			x.that(err == nil, "a readable answer", "%v", err)
		}}
}
