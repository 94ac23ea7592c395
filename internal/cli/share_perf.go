package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kerr"
)

// kafkaErrorOf is a broker's final refusal, nil for what may pass.
func kafkaErrorOf(err error) error {
	var ke *kerr.Error
	if errors.As(err, &ke) {
		if ke.Retriable || errors.Is(err, kerr.UnknownTopicOrPartition) {
			return nil
		}
		return &client.KafkaError{Code: ke.Code, Message: ke.Description}
	}
	return err
}

func sharePerfOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("topic", "topic", "The topic to read.")
	s.arg("group", "gid", "The share group.").withDefault("perf-share-consumer")
	s.arg("fetch-size", "size", "The most bytes of one fetch and partition.").ofKind(intValue).withDefault("1048576")
	s.arg("command-property", "prop1=val1", "A property of the consumer; wins over --command-config.")
	s.arg("socket-buffer-size", "size", "The size of the socket's receive buffer.").ofKind(intValue).withDefault("2097152")
	s.arg("consumer.config", "config file", "DEPRECATED: the old name of --command-config.")
	s.arg("command-config", "config file", "A properties file for the consumer.")
	s.flag("print-metrics", "Print the consumer's counters at the end.")
	s.flag("show-detailed-stats", "Print a line for each reporting interval.")
	s.flag("show-consumer-stats", "Print a line for each consumer at the end.")
	s.flag("timeout", "The longest wait between records, in ms.").takesMaybe("milliseconds").ofKind(longValue).withDefault("10000")
	s.arg("num-records", "count", "How many records to read.").ofKind(longValue)
	s.arg("messages", "count", "DEPRECATED: the old name of --num-records.").ofKind(longValue)
	s.arg("threads", "count", "How many consumers.").ofKind(intValue).withDefault("1")
	s.arg("reporting-interval", "interval_ms", "How often to report, in ms.").ofKind(longValue).withDefault("5000")
	s.arg("date-format", "date format", "How times are printed, as Java's SimpleDateFormat takes it.").withDefault("yyyy-MM-dd HH:mm:ss:SSS")
	s.flag("hide-header", "Leave out the names of the columns.")
	return s
}

type sharePerf struct {
	*run
	p      *parsed
	format dateFormat
	props  client.Properties
	wanted int64

	mu              sync.Mutex
	messages, bytes int64
	last            time.Time // when a record came last
}

func runSharePerf(r *run, args []string) int {
	set := sharePerfOptions()
	req := []string{"bootstrap-server", "topic", "num-records"}
	p, err := set.parse(args)
	if err != nil {
		code, _ := exitCode(r.usage(set, req, err.Error()))
		return code
	}
	t := &sharePerf{run: r, p: p}
	if err := t.check(req); err != nil {
		return r.outcome(err)
	}
	return r.outcome(t.execute())
}

func (t *sharePerf) check(req []string) error {
	p := t.p
	if err := t.helpOrVersion(p, req, "This tool is used to verify the share consumer performance."); err != nil {
		return err
	}
	if p.has("num-records") == p.has("messages") {
		return t.usage(p.set, req, "Exactly one of the following arguments is required: [messages], [num-records]")
	}
	if err := t.checkRequired(p, req, "topic", "bootstrap-server"); err != nil {
		return err
	}
	if err := t.checkInvalid(p, req, "consumer.config", "command-config"); err != nil {
		return err
	}
	for _, pair := range [][2]string{{"messages", "num-records"}, {"consumer.config", "command-config"}} {
		if p.has(pair[0]) {
			t.printf("Warning: --%s is deprecated. Use --%s instead.\n", pair[0], pair[1])
		}
	}
	return nil
}

const sharePerfColumns = "data.consumed.in.MB, MB.sec, nMsg.sec, data.consumed.in.nMsg"

func (t *sharePerf) execute() error {
	p := t.p
	if !p.has("hide-header") {
		if p.has("show-detailed-stats") {
			t.println("time, threadId, " + sharePerfColumns)
		} else {
			t.println("start.time, end.time, " + sharePerfColumns + ", fetch.time.ms")
		}
	}
	if err := p.repeated("topic", "group", "bootstrap-server", "command-config", "consumer.config", "date-format", "fetch-size", "socket-buffer-size"); err != nil {
		return err
	}
	interval, _ := strconv.ParseInt(p.first("reporting-interval"), 10, 64)
	threads, _ := p.number("threads")
	var ok bool
	if t.wanted, ok = p.number("num-records"); !ok {
		t.wanted, _ = p.number("messages")
	}
	p.number("timeout")
	switch {
	case p.err != nil:
		return p.err
	case p.value("group") == "":
		return &client.ConstructError{Message: "Failed to construct Kafka share consumer", Cause: errors.New("a share consumer needs a group: --group is empty")}
	case threads <= 0:
		t.hint("--threads must be at least 1")
		return errors.New("null\njava.lang.IllegalArgumentException")
	}
	var err error
	if t.format, err = parseDateFormat(p.value("date-format")); err != nil {
		return err
	}
	t.props = client.Properties{}
	if f := p.value("command-config") + p.value("consumer.config"); f != "" {
		if t.props, err = client.LoadProperties(f); err != nil {
			return err
		}
	}
	t.props.Merge(keyValues(p.all("command-property")))
	t.props["bootstrap.servers"] = p.value("bootstrap-server")
	if p.has("socket-buffer-size") { // unasked it would be a note that nobody needs
		t.props["receive.buffer.bytes"] = p.value("socket-buffer-size")
	}
	t.props["max.partition.fetch.bytes"] = p.value("fetch-size")
	delete(t.props, "group.id")
	return t.measure(int(threads), client.Millis(max(interval, 1)))
}

