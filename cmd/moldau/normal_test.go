package main

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
)

// What is made equal before two outputs are compared: blanks at the end of
// lines; times and epoch milliseconds; ids; addresses and folders; on either
// stream Java's stack traces and the class names before a message, log lines and
// the exception under each, the advertisement of KIP-848, the option table (its words are our own) and our own
// lines that begin with "moldau:"; made-up names; the digits with which Java tells objects apart; a broker's dump of a request; which
// of the partitions that fail alike a message is about; the version; the order in which a message
// lists names, which is that of Java's hash sets; a message that is there twice because a trace repeats it.
//
// More by the line's own words behind ##:
//
//	num   numbers are N            lat   numbers are N, blanks are one blank
//	sort  lines are sorted         uniq  lines are sorted, each is there once
//	ws    blanks are one blank     json  the order of objects and the bytes on disk do not count
//	fields  the order of an object's fields does not count: it is that in which a JVM lists methods
//	out   standard error is not    code  only the exit code is
//	kafka  only on Apache Kafka: on a cluster without share groups ours says so at once, Kafka's when its
//	       time is up; or groups are listed of which the driver's JVM keeps members alive that a golden run has not
//	help  the option table is compared too, by its options, arguments and defaults
//	log  the lines that clients log at WARN and above are compared too, and the exception under each
//	sigint  the tool is ended by SIGINT after some seconds
var (
	logLine     = regexp.MustCompile(`^\[[^\]]*\] (ERROR|WARN|INFO|DEBUG) |^<TIME>Z main (ERROR|WARN) |^The consumer rebalance protocol \(KIP-848\)`)
	madeUpGroup = regexp.MustCompile(`console-consumer-(?:\d+|N) *`)
	columnGap   = regexp.MustCompile(` {3,}`)
	classPrefix = regexp.MustCompile(`^(Error: |ERROR: )?(?:Exception in thread "main" )?((?:java|org|net|com|joptsimple|kafka)[\w.$]+(?:Exception|Error): )+`)
	loggedCause = regexp.MustCompile(`^(java|org|joptsimple|kafka)\.[\w.$]+(Exception|Error)\b`)
	stackFrame  = regexp.MustCompile(`^\s+(at |\.\.\. \d+ more|Suppressed: )|^Caused by: |^ at \[Source`)
	requestDump = regexp.MustCompile(`Request Request\(.*\) (needs|is not)`)
	theVersion  = regexp.MustCompile(`(?m)^(4\.3\.1|dev)$`)
	perfGroup   = regexp.MustCompile(`perf-consumer-\d+`)
	epochMs     = regexp.MustCompile(`\b1[789]\d{11}\b`)
	uuid22      = regexp.MustCompile(`\b(TopicId: |ClusterId: +|Cluster ID: |"|id=|leaderId=|name |performance-producer-|directory id |directories=\[)[A-Za-z0-9_-]{22}\b`)
	uuid36      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	memberID    = regexp.MustCompile(`(^|\s)[A-Za-z0-9_-]{22}(?:==)?( +/127)`)
	anyNumber   = regexp.MustCompile(`-?\d+(\.\d+)?(E-?\d+)?|NaN|Infinity`)
	dateTime    = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T][0-9:,.]+`)
	nameList    = regexp.MustCompile(`((?:required|(?:states|types) are|user-principal '[^']*' are|operations|options|combination|scenarios|Set\(|one of these options|be one of):? ?\[?)([^\n]*)`)
	dataFolder  = regexp.MustCompile(`/[^"\s,\]=]*/data-(\d)`)
	ofProducers = regexp.MustCompile(`(producers for partition )\S+( on brokerId)`)
	javaHash    = regexp.MustCompile(`(\[B|Spec)@[0-9a-f]+\b`)
	diskBytes   = regexp.MustCompile(`"size":\d+`)
	clientLine  = regexp.MustCompile(`^\[[^\]]*\] (ERROR|WARN) `)
	ofClients   = regexp.MustCompile(`\(org\.apache\.kafka\.clients\.(NetworkClient|Metadata)\)$`) // no exception belongs to them
	loggerAlone = regexp.MustCompile(`^ \([\w.$]+\)$`)
)

// comparableResult is what of a result is compared.
func (w *world) comparableResult(r result, l line) result {
	if l.how["code"] {
		return result{code: r.code}
	}
	out := result{stdout: w.comparable(r.stdout, l), code: r.code}
	if !l.how["out"] {
		out.stderr = w.comparable(r.stderr, l)
	}
	return out
}

