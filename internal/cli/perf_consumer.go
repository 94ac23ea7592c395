package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kgo"
)

func consumerPerfOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("topic", "topic", "The topic to read.")
	s.arg("include", "Java regex (String)", "A regular expression for the topics to read.")
	s.arg("group", "gid", "The consumer group.").withDefault(fmt.Sprintf("perf-consumer-%d", rand.IntN(100000)))
	s.arg("fetch-size", "size", "The most bytes of one fetch and partition.").ofKind(intValue).withDefault("1048576")
	s.arg("command-property", "prop1=val1", "A property of the consumer; wins over --command-config.")
	s.flag("from-latest", "Without committed offsets, begin at the end and not at the first record.")
	s.arg("socket-buffer-size", "size", "The size of the socket's receive buffer.").ofKind(intValue).withDefault("2097152")
	s.arg("consumer.config", "config file", "DEPRECATED: the old name of --command-config.")
	s.arg("command-config", "config file", "A properties file for the consumer.")
	s.flag("print-metrics", "Print the consumer's counters at the end.")
	s.flag("show-detailed-stats", "Print a line for each reporting interval.")
	s.flag("timeout", "The longest wait between records, in ms.").takesMaybe("milliseconds").ofKind(longValue).withDefault("10000")
	s.arg("num-records", "count", "How many records to read.").ofKind(longValue)
	s.arg("messages", "count", "DEPRECATED: the old name of --num-records.").ofKind(longValue)
	s.arg("reporting-interval", "interval_ms", "How often to report, in ms.").ofKind(longValue).withDefault("5000")
	s.arg("date-format", "date format", "How times are printed, as Java's SimpleDateFormat takes it.").withDefault("yyyy-MM-dd HH:mm:ss:SSS")
	s.flag("hide-header", "Leave out the names of the columns.")
	return s
}

// consumerPerf is one run of the test.
type consumerPerf struct {
	*run
	p        *parsed
	c        *client.Client
	format   dateFormat
	include  *regexp.Regexp
	detailed bool
	interval time.Duration
	counters consumerCounters
	read     *readPositions

	mu       sync.Mutex
	joinFrom time.Time // a rebalance goes on since
	joining  time.Duration
	joined   time.Duration // within the interval
}

func runConsumerPerf(r *run, args []string) int {
	set := consumerPerfOptions()
	p, err := set.parse(args)
	if err != nil {
		code, _ := exitCode(r.usage(set, consumerPerfRequired(), err.Error()))
		return code
	}
	t := &consumerPerf{run: r, p: p}
	if err := t.check(); err != nil {
		return r.outcome(err)
	}
	return r.outcome(t.execute())
}

func consumerPerfRequired() []string { return []string{"bootstrap-server", "num-records"} }

func (t *consumerPerf) check() error {
	p, req := t.p, consumerPerfRequired()
	if err := t.helpOrVersion(p, req, "This tool is used to verify the consumer performance."); err != nil {
		return err
	}
	bad := func(msg string) error { return t.usage(p.set, req, msg) }
	if p.has("num-records") == p.has("messages") {
		return bad("Exactly one of the following arguments is required: [messages], [num-records]")
	}
	if p.has("topic") == p.has("include") {
		return bad("Exactly one of the following arguments is required: [topic], [include]")
	}
	if err := t.checkRequired(p, req, "bootstrap-server"); err != nil {
		return err
	}
	if p.has("consumer.config") && p.has("command-config") {
		return bad("Option \"[consumer.config]\" can't be used with option \"[command-config]\"")
	}
	if p.has("messages") {
		t.println("Warning: --messages is deprecated. Use --num-records instead.")
	}
	if p.has("consumer.config") {
		t.println("Warning: --consumer.config is deprecated. Use --command-config instead.")
	}
	return nil
}

func (t *consumerPerf) execute() error {
	t.detailed = t.p.has("show-detailed-stats")
	if !t.p.has("hide-header") {
		t.printHeader()
	}
	for _, o := range []string{"topic", "include", "num-records", "messages", "timeout", "fetch-size", "socket-buffer-size"} {
		t.p.value(o)
	}
	ms, _ := t.p.number("reporting-interval")
	if t.p.err != nil {
		return t.p.err
	}
	if ms <= 0 {
		return errors.New("Reporting interval must be greater than 0.")
	}
	t.interval = client.Millis(ms)
	var err error
	if t.format, err = parseDateFormat(t.p.value("date-format")); err != nil {
		return err
	}
	if t.p.has("topic") && t.p.value("topic") == "" {
		return errors.New("Topic collection to subscribe to cannot contain null or empty topic")
	}
	if t.p.has("include") {
		if t.include, err = compileSubscription(t.p.value("include")); err != nil {
			return err
		}
	}
	props, err := t.properties()
	if err != nil {
		return err
	}
	t.c, err = client.Open(client.Consumer, props, t.voice(), t.options)
	if err != nil {
		return err
	}
	defer t.leave()
	return t.measure()
}

func (t *consumerPerf) printHeader() {
	const columns = "data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
	if t.detailed {
		t.println("time, threadId, " + columns)
		return
	}
	t.println("start.time, end.time, " + columns)
}

