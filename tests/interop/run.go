package interop

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/tests/clients"
	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/report"
	"github.com/moldau-stream/moldau/tests/tools"
)

// size is a cluster that the matrix runs on.
type size struct {
	nodes     int
	key, name string
}

var sizes = []size{{1, "1", "one node"}, {3, "3", "three nodes"}}

const (
	// rowTime bounds one client, programTime one program, each on one size of cluster: what hangs must not eat the rest's time.
	rowTime, programTime = 4 * time.Minute, 6 * time.Minute
	// programJobs is how many programs run at once: they are heavier than clients.
	programJobs = 2
)

// Options of a run.
type Options struct {
	Target    string // "moldau" or "kafka": whose results these are
	Server    string // what the document calls it, with its version
	RealKafka string // path of the realkafka script; empty: Apache's tools are not run
	Only      string // names of rows by comma, each a row's name or a part of several; empty: all
	Jobs      int
	Docs      string // directory of the document
	Dir       string // for what programs leave behind
	Source    string // directory of this module
	Cache     *tools.Cache
	Logf      func(format string, args ...any)
	Print     func(line string) // a line of the table
	// Cluster starts a fresh cluster of so many nodes, which the function stops.
	Cluster func(nodes int) (*node.Cluster, func(), error)
}

// stage is a cluster with what the programs need to know of it.
type stage struct {
	Options
	cluster   *node.Cluster
	bootstrap string
	replicas  int
	dir       string
}

// program is a row that no Client can be made of. It reports its cells itself.
type program struct {
	name string
	does string // what is checked, for the document
	// install puts the program on this machine and tells where; it has limits of its own.
	install func(c *tools.Cache) (string, error)
	run     func(ctx context.Context, s *stage, row *row, installed string) error
}

// row is a line of the table that a program fills.
type row struct {
	*report.Row
	last time.Time
}

// done notes a column, with the time since the one before.
func (r *row) done(column string, err error) {
	now := time.Now()
	r.Set(column, now.Sub(r.last), err)
	r.last = now
}

// step is what fills one column.
type step struct {
	column string
	do     func(context.Context) error
}

// steps does one after the other until one fails.
func (r *row) steps(ctx context.Context, all []step) error {
	for _, st := range all {
		err := st.do(ctx)
		r.done(st.column, err)
		if err != nil {
			return err
		}
	}
	return nil
}

// Names are the rows that there are.
func Names() []string {
	names := clients.Names()
	for _, p := range programs() {
		names = append(names, p.name)
	}
	return names
}

// wanted makes the expression of the rows that were asked for.
func wanted(only string) (*regexp.Regexp, error) {
	if only == "" {
		return nil, nil
	}
	var parts []string
	for _, p := range strings.Split(only, ",") {
		p = strings.TrimSpace(p)
		part := regexp.QuoteMeta(p)
		// A whole name is that row's alone, and not also of those whose names begin so.
		if slices.ContainsFunc(Names(), func(n string) bool { return strings.EqualFold(n, p) }) {
			part = "^" + part + "$"
		}
		parts = append(parts, part)
	}
	re := regexp.MustCompile("(?i)" + strings.Join(parts, "|"))
	for _, n := range Names() {
		if re.MatchString(n) {
			return re, nil
		}
	}
	return nil, fmt.Errorf("--only: no row's name has any of %q in it; there are %s", only, strings.Join(Names(), "; "))
}

// Run fills the matrix of the target and writes the document.
func Run(ctx context.Context, o Options, rep *report.Report) error {
	only, err := wanted(o.Only)
	if err != nil {
		return err
	}
	began := time.Now()
	fresh := map[string]*Row{}
	for _, size := range sizes {
		start := time.Now()
		lines, failed := runOn(ctx, o, size, only)
		for _, l := range lines {
			if fresh[l.Key] == nil {
				fresh[l.Key] = &Row{Key: l.Key, Server: o.Server, Seconds: map[string]int{}, Cells: map[string]map[string]Result{}}
			}
			fresh[l.Key].add(size.key, l, began)
		}
		o.Logf("%s: %s", size.name, time.Since(start).Round(time.Second))
		if failed != nil {
			err = fmt.Errorf("%s: %w", size.name, failed)
			break
		}
	}
	// What was done counts, also when the run was cut short.
	return errors.Join(err, publish(o, fresh, rep))
}

// whole leaves out the rows that the end of the run has cut short: something of them has failed.
func whole(lines []report.Line) (out []report.Line) {
	for _, l := range lines {
		cut := len(l.Cells) == 0
		for _, c := range l.Cells {
			cut = cut || c.Err != nil
		}
		if !cut {
			out = append(out, l)
		}
	}
	return out
}

