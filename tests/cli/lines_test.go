//go:build realkafka

package cli

import (
	"os"
	"strings"
	"testing"
)

// line is one line of testdata/lines.txt.
type line struct {
	number  int
	command string
	stdin   string
	how     string
	setUp   bool
}

// section is a part of the file that begins on a clean cluster.
type section struct {
	name  string
	lines []line
}

func readSections(t *testing.T) []section {
	b, err := os.ReadFile("testdata/lines.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []section
	for i, l := range strings.Split(string(b), "\n") {
		switch {
		case strings.TrimSpace(l) == "", strings.HasPrefix(l, "#"):
		case strings.HasPrefix(l, "== "):
			out = append(out, section{name: l[3:]})
		default:
			s := &out[len(out)-1]
			s.lines = append(s.lines, parseLine(i+1, l))
		}
	}
	return out
}

func parseLine(number int, l string) line {
	out := line{number: number}
	l, out.setUp = strings.CutPrefix(l, "!")
	l, out.how, _ = strings.Cut(l, " ## ")
	l, out.stdin, _ = strings.Cut(l, " <<< ")
	out.command = l
	out.stdin = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(out.stdin)
	return out
}
