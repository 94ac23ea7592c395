package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const producerLogger = "org.apache.kafka.tools.ConsoleProducer"

func producerOptions() *optionSet {
	s := newOptions()
	s.arg("topic", "topic", "The topic to send to.")
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.flag("sync", "Wait for the broker's answer after each line.")
	s.flag("compression-codec", "The compression: none, gzip, snappy, lz4 or zstd; gzip when no value is given.").takesMaybe("compression-codec")
	s.arg("batch-size", "size", "How many bytes of one partition are sent together.").ofKind(intValue).withDefault("16384")
	s.arg("message-send-max-retries", "", "How often a batch is tried again after a failure.").ofKind(intValue).withDefault("3")
	s.arg("retry-backoff-ms", "", "The wait before another try.").ofKind(longValue).withDefault("100")
	s.arg("timeout", "timeout_ms", "How long a line may wait for others to be sent with; not used with --sync.").ofKind(longValue).withDefault("1000")
	s.arg("request-required-acks", "request required acks", "Which acknowledgement to wait for: all (-1), 1 or 0.").withDefault("-1")
	s.arg("request-timeout-ms", "request timeout ms", "How long a request may take.").ofKind(intValue).withDefault("1500")
	s.arg("metadata-expiry-ms", "metadata expiration interval", "After how long metadata is asked for again.").ofKind(longValue).withDefault("300000")
	s.arg("max-block-ms", "max block on send", "How long sending may wait for the topic's metadata or for memory.").ofKind(longValue).withDefault("60000")
	s.arg("max-memory-bytes", "total memory in bytes", "How many bytes may wait to be sent.").ofKind(longValue).withDefault("33554432")
	s.arg("max-partition-memory-bytes", "memory in bytes per partition", "The old name of --batch-size.").ofKind(intValue).withDefault("16384")
	s.arg("socket-buffer-size", "size", "The size of the socket's send buffer.").ofKind(intValue).withDefault("102400")
	s.arg("line-reader", "reader_class", "What reads the input; only Kafka's line reader is available.").withDefault("org.apache.kafka.tools.LineMessageReader")
	s.arg("property", "prop", "DEPRECATED: the old name of --reader-property.")
	s.arg("reader-property", "prop", "How lines are read, as key=value: parse.key, key.separator (tab), parse.headers, headers.delimiter (tab), headers.separator (,), headers.key.separator (:), null.marker, ignore.error.")
	s.arg("reader-config", "config file", "A properties file with such keys; --reader-property goes before it.")
	s.arg("producer-property", "producer_prop", "DEPRECATED: the old name of --command-property.")
	s.arg("command-property", "producer_prop", "A property of the producer, as key=value.")
	s.arg("producer.config", "config file", "DEPRECATED: the old name of --command-config.")
	s.arg("command-config", "config file", "A properties file for the producer; --command-property goes before it.")
	return s
}

func producerRequired() []string { return []string{"topic", "bootstrap-server"} }

func runConsoleProducer(r *run, args []string) int {
	set := producerOptions()
	p, err := set.parse(args)
	if err != nil {
		code, _ := exitCode(r.usage(set, producerRequired(), err.Error()))
		return code
	}
	lines, props, err := r.producerSetup(p)
	if err != nil {
		if code, ok := exitCode(err); ok {
			return code
		}
		return r.failln(err.Error(), 1)
	}
	cp := &consoleProducer{run: r, topic: p.value("topic"), sync: p.has("sync")}
	if p.err != nil {
		return r.failln(p.err.Error(), 1)
	}
	c, err := client.Open(client.Producer, props, r.voice(), producerExtra)
	if err != nil {
		r.hintNearestWord("compression codec", props["compression.type"], []string{"none", "gzip", "snappy", "lz4", "zstd"})
		code := r.failln(err.Error(), 1)
		r.explainConstruct(err)
		return code
	}
	cp.c = c
	return cp.pump(lines)
}

func producerExtra(s *client.Settings) ([]kgo.Opt, error) { return s.ProducerOptions() }

