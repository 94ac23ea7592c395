package cli

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// formatOption adds --format json to a tool that lists. Kafka's tools do not
// have it, so that it is not in the table of options.
func (s *optionSet) formatOption() {
	s.arg("format", "format", "table, as Kafka prints, or json.").withDefault("table").hidden = true
}

// wantsJSON reports whether --format json was given.
func (p *parsed) wantsJSON() (bool, error) {
	switch v := p.value("format"); v {
	case "json":
		return true, p.err
	case "table":
		return false, p.err
	default:
		return false, &optionError{"--format must be table or json, not " + v}
	}
}

// jsonRows prints a table as a JSON array of objects, one a line.
func (r *run) jsonRows(header []string, rows [][]string) error {
	keys := make([]string, len(header))
	for i, h := range header {
		keys[i] = jsonKey(h)
	}
	r.out.WriteString("[")
	for i, row := range rows {
		if i > 0 {
			r.out.WriteString(",")
		}
		r.out.WriteString("\n  {")
		for j, cell := range row {
			value, err := json.Marshal(jsonCell(cell))
			if err != nil {
				return fmt.Errorf("cannot write %q as JSON: %w", cell, err)
			}
			if j > 0 {
				r.out.WriteString(", ")
			}
			r.printf("%q: %s", keys[j], value)
		}
		r.out.WriteString("}")
	}
	if len(rows) > 0 {
		r.out.WriteString("\n")
	}
	r.println("]")
	return nil
}

// jsonKey turns a column's name into a key: LOG-END-OFFSET into logEndOffset,
// #PARTITIONS into partitions.
func jsonKey(column string) string {
	words := regexp.MustCompile(`[A-Za-z0-9]+`).FindAllString(column, -1)
	for i, w := range words {
		if w == strings.ToUpper(w) {
			w = strings.ToLower(w)
		}
		if i == 0 {
			words[i] = strings.ToLower(w[:1]) + w[1:]
		} else {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}

// jsonCell makes numbers of what is one, and null of Kafka's "-".
func jsonCell(cell string) any {
	if cell == missingColumn {
		return nil
	}
	if n, err := strconv.ParseInt(cell, 10, 64); err == nil && strconv.FormatInt(n, 10) == cell {
		return n
	}
	return cell
}

// orRows prints unless something is wrong already.
func orRows(err error, print func() error) error {
	if err != nil {
		return err
	}
	return print()
}
