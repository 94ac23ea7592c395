package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"
	"github.com/moldau-stream/moldau/internal/config"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const topicsLogger = "org.apache.kafka.tools.TopicCommand"

func topicsOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.")
	s.arg("command-config", "command config property file", "A properties file for the admin client: security, timeouts, ...")
	s.flag("list", "List the topics.")
	s.flag("create", "Create a topic.")
	s.flag("delete", "Delete topics.")
	s.flag("alter", "Raise a topic's number of partitions, or assign the replicas of the new ones.")
	s.flag("describe", "Describe topics and their partitions.")
	s.arg("topic", "topic", "The topic to create, or a regular expression for the topics to list, describe, alter or delete.")
	s.arg("topic-id", "topic-id", "The id of the topic to describe.")
	s.arg("config", "name=value", "A config of the topic to create; may be given several times. Use kafka-configs to change an existing topic.")
	s.arg("delete-config", "name", "No longer used: kafka-configs deletes configs of topics.")
	s.arg("partitions", "# of partitions", "The number of partitions of a new topic (the cluster's default if left out), or the new number with --alter.").ofKind(intValue)
	s.arg("replication-factor", "replication factor", "The number of replicas of each partition of a new topic (the cluster's default if left out).").ofKind(intValue)
	s.arg("replica-assignment", "broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , broker_id_for_part2_replica1 : broker_id_for_part2_replica2 , ...", "The brokers of each partition, by hand.")
	s.flag("under-replicated-partitions", "With --describe: only partitions with replicas that are not in sync.")
	s.flag("unavailable-partitions", "With --describe: only partitions without a live leader.")
	s.flag("under-min-isr-partitions", "With --describe: only partitions with fewer in-sync replicas than min.insync.replicas.")
	s.flag("at-min-isr-partitions", "With --describe: only partitions with exactly min.insync.replicas in sync.")
	s.flag("topics-with-overrides", "With --describe: only topics that have configs of their own.")
	s.flag("if-exists", "With --alter, --delete or --describe: do nothing, and succeed, if the topic is not there.")
	s.flag("if-not-exists", "With --create: do nothing, and succeed, if the topic is there.")
	s.flag("exclude-internal", "With --list or --describe: leave internal topics out.")
	s.arg("partition-size-limit-per-response", "maximum number of partitions per response", "With --describe: the most partitions that one response may hold.").ofKind(intValue)
	s.formatOption()
	return s
}

func topicsRequired() []string { return []string{"bootstrap-server"} }

func runTopics(r *run, args []string) int {
	p, err := topicsOptions().parse(args)
	if err != nil {
		return r.failln(err.Error(), 1)
	}
	if err := r.checkTopicsArgs(p); err != nil {
		if code, ok := exitCode(err); ok {
			return code
		}
		return r.failln(err.Error(), 1)
	}
	bootstrap, config := p.value("bootstrap-server"), p.value("command-config")
	if p.err != nil { // Kafka's tool reads the rest only when it is connected
		return r.failln(p.err.Error(), 1)
	}
	c, err := r.open(client.Admin, bootstrap, config)
	if err != nil {
		code := r.failln(err.Error(), 1)
		r.explainConstruct(err)
		return code
	}
	defer c.Close()
	t := &topicsTool{run: r, p: p, c: c}
	if err := t.execute(); err != nil {
		r.report("Error while executing topic command : %s\n", message(err))
		r.logError(topicsLogger, withClass(err), nil)
		return r.fail(1)
	}
	return 0
}

func topicActions() []string { return []string{"create", "list", "alter", "describe", "delete"} }