func (t *consumerPerf) properties() (client.Properties, error) {
	p := t.p
	props := client.Properties{}
	if f := p.value("command-config") + p.value("consumer.config"); f != "" {
		loaded, err := client.LoadProperties(f)
		if err != nil {
			return nil, err
		}
		props.Merge(loaded)
	}
	props.Merge(keyValues(p.all("command-property")))
	props["bootstrap.servers"] = p.value("bootstrap-server")
	props["group.id"] = p.value("group")
	if p.has("socket-buffer-size") { // unasked it would be a note that nobody needs
		props["receive.buffer.bytes"] = p.value("socket-buffer-size")
	}
	props["max.partition.fetch.bytes"] = p.value("fetch-size")
	props["auto.offset.reset"] = "earliest"
	if p.has("from-latest") {
		props["auto.offset.reset"] = "latest"
	}
	props.SetDefault("client.id", "perf-consumer-client")
	return props, p.err
}

func (t *consumerPerf) options(s *client.Settings) ([]kgo.Opt, error) {
	opts, err := s.ConsumerOptions()
	if err != nil {
		return nil, err
	}
	group, err := s.GroupOptions()
	if err != nil {
		return nil, err
	}
	opts = append(append(opts, resetOptions(s.Consumer.OffsetReset)...), group...)
	if t.include != nil {
		opts = append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics(t.include.String()))
	} else {
		opts = append(opts, kgo.ConsumeTopics(t.p.value("topic")))
	}
	t.read = newReadPositions()
	return append(opts, kgo.DisableAutoCommit(), kgo.AdjustFetchOffsetsFn(t.read.resume), kgo.WithHooks(&t.counters),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { t.rebalance(false) }),
		kgo.OnPartitionsRevoked(func(context.Context, *kgo.Client, map[string][]int32) { t.rebalance(true) })), nil
}

// rebalance measures the time from losing partitions to having some again.
func (t *consumerPerf) rebalance(begins bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.Now()
	if begins {
		t.joinFrom = now
		return
	}
	if !t.joinFrom.IsZero() {
		t.joining += now.Sub(t.joinFrom)
		t.joined += now.Sub(t.joinFrom)
		t.joinFrom = time.Time{}
	}
}

func (t *consumerPerf) takeJoined() (total, interval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	interval, t.joined = t.joined, 0
	return t.joining, interval
}

func (t *consumerPerf) wanted() int64 {
	n, ok := t.p.number("num-records")
	if !ok {
		n, _ = t.p.number("messages")
	}
	return n
}

func (t *consumerPerf) measure() error {
	ctx, stop := t.interruptible()
	defer stop()
	ms, _ := t.p.number("timeout")
	timeout := client.Millis(ms)
	start := t.Now()
	t.rebalance(true)
	t.out.Flush()
	var messages, bytes, lastMessages, lastBytes int64
	lastReport, lastRecords := start, start
	wanted := t.wanted()
	if t.include == nil && wanted > 0 {
		if err := t.refused(ctx, timeout); err != nil {
			return err
		}
	}
	for messages < wanted && t.Now().Sub(lastRecords) <= timeout && ctx.Err() == nil {
		pollCtx, cancel := context.WithTimeout(ctx, min(100*time.Millisecond, max(timeout, time.Millisecond)))
		fetches := t.c.PollFetches(pollCtx)
		cancel()
		now := t.Now()
		if fetches.NumRecords() > 0 {
			lastRecords = now
		}
		if err := t.readError(t.c, fetches); err != nil && fetches.NumRecords() == 0 {
			return err
		}
		t.read.note(fetches)
		for iter := fetches.RecordIter(); !iter.Done(); {
			rec := iter.Next()
			messages++
			bytes += int64(len(rec.Key) + len(rec.Value))
		}
		if now.Sub(lastReport) >= t.interval {
			if t.detailed {
				t.line(start, lastReport, now, bytes, lastBytes, messages, lastMessages)
			}
			lastReport, lastMessages, lastBytes = now, messages, bytes
		}
	}
	if messages < wanted && ctx.Err() == nil {
		t.failed = true
		t.c.Explain()
		t.printf("WARNING: Exiting before consuming the expected number of records: timeout (%d ms) exceeded. You can use the --timeout option to increase the timeout.\n", ms)
	}
	t.total(start, messages, bytes)
	return nil
}

// refused is what a broker has against the topic, where it answers.
func (t *consumerPerf) refused(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, max(timeout, time.Millisecond))
	defer cancel()
	err := askTopic(ctx, t.c, t.p.value("topic"))
	if refusal := new(client.KafkaError); errors.As(err, &refusal) {
		return refusal
	}
	return nil
}

const megabyte = 1024 * 1024

// rate is per second; without elapsed time Java divides by zero.
func rate(amount float64, elapsed time.Duration) string {
	if elapsed.Milliseconds() == 0 {
		if amount == 0 {
			return "NaN"
		}
		return "Infinity"
	}
	return fmt.Sprintf("%.4f", amount*1000/float64(elapsed.Milliseconds()))
}

