package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// kafkaSaid is what Kafka's tools said to the lines of testdata/lines.txt, on
// Apache Kafka and on Moldau, in testdata/kafka-4.3.1.txt. TestCLIDiff writes it;
// TestGolden reads it, so that the tools are compared without Java too.
type kafkaSaid struct {
	sections map[string]*recordedSection
	order    []string
}

type recordedSection struct {
	lines map[int]*recordedLine // by their place in the section
}

type recordedLine struct {
	command string
	on      map[string]result // "kafka", "moldau"
}

const recordFile = "testdata/kafka-4.3.1.txt"

func (r *kafkaSaid) section(name string) *recordedSection {
	s := r.sections[name]
	if s == nil {
		s = &recordedSection{map[int]*recordedLine{}}
		r.sections[name] = s
		r.order = append(r.order, name)
	}
	return s
}

// get finds what was recorded for the nth line of a section (from 0) that has this command.
func (r *kafkaSaid) get(section, command, broker string, nth int) (res result, ok bool) {
	s := r.sections[section]
	if s == nil {
		return result{}, false
	}
	places := make([]int, 0, len(s.lines))
	for p, l := range s.lines {
		if l.command == command {
			places = append(places, p)
		}
	}
	if nth >= len(places) {
		return result{}, false
	}
	sort.Ints(places)
	res, ok = s.lines[places[nth]].on[broker]
	return res, ok
}

func readRecord(t *testing.T) *kafkaSaid {
	t.Helper()
	r := &kafkaSaid{sections: map[string]*recordedSection{}}
	b, err := os.ReadFile(recordFile)
	if os.IsNotExist(err) {
		return r
	}
	if err != nil {
		t.Fatal(err)
	}
	var s *recordedSection
	var l *recordedLine
	broker := ""
	add := func(stdout, stderr string, code int) {
		for _, n := range []string{"kafka", "moldau"} {
			if broker == n || broker == "both" {
				res := l.on[n]
				res.stdout, res.stderr, res.code = res.stdout+stdout, res.stderr+stderr, res.code+code
				l.on[n] = res
			}
		}
	}
	for i, text := range strings.Split(string(b), "\n") {
		switch {
		case strings.HasPrefix(text, "== "):
			s = r.section(text[3:])
		case strings.HasPrefix(text, "$ "):
			place, command, _ := strings.Cut(text[2:], " ")
			n, err := strconv.Atoi(place)
			if err != nil {
				t.Fatalf("%s:%d: %v", recordFile, i+1, err)
			}
			l = &recordedLine{command, map[string]result{}}
			s.lines[n] = l
		case strings.HasPrefix(text, "[on "):
			var code int
			broker, _, _ = strings.Cut(text[4:], ":")
			if _, err := fmt.Sscanf(text[strings.Index(text, ":"):], ": exit %d]", &code); err != nil {
				t.Fatalf("%s:%d: %v", recordFile, i+1, err)
			}
			add("", "", code)
			for _, n := range []string{"kafka", "moldau"} {
				if _, ok := l.on[n]; !ok && (broker == n || broker == "both") {
					l.on[n] = result{}
				}
			}
		case strings.HasPrefix(text, "|"):
			add(strings.TrimPrefix(text[1:], " ")+"\n", "", 0)
		case strings.HasPrefix(text, "!"):
			add("", strings.TrimPrefix(text[1:], " ")+"\n", 0)
		}
	}
	for _, s := range r.sections {
		for _, l := range s.lines {
			for n, res := range l.on {
				l.on[n] = result{strings.TrimSuffix(res.stdout, "\n"), strings.TrimSuffix(res.stderr, "\n"), res.code}
			}
		}
	}
	return r
}