// threadStats is what one consumer has read.
type threadStats struct{ messages, bytes int64 }

func (t *sharePerf) measure(threads int, interval time.Duration) error {
	ctx, stop := t.interruptible()
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.out.Flush()
	start := t.Now()
	t.last = start
	stats, errs := make([]threadStats, threads), make([]error, threads)
	var wg sync.WaitGroup
	for i := range threads {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = t.read(ctx, cancel, &stats[i])
		}()
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	t.report(done, start, interval)
	end := t.Now()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	t.total(start, end, stats)
	return nil
}

// report prints a line for each interval until all consumers are done.
func (t *sharePerf) report(done <-chan struct{}, start time.Time, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	from, messages, bytes := start, int64(0), int64(0)
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		now := t.Now()
		t.mu.Lock()
		m, b := t.messages, t.bytes
		t.mu.Unlock()
		if t.p.has("show-detailed-stats") {
			t.printf("%s, %d, %.4f, %s, %s, %d\n", t.format.format(now), 0, float64(b)/megabyte, rate(float64(b-bytes)/megabyte, now.Sub(from)), rate(float64(m-messages), now.Sub(from)), m)
			t.out.Flush()
		}
		from, messages, bytes = now, m, b
	}
}

// read consumes until all consumers together have read enough, or nothing comes.
func (t *sharePerf) read(ctx context.Context, enough context.CancelFunc, s *threadStats) error {
	c, err := t.openShare(ctx, t.props, t.p.value("topic"), t.p.value("group"))
	if err != nil {
		enough()
		return err
	}
	defer t.closeShare(c)
	ms, _ := t.p.number("timeout")
	timeout := client.Millis(ms)
	for ctx.Err() == nil {
		pollCtx, cancel := context.WithTimeout(ctx, min(100*time.Millisecond, max(timeout, time.Millisecond)))
		fetches := c.PollFetches(pollCtx)
		cancel()
		if err := shareFetchError(fetches); err != nil {
			enough()
			return err
		}
		if t.count(s, fetches.NumRecords(), func() (n int64) {
			for iter := fetches.RecordIter(); !iter.Done(); {
				rec := iter.Next()
				n += int64(len(rec.Key) + len(rec.Value))
			}
			return n
		}()) {
			enough()
		}
		t.mu.Lock()
		idle := t.Now().Sub(t.last)
		t.mu.Unlock()
		if idle > timeout {
			enough()
		}
	}
	return nil
}

func (t *sharePerf) count(s *threadStats, records int, bytes int64) (enough bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if records > 0 {
		t.last = t.Now()
	}
	s.messages += int64(records)
	s.bytes += bytes
	t.messages += int64(records)
	t.bytes += bytes
	return t.messages >= t.wanted
}

func (t *sharePerf) total(start, end time.Time, stats []threadStats) {
	elapsed := end.Sub(start)
	ms, _ := t.p.number("timeout")
	if t.messages < t.wanted {
		t.failed = true
		t.printf("WARNING: Exiting before consuming the expected number of records: timeout (%d ms) exceeded. You can use the --timeout option to increase the timeout.\n", ms)
	}
	line := func(messages, bytes int64) string {
		mb := float64(bytes) / megabyte
		return fmt.Sprintf("%s, %s, %.4f, %s, %s, %d, %d", t.format.format(start), t.format.format(end), mb, rate(mb, elapsed), rate(float64(messages), elapsed), messages, elapsed.Milliseconds())
	}
	if t.p.has("show-consumer-stats") {
		for i, s := range stats {
			t.printf("Share consumer %d consumption metrics- %s\n", i+1, line(s.messages, s.bytes))
		}
	}
	if !t.p.has("show-detailed-stats") {
		t.println(line(t.messages, t.bytes))
	}
	if t.p.has("print-metrics") {
		t.printMetrics(map[string]float64{"consumer-share-fetch-manager-metrics:records-consumed-total": float64(t.messages)})
	}
}
