package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// The screen is cleared and bold switched on and off only on a terminal.
const (
	clearScreen = "\x1b[H\x1b[2J"
	bold        = "\x1b[1m"
	plain       = "\x1b[0m"
)

// screenLine is a line of a frame.
type screenLine struct {
	text    string
	heading bool
}

// showFrame draws what a look has seen: so many rows of each table, or as many as the terminal has room for. Its size is
// asked for each time, since a window is made larger or smaller meanwhile.
func (r *run) showFrame(f *topFrame, rows int) {
	if !r.StdoutIsTerminal {
		r.drawLines(f.lines(rows), 0)
		return
	}
	columns, height := 0, 0
	if r.TerminalSize != nil {
		columns, height = r.TerminalSize()
	}
	lines := f.lines(rows)
	if height > 1 {
		for ; rows > 1 && len(lines) > height-1; rows-- {
			lines = f.lines(rows - 1)
		}
		lines = lines[:min(len(lines), height-1)]
	}
	r.out.WriteString(clearScreen)
	r.drawLines(lines, columns)
}

// drawLines cuts lines to so many columns; 0 is no limit.
func (r *run) drawLines(lines []screenLine, columns int) {
	for _, l := range lines {
		text := []rune(l.text)
		if columns > 0 && len(text) > columns {
			text = text[:columns]
		}
		if l.heading && r.StdoutIsTerminal {
			r.println(bold + string(text) + plain)
			continue
		}
		r.println(string(text))
	}
}

// lines are what a frame says, with so many rows of each table.
func (f *topFrame) lines(rows int) []screenLine {
	if f.away != "" {
		return []screenLine{
			{f.at.Format("15:04:05") + "  the cluster cannot be seen; trying again", true},
			{strings.TrimSpace(f.away), false},
		}
	}
	out := []screenLine{{fmt.Sprintf("%s  brokers %d  topics %d  partitions %d  under-replicated %d  offline %d  metadata request %.1f ms",
		f.at.Format("15:04:05"), f.brokers, f.topicCount, f.partitions, f.underReplicated, f.offline, float64(f.latency.Microseconds())/1000), true}}
	for _, s := range f.silent {
		out = append(out, screenLine{"not seen: " + s, false})
	}
	out = append(out, f.troubleLines(rows)...)
	out = append(out, f.topicLines(rows)...)
	out = append(out, f.groupLines(rows)...)
	return append(out, f.requestLines(rows)...)
}

func (f *topFrame) troubleLines(rows int) []screenLine {
	if len(f.trouble) == 0 {
		return nil
	}
	out := tableHead("%-40s %10s  %-18s %-18s", "PARTITION IN TROUBLE", "LEADER", "REPLICAS", "IN SYNC")
	for _, p := range f.trouble[:min(rows, len(f.trouble))] {
		leader := "none"
		if p.leader >= 0 {
			leader = strconv.Itoa(int(p.leader))
		}
		out = append(out, screenLine{fmt.Sprintf("%-40s %10s  %-18s %s", fmt.Sprintf("%s-%d", p.at.topic, p.at.partition), leader, joinInts(p.replicas, ","), joinInts(p.inSync, ",")), false})
	}
	return out
}

func (f *topFrame) topicLines(rows int) []screenLine {
	out := tableHead("%-40s %10s %14s %16s", "TOPIC", "PARTITIONS", "RECORDS/S IN", "END OFFSETS")
	for _, t := range f.topics[:min(rows, len(f.topics))] {
		rate := "-"
		if t.measured {
			rate = strconv.FormatFloat(t.perSecond, 'f', 1, 64)
		}
		out = append(out, screenLine{fmt.Sprintf("%-40s %10d %14s %16d", t.name, t.partitions, rate, t.records), false})
	}
	return out
}

func (f *topFrame) groupLines(rows int) []screenLine {
	out := tableHead("%-40s %-20s %16s", "GROUP", "STATE", "LAG")
	for _, g := range f.groups[:min(rows, len(f.groups))] {
		lag := "-"
		if g.known {
			lag = strconv.FormatInt(g.lag, 10)
		}
		out = append(out, screenLine{fmt.Sprintf("%-40s %-20s %16s", g.id, g.state, lag), false})
	}
	return out
}

func (f *topFrame) requestLines(rows int) []screenLine {
	if !f.withRequests {
		return []screenLine{{},
			{"How long requests take the protocol does not tell.", false},
			{"--metrics-url http://host:9644 does: Moldau's, or an exporter's of Apache Kafka.", false}}
	}
	out := tableHead("%-40s %14s %12s %12s", "REQUEST", "PER SECOND", "MEDIAN MS", "99% MS")
	for _, q := range f.requests[:min(rows, len(f.requests))] {
		out = append(out, screenLine{fmt.Sprintf("%-40s %14.1f %12.2f %12.2f", q.name, q.perSecond, q.median, q.p99), false})
	}
	return out
}

func tableHead(format string, columns ...any) []screenLine {
	return []screenLine{{}, {strings.TrimRight(fmt.Sprintf(format, columns...), " "), true}}
}
