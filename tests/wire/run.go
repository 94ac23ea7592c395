package wire

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/moldau-stream/moldau/tests/report"
)

//go:embed testdata/kafka-4.3.1.txt
var recorded []byte

// Options of a run.
type Options struct {
	Bootstrap string
	Only      *regexp.Regexp
	Record    string // when set, the answers are written to this file instead of being compared
}

// Run sweeps and tries the error cases, and compares every line with the record
// of real Kafka. An API or a version that only one side serves is not an error
// as long as the server does not offer what Kafka 4.3.1 does not have.
func Run(ctx context.Context, o Options, rep *report.Report) error {
	l, err := prepare(ctx, o.Bootstrap)
	if err != nil {
		return err
	}
	want := func(name string) bool { return o.Only == nil || o.Only.MatchString(name) }
	got := l.sweep(want)
	for name, v := range l.ranges() {
		if want(name) {
			got[name] = v
		}
	}
	for _, c := range cases() {
		if want(c.name) {
			got[c.name] = c.run(l)
		}
	}
	if o.Record != "" {
		return write(o.Record, got)
	}
	compare(got, parse(recorded), rep)
	if o.Only == nil {
		noteMissing(l.ranges(), parse(recorded), rep)
	}
	return nil
}

// lines of the record: a name, a tab, what was seen.
func write(path string, got map[string]string) error {
	var b bytes.Buffer
	b.WriteString("# What Apache Kafka 4.3.1 answers, one case a line. Written by tests/run wire --target real --record FILE.\n")
	for _, name := range sortedNames(got) {
		fmt.Fprintf(&b, "%s\t%s\n", name, got[name])
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

func parse(record []byte) map[string]string {
	out := map[string]string{}
	sc := bufio.NewScanner(bytes.NewReader(record))
	sc.Buffer(nil, len(record)+1)
	for sc.Scan() {
		if name, seen, ok := strings.Cut(sc.Text(), "\t"); ok && !strings.HasPrefix(name, "#") {
			out[name] = seen
		}
	}
	return out
}

func compare(got, want map[string]string, rep *report.Report) {
	suite := "wire"
	extra := 0
	for _, name := range sortedNames(got) {
		g := got[name]
		w, known := want[name]
		switch {
		case strings.HasPrefix(name, "versions of "):
			rep.Check(suite, name, 0, checkRange(g, w))
		case allowed(name, g):
			rep.Check(suite, name, 0, nil)
		case !known:
			extra++ // a version that real Kafka does not offer; its range fails already
		case !same(g, w):
			rep.Check(suite, name, 0, fmt.Errorf("answer:  %s\nKafka's: %s", difference(g, w), difference(w, g)))
		default:
			rep.Check(suite, name, 0, nil)
		}
	}
	if extra > 0 {
		rep.Note("wire: %d answers have nothing to compare with", extra)
	}
}

// noteMissing says which APIs of Kafka the server does not advertise.
func noteMissing(got, want map[string]string, rep *report.Report) {
	var missing []string
	for _, name := range sortedNames(want) {
		if api, ok := strings.CutPrefix(name, "versions of "); ok && got[name] == "" {
			missing = append(missing, api)
		}
	}
	if len(missing) > 0 {
		rep.Note("wire: %d APIs that Kafka 4.3.1 serves are not advertised: %s", len(missing), strings.Join(missing, ", "))
	}
}

// alternatives are answers that are as good as Kafka's, or better, where Kafka's is nothing a client relies on.
func alternatives() map[string][]string {
	return map[string][]string{
		// Kafka ignores what follows a body; nobody sends it, and it is safer to refuse.
		"bytes after the body":        {errDisconnected.Error()},
		"bytes after a flexible body": {errDisconnected.Error()},
		"array of negative length":    {errDisconnected.Error()},
		"string of negative length":   {errDisconnected.Error()},
		// Kafka never answers this and keeps the connection.
		"produce: null records": {errDisconnected.Error(), errorAnswer},
		// Kafka ignores what follows the last whole batch. Nobody sends it, and what is refused is not lost silently.
		"produce: bytes after the batch": {producedTo(`ErrorCode:87`, -1)},
		// Kafka rewrites such a batch as CreateTime, with the last timestamp for each record.
		"produce: client sets LogAppendTime": {producedTo(`ErrorCode:32`, 0)},
		// Records pass through unopened, as the client packed them; with moldau.strict.records they are looked into.
		"produce: codec gzip, records are not": {producedTo(``, 0)},
		// Kafka keeps the last of the two, forgets the other silently and answers once.
		"produce: one partition twice in a request": {`{Topics:[{Topic:"wire-produce" Partitions:[` + producedPart(``, 0) + ` ` + producedPart(``, 0) + `]}]`},
	}
}

// producedTo is how an answer to a Produce with one batch begins: with an error or none, and with a log start offset.
func producedTo(code string, logStart int) string {
	return `{Topics:[{Topic:"wire-produce" Partitions:[` + producedPart(code, logStart)
}

func producedPart(code string, logStart int) string {
	message := "null"
	if code != "" {
		code, message = code+" ", "*"
	}
	start := ""
	if logStart != 0 {
		start = fmt.Sprintf("LogStartOffset:%d ", logStart)
	}
	return "{" + code + "BaseOffset:* LogAppendTime:* " + start + "ErrorRecords:null ErrorMessage:" + message + " CurrentLeader:{LeaderID:* LeaderEpoch:-1}}"
}

// same compares an answer with Kafka's. Two differences are allowed everywhere: where Kafka gives an error
// without a word, a sentence that says what is wrong is better; and where Kafka itself fails at a request
// that it should refuse, so is an answer.
func same(got, want string) bool {
	if failed(want) && !failed(got) && strings.Contains(got, "ErrorCode:") {
		return true
	}
	const field = "ErrorMessage:"
	var b strings.Builder
	for {
		g, w := strings.Index(got, field), strings.Index(want, field)
		if g < 0 || w < 0 {
			return got == want
		}
		g, w = g+len(field), w+len(field)
		b.WriteString(got[:g])
		if got[:g] != want[:w] {
			return false
		}
		got, want = got[g:], want[w:]
		if said, ok := strings.CutPrefix(got, "*"); ok && inError(b.String()) {
			for _, silent := range []string{"null", "empty"} {
				if rest, ok := strings.CutPrefix(want, silent); ok {
					got, want = said, rest
					break
				}
			}
		}
	}
}

// failed tells an answer that says no more than that something went wrong inside.
func failed(answer string) bool {
	return answer == errSilence.Error() || strings.Contains(answer, "ErrorCode:-1 ")
}

// inError says whether the struct that is open at the end of a rendered text has an error code.
func inError(text string) bool {
	depth := 0
	for i := len(text) - 1; i >= 0; i-- {
		switch text[i] {
		case '}':
			depth++
		case '{':
			if depth == 0 {
				return strings.HasPrefix(text[i+1:], "ErrorCode:") || strings.Contains(text[i:], " ErrorCode:")
			}
			depth--
		}
	}
	return false
}

// errorAnswer stands for any answer that was read.
const errorAnswer = "an answer that begins 4d6f6c64"

func allowed(name, got string) bool {
	for _, alt := range alternatives()[name] {
		if strings.HasPrefix(got, alt) {
			return true
		}
	}
	return false
}

// checkRange allows a server to serve less than Kafka, never more or older.
func checkRange(got, want string) error {
	var gl, gh, wl, wh int
	if _, err := fmt.Sscanf(got, "%d-%d", &gl, &gh); err != nil {
		return err
	}
	if _, err := fmt.Sscanf(want, "%d-%d", &wl, &wh); err != nil {
		return fmt.Errorf("versions %s are advertised of an API that Kafka does not serve", got)
	}
	if gl != wl {
		return fmt.Errorf("the lowest version is %d instead of %d: old clients go by it", gl, wl)
	}
	if gh > wh {
		return fmt.Errorf("version %d is advertised, Kafka has up to %d", gh, wh)
	}
	return nil
}

// differenceLead is how much of what is the same is shown before a difference.
const differenceLead = 60

// differenceShown is how much of a line is shown from there on.
const differenceShown = 400

// difference cuts the common beginning of a, so that the eye falls on what differs.
func difference(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(0, i-differenceLead)
	s := a[from:min(len(a), from+differenceShown)]
	if from > 0 {
		s = "..." + s
	}
	return s
}
