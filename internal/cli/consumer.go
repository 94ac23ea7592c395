package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const consumerLogger = "org.apache.kafka.tools.consumer.ConsoleConsumer"

func consumerOptions() *optionSet {
	s := newOptions()
	s.arg("topic", "topic", "The topic to read.")
	s.arg("include", "Java regex (String)", "A regular expression for the topics to read.")
	s.arg("partition", "partition", "The partition to read, from its end unless --offset is given.").ofKind(intValue)
	s.arg("offset", "consume offset", "Where to begin: a number, earliest or latest.").withDefault("latest")
	s.arg("consumer-property", "consumer_prop", "DEPRECATED: the old name of --command-property.")
	s.arg("command-property", "consumer_prop", "A property of the consumer, as key=value.")
	s.arg("consumer.config", "config file", "DEPRECATED: the old name of --command-config.")
	s.arg("command-config", "config file", "A properties file for the consumer; --command-property goes before it.")
	s.arg("formatter", "class", "What prints a record: Kafka's Default-, Logging- or NoOpMessageFormatter, or one for the internal topics (Offsets-, GroupMetadata-, TransactionLogMessageFormatter).").withDefault("org.apache.kafka.tools.consumer.DefaultMessageFormatter")
	s.arg("property", "prop", "DEPRECATED: the old name of --formatter-property.")
	s.arg("formatter-property", "prop", "How records are printed, as key=value: print.timestamp, print.key, print.value, print.offset, print.partition, print.headers, print.epoch, print.delivery, key.separator, line.separator, headers.separator, null.literal, key.deserializer, value.deserializer, headers.deserializer.")
	s.arg("formatter-config", "config file", "A properties file with such keys; --formatter-property goes before it.")
	s.flag("from-beginning", "Without a committed offset, begin at the first record and not at the end.")
	s.arg("max-messages", "num_messages", "Stop after this many records.").ofKind(intValue)
	s.arg("timeout-ms", "timeout_ms", "Stop when no record has come for this long.").ofKind(longValue)
	s.flag("skip-message-on-error", "Go on after a record that cannot be printed.")
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("key-deserializer", "deserializer for keys", "The Java class name of a deserializer that Kafka ships.")
	s.arg("value-deserializer", "deserializer for values", "The Java class name of a deserializer that Kafka ships.")
	s.flag("enable-systest-events", "Print events of the consumer's life, for system tests.")
	s.arg("isolation-level", "", "read_committed leaves out what is not, or not yet, committed.").withDefault("read_uncommitted")
	s.arg("group", "consumer group id", "The consumer group.")
	return s
}

func consumerRequired() []string { return []string{"bootstrap-server"} }

// consumerPlan is what the command line asks for.
type consumerPlan struct {
	props       client.Properties
	topic       string
	include     *regexp.Regexp
	partition   int32
	byPartition bool
	offset      kgo.Offset
	max         int64 // -1: no end
	timeout     time.Duration
	hasTimeout  bool
	skipErrors  bool
	systest     bool
	format      formatter
	groupless   bool // no group was asked for: offsets are not committed
	starts      *groupStarts
	read        *readPositions
}

func runConsoleConsumer(r *run, args []string) int {
	set := consumerOptions()
	p, err := set.parse(args)
	if err != nil {
		code, _ := exitCode(r.usage(set, consumerRequired(), err.Error()))
		return code
	}
	plan, err := r.planConsumer(p)
	if err != nil {
		if code, ok := exitCode(err); ok {
			return code
		}
		return r.failln(err.Error(), 1)
	}
	return r.consume(plan, p)
}

