// Package report collects what the suites found and prints it: one short
// table for the clients, one line a check for the rest, details only for what
// failed, and a closing count.
//
// Every suite writes to one Report from any goroutine; the Report owns its
// results. If it is wrong, a failure may go unseen.
package report

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Status is the outcome of one check.
type Status int

const (
	// Absent means that the client cannot do this at all.
	Absent Status = iota
	// Pass and Fail are results; Skipped could have run elsewhere.
	Pass
	Fail
	Skipped
)

type cell struct {
	status Status
	took   time.Duration
	err    error
}

type row struct {
	key   string // the name that it was made with
	name  string
	cells map[string]cell
}

// Report is safe for concurrent use.
type Report struct {
	mu      sync.Mutex
	columns []string
	rows    []*row
	checks  []check
	notes   []string
}

type check struct {
	suite, name string
	cell
}

// Row adds a line to the table, in the order of the calls.
func (r *Report) Row(name string) *Row {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &row{key: name, name: name, cells: map[string]cell{}}
	r.rows = append(r.rows, w)
	return &Row{r: r, w: w}
}

// Line is one line of the table, for who shows it in another way.
type Line struct {
	Key, Name string // the name that it was made with, and the one that is shown
	Cells     map[string]Cell
}

// Cell is one result of a line.
type Cell struct {
	Status Status
	Took   time.Duration
	Err    error // of Fail, and why it was Skipped
}

// Lines are the lines of the table as they stand.
func (r *Report) Lines() []Line {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Line
	for _, w := range r.rows {
		l := Line{Key: w.key, Name: w.name, Cells: map[string]Cell{}}
		for column, c := range w.cells {
			l.Cells[column] = Cell{c.status, c.took, c.err}
		}
		out = append(out, l)
	}
	return out
}

// Columns sets the order of the table's columns.
func (r *Report) Columns(names ...string) { r.columns = names }

// Row is a handle on one line of the table.
type Row struct {
	r *Report
	w *row
}

// Rename sets the row's title once the client has told its version.
func (w *Row) Rename(name string) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	w.w.name = name
}

// Set records the result of one column.
func (w *Row) Set(column string, took time.Duration, err error) {
	st := Pass
	if err != nil {
		st = Fail
	}
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	w.w.cells[column] = cell{st, took, err}
}

// Skip says why a whole row did not run.
func (w *Row) Skip(why string) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	w.w.cells["create"] = cell{status: Skipped, err: errors.New(why)}
	w.r.notes = append(w.r.notes, w.w.name+" skipped: "+why)
}

// Check records one result outside the table.
func (r *Report) Check(suite, name string, took time.Duration, err error) {
	st := Pass
	if err != nil {
		st = Fail
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks = append(r.checks, check{suite, name, cell{st, took, err}})
}

// Note adds a line that is printed after the results.
func (r *Report) Note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// Print writes everything and returns how many checks failed.
func (r *Report) Print(w io.Writer) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.printTable(w)
	r.printChecks(w)
	for _, n := range r.notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	return r.printFailures(w)
}

var marks = map[Status]string{Absent: ".", Pass: "ok", Fail: "FAIL", Skipped: "skip"}

func (r *Report) printTable(w io.Writer) {
	if len(r.rows) == 0 {
		return
	}
	wide := 0
	for _, row := range r.rows {
		wide = max(wide, len(row.name))
	}
	fmt.Fprintf(w, "\n%-*s", wide, "client")
	for _, c := range r.columns {
		fmt.Fprintf(w, "  %s", c)
	}
	fmt.Fprintln(w)
	for _, row := range r.rows {
		line := fmt.Sprintf("%-*s", wide, row.name)
		for _, c := range r.columns {
			line += fmt.Sprintf("  %-*s", len(c), marks[row.cells[c].status])
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	fmt.Fprintln(w)
}

// printChecks shows one line for each suite, since most of them pass.
func (r *Report) printChecks(w io.Writer) {
	type sum struct{ pass, fail int }
	sums := map[string]*sum{}
	var order []string
	for _, c := range r.checks {
		s := sums[c.suite]
		if s == nil {
			s = &sum{}
			sums[c.suite] = s
			order = append(order, c.suite)
		}
		if c.status == Pass {
			s.pass++
		} else {
			s.fail++
		}
	}
	for _, name := range order {
		fmt.Fprintf(w, "%-16s %d ok, %d failed\n", name, sums[name].pass, sums[name].fail)
	}
}

func (r *Report) printFailures(w io.Writer) int {
	passed, failed, skipped := 0, 0, 0
	tally := func(where string, c cell) {
		switch c.status {
		case Pass:
			passed++
		case Skipped:
			skipped++
		case Fail:
			failed++
			fmt.Fprintf(w, "\nFAIL %s (%s)\n  %s\n", where, c.took.Round(time.Millisecond), strings.ReplaceAll(strings.TrimSpace(c.err.Error()), "\n", "\n  "))
		}
	}
	for _, row := range r.rows {
		for _, c := range r.columns {
			tally(row.name+": "+c, row.cells[c])
		}
	}
	for _, c := range r.checks {
		tally(c.suite+": "+c.name, c.cell)
	}
	if passed+failed == 0 {
		fmt.Fprintln(w, "\nFAIL no test ran: nothing was selected, or everything was skipped")
		failed++
	}
	if skipped > 0 {
		fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	} else {
		fmt.Fprintf(w, "\n%d passed, %d failed\n", passed, failed)
	}
	return failed
}

// Timings writes the slowest results, for whoever wants to make the run shorter.
func (r *Report) Timings(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range r.rows {
		var parts []string
		for _, c := range r.columns {
			if cell := row.cells[c]; cell.took > 0 {
				parts = append(parts, fmt.Sprintf("%s %s", c, cell.took.Round(100*time.Millisecond)))
			}
		}
		fmt.Fprintf(w, "%s: %s\n", row.name, strings.Join(parts, ", "))
	}
	for _, c := range r.checks {
		if c.took >= time.Second {
			fmt.Fprintf(w, "%s %s: %s\n", c.suite, c.name, c.took.Round(100*time.Millisecond))
		}
	}
}
