package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// openShare makes a member of a share group. A cluster without share groups is
// refused before anything else.
func (r *run) openShare(ctx context.Context, props client.Properties, topic, group string) (*client.Client, error) {
	c, err := client.Open(client.Consumer, props, r.voice(), func(s *client.Settings) ([]kgo.Opt, error) {
		s.Consumer.ShareGroup = group
		opts, err := s.ConsumerOptions()
		return append(opts, s.NameOption(), kgo.ShareGroup(group), kgo.ConsumeTopics(topic)), err
	})
	if err != nil {
		return nil, err
	}
	if err := r.needShareGroups(ctx, c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (r *run) needShareGroups(ctx context.Context, c *client.Client) error {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "moldau", "1"
	resp, err := c.Any(ctx, "apiVersions", req)
	if err != nil {
		return err
	}
	has := map[int16]bool{}
	for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		has[k.ApiKey] = true
	}
	for _, need := range []struct {
		key  int16
		name string
	}{{76, "SHARE_GROUP_HEARTBEAT"}, {78, "SHARE_FETCH"}, {79, "SHARE_ACKNOWLEDGE"}} {
		if !has[need.key] && need.name == "SHARE_GROUP_HEARTBEAT" {
			return &client.KafkaError{Code: client.CodeUnsupportedVersion, Message: "The cluster does not support the share group protocol using ShareGroupHeartbeat API version 1 or later. This version of the API was introduced in Apache Kafka v4.1."}
		}
		if !has[need.key] {
			return &client.KafkaError{Code: client.CodeUnsupportedVersion, Message: "The node does not support " + need.name}
		}
	}
	return nil
}

// closeShare acknowledges what was marked and leaves the group.
func (r *run) closeShare(c *client.Client) {
	ctx, cancel := context.WithTimeout(r.ctx, leaveTimeout)
	defer cancel()
	if err := c.FlushAcks(ctx); err != nil {
		r.hint(fmt.Sprintf("what was read could not be acknowledged and will be delivered again: %v", err))
	}
	c.Close()
}

func consoleShareOptions() *optionSet {
	s := newOptions()
	s.arg("topic", "topic", "The topic to read.")
	s.arg("consumer-property", "consumer_prop", "DEPRECATED: the old name of --command-property.")
	s.arg("command-property", "consumer_prop", "A property of the consumer, as key=value.")
	s.arg("consumer-config", "config file", "DEPRECATED: the old name of --command-config.")
	s.arg("command-config", "config file", "A properties file for the consumer; --command-property goes before it.")
	s.arg("formatter", "class", "What prints a record.").withDefault("org.apache.kafka.tools.consumer.DefaultMessageFormatter")
	s.arg("property", "prop", "DEPRECATED: the old name of --formatter-property.")
	s.arg("formatter-property", "prop", "How records are printed, as key=value: print.timestamp, print.key, print.value, print.offset, print.partition, print.headers, print.delivery, key.separator, line.separator, ...")
	s.arg("formatter-config", "config file", "A properties file with such keys; --formatter-property goes before it.")
	s.arg("max-messages", "num_messages", "Stop after this many records.").ofKind(intValue)
	s.arg("timeout-ms", "timeout_ms", "Stop when no record has come for this long.").ofKind(intValue)
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("key-deserializer", "deserializer for keys", "The Java class name of a deserializer that Kafka ships.")
	s.arg("value-deserializer", "deserializer for values", "The Java class name of a deserializer that Kafka ships.")
	s.flag("enable-systest-events", "Print events of the consumer's life, for system tests.")
	s.arg("group", "share group id", "The share group; console-share-consumer if left out.")
	s.flag("reject", "Print records and reject them: nobody gets them again.")
	s.flag("release", "Print records and release them: they are delivered again.")
	s.flag("reject-message-on-error", "Reject a record that cannot be printed, and go on.")
	return s
}

const defaultShareGroup = "console-share-consumer"

func runConsoleShareConsumer(r *run, args []string) int {
	set := consoleShareOptions()
	p, err := set.parse(args)
	if err != nil {
		code, _ := exitCode(r.usage(set, consumerRequired(), err.Error()))
		return code
	}
	t := &shareConsumer{run: r, p: p, max: -1, status: kgo.AckAccept}
	if err := t.plan(); err != nil {
		return r.outcome(err)
	}
	return t.consume()
}

type shareConsumer struct {
	*run
	p        *parsed
	props    client.Properties
	group    string
	nameless bool // the group's name is empty
	format   formatter
	status   kgo.AckStatus
	max      int64
	timeout  time.Duration
	messages int64
}

func (t *shareConsumer) plan() error {
	p, req := t.p, consumerRequired()
	if err := t.helpOrVersion(p, req, "This tool helps to read data from Kafka topics using share groups and outputs it to standard output."); err != nil {
		return err
	}
	bad := func(msg string) error { return t.usage(p.set, req, msg) }
	if !p.has("topic") {
		return bad("--topic is a required argument")
	}
	if p.has("reject") && p.has("release") {
		return bad("At most one of --reject and --release may be specified.")
	}
	if err := t.checkRequired(p, req, "bootstrap-server"); err != nil {
		return err
	}
	for _, pair := range [][2]string{{"consumer-property", "command-property"}, {"consumer-config", "command-config"}, {"property", "formatter-property"}} {
		if err := t.conflict(p, req, pair[0], pair[1]); err != nil {
			return err
		}
		if p.has(pair[0]) {
			t.printf("Option --%s is deprecated and will be removed in a future version. Use --%s instead.\n", pair[0], pair[1])
		}
	}
	switch {
	case p.has("reject"):
		t.status = kgo.AckReject
	case p.has("release"):
		t.status = kgo.AckRelease
	}
	return t.planProperties(bad)
}

func (t *shareConsumer) planProperties(bad func(string) error) error {
	p := t.p
	fromFile := client.Properties{}
	if f := p.value("command-config") + p.value("consumer-config"); f != "" {
		loaded, err := client.LoadProperties(f)
		if err != nil {
			return err
		}
		fromFile = loaded
	}
	fromArgs := keyValues(append(p.all("command-property"), p.all("consumer-property")...))
	t.props = fromFile.Clone().Merge(fromArgs)
	var groups []string
	for _, g := range []string{p.value("group"), fromArgs["group.id"], fromFile["group.id"]} {
		if g != "" && !contains(groups, g) {
			groups = append(groups, g)
		}
	}
	switch len(groups) {
	case 0:
		t.nameless = p.has("group")
		t.group = defaultShareGroup
	case 1:
		t.group = groups[0]
	default:
		return bad("The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--consumer-config') do not match. Detected group ids: '" + strings.Join(hashMapOrder(groups), "', '") + "'")
	}
	delete(t.props, "group.id")
	t.props["bootstrap.servers"] = p.value("bootstrap-server")
	t.props.SetDefault("client.id", "console-share-consumer")
	var err error
	if t.format, err = t.newFormatter(p); err != nil {
		return bad(err.Error())
	}
	return nil
}

const shareConsumerLogger = "org.apache.kafka.tools.consumer.ConsoleShareConsumer"

func (t *shareConsumer) consume() int {
	if err := t.p.repeated("topic", "timeout-ms"); err != nil {
		t.logError(shareConsumerLogger, "Unknown error when running consumer: ", err)
		return t.fail(1)
	}
	if err := t.settle(); err != nil {
		t.logFailure(err)
		return t.fail(1)
	}
	ctx, sig, stop := t.watchSignals()
	defer stop()
	err := t.loop(ctx)
	if unbuilt := new(client.ConstructError); errors.As(err, &unbuilt) {
		t.logFailure(err)
		return t.fail(1)
	}
	if t.p.has("enable-systest-events") {
		t.println("shutdown_complete")
	}
	t.errorf("Processed a total of %d messages\n", t.messages)
	if err != nil && ctx.Err() == nil {
		t.logFailure(err)
		return t.fail(1)
	}
	if s := sig(); s != nil {
		return signalExit(s)
	}
	return 0
}

// logFailure logs what keeps the tool from running.
func (t *shareConsumer) logFailure(err error) {
	if ce := new(client.ConstructError); errors.As(err, &ce) {
		t.hint(ce.Cause.Error())
		err = &consumerFailure{"org.apache.kafka.common.KafkaException", errors.New("Failed to construct Kafka share consumer")}
	}
	t.logError(shareConsumerLogger, "Unknown error when running consumer: ", err)
}

// settle reads what Kafka's tool reads only when it makes its consumer, or has it.
func (t *shareConsumer) settle() error {
	if n, ok := t.p.number("timeout-ms"); ok {
		t.timeout = client.Millis(n)
	}
	switch {
	case t.p.err != nil:
		return unreadable(t.p.err)
	case t.nameless:
		return &client.ConstructError{Message: "Failed to construct Kafka share consumer", Cause: errors.New("--group is empty")}
	case t.p.value("topic") == "":
		return &consumerFailure{"java.lang.IllegalArgumentException", errors.New("Topic collection to subscribe to cannot contain null or empty topic")}
	}
	if n, ok := t.p.number("max-messages"); ok {
		t.max = n
	}
	if t.p.err != nil {
		t.errorf("Processed a total of %d messages\n", t.messages)
		return unreadable(t.p.err)
	}
	return nil
}

// unreadable is a value that is no number, under its Java name.
func unreadable(err error) error {
	return &consumerFailure{"joptsimple.OptionArgumentConversionException", err}
}

// refused is what a broker has against the topic.
func (t *shareConsumer) refused(ctx context.Context, c *client.Client) error {
	topic := t.p.value("topic")
	md, err := c.Metadata(ctx, "metadata", []string{topic}, false)
	if err != nil {
		return nil // reading will tell
	}
	return refusedTopic(md, topic)
}

func (t *shareConsumer) loop(ctx context.Context) error {
	if t.max == 0 {
		return nil
	}
	openCtx, cancel := ctx, context.CancelFunc(func() {})
	if t.timeout > 0 {
		openCtx, cancel = context.WithTimeout(ctx, t.timeout)
	}
	c, err := t.openShare(openCtx, t.props, t.p.value("topic"), t.group)
	late := openCtx.Err() != nil && ctx.Err() == nil
	cancel()
	if late && err != nil {
		t.failed = true // that nobody answered is nothing new to who asked for a timeout, and exits with 0
		t.readFailed(&client.TimeoutError{})
		return nil
	}
	if err != nil {
		return err
	}
	defer t.closeShare(c)
	if err := t.refused(ctx, c); err != nil {
		t.failed = true
		t.readFailed(err)
		return nil
	}
	for ctx.Err() == nil && (t.max < 0 || t.messages < t.max) {
		fetches, err := t.poll(ctx, c)
		if err != nil {
			t.failed = true
			t.readFailed(err)
			return nil
		}
		if fetches.NumRecords() == 0 {
			if ctx.Err() == nil {
				t.readFailed(&client.TimeoutError{}) // Kafka's has no message either
			}
			return nil
		}
		if err := t.printAll(c, fetches); err != nil {
			return err
		}
		if err := t.out.Flush(); err != nil {
			t.failed = !readerGone(err)
			t.errorln("Unable to write to standard out, closing consumer.")
			return nil
		}
	}
	return nil
}

// readFailed logs what ends the tool while it reads; as Kafka's, it exits with 0.
func (t *shareConsumer) readFailed(err error) {
	t.logError(shareConsumerLogger, "Error processing message, terminating consumer process: ", err)
}

// poll waits for records; without any, the time is over. What passes, as a broker that is away for a moment, does not begin it anew.
func (t *shareConsumer) poll(ctx context.Context, c *client.Client) (kgo.Fetches, error) {
	if t.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.timeout)
		defer cancel()
	}
	for {
		fetches := c.PollFetches(ctx)
		if err := shareFetchError(fetches); err != nil || fetches.NumRecords() > 0 || ctx.Err() != nil {
			return fetches, err
		}
	}
}

// printAll prints and acknowledges records; those above the limit go back.
func (t *shareConsumer) printAll(c *client.Client, fetches kgo.Fetches) error {
	for iter := fetches.RecordIter(); !iter.Done(); {
		rec := iter.Next()
		if t.max >= 0 && t.messages >= t.max {
			c.MarkAcks(kgo.AckRelease, rec)
			continue
		}
		t.messages++
		err := t.format.write(t.out, rec)
		switch {
		case err == nil:
			c.MarkAcks(t.status, rec)
		case t.p.has("reject-message-on-error"):
			t.failed = true
			c.MarkAcks(kgo.AckReject, rec)
			t.logError(shareConsumerLogger, "Error processing message, rejecting this message: ", err)
		default:
			c.MarkAcks(kgo.AckRelease, rec)
			return err
		}
	}
	return nil
}

// shareFetchError is the first error that trying again does not mend.
func shareFetchError(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		if errors.Is(e.Err, context.Canceled) || errors.Is(e.Err, context.DeadlineExceeded) {
			continue
		}
		if err := kafkaErrorOf(e.Err); err != nil {
			return err
		}
	}
	return nil
}
