package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moldau-stream/moldau/bench/report"
)

// colors of the subjects in plots.
func color(name string) string {
	switch name {
	case "roofline":
		return "#b6bec7"
	case "kafka":
		return "#e0823d"
	}
	return "#2f81f7"
}

// rewrite makes benchmarks.md and its plots from the results.
func rewrite(o options) error {
	all, err := loadResults(o)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("there are no results in %s", o.resultsFile())
	}
	var b strings.Builder
	head(&b)
	summary(&b, all)
	for _, s := range allScenarios() {
		if r := find(all, s.name); r != nil {
			if err := section(&b, o, s, r); err != nil {
				return err
			}
		}
	}
	if err := os.WriteFile(filepath.Join(o.out, "benchmarks.md"), []byte(b.String()), 0o644); err != nil {
		return err
	}
	return rewriteReadme(o, all)
}

func find(all []*result, name string) *result {
	for _, r := range all {
		if r.Scenario == name {
			return r
		}
	}
	return nil
}

func head(b *strings.Builder) {
	b.WriteString(`# Benchmarks

<!-- Written by "make bench". Do not edit: every figure comes from benchmarks/results.json. -->

What a node costs, beside the least that the machine must do for the same bytes (the roofline: loops of a few
lines without a protocol) and beside Apache Kafka. The measure is the CPU time of the broker's process, for a GB
or for a request: on one machine it is what is left when the driver's share, which differs from client to client,
is taken away. MB/s and latency stand beside it; they depend on the driver and on what else the machine does.

` + "`make bench`" + ` repeats all of it, ` + "`make bench QUICK=1`" + ` the main rows in two minutes, and ` + "`make bench ONLY=name`" + ` one row.

How, where a row does not say otherwise: one node; the broker is pinned to one core and the driver to another. Requests are built beforehand and every
answer is checked. The subjects take turns in rounds; the figures are medians of the rounds, in brackets the least and
the most, and ratios are medians of the rounds' ratios. A JVM is driven for 45 s before it is measured. All brokers
run with their defaults: Apache Kafka acknowledges from the page cache, and so does Moldau with a configuration file
(moldau.flush.acks=false), except where a row says otherwise. "Other CPU" is what the rest of the machine used meanwhile: above
some 20 %, absolute figures are too high, for every subject alike.

The rows with three nodes run three processes of a subject on the same machine, and the three of the other subject rest meanwhile. Nothing
is pinned there, so the driver and the nodes share all CPUs: what counts is the CPU time of the three nodes together, and time until an
acknowledgement. Apache Kafka's nodes have a heap of 1 GB each. A node is killed or stopped as often as a row's command says, each time
on a cluster that is whole, and targets of such rows hold for the worst of all times.

`)
}

// summary is one line a scenario.
func summary(b *strings.Builder, all []*result) {
	b.WriteString("| | measure | roofline | Moldau | Apache Kafka | targets |\n|---|---|---|---|---|---|\n")
	for _, s := range allScenarios() {
		r := find(all, s.name)
		if r == nil {
			continue
		}
		cell := func(name string) string {
			v := r.subject(name).of(s.measure)
			if len(v) == 0 {
				return ""
			}
			return figure(median(v))
		}
		var t []string
		for _, v := range verdicts(s, r) {
			t = append(t, v.text)
		}
		fmt.Fprintf(b, "| [%s](#%s) | %s | %s | %s | %s | %s |\n", s.title, s.name, s.measure, cell("roofline"), cell("moldau"), cell("kafka"), strings.Join(t, "; "))
	}
	b.WriteString("\n")
}

func section(b *strings.Builder, o options, s *scenario, r *result) error {
	fmt.Fprintf(b, "## %s\n\n%s: %s.\n\n", s.name, s.title, s.how)
	var columns []string
	for _, c := range append(slices.Clone(s.columns), otherCPU) {
		if slices.ContainsFunc(r.Subjects, func(x subjectResult) bool { return len(x.of(c)) > 0 }) {
			columns = append(columns, c)
		}
	}
	fmt.Fprintf(b, "| | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	chart := report.Chart{Title: s.title, Unit: s.measure}
	for i := range r.Subjects {
		x := &r.Subjects[i]
		if x.Error != "" {
			fmt.Fprintf(b, "| %s | failed: %s |\n", x.Name, strings.ReplaceAll(x.Error, "\n", " "))
			continue
		}
		if len(x.Rounds) == 0 {
			continue
		}
		var cells []string
		for _, c := range columns {
			cells = append(cells, spread(x.of(c), c == s.measure))
		}
		fmt.Fprintf(b, "| %s | %s |\n", x.Name, strings.Join(cells, " | "))
		if v := x.of(s.measure); len(v) > 0 {
			chart.Bars = append(chart.Bars, report.Bar{Label: x.Name, Value: median(v), Low: slices.Min(v), High: slices.Max(v), Text: figure(median(v)), Color: color(x.Name)})
		}
	}
	b.WriteString("\n")
	for _, v := range verdicts(s, r) {
		fmt.Fprintf(b, "- %s\n", v.text)
	}
	notes(b, s, r)
	fmt.Fprintf(b, "\n![%s](benchmarks/%s.svg)\n\n", s.title, s.name)
	fmt.Fprintf(b, "%s, %d CPUs, %s, %s, %s, %s; %s; `%s`, %s, rounds of %s.\n\n", r.Machine.CPU, r.Machine.CPUs, r.Machine.Memory, r.Machine.Kernel, r.Machine.FileSystem, r.Machine.Go, versions(r), r.Command, r.When.Format("2006-01-02 15:04"), r.Length)
	return chart.Write(filepath.Join(o.out, "benchmarks", s.name))
}

func spread(v []float64, withRange bool) string {
	if len(v) == 0 {
		return ""
	}
	if !withRange || len(v) == 1 {
		return figure(median(v))
	}
	return fmt.Sprintf("%s (%s-%s)", figure(median(v)), figure(slices.Min(v)), figure(slices.Max(v)))
}

func versions(r *result) string {
	var out []string
	for _, name := range []string{"moldau", "kafka"} {
		if v := r.Versions[name]; v != "" {
			out = append(out, name+" "+v)
		}
	}
	return strings.Join(out, ", ")
}
