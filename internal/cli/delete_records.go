package cli

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func deleteRecordsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server(s) to use for bootstrapping", "The brokers to connect to, as host:port, several with commas.")
	s.arg("offset-json-file", "Offset json file path", `Up to which offset to delete: {"partitions":[{"topic":"foo","partition":1,"offset":10}],"version":1}; -1 is everything.`)
	s.arg("command-config", "command config property file path", "A properties file for the admin client.")
	return s
}

func runDeleteRecords(r *run, args []string) int {
	p, err := deleteRecordsOptions().parse(args)
	if err == nil {
		err = r.deleteRecords(p)
	}
	return r.outcome(err)
}

func (r *run) deleteRecords(p *parsed) error {
	req := []string{"bootstrap-server", "offset-json-file"}
	if err := r.helpOrVersion(p, req, "This tool helps to delete records of the given partitions down to the specified offset."); err != nil {
		return err
	}
	if err := r.checkRequired(p, req, req...); err != nil {
		return err
	}
	path := p.value("offset-json-file")
	if p.err != nil {
		return p.err
	}
	text, err := readInput(path)
	if err != nil {
		return fmt.Errorf("Unable to read file %s", path)
	}
	cuts, err := parseCuts(text)
	if err != nil {
		return err
	}
	c, err := r.openServers(p)
	if err != nil {
		return err
	}
	defer c.Close()
	r.println("Executing records delete operation")
	results := r.cutRecords(c, cuts)
	r.println("Records delete operation completed:")
	for _, tp := range sortedPartitions(results) {
		if res := results[tp]; res.err != nil {
			r.failed = true
			r.printf("partition: %s\terror: %s\n", tp, withClass(res.err))
		} else {
			r.printf("partition: %s\tlow_watermark: %d\n", tp, res.offset)
		}
	}
	return nil
}

// parseCuts reads the JSON file; partitions may not be named twice.
func parseCuts(text []byte) (map[topicPartition]int64, error) {
	elements, ok, err := listIn(text, "partitions")
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("Missing partitions field")
	}
	cuts := map[topicPartition]int64{}
	var twice []string
	for _, e := range elements {
		tp, offset, err := parseCut(e)
		if err != nil {
			return nil, err
		}
		if _, dup := cuts[tp]; dup {
			twice = append(twice, tp.String())
		}
		cuts[tp] = offset
	}
	if len(twice) > 0 {
		sort.Strings(twice)
		return nil, fmt.Errorf("Offset json file contains duplicate topic partitions: %s", joinStrings(twice))
	}
	return cuts, nil
}

func parseCut(e jsonNode) (tp topicPartition, offset int64, err error) {
	fields, err := e.fields()
	if err != nil {
		return tp, 0, err
	}
	if tp, err = fields.partition(); err != nil {
		return tp, 0, err
	}
	offset, err = fields.int64("offset")
	return tp, offset, err
}

func joinStrings(list []string) string {
	s := ""
	for i, x := range list {
		if i > 0 {
			s += ","
		}
		s += x
	}
	return s
}

// deleteRecordsTimeoutMs is how long the leader may wait for its followers.
const deleteRecordsTimeoutMs = 30000

// cutRecords asks the leaders to delete. A partition that is not there is waited for, as long as a call may take.
func (r *run) cutRecords(c *client.Client, cuts map[topicPartition]int64) map[topicPartition]offsetResult {
	out, left := map[topicPartition]offsetResult{}, map[topicPartition]int64{}
	for tp, offset := range cuts {
		left[tp] = offset
	}
	ctx, cancel := c.Deadline(r.ctx)
	defer cancel()
	for n := 1; len(left) > 0; n++ {
		there, err := r.partitionsThere(c, left, out)
		for tp := range out {
			delete(left, tp)
		}
		for _, tp := range sortedPartitions(left) {
			if err != nil {
				out[tp] = offsetResult{err: err}
				delete(left, tp)
			}
		}
		r.cutLed(c, there, out)
		for tp := range there {
			delete(left, tp)
		}
		for _, tp := range sortedPartitions(left) {
			if n == 1 {
				r.hintNearestTopics(c, tp.topic)
			}
			r.hint(fmt.Sprintf("there is no partition %s: it is waited for until default.api.timeout.ms is over", tp))
		}
		if len(left) > 0 && !sleepContext(ctx, c.Settings.Backoff(n)) {
			for tp := range left {
				out[tp] = offsetResult{err: r.timedOutCall("deleteRecords(api=METADATA)", n)}
			}
			break
		}
	}
	return out
}