func difference(l line, theirs, ours result) string {
	var parts []string
	if theirs.code != ours.code {
		parts = append(parts, fmt.Sprintf("exit code: Kafka's %d, ours %d", theirs.code, ours.code))
	}
	for _, s := range []struct{ name, a, b string }{{"standard output", theirs.stdout, ours.stdout}, {"standard error", theirs.stderr, ours.stderr}} {
		if s.a != s.b {
			parts = append(parts, fmt.Sprintf("--- %s, Kafka's\n%s\n--- %s, ours\n%s", s.name, s.a, s.name, s.b))
		}
	}
	return strings.Join(parts, "\n")
}

// places puts names in place of addresses and folders.
func (w *world) places(text string) string {
	pairs := []string{w.bootstrap, "<BROKERS>"}
	if w.nodes > 1 {
		for i, b := range strings.Split(w.bootstrap, ",") {
			pairs = append(pairs, b, fmt.Sprintf("<BROKER%d>", i+1))
		}
	}
	pairs = append(pairs, w.controller, "<CONTROLLER>", w.dir, "$W")
	if w.sasl != noSASL {
		pairs = append(pairs, w.sasl, "<SASL>")
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	// A table has host and port in columns of their own.
	for name, address := range map[string]string{"BROKER": w.bootstrap, "CONTROLLER": w.controller, "SASL": w.sasl} {
		for i, one := range strings.Split(address, ",") {
			if _, port, ok := strings.Cut(one, ":"); ok && len(port) == 5 {
				text = regexp.MustCompile(`\b`+port+`\b`).ReplaceAllString(text, fmt.Sprintf("<%s-PORT%d>", name, i+1))
			}
		}
	}
	return dataFolder.ReplaceAllString(text, "<DATA$1>")
}

func (w *world) comparable(text string, l line) string {
	text = w.places(text)
	text = strings.ReplaceAll(text, " (No such file or directory)", "")
	text = javaHash.ReplaceAllString(text, "$1@<HASH>")
	text = requestDump.ReplaceAllString(text, "Request <REQUEST> $1")
	text = theVersion.ReplaceAllString(text, "<VERSION>")
	text = perfGroup.ReplaceAllString(text, "perf-consumer-N")
	text = epochMs.ReplaceAllString(text, "<MS>")
	text = uuid22.ReplaceAllString(text, "$1<ID>")
	text = uuid36.ReplaceAllString(text, "<UUID>")
	text = memberID.ReplaceAllString(text, "$1<ID>$2")
	text = ofProducers.ReplaceAllString(text, "${1}<PARTITION>$2")
	if madeUpGroup.MatchString(text) { // how wide its column is follows from how many digits its name was given
		text = columnGap.ReplaceAllString(madeUpGroup.ReplaceAllString(text, "console-consumer-N "), "  ")
	}
	text = dateTime.ReplaceAllString(text, "<TIME>")
	if l.how["json"] {
		text = sortJSON(diskBytes.ReplaceAllString(text, `"size":N`))
	}
	if l.how["fields"] {
		text = sortFields(text)
	}
	if l.how["help"] {
		text = helpShape(text)
	}
	out := comparableLines(text, l)
	if l.how["sort"] || l.how["uniq"] {
		sort.Strings(out)
	}
	if l.how["uniq"] {
		out = unique(out)
	}
	return strings.Trim(strings.Join(out, "\n"), "\n")
}

// comparableLines are the lines that count, each in its shape.
func comparableLines(text string, l line) []string {
	var out []string
	last, logged, pattern := "", false, false
	for _, s := range strings.Split(text, "\n") {
		s = strings.TrimRight(s, " \t\r")
		if l.how["log"] && clientLine.MatchString(s) {
			out = append(out, shape(s, l.how))
			last, logged = "", false
			continue
		}
		if l.how["log"] && loggerAlone.MatchString(s) && len(out) > 0 { // it is behind the trace
			out[len(out)-1] += s
			continue
		}
		underLog := logged && loggedCause.MatchString(s)
		logged = logLine.MatchString(s) && !ofClients.MatchString(s)
		if pattern { // a regular expression under a log line, up to where it is wrong
			pattern = strings.TrimSpace(s) != "^"
			continue
		}
		pattern = underLog && strings.Contains(s, " near index ")
		if underLog || stackFrame.MatchString(s) || logLine.MatchString(s) || strings.HasPrefix(s, "moldau:") {
			continue
		}
		if strings.HasPrefix(s, "Option ") && strings.Contains(s, "Description") {
			break // the option table ends the output
		}
		s = classPrefix.ReplaceAllString(s, "$1")
		message := strings.TrimPrefix(strings.TrimPrefix(s, "Error: "), "ERROR: ")
		if s != "" && (message == last || strings.HasSuffix(last, ": "+message)) {
			continue
		}
		last = message
		out = append(out, shape(s, l.how))
	}
	return out
}

func unique(sorted []string) []string {
	var out []string
	for i, s := range sorted {
		if i == 0 || s != sorted[i-1] {
			out = append(out, s)
		}
	}
	return out
}

func shape(s string, how map[string]bool) string {
	if how["num"] || how["lat"] {
		s = anyNumber.ReplaceAllString(s, "N")
	}
	if how["sort"] || how["uniq"] {
		s = strings.TrimSpace(s)
	}
	if how["ws"] || how["lat"] {
		s = strings.Join(strings.Fields(s), " ")
	}
	if nameList.MatchString(s) {
		s = nameList.ReplaceAllStringFunc(s, func(m string) string {
			words := strings.FieldsFunc(m, func(r rune) bool { return strings.ContainsRune(" ,[]()", r) })
			sort.Strings(words)
			return strings.Join(words, " ")
		})
	}
	return s
}

// sortJSON puts the innermost objects of each line in order.
func sortJSON(text string) string {
	inner := regexp.MustCompile(`\{[^{}]*\}`)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		objects := inner.FindAllString(l, -1)
		sort.Strings(objects)
		lines[i] = inner.ReplaceAllString(l, "{}") + strings.Join(objects, "\n")
	}
	return strings.Join(lines, "\n")
}

