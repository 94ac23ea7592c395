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

func (r *kafkaSaid) put(section, command, broker string, place int, res result) {
	s := r.section(section)
	l := s.lines[place]
	if l == nil || l.command != command {
		l = &recordedLine{command, map[string]result{}}
		s.lines[place] = l
	}
	l.on[broker] = res
}

// The record's form: "== section", "$ place command", then for each broker, or
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
		for i, l := range s.lines {
			if rl := have.lines[i]; rl != nil && l.kind == compared && rl.command == l.command {
				fmt.Fprintf(&b, "$ %d %s\n", i, l.command)
				rl.write(&b)
			}
		}
	}
	if err := os.WriteFile(recordFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (l *recordedLine) write(b *strings.Builder) {
	names := make([]string, 0, len(l.on))
	for n := range l.on {
		names = append(names, n)
	}
	sort.Strings(names)
	if len(names) == 2 && l.on[names[0]] == l.on[names[1]] {
		names = names[:1]
		writeResult(b, "both", l.on[names[0]])
		return
	}
	for _, n := range names {
		writeResult(b, n, l.on[n])
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
