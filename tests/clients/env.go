package clients

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/tests/corpus"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/moldau-stream/moldau/tests/tools"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Options of a run.
type Options struct {
	Bootstrap string
	RealKafka string         // path of the realkafka script; empty: Apache's tools are skipped
	Only      *regexp.Regexp // names of the clients to run; nil: all
	All       bool           // also the clients that are compiled here
	Jobs      int            // how many clients run at once
	Replicas  int            // of each topic
	RowTime   time.Duration  // how long one client may take, 0: as long as its steps
	Source    string         // directory of the tests' module, for clients with a module of their own
	Cache     *tools.Cache
	Logf      func(format string, args ...any)
}

// Env is what all scenarios of a run share. It is read-only once built.
type Env struct {
	Options
	bootstrap        string
	ref              *reference
	start            time.Time
	run              string // makes topic names differ from run to run on one cluster
	written          map[string][]corpus.Record
	compacted        []corpus.Record // what the cleaner has left of the compacted topic
	compactedErr     error           // or why it has not
	consumerProtocol bool            // the cluster serves KIP-848 groups
}

// entry is one row of the table.
type entry struct {
	name string
	make func(ctx context.Context, e *Env) (Client, error)
}

// textCorpus is the name of a written corpus that has only lines of text, for tools that print records.
const textCorpus = "text"

var textLimits = corpus.Limits{TextOnly: true}

// errSkip is returned by an entry whose client cannot be had on this machine.
type errSkip struct{ why string }

func (e errSkip) Error() string { return e.why }

// Names are the clients that there are, by the names that Only matches.
func Names() []string {
	var out []string
	for _, e := range append(entries(), builtEntries()...) {
		out = append(out, e.name)
	}
	return out
}

// Run drives every client against the cluster and fills the report's table.
func Run(ctx context.Context, o Options, rep *report.Report) error {
	rep.Columns(Columns...)
	ref, err := newReference(o.Bootstrap, int16(o.Replicas))
	if err != nil {
		return err
	}
	defer ref.close()
	e := &Env{Options: o, bootstrap: o.Bootstrap, ref: ref, start: time.Now(), written: map[string][]corpus.Record{}}
	e.run = fmt.Sprintf("t%d", e.start.UnixMilli()%1e9)
	if err := e.prepare(ctx); err != nil {
		return err
	}
	jobs := make(chan struct{}, max(1, o.Jobs))
	var wg sync.WaitGroup
	all := entries()
	if o.All || o.Only != nil {
		all = append(all, builtEntries()...)
	}
	for i, en := range all {
		if o.Only != nil && !o.Only.MatchString(en.name) {
			continue
		}
		row := rep.Row(en.name)
		wg.Add(1)
		jobs <- struct{}{}
		go func() {
			defer func() { <-jobs; wg.Done() }()
			e.runOne(ctx, i, en, row)
		}()
	}
	wg.Wait()
	return nil
}

// prepare writes what all clients will read, and looks what the cluster can do.
func (e *Env) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, e.ref.cl)
	if err != nil {
		return fmt.Errorf("cannot ask the cluster for its API versions: %w", err)
	}
	for _, k := range resp.ApiKeys {
		if k.ApiKey == int16(kmsg.ConsumerGroupHeartbeat) {
			e.consumerProtocol = true
		}
	}
	for i, name := range append([]string{textCorpus}, allCodecs...) {
		codec, lim := name, corpus.Limits{}
		if name == textCorpus {
			codec, lim = "lz4", textLimits
		}
		recs := corpus.Make(1000+uint64(i), e.start, lim)
		if err := e.ref.create(ctx, e.writtenTopic(name), corpus.Partitions); err != nil {
			return err
		}
		if err := e.ref.write(ctx, e.writtenTopic(name), codec, recs); err != nil {
			return fmt.Errorf("the reference cannot write with codec %s: %w", codec, err)
		}
		e.written[name] = recs
	}
	e.compactedErr = e.writeCompacted(ctx)
	return nil
}

func (e *Env) writtenTopic(codec string) string { return e.run + "-reference-" + codec }

func (e *Env) runOne(ctx context.Context, i int, en entry, row *report.Row) {
	start := time.Now()
	c, err := en.make(ctx, e)
	if skip, ok := err.(errSkip); ok {
		row.Skip(skip.why)
		return
	}
	if err != nil {
		row.Set("create", time.Since(start), err)
		return
	}
	defer c.Close()
	// What is installed or compiled the first time has limits of its own.
	if e.RowTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, e.RowTime)
		defer cancel()
	}
	row.Rename(c.Name())
	s := &scenario{env: e, c: c, row: row, prefix: fmt.Sprintf("%s-%02d-", e.run, i)}
	s.run(ctx)
	e.Logf("%s: done after %s", c.Name(), time.Since(start).Round(100*time.Millisecond))
}
