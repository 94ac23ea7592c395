package cli

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// aView is a cluster of three combined nodes, all well; partitions are "topic-0 leader replicas isr minISR".
func aView(partitions ...viewedPartition) *clusterView {
	v := &clusterView{brokers: []broker{{1, "a"}, {2, "b"}, {3, "c"}}, quorum: &quorumInfo{}, partitions: partitions}
	v.quorum.LeaderID = 1
	for id := int32(1); id <= 3; id++ {
		m := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		m.ReplicaID, m.LastCaughtUpTimestamp = id, 1_000_000
		v.quorum.CurrentVoters = append(v.quorum.CurrentVoters, m)
	}
	return v
}

func aPartition(topic string, p, leader int32, replicas, isr []int32, minISR int) viewedPartition {
	return viewedPartition{topicPartition{topic, p}, leader, replicas, isr, minISR}
}

func TestWhetherItIsSafeToRestartANode(t *testing.T) {
	whole := aPartition("t", 0, 1, []int32{1, 2, 3}, []int32{1, 2, 3}, 2)
	for name, c := range map[string]struct {
		view *clusterView
		node int32
		want string
	}{
		"all well": {aView(whole), 1,
			"It is safe to restart node 1: each of the 1 partitions that it holds has enough other replicas in sync, and 2 of 3 controllers stay."},
		"one replica behind": {aView(aPartition("t", 0, 1, []int32{1, 2, 3}, []int32{1, 2}, 2)), 2,
			"It is not safe to restart node 2: 1 partition would refuse records with acks=all for want of in-sync replicas (t-0: in sync on 1,2 of 1,2,3, min.insync.replicas=2)."},
		"the one behind itself": {aView(aPartition("t", 0, 1, []int32{1, 2, 3}, []int32{1, 2}, 2)), 3,
			"It is safe to restart node 3: it holds no partition that others would miss, and 2 of 3 controllers stay."},
		"the only copy": {aView(aPartition("t", 4, 3, []int32{3}, []int32{3}, 1), whole), 3,
			"It is not safe to restart node 3: 1 partition is in sync on this node alone and would be unavailable until it is back (t-4: replicas 3)."},
		"refused already": {aView(aPartition("t", 0, 1, []int32{1, 2, 3}, []int32{1, 2}, 3)), 2,
			"It is safe to restart node 2: each of the 1 partitions that it holds has enough other replicas in sync, and 2 of 3 controllers stay."},
	} {
		if got := c.view.judge(c.node).Sentence; got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
	v := aView(whole)
	v.quorum.CurrentVoters[2].LastCaughtUpTimestamp -= 2 * voterIsBehindMs
	if d := v.judge(2); d.Safe || !strings.Contains(d.Sentence, "only 1 of 3 controllers would be left, a majority is 2, and controller 3 is behind or down") {
		t.Error(d.Sentence)
	}
	if d := v.judge(3); !d.Safe {
		t.Error("a controller that is behind may be restarted: " + d.Sentence)
	}
	v = aView()
	v.quorum.CurrentVoters = v.quorum.CurrentVoters[:1]
	if d := v.judge(1); d.Safe || !strings.Contains(d.Sentence, "it is the only controller") {
		t.Error(d.Sentence)
	}
	v = aView(whole)
	v.brokers, v.fenced = v.brokers[:2], []int32{3}
	if d := v.judge(3); d.State != "fenced" {
		t.Error(d)
	}
	if d := v.judge(2); d.Safe || !strings.Contains(d.Sentence, "only 1 of 3 controllers would be left") {
		t.Error("a node that is fenced counts as a controller: " + d.Sentence)
	}
	if err := v.mustKnow(7); err == nil || !strings.Contains(err.Error(), "its nodes are 1,2,3") {
		t.Error(err)
	}
}

func TestLeadershipsLeaveADrainedNode(t *testing.T) {
	v := aView(
		aPartition("t", 0, 1, []int32{1, 2, 3}, []int32{1, 2, 3}, 2),
		aPartition("t", 1, 1, []int32{1, 2, 3}, []int32{1, 2, 3}, 2),
		aPartition("t", 2, 2, []int32{2, 3, 1}, []int32{1, 2, 3}, 2),
		aPartition("t", 3, 3, []int32{1, 3}, []int32{3, 1}, 1), // would come back to it
		aPartition("u", 0, 1, []int32{1, 2}, []int32{1}, 1),
	)
	plan, stay := v.withoutLeaderships(1)
	got := map[string][]int32{}
	for _, m := range plan {
		got[m.tp.String()] = m.replicas
	}
	if len(got) != 3 || !slices.Equal(got["t-0"], []int32{2, 3, 1}) && !slices.Equal(got["t-0"], []int32{3, 2, 1}) || got["t-0"][0] == got["t-1"][0] || !slices.Equal(got["t-3"], []int32{3, 1}) {
		t.Errorf("%v", got)
	}
	if len(stay) != 1 || stay[0].String() != "u-0" {
		t.Errorf("cannot leave: %v", stay)
	}
}

func TestReplicasLeaveANodeForOtherRacks(t *testing.T) {
	v := aView(aPartition("t", 0, 1, []int32{1, 2}, []int32{1, 2}, 1), aPartition("t", 1, 2, []int32{2, 1}, []int32{1, 2}, 1), aPartition("t", 2, 1, []int32{1, 2, 3, 4}, []int32{1}, 1))
	v.brokers = append(v.brokers, broker{4, "b"}) // as node 2
	plan, stay := v.withoutReplicas(1)
	if len(plan) != 2 || !slices.Equal(plan[0].replicas, []int32{3, 2}) || !slices.Equal(plan[1].replicas, []int32{2, 3}) {
		t.Errorf("%v", plan)
	}
	if len(stay) != 1 || stay[0].String() != "t-2" {
		t.Errorf("cannot leave: %v", stay)
	}
}

// A second drain must not take what the first one made for what was before.
func TestTheFirstDrainIsWhatIsUndone(t *testing.T) {
	d := &drain{node: 1, file: t.TempDir() + "/plan.json"}
	v := aView(aPartition("t", 0, 1, []int32{1, 2, 3}, nil, 1), aPartition("t", 1, 1, []int32{1, 3, 2}, nil, 1))
	if err := d.remember(v, []planMove{{tp: topicPartition{"t", 0}}}); err != nil {
		t.Fatal(err)
	}
	v.partitions[0].replicas = []int32{2, 3, 1}
	if err := d.remember(v, []planMove{{tp: topicPartition{"t", 0}}, {tp: topicPartition{"t", 1}}}); err != nil {
		t.Fatal(err)
	}
	back, err := d.givenBack(v)
	if err != nil || len(back) != 1 || !slices.Equal(back[0].replicas, []int32{1, 2, 3}) {
		t.Errorf("%v, %v", back, err)
	}
	if err := os.WriteFile(d.file, []byte("half a fi"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.remember(v, nil); err == nil || !strings.Contains(err.Error(), "--plan-file") {
		t.Errorf("a plan file that cannot be read is overwritten: %v", err)
	}
}