// partitionsThere are those of the partitions that the cluster has. What cannot be is done with.
func (r *run) partitionsThere(c *client.Client, cuts map[topicPartition]int64, done map[topicPartition]offsetResult) (map[topicPartition]int64, error) {
	topics := map[string]bool{}
	for tp := range cuts {
		topics[tp.topic] = true
	}
	md, err := c.Metadata(r.ctx, "deleteRecords(api=METADATA)", sortedKeys(topics), false)
	if err != nil {
		return nil, err
	}
	out := map[topicPartition]int64{}
	for _, t := range md.Topics {
		if t.ErrorCode == kerr.InvalidTopicException.Code {
			for tp := range cuts {
				if tp.topic == *t.Topic {
					done[tp] = offsetResult{err: &client.KafkaError{Code: t.ErrorCode, Message: invalidTopicText(tp)}}
				}
			}
			continue
		}
		unsure := t.ErrorCode != 0 && t.ErrorCode != client.CodeUnknownTopicOrPartition // the leader's answer says more
		for tp, offset := range cuts {
			if tp.topic == *t.Topic && (unsure || slices.ContainsFunc(t.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Partition == tp.partition })) {
				out[tp] = offset
			}
		}
	}
	return out, nil
}

// invalidTopicText is Kafka's of a partition whose topic has a name that no topic can have.
func invalidTopicText(tp topicPartition) string {
	return fmt.Sprintf("Failed to fetch metadata for partition %s due to invalid topic `%s`", tp, tp.topic)
}

// timedOutCall is Kafka's complaint about a call that was tried until its time was up.
func (r *run) timedOutCall(call string, tries int) error {
	now := r.Now().UnixMilli()
	return &client.TimeoutError{Message: fmt.Sprintf("Call(callName=%s, deadlineMs=%d, tries=%d, nextAllowedTryMs=%d) timed out at %d after %d attempt(s)", call, now, tries, now+1, now, tries)}
}

// cutLed deletes from partitions that have leaders.
func (r *run) cutLed(c *client.Client, cuts map[topicPartition]int64, out map[topicPartition]offsetResult) {
	if len(cuts) == 0 {
		return
	}
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = deleteRecordsTimeoutMs
	byTopic := map[string][]kmsg.DeleteRecordsRequestTopicPartition{}
	for tp, offset := range cuts {
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rp.Partition, rp.Offset = tp.partition, offset
		byTopic[tp.topic] = append(byTopic[tp.topic], rp)
	}
	for _, topic := range sortedKeys(byTopic) {
		rt := kmsg.NewDeleteRecordsRequestTopic()
		rt.Topic, rt.Partitions = topic, byTopic[topic]
		req.Topics = append(req.Topics, rt)
	}
	for _, shard := range c.Shards(r.ctx, req) {
		if shard.Err != nil {
			for _, t := range shard.Req.(*kmsg.DeleteRecordsRequest).Topics {
				for _, p := range t.Partitions {
					out[topicPartition{t.Topic, p.Partition}] = offsetResult{err: c.Final(r.ctx, "deleteRecords(api=METADATA)", shard.Err)}
				}
			}
			continue
		}
		for _, t := range shard.Resp.(*kmsg.DeleteRecordsResponse).Topics {
			for _, p := range t.Partitions {
				out[topicPartition{t.Topic, p.Partition}] = offsetResult{offset: p.LowWatermark, err: client.CodeError(p.ErrorCode, nil)}
			}
		}
	}
}
