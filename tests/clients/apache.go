package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/tests/corpus"
)

// apacheTools are Apache Kafka's own command-line tools, each call a JVM of its own.
type apacheTools struct {
	script, bootstrap string
	replicas          int
}

func (a *apacheTools) Name() string { return "Apache console tools 4.3.1" }

func (a *apacheTools) Traits() Traits {
	return Traits{
		// A line of text is a record: the tool stamps it and the default partitioner places it.
		Limits:     corpus.Limits{TextOnly: true, NoTimestamps: true, OnePartition: true},
		ReadLimits: textLimits, Codecs: allCodecs, ReadCodecs: []string{textCorpus}, Create: true, Commit: true, Admin: true,
	}
}

// Quick compilation only: these JVMs live for a second or two.
const shortJVM = "-XX:TieredStopAtLevel=1 -Xshare:auto"

// tool runs one of the tools and returns its stdout.
func (a *apacheTools) tool(ctx context.Context, stdin []byte, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, a.script, append([]string{"tool", name, "--bootstrap-server", a.bootstrap}, args...)...)
	cmd.Env = append(os.Environ(), "RK_VERSION=4.3.1", "RK_JVM="+shortJVM, "RK_LOG_LEVEL=ERROR")
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s%s", name, strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.String(), nil
}

// expect runs a tool and checks that its output holds the words.
func (a *apacheTools) expect(ctx context.Context, words []string, name string, args ...string) error {
	out, err := a.tool(ctx, nil, name, args...)
	if err != nil {
		return err
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			return fmt.Errorf("%s %s does not print %q but:\n%s", name, strings.Join(args, " "), w, out)
		}
	}
	return nil
}

func (a *apacheTools) Create(ctx context.Context, topic string, partitions int32) error {
	return a.expect(ctx, []string{"Created topic " + topic + "."}, "kafka-topics", "--create", "--topic", topic, "--partitions", strconv.Itoa(int(partitions)), "--replication-factor", strconv.Itoa(a.replicas))
}

// nullMarker stands for null in the console tools' text.
const nullMarker = "<null>"

func orNull(b []byte) string {
	if b == nil {
		return nullMarker
	}
	return string(b)
}

func fromNull(s string) []byte {
	if s == nullMarker {
		return nil
	}
	return []byte(s)
}

func (a *apacheTools) Produce(ctx context.Context, topic, codec string, _ bool, records []corpus.Record) error {
	var in bytes.Buffer
	for _, r := range records {
		if len(r.Headers) == 0 {
			in.WriteString(nullMarker)
		}
		for i, h := range r.Headers {
			if i > 0 {
				in.WriteByte(',')
			}
			in.WriteString(h.Key + ":" + orNull(h.Value))
		}
		in.WriteString("\t" + orNull(r.Key) + "\t" + orNull(r.Value) + "\n")
	}
	out, err := a.tool(ctx, in.Bytes(), "kafka-console-producer", "--topic", topic, "--compression-codec", codec,
		"--reader-property", "parse.key=true", "--reader-property", "parse.headers=true", "--reader-property", "null.marker="+nullMarker,
		"--max-block-ms", "20000", "--request-required-acks", "all")
	if err == nil && strings.Contains(out, "ERROR") {
		err = errors.New(out)
	}
	return err
}

// Consume reads the columns that the formatter prints, in their fixed order.
func (a *apacheTools) Consume(ctx context.Context, topic string, count int) ([]corpus.Record, error) {
	args := []string{"--topic", topic, "--from-beginning", "--max-messages", strconv.Itoa(count), "--timeout-ms", "30000"}
	for _, p := range []string{"print.timestamp=true", "print.partition=true", "print.offset=true", "print.headers=true", "print.key=true", "print.value=true", "null.literal=" + nullMarker} {
		args = append(args, "--formatter-property", p)
	}
	out, err := a.tool(ctx, nil, "kafka-console-consumer", args...)
	if err != nil {
		return nil, err
	}
	var recs []corpus.Record
	for _, line := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 6 {
			return recs, fmt.Errorf("line with %d columns instead of 6: %.200q", len(f), line)
		}
		var r corpus.Record
		if _, err := fmt.Sscanf(strings.Join(f[:3], " "), "CreateTime:%d Partition:%d Offset:%d", &r.TimestampMs, &r.Partition, &r.Offset); err != nil {
			return recs, fmt.Errorf("cannot read %.200q: %w", line, err)
		}
		if f[3] != "NO_HEADERS" {
			for _, h := range strings.Split(f[3], ",") {
				k, v, _ := strings.Cut(h, ":")
				r.Headers = append(r.Headers, corpus.Header{Key: k, Value: fromNull(v)})
			}
		}
		r.Key, r.Value = fromNull(f[4]), fromNull(f[5])
		recs = append(recs, r)
	}
	return recs, nil
}

