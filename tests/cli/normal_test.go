//go:build realkafka

package cli

import (
	"regexp"
	"sort"
	"strings"
)

// What is made equal before two outputs are compared: blanks at the end of
// lines; times and epoch milliseconds; ids; on either stream Java's stack traces
// and the class names before a message, log lines below ERROR, the option table
// (its words are our own) and our own lines that begin with "moldau:"; a message
// that is there twice because a trace repeats it.
var (
	logBelowError = regexp.MustCompile(`^\[[^\]]*\] (WARN|INFO|DEBUG) `)
	logError      = regexp.MustCompile(`^\[\d{4}-\d\d-\d\d [0-9:,]+\] `)
	classPrefix   = regexp.MustCompile(`^(Error: |ERROR: )?(?:Exception in thread "main" )?((?:java|org|joptsimple|kafka)[\w.$]+(?:Exception|Error): )+`)
	stackFrame    = regexp.MustCompile(`^\s+(at |\.\.\. \d+ more|Suppressed: )|^Caused by: |^ at \[Source`)
	epochMs       = regexp.MustCompile(`\b1[789]\d{11}\b`)
	uuid22        = regexp.MustCompile(`\b(TopicId: |ClusterId: +|Cluster ID: |"|id=)[A-Za-z0-9_-]{22}\b`)
	anyNumber     = regexp.MustCompile(`-?\d+(\.\d+)?(E-?\d+)?|NaN|Infinity`)
	dateTime      = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T][0-9:,.]+`)
	nameList      = regexp.MustCompile(`((?:required|states are|operations|options|Set\(|one of these options|be one of):? ?\[?)([^\n]*)`)
)

func (w *world) comparable(text, how string) string {
	text = strings.ReplaceAll(text, w.bootstrap, "<BROKERS>")
	text = strings.ReplaceAll(text, w.dir, "$W")
	text = strings.ReplaceAll(text, " (No such file or directory)", "")
	text = epochMs.ReplaceAllString(text, "<MS>")
	text = uuid22.ReplaceAllString(text, "$1<ID>")
	text = dateTime.ReplaceAllString(text, "<TIME>")
	var out []string
	last := ""
	for _, l := range strings.Split(text, "\n") {
		l = strings.TrimRight(l, " \t\r")
		if stackFrame.MatchString(l) || logBelowError.MatchString(l) || strings.HasPrefix(l, "moldau:") {
			continue
		}
		if strings.HasPrefix(l, "Option ") && strings.Contains(l, "Description") {
			break // the option table ends the output
		}
		l = logError.ReplaceAllString(l, "")
		l = classPrefix.ReplaceAllString(l, "$1")
		message := strings.TrimPrefix(strings.TrimPrefix(l, "Error: "), "ERROR: ")
		if l != "" && message == last {
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
