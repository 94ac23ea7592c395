package cli

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// shareInfo is what a coordinator says of a share group.
type shareInfo struct {
	kmsg.ShareGroupDescribeResponseGroup
	coordinator kmsg.FindCoordinatorResponseCoordinator
}

func (g *shareTool) describeShare(ids []string) (map[string]*shareInfo, error) {
	out := map[string]*shareInfo{}
	var mu sync.Mutex
	var firstErr error
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if firstErr == nil {
			firstErr = err
		}
	}
	err := g.eachCoordinator("describeShareGroups(api=FIND_COORDINATOR)", ids, func(_ string, err error) { fail(executionError(err)) }, func(node kmsg.FindCoordinatorResponseCoordinator, ids []string) error {
		req := kmsg.NewPtrShareGroupDescribeRequest()
		req.GroupIDs = ids
		resp, err := g.c.OnBroker(g.ctx, "describeShareGroups(api=SHARE_GROUP_DESCRIBE)", node.NodeID, req)
		if err != nil {
			return err
		}
		for _, rg := range resp.(*kmsg.ShareGroupDescribeResponse).Groups {
			if err := client.CodeError(rg.ErrorCode, rg.ErrorMessage); err != nil {
				fail(executionError(err))
				continue
			}
			mu.Lock()
			out[rg.GroupID] = &shareInfo{rg, node}
			mu.Unlock()
		}
		return nil
	})
	if isUnsupported(err) {
		return nil, executionError(err)
	}
	if err != nil {
		return nil, wrapExecution(err)
	}
	return out, firstErr
}

func (g *shareTool) describe() error {
	ids, err := g.namedOrAll("share")
	if err != nil || len(ids) == 0 {
		return err
	}
	infos, err := g.describeShare(ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		info := infos[id]
		switch {
		case info == nil:
		case g.p.has("members"):
			g.printShareMembers(info)
		case g.p.has("state"):
			g.printShareState(info)
		default:
			if err := g.printShareOffsets(info); err != nil {
				return err
			}
		}
	}
	return nil
}

// remark tells about states, on standard error.
func (g *shareTool) remark(info *shareInfo) {
	if strings.EqualFold(info.GroupState, "Empty") {
		g.errorf("\nShare group '%s' has no active members.\n", info.GroupID)
	}
}

type shareOffset struct {
	tp    topicPartition
	start int64
	epoch int32
}

// shareOffsets are a group's start offsets.
func (g *shareTool) shareOffsets(coordinator int32, id string) ([]shareOffset, error) {
	req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	rg := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
	rg.GroupID = id
	req.Groups = append(req.Groups, rg)
	resp, err := g.c.OnBroker(g.ctx, "listShareGroupOffsets(api=DESCRIBE_SHARE_GROUP_OFFSETS)", coordinator, req)
	if err != nil {
		return nil, err
	}
	var out []shareOffset
	for _, rg := range resp.(*kmsg.DescribeShareGroupOffsetsResponse).Groups {
		if err := client.CodeError(rg.ErrorCode, rg.ErrorMessage); err != nil {
			return nil, err
		}
		for _, t := range rg.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 {
					out = append(out, shareOffset{topicPartition{t.Topic, p.Partition}, p.StartOffset, p.LeaderEpoch})
				}
			}
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i].tp, out[j].tp
		return a.topic < b.topic || a.topic == b.topic && a.partition < b.partition
	})
	return out, nil
}

