package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// drainBatch bounds the partitions of one request, so that no entry of the metadata log becomes large.
	drainBatch = 1000
	// drainLook is how often the cluster is asked how far it is.
	drainLookMs = 200
	// drainSettleMs is how long replicas that have just changed their roles may take until they count as in sync again.
	drainSettleMs = 10_000
)

func drainOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.").withDefault("localhost:9092")
	s.arg("command-config", "config file", "A properties file for the admin client.")
	s.flag("replicas", "Move the node's replicas to other brokers as well, so that it can be taken away for good.")
	s.flag("undo", "Give back what --plan-file says was moved.")
	s.flag("dry-run", "Say what would be done.")
	s.arg("plan-file", "file", "Where the assignment of before is kept, in the form of kafka-reassign-partitions; moldau-drain-NODE.json by default.")
	s.arg("timeout", "ms", "How long to wait until everything has moved.").ofKind(longValue).withDefault("600000")
	s.formatOption()
	return s
}

// runDrain is `moldau drain NODE`: leaderships leave a node, and with --replicas everything that it holds.
func runDrain(r *run, args []string) int {
	node, given, rest, err := nodeArgument(args)
	if err != nil {
		return r.outcome(err)
	}
	p, err := drainOptions().parse(rest)
	if err == nil {
		d := &drain{reassignTool: reassignTool{run: r, p: p}, node: node}
		err = d.execute(given)
	}
	return r.outcome(err)
}

type drain struct {
	reassignTool
	node int32
	file string
}

func (d *drain) execute(given bool) error {
	if d.p.has("help") || !given {
		return d.usage(d.p.set, nil, "moldau drain NODE: moves leaderships away from a node before it is restarted, and says when it is safe to. What was moved is kept in a file, and --undo moves it back.")
	}
	if d.p.has("undo") && d.p.has("replicas") {
		return errors.New("--undo gives back what the plan file says; --replicas does not go with it")
	}
	asJSON, err := d.p.wantsJSON()
	if err != nil {
		return err
	}
	if d.file = d.p.value("plan-file"); d.file == "" {
		d.file = fmt.Sprintf("moldau-drain-%d.json", d.node)
	}
	timeout, _ := d.p.number("timeout")
	if d.p.err != nil {
		return d.p.err
	}
	if d.c, err = d.open(client.Admin, d.p.value("bootstrap-server"), d.p.value("command-config")); err != nil {
		return err
	}
	defer d.c.Close()
	v, err := d.viewCluster(d.c)
	if err != nil {
		return err
	}
	if err := v.mustKnow(d.node); err != nil {
		return err
	}
	if !d.p.has("undo") && !v.serves(d.node) {
		return fmt.Errorf("node %d is no broker that serves: it leads nothing, and there is nothing to drain", d.node)
	}
	plan, stay, err := d.plan(v)
	if err == nil && len(plan) == 0 && len(stay) == 0 && !d.p.has("undo") {
		if err = d.viewNewest(d.c, v); err == nil { // before it is said that there is nothing
			plan, stay, err = d.plan(v)
		}
	}
	if err != nil {
		return err
	}
	if !d.p.has("dry-run") {
		if v, err = d.carryOut(v, plan, client.Millis(timeout).Milliseconds()); err != nil {
			return err
		}
	}
	return d.tell(v, plan, stay, asJSON)
}

// plan is what to change, and the partitions for which nothing can be done.
func (d *drain) plan(v *clusterView) (plan []planMove, stay []topicPartition, err error) {
	switch {
	case d.p.has("undo"):
		plan, err = d.givenBack(v)
		return plan, nil, err
	case d.p.has("replicas"):
		plan, stay = v.withoutReplicas(d.node)
	default:
		plan, stay = v.withoutLeaderships(d.node)
	}
	return plan, stay, nil
}

// withoutLeaderships puts another in-sync replica first wherever the node leads or would lead, those with the fewest
// leaderships before the others, and the node last.
func (v *clusterView) withoutLeaderships(node int32) (plan []planMove, stay []topicPartition) {
	leads := map[int32]int{}
	for _, p := range v.partitions {
		leads[p.leader]++
	}
	for _, p := range v.partitions {
		if p.leader != node && (len(p.replicas) == 0 || p.replicas[0] != node) {
			continue
		}
		heir := int32(-1)
		for _, id := range p.isr {
			if id != node && v.serves(id) && slices.Contains(p.replicas, id) && (heir < 0 || leads[id] < leads[heir]) {
				heir = id
			}
		}
		if heir < 0 {
			stay = append(stay, p.tp)
			continue
		}
		leads[heir]++
		order := []int32{heir}
		for _, id := range p.replicas {
			if id != heir && id != node {
				order = append(order, id)
			}
		}
		plan = append(plan, planMove{tp: p.tp, replicas: append(order, node)})
	}
	return plan, stay
}

