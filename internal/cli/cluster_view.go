package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clusterView is what must be known of a cluster to say what the loss of a node would mean.
type clusterView struct {
	brokers    []broker // that serve
	fenced     []int32  // registered, and not serving
	partitions []viewedPartition
	quorum     *quorumInfo
}

type viewedPartition struct {
	tp            topicPartition
	leader        int32
	replicas, isr []int32
	minISR        int
}

const (
	// voterIsBehindMs is how long a controller may not have had everything before it does not count: some of the half seconds in which
	// Apache Kafka's controllers ask for more. One that has died counts as well for so long, and whoever believes it may stop a second.
	voterIsBehindMs = 2000
	// quorumPatience is longer than controllers need to elect one of them.
	quorumPatience = 5 * time.Second
	// shownExamples is how many partitions a sentence names.
	shownExamples = 3
)

func (r *run) viewCluster(c *client.Client) (*clusterView, error) {
	dr, err := r.describeCluster(c, true)
	if err != nil {
		return nil, err
	}
	v := &clusterView{}
	for _, b := range dr.Brokers {
		if b.IsFenced {
			v.fenced = append(v.fenced, b.NodeID)
			continue
		}
		rack := ""
		if b.Rack != nil {
			rack = *b.Rack
		}
		v.brokers = append(v.brokers, broker{b.NodeID, rack})
	}
	if v.quorum, err = r.quorumInTime(c); err != nil {
		return nil, err
	}
	return v, r.viewPartitions(c, v)
}

// quorumInTime asks for the quorum, and says what it means that none of its controllers leads: brokers keep the question until one does.
func (r *run) quorumInTime(c *client.Client) (*quorumInfo, error) {
	ctx, cancel := context.WithTimeout(r.ctx, quorumPatience)
	defer cancel()
	q, err := r.describeQuorum(ctx, c)
	if err != nil && ctx.Err() != nil && r.ctx.Err() == nil {
		return nil, fmt.Errorf("no controller has answered for %d seconds: a majority of them does not run, or they cannot reach each other. Records may still flow, but no leader changes and no topic; restart no node that runs, and start the controllers that are down", int(quorumPatience.Seconds()))
	}
	return q, err
}

func (r *run) viewPartitions(c *client.Client, v *clusterView) error {
	md, err := c.Metadata(r.ctx, "describeTopics", nil, true)
	if err != nil {
		return err
	}
	return r.viewTopics(c, v, md)
}

// viewTopics makes the view's partitions those of md.
func (r *run) viewTopics(c *client.Client, v *clusterView, md *kmsg.MetadataResponse) error {
	v.partitions = nil
	var names []string
	for _, t := range md.Topics {
		if t.Topic != nil && t.ErrorCode == 0 {
			names = append(names, *t.Topic)
		}
	}
	configs, err := r.describeConfigs(c, resourceTopic, names, false)
	if err != nil {
		return err
	}
	for _, t := range md.Topics {
		if t.Topic == nil || t.ErrorCode != 0 {
			continue
		}
		least := configNumber(configs[*t.Topic], "min.insync.replicas")
		for _, p := range t.Partitions {
			v.partitions = append(v.partitions, viewedPartition{topicPartition{*t.Topic, p.Partition}, p.Leader, p.Replicas, p.ISR, int(least)})
		}
	}
	slices.SortFunc(v.partitions, func(a, b viewedPartition) int {
		if n := strings.Compare(a.tp.topic, b.tp.topic); n != 0 {
			return n
		}
		return int(a.tp.partition - b.tp.partition)
	})
	return nil
}

