package cli

import (
	"context"
	"errors"
	"io/fs"
	"sort"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kgo"
)

func verifiableShare() (*subTool, *subcommand) {
	pad := "       "
	c := &subcommand{run: runVerifiableShareParsed, doc: "Reads in a share group and prints what happens as lines of JSON.",
		usage: "usage: verifiable-share-consumer\n" + pad + "[-h] --topic TOPIC --group-id GROUP-ID\n" + pad + "[--max-messages MAX-MESSAGES] [--verbose]\n" + pad + "[--acknowledgement-mode ACKNOWLEDGEMENT-MODE]\n" + pad +
			"[--offset-reset-strategy OFFSET-RESET-STRATEGY]\n" + pad + "[--command-config CONFIG-FILE]\n" + pad + "--bootstrap-server HOST1:PORT1[,HOST2:PORT2[...]]",
		options: []subOption{
			{long: "topic", metavar: "TOPIC", required: true, doc: "The topic to read."},
			{long: "group-id", metavar: "GROUP-ID", required: true, doc: "The share group."},
			{long: "max-messages", metavar: "MAX-MESSAGES", kind: "Integer", defs: "-1", doc: "How many to read; -1 for no end."},
			{long: "verbose", doc: "Print each record. (default: false)"},
			{long: "acknowledgement-mode", metavar: "ACKNOWLEDGEMENT-MODE", defs: "auto", doc: "How records are acknowledged: auto, sync or async."},
			{long: "offset-reset-strategy", metavar: "OFFSET-RESET-STRATEGY", doc: "earliest or latest: set as the group's share.auto.offset.reset before reading. (default: )"},
			{long: "command-config", metavar: "CONFIG-FILE", doc: "A properties file for the consumer."},
			{long: "bootstrap-server", metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", required: true, mustName: true, unmarked: true, doc: "The brokers to connect to."},
		}}
	return &subTool{name: "verifiable-share-consumer", helpCode: 1}, c
}

func runVerifiableShare(r *run, args []string) int {
	t, c := verifiableShare()
	return r.runPlain(t, c, args)
}

type shareVerifier struct {
	verifiableEvents
	a *subArgs
}

func runVerifiableShareParsed(r *run, a *subArgs) int {
	mode := strings.ToUpper(a.value("acknowledgement-mode"))
	if mode != "AUTO" && mode != "SYNC" && mode != "ASYNC" {
		r.hint("--acknowledgement-mode must be auto, sync or async")
		return r.failln("No enum constant org.apache.kafka.tools.VerifiableShareConsumer.AcknowledgementMode."+mode, 1)
	}
	props, err := verifiableProperties(a, "")
	if file := new(client.FileError); errors.As(err, &file) && errors.Is(err, fs.ErrNotExist) {
		return a.mistake(file.Path)
	}
	if err != nil {
		return a.mistake(err.Error())
	}
	delete(props, "group.id")
	v := &shareVerifier{verifiableEvents{run: r}, a}
	ctx, sig, stop := v.watchSignals()
	defer stop()
	v.unread = stop
	v.event("startup_complete")
	if err := v.read(ctx, props); err != nil && ctx.Err() == nil {
		v.failed = true
		v.logError("org.apache.kafka.tools.VerifiableShareConsumer", "Error during processing, terminating share consumer process: ", err)
	}
	v.event("shutdown_complete")
	if s := sig(); s != nil {
		return signalExit(s)
	}
	return 0
}

// read reads until enough is acknowledged. What stands in the way is logged by the caller, and the tool ends well, as Kafka's
// does.
func (v *shareVerifier) read(ctx context.Context, props client.Properties) error {
	if err := v.setReset(props); err != nil {
		return err
	}
	c, err := v.openShare(ctx, props, v.a.value("topic"), v.a.value("group-id"))
	if err != nil {
		return err
	}
	defer v.closeShare(c)
	limit, acknowledged := v.a.number("max-messages"), int64(0)
	for ctx.Err() == nil && (limit < 0 || acknowledged < limit) {
		fetches := c.PollFetches(ctx)
		if err := shareFetchError(fetches); err != nil {
			return err
		}
		acknowledged += v.consumed(ctx, c, fetches)
	}
	return nil
}

// setReset sets where the group begins.
func (v *shareVerifier) setReset(props client.Properties) error {
	strategy := v.a.value("offset-reset-strategy")
	if strategy == "" {
		return nil
	}
	c, err := v.open(client.Admin, v.a.value("bootstrap-server"), "", props.Clone())
	if err != nil {
		return err
	}
	defer c.Close()
	t := &reassignTool{run: v.run, c: c}
	if err := t.alter(resourceGroup, v.a.value("group-id"), map[string]string{"share.auto.offset.reset": strategy}, nil); err != nil {
		return err
	}
	v.event("offset_reset_strategy_set", "offsetResetStrategy", strategy)
	return nil
}

type jsonShareRead struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Count     int     `json:"count"`
	Offsets   []int64 `json:"offsets"`
}

// consumed prints and acknowledges what was read, and returns how many records were acknowledged.
func (v *shareVerifier) consumed(ctx context.Context, c *client.Client, fetches kgo.Fetches) int64 {
	byPartition := map[topicPartition][]int64{}
	total := int64(0)
	for iter := fetches.RecordIter(); !iter.Done(); {
		rec := iter.Next()
		total++
		tp := topicPartition{rec.Topic, rec.Partition}
		byPartition[tp] = append(byPartition[tp], rec.Offset)
		if v.a.has("verbose") {
			v.event("record_data", "key", textOrNil(rec.Key), "value", textOrNil(rec.Value), "topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset)
		}
		c.MarkAcks(kgo.AckAccept, rec)
	}
	if total == 0 {
		return 0
	}
	var parts []jsonShareRead
	for _, tp := range sortedPartitions(byPartition) {
		offsets := byPartition[tp]
		sort.Slice(offsets, func(i, j int) bool { return offsets[i] < offsets[j] })
		parts = append(parts, jsonShareRead{tp.topic, tp.partition, len(offsets), offsets})
	}
	v.event("records_consumed", "count", total, "partitions", parts)
	if !strings.EqualFold(v.a.value("acknowledgement-mode"), "async") {
		if err := c.FlushAcks(ctx); err != nil && ctx.Err() == nil {
			v.failed = true
			v.event("offsets_acknowledged", "count", total, "partitions", parts, "success", false, "error", err.Error())
			return 0
		}
	}
	v.event("offsets_acknowledged", "count", total, "partitions", parts, "success", true)
	return total
}