func (r *run) planConsumer(p *parsed) (*consumerPlan, error) {
	req := consumerRequired()
	if err := r.helpOrVersion(p, req, "This tool helps to read data from Kafka topics and outputs it to standard output."); err != nil {
		return nil, err
	}
	if err := r.checkConsumerArgs(p, req); err != nil {
		return nil, err
	}
	plan := &consumerPlan{topic: p.first("topic"), max: -1, skipErrors: p.has("skip-message-on-error"), systest: p.has("enable-systest-events")}
	if err := plan.readOffset(r, p, req); err != nil {
		return nil, err
	}
	if err := r.checkRequired(p, req, "bootstrap-server"); err != nil {
		return nil, err
	}
	for _, pair := range [][2]string{{"consumer-property", "command-property"}, {"consumer.config", "command-config"}, {"property", "formatter-property"}} {
		if err := r.conflict(p, req, pair[0], pair[1]); err != nil {
			return nil, err
		}
		if p.has(pair[0]) {
			r.printf("Option --%s is deprecated and will be removed in a future version. Use --%s instead.\n", pair[0], pair[1])
		}
	}
	if err := r.planProperties(plan, p, req); err != nil {
		return nil, err
	}
	f, err := r.newFormatter(p)
	if err != nil {
		return nil, r.usage(p.set, req, err.Error())
	}
	plan.format = f
	p.number("timeout-ms")
	return plan, p.err
}

func (r *run) checkConsumerArgs(p *parsed, req []string) error {
	if p.has("topic") == p.has("include") {
		return r.usage(p.set, req, "Exactly one of the following arguments is required: [include], [topic]")
	}
	if p.has("partition") && !p.has("topic") {
		return r.usage(p.set, req, "The topic is required when partition is specified.")
	}
	if p.has("offset") && !p.has("partition") {
		return r.usage(p.set, req, "The partition is required when offset is specified.")
	}
	if p.has("from-beginning") && p.has("offset") {
		return r.usage(p.set, req, "Options from-beginning and offset cannot be specified together.")
	}
	if p.has("group") && p.has("partition") {
		return r.usage(p.set, req, "Options group and partition cannot be specified together.")
	}
	return nil
}

func (plan *consumerPlan) readOffset(r *run, p *parsed, req []string) error {
	if !p.has("partition") {
		return nil
	}
	n, _ := p.number("partition")
	if p.err != nil {
		return p.err
	}
	plan.byPartition, plan.partition = true, int32(n)
	if n < 0 {
		r.hint(fmt.Sprintf("there is no partition %d", n))
	}
	switch v := p.value("offset"); strings.ToLower(v) {
	case "earliest":
		plan.offset = kgo.NewOffset().AtStart()
	case "latest":
		plan.offset = kgo.NewOffset().AtEnd()
		if p.has("from-beginning") {
			plan.offset = kgo.NewOffset().AtStart()
		}
	default:
		at, err := strconv.ParseInt(v, 10, 64)
		if err != nil || at < 0 {
			return r.usage(p.set, req, fmt.Sprintf("The provided offset value '%s' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long.", v))
		}
		plan.offset = kgo.NewOffset().At(at)
	}
	return nil
}

// planProperties merges file, properties and options and settles group and
// offset reset as Kafka's tool does.
func (r *run) planProperties(plan *consumerPlan, p *parsed, req []string) error {
	fromFile := client.Properties{}
	if f := p.value("command-config") + p.value("consumer.config"); f != "" {
		loaded, err := client.LoadProperties(f)
		if err != nil {
			return err
		}
		fromFile = loaded
	}
	fromArgs := keyValues(append(p.all("command-property"), p.all("consumer-property")...))
	props := fromFile.Clone().Merge(fromArgs)
	if v, ok := props["auto.offset.reset"]; ok && p.has("from-beginning") && v != "earliest" {
		r.failed = true
		r.errorf("Can't simultaneously specify --from-beginning and 'auto.offset.reset=%s', please remove one option\n", v)
		return &exitError{1}
	}
	if p.has("from-beginning") {
		props["auto.offset.reset"] = "earliest"
	}
	props.SetDefault("auto.offset.reset", "latest")
	props["bootstrap.servers"] = p.value("bootstrap-server")
	if p.has("isolation-level") || props["isolation.level"] == "" {
		props["isolation.level"] = p.value("isolation-level")
	}
	group, err := r.agreedGroup(p, req, fromArgs["group.id"], fromFile["group.id"])
	if err != nil {
		return err
	}
	if group == "" {
		// A group of its own for this run; nobody will come back to its offsets.
		group = fmt.Sprintf("console-consumer-%d", rand.IntN(100000))
		if v := strings.ToLower(props["enable.auto.commit"]); v == "" || v == "true" { // what is neither is a mistake
			props["enable.auto.commit"] = "false"
		}
		plan.groupless = true
	}
	props["group.id"] = group
	props.SetDefault("client.id", "console-consumer")
	plan.props = props
	return nil
}

