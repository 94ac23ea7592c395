package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// reset works out new offsets for each group and, with --execute, commits them.
func (g *groupsTool) reset() error {
	ids, err := g.selectedGroups()
	if err != nil {
		return err
	}
	ids = hashMapOrder(ids)
	plan, err := g.planReset(ids)
	if err != nil {
		return err
	}
	if g.p.has("execute") {
		for _, id := range ids {
			if err := g.commit(id, plan[id]); err != nil {
				return executionError(err)
			}
		}
	}
	if g.p.has("export") {
		g.exportReset(ids, plan)
		return nil
	}
	if len(ids) > 0 {
		g.printReset(ids, plan)
	}
	return nil
}

type resetPlan map[string]map[topicPartition]int64

func (g *groupsTool) planReset(ids []string) (resetPlan, error) {
	plan := resetPlan{}
	if len(ids) == 0 {
		return plan, nil
	}
	infos, err := g.describeGroups(ids)
	if err != nil {
		return nil, wrapExecution(err)
	}
	for _, id := range ids {
		info := infos[id]
		switch {
		case info.err != nil && !client.IsCode(info.err, client.CodeGroupIDNotFound):
			return nil, wrapExecution(info.err)
		case info.err == nil && !strings.EqualFold(info.state, "Empty") && !strings.EqualFold(info.state, "Dead"):
			g.failed = true
			g.printf("\nError: Assignments can only be reset if the group '%s' is inactive, but the current state is %s.\n", id, stateText(info.state))
			continue
		}
		offsets, err := g.newOffsets(id, ids)
		if err != nil {
			return nil, err
		}
		plan[id] = offsets
	}
	return plan, nil
}

func (g *groupsTool) newOffsets(id string, ids []string) (map[topicPartition]int64, error) {
	p := g.p
	if p.has("from-file") && !p.hasAny("topic", "all-topics") {
		return g.offsetsFromFile(id, ids)
	}
	current, err := g.committedOffsets([]string{id})
	if err != nil {
		return nil, executionError(err)
	}
	tps, err := g.partitionsToReset(current[id])
	if err != nil {
		return nil, err
	}
	switch {
	case p.has("to-offset"):
		n, _ := p.number("to-offset")
		if err := uniquePartitions(tps, func(topicPartition) string { return strconv.FormatInt(n, 10) }); err != nil {
			return nil, err
		}
		return g.clamped(fill(tps, n))
	case p.has("to-earliest"):
		return g.offsetsAt(tps, earliestOffset)
	case p.has("to-latest"):
		return g.offsetsAt(tps, latestOffset)
	case p.has("shift-by"):
		return g.shifted(tps, current[id])
	case p.has("to-datetime"):
		ts, err := parseDateTime(p.value("to-datetime"))
		if err != nil {
			return nil, err
		}
		return g.offsetsAtTime(tps, ts)
	case p.has("by-duration"):
		length, err := parseISOLength(p.value("by-duration"))
		if err != nil {
			return nil, err
		}
		ts, err := length.before(g.Now())
		if err != nil {
			return nil, err
		}
		return g.offsetsAtTime(tps, ts)
	case p.has("to-current"):
		return g.currentOrEnd(tps, current[id])
	case p.has("from-file"):
		return g.offsetsFromFile(id, ids)
	}
	return nil, &optionError{fmt.Sprintf("Option '[reset-offsets]' requires one of the following scenarios: [[%s]]", strings.Join(resetScenarios(), "], ["))}
}

func fill(tps []topicPartition, v int64) map[topicPartition]int64 {
	out := make(map[topicPartition]int64, len(tps))
	for _, tp := range tps {
		out[tp] = v
	}
	return out
}

// partitionsToReset are those of --topic, or all that have a committed offset.
func (g *groupsTool) partitionsToReset(current map[topicPartition]committed) ([]topicPartition, error) {
	if g.p.has("all-topics") {
		var tps []topicPartition
		for tp := range current {
			tps = append(tps, tp)
		}
		sortPartitions(tps)
		return tps, nil
	}
	if !g.p.has("topic") {
		return nil, &optionError{"One of the reset scopes should be defined: --all-topics, --topic."}
	}
	return g.topicPartitions(g.p.all("topic"))
}

