package cli

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

type ongoingMove = kmsg.ListPartitionReassignmentsResponseTopicPartition

// ongoing lists reassignments, of all partitions when tps is nil.
func (t *reassignTool) ongoing(tps []topicPartition) (map[topicPartition]ongoingMove, error) {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	req.TimeoutMillis = int32(t.c.Settings.RequestTimeout.Milliseconds())
	byTopic := map[string][]int32{}
	for _, tp := range tps {
		byTopic[tp.topic] = append(byTopic[tp.topic], tp.partition)
	}
	if tps != nil {
		req.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{}
	}
	for _, name := range sortedKeys(byTopic) {
		rt := kmsg.NewListPartitionReassignmentsRequestTopic()
		rt.Topic, rt.Partitions = name, byTopic[name]
		req.Topics = append(req.Topics, rt)
	}
	resp, err := t.c.Any(t.ctx, "listPartitionReassignments", req)
	if err != nil {
		return nil, err
	}
	lr := resp.(*kmsg.ListPartitionReassignmentsResponse)
	if err := client.CodeError(lr.ErrorCode, lr.ErrorMessage); err != nil {
		return nil, err
	}
	out := map[topicPartition]ongoingMove{}
	for _, topic := range lr.Topics {
		for _, p := range topic.Partitions {
			out[topicPartition{topic.Topic, p.Partition}] = p
		}
	}
	return out, nil
}

// clusterState is what the brokers say of topics.
type clusterState struct {
	brokers  []broker
	replicas map[topicPartition][]int32
	unknown  []string // topics that are not there
}

