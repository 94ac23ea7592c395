//go:build realkafka

package cli

import (
	"regexp"
	"sort"
	"strings"
)

// What is made equal before two outputs are compared: blanks at the end of
// lines; times and epoch milliseconds; ids; on either stream Java's stack traces
// and the class names before a message, log lines, the advertisement of KIP-848, the
// option table (its words are our own) and our own lines that begin with
// "moldau:"; made-up group names; a message that is there twice because a trace
// repeats it.
var (
	logLine     = regexp.MustCompile(`^\[[^\]]*\] (ERROR|WARN|INFO|DEBUG) |^The consumer rebalance protocol \(KIP-848\)`)
	madeUpGroup = regexp.MustCompile(`console-consumer-\d+ *`)
	classPrefix = regexp.MustCompile(`^(Error: |ERROR: )?(?:Exception in thread "main" )?((?:java|org|joptsimple|kafka)[\w.$]+(?:Exception|Error): )+`)
	stackFrame  = regexp.MustCompile(`^\s+(at |\.\.\. \d+ more|Suppressed: )|^Caused by: |^ at \[Source`)
	epochMs     = regexp.MustCompile(`\b1[789]\d{11}\b`)
	uuid22      = regexp.MustCompile(`\b(TopicId: |ClusterId: +|Cluster ID: |"|id=)[A-Za-z0-9_-]{22}\b`)
	anyNumber   = regexp.MustCompile(`-?\d+(\.\d+)?(E-?\d+)?|NaN|Infinity`)
	dateTime    = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T][0-9:,.]+`)
	nameList    = regexp.MustCompile(`((?:required|states are|operations|options|scenarios|Set\(|one of these options|be one of):? ?\[?)([^\n]*)`)
)

func (w *world) comparable(text, how string) string {
	text = strings.ReplaceAll(text, w.bootstrap, "<BROKERS>")
	text = strings.ReplaceAll(text, w.dir, "$W")
	text = strings.ReplaceAll(text, " (No such file or directory)", "")
	text = epochMs.ReplaceAllString(text, "<MS>")
	text = uuid22.ReplaceAllString(text, "$1<ID>")
	text = madeUpGroup.ReplaceAllString(text, "console-consumer-N ")
	text = dateTime.ReplaceAllString(text, "<TIME>")
	var out []string
	last := ""
	for _, l := range strings.Split(text, "\n") {
		l = strings.TrimRight(l, " \t\r")
		if stackFrame.MatchString(l) || logLine.MatchString(l) || strings.HasPrefix(l, "moldau:") {
			continue
		}
		if strings.HasPrefix(l, "Option ") && strings.Contains(l, "Description") {
			break // the option table ends the output
		}
		l = classPrefix.ReplaceAllString(l, "$1")
		message := strings.TrimPrefix(strings.TrimPrefix(l, "Error: "), "ERROR: ")
		if l != "" && (message == last || strings.HasSuffix(last, ": "+message)) {
			continue
		}
		last = message
		out = append(out, w.shape(l, how))
	}
	if strings.Contains(how, "sort") {
		sort.Strings(out)
	}
	return strings.Trim(strings.Join(out, "\n"), "\n")
}

func (w *world) shape(l, how string) string {
	if strings.Contains(how, "num") {
		l = anyNumber.ReplaceAllString(l, "N")
	}
	if strings.Contains(how, "sort") {
		l = strings.TrimSpace(l)
	}
	if strings.Contains(how, "ws") {
		l = strings.Join(strings.Fields(l), " ")
	}
	if strings.Contains(how, "set") {
		l = nameList.ReplaceAllStringFunc(l, func(m string) string {
			words := strings.FieldsFunc(m, func(r rune) bool { return strings.ContainsRune(" ,[]()", r) })
			sort.Strings(words)
			return strings.Join(words, " ")
		})
	}
	return l
}