// withoutReplicas gives each replica of the node to another broker: on a rack that the partition is not on yet where there is
// one, else the one that holds the fewest.
func (v *clusterView) withoutReplicas(node int32) (plan []planMove, stay []topicPartition) {
	holds, rack := map[int32]int{}, map[int32]string{}
	for _, p := range v.partitions {
		for _, id := range p.replicas {
			holds[id]++
		}
	}
	for _, b := range v.brokers {
		rack[b.id] = b.rack
	}
	for _, p := range v.partitions {
		at := slices.Index(p.replicas, node)
		if at < 0 {
			continue
		}
		taken := map[string]bool{}
		for _, id := range p.replicas {
			if id != node {
				taken[rack[id]] = true
			}
		}
		heir := int32(-1)
		better := func(a, b int32) bool {
			if ta, tb := taken[rack[a]], taken[rack[b]]; ta != tb {
				return !ta
			}
			return holds[a] < holds[b] || holds[a] == holds[b] && a < b
		}
		for _, b := range v.brokers {
			if b.id != node && !slices.Contains(p.replicas, b.id) && (heir < 0 || better(b.id, heir)) {
				heir = b.id
			}
		}
		if heir < 0 {
			stay = append(stay, p.tp)
			continue
		}
		holds[heir]++
		replicas := slices.Clone(p.replicas)
		replicas[at] = heir
		plan = append(plan, planMove{tp: p.tp, replicas: replicas})
	}
	return plan, stay
}

// givenBack is the assignment of before, as far as its topics are there still.
func (d *drain) givenBack(v *clusterView) ([]planMove, error) {
	old, err := readPlan(d.file)
	if err != nil {
		return nil, fmt.Errorf("cannot undo: %w", err)
	}
	now := map[topicPartition][]int32{}
	for _, p := range v.partitions {
		now[p.tp] = p.replicas
	}
	return slices.DeleteFunc(old, func(m planMove) bool {
		replicas, there := now[m.tp]
		return !there || slices.Equal(replicas, m.replicas)
	}), nil
}

// remember writes down the assignment of before. What an earlier drain has written stays: it is older.
func (d *drain) remember(v *clusterView, plan []planMove) error {
	var keep []planMove
	if _, err := os.Stat(d.file); err == nil {
		if keep, err = readPlan(d.file); err != nil {
			return fmt.Errorf("the plan file %s is there already and cannot be read; name another with --plan-file: %w", d.file, err)
		}
	}
	known, before := map[topicPartition]bool{}, map[topicPartition][]int32{}
	for _, m := range keep {
		known[m.tp] = true
	}
	for _, p := range v.partitions {
		before[p.tp] = p.replicas
	}
	for _, m := range plan {
		if !known[m.tp] {
			keep = append(keep, planMove{tp: m.tp, replicas: before[m.tp]})
		}
	}
	for i := range keep {
		keep[i].logDirs = make([]string, len(keep[i].replicas))
		for j := range keep[i].logDirs {
			keep[i].logDirs[j] = anyLogDir
		}
	}
	text, err := planJSON(keep)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.file+".tmp", []byte(text+"\n"), 0o644); err != nil {
		return fmt.Errorf("cannot keep the assignment of before: %w", err)
	}
	return os.Rename(d.file+".tmp", d.file)
}