var errNoMembers = errors.New("a console consumer does not tell what it owns")

func (a *apacheTools) Join(context.Context, string, string, string, string) error {
	return errNoMembers
}
func (a *apacheTools) Members(context.Context) (map[string]Member, error) { return nil, errNoMembers }
func (a *apacheTools) Leave(context.Context, string) error                { return errNoMembers }

// Commit: the console consumer commits what it printed when it ends.
func (a *apacheTools) Commit(ctx context.Context, group, topic string, offset int64) error {
	_, err := a.tool(ctx, nil, "kafka-console-consumer", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", strconv.FormatInt(offset, 10), "--timeout-ms", "30000")
	return err
}

func (a *apacheTools) Resume(ctx context.Context, group, topic string) (int64, error) {
	out, err := a.tool(ctx, nil, "kafka-console-consumer", "--topic", topic, "--group", group, "--max-messages", "1", "--timeout-ms", "30000",
		"--formatter-property", "print.offset=true", "--formatter-property", "print.value=false")
	if err != nil {
		return 0, err
	}
	var first int64
	if _, err := fmt.Sscanf(strings.TrimSpace(out), "Offset:%d", &first); err != nil {
		return 0, fmt.Errorf("cannot read %q: %w", out, err)
	}
	return first, nil
}

func (a *apacheTools) Admin(ctx context.Context, topic string) error {
	steps := []struct {
		words []string
		args  []string
	}{
		{[]string{"Created topic " + topic + "."}, []string{"kafka-topics", "--create", "--topic", topic, "--partitions", "2", "--replication-factor", strconv.Itoa(a.replicas), "--config", "retention.ms=3600000"}},
		{nil, []string{"kafka-topics", "--alter", "--topic", topic, "--partitions", "5"}},
		{[]string{"Topic: " + topic + "\t", "PartitionCount: 5\t", fmt.Sprintf("ReplicationFactor: %d\t", a.replicas), "retention.ms=3600000", "\tTopic: " + topic + "\tPartition: 4\tLeader: "}, []string{"kafka-topics", "--describe", "--topic", topic}},
		{[]string{"Completed updating config for topic " + topic}, []string{"kafka-configs", "--alter", "--topic", topic, "--add-config", "retention.ms=7200000"}},
		{[]string{"retention.ms=7200000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=7200000"}, []string{"kafka-configs", "--describe", "--topic", topic}},
		{[]string{topic + ":0:0", topic + ":4:0"}, []string{"kafka-get-offsets", "--topic", topic}},
		{nil, []string{"kafka-topics", "--delete", "--topic", topic}},
	}
	for _, s := range steps {
		if err := a.expect(ctx, s.words, s.args[0], s.args[1:]...); err != nil {
			return err
		}
	}
	return nil
}

func (a *apacheTools) Close() {}

// perfTools are Apache's two load generators: what they sent and read must be all there.
type perfTools struct{ apacheTools }

func (p *perfTools) Name() string   { return "Apache perf tools 4.3.1" }
func (p *perfTools) Traits() Traits { return Traits{} }

// perfRecords is enough to fill many batches and takes a JVM about a second.
const perfRecords = 50000

// load writes records of the tool's own making and reads them back.
func (p *perfTools) load(ctx context.Context, topic, codec string) error {
	n := strconv.Itoa(perfRecords)
	if err := p.expect(ctx, []string{n + " records sent, ", " ms 99.9th."}, "kafka-producer-perf-test", "--topic", topic, "--num-records", n, "--record-size", "200", "--throughput", "-1",
		"--command-property", "compression.type="+codec); err != nil {
		return err
	}
	out, err := p.tool(ctx, nil, "kafka-consumer-perf-test", "--topic", topic, "--num-records", n, "--timeout", "30000", "--hide-header")
	if err != nil {
		return err
	}
	fields := strings.Split(strings.TrimSpace(out), ", ")
	if len(fields) < 5 || fields[4] != n {
		return fmt.Errorf("the consumer read %q instead of %s records", out, n)
	}
	return nil
}