// runOn runs the rows on one fresh cluster.
func runOn(ctx context.Context, o Options, size size, only *regexp.Regexp) ([]report.Line, error) {
	c, stop, err := o.Cluster(size.nodes)
	if err != nil {
		return nil, err
	}
	defer stop()
	s := &stage{Options: o, cluster: c, bootstrap: c.Bootstrap(), replicas: size.nodes, dir: filepath.Join(o.Dir, size.key)}
	table := &report.Report{}
	err = clients.Run(ctx, clients.Options{Bootstrap: s.bootstrap, RealKafka: o.RealKafka, Only: only, All: true, Jobs: o.Jobs, Replicas: s.replicas, RowTime: rowTime,
		Source: o.Source, Cache: o.Cache, Logf: o.Logf}, table)
	if err != nil && ctx.Err() != nil {
		return nil, endedEarly(ctx)
	}
	if err != nil {
		return nil, err
	}
	jobs := make(chan struct{}, programJobs)
	var wg sync.WaitGroup
	// The longest are the last of the table: they start first, so that they do not end alone.
	for _, p := range slices.Backward(programs()) {
		if only != nil && !only.MatchString(p.name) {
			continue
		}
		r := &row{Row: table.Row(p.name)}
		jobs <- struct{}{}
		wg.Go(func() {
			defer func() { <-jobs }()
			s.runProgram(ctx, p, r)
		})
	}
	wg.Wait()
	lines := table.Lines()
	for _, l := range lines {
		for _, column := range columns() {
			if c := l.Cells[column]; c.Err != nil {
				o.Logf("%s, %s, %s: %s", size.name, l.Name, column, c.Err)
			}
		}
	}
	if ctx.Err() != nil {
		return whole(lines), endedEarly(ctx)
	}
	return lines, nil
}

// endedEarly says so in place of what the end of the time has broken: a dial, for instance, that then looks like a dead server.
func endedEarly(ctx context.Context) error {
	return fmt.Errorf("the run has ended before all rows were done: %w", ctx.Err())
}

func (s *stage) runProgram(ctx context.Context, p program, r *row) {
	installed, err := p.install(s.Cache)
	start := time.Now()
	r.last = start
	if missing, ok := err.(errMissing); ok {
		r.Skip(missing.Error())
		return
	}
	ctx, cancel := context.WithTimeout(ctx, programTime)
	defer cancel()
	if err == nil {
		err = p.run(ctx, s, r, installed)
	}
	if err != nil {
		r.done(ownColumn, err)
	}
	s.Logf("%s: done after %s", p.name, time.Since(start).Round(100*time.Millisecond))
}

// errMissing says why a program cannot be run on this machine.
type errMissing struct{ why string }

func (e errMissing) Error() string { return e.why }

// publish keeps the results, writes the document and reports each row.
func publish(o Options, fresh map[string]*Row, rep *report.Report) error {
	path := func(target string) string { return filepath.Join(o.Docs, "compatibility", target+".json") }
	all := map[string]*Matrix{}
	for _, target := range []string{moldau, kafka} {
		m, err := load(path(target))
		if err != nil {
			return err
		}
		all[target] = m
	}
	m := all[o.Target]
	var names []string
	for _, name := range Names() {
		if r := fresh[name]; r != nil {
			names = append(names, name)
			err := verdict(o.Target, r)
			if !m.take(r, Names()) {
				err = errors.Join(err, errors.New("it did not run on all sizes of cluster; what is known of it stays"))
			}
			rep.Check("interop", r.Title, 0, err)
		}
	}
	if err := m.save(path(o.Target)); err != nil {
		return err
	}
	for _, line := range plain(o.Server, m, names) {
		o.Print(line)
	}
	return writeDoc(filepath.Join(o.Docs, "compatibility.md"), all[moldau], all[kafka])
}

// verdict is what a row's check says: what has failed without a note of ours that explains it, and what has no reason for not being done.
func verdict(target string, r *Row) error {
	if r.NotRun != "" {
		return fmt.Errorf("not run: %s", r.NotRun)
	}
	var wrong []string
	for _, c := range columns() {
		res, done := r.outcome(c)
		switch {
		case !done && whyNot(r.Key, c) == "":
			wrong = append(wrong, c+": was not done, and the runner knows no reason")
		case done && res.State == bad && known(target, r.Key, c) == "":
			wrong = append(wrong, c+": "+res.Why)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return nil
}