// carryOut moves replicas, then leaders, and waits until the cluster says that it is done.
func (d *drain) carryOut(v *clusterView, plan []planMove, timeoutMs int64) (*clusterView, error) {
	undo := d.p.has("undo")
	if len(plan) > 0 && !undo {
		if err := d.remember(v, plan); err != nil {
			return nil, err
		}
	}
	for rest := plan; len(rest) > 0; {
		n := min(len(rest), drainBatch)
		if err := d.submit(rest[:n], "Some partitions could not be moved:"); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	deadline := d.Now().Add(client.Millis(timeoutMs))
	for {
		left, err := d.left(plan)
		if err != nil {
			return nil, err
		}
		if left == "" {
			break
		}
		if d.Now().After(deadline) || !sleepContext(d.ctx, client.Millis(drainLookMs)) {
			return nil, fmt.Errorf("the time is up and %s; the cluster goes on with it, and the same command waits for it again", left)
		}
	}
	if undo {
		if err := os.Remove(d.file); err != nil {
			return nil, fmt.Errorf("everything is back, but the plan file stays: %w", err)
		}
	}
	return d.settled(min(client.Millis(drainSettleMs), deadline.Sub(d.Now())))
}

// settled is the cluster as soon as the node may be restarted, or as it is when the time is up.
func (d *drain) settled(patience time.Duration) (*clusterView, error) {
	for deadline := d.Now().Add(patience); ; {
		v, err := d.viewCluster(d.c)
		if err != nil || v.judge(d.node).Safe || d.Now().After(deadline) || !sleepContext(d.ctx, client.Millis(drainLookMs)) {
			return v, err
		}
	}
}

// left says what has not moved yet, and asks for elections where replicas are where they should be.
func (d *drain) left(plan []planMove) (string, error) {
	if len(plan) == 0 {
		return "", nil
	}
	var tps []topicPartition
	want := map[topicPartition]int32{}
	for _, m := range plan {
		tps, want[m.tp] = append(tps, m.tp), m.replicas[0]
	}
	moving, err := d.ongoing(nil)
	if err != nil {
		return "", err
	}
	n := 0
	for _, tp := range tps {
		if _, ok := moving[tp]; ok {
			n++
		}
	}
	if n > 0 {
		return counted(n, "partition is still being copied", "partitions are still being copied"), nil
	}
	if err := d.elect(tps); err != nil {
		return "", err
	}
	v := &clusterView{}
	if err := d.viewPartitions(d.c, v); err != nil {
		return "", err
	}
	for _, p := range v.partitions {
		first, ok := want[p.tp]
		waits := p.leader != first
		if !d.p.has("undo") { // another in-sync replica will do
			waits = p.leader == d.node || p.leader < 0
		}
		if ok && waits {
			n++
		}
	}
	if n > 0 {
		return counted(n, "partition waits for its new leader", "partitions wait for their new leaders"), nil
	}
	return "", nil
}

// elect asks for the preferred leaders. Who cannot lead yet is looked for again by left.
func (d *drain) elect(tps []topicPartition) error {
	req := kmsg.NewPtrElectLeadersRequest()
	req.TimeoutMillis = int32(d.c.Settings.RequestTimeout.Milliseconds())
	byTopic := map[string][]int32{}
	for _, tp := range tps {
		byTopic[tp.topic] = append(byTopic[tp.topic], tp.partition)
	}
	for _, name := range sortedKeys(byTopic) {
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = name, byTopic[name]
		req.Topics = append(req.Topics, t)
	}
	resp, err := d.c.Any(d.ctx, "electLeaders", req)
	if err != nil {
		return err
	}
	return client.CodeError(resp.(*kmsg.ElectLeadersResponse).ErrorCode, nil)
}

// tell says what was done and what a restart would mean now.
func (d *drain) tell(v *clusterView, plan []planMove, stay []topicPartition, asJSON bool) error {
	judged := v.judge(d.node)
	dry := d.p.has("dry-run")
	stays := []string{}
	for _, tp := range stay {
		stays = append(stays, tp.String())
	}
	if asJSON {
		b, err := json.MarshalIndent(struct {
			Node   int32    `json:"node"`
			DryRun bool     `json:"dryRun"`
			Moved  int      `json:"movedPartitions"`
			Stay   []string `json:"cannotMove"`
			Plan   string   `json:"planFile"`
			Now    verdict  `json:"now"`
		}{d.node, dry, len(plan), stays, d.file, judged}, "", "  ")
		if err != nil {
			return fmt.Errorf("cannot write the result as JSON: %w", err)
		}
		d.println(string(b))
	} else {
		d.tellText(plan, stays, judged, dry)
	}
	if len(stay) > 0 {
		return &exitError{1}
	}
	return nil
}

func (d *drain) tellText(plan []planMove, stays []string, judged verdict, dry bool) {
	verb := "moved"
	if dry {
		verb = "would move"
	}
	switch {
	case d.p.has("undo"):
		d.printf("%s %s back to where they were.\n", counted(len(plan), "partition", "partitions"), verb)
		d.println(judged.Sentence)
		return
	case len(plan) == 0 && len(stays) == 0:
		d.printf("There is nothing to drain: node %d leads no partition.\n", d.node)
	case d.p.has("replicas"):
		d.printf("The replicas of %s %s from node %d to other brokers.\n", counted(len(plan), "partition", "partitions"), verb, d.node)
	default:
		d.printf("The leaderships of %s %s from node %d to other in-sync replicas.\n", counted(len(plan), "partition", "partitions"), verb, d.node)
	}
	if len(plan) > 0 && !dry {
		d.printf("The assignment of before is in %s; \"moldau drain %d --undo\" gives it back.\n", d.file, d.node)
	}
	if len(stays) > 0 {
		more := ""
		if len(stays) > shownExamples {
			more = fmt.Sprintf(" and %d more", len(stays)-shownExamples)
		}
		d.printf("%s cannot leave node %d, for want of another broker that could take over: %s%s.\n", counted(len(stays), "partition", "partitions"), d.node,
			strings.Join(stays[:min(len(stays), shownExamples)], ", "), more)
	}
	d.println(judged.Sentence)
	if d.p.has("replicas") && judged.Replicas == 0 && !dry {
		d.printf("It holds nothing any more: stop it and run \"kafka-cluster unregister --id %d\" to take it out of the cluster.\n", d.node)
	}
}
