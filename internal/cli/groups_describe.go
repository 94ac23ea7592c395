package cli

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"
)

const missingColumn = "-"

// describe prints, for each group, its offsets, members or state.
func (g *groupsTool) describe() error {
	ids, err := g.selectedGroups()
	if err != nil || len(ids) == 0 {
		return err
	}
	infos, err := g.describeGroups(ids)
	if late := new(client.TimeoutError); errors.As(err, &late) { // which is of one group, as what follows
		return executionError(err)
	}
	if err != nil {
		return wrapExecution(err)
	}
	for _, id := range ids {
		if infos[id] != nil && infos[id].err != nil {
			if client.IsCode(infos[id].err, client.CodeGroupIDNotFound) {
				g.hintNearestGroup(g.c, id)
			}
			return executionError(infos[id].err)
		}
	}
	switch {
	case g.p.has("members"):
		for _, id := range ids {
			g.printMembers(infos[id])
		}
	case g.p.has("state"):
		for _, id := range ids {
			g.printState(infos[id])
		}
	default:
		return g.describeOffsets(ids, infos)
	}
	return nil
}

// executionError is an error that Kafka shows inside an ExecutionException.
func executionError(err error) error {
	return &javaError{text: withClass(err), plain: err.Error(), cause: err}
}

// wrapExecution is one that it shows inside two.
func wrapExecution(err error) error {
	return &javaError{text: "java.util.concurrent.ExecutionException: " + withClass(err), plain: err.Error(), cause: err}
}

// remarkState tells about states that explain a table, on standard error.
func (g *groupsTool) remarkState(info *groupInfo) (show bool) {
	switch strings.ToLower(info.state) {
	case "dead":
		g.printf("\nError: Consumer group '%s' does not exist.\n", info.id)
		return false
	case "empty":
		g.errorf("\nConsumer group '%s' has no active members.\n", info.id)
	case "preparingrebalance", "completingrebalance", "assigning", "reconciling":
		g.errorf("\nWarning: Consumer group '%s' is rebalancing.\n", info.id)
	}
	return true
}

type offsetRow struct {
	tp                       topicPartition
	consumer, host, clientID string
}

func (g *groupsTool) describeOffsets(ids []string, infos map[string]*groupInfo) error {
	offsets, err := g.committedOffsets(ids)
	if err != nil {
		return executionError(err)
	}
	rows := map[string][]offsetRow{}
	at := map[topicPartition]int64{}
	for _, id := range ids {
		rows[id] = offsetRows(infos[id], offsets[id])
		for _, row := range rows[id] {
			at[row.tp] = latestOffset
		}
	}
	ends := g.listOffsets(g.c, at, false)
	for _, id := range ids {
		g.printOffsets(infos[id], rows[id], offsets[id], ends)
	}
	return nil
}

// offsetRows puts the partitions of members first, the members with most of
// them leading, then those that nobody reads.
func offsetRows(info *groupInfo, offsets map[topicPartition]committed) []offsetRow {
	members := append([]groupMember(nil), info.members...)
	sort.SliceStable(members, func(i, j int) bool { return len(members[i].assigned) > len(members[j].assigned) })
	var rows []offsetRow
	taken := map[topicPartition]bool{}
	for _, m := range members {
		tps := append([]topicPartition(nil), m.assigned...)
		sortPartitions(tps)
		for _, tp := range tps {
			taken[tp] = true
			rows = append(rows, offsetRow{tp, m.id, m.host, m.clientID})
		}
	}
	var rest []topicPartition
	for tp := range offsets {
		if !taken[tp] {
			rest = append(rest, tp)
		}
	}
	sortPartitions(rest)
	for _, tp := range rest {
		rows = append(rows, offsetRow{tp, missingColumn, missingColumn, missingColumn})
	}
	return rows
}

// Minimal widths of the columns that grow with what they hold.
const minColumn = 15