func (r *run) checkTopicsArgs(p *parsed) error {
	req := topicsRequired()
	if err := r.helpOrVersion(p, req, "Create, delete, describe, or change a topic."); err != nil {
		return err
	}
	actions := 0
	for _, a := range topicActions() {
		if p.has(a) {
			actions++
		}
	}
	if actions != 1 {
		return r.usage(p.set, req, "Command must include exactly one action: --list, --describe, --create, --alter or --delete")
	}
	if !p.has("bootstrap-server") {
		return errors.New("--bootstrap-server must be specified")
	}
	if p.has("describe") && p.has("if-exists") && !p.hasAny("topic", "topic-id") {
		return r.usage(p.set, req, "--topic or --topic-id is required to describe a topic")
	}
	if p.has("delete-config") {
		r.errorln("delete-config option is no longer supported and deprecated since version 4.0. The config will be fully removed in future releases.")
	}
	if !p.hasAny("list", "describe") {
		if err := r.checkRequired(p, req, "topic"); err != nil {
			return err
		}
	}
	if p.has("alter") {
		if p.has("config") {
			return r.usage(p.set, req, `Option combination "[[bootstrap-server], [config]]" can't be used with option "[alter]" (To alter topic configurations, the kafka-configs tool can be used.)`)
		}
		if err := r.checkRequired(p, req, "partitions"); err != nil {
			return err
		}
	}
	if err := r.readFormat(p, "list", "describe"); err != nil {
		return err
	}
	return r.checkTopicCombinations(p, req)
}

