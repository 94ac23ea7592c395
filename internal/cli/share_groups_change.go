package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// reset moves the start offsets of one group.
func (g *shareTool) reset() error {
	id := g.p.value("group")
	if g.p.err != nil {
		return g.p.err
	}
	node, err := g.c.Coordinator(g.ctx, "describeShareGroups(api=FIND_COORDINATOR)", id)
	if err != nil {
		return executionError(err)
	}
	if err := g.learnBrokers("describeShareGroups"); err != nil {
		return err
	}
	if err := g.mustBeEmpty(id); err != nil {
		var use *optionError
		if !errors.As(err, &use) { // here Kafka's tool does not catch what fails
			g.errorln(err.Error())
			return &exitError{g.fail(1)}
		}
		return err
	}
	tps, err := g.shareScope(node.NodeID, id)
	if err != nil {
		return err
	}
	want, err := g.shareTargets(tps)
	if err != nil {
		return err
	}
	if g.p.has("execute") && len(want) > 0 {
		err := g.alterShareOffsets(node.NodeID, id, want)
		if client.IsCode(err, client.CodeGroupIDNotFound) {
			var names []string
			for _, tp := range hashMapOrderOfPartitions(want) {
				names = append(names, tp.String())
			}
			text := "Failed altering group offsets for the following partitions: [" + strings.Join(names, ", ") + "]"
			g.hint(err.Error())
			return &javaError{text: text, plain: text, cause: err}
		}
		if err != nil {
			return executionError(err)
		}
	}
	g.printReset([]string{id}, resetPlan{id: want})
	return nil
}

// mustBeEmpty refuses a group that has members; one that is not there yet may
// be given offsets.
func (g *shareTool) mustBeEmpty(id string) error {
	infos, err := g.describeShare([]string{id})
	if client.IsCode(err, client.CodeGroupIDNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if info := infos[id]; info != nil && !strings.EqualFold(info.GroupState, "Empty") && !strings.EqualFold(info.GroupState, "Dead") {
		return &optionError{fmt.Sprintf("Share group '%s' is not empty.", id)}
	}
	return nil
}

func (g *shareTool) shareScope(coordinator int32, id string) ([]topicPartition, error) {
	if g.p.has("topic") {
		return g.topicPartitions(g.p.all("topic"))
	}
	offsets, err := g.shareOffsets(coordinator, id)
	if client.IsCode(err, client.CodeGroupIDNotFound) {
		return nil, nil
	}
	var tps []topicPartition
	for _, o := range offsets {
		tps = append(tps, o.tp)
	}
	return tps, err
}

func (g *shareTool) shareTargets(tps []topicPartition) (map[topicPartition]int64, error) {
	switch {
	case g.p.has("to-earliest"):
		return g.offsetsAt(tps, earliestOffset)
	case g.p.has("to-latest"):
		return g.offsetsAt(tps, latestOffset)
	}
	ts, err := parseDateTime(g.p.value("to-datetime"))
	if err != nil {
		return nil, err
	}
	return g.offsetsAtTime(tps, ts)
}

func (g *shareTool) alterShareOffsets(coordinator int32, id string, want map[topicPartition]int64) error {
	req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	req.GroupID = id
	byTopic := map[string][]kmsg.AlterShareGroupOffsetsRequestTopicPartition{}
	for _, tp := range sortedPartitions(want) {
		rp := kmsg.NewAlterShareGroupOffsetsRequestTopicPartition()
		rp.Partition, rp.StartOffset = tp.partition, want[tp]
		byTopic[tp.topic] = append(byTopic[tp.topic], rp)
	}
	for _, t := range sortedKeys(byTopic) {
		rt := kmsg.NewAlterShareGroupOffsetsRequestTopic()
		rt.Topic, rt.Partitions = t, byTopic[t]
		req.Topics = append(req.Topics, rt)
	}
	resp, err := g.c.OnBroker(g.ctx, "alterShareGroupOffsets(api=ALTER_SHARE_GROUP_OFFSETS)", coordinator, req)
	if err != nil {
		return err
	}
	ar := resp.(*kmsg.AlterShareGroupOffsetsResponse)
	if err := client.CodeError(ar.ErrorCode, ar.ErrorMessage); err != nil {
		return err
	}
	for _, t := range ar.Topics {
		for _, p := range t.Partitions {
			if err := client.CodeError(p.ErrorCode, p.ErrorMessage); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteOffsets forgets a group's offsets of topics.
func (g *shareTool) deleteOffsets() error {
	id := g.p.value("group")
	if g.p.err != nil {
		return g.p.err
	}
	topics := g.p.all("topic")
	results := map[string]error{}
	top := g.sendDeleteShareOffsets(id, topics, results)
	if top != nil {
		g.failed = true
		text := top.Error()
		if isUnsupported(top) {
			text = "Encounter some unknown error: " + withClass(top)
		}
		g.printf("\nError: %s\n", text)
		for _, t := range topics {
			results[t] = top
		}
	}
	width := minColumn
	for _, t := range topics {
		width = max(width, len(t))
	}
	g.printf("\n%-*s %s\n", width, "TOPIC", "STATUS")
	for _, t := range topics {
		status := "Successful"
		if err := results[t]; err != nil {
			g.failed = true
			status = "Error: " + err.Error()
		}
		g.printf("%-*s %s\n", width, t, status)
	}
	return nil
}

func (g *shareTool) sendDeleteShareOffsets(id string, topics []string, results map[string]error) error {
	node, err := g.c.Coordinator(g.ctx, "deleteShareGroupOffsets(api=FIND_COORDINATOR)", id)
	if err != nil {
		return err
	}
	if err := g.learnBrokers("deleteShareGroupOffsets"); err != nil {
		return err
	}
	req := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
	req.GroupID = id
	for _, t := range topics {
		rt := kmsg.NewDeleteShareGroupOffsetsRequestTopic()
		rt.Topic = t
		req.Topics = append(req.Topics, rt)
	}
	resp, err := g.c.OnBroker(g.ctx, "deleteShareGroupOffsets(api=DELETE_SHARE_GROUP_OFFSETS)", node.NodeID, req)
	if err != nil {
		return err
	}
	dr := resp.(*kmsg.DeleteShareGroupOffsetsResponse)
	for _, t := range dr.Topics {
		results[t.Topic] = client.CodeError(t.ErrorCode, t.ErrorMessage)
	}
	return client.CodeError(dr.ErrorCode, dr.ErrorMessage)
}