// producerSetup checks the arguments and makes the reader and the properties.
func (r *run) producerSetup(p *parsed) (*lineReader, client.Properties, error) {
	req := producerRequired()
	if err := r.helpOrVersion(p, req, "This tool helps to read data from standard input and publish it to Kafka."); err != nil {
		return nil, nil, err
	}
	if err := r.checkRequired(p, req, "topic"); err != nil {
		return nil, nil, err
	}
	if err := r.checkBootstrapOption(p, req); err != nil {
		return nil, nil, err
	}
	for _, pair := range [][2]string{{"command-property", "producer-property"}, {"command-config", "producer.config"}, {"reader-property", "property"}} {
		if err := r.conflict(p, req, pair[0], pair[1]); err != nil {
			return nil, nil, err
		}
	}
	r.warnDeprecated(p, "property", "reader-property")
	r.warnDeprecated(p, "producer-property", "command-property")
	r.warnDeprecated(p, "producer.config", "command-config")
	if p.has("max-partition-memory-bytes") {
		r.println("Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka 5.0. Use --batch-size instead.")
	}
	props, err := producerProperties(p)
	if err != nil {
		return nil, nil, err
	}
	lines, err := r.newLineReader(p)
	return lines, props, err
}

func (r *run) warnDeprecated(p *parsed, old, name string) {
	if p.has(old) {
		r.printf("Warning: --%s is deprecated and will be removed in a future version. Use --%s instead.\n", old, name)
	}
}

func (r *run) checkBootstrapOption(p *parsed, req []string) error {
	b := p.value("bootstrap-server")
	if b == "" {
		return r.usage(p.set, req, "Error while validating the bootstrap address\n")
	}
	if !client.ValidHostPorts(b) {
		return r.usage(p.set, req, "Please provide valid host:port like host1:9091,host2:9092\n")
	}
	return nil
}

// keyValues reads `key=value` arguments; without "=" the value is empty.
func keyValues(args []string) client.Properties {
	out := client.Properties{}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		if k != "" {
			out[k] = v
		}
	}
	return out
}

// producerProperties lays the options over the file: an option given by hand
// wins over the file's key, and the file's key over an option's default.
func producerProperties(p *parsed) (client.Properties, error) {
	props := client.Properties{}
	file := p.value("command-config") + p.value("producer.config")
	if file != "" {
		loaded, err := client.LoadProperties(file)
		if err != nil {
			return nil, err
		}
		props.Merge(loaded)
	}
	props.Merge(keyValues(append(p.all("command-property"), p.all("producer-property")...)))
	props["bootstrap.servers"] = p.value("bootstrap-server")
	props["compression.type"] = "none" // whatever a property says: Kafka's tool always sets it
	if p.has("compression-codec") {
		props["compression.type"] = p.value("compression-codec")
	}
	if p.has("compression-codec") && p.value("compression-codec") == "" {
		props["compression.type"] = "gzip"
	}
	props.SetDefault("client.id", "console-producer")
	set := func(key, opt string) {
		if p.has(opt) {
			props[key] = p.value(opt)
			return
		}
		props.SetDefault(key, p.value(opt))
	}
	if p.has("sync") {
		// A line at a time: nothing to wait for.
		props.SetDefault("linger.ms", "0")
	}
	set("linger.ms", "timeout")
	set("acks", "request-required-acks")
	set("request.timeout.ms", "request-timeout-ms")
	set("retries", "message-send-max-retries")
	set("retry.backoff.ms", "retry-backoff-ms")
	set("buffer.memory", "max-memory-bytes")
	set("metadata.max.age.ms", "metadata-expiry-ms")
	set("max.block.ms", "max-block-ms")
	for _, o := range []string{"max-partition-memory-bytes", "batch-size"} {
		if p.has(o) {
			props["batch.size"] = p.value(o)
		}
	}
	if p.has("socket-buffer-size") {
		props["send.buffer.bytes"] = p.value("socket-buffer-size")
	}
	return props, p.err
}

// consoleProducer sends lines. The main goroutine reads and hands over; the
// client's goroutines report what failed.
type consoleProducer struct {
	*run
	c     *client.Client
	topic string
	sync  bool
	ready bool // the topic's metadata is known
	warn  sync.Mutex
}

func (cp *consoleProducer) pump(lines *lineReader) int {
	stop := cp.closeOnSignal()
	defer stop()
	defer cp.c.Close()
	if err := lines.each(cp.send); err != nil {
		cp.finish()
		return cp.failln(err.Error(), 1)
	}
	cp.finish()
	return 0
}

// closeOnSignal sends what is buffered before SIGINT or SIGTERM ends the tool.
func (cp *consoleProducer) closeOnSignal() (stop func()) {
	if cp.Signals == nil {
		return func() {}
	}
	signals, stop := cp.Signals()
	go func() {
		if sig, ok := <-signals; ok {
			cp.finish()
			cp.Exit(signalExit(sig))
		}
	}()
	return stop
}

// flushTimeout bounds the wait for the last batches: longer than any delivery
// timeout that the defaults allow.
const flushTimeout = 3 * time.Minute