func (g *groupsTool) printOffsets(info *groupInfo, rows []offsetRow, offsets map[topicPartition]committed, ends map[topicPartition]offsetResult) {
	if !g.remarkState(info) || len(rows) == 0 {
		return
	}
	group, topic, consumer, host := minColumn, minColumn, minColumn, minColumn
	group = max(group, len(info.id))
	for _, r := range rows {
		topic, consumer, host = max(topic, len(r.tp.topic)), max(consumer, len(r.consumer)), max(host, len(r.host))
	}
	verbose := g.p.has("verbose")
	line := func(grp, tpc, partition, epoch, current, end, lag, cons, hst, cl string) {
		if verbose {
			epoch = fmt.Sprintf("%-15s ", epoch)
		} else {
			epoch = ""
		}
		g.printf("%-*s %-*s %-10s %s%-15s %-15s %-15s %-*s %-*s %s\n", group, grp, topic, tpc, partition, epoch, current, end, lag, consumer, cons, host, hst, cl)
	}
	if !g.json {
		g.println("")
		line("GROUP", "TOPIC", "PARTITION", "LEADER-EPOCH", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID")
	}
	for _, r := range rows {
		epoch, current, end, lag := missingColumn, missingColumn, missingColumn, missingColumn
		c, has := offsets[r.tp]
		if has {
			current = strconv.FormatInt(c.offset, 10)
			if c.leaderEpoch >= 0 {
				epoch = strconv.Itoa(int(c.leaderEpoch))
			}
		}
		if e, ok := ends[r.tp]; ok && e.err == nil {
			end = strconv.FormatInt(e.offset, 10)
			if has {
				lag = strconv.FormatInt(e.offset-c.offset, 10)
			}
		}
		if g.json {
			g.row("group", info.id, "topic", r.tp.topic, "partition", r.tp.partition, "leaderEpoch", cellValue(epoch, false), "currentOffset", cellValue(current, false),
				"logEndOffset", cellValue(end, false), "lag", cellValue(lag, false), "consumerId", cellValue(r.consumer, true), "host", cellValue(r.host, true), "clientId", cellValue(r.clientID, true))
			continue
		}
		line(info.id, r.tp.topic, strconv.Itoa(int(r.tp.partition)), epoch, current, end, lag, r.consumer, r.host, r.clientID)
	}
}

func (g *groupsTool) printMembers(info *groupInfo) {
	if !g.remarkState(info) {
		return
	}
	group, consumer, instance, host, cl := max(minColumn, len(info.id)), minColumn, 17, minColumn, minColumn
	hasInstance, migrating, assigned, target := false, false, 20, 20
	for _, m := range info.members {
		consumer, host, cl = max(consumer, len(m.id)), max(host, len(m.host)), max(cl, len(m.clientID))
		instance = max(instance, len(m.instance))
		hasInstance = hasInstance || m.instance != ""
		migrating = migrating || m.classic
		assigned = max(assigned, len(assignmentText(m.assigned)))
		target = max(target, len(assignmentText(m.target)))
	}
	line := func(grp, cons, inst, hst, client, n, epoch, cur, tEpoch, tgt, upgraded string) {
		s := fmt.Sprintf("%-*s %-*s ", group, grp, consumer, cons)
		if hasInstance {
			s += fmt.Sprintf("%-*s ", instance, inst)
		}
		s += fmt.Sprintf("%-*s %-*s %-15s ", host, hst, cl, client, n)
		if g.p.has("verbose") {
			s += fmt.Sprintf("%-15s %-*s %-15s %-*s", epoch, assigned, cur, tEpoch, target, tgt)
			if migrating {
				s += " " + upgraded
			}
		}
		g.println(s)
	}
	if g.json {
		g.jsonMembers(info)
		return
	}
	g.println("")
	line("GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT", "UPGRADED")
	members := append([]groupMember(nil), info.members...)
	sort.SliceStable(members, func(i, j int) bool { return len(members[i].assigned) > len(members[j].assigned) })
	for _, m := range members {
		epoch, tEpoch, tgt := missingColumn, missingColumn, missingColumn
		if info.consumer {
			epoch, tEpoch, tgt = strconv.Itoa(int(m.epoch)), strconv.Itoa(int(info.targetEpoch)), assignmentText(m.target)
		}
		inst := m.instance
		if inst == "" {
			inst = missingColumn
		}
		line(info.id, m.id, inst, m.host, m.clientID, strconv.Itoa(len(m.assigned)), epoch, assignmentText(m.assigned), tEpoch, tgt, strconv.FormatBool(!m.classic))
	}
}

// jsonMembers writes a group's members with all that --verbose shows.
func (g *groupsTool) jsonMembers(info *groupInfo) {
	for _, m := range info.members {
		var epoch, target any
		if info.consumer {
			epoch, target = m.epoch, partitionList(m.target)
		}
		g.row("group", info.id, "consumerId", m.id, "groupInstanceId", cellValue(m.instance, true), "host", m.host, "clientId", m.clientID, "partitions", len(m.assigned),
			"currentEpoch", epoch, "currentAssignment", partitionList(m.assigned), "targetAssignment", target)
	}
}

// partitionList names partitions in order.
func partitionList(tps []topicPartition) []string {
	tps = append([]topicPartition(nil), tps...)
	sortPartitions(tps)
	var out []string
	for _, tp := range tps {
		out = append(out, tp.String())
	}
	return out
}

// assignmentText lists partitions by topic: `g1:0,1;g2:0`.
func assignmentText(tps []topicPartition) string {
	if len(tps) == 0 {
		return missingColumn
	}
	byTopic := map[string][]int32{}
	for _, tp := range tps {
		byTopic[tp.topic] = append(byTopic[tp.topic], tp.partition)
	}
	var parts []string
	for _, topic := range sortedKeys(byTopic) {
		ps := byTopic[topic]
		sort.Slice(ps, func(i, j int) bool { return ps[i] < ps[j] })
		parts = append(parts, topic+":"+joinInts(ps, ","))
	}
	return strings.Join(parts, ";")
}

func (g *groupsTool) printState(info *groupInfo) {
	if !g.remarkState(info) {
		return
	}
	coordinator := fmt.Sprintf("%s:%d  (%d)", info.coordinator.Host, info.coordinator.Port, info.coordinator.NodeID)
	group, coord := max(minColumn, len(info.id)), max(25, len(coordinator))
	strategy := info.strategy
	if strategy == "" {
		strategy = missingColumn
	}
	epoch, target := missingColumn, missingColumn
	if info.consumer {
		epoch, target = strconv.Itoa(int(info.groupEpoch)), strconv.Itoa(int(info.targetEpoch))
	}
	line := func(grp, c, s, st, e, t, n string) {
		if g.p.has("verbose") {
			g.printf("%-*s %-*s %-20s %-20s %-15s %-25s %s\n", group, grp, coord, c, s, st, e, t, n)
			return
		}
		g.printf("%-*s %-*s %-20s %-20s %s\n", group, grp, coord, c, s, st, n)
	}
	if g.json {
		g.row("group", info.id, "coordinator", fmt.Sprintf("%s:%d", info.coordinator.Host, info.coordinator.Port), "coordinatorId", info.coordinator.NodeID, "assignmentStrategy", cellValue(strategy, true),
			"state", stateText(info.state), "groupEpoch", cellValue(epoch, false), "targetAssignmentEpoch", cellValue(target, false), "members", len(info.members))
		return
	}
	g.println("")
	line("GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH", "#MEMBERS")
	line(info.id, coordinator, strategy, stateText(info.state), epoch, target, strconv.Itoa(len(info.members)))
}

// stateText has the case in which Kafka prints states.
func stateText(s string) string {
	for _, known := range groupStates() {
		if strings.EqualFold(s, known) {
			return known
		}
	}
	return s
}
