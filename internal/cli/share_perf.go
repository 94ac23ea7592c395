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
	s.flag("show-detailed-stats", "Print a line of each consumer's for each reporting interval.")
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
	p        *parsed
	format   dateFormat
	props    client.Properties
	wanted   int64
	timeout  int64 // in ms
	interval time.Duration
	noReport error // what is wrong with the interval: said when there is a record to report

	mu       sync.Mutex
	messages int64 // of all consumers
	bytes    int64
	failure  error
}

// fails notes the first failure: others may come from that it ended all consumers.
func (t *sharePerf) fails(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failure == nil {
		t.failure = err
	}
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

func (t *sharePerf) execute() error {
	p := t.p
	if !p.has("hide-header") {
		t.println("start.time, end.time, data.consumed.in.MB, MB.sec, nMsg.sec, data.consumed.in.nMsg, fetch.time.ms")
	}
	if err := p.repeated("topic", "group", "bootstrap-server", "command-config", "consumer.config", "date-format", "fetch-size", "socket-buffer-size"); err != nil {
		return err
	}
	threads, _ := p.number("threads")
	var ok bool
	if t.wanted, ok = p.number("num-records"); !ok {
		t.wanted, _ = p.number("messages")
	}
	t.timeout, _ = p.number("timeout")
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
		return inThread("java.lang.IllegalArgumentException", err.Error())
	}
	t.interval, t.noReport = t.reportingInterval()
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
	t.props["fetch.max.bytes"] = p.value("fetch-size")
	if t.props["client.id"] == "" {
		t.props["client.id"] = "perf-share-consumer-client"
	}
	delete(t.props, "group.id")
	return t.measure(int(threads))
}

// now is the time in whole milliseconds, so that what has passed is what the times printed differ by.
func (t *sharePerf) now() time.Time { return t.Now().Truncate(time.Millisecond) }

// inThread is an exception in a consumer's thread, as the thread that waits for it says it.
func inThread(class, message string) error {
	text := class + ": " + message
	return errors.New(text + "\njava.util.concurrent.ExecutionException: " + text)
}

func (t *sharePerf) reportingInterval() (time.Duration, error) {
	const option = "reporting-interval"
	text := t.p.first(option)
	ms, err := strconv.ParseInt(text, 10, 64)
	switch {
	case len(t.p.values[option]) > 1:
		return 0, inThread("joptsimple.MultipleArgumentsForOptionException", fmt.Sprintf(repeatedOption, option))
	case err != nil:
		return 0, inThread("joptsimple.OptionArgumentConversionException", fmt.Sprintf("Cannot parse argument '%s' of option %s", text, option))
	case ms <= 0:
		return 0, inThread("java.lang.IllegalArgumentException", "Reporting interval must be greater than 0.")
	}
	return client.Millis(ms), nil
}

func (t *sharePerf) measure(threads int) error {
	ctx, stop := t.interruptible()
	defer stop()
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	t.out.Flush()
	start := t.now()
	readers := make([]*shareReader, threads)
	var wg sync.WaitGroup
	for i := range readers {
		readers[i] = t.newReader(i+1, threads)
		wg.Go(func() {
			if err := readers[i].read(ctx, enough); err != nil {
				t.fails(err)
				enough()
			}
		})
	}
	wg.Wait()
	defer func() {
		for _, s := range readers {
			s.close()
		}
	}()
	end := t.now()
	if t.failure != nil {
		return t.failure
	}
	t.total(start, end, readers)
	return nil
}

func (t *sharePerf) total(start, end time.Time, readers []*shareReader) {
	if t.p.has("show-consumer-stats") {
		for _, s := range readers {
			t.printf("Share consumer %d having client id %s consumption metrics- %s\n", s.number, s.clientID, t.line(start, end, s.messages, s.bytes))
		}
	}
	if t.messages < t.wanted {
		t.failed = true
		t.printf("WARNING: Exiting before consuming the expected number of records: timeout (%d ms) exceeded. You can use the --timeout option to increase the timeout.\n", t.timeout)
	}
	t.println(t.line(start, end, t.messages, t.bytes))
	if t.p.has("print-metrics") {
		for _, s := range readers {
			t.printMetrics(map[string]float64{"consumer-share-fetch-manager-metrics:records-consumed-total:{client-id=" + s.clientID + "}": float64(s.messages)})
		}
	}
}

func (t *sharePerf) line(start, end time.Time, messages, bytes int64) string {
	mb, elapsed := float64(bytes)/megabyte, end.Sub(start)
	return fmt.Sprintf("%s, %s, %.4f, %s, %s, %d, %d", t.format.format(start), t.format.format(end), mb, rate(mb, elapsed), rate(float64(messages), elapsed), messages, elapsed.Milliseconds())
}