func (s *clusterState) ids() []int32 {
	var out []int32
	for _, b := range s.brokers {
		out = append(out, b.id)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

func (t *reassignTool) state(topics []string) (*clusterState, error) {
	if contains(topics, "") {
		return nil, badPlan("The given topic name '' cannot be represented in a request.")
	}
	if t.c.Settings.BootstrapIsQuorum {
		return t.controllers()
	}
	md, err := t.c.Metadata(t.ctx, "describeTopics", topics, false)
	if err != nil {
		return nil, err
	}
	s := &clusterState{replicas: map[topicPartition][]int32{}}
	for _, b := range md.Brokers {
		rack := ""
		if b.Rack != nil {
			rack = *b.Rack
		}
		s.brokers = append(s.brokers, broker{b.NodeID, rack})
	}
	for _, topic := range md.Topics {
		if topic.ErrorCode == client.CodeUnknownTopicOrPartition {
			s.unknown = append(s.unknown, *topic.Topic)
			continue
		}
		if err := client.CodeError(topic.ErrorCode, nil); err != nil {
			return nil, err
		}
		for _, p := range topic.Partitions {
			s.replicas[topicPartition{*topic.Topic, p.Partition}] = p.Replicas
		}
	}
	return s, nil
}

// controllers are all that the quorum says, to which topics are no business.
func (t *reassignTool) controllers() (*clusterState, error) {
	dr, err := t.describeCluster(t.c, false)
	if err != nil {
		return nil, err
	}
	s := &clusterState{}
	for _, n := range dr.Brokers {
		s.brokers = append(s.brokers, broker{id: n.NodeID})
	}
	sort.Slice(s.brokers, func(i, j int) bool { return s.brokers[i].id < s.brokers[j].id })
	return s, nil
}

func planTopics(plan []planMove) []string {
	set := map[string]bool{}
	for _, m := range plan {
		set[m.tp.topic] = true
	}
	return sortedKeys(set)
}

// replicaID is one replica of a partition.
type replicaID struct {
	tp     topicPartition
	broker int32
}

func (r replicaID) String() string { return r.tp.String() + "-" + strconv.Itoa(int(r.broker)) }

// replicaDirs is where a replica lies, and where it is being moved to.
type replicaDirs struct{ current, future string }

// logDirs asks brokers in which directories replicas lie.
func (t *reassignTool) logDirs(want map[topicPartition][]int32) (map[replicaID]replicaDirs, error) {
	brokers := map[int32]bool{}
	for _, ids := range want {
		for _, id := range ids {
			brokers[id] = true
		}
	}
	out := map[replicaID]replicaDirs{}
	for _, id := range i32s(brokers) {
		resp, err := t.c.OnBroker(t.ctx, "describeReplicaLogDirs", id, kmsg.NewPtrDescribeLogDirsRequest())
		if err != nil {
			return nil, err
		}
		for _, dir := range resp.(*kmsg.DescribeLogDirsResponse).Dirs {
			for _, topic := range dir.Topics {
				for _, p := range topic.Partitions {
					rid := replicaID{topicPartition{topic.Topic, p.Partition}, id}
					d := out[rid]
					if p.IsFuture {
						d.future = dir.Dir
					} else {
						d.current = dir.Dir
					}
					out[rid] = d
				}
			}
		}
	}
	return out, nil
}

// currentPlan is the present assignment of partitions in the form of a plan.
func (t *reassignTool) currentPlan(replicas map[topicPartition][]int32) (string, error) {
	dirs, err := t.logDirs(replicas)
	if err != nil {
		return "", err
	}
	var plan []planMove
	for _, tp := range sortedPartitions(replicas) {
		m := planMove{tp: tp, replicas: replicas[tp]}
		for _, id := range m.replicas {
			d := anyLogDir
			if cur := dirs[replicaID{tp, id}].current; cur != "" {
				d = cur
			}
			m.logDirs = append(m.logDirs, d)
		}
		plan = append(plan, m)
	}
	return planJSON(plan)
}

// movesOf are the replicas for which a plan names directories.
func movesOf(plan []planMove) map[replicaID]string {
	out := map[replicaID]string{}
	for _, m := range plan {
		for i, d := range m.logDirs {
			if d != anyLogDir {
				out[replicaID{m.tp, m.replicas[i]}] = d
			}
		}
	}
	return out
}

func sortedReplicas[V any](m map[replicaID]V) []replicaID {
	var out []replicaID
	for r := range m {
		out = append(out, r)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.tp != b.tp {
			return a.tp.topic < b.tp.topic || a.tp.topic == b.tp.topic && a.tp.partition < b.tp.partition
		}
		return a.broker < b.broker
	})
	return out
}

// generate proposes an assignment.
func (t *reassignTool) generate() error {
	brokers, err := parseBrokerList(t.p.value("broker-list"))
	if err != nil {
		return err
	}
	topics, err := readTopics(t.p.value("topics-to-move-json-file"))
	if err != nil {
		return err
	}
	s, err := t.state(topics)
	if err != nil {
		return err
	}
	if len(s.unknown) > 0 {
		t.hintNearestTopics(t.c, s.unknown...)
		return &client.KafkaError{Code: client.CodeUnknownTopicOrPartition, Message: "Topic " + s.unknown[0] + " not found."}
	}
	proposed, err := t.propose(s, topics, brokers)
	if err != nil {
		return err
	}
	current, err := t.currentPlan(s.replicas)
	if err != nil {
		return err
	}
	sort.SliceStable(proposed, func(i, j int) bool { return proposed[i].tp.topic < proposed[j].tp.topic })
	next, err := planJSON(proposed)
	if err != nil {
		return err
	}
	t.printf("Current partition replica assignment\n%s\n\nProposed partition reassignment configuration\n%s\n", current, next)
	return nil
}

func (t *reassignTool) propose(s *clusterState, topics []string, ids []int32) ([]planMove, error) {
	var targets []broker
	racks := 0
	for _, b := range s.brokers {
		if containsID(ids, b.id) {
			targets = append(targets, b)
			if b.rack != "" {
				racks++
			}
		}
	}
	if racks > 0 && racks < len(targets) && !t.p.has("disable-rack-aware") {
		return nil, badPlan("Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information.")
	}
	if t.p.has("disable-rack-aware") {
		for i := range targets {
			targets[i].rack = ""
		}
	}
	var out []planMove
	for _, topic := range topics {
		var tps []topicPartition
		for tp := range s.replicas {
			if tp.topic == topic {
				tps = append(tps, tp)
			}
		}
		if len(tps) == 0 {
			continue
		}
		sortPartitions(tps)
		factor := len(s.replicas[tps[0]])
		if factor > len(targets) {
			return nil, badReplication(factor, len(targets))
		}
		lists := assign(targets, len(tps), factor, t.randomStart(len(targets)), t.randomStart(len(targets)))
		for i, tp := range tps {
			m := planMove{tp: tp, replicas: lists[i]}
			for range m.replicas {
				m.logDirs = append(m.logDirs, anyLogDir)
			}
			out = append(out, m)
		}
	}
	return out, nil
}

func badReplication(factor, brokers int) error {
	const invalidReplicationFactor = 38
	if brokers == 0 {
		return badPlan("All brokers are currently fenced, or have all their log directories cordoned.")
	}
	return &client.KafkaError{Code: invalidReplicationFactor, Message: fmt.Sprintf("The target replication factor of %d cannot be reached because only %d broker(s) are registered or some brokers have all their log directories cordoned.", factor, brokers)}
}

// planInHand is the plan of the command line, the state of its topics, and which of its partitions are on their way.
func (t *reassignTool) planInHand() ([]planMove, *clusterState, map[topicPartition]ongoingMove, error) {
	plan, err := readAnyPlan(t.p.value("reassignment-json-file"))
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := t.state(planTopics(plan))
	if err != nil {
		return nil, nil, nil, err
	}
	tps := []topicPartition{}
	for _, m := range plan {
		tps = append(tps, m.tp)
	}
	going, err := t.ongoing(tps)
	return plan, s, going, err
}

// verify tells how far a plan is.
func (t *reassignTool) verify() error {
	plan, s, going, err := t.planInHand()
	if err != nil {
		return err
	}
	done := t.printReassignments(plan, s, going)
	movesDone, err := t.verifyMoves(plan, s)
	if err != nil {
		return err
	}
	if done && movesDone && !t.p.has("preserve-throttles") {
		if len(movesOf(plan)) == 0 {
			t.println("")
		}
		return t.clearThrottles(s.ids(), planTopics(plan))
	}
	return nil
}

func (t *reassignTool) printReassignments(plan []planMove, s *clusterState, going map[topicPartition]ongoingMove) (done bool) {
	done = true
	t.println("Status of partition reassignment:")
	sorted := append([]planMove(nil), plan...)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i].tp, sorted[j].tp
		return a.topic < b.topic || a.topic == b.topic && a.partition < b.partition
	})
	for _, m := range sorted {
		have := s.replicas[m.tp]
		switch _, active := going[m.tp]; {
		case active:
			done = false
			t.printf("Reassignment of partition %s is still in progress.\n", m.tp)
		case joinInts(have, ",") == joinInts(m.replicas, ","):
			t.printf("Reassignment of partition %s is completed.\n", m.tp)
		default:
			t.fail(0)
			t.printf("There is no active reassignment of partition %s, but replica set is %s rather than %s.\n", m.tp, joinInts(have, ","), joinInts(m.replicas, ","))
		}
	}
	return done
}

