package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// reset moves the offsets of input topics, as for a consumer group, and deletes
// internal topics that were named.
func (g *streamsTool) reset() error {
	ids, err := g.namedOrAll("streams")
	if err != nil || len(ids) == 0 {
		return err
	}
	infos, err := g.describeStreams(ids)
	if client.IsCode(err, client.CodeGroupIDNotFound) && !g.p.has("all-input-topics") { // it may have offsets all the same
		infos, err = map[string]*streamsInfo{}, nil
	}
	if err != nil {
		return wrapExecution(err)
	}
	plan := resetPlan{}
	for _, id := range ids {
		if infos[id] == nil {
			infos[id] = deadStreams(id)
		}
		if s := infos[id].State; !strings.EqualFold(s, "Empty") && !strings.EqualFold(s, "Dead") {
			g.failed = true
			g.printf("\nError: Assignments can only be reset if the group '%s' is inactive, but the current state is %s.\n", id, s)
			plan[id] = nil
			continue
		}
		offsets, err := g.streamsOffsets(infos[id], ids)
		if err != nil {
			return err
		}
		plan[id] = offsets
		if !g.p.has("execute") {
			continue
		}
		if err := g.commit(id, offsets); err != nil {
			return executionError(err)
		}
		if err := g.deleteInternal(infos[id]); err != nil {
			return executionError(err)
		}
	}
	if g.p.has("export") {
		g.exportReset(ids, plan)
		return nil
	}
	g.printResetTable(ids, plan, 30)
	return nil
}

func deadStreams(id string) *streamsInfo {
	info := &streamsInfo{}
	info.Group, info.State = id, "Dead"
	return info
}

// ofGroup are the topics of a scope, or none where the group has no offsets of one of them.
func (g *streamsTool) ofGroup(id string, scope []string) ([]string, error) {
	current, err := g.committedOffsets([]string{id})
	if err != nil {
		return nil, executionError(err)
	}
	read := map[string]bool{}
	for tp := range current[id] {
		read[tp.topic] = true
	}
	for _, arg := range scope {
		if topic, _, _ := strings.Cut(arg, ":"); !read[topic] {
			g.failed = true
			g.printf("\nError: One or more topics are not part of the group '%s'.\n", id)
			return nil, nil
		}
	}
	return scope, nil
}

// streamsOffsets works out new offsets through the consumer groups' code, which
// knows scopes by the names of its own options.
func (g *streamsTool) streamsOffsets(info *streamsInfo, ids []string) (map[topicPartition]int64, error) {
	scope := g.p.all("input-topic")
	if g.p.has("all-input-topics") {
		scope = inputTopics(info)
	}
	if len(scope) == 0 && !g.p.has("from-file") {
		if g.p.has("all-input-topics") {
			return nil, nil
		}
		return nil, &optionError{"One of the reset scopes should be defined: --all-topics, --topic."}
	}
	if !g.p.hasAny("all-input-topics", "from-file") {
		var err error
		if scope, err = g.ofGroup(info.Group, scope); err != nil {
			return nil, err
		}
	}
	sub := *g.p
	sub.given, sub.values = map[string]bool{"topic": len(scope) > 0 || !g.p.has("from-file")}, map[string][]string{"topic": scope}
	for name := range g.p.given {
		sub.given[name] = true
	}
	for name, vs := range g.p.values {
		sub.values[name] = vs
	}
	inner := g.groupsTool
	inner.p = &sub
	return inner.newOffsets(info.Group, ids)
}

// inputTopics are the topics that the application reads and did not make.
func inputTopics(info *streamsInfo) []string {
	set := map[string]bool{}
	if info.Topology != nil {
		for _, s := range info.Topology.Subtopologies {
			for _, t := range s.SourceTopics {
				set[t] = true
			}
		}
	}
	return sortedKeys(set)
}

// internalTopics are those that the application made.
func internalTopics(info *streamsInfo) []string {
	set := map[string]bool{}
	if info.Topology != nil {
		for _, s := range info.Topology.Subtopologies {
			for _, t := range s.StateChangelogTopics {
				set[t.Topic] = true
			}
			for _, t := range s.RepartitionSourceTopics {
				set[t.Topic] = true
			}
		}
	}
	return sortedKeys(set)
}

func (g *streamsTool) deleteInternal(info *streamsInfo) error {
	internal := internalTopics(info)
	var doomed []string
	if g.p.has("delete-all-internal-topics") {
		doomed = internal
	}
	for _, t := range g.p.all("delete-internal-topic") {
		if !contains(internal, t) {
			return fmt.Errorf("%s is not an internal topic of %s", t, info.Group)
		}
		if !contains(doomed, t) {
			doomed = append(doomed, t)
		}
	}
	return g.deleteTopics(g.c, doomed)
}

// deleteTopics deletes topics by name.
func (r *run) deleteTopics(c *client.Client, names []string) error {
	if len(names) == 0 {
		return nil
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(c.Settings.RequestTimeout.Milliseconds())
	req.TopicNames = names
	for _, n := range names {
		rt := kmsg.NewDeleteTopicsRequestTopic()
		rt.Topic = kmsg.StringPtr(n)
		req.Topics = append(req.Topics, rt)
	}
	resp, err := c.Any(r.ctx, "deleteTopics", req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.DeleteTopicsResponse).Topics {
		if err := client.CodeError(t.ErrorCode, t.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

func (g *streamsTool) deleteOffsets() error {
	id := g.p.value("group")
	if g.p.err != nil {
		return g.p.err
	}
	var rows []deletedOffset
	var tps []topicPartition
	scope := g.p.all("input-topic")
	if g.p.has("all-input-topics") {
		infos, err := g.describeStreams([]string{id})
		if err != nil {
			return wrapExecution(err)
		}
		scope = inputTopics(infos[id])
	}
	for _, t := range scope {
		found, err := g.topicPartitions([]string{t})
		if err != nil {
			topic, _, _ := strings.Cut(t, ":")
			rows = append(rows, deletedOffset{topic, missingColumn, err})
			continue
		}
		tps = append(tps, found...)
	}
	top, codes, err := g.sendOffsetDelete(id, tps)
	if err != nil {
		return err
	}
	partial := false
	for _, tp := range tps {
		err := client.CodeError(codes[tp], nil)
		partial = partial || err != nil
		if top != nil {
			err = top
		}
		rows = append(rows, deletedOffset{tp.topic, strconv.Itoa(int(tp.partition)), err})
	}
	switch {
	case top != nil:
		g.failed = true
		g.printf("\nError: %s\n", top)
	case partial:
		g.println("\nError: Encountered some partition-level error, see the follow-up details.")
	default:
		g.printf("Request succeeded for deleting offsets from group %s.\n", id)
	}
	width := minColumn
	for _, x := range rows {
		width = max(width, len(x.topic))
	}
	g.printDeletedOffsets(rows, width)
	return nil
}
