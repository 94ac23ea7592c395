package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// line is one line of testdata/lines.txt.
type line struct {
	number  int
	command string
	stdin   string
	how     map[string]bool
	kind    lineKind
}

type lineKind int

const (
	compared   lineKind = iota
	setUp               // a line of shell that is run and not compared
	background          // one that goes on while the next lines run
	endOfIt             // where the background ends
)

// section is a part of the file that begins on a clean cluster.
type section struct {
	name  string
	lines []line
}

// nodes is how many nodes a section wants.
func (s section) nodes() int {
	if strings.HasSuffix(s.name, "(three nodes)") {
		return 3
	}
	return 1
}

// logins reports whether a section logs in as users: what Moldau does not serve yet.
func (s section) logins() bool { return strings.HasSuffix(s.name, "(with logins)") }

// wanted tells whether a section is among those in whose names stands what MOLDAU_CLI_SECTION has, one or several separated by
// semicolons; empty is all.
func (s section) wanted() bool {
	return slices.ContainsFunc(strings.Split(os.Getenv("MOLDAU_CLI_SECTION"), ";"), func(part string) bool { return strings.Contains(s.name, part) })
}

func readSections(t *testing.T) []section {
	t.Helper()
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
			s, parsed := &out[len(out)-1], parseLine(i+1, l)
			if parsed.command == "" && parsed.kind != endOfIt {
				t.Fatalf("testdata/lines.txt:%d: there is no command in %q", i+1, l)
			}
			s.lines = append(s.lines, parsed)
		}
	}
	return out
}

func parseLine(number int, l string) line {
	out := line{number: number, how: map[string]bool{}}
	switch {
	case l == "!.":
		out.kind = endOfIt
		return out
	case strings.HasPrefix(l, "!&"):
		out.kind, l = background, l[2:]
	case strings.HasPrefix(l, "!"):
		out.kind, l = setUp, l[1:]
	}
	l, how, _ := strings.Cut(l, " ## ")
	for _, h := range strings.Fields(how) {
		out.how[h] = true
	}
	l, out.stdin, _ = strings.Cut(l, " <<< ")
	out.command = l
	out.stdin = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t", `\r`, "\r").Replace(out.stdin)
	return out
}

// words splits a command as a shell would: by blanks, quotes of either kind keep them.
func (w *world) words(command string) []string {
	command = w.fill(command)
	var out []string
	word, open, quote := "", false, rune(0)
	for _, r := range command {
		switch {
		case quote == 0 && (r == '"' || r == '\''):
			quote, open = r, true
		case quote != 0 && r == quote:
			quote = 0
		case r == ' ' && quote == 0:
			if open {
				out = append(out, word)
			}
			word, open = "", false
		default:
			word, open = word+string(r), true
		}
	}
	if open {
		out = append(out, word)
	}
	return out
}