// topicPartitions reads `topic` and `topic:0,1`.
func (g *groupsTool) topicPartitions(args []string) ([]topicPartition, error) {
	var tps []topicPartition
	var whole []string
	for _, a := range args {
		topic, list, ok := strings.Cut(a, ":")
		switch {
		case a == "":
			return nil, errors.New("The given topic name '' cannot be represented in a request.")
		case !ok:
			whole = append(whole, topic)
			continue
		case strings.Trim(list, ":") == "" || strings.Contains(strings.TrimRight(list, ":"), ":"):
			return nil, &optionError{fmt.Sprintf("Invalid topic arg '%s', expected topic name and partitions", a)}
		}
		for _, s := range strings.Split(list, ",") {
			n, err := strconv.ParseInt(s, 10, 32)
			if err != nil {
				return nil, &optionError{fmt.Sprintf("Invalid partition '%s' specified in topic arg '%s''", s, a)}
			}
			tps = append(tps, topicPartition{topic, int32(n)})
		}
	}
	if len(whole) == 0 {
		return tps, nil
	}
	md, err := g.c.Metadata(g.ctx, "describeTopics", whole, false)
	if err != nil {
		return nil, wrapExecution(err)
	}
	for _, t := range md.Topics {
		if err := client.CodeError(t.ErrorCode, nil); err != nil && t.ErrorCode != client.CodeLeaderNotAvailable {
			g.hintNearestTopics(g.c, whole...)
			return nil, &javaError{text: err.Error(), plain: err.Error(), cause: err}
		}
		for _, p := range t.Partitions {
			tps = append(tps, topicPartition{*t.Topic, p.Partition})
		}
	}
	sortPartitions(tps)
	return tps, nil
}

func (g *groupsTool) offsetsAt(tps []topicPartition, at int64) (map[topicPartition]int64, error) {
	if err := uniquePartitions(tps, offsetSpec(at)); err != nil {
		return nil, err
	}
	out := make(map[topicPartition]int64, len(tps))
	for tp, res := range g.listOffsets(g.c, fill(tps, at), false) {
		if res.err != nil {
			return nil, unknownPartition(tp, res.err)
		}
		out[tp] = res.offset
	}
	return out, nil
}

// unknownPartition is the complaint about a partition whose offsets cannot be had.
func unknownPartition(tp topicPartition, err error) error {
	if client.IsCode(err, client.CodeUnknownTopicOrPartition) {
		return fmt.Errorf("The partitions \"%s\" do not exist", tp)
	}
	if client.IsCode(err, client.CodeUnsupportedVersion) { // what is asked for is no time
		return wrapExecution(err)
	}
	return err
}

func (g *groupsTool) offsetsAtTime(tps []topicPartition, ts int64) (map[topicPartition]int64, error) {
	if g.laterThanZero && ts < 0 && len(tps) > 0 {
		return nil, &consumerFailure{"java.lang.IllegalArgumentException", fmt.Errorf("The target time for partition %s is %d. The target time cannot be negative.", tps[0], ts)}
	}
	out, err := g.offsetsAt(tps, ts)
	if err != nil {
		return nil, err
	}
	var none []topicPartition
	for tp, offset := range out {
		if offset < 0 {
			none = append(none, tp)
		}
	}
	sortPartitions(none)
	for _, tp := range none {
		if g.remarkEmpty != nil {
			g.remarkEmpty(tp)
			continue
		}
		g.printf("\nWarn: Partition %d from topic %s is empty. Falling back to latest known offset.\n", tp.partition, tp.topic)
	}
	ends, err := g.offsetsAt(none, latestOffset)
	if err != nil {
		return nil, err
	}
	for tp, end := range ends {
		out[tp] = end
	}
	return out, nil
}

// clamped keeps requested offsets between a partition's start and end.
func (g *groupsTool) clamped(want map[topicPartition]int64) (map[topicPartition]int64, error) {
	var tps []topicPartition
	for tp := range want {
		tps = append(tps, tp)
	}
	starts, err := g.offsetsAt(tps, earliestOffset)
	if err != nil {
		return nil, err
	}
	ends, err := g.offsetsAt(tps, latestOffset)
	if err != nil {
		return nil, err
	}
	remark := g.remarkClamp
	if remark == nil {
		remark = g.logClamp
	}
	for _, tp := range tps {
		switch {
		case want[tp] > ends[tp]:
			remark(tp, want[tp], ends[tp], true)
			want[tp] = ends[tp]
		case want[tp] < starts[tp]:
			remark(tp, want[tp], starts[tp], false)
			want[tp] = starts[tp]
		}
	}
	return want, nil
}

