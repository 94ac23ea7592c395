package cli

import (
	"fmt"
	"sort"
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
	if err != nil {
		return wrapExecution(err)
	}
	plan := resetPlan{}
	for _, id := range ids {
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
	g.printReset(ids, plan)
	return nil
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
		return nil, &optionError{"One of the reset scopes should be defined: --all-input-topics, --input-topic."}
	}
	sub := *g.p
	sub.given, sub.values = map[string]bool{"topic": true}, map[string][]string{"topic": scope}
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
	type row struct {
		topic, partition string
		err              error
	}
	var rows []row
	var tps []topicPartition
	scope := g.p.all("input-topic")
	if g.p.has("all-input-topics") {
		infos, err := g.describeStreams([]string{id})
		if err != nil {
			return executionError(err)
		}
		scope = inputTopics(infos[id])
	}
	for _, t := range scope {
		found, err := g.topicPartitions([]string{t})
		if err != nil {
			topic, _, _ := strings.Cut(t, ":")
			rows = append(rows, row{topic, missingColumn, err})
			continue
		}
		tps = append(tps, found...)
	}
	top, codes, err := g.sendOffsetDelete(id, tps)
	if err != nil {
		return err
	}
	for tp, code := range codes {
		rows = append(rows, row{tp.topic, strconv.Itoa(int(tp.partition)), client.CodeError(code, nil)})
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].topic < rows[j].topic })
	if top != nil {
		g.failed = true
		g.printf("\nError: %s\n", top)
	}
	width := minColumn
	for _, x := range rows {
		width = max(width, len(x.topic))
	}
	g.printf("\n%-*s %-10s %-15s\n", width, "TOPIC", "PARTITION", "STATUS")
	for _, x := range rows {
		status := "Successful"
		if x.err != nil {
			g.failed = true
			status = "Error: " + withClass(x.err)
		}
		g.printf("%-*s %-10s %-15s\n", width, x.topic, x.partition, status)
	}
	return nil
}