// sortFields puts the fields of objects that hold no others in order.
func sortFields(text string) string {
	return regexp.MustCompile(`\{[^{}\[\]]*\}`).ReplaceAllStringFunc(text, func(object string) string {
		fields := strings.Split(strings.Trim(object, "{}"), ",")
		sort.Strings(fields)
		return "{" + strings.Join(fields, ",") + "}"
	})
}

var (
	defaultValue = regexp.MustCompile(`\(default: ([^()]*(?:\([^()]*\)[^()]*)*)\)`)
	twoBlanks    = regexp.MustCompile(`\S(  +)`)
)

// helpShape leaves of a help text what a program can compare: options, their
// arguments, marks and defaults, sorted, without the words of description.
func helpShape(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "Option") && strings.Contains(l, "Description") {
			return strings.Join(tableShape(lines[i+1:], strings.Index(l, "Description")), "\n")
		}
	}
	return strings.Join(usageShape(lines), "\n")
}

// option is an option's left side, and all that is said of it.
type helpEntry struct{ left, right string }

func (e helpEntry) String() string {
	s := strings.Join(strings.Fields(e.left), "") // a table breaks long names where it likes
	if strings.HasPrefix(strings.TrimSpace(e.right), "REQUIRED") {
		s += " REQUIRED"
	}
	if m := defaultValue.FindStringSubmatch(strings.Join(strings.Fields(e.right), " ")); m != nil {
		s += " default " + strings.ReplaceAll(m[1], " ", "")
	}
	return s
}

func tableShape(lines []string, column int) []string {
	var entries []helpEntry
	for _, l := range lines {
		if strings.HasPrefix(l, "--") && strings.Trim(l, "- ") == "" || strings.TrimSpace(l) == "" {
			continue
		}
		left, right := l, ""
		if len(l) > column {
			left, right = l[:column], l[column:]
		}
		if strings.HasPrefix(l, "-") || strings.HasPrefix(l, "* --") {
			entries = append(entries, helpEntry{})
		}
		if len(entries) == 0 {
			continue
		}
		e := &entries[len(entries)-1]
		e.left, e.right = e.left+" "+left, e.right+" "+right
	}
	return entryLines(entries)
}

// usageShape reads the other kind of help: usage lines, then options with two
// blanks before them.
func usageShape(lines []string) []string {
	var entries []helpEntry
	usage, inUsage := "", false
	for _, l := range lines {
		trimmed := strings.TrimSpace(l)
		switch {
		case strings.HasPrefix(l, "usage:"):
			usage, inUsage = l, true
		case trimmed == "":
			inUsage = false
		case inUsage:
			usage += " " + trimmed
		case strings.HasPrefix(l, "  -") || strings.HasPrefix(l, "    ") && len(l)-len(strings.TrimLeft(l, " ")) == 4:
			left, right := trimmed, ""
			if m := twoBlanks.FindStringSubmatchIndex(trimmed); m != nil {
				left, right = trimmed[:m[2]], trimmed[m[3]:]
			}
			entries = append(entries, helpEntry{left, right})
		case len(entries) > 0 && strings.HasPrefix(l, " "):
			entries[len(entries)-1].right += " " + trimmed
		}
	}
	return append([]string{strings.Join(strings.Fields(usage), " ")}, entryLines(entries)...)
}

func entryLines(entries []helpEntry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.String())
	}
	sort.Strings(out)
	return out
}