func (r *run) agreedGroup(p *parsed, req []string, others ...string) (string, error) {
	var found []string
	for _, g := range append([]string{p.value("group")}, others...) {
		if g != "" && !contains(found, g) {
			found = append(found, g)
		}
	}
	if found = hashMapOrder(found); len(found) > 1 {
		return "", r.usage(p.set, req, "The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--consumer.config') do not match. Detected group ids: '"+strings.Join(found, "', '")+"'")
	}
	if len(found) == 0 {
		return "", nil
	}
	return found[0], nil
}

// consumerFailure is a failure under its Java name.
type consumerFailure struct {
	class string
	error
}

func (f *consumerFailure) ClassName() string { return f.class }
func (f *consumerFailure) Unwrap() error     { return f.error }

// consume runs the plan.
func (r *run) consume(plan *consumerPlan, p *parsed) int {
	cc := &consoleConsumer{run: r, plan: plan}
	if err := plan.settle(p); err != nil {
		if _, late := err.(*lateError); late {
			cc.summary()
		}
		return cc.unbuilt(err)
	}
	if err := cc.open(); err != nil {
		return cc.unbuilt(err)
	}
	ctx, stop := cc.interruptible()
	defer stop()
	err := cc.loop(ctx)
	cc.close()
	cc.summary()
	if err != nil {
		return cc.unbuilt(err)
	}
	if sig := cc.signal(); sig != nil {
		return signalExit(sig)
	}
	return 0
}

// unbuilt logs why the tool cannot run, or go on.
func (cc *consoleConsumer) unbuilt(err error) int {
	if ce := new(client.ConstructError); errors.As(err, &ce) {
		cc.logLine("ERROR", consumerLogger, "Unknown error when running consumer: ")
		cc.errorln("org.apache.kafka.common.KafkaException: " + ce.Message)
		cc.explainConstruct(ce)
		return cc.fail(1)
	}
	if ce := new(client.ConfigError); errors.As(err, &ce) {
		err = &consumerFailure{"org.apache.kafka.common.config.ConfigException", ce}
	}
	cc.logError(consumerLogger, "Unknown error when running consumer: ", err)
	cc.explainConstruct(err)
	return cc.fail(1)
}

// lateError is of what Kafka's tool looks at when it has a consumer: then it counts records too.
type lateError struct{ *consumerFailure }

func (e *lateError) Unwrap() error { return e.consumerFailure }

// settle reads the options that Kafka reads only when the consumer is about to run: words and exit code differ from those of
// others.
func (plan *consumerPlan) settle(p *parsed) error {
	if err := p.repeated("topic", "include"); err != nil {
		return err
	}
	if n, ok := p.number("max-messages"); ok {
		plan.max = n
	}
	if n, ok := p.number("timeout-ms"); ok && n >= 0 {
		plan.timeout, plan.hasTimeout = client.Millis(n), true
	}
	if p.err != nil {
		return &lateError{&consumerFailure{"org.apache.kafka.common.KafkaException", p.err}}
	}
	if p.has("group") && p.value("group") == "" {
		return &client.ConstructError{Message: "Failed to construct kafka consumer", Cause: errors.New("the group of --group has no name")}
	}
	if !p.has("include") {
		return nil
	}
	if p.value("include") == "" {
		return &consumerFailure{"java.lang.IllegalArgumentException", errors.New("Topic pattern to subscribe to cannot be empty")}
	}
	re, err := compileSubscription(p.value("include"))
	if err != nil {
		return &consumerFailure{"java.util.regex.PatternSyntaxException", err}
	}
	plan.include = re
	return nil
}

// open makes the consumer.
func (cc *consoleConsumer) open() error {
	cc.plan.starts, cc.plan.read = newGroupStarts(cc.run), newReadPositions()
	var opened atomic.Bool
	voice := cc.voice()
	voice.Hint = func(s string) {
		if opened.Load() {
			cc.troubled.Store(true)
		}
		cc.hint(s)
	}
	c, err := client.Open(client.Consumer, cc.plan.props, voice, cc.plan.options)
	if err != nil {
		return err
	}
	opened.Store(true)
	cc.plan.starts.open(c)
	cc.c = c
	return nil
}