func (g *shareTool) printShareOffsets(info *shareInfo) error {
	offsets, err := g.shareOffsets(info.coordinator.NodeID, info.GroupID)
	if err != nil {
		return executionError(err)
	}
	if len(offsets) == 0 {
		return nil
	}
	at := map[topicPartition]int64{}
	group, topic := max(minColumn, len(info.GroupID)), minColumn
	for _, o := range offsets {
		at[o.tp] = latestOffset
		topic = max(topic, len(o.tp.topic))
	}
	ends := g.listOffsets(g.c, at, false)
	line := func(grp, tpc, part, epoch, start, lag string) {
		if g.p.has("verbose") {
			start = fmt.Sprintf("%-13s %s", epoch, fmt.Sprintf("%-13s", start))
		} else {
			start = fmt.Sprintf("%-13s", start)
		}
		g.printf("%-*s %-*s %-10s %s %s\n", group, grp, topic, tpc, part, start, lag)
	}
	if !g.json {
		g.println("")
		line("GROUP", "TOPIC", "PARTITION", "LEADER-EPOCH", "START-OFFSET", "LAG")
	}
	for _, o := range offsets {
		start, epoch, lag := missingColumn, missingColumn, missingColumn
		if o.start >= 0 {
			start = strconv.FormatInt(o.start, 10)
			epoch = strconv.Itoa(int(o.epoch))
		}
		if e, ok := ends[o.tp]; ok && e.err == nil && o.start >= 0 {
			lag = strconv.FormatInt(e.offset-o.start, 10)
		}
		if g.json {
			g.row("group", info.GroupID, "topic", o.tp.topic, "partition", o.tp.partition, "leaderEpoch", cellValue(epoch, false), "startOffset", cellValue(start, false), "lag", cellValue(lag, false))
			continue
		}
		line(info.GroupID, o.tp.topic, strconv.Itoa(int(o.tp.partition)), epoch, start, lag)
	}
	return nil
}

func (g *shareTool) printShareMembers(info *shareInfo) {
	g.remark(info)
	if len(info.Members) == 0 {
		return
	}
	group, consumer, host, cl := max(minColumn, len(info.GroupID)), minColumn, minColumn, minColumn
	for _, m := range info.Members {
		consumer, host, cl = max(consumer, len(m.MemberID)), max(host, len(m.ClientHost)), max(cl, len(m.ClientID))
	}
	line := func(grp, cons, hst, client, n, epoch, assigned string) {
		if g.p.has("verbose") {
			g.printf("%-*s %-*s %-*s %-*s %-12s %-13s %s\n", group, grp, consumer, cons, host, hst, cl, client, n, epoch, assigned)
			return
		}
		g.printf("%-*s %-*s %-*s %-*s %-12s %s\n", group, grp, consumer, cons, host, hst, cl, client, n, assigned)
	}
	if !g.json {
		g.println("")
		line("GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "MEMBER-EPOCH", "ASSIGNMENT")
	}
	for _, m := range info.Members {
		var tps []topicPartition
		for _, t := range m.Assignment.TopicPartitions {
			tps = appendPartitions(tps, t.Topic, t.Partitions)
		}
		if g.json {
			g.row("group", info.GroupID, "consumerId", m.MemberID, "host", m.ClientHost, "clientId", m.ClientID, "partitions", len(tps), "memberEpoch", m.MemberEpoch, "assignment", partitionList(tps))
			continue
		}
		line(info.GroupID, m.MemberID, m.ClientHost, m.ClientID, strconv.Itoa(len(tps)), strconv.Itoa(int(m.MemberEpoch)), assignmentText(tps))
	}
}

func (g *shareTool) printShareState(info *shareInfo) {
	g.remark(info)
	coordinator := fmt.Sprintf("%s:%d  (%d)", info.coordinator.Host, info.coordinator.Port, info.coordinator.NodeID)
	group, coord := max(minColumn, len(info.GroupID)), max(25, len(coordinator))
	line := func(grp, c, st, epoch, target, n string) {
		if g.p.has("verbose") {
			g.printf("%-*s %-*s %-15s %-12s %-17s %s\n", group, grp, coord, c, st, epoch, target, n)
			return
		}
		g.printf("%-*s %-*s %-15s %s\n", group, grp, coord, c, st, n)
	}
	if g.json {
		g.row("group", info.GroupID, "coordinator", fmt.Sprintf("%s:%d", info.coordinator.Host, info.coordinator.Port), "coordinatorId", info.coordinator.NodeID, "state", info.GroupState,
			"groupEpoch", info.GroupEpoch, "assignmentEpoch", info.AssignmentEpoch, "members", len(info.Members))
		return
	}
	g.println("")
	line("GROUP", "COORDINATOR (ID)", "STATE", "GROUP-EPOCH", "ASSIGNMENT-EPOCH", "#MEMBERS")
	line(info.GroupID, coordinator, info.GroupState, strconv.Itoa(int(info.GroupEpoch)), strconv.Itoa(int(info.AssignmentEpoch)), strconv.Itoa(len(info.Members)))
}