func (r *run) checkTopicCombinations(p *parsed, req []string) error {
	except := func(allowed ...string) []string {
		var out []string
		for _, a := range topicActions() {
			if !contains(allowed, a) {
				out = append(out, a)
			}
		}
		return out
	}
	reports := []string{"under-replicated-partitions", "under-min-isr-partitions", "at-min-isr-partitions", "unavailable-partitions"}
	rules := []exclusion{
		{"config", except("alter", "create")},
		{"partitions", except("alter", "create")},
		{"replication-factor", except("create")},
		{"replica-assignment", except("create", "alter")},
	}
	if p.has("create") {
		rules = append(rules, exclusion{"replica-assignment", []string{"partitions", "replication-factor"}})
	}
	for _, rep := range reports {
		rules = append(rules, exclusion{rep, append(except("describe"), "topics-with-overrides")})
	}
	rules = append(rules,
		exclusion{"topics-with-overrides", append(except("describe"), reports...)},
		exclusion{"if-exists", except("alter", "delete", "describe")},
		exclusion{"if-not-exists", except("create")},
		exclusion{"exclude-internal", except("list", "describe")})
	return r.checkExclusions(p, req, rules)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

type topicsTool struct {
	*run
	p *parsed
	c *client.Client
}

func (t *topicsTool) execute() error {
	read := []string{"topic", "partitions", "replication-factor", "replica-assignment"}
	if t.p.has("describe") {
		read = append(read, "topic-id", "partition-size-limit-per-response")
	}
	for _, name := range read {
		t.p.value(name)
	}
	if t.p.err != nil {
		return t.p.err
	}
	switch {
	case t.p.has("create"):
		return t.create()
	case t.p.has("alter"):
		return t.alter()
	case t.p.has("list"):
		return t.list()
	case t.p.has("describe"):
		return t.describe()
	}
	return t.delete()
}

// createTimeoutMs is how long the controller may take for a change, Kafka's
// request.timeout.ms default.
const createTimeoutMs = 30000

func (t *topicsTool) create() error {
	name := t.p.value("topic")
	rt, err := t.newTopic(name)
	if err != nil {
		return err
	}
	if strings.ContainsAny(name, "._") {
		t.println("WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both.")
	}
	if err := t.size(&rt); err != nil {
		return err
	}
	if name == "" {
		return errors.New("The given topic name '' cannot be represented in a request.")
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, rt)
	req.TimeoutMillis = createTimeoutMs
	resp, err := t.c.Any(t.ctx, "createTopics", req)
	if err != nil {
		return err
	}
	for _, res := range resp.(*kmsg.CreateTopicsResponse).Topics {
		if res.ErrorCode == client.CodeTopicAlreadyExists && t.p.has("if-not-exists") {
			return nil
		}
		if err := client.CodeError(res.ErrorCode, res.ErrorMessage); err != nil {
			for _, c := range rt.Configs {
				t.hintUnknownKeys(config.Topic, []string{c.Name})
			}
			return err
		}
	}
	t.printf("Created topic %s.\n", name)
	return nil
}

// newTopic is what the options say of a topic, but for its size.
func (t *topicsTool) newTopic(name string) (kmsg.CreateTopicsRequestTopic, error) {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, -1, -1
	assignment, err := parseReplicaAssignment(t.p.value("replica-assignment"))
	if err != nil {
		return rt, err
	}
	for i, replicas := range assignment {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = int32(i), replicas
		rt.ReplicaAssignment = append(rt.ReplicaAssignment, a)
	}
	rt.Configs, err = t.newTopicConfigs()
	return rt, err
}

// newTopicConfigs checks the configs as far as the definition of a topic's configs goes. The broker checks them again.
func (t *topicsTool) newTopicConfigs() ([]kmsg.CreateTopicsRequestTopicConfig, error) {
	var out []kmsg.CreateTopicsRequestTopicConfig
	values := map[string]string{}
	for _, kv := range t.p.all("config") {
		k, v, _ := strings.Cut(kv, "=")
		if strings.Count(kv, "=") != 1 || strings.TrimSpace(v) == "" { // as Java's split tells two parts from other numbers of them
			return nil, errors.New(`requirement failed: Invalid topic config: all configs to be added must be in the format "key=val".`)
		}
		cfg := kmsg.NewCreateTopicsRequestTopicConfig()
		cfg.Name, cfg.Value = strings.TrimSpace(k), kmsg.StringPtr(strings.TrimSpace(v))
		out, values[cfg.Name] = append(out, cfg), *cfg.Value
	}
	if err := config.CheckTopic(values); err != nil {
		for name := range values {
			t.hintUnknownKeys(config.Topic, []string{name})
		}
		return nil, err
	}
	return out, nil
}

// size says of how many partitions and replicas a new topic is.
func (t *topicsTool) size(rt *kmsg.CreateTopicsRequestTopic) error {
	if n, ok := t.p.number("replication-factor"); ok {
		if n < 1 || n > math.MaxInt16 {
			return fmt.Errorf("The replication factor must be between 1 and %d inclusive", math.MaxInt16)
		}
		rt.ReplicationFactor = int16(n)
	}
	if n, ok := t.p.number("partitions"); ok {
		if n < 1 {
			return errors.New("The partitions must be greater than 0")
		}
		rt.NumPartitions = int32(n)
	}
	return nil
}

// parseReplicaAssignment reads `1:2,2:3`: partitions separated by commas, the
// replicas of each by colons.
func parseReplicaAssignment(s string) ([][]int32, error) {
	if s == "" {
		return nil, nil
	}
	var out [][]int32
	for i, part := range javaSplit(s, ",") {
		var replicas []int32
		var dups []string
		seen := map[int32]bool{}
		for _, b := range javaSplit(part, ":") {
			id, err := strconv.ParseInt(strings.TrimSpace(b), 10, 32)
			if err != nil {
				return nil, numberFormat(strings.TrimSpace(b))
			}
			if seen[int32(id)] {
				dups = append(dups, strconv.Itoa(int(id)))
			}
			seen[int32(id)] = true
			replicas = append(replicas, int32(id))
		}
		if len(dups) > 0 {
			return nil, fmt.Errorf("Partition replica lists may not contain duplicate entries: %s", strings.Join(dups, ", "))
		}
		if len(out) > 0 && len(replicas) != len(out[0]) {
			return nil, fmt.Errorf("Partition %d has different replication factor: [%s]", i, joinInts(replicas, ", "))
		}
		out = append(out, replicas)
	}
	return out, nil
}

// matching returns the names of topics that --topic selects. A name without
// characters that mean something in a pattern is not looked up: known is then
// false, and the request that follows finds out whether it exists.
func (t *topicsTool) matching(excludeInternal bool) (names []string, known bool, err error) {
	pattern := t.p.value("topic")
	if t.p.has("topic") && isPlainName(pattern) && !(excludeInternal && isInternalTopic(pattern)) {
		return []string{pattern}, false, nil
	}
	all, err := t.topicNames(t.c, excludeInternal)
	if err != nil || !t.p.has("topic") {
		return all, true, err
	}
	f, err := newTopicFilter(pattern)
	if err != nil {
		return nil, true, err
	}
	for _, n := range all {
		if f.allows(n, excludeInternal) {
			names = append(names, n)
		}
	}
	return names, true, nil
}

func isPlainName(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != ""
}

func notThere(what, name string) error {
	return fmt.Errorf("%s '%s' does not exist as expected", what, name)
}

// present finds the selected topics in metadata; it is an error if there are
// none, unless --if-exists was given.
func (t *topicsTool) present() ([]kmsg.MetadataResponseTopic, error) {
	names, _, err := t.matching(false)
	if err != nil {
		return nil, err
	}
	var found []kmsg.MetadataResponseTopic
	if len(names) > 0 {
		md, err := t.c.Metadata(t.ctx, "listTopics", names, false)
		if err != nil {
			return nil, err
		}
		for _, mt := range md.Topics {
			if mt.ErrorCode == 0 || mt.ErrorCode == client.CodeLeaderNotAvailable {
				found = append(found, mt)
			}
		}
	}
	if len(found) == 0 && !t.p.has("if-exists") {
		return nil, t.noTopic()
	}
	return found, nil
}

func (t *topicsTool) alter() error {
	topics, err := t.present()
	if err != nil || len(topics) == 0 {
		return err
	}
	assignment, err := parseReplicaAssignment(t.p.value("replica-assignment"))
	if err != nil {
		return err
	}
	count, _ := t.p.number("partitions")
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = createTimeoutMs
	for _, mt := range topics {
		rt := kmsg.NewCreatePartitionsRequestTopic()
		rt.Topic, rt.Count = *mt.Topic, int32(count)
		if t.p.value("replica-assignment") != "" {
			// What is given covers the partitions that exist too; nothing left
			// for the new ones is not the same as leaving the choice open.
			rt.Assignment = []kmsg.CreatePartitionsRequestTopicAssignment{}
		}
		for _, replicas := range assignment[min(len(mt.Partitions), len(assignment)):] {
			a := kmsg.NewCreatePartitionsRequestTopicAssignment()
			a.Replicas = replicas
			rt.Assignment = append(rt.Assignment, a)
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := t.c.Any(t.ctx, "createPartitions", req)
	if err != nil {
		return err
	}
	for _, res := range resp.(*kmsg.CreatePartitionsResponse).Topics {
		if err := client.CodeError(res.ErrorCode, res.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

func (t *topicsTool) list() error {
	exclude := t.p.has("exclude-internal")
	names, err := t.topicNames(t.c, exclude)
	if err != nil {
		return err
	}
	if t.p.has("topic") {
		f, err := newTopicFilter(t.p.value("topic"))
		if err != nil {
			return err
		}
		var kept []string
		for _, n := range names {
			if f.allows(n, exclude) {
				kept = append(kept, n)
			}
		}
		names = kept
	}
	for _, n := range names {
		if t.json {
			t.row("topic", n)
			continue
		}
		t.println(n)
	}
	return nil
}

func (t *topicsTool) delete() error {
	names, known, err := t.matching(false)
	if err != nil {
		return err
	}
	if known && len(names) == 0 {
		if t.p.has("if-exists") {
			return nil
		}
		return t.noTopic()
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = createTimeoutMs
	req.TopicNames = names
	for _, n := range names {
		rt := kmsg.NewDeleteTopicsRequestTopic()
		rt.Topic = kmsg.StringPtr(n)
		req.Topics = append(req.Topics, rt)
	}
	resp, err := t.c.Any(t.ctx, "deleteTopics", req)
	if err != nil {
		return err
	}
	for _, res := range resp.(*kmsg.DeleteTopicsResponse).Topics {
		switch {
		case res.ErrorCode == client.CodeUnknownTopicOrPartition && t.p.has("if-exists"):
		case res.ErrorCode == client.CodeUnknownTopicOrPartition && !known:
			return t.noTopic()
		case res.ErrorCode != 0:
			return client.CodeError(res.ErrorCode, res.ErrorMessage)
		}
	}
	return nil
}