// signalExit is the exit code of a process that a signal ended.
func signalExit(sig os.Signal) int {
	if s, ok := sig.(syscall.Signal); ok {
		return 128 + int(s)
	}
	return 1
}

func (plan *consumerPlan) options(s *client.Settings) ([]kgo.Opt, error) {
	opts, err := s.ConsumerOptions()
	if err != nil {
		return nil, err
	}
	if d, ok := strings.CutPrefix(s.Consumer.OffsetReset, "by_duration:"); ok {
		if _, err := parseISODuration(d); err != nil {
			return nil, &client.ConfigError{Message: "Invalid value " + s.Consumer.OffsetReset + " for configuration auto.offset.reset: Unable to parse duration string"}
		}
	}
	opts = append(opts, resetOptions(s.Consumer.OffsetReset)...)
	if plan.byPartition && plan.partition < 0 {
		return opts, nil // there is nothing to read, and Kafka's tool waits for it
	}
	if plan.byPartition {
		return append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{plan.topic: {plan.partition: plan.offset}})), nil
	}
	group, err := s.GroupOptions()
	if err != nil {
		return nil, err
	}
	opts = append(opts, group...)
	if plan.include != nil {
		opts = append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics(plan.include.String()))
	} else {
		opts = append(opts, kgo.ConsumeTopics(plan.topic))
	}
	if !s.Consumer.AutoCommit {
		return append(opts, kgo.DisableAutoCommit(), kgo.AdjustFetchOffsetsFn(plan.read.resume)), nil
	}
	opts = append(opts, kgo.AdjustFetchOffsetsFn(func(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
		offsets, err := plan.read.resume(ctx, offsets)
		if err != nil || s.Consumer.OffsetReset == "none" {
			return offsets, err
		}
		return plan.starts.resolve(ctx, offsets)
	}))
	return append(opts, kgo.AutoCommitMarks(), kgo.AutoCommitInterval(s.Consumer.CommitEvery())), nil
}

func resetOptions(reset string) []kgo.Opt {
	at := func(o kgo.Offset) []kgo.Opt { return []kgo.Opt{kgo.ConsumeStartOffset(o), kgo.ConsumeResetOffset(o)} }
	switch {
	case reset == "earliest":
		return at(kgo.NewOffset().AtStart())
	case reset == "none":
		return []kgo.Opt{kgo.ConsumeStartOffset(kgo.NewOffset().AtCommitted()), kgo.ConsumeResetOffset(kgo.NoResetOffset())}
	case strings.HasPrefix(reset, "by_duration:"):
		if d, err := parseISODuration(strings.TrimPrefix(reset, "by_duration:")); err == nil {
			return at(kgo.NewOffset().AfterMilli(time.Now().Add(-d).UnixMilli()))
		}
	}
	return at(kgo.NewOffset().AtEnd())
}

type consoleConsumer struct {
	*run
	plan     *consumerPlan
	c        *client.Client
	messages int64
	caught   chan os.Signal // holds the signal that ended the loop
	troubled atomic.Bool    // a broker could not be reached, or did not answer as one
	last     *kgo.Record    // the last one that was read
	more     bool           // its partition had more when it was read
}

func (cc *consoleConsumer) interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancel(cc.ctx)
	cc.caught = make(chan os.Signal, 1)
	if cc.Signals == nil {
		return ctx, cancel
	}
	signals, stop := cc.Signals()
	go func() {
		select {
		case sig := <-signals:
			cc.caught <- sig
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { stop(); cancel() }
}

func (cc *consoleConsumer) signal() os.Signal {
	select {
	case s := <-cc.caught:
		return s
	default:
		return nil
	}
}

func (cc *consoleConsumer) summary() {
	if cc.plan.systest {
		cc.println("shutdown_complete")
	}
	cc.errorf("Processed a total of %d messages\n", cc.messages)
}

// loop reads until there is a reason to stop. A failure to read is logged and
// ends the tool with 0, as Kafka's does; a failure to print is returned.
func (cc *consoleConsumer) loop(ctx context.Context) error {
	if cc.plan.max == 0 {
		return nil
	}
	if err := cc.connect(ctx); err != nil {
		cc.failed = ctx.Err() == nil // nobody answered at all
		return cc.readFailed(ctx, err)
	}
	for cc.plan.max < 0 || cc.messages < cc.plan.max {
		fetches, err := cc.poll(ctx)
		if printErr := cc.printAll(fetches); printErr != nil {
			return printErr
		}
		if flushErr := cc.out.Flush(); flushErr != nil {
			cc.failed = !readerGone(flushErr)
			cc.errorln("Unable to write to standard out, closing consumer.")
			return nil
		}
		if err != nil {
			return cc.readFailed(ctx, err)
		}
	}
	return nil
}

func (cc *consoleConsumer) readFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil // a signal
	}
	var te *client.TimeoutError
	if !errors.As(err, &te) || te.Message != "" || cc.messages == 0 && cc.troubled.Load() {
		cc.failed = true // that no more came in time is what --timeout-ms asks for, where something could have come
	}
	cc.logError(consumerLogger, "Error processing message, terminating consumer process: ", err)
	return nil
}