func (g *groupsTool) logClamp(tp topicPartition, want, limit int64, tooHigh bool) {
	beyond := "lower than earliest"
	if tooHigh {
		beyond = "higher than latest"
	}
	g.logLine("WARN", "org.apache.kafka.tools.OffsetsUtils", fmt.Sprintf("New offset (%d) is %s offset for topic partition %s. Value will be set to %d", want, beyond, tp, limit))
}

func (g *groupsTool) shifted(tps []topicPartition, current map[topicPartition]committed) (map[topicPartition]int64, error) {
	by, _ := g.p.number("shift-by")
	want := map[topicPartition]int64{}
	for _, tp := range tps {
		c, ok := current[tp]
		if !ok {
			return nil, &optionError{fmt.Sprintf("Cannot shift offset for partition %s since there is no current committed offset", tp)}
		}
		want[tp] = c.offset + by
	}
	if err := uniquePartitions(tps, func(tp topicPartition) string { return strconv.FormatInt(want[tp], 10) }); err != nil {
		return nil, err
	}
	return g.clamped(want)
}

func (g *groupsTool) currentOrEnd(tps []topicPartition, current map[topicPartition]committed) (map[topicPartition]int64, error) {
	out := map[topicPartition]int64{}
	var without []topicPartition
	for _, tp := range tps {
		if c, ok := current[tp]; ok {
			out[tp] = c.offset
		} else {
			without = append(without, tp)
		}
	}
	ends, err := g.offsetsAt(without, latestOffset)
	if err != nil {
		return nil, err
	}
	for tp, end := range ends {
		out[tp] = end
	}
	return out, nil
}