func (cp *consoleProducer) finish() {
	ctx, cancel := context.WithTimeout(cp.ctx, flushTimeout)
	defer cancel()
	if err := cp.c.Flush(ctx); err != nil {
		cp.logError(producerLogger, "Not everything could be sent", err)
		cp.failed = true
	}
}

func (cp *consoleProducer) send(rec *kgo.Record) error {
	rec.Topic = cp.topic
	if !cp.ready {
		if err := cp.awaitTopic(cp.ctx); err != nil {
			cp.report(rec, err)
			return nil
		}
		cp.ready = true
	}
	if cp.c.Settings.Producer.TransactionalID != "" { // this tool begins no transaction
		return fmt.Errorf("Cannot add partition %s-0 to transaction before completing a call to initTransactions", cp.topic)
	}
	if cp.sync {
		if err := cp.c.Settings.Producer.Fits(rec); err != nil {
			return err
		}
		if err := cp.c.ProduceSync(cp.ctx, rec).FirstErr(); err != nil {
			// In this mode Kafka's tool ends with the first failure.
			return cp.wording(err)
		}
		return nil
	}
	cp.c.Send(cp.ctx, rec, func(rec *kgo.Record, err error) {
		if err != nil {
			cp.report(rec, cp.wording(err))
		}
	})
	return nil
}

// awaitTopic waits, at most max.block.ms, until the topic has partitions; the
// broker may have to create it.
func (cp *consoleProducer) awaitTopic(ctx context.Context) error {
	maxBlock := cp.c.Settings.Producer.MaxBlock
	ctx, cancel := context.WithTimeout(ctx, maxBlock)
	defer cancel()
	for n := 1; ; n++ {
		md, err := cp.c.MetadataCreating(ctx, "metadata", cp.topic)
		var te *client.TimeoutError
		switch {
		case errors.As(err, &te) || ctx.Err() != nil:
			return &client.TimeoutError{Message: fmt.Sprintf("Topic %s not present in metadata after %d ms.", cp.topic, maxBlock.Milliseconds())}
		case err != nil:
			return err
		}
		for _, t := range md.Topics {
			if t.ErrorCode == 0 && len(t.Partitions) > 0 {
				cp.c.LearnBatchLimit(ctx, cp.topic)
				return nil
			}
			if ke := kerr.TypedErrorForCode(t.ErrorCode); ke != nil && !ke.Retriable {
				return topicError(t.ErrorCode, cp.topic)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(cp.c.Settings.Backoff(n)):
		}
	}
}

// topicError has the sentences of the client, which name the topic.
func topicError(code int16, topic string) error {
	e := &client.KafkaError{Code: code, Message: client.CodeText(code)}
	switch code {
	case client.CodeTopicAuthFailed:
		e.Message = "Not authorized to access topics: [" + topic + "]"
	case kerr.InvalidTopicException.Code:
		e.Message = "Invalid topics: [" + topic + "]"
	}
	return e
}

func (cp *consoleProducer) wording(err error) error {
	var ke *kerr.Error
	if errors.As(err, &ke) {
		if ke.Code == client.CodeTopicAuthFailed || ke.Code == kerr.InvalidTopicException.Code {
			return topicError(ke.Code, cp.topic)
		}
		text := ke.Description
		if ke.Code == kerr.InvalidTransactionTimeout.Code {
			text = "Unexpected error in InitProducerIdResponse; " + text
		}
		return &client.KafkaError{Code: ke.Code, Message: text}
	}
	if errors.Is(err, kgo.ErrRecordRetries) {
		return client.CodeError(kerr.NetworkException.Code, nil)
	}
	if errors.Is(err, kgo.ErrRecordTimeout) {
		return &client.TimeoutError{Message: fmt.Sprintf("Expiring the record of topic %s: %d ms has passed since it was handed over", cp.topic, cp.c.Settings.Producer.DeliveryTimeout.Milliseconds())}
	}
	return err
}

// report prints what Kafka logs for a record that could not be sent. The tool
// goes on and, like Kafka's, exits 0.
func (cp *consoleProducer) report(rec *kgo.Record, err error) {
	cp.warn.Lock()
	defer cp.warn.Unlock()
	cp.failed = true
	key := "null"
	if rec.Key != nil {
		key = fmt.Sprintf("%d bytes", len(rec.Key))
	}
	value := "null"
	if rec.Value != nil {
		value = fmt.Sprintf("%d bytes", len(rec.Value))
	}
	cp.logError("org.apache.kafka.clients.producer.internals.ErrorLoggingCallback",
		fmt.Sprintf("Error when sending message to topic %s with key: %s, value: %s with error:", cp.topic, key, value), err)
}
