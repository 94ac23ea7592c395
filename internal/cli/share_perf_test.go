package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// sharePerfOf is the tool with its options, where it would begin to read.
func sharePerfOf(t *testing.T, options ...string) (*sharePerf, *strings.Builder) {
	t.Helper()
	out := &strings.Builder{}
	p, err := sharePerfOptions().parse(append([]string{"--bootstrap-server", "x:1", "--topic", "t", "--num-records", "5"}, options...))
	if err != nil {
		t.Fatal(err)
	}
	s := &sharePerf{run: newRun(&Env{Stdout: out, Stderr: out, Now: time.Now}, "x", context.Background()), p: p, wanted: 5, timeout: 1000}
	if s.format, err = parseDateFormat("ss:SSS"); err != nil {
		t.Fatal(err)
	}
	s.interval, s.noReport = s.reportingInterval()
	s.props = map[string]string{"client.id": "perf-share-consumer-client"}
	return s, out
}

// Kafka looks at the interval when there is a record to report, whether or not such reports are wanted.
func TestShareConsumersLookAtTheIntervalWithTheFirstRecord(t *testing.T) {
	for options, want := range map[string]string{
		"x":                        "joptsimple.OptionArgumentConversionException: Cannot parse argument 'x' of option reporting-interval",
		"0":                        "java.lang.IllegalArgumentException: Reporting interval must be greater than 0.",
		"7 --reporting-interval 8": "joptsimple.MultipleArgumentsForOptionException: Found multiple arguments for option reporting-interval, but you asked for only one",
	} {
		s, _ := sharePerfOf(t, append([]string{"--reporting-interval"}, strings.Fields(options)...)...)
		reader := s.newReader(1, 1)
		if _, err := reader.count(nil, time.Now()); err != nil {
			t.Errorf("%s: %v, and there is no record", options, err)
		}
		want += "\njava.util.concurrent.ExecutionException: " + want
		if _, err := reader.count([]*kgo.Record{{}}, time.Now()); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", options, err, want)
		}
	}
}

// The first record of a poll that is late enough is the last of a report.
func TestShareConsumersReportInKafkasLines(t *testing.T) {
	s, out := sharePerfOf(t, "--show-detailed-stats", "--show-consumer-stats", "--print-metrics", "--reporting-interval", "500")
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	readers := []*shareReader{s.newReader(1, 2), s.newReader(2, 2)}
	records := []*kgo.Record{{Key: []byte("k"), Value: make([]byte, 1<<20-1)}, {Value: make([]byte, 1<<20)}}
	for i, at := range []time.Duration{400, 900, 1000} {
		r := readers[i%2]
		if i < 2 {
			r.told.at = began
		}
		enough, err := r.count(records, began.Add(at*time.Millisecond))
		if err != nil || enough != (i == 2) {
			t.Fatalf("poll %d: %v, %v", i, enough, err)
		}
	}
	s.total(began, began.Add(2*time.Second), readers)
	s.out.Flush()
	const metric = "consumer-share-fetch-manager-metrics:records-consumed-total:{client-id=perf-share-consumer-client-"
	want := "05:000, 05:900, 1.0000, 1.1111, 1.1111, 1, 900 for share consumer 2\n" +
		"05:000, 06:000, 3.0000, 3.0000, 3.0000, 3, 1000 for share consumer 1\n" +
		"Share consumer 1 having client id perf-share-consumer-client-1 consumption metrics- 05:000, 07:000, 4.0000, 2.0000, 2.0000, 4, 2000\n" +
		"Share consumer 2 having client id perf-share-consumer-client-2 consumption metrics- 05:000, 07:000, 2.0000, 1.0000, 1.0000, 2, 2000\n" +
		"05:000, 07:000, 6.0000, 3.0000, 3.0000, 6, 2000\n"
	for i, n := range []int{4, 2} {
		name := fmt.Sprintf("%s%d}", metric, i+1)
		want += fmt.Sprintf("\n%-*s   Value\n%s : %d.000\n", len(name), "Metric Name", name, n)
	}
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}
