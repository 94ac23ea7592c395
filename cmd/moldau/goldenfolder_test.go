package main

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	slices.SortStableFunc(files, func(a, b string) int { // what is to be read is written first
		return cmp.Compare(strings.Count(b, "producer"), strings.Count(a, "producer"))
	})
	var own, merged []*goldenSection
	for _, file := range files {
		for _, s := range readGolden(t, file) {
			own, merged = append(own, s), mergeSection(merged, s)
		}
	}
	for _, s := range merged {
		if !strings.Contains(s.name, os.Getenv("MOLDAU_CLI_SECTION")) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if s.name == "dumplog" {
				t.Skip("wants a data folder that is not here; the decoders have tests of their own")
			}
			differ := s.compareIn(t, worldFor(t, s))
			for _, o := range own { // what stood between the lines of another tool is not known: alone it may be equal
				if o.name == s.name && o.where == s.where && slices.ContainsFunc(o.lines, func(l *goldenLine) bool { return differ[l] != "" }) {
					alone := o.compareIn(t, worldFor(t, o))
					for l := range differ {
						if slices.Contains(o.lines, l) && alone[l] == "" {
							delete(differ, l)
						}
					}
				}
			}
			for _, l := range s.lines {
				if differ[l] != "" {
					t.Errorf("$ %s\n%s", l.command, differ[l])
				}
			}
		})
	}
}

// mergeSection puts together what files have of one section: each holds the lines of its own tool, and the set-up of all.
func mergeSection(sections []*goldenSection, s *goldenSection) []*goldenSection {
	i := slices.IndexFunc(sections, func(o *goldenSection) bool { return o.name == s.name && o.where == s.where })
	if i < 0 {
		return append(sections, s)
	}
	have, at := sections[i], 0 // lines before at are behind us
	for n, l := range s.lines {
		same := slices.IndexFunc(have.lines[at:], l.same)
		if same < 0 { // behind what other files have here
			at += have.untilOneOf(at, s.lines[n:])
			have.lines = slices.Insert(have.lines, at, l)
			at++
			continue
		}
		at += same
		if have.lines[at].kind == setUp {
			have.lines[at] = l
		}
		at++
	}
	return sections
}

// untilOneOf is how many lines, from at on, come before the next that others have too.
func (s *goldenSection) untilOneOf(at int, others []*goldenLine) int {
	for _, o := range others {
		if n := slices.IndexFunc(s.lines[at:], o.same); n >= 0 {
			return n
		}
	}
	return len(s.lines) - at
}

func (l *goldenLine) same(o *goldenLine) bool {
	return o.kind == endOfIt && l.kind == endOfIt || o.command == l.command && o.stdin == l.stdin
}

// compareIn runs the section and says how ours differ.
func (s *goldenSection) compareIn(t *testing.T, w *world) map[*goldenLine]string {
	w.writeFiles()
	defer w.endBackground()
	differ, compared, unserved, behind := map[*goldenLine]string{}, 0, 0, ""
	for _, l := range s.lines {
		switch l.kind {
		case endOfIt:
			w.endBackground()
			continue
		case background:
			behind = strings.TrimSuffix(l.command, " &")
			w.background(behind)
			continue
		case setUp:
			w.shell(w.fill(l.command), l.stdin)
			continue
		}
		var got result
		if l.sigint && l.command == behind { // what was said to it up to now
			w.behindSays.stdout.await(t, l.command, 0, func(s string) bool { return strings.Count(s, "\n") >= strings.Count(l.want.stdout, "\n") })
			got, behind = w.endBackground(), ""
		} else if l.sigint && !strings.Contains(l.command, "|") {
			got = w.toolFor(w.words(l.command), l.stdin, sigintSeconds)
		} else {
			got = w.shell(w.fill(l.command), l.stdin)
		}
		if w.name == "moldau" && notServed.MatchString(got.stdout+got.stderr) {
			unserved++ // the broker's own refusal is what is to be said; against Apache Kafka the line is compared
			continue
		}
		compared++
		if diff := difference(l.line, w.goldenShape(l.want, l), w.goldenShape(got, l)); diff != "" {
			differ[l] = diff
		}
	}
	t.Logf("%d command lines, %d differ, %d ask for what this broker does not serve", compared, len(differ), unserved)
	return differ
}

var (
	recordedPlace = regexp.MustCompile(`<(CONTROLLER)[1N]>`)
	recordedMore  = regexp.MustCompile(`(?m)^<\d+ more lines>\n`)
	dataPlace     = regexp.MustCompile(`<DATA[0-9N]>`)
	anyClass      = regexp.MustCompile(`\b(?:java|org)\.[\w.$]+(?:Exception|Error): `)
	otherVoter    = regexp.MustCompile(`CONTROLLER://[\dN.:]+`)
	timeEnd       = regexp.MustCompile(`<TIME>[,:]`)
	helpWords     = regexp.MustCompile(`(?s)(optional|named|positional) arguments:.*`)
	patternMark   = regexp.MustCompile(`(?m)^(\[|\*| *\^)$\n?`)
	recordedLog   = regexp.MustCompile(`(?m)^(log> |LOG\|).*$`)
	notServed     = regexp.MustCompile(`The node does not support|are not served|No Authorizer is configured|does not support the share group protocol`)
	optionTable   = regexp.MustCompile(`(?s)(<here the option table of --help>|Option +\|? *Description).*`)
	internalTopic = regexp.MustCompile(`(?m)^.*\b__[a-z_]+.*\n?`)
	placeOfNode   = regexp.MustCompile(`\b(localhost|127\.0\.0\.1|<[A-Z]+[0-9]?>|HOST|PORT)\b|\b\d{4,5}\b|<[A-Z]+-?(PORT)?\d?>`)
)

// goldenShape leaves of an output what can be equal. --help is compared elsewhere, option by option.
func (w *world) goldenShape(r result, l *goldenLine) result {
	shape := func(text string) string {
		text = recordedPlace.ReplaceAllString(recordedLog.ReplaceAllString(text, ""), "<$1>")
		text = helpWords.ReplaceAllString(optionTable.ReplaceAllString(text, ""), "")
		if l.how["topics"] {
			text = internalTopic.ReplaceAllString(text, "")
		}
		if l.how["hp"] {
			text = placeOfNode.ReplaceAllString(text, "HP")
		}
		text = anyClass.ReplaceAllString(strings.ReplaceAll(w.comparable(patternMark.ReplaceAllString(text, ""), l.line), "<N>", "N"), "")
		text = dataPlace.ReplaceAllString(recordedPlace.ReplaceAllString(text, "<$1>"), "<DIR>")
		text = otherVoter.ReplaceAllString(text, "CONTROLLER://<CONTROLLER>")
		text = timeEnd.ReplaceAllString(text, "<TIME>")
		if l.how["topics"] {
			lines := strings.Split(text, "\n")
			sort.Strings(lines)
			text = strings.Join(lines, "\n")
		}
		if strings.HasPrefix(text, "usage: ") {
			text = strings.Join(strings.Fields(text), " ")
		}
		if l.how["csort"] {
			words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", []\n", r) })
			sort.Strings(words)
			text = strings.Join(words, " ")
		}
		return text
	}
	out := result{code: r.code}
	if l.how["help"] || optionTable.MatchString(l.want.stdout) && optionTable.ReplaceAllString(l.want.stdout, "") == "" || helpWords.MatchString(l.want.stdout) || recordedMore.MatchString(l.want.stdout) { // not recorded whole
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
