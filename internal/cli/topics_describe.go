package cli

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// described is what --describe shows of a topic, from whichever API.
type described struct {
	name       string
	id         [16]byte
	partitions []describedPartition
}

type describedPartition struct {
	id            int32
	leader        int32
	replicas, isr []int32
	elr, lastELR  []int32
	hasELR        bool // false: the answer could not say
}

func (t *topicsTool) describe() error {
	byID := t.p.has("topic-id")
	topics, brokers, err := t.describeTopics(byID)
	if err != nil {
		return err
	}
	if len(topics) == 0 {
		return nil
	}
	sort.Slice(topics, func(i, j int) bool { return topics[i].name < topics[j].name })
	names := make([]string, len(topics))
	for i, d := range topics {
		names[i] = d.name
	}
	configs, err := t.describeConfigs(t.c, resourceTopic, names, false)
	if err != nil {
		return err
	}
	moves := t.reassignments(topics)
	for _, d := range topics {
		t.printDescribed(d, configs[d.name], moves, brokers)
	}
	return nil
}

// describeTopics finds the topics to show. brokers is nil unless it was learnt
// on the way; only --unavailable-partitions needs it.
func (t *topicsTool) describeTopics(byID bool) ([]described, map[int32]bool, error) {
	if byID {
		id, err := parseUUID(t.p.value("topic-id"))
		if err != nil {
			return nil, nil, err
		}
		// The zero id stands for no id: everything else selects then.
		if id != ([16]byte{}) {
			d, brokers, err := t.describeByID(id)
			return d, brokers, err
		}
	}
	names, known, err := t.matching(t.p.has("exclude-internal"))
	if err != nil {
		return nil, nil, err
	}
	var found []described
	if len(names) > 0 {
		if found, err = t.describeNames(names); err != nil {
			return nil, nil, err
		}
	}
	if len(found) == 0 && t.p.has("topic") && !t.p.has("if-exists") {
		return nil, nil, t.noTopic()
	}
	if !known && len(found) == 0 {
		return nil, nil, nil
	}
	brokers, err := t.liveBrokers()
	return found, brokers, err
}

func (t *topicsTool) liveBrokers() (map[int32]bool, error) {
	if !t.p.has("unavailable-partitions") {
		return nil, nil
	}
	md, err := t.c.Metadata(t.ctx, "describeCluster", nil, false)
	if err != nil {
		return nil, err
	}
	return brokerSet(md), nil
}

func brokerSet(md *kmsg.MetadataResponse) map[int32]bool {
	live := map[int32]bool{}
	for _, b := range md.Brokers {
		live[b.NodeID] = true
	}
	return live
}

func (t *topicsTool) describeByID(id [16]byte) ([]described, map[int32]bool, error) {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.TopicID = id
	req.Topics = append(req.Topics, rt)
	resp, err := t.c.Any(t.ctx, "describeTopicsWithIds", req)
	if err != nil {
		return nil, nil, err
	}
	md := resp.(*kmsg.MetadataResponse)
	var out []described
	for _, mt := range md.Topics {
		if mt.ErrorCode == 0 && mt.Topic != nil {
			out = append(out, fromMetadata(mt))
		}
	}
	if len(out) == 0 && !t.p.has("if-exists") {
		return nil, nil, notThere("TopicId", t.p.value("topic-id"))
	}
	return out, brokerSet(md), nil
}

func fromMetadata(mt kmsg.MetadataResponseTopic) described {
	d := described{name: *mt.Topic, id: mt.TopicID}
	for _, p := range mt.Partitions {
		d.partitions = append(d.partitions, describedPartition{id: p.Partition, leader: p.Leader, replicas: p.Replicas, isr: p.ISR})
	}
	d.sortPartitions()
	return d
}

func (d *described) sortPartitions() {
	sort.Slice(d.partitions, func(i, j int) bool { return d.partitions[i].id < d.partitions[j].id })
}

// describePageLimit is the most partitions that a broker puts into an answer.
const describePageLimit = 2000