// nodes are the ids of all that is known: brokers and voters.
func (v *clusterView) nodes() []int32 {
	var out []int32
	for _, b := range v.brokers {
		out = append(out, b.id)
	}
	out = append(out, v.fenced...)
	for _, m := range v.quorum.CurrentVoters {
		out = append(out, m.ReplicaID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (v *clusterView) serves(node int32) bool {
	return slices.ContainsFunc(v.brokers, func(b broker) bool { return b.id == node })
}

func (v *clusterView) votes(node int32) bool {
	return slices.ContainsFunc(v.quorum.CurrentVoters, func(m quorumReplica) bool { return m.ReplicaID == node })
}

// verdict is what a restart of a node would mean.
type verdict struct {
	Node     int32    `json:"node"`
	Roles    []string `json:"roles"`
	State    string   `json:"state"`
	Leads    int      `json:"leads"`
	Replicas int      `json:"replicas"`
	InSync   int      `json:"inSync"`
	Safe     bool     `json:"safeToRestart"`
	Sentence string   `json:"sentence"`
	Reasons  []string `json:"reasons"`
}

// judge says whether a node may be restarted: nothing that works now may stop for longer than leaders take to move.
func (v *clusterView) judge(node int32) verdict {
	d := verdict{Node: node, Roles: []string{}, Reasons: []string{}, State: "serves"}
	broker := v.serves(node) || slices.Contains(v.fenced, node)
	if broker {
		d.Roles = append(d.Roles, "broker")
	}
	if v.votes(node) {
		d.Roles = append(d.Roles, "controller")
	}
	switch {
	case slices.Contains(v.fenced, node):
		d.State = "fenced"
	case node == v.quorum.LeaderID:
		d.State = "serves, leads the quorum"
	case !broker && !v.voterIsWell(node):
		d.State = "behind or down"
	}
	d.Reasons = append(d.Reasons, v.partitionsInDanger(node, &d)...)
	d.Reasons = append(d.Reasons, v.quorumInDanger(node)...)
	d.Safe = len(d.Reasons) == 0
	d.Sentence = v.sentence(&d)
	return d
}

func (v *clusterView) sentence(d *verdict) string {
	switch {
	case !d.Safe:
		return fmt.Sprintf("It is not safe to restart node %d: %s.", d.Node, strings.Join(d.Reasons, "; and "))
	case d.State == "fenced":
		return fmt.Sprintf("It is safe to restart node %d: it is fenced and serves nobody now.", d.Node)
	}
	var why []string
	switch {
	case d.InSync > 0:
		why = append(why, fmt.Sprintf("each of the %d partitions that it holds has enough other replicas in sync", d.InSync))
	case slices.Contains(d.Roles, "broker"):
		why = append(why, "it holds no partition that others would miss")
	}
	if slices.Contains(d.Roles, "controller") {
		well, all := v.othersWell(d.Node)
		why = append(why, fmt.Sprintf("%d of %d controllers stay", well, all))
	}
	return fmt.Sprintf("It is safe to restart node %d: %s.", d.Node, strings.Join(why, ", and "))
}

// partitionsInDanger counts what the node holds, and says which of that nobody else can take over.
func (v *clusterView) partitionsInDanger(node int32, d *verdict) []string {
	var alone, few []viewedPartition
	for _, p := range v.partitions {
		if p.leader == node {
			d.Leads++
		}
		if slices.Contains(p.replicas, node) {
			d.Replicas++
		}
		if !slices.Contains(p.isr, node) {
			continue
		}
		d.InSync++
		switch others := len(p.isr) - 1; {
		case others == 0:
			alone = append(alone, p)
		case others < p.minISR && len(p.isr) >= p.minISR:
			few = append(few, p)
		}
	}
	var out []string
	if len(alone) > 0 {
		out = append(out, fmt.Sprintf("%s in sync on this node alone and would be unavailable until it is back (%s)",
			counted(len(alone), "partition is", "partitions are"), examples(alone, func(p viewedPartition) string {
				return fmt.Sprintf("%s: replicas %s", p.tp, idList(p.replicas))
			})))
	}
	if len(few) > 0 {
		out = append(out, fmt.Sprintf("%s would refuse records with acks=all for want of in-sync replicas (%s)",
			counted(len(few), "partition", "partitions"), examples(few, func(p viewedPartition) string {
				return fmt.Sprintf("%s: in sync on %s of %s, min.insync.replicas=%d", p.tp, idList(p.isr), idList(p.replicas), p.minISR)
			})))
	}
	return out
}

// voterIsWell says that a voter has everything, or had a moment ago. Times are the leader's, all of them. A node that is a broker too
// and is fenced has just died, or just begun: its broker is told dead before its controller.
func (v *clusterView) voterIsWell(node int32) bool {
	if slices.Contains(v.fenced, node) && node != v.quorum.LeaderID {
		return false
	}
	if node == v.quorum.LeaderID {
		return true
	}
	leader := v.quorum.leader()
	for _, m := range v.quorum.CurrentVoters {
		if m.ReplicaID == node && leader != nil {
			return m.LastCaughtUpTimestamp >= 0 && leader.LastCaughtUpTimestamp-m.LastCaughtUpTimestamp < voterIsBehindMs
		}
	}
	return false
}

// othersWell counts the voters that are well without a node, and all voters.
func (v *clusterView) othersWell(node int32) (well, all int) {
	for _, m := range v.quorum.CurrentVoters {
		if m.ReplicaID != node && v.voterIsWell(m.ReplicaID) {
			well++
		}
	}
	return well, len(v.quorum.CurrentVoters)
}

func (v *clusterView) quorumInDanger(node int32) []string {
	if !v.votes(node) {
		return nil
	}
	well, all := v.othersWell(node)
	need := all/2 + 1
	switch {
	case all == 1:
		return []string{"it is the only controller: no topic could be created and no leader elected until it is back"}
	case well >= need:
		return nil
	}
	var sick []int32
	for _, m := range v.quorum.CurrentVoters {
		if m.ReplicaID != node && !v.voterIsWell(m.ReplicaID) {
			sick = append(sick, m.ReplicaID)
		}
	}
	if len(sick) == 0 {
		return []string{fmt.Sprintf("a quorum of %d controllers needs all of them, and no leader could be elected until it is back", all)}
	}
	return []string{fmt.Sprintf("only %d of %d controllers would be left, a majority is %d, and %s behind or down", well, all, need,
		map[bool]string{true: "controller " + idList(sick) + " is", false: "controllers " + idList(sick) + " are"}[len(sick) == 1])}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func examples(all []viewedPartition, text func(viewedPartition) string) string {
	var out []string
	for _, p := range all[:min(len(all), shownExamples)] {
		out = append(out, text(p))
	}
	if more := len(all) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, "; ")
}

func idList(ids []int32) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strconv.Itoa(int(id))
	}
	return strings.Join(out, ",")
}

// nodeArgument takes the word behind the command that is a node's id; no word is no node.
func nodeArgument(args []string) (node int32, given bool, rest []string, err error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return 0, false, args, nil
	}
	n, err := strconv.ParseInt(args[0], 10, 32)
	if err != nil || n < 0 {
		return 0, false, nil, fmt.Errorf("%q is no node id", args[0])
	}
	if len(args) > 1 && !strings.HasPrefix(args[1], "-") {
		return 0, false, nil, fmt.Errorf("one node at a time: what is %q?", args[1])
	}
	return int32(n), true, args[1:], nil
}

// mustKnow refuses a node that is not there.
func (v *clusterView) mustKnow(node int32) error {
	if slices.Contains(v.nodes(), node) {
		return nil
	}
	return fmt.Errorf("there is no node %d in this cluster; its nodes are %s", node, idList(v.nodes()))
}
