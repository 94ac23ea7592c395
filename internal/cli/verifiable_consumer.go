package cli

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kgo"
)

func verifiableConsumer() (*subTool, *subcommand) {
	pad := "                           "
	c := &subcommand{run: runVerifiableConsumerParsed, doc: "Reads in a group and prints what happens as lines of JSON.",
		usage: "usage: verifiable-consumer [-h] --topic TOPIC\n" + pad + "[--group-protocol GROUP-PROTOCOL]\n" + pad + "[--group-remote-assignor GROUP-REMOTE-ASSIGNOR]\n" + pad + "--group-id GROUP-ID\n" + pad + "[--group-instance-id GROUP-INSTANCE-ID]\n" + pad +
			"[--max-messages MAX-MESSAGES]\n" + pad + "[--session-timeout TIMEOUT-MS] [--verbose]\n" + pad + "[--enable-autocommit]\n" + pad + "[--reset-policy RESET-POLICY]\n" + pad + "[--assignment-strategy ASSIGNMENT-STRATEGY]\n" + pad +
			"[--consumer.config CONFIG-FILE]\n" + pad + "[--command-config CONFIG-FILE]\n" + pad + "--bootstrap-server HOST1:PORT1[,HOST2:PORT2[...]]",
		options: []subOption{
			{long: "topic", metavar: "TOPIC", required: true, doc: "The topic to read."},
			{long: "group-protocol", metavar: "GROUP-PROTOCOL", defs: "classic", doc: "classic or consumer."},
			{long: "group-remote-assignor", metavar: "GROUP-REMOTE-ASSIGNOR", doc: "The broker's assignor, with the consumer protocol."},
			{long: "group-id", metavar: "GROUP-ID", required: true, doc: "The consumer group."},
			{long: "group-instance-id", metavar: "GROUP-INSTANCE-ID", doc: "The member's lasting name."},
			{long: "max-messages", metavar: "MAX-MESSAGES", kind: "Integer", defs: "-1", doc: "How many to read; -1 for no end."},
			{long: "session-timeout", metavar: "TIMEOUT-MS", kind: "Integer", doc: "The session timeout, in ms, with the classic protocol."},
			{long: "verbose", doc: "Print each record. (default: false)"},
			{long: "enable-autocommit", doc: "Let the client commit by itself. (default: false)"},
			{long: "reset-policy", metavar: "RESET-POLICY", defs: "earliest", doc: "Where to begin without a committed offset: earliest, latest or none."},
			{long: "assignment-strategy", metavar: "ASSIGNMENT-STRATEGY", defs: "org.apache.kafka.clients.consumer.RangeAssignor", doc: "The assignor, with the classic protocol."},
			{long: "consumer.config", metavar: "CONFIG-FILE", deprecated: true, doc: "The old name of --command-config."},
			{long: "command-config", metavar: "CONFIG-FILE", doc: "A properties file for the consumer."},
			{long: "bootstrap-server", metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", required: true, mustName: true, unmarked: true, doc: "The brokers to connect to."},
		}}
	return &subTool{name: "verifiable-consumer", helpCode: 1}, c
}

func runVerifiableConsumer(r *run, args []string) int {
	t, c := verifiableConsumer()
	return r.runPlain(t, c, args)
}

func runVerifiableConsumerParsed(r *run, a *subArgs) int {
	if a.has("consumer.config") && a.has("command-config") {
		return a.mistake("Options --consumer.config and --command-config are mutually exclusive.")
	}
	if a.has("consumer.config") {
		r.println("Option --consumer.config has been deprecated and will be removed in a future version. Use --command-config instead.")
	}
	protocol := strings.ToLower(a.value("group-protocol"))
	if protocol != "classic" && protocol != "consumer" {
		r.hint("--group-protocol must be classic or consumer, not " + a.value("group-protocol"))
		return r.failln("No enum constant org.apache.kafka.clients.consumer.GroupProtocol."+strings.ToUpper(protocol), 1)
	}
	props, err := verifiableProperties(a, "consumer.config")
	if err != nil {
		return a.mistake(err.Error())
	}
	props["group.protocol"] = protocol
	if protocol == "consumer" {
		if a.has("group-remote-assignor") {
			props["group.remote.assignor"] = a.value("group-remote-assignor")
		}
	} else {
		props["partition.assignment.strategy"] = a.value("assignment-strategy")
		if a.has("session-timeout") {
			props["session.timeout.ms"] = a.value("session-timeout")
		}
	}
	props["group.id"] = a.value("group-id")
	if a.has("group-instance-id") {
		props["group.instance.id"] = a.value("group-instance-id")
	}
	props["enable.auto.commit"] = fmt.Sprint(a.has("enable-autocommit"))
	props["auto.offset.reset"] = a.value("reset-policy")
	v := &verifiableReader{verifiableEvents: verifiableEvents{run: r}, a: a, topic: a.value("topic"), begun: make(chan struct{})}
	return v.read(props)
}

type verifiableReader struct {
	verifiableEvents
	a     *subArgs
	topic string
	c     *client.Client
	begun chan struct{} // closed when the beginning is told; the group may be joined before
}

func (v *verifiableReader) options(s *client.Settings) ([]kgo.Opt, error) {
	opts, err := s.ConsumerOptions()
	if err != nil {
		return nil, err
	}
	group, err := s.GroupOptions()
	if err != nil {
		return nil, err
	}
	opts = append(append(opts, resetOptions(s.Consumer.OffsetReset)...), group...)
	if v.topic != "" && v.a.number("max-messages") != 0 { // who wants nothing does not join
		opts = append(opts, kgo.ConsumeTopics(v.topic))
	}
	opts = append(opts, kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { v.partitions("partitions_assigned", m) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { v.partitions("partitions_revoked", m) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { v.partitions("partitions_revoked", m) }))
	if !s.Consumer.AutoCommit {
		return append(opts, kgo.DisableAutoCommit()), nil
	}
	// Kafka's consumer commits where it stands, behind what it was given: also what is above --max-messages.
	return append(opts, kgo.AutoCommitInterval(s.Consumer.CommitEvery())), nil
}

type jsonPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

func (v *verifiableReader) partitions(name string, m map[string][]int32) {
	<-v.begun
	if len(m) == 0 && name == "partitions_revoked" { // Kafka's consumer tells nobody that it has lost nothing
		return
	}
	list := []jsonPartition{}
	for _, t := range sortedKeys(m) {
		ps := append([]int32(nil), m[t]...)
		sort.Slice(ps, func(i, j int) bool { return ps[i] < ps[j] })
		for _, p := range ps {
			list = append(list, jsonPartition{t, p})
		}
	}
	v.event(name, "partitions", list)
}

func (v *verifiableReader) read(props client.Properties) int {
	c, err := client.Open(client.Consumer, props, v.voice(), v.options)
	if err != nil {
		return v.subFailed(err)
	}
	v.c = c
	ctx, sig, stop := v.watchSignals()
	defer stop()
	v.unread = stop
	v.event("startup_complete")
	close(v.begun)
	v.poll(ctx)
	ended := ctx.Err() != nil
	if ended {
		v.event("shutdown_requested")
	}
	leave, cancel := context.WithTimeout(v.ctx, leaveTimeout)
	defer cancel()
	if v.a.has("enable-autocommit") {
		_ = c.CommitUncommittedOffsets(leave) // who comes next reads again what is not committed
	}
	// What cannot be left now, the session timeout will end.
	_ = c.LeaveGroupContext(leave)
	c.CloseAllowingRebalance()
	v.event("shutdown_complete")
	if !ended { // Kafka's JVM asks once more when it goes
		v.event("shutdown_requested")
	}
	if s := sig(); s != nil {
		return signalExit(s)
	}
	return 0
}

// poll reads until there is reason to stop. What stands in the way is logged, and the tool ends well, as Kafka's does.
func (v *verifiableReader) poll(ctx context.Context) {
	left := v.a.number("max-messages")
	if left == 0 {
		return
	}
	err := error(&consumerFailure{"java.lang.IllegalArgumentException", errors.New("Topic collection to subscribe to cannot contain null or empty topic")})
	if v.topic != "" {
		err = v.awaitCluster(ctx)
	}
	for err == nil && ctx.Err() == nil && left != 0 {
		fetches := v.c.PollRecords(ctx, int(v.c.Settings.Consumer.MaxPollRecords))
		left = v.consumed(ctx, fetches, left)
		v.c.AllowRebalance()
		err = v.readError(v.c, fetches)
	}
	if err != nil && ctx.Err() == nil {
		v.failed = true
		v.logError("org.apache.kafka.tools.VerifiableConsumer", "Error during processing, terminating consumer process: ", err)
	}
}

// awaitCluster asks for the topic until the cluster answers.
func (v *verifiableReader) awaitCluster(ctx context.Context) error {
	for {
		err := askTopic(ctx, v.c, v.topic)
		if te := new(client.TimeoutError); err == nil || !errors.As(err, &te) || ctx.Err() != nil {
			return err
		}
	}
}

type jsonConsumed struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Count     int64  `json:"count"`
	MinOffset int64  `json:"minOffset"`
	MaxOffset int64  `json:"maxOffset"`
}

type jsonOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// consumed prints what was read, no more than left, commits it, and returns
// how many are still to be read.
func (v *verifiableReader) consumed(ctx context.Context, fetches kgo.Fetches, left int64) int64 {
	var parts []jsonConsumed
	var commit []*kgo.Record
	total := int64(0)
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		recs := p.Records
		if left >= 0 {
			recs = recs[:min(int64(len(recs)), left-total)]
		}
		if len(recs) == 0 {
			return
		}
		total += int64(len(recs))
		parts = append(parts, jsonConsumed{p.Topic, p.Partition, int64(len(recs)), recs[0].Offset, recs[len(recs)-1].Offset})
		commit = append(commit, recs[len(recs)-1])
		if v.a.has("verbose") {
			for _, r := range recs {
				v.event("record_data", "key", textOrNil(r.Key), "value", textOrNil(r.Value), "topic", r.Topic, "partition", r.Partition, "offset", r.Offset)
			}
		}
	})
	if total == 0 {
		return left
	}
	v.event("records_consumed", "count", fetches.NumRecords(), "partitions", parts)
	if !v.a.has("enable-autocommit") {
		v.commit(ctx, commit)
	}
	if left >= 0 {
		return left - total
	}
	return left
}

func textOrNil(b []byte) any {
	if b == nil {
		return nil
	}
	return string(b)
}

func (v *verifiableReader) commit(ctx context.Context, recs []*kgo.Record) {
	err := v.c.CommitRecords(ctx, recs...)
	if errors.Is(err, context.Canceled) {
		return
	}
	var offsets []jsonOffset
	for _, r := range recs {
		offsets = append(offsets, jsonOffset{r.Topic, r.Partition, r.Offset + 1})
	}
	if err != nil {
		v.failed = true
		v.event("offsets_committed", "offsets", offsets, "success", false, "error", err.Error())
		return
	}
	v.event("offsets_committed", "offsets", offsets, "success", true)
}