func (t *consumerPerf) line(start, from, now time.Time, bytes, lastBytes, messages, lastMessages int64) {
	_, joined := t.takeJoined()
	elapsed := now.Sub(from)
	fetch := elapsed - joined
	mb, n := float64(bytes-lastBytes)/megabyte, float64(messages-lastMessages)
	t.printf("%s, %d, %.4f, %s, %d, %s, %d, %d, %s, %s\n", t.format.format(now), 0, float64(bytes)/megabyte, rate(mb, elapsed), messages, rate(n, elapsed),
		joined.Milliseconds(), fetch.Milliseconds(), rate(mb, fetch), rate(n, fetch))
	t.out.Flush()
}

func (t *consumerPerf) total(start time.Time, messages, bytes int64) {
	end := t.Now()
	elapsed := end.Sub(start)
	joining, _ := t.takeJoined()
	fetch := max(elapsed-joining, time.Millisecond)
	mb := float64(bytes) / megabyte
	if !t.detailed {
		t.printf("%s, %s, %.4f, %s, %d, %s, %d, %d, %s, %s\n", t.format.format(start), t.format.format(end), mb, rate(mb, elapsed), messages, rate(float64(messages), elapsed),
			joining.Milliseconds(), fetch.Milliseconds(), rate(mb, fetch), rate(float64(messages), fetch))
	}
	if t.p.has("print-metrics") {
		t.printMetrics(t.counters.table(t.c.Settings.ClientID))
	}
}

func (t *consumerPerf) leave() {
	ctx, cancel := context.WithTimeout(t.ctx, leaveTimeout)
	defer cancel()
	// What cannot be left now, the session timeout will end.
	_ = t.c.LeaveGroupContext(ctx)
	t.c.CloseAllowingRebalance()
}

// consumerCounters count what the client reads, for --print-metrics.
type consumerCounters struct {
	mu                      sync.Mutex
	records, bytes, batches int64
}

// OnFetchBatchRead implements kgo's hook.
func (c *consumerCounters) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batches++
	c.records += int64(m.NumRecords)
	c.bytes += int64(m.CompressedBytes)
}

func (c *consumerCounters) table(clientID string) map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := func(s string) string {
		return "consumer-fetch-manager-metrics:" + s + ":{client-id=" + clientID + "}"
	}
	return map[string]float64{name("records-consumed-total"): float64(c.records), name("bytes-consumed-total"): float64(c.bytes), name("batches-consumed-total"): float64(c.batches)}
}

// dateFormat prints times as a pattern of Java's SimpleDateFormat says.
type dateFormat []func(time.Time) string

func (f dateFormat) format(t time.Time) string {
	var b strings.Builder
	for _, part := range f {
		b.WriteString(part(t))
	}
	return b.String()
}

func parseDateFormat(pattern string) (dateFormat, error) {
	var out dateFormat
	text := func(s string) { out = append(out, func(time.Time) string { return s }) }
	for i := 0; i < len(pattern); {
		c := pattern[i]
		if c == '\'' {
			end := strings.IndexByte(pattern[i+1:], '\'')
			if end < 0 {
				return nil, errors.New("Unterminated quote")
			}
			if end == 0 {
				text("'")
			} else {
				text(pattern[i+1 : i+1+end])
			}
			i += end + 2
			continue
		}
		n := 1
		for i+n < len(pattern) && pattern[i+n] == c {
			n++
		}
		i += n
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter {
			text(strings.Repeat(string(c), n))
			continue
		}
		f := dateField(c, n)
		if f == nil {
			return nil, fmt.Errorf("Illegal pattern character '%c'", c)
		}
		out = append(out, f)
	}
	return out, nil
}

func dateField(c byte, n int) func(time.Time) string {
	number := func(of func(time.Time) int) func(time.Time) string {
		return func(t time.Time) string { return fmt.Sprintf("%0*d", n, of(t)) }
	}
	layout := func(l string) func(time.Time) string { return func(t time.Time) string { return t.Format(l) } }
	switch c {
	case 'y', 'Y', 'u':
		if n == 2 {
			return layout("06")
		}
		return number(time.Time.Year)
	case 'M', 'L':
		switch {
		case n == 3:
			return layout("Jan")
		case n > 3:
			return layout("January")
		}
		return number(func(t time.Time) int { return int(t.Month()) })
	case 'd':
		return number(time.Time.Day)
	case 'D':
		return number(time.Time.YearDay)
	case 'H':
		return number(time.Time.Hour)
	case 'h':
		return number(func(t time.Time) int { return (t.Hour()+11)%12 + 1 })
	case 'm':
		return number(time.Time.Minute)
	case 's':
		return number(time.Time.Second)
	case 'S':
		return number(func(t time.Time) int { return t.Nanosecond() / int(time.Millisecond) })
	case 'E':
		if n > 3 {
			return layout("Monday")
		}
		return layout("Mon")
	case 'a':
		return layout("PM")
	case 'z':
		return layout("MST")
	case 'Z':
		return layout("-0700")
	case 'X':
		return layout("Z07:00")
	}
	return nil
}
