package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/tests/clients"
	"github.com/moldau-stream/moldau/tests/report"
)

// ownColumn is what a program exercises that no other column names: its own tests, or what it is made for.
const ownColumn = "own"

// Columns of the matrix.
func columns() []string { return append(slices.Clone(clients.Columns), ownColumn) }

// State of a cell.
type State string

const (
	good   State = "ok"
	bad    State = "FAIL"
	notRun State = "not run"
)

// Result is a cell on a cluster of one size.
type Result struct {
	State State  `json:"state"`
	Why   string `json:"why,omitempty"`
}

// Row is a client on every size of cluster. A column that is not among Cells is one that the client cannot do.
type Row struct {
	Key     string                       `json:"key"`
	Title   string                       `json:"title"`
	Ran     string                       `json:"ran"`     // the day
	Server  string                       `json:"server"`  // with its version
	Seconds map[string]int               `json:"seconds"` // by size
	Cells   map[string]map[string]Result `json:"cells"`   // by column and size
	NotRun  string                       `json:"notRun,omitempty"`
}

// Matrix is what is known of one target.
type Matrix struct {
	Rows []*Row `json:"rows"`
}

// load reads the results of earlier runs; there may be none.
func load(path string) (*Matrix, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Matrix{}, nil
	}
	if err != nil {
		return nil, err
	}
	m := &Matrix{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return m, nil
}

func (m *Matrix) save(path string) error {
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// row finds a row, or nil.
func (m *Matrix) row(key string) *Row {
	for _, r := range m.Rows {
		if r.Key == key {
			return r
		}
	}
	return nil
}

// take puts a row of this run in the place of an earlier run's, and keeps the order of names. A row that the end of the run has
// cut short is not taken in the place of a whole one.
func (m *Matrix) take(row *Row, names []string) bool {
	m.Rows = slices.DeleteFunc(m.Rows, func(r *Row) bool { return !slices.Contains(names, r.Key) })
	if old := m.row(row.Key); old != nil && row.NotRun == "" && len(old.Seconds) > len(row.Seconds) {
		return false
	}
	m.Rows = slices.DeleteFunc(m.Rows, func(r *Row) bool { return r.Key == row.Key })
	m.Rows = append(m.Rows, row)
	slices.SortStableFunc(m.Rows, func(a, b *Row) int { return slices.Index(names, a.Key) - slices.Index(names, b.Key) })
	return true
}

// add takes a line of a report into the row.
func (r *Row) add(size string, l report.Line, day time.Time) {
	r.Title, r.Ran = l.Name, day.Format(time.DateOnly)
	var took time.Duration
	for column, c := range l.Cells {
		took += c.Took
		if c.Status == report.Skipped || c.Err != nil && installFailed(c.Err) {
			r.NotRun = sentence(c.Err)
			continue
		}
		res := Result{State: good}
		if c.Status == report.Fail {
			res = Result{State: bad, Why: sentence(c.Err)}
		}
		if r.Cells[column] == nil {
			r.Cells[column] = map[string]Result{}
		}
		r.Cells[column][size] = res
	}
	r.Seconds[size] = int(took.Round(time.Second) / time.Second)
}

// installFailed tells a client that could not be had from one that does not work.
func installFailed(err error) bool { return strings.Contains(err.Error(), "cannot install ") }

// outcome is a cell over all sizes: the worst of them.
func (r *Row) outcome(column string) (Result, bool) {
	if r == nil {
		return Result{}, false
	}
	if r.NotRun != "" {
		return Result{State: notRun, Why: r.NotRun}, true
	}
	cells, ok := r.Cells[column]
	if !ok {
		return Result{}, false
	}
	var why []string
	for _, size := range sizes {
		if c, ok := cells[size.key]; ok && c.State == bad {
			why = append(why, size.name+": "+c.Why)
		}
	}
	if len(why) > 0 {
		return Result{State: bad, Why: strings.Join(why, "; ")}, true
	}
	for _, size := range sizes {
		if _, ran := r.Seconds[size.key]; !ran {
			return Result{State: good, Why: "not run yet on " + size.name}, true
		}
	}
	return Result{State: good}, true
}

// sentenceBytes is as much of an error as a note in a table bears.
const sentenceBytes = 240

var (
	paths  = regexp.MustCompile(`(/[\w.+-]+){2,}/?`)
	spaces = regexp.MustCompile(`\s+`)
)

// sentence is an error on one line, without colours and the paths of this machine.
func sentence(err error) string {
	s := paths.ReplaceAllString(colours.ReplaceAllString(err.Error(), ""), "(path)")
	s = strings.TrimSpace(spaces.ReplaceAllString(s, " "))
	if len(s) > sentenceBytes {
		s = s[:sentenceBytes] + "..."
	}
	return strings.ReplaceAll(s, "|", "/")
}
