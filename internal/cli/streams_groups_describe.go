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

// streamsInfo is what a coordinator says of a streams group.
type streamsInfo struct {
	kmsg.StreamsGroupDescribeResponseGroup
	coordinator kmsg.FindCoordinatorResponseCoordinator
}

func (g *streamsTool) describeStreams(ids []string) (map[string]*streamsInfo, error) {
	out := map[string]*streamsInfo{}
	var mu sync.Mutex
	var firstErr error
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if firstErr == nil {
			firstErr = err
		}
	}
	err := g.eachCoordinator("describeStreamsGroups(api=FIND_COORDINATOR)", ids, func(_ string, err error) { fail(err) }, func(node kmsg.FindCoordinatorResponseCoordinator, ids []string) error {
		req := kmsg.NewPtrStreamsGroupDescribeRequest()
		req.Groups = ids
		resp, err := g.c.OnBroker(g.ctx, "describeStreamsGroups(api=STREAMS_GROUP_DESCRIBE)", node.NodeID, req)
		if err != nil {
			return err
		}
		for _, rg := range resp.(*kmsg.StreamsGroupDescribeResponse).Groups {
			if err := client.CodeError(rg.ErrorCode, rg.ErrorMessage); err != nil {
				fail(err)
				continue
			}
			mu.Lock()
			out[rg.Group] = &streamsInfo{rg, node}
			mu.Unlock()
		}
		return nil
	})
	if err == nil {
		err = firstErr
	}
	return out, err
}

