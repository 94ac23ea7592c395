package cli

import (
	"fmt"
	"strings"
)

// tabTable prints rows as Kafka's newer tools do: each column as wide as its
// widest cell, a tab behind every one, and a tab at the end of the line. With
// --format json the columns in text are never numbers.
func (r *run) tabTable(header []string, rows [][]string, text ...string) {
	if r.json {
		r.jsonTable(header, rows, text)
		return
	}
	widths := make([]int, len(header))
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range append([][]string{header}, rows...) {
		var b strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&b, "%-*s\t", widths[i], cell)
		}
		r.println(b.String())
	}
}
