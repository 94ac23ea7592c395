package cli

import (
	"context"
	"sort"

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
			{long: "acknowledgement-mode", metavar: "ACKNOWLEDGEMENT-MODE", choices: []string{"auto", "sync", "async"}, defs: "auto", doc: "How records are acknowledged."},
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
	props, err := verifiableProperties(a, "")
	if err != nil {
		return a.mistake(err.Error())
	}
	delete(props, "group.id")
	v := &shareVerifier{verifiableEvents{run: r}, a}
	ctx, sig, stop := v.watchSignals()
	defer stop()
	v.unread = stop
	if err := v.setReset(props); err != nil {
		return r.subFailed(err)
	}
	c, err := v.openShare(ctx, props, a.value("topic"), a.value("group-id"))
	if err != nil {
		return r.subFailed(err)
	}
	v.event("startup_complete")
	left := a.number("max-messages")
	for ctx.Err() == nil && left != 0 {
		fetches := c.PollFetches(ctx)
		if err = shareFetchError(fetches); err != nil {
			break
		}
		left = v.consumed(ctx, c, fetches, left)
	}
	v.closeShare(c)
	v.event("shutdown_complete")
	if err != nil {
		return r.subFailed(err)
	}
	if s := sig(); s != nil {
		return signalExit(s)
	}
	return 0
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

func (v *shareVerifier) consumed(ctx context.Context, c *client.Client, fetches kgo.Fetches, left int64) int64 {
	byPartition := map[topicPartition][]int64{}
	total := int64(0)
	for iter := fetches.RecordIter(); !iter.Done(); {
		rec := iter.Next()
		if left >= 0 && total >= left {
			c.MarkAcks(kgo.AckRelease, rec)
			continue
		}
		total++
		tp := topicPartition{rec.Topic, rec.Partition}
		byPartition[tp] = append(byPartition[tp], rec.Offset)
		if v.a.has("verbose") {
			v.event("record_data", "key", textOrNil(rec.Key), "value", textOrNil(rec.Value), "topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset)
		}
		c.MarkAcks(kgo.AckAccept, rec)
	}
	if total == 0 {
		return left
	}
	var parts []jsonShareRead
	for _, tp := range sortedPartitions(byPartition) {
		offsets := byPartition[tp]
		sort.Slice(offsets, func(i, j int) bool { return offsets[i] < offsets[j] })
		parts = append(parts, jsonShareRead{tp.topic, tp.partition, len(offsets), offsets})
	}
	v.event("records_consumed", "count", total, "partitions", parts)
	if v.a.value("acknowledgement-mode") != "async" {
		if err := c.FlushAcks(ctx); err != nil && ctx.Err() == nil {
			v.failed = true
			v.event("offsets_acknowledged", "count", total, "partitions", parts, "success", false, "error", err.Error())
			return v.remaining(left, total)
		}
	}
	v.event("offsets_acknowledged", "count", total, "partitions", parts, "success", true)
	return v.remaining(left, total)
}

func (v *shareVerifier) remaining(left, total int64) int64 {
	if left < 0 {
		return left
	}
	return left - total
}