func (t *reassignTool) verifyMoves(plan []planMove, s *clusterState) (done bool, err error) {
	moves := movesOf(plan)
	if len(moves) == 0 {
		return true, nil
	}
	want := map[topicPartition][]int32{}
	for r := range moves {
		if containsID(s.ids(), r.broker) {
			want[r.tp] = append(want[r.tp], r.broker)
		}
	}
	dirs, err := t.logDirs(want)
	if err != nil {
		return false, err
	}
	done = true
	for _, r := range sortedReplicas(moves) {
		d, target := dirs[r], moves[r]
		switch {
		case d.current == "" && d.future == "":
			t.printf("Partition %s cannot be found in any live log directory on broker %d.\n", r.tp, r.broker)
		case d.future == target:
			done = false
			t.printf("Reassignment of replica %s is still in progress.\n", r)
		case d.future != "":
			done = false
			t.printf("Partition %s on broker %d is being moved to log dir %s instead of %s.\n", r.tp, r.broker, d.future, target)
		case d.current == target:
			t.printf("Reassignment of replica %s completed successfully.\n", r)
		default:
			t.printf("Partition %s on broker %d is not being moved from log dir %s to %s.\n", r.tp, r.broker, d.current, target)
		}
	}
	return done, nil
}

// start begins what a plan says.
func (t *reassignTool) start() error {
	plan, err := readPlan(t.p.value("reassignment-json-file"))
	if err != nil {
		return err
	}
	s, err := t.state(planTopics(plan))
	if err != nil {
		return err
	}
	if err := checkBrokersExist(plan, s); err != nil {
		return err
	}
	if !t.p.has("additional") {
		going, err := t.ongoing(nil)
		if err != nil {
			return err
		}
		if len(going) > 0 {
			return badPlan("Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new partition assignment in addition to the existing one. The --additional flag can also be used to change the throttle by resubmitting the current reassignment.")
		}
	}
	t.hintNearestTopics(t.c, s.unknown...)
	replicas, err := currentOf(plan, s)
	if err != nil {
		return err
	}
	current, err := t.currentPlan(replicas)
	if err != nil {
		return err
	}
	t.printf("Current partition replica assignment\n\n%s\n\nSave this to use as the --reassignment-json-file option during rollback\n", current)
	if err := t.setThrottles(plan, replicas); err != nil {
		return err
	}
	if err := t.submit(plan, "Error reassigning partition(s):"); err != nil {
		return err
	}
	var tps []topicPartition
	for _, m := range plan {
		tps = append(tps, m.tp)
	}
	sortPartitions(tps)
	t.printf("Successfully started partition reassignment%s for %s\n", plural(len(tps)), partitionNames(tps))
	return t.startMoves(movesOf(plan))
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func checkBrokersExist(plan []planMove, s *clusterState) error {
	for _, m := range plan {
		for _, id := range m.replicas {
			if !containsID(s.ids(), id) {
				return badPlan("Unknown broker id %d", id)
			}
		}
	}
	return nil
}

// currentOf is the present assignment of the partitions that a plan names.
func currentOf(plan []planMove, s *clusterState) (map[topicPartition][]int32, error) {
	if len(s.unknown) > 0 {
		return nil, &client.KafkaError{Code: client.CodeUnknownTopicOrPartition, Message: "Topic " + s.unknown[0] + " not found."}
	}
	out := map[topicPartition][]int32{}
	var missing []topicPartition
	for _, m := range plan {
		ids, ok := s.replicas[m.tp]
		if !ok {
			missing = append(missing, m.tp)
			continue
		}
		out[m.tp] = ids
	}
	if len(missing) > 0 {
		sortPartitions(missing)
		return nil, &client.KafkaError{Code: client.CodeUnknownTopicOrPartition, Message: "Unable to find partition: " + partitionNames(missing)}
	}
	return out, nil
}

// submit asks for the reassignments, or with replicas nil for their end.
func (t *reassignTool) submit(plan []planMove, complaint string) error {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = int32(t.c.Settings.RequestTimeout.Milliseconds())
	req.AllowReplicationFactorChange = !t.p.has("disallow-replication-factor-change")
	byTopic := map[string][]kmsg.AlterPartitionAssignmentsRequestTopicPartition{}
	for _, m := range plan {
		rp := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		rp.Partition, rp.Replicas = m.tp.partition, m.replicas
		byTopic[m.tp.topic] = append(byTopic[m.tp.topic], rp)
	}
	for _, name := range sortedKeys(byTopic) {
		rt := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		rt.Topic, rt.Partitions = name, byTopic[name]
		req.Topics = append(req.Topics, rt)
	}
	failed := map[topicPartition]error{}
	resp, err := t.c.Any(t.ctx, "alterPartitionReassignments", req)
	ar, answered := resp.(*kmsg.AlterPartitionAssignmentsResponse)
	if answered && err == nil {
		err = client.CodeError(ar.ErrorCode, ar.ErrorMessage)
	}
	if err != nil {
		for _, m := range plan {
			failed[m.tp] = err // all of it failed alike
		}
		ar = kmsg.NewPtrAlterPartitionAssignmentsResponse()
	}
	for _, topic := range ar.Topics {
		for _, p := range topic.Partitions {
			if err := client.CodeError(p.ErrorCode, p.ErrorMessage); err != nil {
				failed[topicPartition{topic.Topic, p.Partition}] = err
			}
		}
	}
	if len(failed) == 0 {
		return nil
	}
	lines := []string{complaint}
	for _, tp := range sortedPartitions(failed) {
		lines = append(lines, fmt.Sprintf("%s: %s", tp, failed[tp]))
	}
	return &reassignError{strings.Join(lines, "\n")}
}

// startMoves asks for moves between directories; a replica that does not exist
// yet comes later, so that it is asked again until --timeout.
func (t *reassignTool) startMoves(moves map[replicaID]string) error {
	ms, _ := t.p.number("timeout")
	deadline := t.Now().Add(client.Millis(ms))
	for n := 1; len(moves) > 0; n++ {
		failed, err := t.alterDirs(moves)
		if err != nil {
			return err
		}
		var started []string
		for _, r := range sortedReplicas(moves) {
			if failed[r] == nil {
				started = append(started, r.String())
				delete(moves, r)
			}
		}
		if len(started) > 0 {
			t.printf("Successfully started log directory move%s for: %s\n", plural(len(started)), strings.Join(started, ","))
		}
		for _, r := range sortedReplicas(moves) {
			if !client.IsCode(failed[r], replicaNotAvailable) || t.Now().After(deadline) {
				return badPlan("Failed to alter dir for %s", r)
			}
		}
		if len(moves) > 0 {
			t.out.Flush()
			if !sleepContext(t.ctx, t.c.Settings.Backoff(n)) {
				return errors.New("interrupted")
			}
		}
	}
	return nil
}

// replicaNotAvailable is a broker that does not have the replica yet.
const replicaNotAvailable = 9

func (t *reassignTool) alterDirs(moves map[replicaID]string) (map[replicaID]error, error) {
	failed := map[replicaID]error{}
	brokers := map[int32]map[string]map[string][]int32{}
	for _, r := range sortedReplicas(moves) {
		dirs := brokers[r.broker]
		if dirs == nil {
			dirs = map[string]map[string][]int32{}
			brokers[r.broker] = dirs
		}
		if dirs[moves[r]] == nil {
			dirs[moves[r]] = map[string][]int32{}
		}
		dirs[moves[r]][r.tp.topic] = append(dirs[moves[r]][r.tp.topic], r.tp.partition)
	}
	for id, dirs := range brokers {
		req := kmsg.NewPtrAlterReplicaLogDirsRequest()
		for _, dir := range sortedKeys(dirs) {
			rd := kmsg.NewAlterReplicaLogDirsRequestDir()
			rd.Dir = dir
			for _, topic := range sortedKeys(dirs[dir]) {
				rt := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
				rt.Topic, rt.Partitions = topic, dirs[dir][topic]
				rd.Topics = append(rd.Topics, rt)
			}
			req.Dirs = append(req.Dirs, rd)
		}
		resp, err := t.c.OnBroker(t.ctx, "alterReplicaLogDirs", id, req)
		if err != nil {
			return nil, err
		}
		for _, topic := range resp.(*kmsg.AlterReplicaLogDirsResponse).Topics {
			for _, p := range topic.Partitions {
				if err := client.CodeError(p.ErrorCode, nil); err != nil {
					failed[replicaID{topicPartition{topic.Topic, p.Partition}, id}] = err
				}
			}
		}
	}
	return failed, nil
}

// cancel stops what a plan says.
func (t *reassignTool) cancel() error {
	plan, s, going, err := t.planInHand()
	if err != nil {
		return err
	}
	if len(going) == 0 {
		t.println("None of the specified partition reassignments are active.")
	} else {
		active := sortedPartitions(going)
		var ends []planMove
		for _, tp := range active {
			ends = append(ends, planMove{tp: tp})
		}
		if err := t.submit(ends, "Error cancelling partition reassignment"+plural(len(ends))+" for:"); err != nil {
			return err
		}
		t.printf("Successfully cancelled partition reassignment%s for: %s\n", plural(len(active)), partitionNames(active))
	}
	if err := t.cancelMoves(plan, s); err != nil {
		return err
	}
	if t.p.has("preserve-throttles") {
		return nil
	}
	return t.clearThrottles(s.ids(), planTopics(plan))
}

// cancelMoves turns a move between directories back to where the replica lies.
func (t *reassignTool) cancelMoves(plan []planMove, s *clusterState) error {
	moves := movesOf(plan)
	want := map[topicPartition][]int32{}
	for r := range moves {
		if containsID(s.ids(), r.broker) {
			want[r.tp] = append(want[r.tp], r.broker)
		}
	}
	dirs, err := t.logDirs(want)
	if err != nil {
		return err
	}
	back := map[replicaID]string{}
	for r, target := range moves {
		if d := dirs[r]; d.future == target && d.current != "" {
			back[r] = d.current
		}
	}
	if len(back) == 0 {
		t.printf("None of the specified partition moves are active.")
		return nil
	}
	failed, err := t.alterDirs(back)
	if err != nil {
		return err
	}
	for _, r := range sortedReplicas(failed) {
		return badPlan("Failed to alter dir for %s", r)
	}
	var names []string
	for _, r := range sortedReplicas(back) {
		names = append(names, r.String())
	}
	t.printf("Successfully cancelled log directory move%s for: %s\n", plural(len(names)), strings.Join(names, ","))
	return nil
}