// connect waits for the cluster, so that what stands in the way is told at
// once; reading itself would only be silent.
func (cc *consoleConsumer) connect(ctx context.Context) error {
	if cc.plan.hasTimeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cc.plan.timeout)
		defer cancel()
	}
	for {
		err := cc.ask(ctx)
		var te *client.TimeoutError
		switch {
		case err == nil:
			return nil
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return &client.TimeoutError{}
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &te):
			return err
		case client.Unusable(err):
			return &client.TimeoutError{} // it is said why: to wait would be for nothing
		}
	}
}

func (cc *consoleConsumer) ask(ctx context.Context) error {
	if cc.plan.topic == "" {
		_, err := cc.c.Metadata(ctx, "metadata", nil, false)
		return err
	}
	return askTopic(ctx, cc.c, cc.plan.topic)
}

// askTopic asks for the topic before it is read, so that a missing one is created, or a forbidden one refused, as for any
// consumer.
func askTopic(ctx context.Context, c *client.Client, topic string) error {
	if err := c.Settings.Consumer.CheckRemoteAssignor(); err != nil {
		return err
	}
	if !c.Settings.Consumer.AllowAutoCreate {
		_, err := c.Metadata(ctx, "metadata", []string{topic}, false)
		return err
	}
	md, err := c.MetadataCreating(ctx, "metadata", topic)
	if err != nil {
		return err
	}
	return refusedTopic(md, topic)
}

// refusedTopic is what the brokers have against the topic that waiting does not mend.
func refusedTopic(md *kmsg.MetadataResponse, topic string) error {
	for _, t := range md.Topics {
		if t.ErrorCode == client.CodeTopicAuthFailed || t.ErrorCode == kerr.InvalidTopicException.Code {
			return topicError(t.ErrorCode, topic)
		}
	}
	return nil
}