// commit stores offsets for a group without members.
func (g *groupsTool) commit(id string, offsets map[topicPartition]int64) error {
	if len(offsets) == 0 {
		return nil
	}
	node, err := g.c.Coordinator(g.ctx, "alterConsumerGroupOffsets(api=FIND_COORDINATOR)", id)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = id, -1
	byTopic := map[string][]kmsg.OffsetCommitRequestTopicPartition{}
	for tp, offset := range offsets {
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset, rp.Metadata = tp.partition, offset, kmsg.StringPtr("")
		byTopic[tp.topic] = append(byTopic[tp.topic], rp)
	}
	for _, topic := range sortedKeys(byTopic) {
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic, rt.Partitions = topic, byTopic[topic]
		req.Topics = append(req.Topics, rt)
	}
	resp, err := g.c.OnBroker(g.ctx, "alterConsumerGroupOffsets(api=OFFSET_COMMIT)", node.NodeID, req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.OffsetCommitResponse).Topics {
		for _, p := range t.Partitions {
			if err := client.CodeError(p.ErrorCode, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *groupsTool) exportReset(ids []string, plan resetPlan) {
	for _, id := range ids {
		for _, tp := range sortedPartitions(plan[id]) {
			if len(ids) > 1 {
				g.printf("%s,", id)
			}
			g.printf("%s,%d,%d\n", tp.topic, tp.partition, plan[id][tp])
		}
	}
}

func sortedPartitions[V any](m map[topicPartition]V) []topicPartition {
	tps := make([]topicPartition, 0, len(m))
	for tp := range m {
		tps = append(tps, tp)
	}
	sortPartitions(tps)
	return tps
}

func (g *groupsTool) printReset(ids []string, plan resetPlan) {
	g.printResetTable(ids, plan, minColumn)
}

// printResetTable prints a plan, its names in columns of so many signs at least.
func (g *groupsTool) printResetTable(ids []string, plan resetPlan, least int) {
	group, topic := least, least
	for _, id := range ids {
		for tp := range plan[id] {
			group, topic = max(group, len(id)), max(topic, len(tp.topic))
		}
	}
	g.printf("\n%-*s %-*s %-10s %s\n", group, "GROUP", topic, "TOPIC", "PARTITION", "NEW-OFFSET")
	for _, id := range ids {
		for _, tp := range sortedPartitions(plan[id]) {
			g.printf("%-*s %-*s %-10d %d\n", group, id, topic, tp.topic, tp.partition, plan[id][tp])
		}
	}
}

func (g *groupsTool) deleteOffsets() error {
	id := g.p.value("group")
	if g.p.err != nil {
		return g.p.err
	}
	tps, unknown, err := g.offsetsToDelete()
	if err != nil {
		return err
	}
	top, perPartition, err := g.sendOffsetDelete(id, tps)
	if err != nil {
		return err
	}
	partial := false
	for _, code := range perPartition {
		partial = partial || code != 0
	}
	switch {
	case top != nil:
		g.failed = true
		g.hintNearestGroup(g.c, id)
		g.printf("\nError: %s\n", top)
	case partial:
		g.failed = true
		g.println("\nError: Encountered some partition-level error, see the follow-up details.")
	default:
		g.printf("Request succeeded for deleting offsets from group %s.\n", id)
	}
	var rows []deletedOffset
	for _, tp := range tps {
		err := client.CodeError(perPartition[tp], nil)
		if err == nil {
			err = top
		}
		rows = append(rows, deletedOffset{tp.topic, strconv.Itoa(int(tp.partition)), err})
	}
	g.hintNearestTopics(g.c, sortedKeys(unknown)...)
	for topic, err := range unknown {
		rows = append(rows, deletedOffset{topic, missingColumn, err})
	}
	g.printDeletedOffsets(rows, minColumn)
	return nil
}

// deletedOffset is a partition of which an offset was to be deleted, or a topic that is not there.
type deletedOffset struct {
	topic, partition string
	err              error
}

// printDeletedOffsets puts partitions in the order of their text: 10 is before 2.
func (g *groupsTool) printDeletedOffsets(rows []deletedOffset, width int) {
	slices.SortFunc(rows, func(a, b deletedOffset) int {
		return cmp.Or(strings.Compare(a.topic, b.topic), strings.Compare(a.partition, b.partition))
	})
	g.printf("\n%-*s %-10s %-15s\n", width, "TOPIC", "PARTITION", "STATUS")
	for _, x := range rows {
		status := "Successful"
		if x.err != nil {
			g.failed = true
			status = "Error: " + withClass(x.err)
		}
		g.printf("%-*s %-10s %-15s\n", width, x.topic, x.partition, status)
	}
}

// offsetsToDelete resolves each --topic by itself: one that is not there is a
// line of the result, not the end of the command.
func (g *groupsTool) offsetsToDelete() (tps []topicPartition, unknown map[string]error, err error) {
	unknown = map[string]error{}
	for _, arg := range g.p.all("topic") {
		found, err := g.topicPartitions([]string{arg})
		var ke *client.KafkaError
		switch {
		case errors.As(err, &ke):
			unknown[arg] = ke
		case err != nil:
			return nil, nil, err
		}
		tps = append(tps, found...)
	}
	return tps, unknown, nil
}

func (g *groupsTool) sendOffsetDelete(id string, tps []topicPartition) (top error, codes map[topicPartition]int16, err error) {
	node, err := g.c.Coordinator(g.ctx, "deleteConsumerGroupOffsets(api=FIND_COORDINATOR)", id)
	if client.IsCode(err, client.CodeGroupAuthFailed) {
		return err, nil, nil
	}
	if err != nil {
		return nil, nil, executionError(err)
	}
	if err := g.learnBrokers("deleteConsumerGroupOffsets"); err != nil {
		return nil, nil, err
	}
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = id
	byTopic := map[string][]kmsg.OffsetDeleteRequestTopicPartition{}
	for _, tp := range tps {
		rp := kmsg.NewOffsetDeleteRequestTopicPartition()
		rp.Partition = tp.partition
		byTopic[tp.topic] = append(byTopic[tp.topic], rp)
	}
	for _, topic := range sortedKeys(byTopic) {
		rt := kmsg.NewOffsetDeleteRequestTopic()
		rt.Topic, rt.Partitions = topic, byTopic[topic]
		req.Topics = append(req.Topics, rt)
	}
	resp, err := g.c.OnBroker(g.ctx, "deleteConsumerGroupOffsets(api=OFFSET_DELETE)", node.NodeID, req)
	if err != nil {
		return nil, nil, err
	}
	or := resp.(*kmsg.OffsetDeleteResponse)
	codes = map[topicPartition]int16{}
	for _, t := range or.Topics {
		for _, p := range t.Partitions {
			codes[topicPartition{t.Topic, p.Partition}] = p.ErrorCode
		}
	}
	return client.CodeError(or.ErrorCode, nil), codes, nil
}
