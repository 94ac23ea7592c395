package main

import (
	"fmt"
	"os"
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
	lines map[askedLine]map[string]result // by "kafka" and "moldau"
}

// askedLine is the nth line of a section, from 0, that has this command.
type askedLine struct {
	nth     int
	command string
}

const recordFile = "testdata/kafka-4.3.1.txt"

func (r *kafkaSaid) section(name string) *recordedSection {
	s := r.sections[name]
	if s == nil {
		s = &recordedSection{map[askedLine]map[string]result{}}
		r.sections[name] = s
		r.order = append(r.order, name)
	}
	return s
}

// askedLines number the lines of a section that are compared.
func (s section) askedLines() map[int]askedLine {
	out, seen := map[int]askedLine{}, map[string]int{}
	for i, l := range s.lines {
		if l.kind == compared {
			out[i] = askedLine{seen[l.command], l.command}
			seen[l.command]++
		}
	}
	return out
}

func (r *kafkaSaid) get(section string, l askedLine, broker string) (res result, ok bool) {
	if s := r.sections[section]; s != nil {
		res, ok = s.lines[l][broker]
	}
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
	var l map[string]result
	broker := ""
	add := func(stdout, stderr string, code int) {
		for _, n := range []string{"kafka", "moldau"} {
			if broker == n || broker == "both" {
				res := l[n]
				res.stdout, res.stderr, res.code = res.stdout+stdout, res.stderr+stderr, res.code+code
				l[n] = res
			}
		}
	}
	for i, text := range strings.Split(string(b), "\n") {
		switch {
		case strings.HasPrefix(text, "== "):
			s = r.section(text[3:])
		case strings.HasPrefix(text, "$ "):
			nth, command, _ := strings.Cut(text[2:], " ")
			n, err := strconv.Atoi(nth)
			if err != nil {
				t.Fatalf("%s:%d: %v", recordFile, i+1, err)
			}
			l = map[string]result{}
			s.lines[askedLine{n, command}] = l
		case strings.HasPrefix(text, "[on "):
			var code int
			broker, _, _ = strings.Cut(text[4:], ":")
			if _, err := fmt.Sscanf(text[strings.Index(text, ":"):], ": exit %d]", &code); err != nil {
				t.Fatalf("%s:%d: %v", recordFile, i+1, err)
			}
			add("", "", code)
			for _, n := range []string{"kafka", "moldau"} {
				if _, ok := l[n]; !ok && (broker == n || broker == "both") {
					l[n] = result{}
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
			for n, res := range l {
				l[n] = result{strings.TrimSuffix(res.stdout, "\n"), strings.TrimSuffix(res.stderr, "\n"), res.code}
			}
		}
	}
	return r
}