// poll waits for records; with --timeout-ms it gives up when none come.
func (cc *consoleConsumer) poll(ctx context.Context) (kgo.Fetches, error) {
	limit := cc.c.Settings.Consumer.MaxPollRecords
	if cc.plan.max >= 0 {
		limit = min(limit, cc.plan.max-cc.messages)
	}
	pollCtx := ctx
	if cc.plan.hasTimeout {
		var cancel context.CancelFunc
		pollCtx, cancel = context.WithTimeout(ctx, cc.plan.timeout)
		defer cancel()
	}
	for { // what passes, as a broker that is away for a moment, does not begin the time anew
		fetches := cc.c.PollRecords(pollCtx, int(limit))
		if fetches.NumRecords() > 0 {
			return fetches, cc.fetchError(fetches)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := cc.fetchError(fetches); err != nil {
			return nil, err
		}
		if pollCtx.Err() != nil {
			return nil, &client.TimeoutError{} // Kafka's has no message either
		}
	}
}

// fetchError is the first error that is not a passing one.
func (cc *consoleConsumer) fetchError(fetches kgo.Fetches) error {
	return cc.readError(cc.c, fetches)
}

func (r *run) readError(c *client.Client, fetches kgo.Fetches) error {
	var found error
	fetches.EachError(func(topic string, partition int32, err error) {
		if found == nil {
			found = r.consumeError(c, topic, partition, err)
		}
	})
	return found
}

// passing tells of a group that cannot be reached at the moment: the client goes on trying to join, as Kafka's does, and
// what stands in its way is told by the client's hints. What a broker has refused, and a wrong protocol, do not pass.
func passing(err error) bool {
	var session *kgo.ErrGroupSession
	var refused *kerr.Error
	var tls *client.TLSError
	return errors.As(err, &session) && !errors.As(err, &refused) && !errors.As(err, &tls)
}

func (r *run) consumeError(c *client.Client, topic string, partition int32, err error) error {
	var lost *kgo.ErrDataLoss
	switch {
	case passing(err):
		return nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		return nil
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return topicError(client.CodeTopicAuthFailed, topic)
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return &client.KafkaError{Code: client.CodeGroupAuthFailed, Message: "Not authorized to access group: " + c.Settings.Consumer.GroupID}
	case errors.As(err, &lost):
		r.hint(fmt.Sprintf("records of %s-%d were lost or deleted before they could be read: %v", topic, partition, err))
		return nil
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.LeaderNotAvailable), errors.Is(err, kerr.NotLeaderForPartition):
		return nil // it may come
	case c.Settings.Consumer.OffsetReset == "none" && (strings.Contains(err.Error(), "no offset") || strings.Contains(err.Error(), "offset")):
		return &consumerFailure{"org.apache.kafka.clients.consumer.NoOffsetForPartitionException", fmt.Errorf("Undefined offset with no reset policy for partitions: [%s-%d]", topic, partition)}
	}
	var ke *kerr.Error
	if errors.As(err, &ke) {
		if ke.Retriable {
			return nil
		}
		return &client.KafkaError{Code: ke.Code, Message: ke.Description}
	}
	return err
}

func (cc *consoleConsumer) printAll(fetches kgo.Fetches) error {
	cc.plan.read.note(fetches)
	commit := !cc.plan.byPartition && cc.c.Settings.Consumer.AutoCommit
	iter := fetches.RecordIter()
	for !iter.Done() {
		rec := iter.Next()
		cc.messages++
		if err := cc.plan.format.write(cc.out, rec); err != nil {
			cc.failed = true
			err = &consumerFailure{"org.apache.kafka.common.errors.SerializationException", err}
			if !cc.plan.skipErrors {
				return err
			}
			cc.logError(consumerLogger, "Error processing message, skipping this message: ", err)
		}
		if commit {
			cc.c.MarkCommitRecords(rec)
		}
		cc.last = rec
	}
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if cc.last != nil && p.Topic == cc.last.Topic && p.Partition == cc.last.Partition {
			cc.more = cc.last.Offset+1 < p.HighWatermark
		}
	})
	return nil
}

// commitStop commits where --max-messages has stopped amid what Kafka's tool has fetched. It goes back there, and an offset that
// was gone back to has no leader epoch.
func (cc *consoleConsumer) commitStop(ctx context.Context) error {
	if !cc.more || cc.messages != cc.plan.max {
		return nil
	}
	var refused error
	stop := map[string]map[int32]kgo.EpochOffset{cc.last.Topic: {cc.last.Partition: {Epoch: -1, Offset: cc.last.Offset + 1}}}
	cc.c.SetOffsets(stop) // or leaving the group would commit the epoch again
	cc.c.CommitOffsetsSync(ctx, stop,
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
			refused = err
		})
	return refused
}

// leaveTimeout bounds the good-bye: committing and leaving the group.
const leaveTimeout = 5 * time.Second

func (cc *consoleConsumer) close() {
	ctx, cancel := context.WithTimeout(cc.ctx, leaveTimeout)
	defer cancel()
	if !cc.plan.byPartition {
		if cc.c.Settings.Consumer.AutoCommit {
			err := cc.c.CommitMarkedOffsets(ctx)
			if err == nil {
				err = cc.commitStop(ctx)
			}
			if err != nil && cc.messages > 0 {
				cc.failed = true
				cc.hint(fmt.Sprintf("the offsets could not be committed: %v", err))
			}
			cc.plan.starts.commit(ctx)
		}
		// What cannot be left now, the session timeout will end.
		_ = cc.c.LeaveGroupContext(ctx)
	}
	cc.c.CloseAllowingRebalance()
}
