package cli

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"
)

func getOffsetsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "HOST1:PORT1,...,HOST3:PORT3", "The brokers to connect to, as host:port, several with commas.")
	s.arg("topic-partitions", "topic1:1, topic2:0-3,topic3,topic4:5-,topic5:-3", "Patterns of topics with partitions, or ranges of them.")
	s.arg("topic", "topic", "A regular expression for topics; all if left out.")
	s.arg("partitions", "partition ids", "The partitions, separated by commas; all if left out.")
	s.arg("time", "<timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload", "Which offset: that of the first record at or after a timestamp in ms, or a special one.").withDefault("latest")
	s.arg("command-config", "config file", "A properties file for the admin client.")
	s.flag("exclude-internal-topics", "Leave internal topics out.")
	s.formatOption()
	return s
}

func runGetOffsets(r *run, args []string) int {
	p, err := getOffsetsOptions().parse(args)
	if err == nil {
		err = r.getOffsets(p)
	}
	if err == nil {
		return 0
	}
	if code, ok := exitCode(err); ok {
		return code
	}
	r.errorln("Error occurred: " + withClass(err))
	r.explainConstruct(err)
	return r.fail(1)
}

// bootstrapProblem is what is wrong with the form of a list of servers, "" if nothing is.
func bootstrapProblem(list string) string {
	switch {
	case strings.TrimSpace(list) == "":
		return "Error while validating the bootstrap address\n"
	case !client.ValidHostPorts(list):
		return "Please provide valid host:port like host1:9091,host2:9092\n"
	}
	return ""
}

func (r *run) getOffsets(p *parsed) error {
	req := []string{"bootstrap-server"}
	if err := r.helpOrVersion(p, req, "An interactive shell for getting topic-partition offsets."); err != nil {
		return err
	}
	if err := r.checkRequired(p, req, "bootstrap-server"); err != nil {
		return err
	}
	if problem := bootstrapProblem(p.value("bootstrap-server")); problem != "" {
		return r.usage(p.set, req, problem)
	}
	if p.has("topic-partitions") && p.hasAny("topic", "partitions") {
		return errors.New("--topic-partitions cannot be used with --topic or --partitions")
	}
	at, err := parseOffsetTime(p.value("time"))
	if err != nil {
		r.hintNearest("time", p.value("time"), []string{"latest", "earliest", "max-timestamp", "earliest-local", "latest-tiered", "earliest-pending-upload"})
		return err
	}
	filter, err := offsetFilter(p)
	if err != nil {
		return err
	}
	if p.err != nil {
		return p.err
	}
	c, err := r.openServers(p, client.Properties{"client.id": "GetOffsetShell"})
	if err != nil {
		return err
	}
	defer c.Close()
	tps, err := r.matchingPartitions(c, filter, p.has("exclude-internal-topics"))
	if err != nil {
		return err
	}
	if len(tps) == 0 {
		r.hintNearestTopics(c, p.all("topic")...)
		for _, s := range strings.Split(p.value("topic-partitions"), ",") {
			if topic, _, _ := strings.Cut(s, ":"); topic != "" {
				r.hintNearestTopics(c, topic)
			}
		}
		return errors.New("Could not match any topic-partitions with the specified filters")
	}
	if err := r.readFormat(p); err != nil {
		return err
	}
	if r.json {
		return r.jsonOffsets(c, tps, at)
	}
	return r.printOffsets(c, tps, at)
}

func (r *run) jsonOffsets(c *client.Client, tps []topicPartition, at int64) error {
	results := r.listOffsets(c, fill(tps, at), false)
	for _, tp := range tps {
		res := results[tp]
		if res.err != nil {
			return fmt.Errorf("%s: %w", tp, res.err)
		}
		r.row("topic", tp.topic, "partition", tp.partition, "offset", res.offset)
	}
	return nil
}

func (r *run) printOffsets(c *client.Client, tps []topicPartition, at int64) error {
	results := r.listOffsets(c, fill(tps, at), false)
	for _, tp := range tps {
		switch res := results[tp]; {
		case res.err != nil && isSkippable(res.err):
			r.failed = true
			r.errorf("Skip getting offsets for topic-partition %s due to error: %s\n", tp, withClass(res.err))
		case res.err != nil:
			return res.err
		case res.offset >= 0:
			r.printf("%s:%d:%d\n", tp.topic, tp.partition, res.offset)
		}
	}
	return nil
}

