package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Between these lines of the README are the figures that stand against Apache Kafka's.
const (
	figuresBegin = "<!-- figures: written by \"make bench\" from docs/benchmarks/results.json; do not edit -->\n"
	figuresEnd   = "<!-- end of figures -->\n"
)

// rewriteReadme puts the figures into the README above o.out, if there is one that has a place for them.
func rewriteReadme(o options, all []*result) error {
	name := filepath.Join(o.out, "..", "README.md")
	page, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(page), figuresBegin)
	_, after, ended := strings.Cut(rest, figuresEnd)
	if !found || !ended {
		return nil
	}
	return os.WriteFile(name, []byte(before+figuresBegin+figures(all)+figuresEnd+after), 0o644)
}

// figures is a line for each scenario that both have run: the summary's figures, and how ours are to theirs round by round.
func figures(all []*result) string {
	var b strings.Builder
	b.WriteString("\n| | measure | Moldau | Apache Kafka | |\n|---|---|---|---|---|\n")
	for _, s := range allScenarios() {
		r := find(all, s.name)
		if r == nil {
			continue
		}
		mine, theirs := r.subject("moldau").of(s.measure), r.subject("kafka").of(s.measure)
		if len(mine) == 0 || len(theirs) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| [%s](docs/benchmarks.md#%s) | %s | %s | %s | %s |\n",
			s.title, s.name, s.measure, figure(median(mine)), figure(median(theirs)), beside(medianRatio(mine, theirs)))
	}
	b.WriteString("\n")
	return b.String()
}

// beside says in words what ours is to theirs.
func beside(ratio float64) string {
	if ratio > 1 {
		return figure(ratio) + "x more"
	}
	return figure(1/ratio) + "x less"
}