// describeNames asks for pages of partitions until there are no more. A topic
// that is not there is left out.
func (t *topicsTool) describeNames(names []string) ([]described, error) {
	limit := int64(describePageLimit)
	if n, ok := t.p.number("partition-size-limit-per-response"); ok {
		limit = n
	}
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = int32(limit)
	for _, n := range names {
		rt := kmsg.NewDescribeTopicPartitionsRequestTopic()
		rt.Topic = n
		req.Topics = append(req.Topics, rt)
	}
	byName := map[string]*described{}
	var order []*described
	for {
		resp, err := t.c.Any(t.ctx, "describeTopicPartitions", req)
		if isUnsupported(err) {
			return t.describeByMetadata(names)
		}
		if err != nil {
			return nil, err
		}
		page := resp.(*kmsg.DescribeTopicPartitionsResponse)
		for _, rt := range page.Topics {
			if rt.ErrorCode == client.CodeUnknownTopicOrPartition || rt.ErrorCode == client.CodeTopicAuthFailed {
				continue
			}
			if err := client.CodeError(rt.ErrorCode, nil); err != nil {
				return nil, err
			}
			d := byName[*rt.Topic]
			if d == nil {
				d = &described{name: *rt.Topic, id: rt.TopicID}
				byName[d.name] = d
				order = append(order, d)
			}
			d.addPartitions(rt.Partitions)
		}
		if page.NextCursor == nil {
			break
		}
		cur := kmsg.NewDescribeTopicPartitionsRequestCursor()
		cur.Topic, cur.Partition = page.NextCursor.Topic, page.NextCursor.Partition
		req.Cursor = &cur
		req.Topics = fromTopic(req.Topics, cur.Topic)
	}
	out := make([]described, 0, len(order))
	for _, d := range order {
		d.sortPartitions()
		out = append(out, *d)
	}
	return out, nil
}

// fromTopic drops what the pages so far have covered: topics are answered in
// the order of their names.
func fromTopic(topics []kmsg.DescribeTopicPartitionsRequestTopic, first string) []kmsg.DescribeTopicPartitionsRequestTopic {
	var out []kmsg.DescribeTopicPartitionsRequestTopic
	for _, rt := range topics {
		if rt.Topic >= first {
			out = append(out, rt)
		}
	}
	return out
}

func (d *described) addPartitions(ps []kmsg.DescribeTopicPartitionsResponseTopicPartition) {
	for _, p := range ps {
		d.partitions = append(d.partitions, describedPartition{
			id: p.Partition, leader: p.LeaderID, replicas: p.Replicas, isr: p.ISR,
			elr: p.EligibleLeaderReplicas, lastELR: p.LastKnownELR, hasELR: true,
		})
	}
}

func (t *topicsTool) describeByMetadata(names []string) ([]described, error) {
	md, err := t.c.Metadata(t.ctx, "describeTopics", names, false)
	if err != nil {
		return nil, err
	}
	var out []described
	for _, mt := range md.Topics {
		if mt.ErrorCode == client.CodeUnknownTopicOrPartition {
			continue
		}
		if err := client.CodeError(mt.ErrorCode, nil); err != nil && mt.ErrorCode != client.CodeLeaderNotAvailable {
			return nil, err
		}
		out = append(out, fromMetadata(mt))
	}
	return out, nil
}

type topicPartition struct {
	topic     string
	partition int32
}

func (tp topicPartition) String() string { return tp.topic + "-" + strconv.Itoa(int(tp.partition)) }

type move struct{ replicas, adding, removing []int32 }

