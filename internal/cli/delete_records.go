package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"

	"github.com/moldau-stream/moldau/internal/client"

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
	c, err := r.open(client.Admin, p.value("bootstrap-server"), p.value("command-config"))
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
	if !json.Valid(text) {
		return nil, errors.New("The input string is not a valid JSON")
	}
	var file struct {
		Version    *int `json:"version"`
		Partitions *[]struct {
			Topic     *string `json:"topic"`
			Partition *int32  `json:"partition"`
			Offset    *int64  `json:"offset"`
		} `json:"partitions"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("The offset json file cannot be understood: %w", err)
	}
	if file.Version != nil && *file.Version != 1 {
		return nil, fmt.Errorf("Not supported version field value %d", *file.Version)
	}
	if file.Partitions == nil {
		return nil, errors.New("Missing partitions field")
	}
	cuts := map[topicPartition]int64{}
	var twice []string
	for _, e := range *file.Partitions {
		if e.Topic == nil || e.Partition == nil || e.Offset == nil {
			return nil, errors.New("Each of partitions needs topic, partition and offset")
		}
		tp := topicPartition{*e.Topic, *e.Partition}
		if _, dup := cuts[tp]; dup {
			twice = append(twice, tp.String())
		}
		cuts[tp] = *e.Offset
	}
	if len(twice) > 0 {
		sort.Strings(twice)
		return nil, fmt.Errorf("Offset json file contains duplicate topic partitions: %s", joinStrings(twice))
	}
	return cuts, nil
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

func (r *run) cutRecords(c *client.Client, cuts map[topicPartition]int64) map[topicPartition]offsetResult {
	out := map[topicPartition]offsetResult{}
	if len(cuts) == 0 {
		return out
	}
	failAll := func(err error) map[topicPartition]offsetResult {
		for tp := range cuts {
			out[tp] = offsetResult{err: err}
		}
		return out
	}
	if _, err := c.Metadata(r.ctx, "deleteRecords(api=METADATA)", nil, false); err != nil {
		return failAll(err)
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
	return out
}