func (g *streamsTool) describe() error {
	ids, err := g.namedOrAll("streams")
	if err != nil || len(ids) == 0 {
		return err
	}
	infos, err := g.describeStreams(ids)
	if err != nil {
		return executionError(err)
	}
	for _, id := range ids {
		switch info := infos[id]; {
		case info == nil:
		case g.p.has("members"):
			g.printStreamsMembers(info)
		case g.p.has("state"):
			g.printStreamsState(info)
		default:
			if err := g.printStreamsOffsets(info); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *streamsTool) remark(info *streamsInfo) {
	switch strings.ToLower(info.State) {
	case "empty":
		g.errorf("\nStreams group '%s' has no active members.\n", info.Group)
	case "assigning", "reconciling", "notready":
		g.errorf("\nWarning: Streams group '%s' is rebalancing.\n", info.Group)
	}
}

func (g *streamsTool) printStreamsState(info *streamsInfo) {
	g.remark(info)
	coordinator := fmt.Sprintf("%s:%d  (%d)", info.coordinator.Host, info.coordinator.Port, info.coordinator.NodeID)
	group, coord := max(minColumn, len(info.Group)), max(25, len(coordinator))
	line := func(grp, c, st, epoch, target, n string) {
		if g.p.has("verbose") {
			g.printf("%-*s %-*s %-15s %-15s %-25s %s\n", group, grp, coord, c, st, epoch, target, n)
			return
		}
		g.printf("%-*s %-*s %-15s %s\n", group, grp, coord, c, st, n)
	}
	if g.json {
		g.row("group", info.Group, "coordinator", fmt.Sprintf("%s:%d", info.coordinator.Host, info.coordinator.Port), "coordinatorId", info.coordinator.NodeID, "state", info.State,
			"groupEpoch", info.Epoch, "targetAssignmentEpoch", info.AssignmentEpoch, "members", len(info.Members))
		return
	}
	g.println("")
	line("GROUP", "COORDINATOR (ID)", "STATE", "GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH", "#MEMBERS")
	line(info.Group, coordinator, info.State, strconv.Itoa(int(info.Epoch)), strconv.Itoa(int(info.AssignmentEpoch)), strconv.Itoa(len(info.Members)))
}

// tasksText lists tasks by subtopology: `0:[0,1]; 1:[2]`.
func tasksText(tasks []kmsg.TaskIDs) string {
	var parts []string
	for _, t := range tasks {
		ids := append([]int32(nil), t.Partitions...)
		sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
		parts = append(parts, t.SubtopologyID+":["+joinInts(ids, ",")+"]")
	}
	return strings.Join(parts, "; ")
}

func assignmentTasks(a kmsg.StreamsAssignment) string {
	var parts []string
	for _, kind := range []struct {
		name  string
		tasks []kmsg.TaskIDs
	}{{"ACTIVE", a.ActiveTasks}, {"STANDBY", a.StandbyTasks}, {"WARMUP", a.WarmupTasks}} {
		if len(kind.tasks) > 0 {
			parts = append(parts, kind.name+": "+tasksText(kind.tasks))
		}
	}
	if len(parts) == 0 {
		return missingColumn
	}
	return strings.Join(parts, " ")
}

func (g *streamsTool) printStreamsMembers(info *streamsInfo) {
	g.remark(info)
	if len(info.Members) == 0 {
		return
	}
	group, member, process, cl := max(minColumn, len(info.Group)), minColumn, minColumn, minColumn
	for _, m := range info.Members {
		member, process, cl = max(member, len(m.MemberID)), max(process, len(m.ProcessID)), max(cl, len(m.ClientID))
	}
	line := func(grp, target, topology, mem, epoch, proc, client, assigned string) {
		if g.p.has("verbose") {
			g.printf("%-*s %-24s %-15s %-*s %-12s %-*s %-*s %s\n", group, grp, target, topology, member, mem, epoch, process, proc, cl, client, assigned)
			return
		}
		g.printf("%-*s %-*s %-*s %-*s %s\n", group, grp, member, mem, process, proc, cl, client, assigned)
	}
	for _, m := range info.Members {
		if g.json {
			g.row("group", info.Group, "targetAssignmentEpoch", info.AssignmentEpoch, "topologyEpoch", m.TopologyEpoch, "member", m.MemberID, "memberEpoch", m.MemberEpoch,
				"process", m.ProcessID, "clientId", m.ClientID, "assignments", cellValue(assignmentTasks(m.Assignment), true))
		}
	}
	if g.json {
		return
	}
	g.println("")
	line("GROUP", "TARGET-ASSIGNMENT-EPOCH", "TOPOLOGY-EPOCH", "MEMBER", "MEMBER-EPOCH", "PROCESS", "CLIENT-ID", "ASSIGNMENTS")
	for _, m := range info.Members {
		line(info.Group, strconv.Itoa(int(info.AssignmentEpoch)), strconv.Itoa(int(m.TopologyEpoch)), m.MemberID, strconv.Itoa(int(m.MemberEpoch)), m.ProcessID, m.ClientID, assignmentTasks(m.Assignment))
	}
}

func (g *streamsTool) printStreamsOffsets(info *streamsInfo) error {
	g.remark(info)
	all, err := g.committedOffsets([]string{info.Group})
	if err != nil {
		return executionError(err)
	}
	offsets := all[info.Group]
	tps := sortedPartitions(offsets)
	ends := g.listOffsets(g.c, fill(tps, latestOffset), false)
	group, topic := max(minColumn, len(info.Group)), minColumn
	for _, tp := range tps {
		topic = max(topic, len(tp.topic))
	}
	line := func(grp, tpc, part, current, epoch, end, lag string) {
		if g.p.has("verbose") {
			g.printf("%-*s %-*s %-10s %-15s %-15s %-15s %s\n", group, grp, topic, tpc, part, current, epoch, end, lag)
			return
		}
		g.printf("%-*s %-*s %-10s %s\n", group, grp, topic, tpc, part, lag)
	}
	if !g.json {
		g.println("")
		line("GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LEADER-EPOCH", "LOG-END-OFFSET", "OFFSET-LAG")
	}
	for _, tp := range tps {
		c, epoch, end, lag := offsets[tp], missingColumn, missingColumn, missingColumn
		if c.leaderEpoch >= 0 {
			epoch = strconv.Itoa(int(c.leaderEpoch))
		}
		if e := ends[tp]; e.err == nil {
			end, lag = strconv.FormatInt(e.offset, 10), strconv.FormatInt(e.offset-c.offset, 10)
		}
		if g.json {
			g.row("group", info.Group, "topic", tp.topic, "partition", tp.partition, "currentOffset", c.offset, "leaderEpoch", cellValue(epoch, false), "logEndOffset", cellValue(end, false), "offsetLag", cellValue(lag, false))
			continue
		}
		line(info.Group, tp.topic, strconv.Itoa(int(tp.partition)), strconv.FormatInt(c.offset, 10), epoch, end, lag)
	}
	return nil
}