// reassignments asks which partitions are on the move. Not being allowed to
// know, or a cluster that cannot say, is the same as none.
func (t *topicsTool) reassignments(topics []described) map[topicPartition]move {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	req.TimeoutMillis = createTimeoutMs
	for _, d := range topics {
		rt := kmsg.NewListPartitionReassignmentsRequestTopic()
		rt.Topic = d.name
		for _, p := range d.partitions {
			rt.Partitions = append(rt.Partitions, p.id)
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := t.c.Any(t.ctx, "listPartitionReassignments", req)
	if err != nil {
		return nil
	}
	moves := map[topicPartition]move{}
	for _, rt := range resp.(*kmsg.ListPartitionReassignmentsResponse).Topics {
		for _, p := range rt.Partitions {
			moves[topicPartition{rt.Topic, p.Partition}] = move{p.Replicas, p.AddingReplicas, p.RemovingReplicas}
		}
	}
	return moves
}

func (t *topicsTool) printDescribed(d described, configs []configEntry, moves map[topicPartition]move, live map[int32]bool) {
	filters := t.p.hasAny("under-replicated-partitions", "unavailable-partitions", "under-min-isr-partitions", "at-min-isr-partitions")
	overrides := t.p.has("topics-with-overrides")
	texts := nonDefault(configs)
	if !filters && !(overrides && len(texts) == 0) {
		switch {
		case !t.json:
			t.printTopicLine(d, texts, moves)
		case overrides:
			t.row("topic", d.name, "topicId", uuidString(d.id), "partitions", len(d.partitions), "configs", texts)
		}
	}
	if overrides {
		return
	}
	minISR := configNumber(configs, "min.insync.replicas")
	for _, p := range d.partitions {
		m, moving := moves[topicPartition{d.name, p.id}]
		if t.wanted(p, replicationFactor(p, m, moving), minISR, live) {
			if t.json {
				t.row("topic", d.name, "topicId", uuidString(d.id), "partition", p.id, "leader", p.leader, "replicas", p.replicas, "isr", p.isr, "adding", m.adding, "removing", m.removing,
					"eligibleLeaderReplicas", p.elr, "lastKnownEligibleLeaderReplicas", p.lastELR, "configs", texts)
				continue
			}
			t.printPartitionLine(d.name, p, m)
		}
	}
}

// nonDefault lists `key=value` of what is set, in the order of a Java map of
// all the entries.
func nonDefault(configs []configEntry) []string {
	values := map[string]string{}
	set := map[string]bool{}
	var keys []string
	for _, e := range configs {
		keys = append(keys, e.Name)
		if e.Value != nil {
			values[e.Name] = *e.Value
		}
		set[e.Name] = e.Source != kmsg.ConfigSourceDefaultConfig && !(e.Source == 0 && e.IsDefault)
	}
	var out []string
	for _, k := range hashMapOrder(keys) {
		if set[k] {
			out = append(out, k+"="+values[k])
		}
	}
	return out
}

func configNumber(configs []configEntry, name string) int {
	for _, e := range configs {
		if e.Name == name && e.Value != nil {
			if n, err := strconv.Atoi(*e.Value); err == nil {
				return n
			}
		}
	}
	return 1
}

// replicationFactor does not count replicas that a reassignment is adding.
func replicationFactor(p describedPartition, m move, moving bool) int {
	if moving && len(m.adding) > 0 {
		return len(m.replicas) - len(m.adding)
	}
	return len(p.replicas)
}

// wanted tells whether a partition is in one of the states that were asked for; all are wanted where none was.
func (t *topicsTool) wanted(p describedPartition, rf, minISR int, live map[int32]bool) bool {
	asked, is := false, false
	for option, state := range map[string]bool{
		"under-replicated-partitions": rf-len(p.isr) > 0,
		"unavailable-partitions":      p.leader < 0 || !live[p.leader],
		"under-min-isr-partitions":    p.leader < 0 || len(p.isr) < minISR,
		"at-min-isr-partitions":       len(p.isr) == minISR,
	} {
		if t.p.has(option) {
			asked, is = true, is || state
		}
	}
	return is || !asked
}

func (t *topicsTool) printTopicLine(d described, configs []string, moves map[topicPartition]move) {
	rf := 0
	if len(d.partitions) > 0 {
		first := d.partitions[0]
		m, moving := moves[topicPartition{d.name, first.id}]
		rf = replicationFactor(first, m, moving)
	}
	t.printf("Topic: %s", d.name)
	if d.id != ([16]byte{}) {
		t.printf("\tTopicId: %s", uuidString(d.id))
	}
	t.printf("\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s\n", len(d.partitions), rf, strings.Join(configs, ","))
}

func (t *topicsTool) printPartitionLine(topic string, p describedPartition, m move) {
	leader := "none"
	if p.leader >= 0 {
		leader = strconv.Itoa(int(p.leader))
	}
	t.printf("\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s", topic, p.id, leader, joinInts(p.replicas, ","), joinInts(p.isr, ","))
	if len(m.adding) > 0 {
		t.printf("\tAdding Replicas: %s", joinInts(m.adding, ","))
	}
	if len(m.removing) > 0 {
		t.printf("\tRemoving Replicas: %s", joinInts(m.removing, ","))
	}
	elr, last := "N/A", "N/A"
	if p.hasELR {
		elr, last = joinInts(p.elr, ","), joinInts(p.lastELR, ",")
	}
	fmt.Fprintf(t.out, "\tElr: %s\tLastKnownElr: %s\n", elr, last)
}
