//go:build realkafka

package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

func (r *kafkaSaid) put(section string, l askedLine, broker string, res result) {
	s := r.section(section)
	if s.lines[l] == nil {
		s.lines[l] = map[string]result{}
	}
	s.lines[l][broker] = res
}

// The record's form: "== section", "$ nth command", then for each broker, or
// for both if they agree, "[on kafka: exit 1]" and the two streams, a line of the
// first behind "| " and of the second behind "! ".
func (r *kafkaSaid) write(t *testing.T) {
	var b strings.Builder
	b.WriteString("# What the tools of Apache Kafka 4.3.1 say to testdata/lines.txt, as comparable (normal_test.go) leaves it.\n# make cli-diff RECORD=1 writes it.\n")
	for _, s := range readSections(t) {
		have := r.sections[s.name]
		if have == nil {
			continue
		}
		fmt.Fprintf(&b, "== %s\n", s.name)
		asked := s.askedLines()
		for i := range s.lines {
			if on := have.lines[asked[i]]; on != nil {
				fmt.Fprintf(&b, "$ %d %s\n", asked[i].nth, asked[i].command)
				writeLine(&b, on)
			}
		}
	}
	if err := os.WriteFile(recordFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeLine(b *strings.Builder, on map[string]result) {
	names := make([]string, 0, len(on))
	for n := range on {
		names = append(names, n)
	}
	sort.Strings(names)
	if len(names) == 2 && on[names[0]] == on[names[1]] {
		names = names[:1]
		writeResult(b, "both", on[names[0]])
		return
	}
	for _, n := range names {
		writeResult(b, n, on[n])
	}
}

func writeResult(b *strings.Builder, broker string, res result) {
	fmt.Fprintf(b, "[on %s: exit %d]\n", broker, res.code)
	for _, s := range []struct{ mark, text string }{{"| ", res.stdout}, {"! ", res.stderr}} {
		if s.text == "" {
			continue
		}
		for _, l := range strings.Split(s.text, "\n") {
			b.WriteString(strings.TrimRight(s.mark+l, " ") + "\n")
		}
	}
}