// isSkippable errors concern one partition; the others are still printed.
func isSkippable(err error) bool {
	var ke *client.KafkaError
	return errors.As(err, &ke)
}

func parseOffsetTime(s string) (int64, error) {
	named := map[string]int64{"latest": latestOffset, "earliest": earliestOffset, "max-timestamp": -3, "earliest-local": -4, "latest-tiered": -5, "earliest-pending-upload": -6}
	if v, ok := named[s]; ok {
		return v, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("Malformed time argument %s. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp", s)
	}
	return n, nil
}

// partitionFilter says which partitions of which topics are wanted.
type partitionFilter func(topic string, partition int32) bool

func offsetFilter(p *parsed) (partitionFilter, error) {
	if p.has("topic-partitions") {
		return parseTopicPartitions(p.value("topic-partitions"))
	}
	topics := func(string) bool { return true }
	if p.has("topic") {
		f, err := newTopicFilter(p.value("topic"))
		if err != nil {
			return nil, err
		}
		topics = func(t string) bool { return f.allows(t, false) }
	}
	if p.value("partitions") == "" {
		return func(t string, _ int32) bool { return topics(t) }, nil
	}
	ids := map[int32]bool{}
	for _, s := range strings.Split(p.value("partitions"), ",") {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("--partitions expects a comma separated list of numeric partition ids, but received: %s", p.value("partitions"))
		}
		ids[int32(n)] = true
	}
	return func(t string, id int32) bool { return ids[id] && topics(t) }, nil
}

// parseTopicPartitions reads `topic:range` patterns: 5, 0-3 (3 not included),
// 5-, -3 or nothing; an empty topic stands for all.
func parseTopicPartitions(list string) (partitionFilter, error) {
	var filters []partitionFilter
	for _, s := range javaSplit(list, ",") {
		name, span, _ := strings.Cut(s, ":")
		if name == "" {
			name = ".*"
		}
		f, err := newTopicFilter(name)
		if err != nil {
			return nil, err
		}
		lower, upper, err := parseSpan(span)
		if ne := new(strconv.NumError); errors.As(err, &ne) && errors.Is(err, strconv.ErrRange) {
			return nil, numberFormat(ne.Num)
		}
		if err != nil {
			return nil, fmt.Errorf("org.apache.kafka.tools.TerseException: Invalid rule specification: %s", s)
		}
		filters = append(filters, func(t string, id int32) bool {
			return int64(id) >= lower && int64(id) < upper && f.allows(t, false)
		})
	}
	return func(t string, id int32) bool {
		for _, f := range filters {
			if f(t, id) {
				return true
			}
		}
		return false
	}, nil
}

func parseSpan(s string) (lower, upper int64, err error) {
	const end = int64(1) << 31
	if s == "" {
		return 0, end, nil
	}
	from, to, isRange := strings.Cut(s, "-")
	lower, upper = 0, end
	if from != "" {
		if lower, err = strconv.ParseInt(from, 10, 32); err != nil {
			return 0, 0, err
		}
	}
	if !isRange {
		return lower, lower + 1, nil
	}
	if to != "" {
		upper, err = strconv.ParseInt(to, 10, 32)
	}
	return lower, upper, err
}

func (r *run) matchingPartitions(c *client.Client, filter partitionFilter, excludeInternal bool) ([]topicPartition, error) {
	md, err := c.Metadata(r.ctx, "listTopics", nil, true)
	if err != nil {
		return nil, err
	}
	var tps []topicPartition
	for _, t := range md.Topics {
		if t.Topic == nil || excludeInternal && t.IsInternal {
			continue
		}
		for _, p := range t.Partitions {
			if filter(*t.Topic, p.Partition) {
				tps = append(tps, topicPartition{*t.Topic, p.Partition})
			}
		}
	}
	sort.Slice(tps, func(i, j int) bool { return tps[i].String() < tps[j].String() }) // as Kafka's: 10 comes before 2
	return tps, nil
}
