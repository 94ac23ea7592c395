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
		case g != w:
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
	}
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
