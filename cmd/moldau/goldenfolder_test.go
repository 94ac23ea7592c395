package main

import (
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// TestGoldenFolder gives our tools, on Moldau, the command lines of a folder of outputs that were recorded elsewhere, and
// compares what they say. MOLDAU_CLI_GOLDEN names the folder: one file a tool, in sections "######## name (where)"; a command
// behind "$ ", its input behind "< ", its standard error behind "2> ", then "[exit N]".
func TestGoldenFolder(t *testing.T) {
	eachGoldenSection(t, func(t *testing.T, s *goldenSection) *world {
		switch s.where {
		case "no cluster":
			return offlineWorld(t)
		case "one node":
			return moldauWorld(t, 1)
		case "three nodes":
			return moldauWorld(t, 3)
		}
		t.Skip("wants logins, which Moldau does not serve yet")
		return nil
	})
}

// goldenSection is what was said to some command lines, one after the other.
type goldenSection struct {
	name, where string
	lines       []*goldenLine
}

type goldenLine struct {
	line
	want   result
	sigint bool
}

func eachGoldenSection(t *testing.T, worldFor func(*testing.T, *goldenSection) *world) {
	folder := os.Getenv("MOLDAU_CLI_GOLDEN")
	if folder == "" {
		t.Skip("MOLDAU_CLI_GOLDEN is not set")
	}
	files, err := filepath.Glob(filepath.Join(folder, "kafka-*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no recorded outputs in %s: %v", folder, err)
	}
	for _, file := range files {
		tool := strings.TrimSuffix(filepath.Base(file), ".txt")
		if which := os.Getenv("MOLDAU_CLI_SECTION"); !strings.Contains(tool, which) {
			continue
		}
		for _, s := range readGolden(t, file) {
			t.Run(tool+"/"+s.name, func(t *testing.T) {
				if s.name == "dumplog" {
					t.Skip("wants a data folder that is not here; the decoders have tests of their own")
				}
				s.compareIn(t, worldFor(t, s))
			})
		}
	}
}

func (s *goldenSection) compareIn(t *testing.T, w *world) {
	if w.nodes > 0 {
		w.internalTopics()
	}
	w.writeFiles()
	defer w.endBackground()
	compared, differ := 0, 0
	for _, l := range s.lines {
		switch {
		case l.kind == endOfIt:
			w.endBackground()
			continue
		case l.kind == background:
			w.background(strings.TrimSuffix(l.command, " &"))
			continue
		case l.kind == setUp:
			w.shell(l.command, l.stdin)
			continue
		}
		var got result
		if l.sigint {
			got = w.toolFor(w.words(l.command), l.stdin, sigintSeconds)
		} else {
			got = w.shell(l.command, l.stdin)
		}
		compared++
		got, want := w.goldenShape(got, l), w.goldenShape(l.want, l)
		if diff := difference(l.line, want, got); diff != "" {
			differ++
			t.Errorf("$ %s\n%s", l.command, diff)
		}
	}
	t.Logf("%d command lines, %d differ", compared, differ)
}

var (
	recordedPlace = regexp.MustCompile(`<(CONTROLLER)1>`)
	recordedLog   = regexp.MustCompile(`(?m)^log> .*$`)
	optionTable   = regexp.MustCompile(`(?s)(<here the option table of --help>|Option +\|? *Description).*`)
	internalTopic = regexp.MustCompile(`(?m)^.*\b__[a-z_]+.*\n?`)
	placeOfNode   = regexp.MustCompile(`\b(localhost|127\.0\.0\.1|<[A-Z]+[0-9]?>|HOST|PORT)\b|\b\d{4,5}\b|<[A-Z]+-?(PORT)?\d?>`)
)

// goldenShape leaves of an output what can be equal. --help is compared elsewhere, option by option.
func (w *world) goldenShape(r result, l *goldenLine) result {
	shape := func(text string) string {
		text = recordedPlace.ReplaceAllString(recordedLog.ReplaceAllString(text, ""), "<$1>")
		text = optionTable.ReplaceAllString(text, "")
		if l.how["topics"] {
			text = internalTopic.ReplaceAllString(text, "")
		}
		if l.how["hp"] {
			text = placeOfNode.ReplaceAllString(text, "HP")
		}
		text = strings.ReplaceAll(w.comparable(text, l.line), "<N>", "N")
		if l.how["csort"] {
			words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", []\n", r) })
			sort.Strings(words)
			text = strings.Join(words, " ")
		}
		return text
	}
	out := result{code: r.code}
	if l.how["help"] {
		return out
	}
	out.stdout, out.stderr = shape(r.stdout), shape(r.stderr)
	if out.stdout == "" || out.stderr == "" { // which stream a table's heading is on follows from the table
		out.stdout, out.stderr = strings.TrimSpace(out.stdout+out.stderr), ""
	}
	return out
}

func readGolden(t *testing.T, file string) []*goldenSection {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []*goldenSection
	var s *goldenSection
	var l *goldenLine
	for number, raw := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(raw, "######## "):
			name, where, _ := strings.Cut(strings.TrimPrefix(raw, "######## "), " (")
			s = &goldenSection{name: name, where: strings.TrimSuffix(where, ")")}
			out = append(out, s)
			l = nil
		case strings.HasPrefix(raw, "$ "):
			l = readGoldenLine(number+1, raw[2:])
			s.lines = append(s.lines, l)
		case strings.HasPrefix(raw, "    # the background command is ended"):
			s.lines, l = append(s.lines, &goldenLine{line: line{kind: endOfIt}}), nil
		case l == nil:
		case strings.HasPrefix(raw, "< "):
			l.stdin += raw[2:] + "\n"
		case strings.HasPrefix(raw, "2> "):
			l.want.stderr += raw[3:] + "\n"
		case raw == "[all of it on stderr]":
			l.want.stdout, l.want.stderr = "", l.want.stderr+l.want.stdout
		case strings.HasPrefix(raw, "[exit "):
			l.want.code, _ = strconv.Atoi(strings.Trim(raw, "[exit ]"))
			l = nil
		default:
			l.want.stdout += raw + "\n"
		}
	}
	return out
}

func readGoldenLine(number int, text string) *goldenLine {
	parts := strings.Split(text, "    # ")
	l := &goldenLine{line: line{number: number, command: parts[0], how: map[string]bool{}}}
	for _, p := range parts[1:] {
		switch {
		case strings.HasPrefix(p, "set-up"):
			l.kind = setUp
		case strings.HasPrefix(p, "goes on"):
			l.kind = background
		case strings.HasPrefix(p, "then SIGINT"):
			l.sigint = true
		case strings.HasPrefix(p, "compared after: "):
			for _, h := range strings.Split(strings.TrimPrefix(p, "compared after: "), ", ") {
				l.how[strings.TrimSpace(h)] = true
			}
		}
	}
	for _, w := range strings.Fields(l.command) {
		if w == "--help" || w == "-h" {
			l.how["help"] = true
		}
	}
	return l
}
