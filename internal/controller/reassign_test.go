package controller

import (
	"fmt"
	"testing"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// move asks for replicas of a partition; nil cancels.
func (c *cluster) move(topic string, p int32, replicas []int32, change ...func(*kmsg.AlterPartitionAssignmentsRequest)) string {
	c.t.Helper()
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.Version, req.AllowReplicationFactorChange = 1, true
	rt := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	rp.Partition, rp.Replicas = p, replicas
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	for _, f := range change {
		f(req)
	}
	resp := ask[*kmsg.AlterPartitionAssignmentsResponse](c, req)
	if resp.ErrorCode != 0 {
		return outcome(resp.ErrorCode, resp.ErrorMessage)
	}
	return outcome(resp.Topics[0].Partitions[0].ErrorCode, resp.Topics[0].Partitions[0].ErrorMessage)
}

func (c *cluster) wantPlaces(topic string, p int32, want string) {
	c.t.Helper()
	x := c.s.Image().Partition(topic, p)
	if got := fmt.Sprintf("replicas %v adding %v removing %v isr %v leader %d", x.Replicas, x.Adding, x.Removing, x.ISR, x.Leader); got != want {
		c.t.Errorf("%s-%d: %s, want %s", topic, p, got, want)
	}
	if len(x.Directories) != len(x.Replicas) {
		c.t.Errorf("%s-%d: %d directories for %d replicas", topic, p, len(x.Directories), len(x.Replicas))
	}
}

func TestAPartitionMoves(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3, 4, 5)
	c.mustCreate("t 1,2,3")
	if got := c.move("t", 0, []int32{3, 4, 5}); got != "ok" {
		t.Fatal(got)
	}
	c.wantPlaces("t", 0, "replicas [3 4 5 1 2] adding [4 5] removing [1 2] isr [1 2 3] leader 1")
	list := ask[*kmsg.ListPartitionReassignmentsResponse](c, kmsg.NewPtrListPartitionReassignmentsRequest())
	if len(list.Topics) != 1 || len(list.Topics[0].Partitions[0].AddingReplicas) != 2 {
		t.Errorf("listed: %+v", list)
	}
	if got := c.shrink("t", 0, 1, 2, 3, 4); got != "ok" {
		t.Fatal(got)
	}
	c.wantPlaces("t", 0, "replicas [3 4 5 1 2] adding [4 5] removing [1 2] isr [1 2 3 4] leader 1")
	// The last one is in sync: the others go, and the leader with them.
	if got := c.shrink("t", 0, 1, 2, 3, 4, 5); got != "NEW_LEADER_ELECTED" {
		t.Fatal(got)
	}
	c.wantPlaces("t", 0, "replicas [3 4 5] adding [] removing [] isr [3 4 5] leader 3")
}

func TestAMoveIsCancelled(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3, 4)
	c.mustCreate("t 1,2")
	if got := c.move("t", 0, nil); got != "NO_REASSIGNMENT_IN_PROGRESS: No partition reassignment is in progress." {
		t.Error(got)
	}
	c.move("t", 0, []int32{3, 4})
	c.shrink("t", 0, 1, 2, 3)
	if got := c.move("t", 0, nil); got != "ok" {
		t.Fatal(got)
	}
	c.wantPlaces("t", 0, "replicas [1 2] adding [] removing [] isr [1 2] leader 1")
}

func TestAMoveIsAimedAnew(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3, 4)
	c.mustCreate("t 1,2")
	c.move("t", 0, []int32{3, 4})
	if got := c.move("t", 0, []int32{1, 3}); got != "ok" {
		t.Fatal(got)
	}
	c.wantPlaces("t", 0, "replicas [1 3 4 2] adding [3] removing [2 4] isr [1 2] leader 1")
	c.shrink("t", 0, 1, 2, 3)
	c.wantPlaces("t", 0, "replicas [1 3] adding [] removing [] isr [1 3] leader 1")
}

// A replica that goes from a partition may still believe itself part of it: a new epoch says that it is not.
func TestFewerReplicasRaiseTheEpoch(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3)
	c.mustCreate("t 1,2,3")
	if got := c.move("t", 0, []int32{1, 2}); got != "ok" {
		t.Fatal(got)
	}
	c.wantPlaces("t", 0, "replicas [1 2] adding [] removing [] isr [1 2] leader 1")
	c.want("t", 0, "leader 1 isr [1 2] elr [] last [] epoch 1")
}

func TestMovesThatAreRefused(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3)
	c.mustCreate("t 1,2")
	noResize := func(r *kmsg.AlterPartitionAssignmentsRequest) { r.AllowReplicationFactorChange = false }
	for _, x := range []struct{ got, want string }{
		{c.move("nothing", 0, []int32{1}), "UNKNOWN_TOPIC_OR_PARTITION: Unable to find a topic named nothing."},
		{c.move("t", 7, []int32{1}), "UNKNOWN_TOPIC_OR_PARTITION: Unable to find partition t:7."},
		{c.move("t", 0, []int32{}), "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes an empty replica list."},
		{c.move("t", 0, []int32{1, 1}), "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes the broker 1 more than once."},
		{c.move("t", 0, []int32{1, 9}), "INVALID_REPLICA_ASSIGNMENT: The manual partition assignment includes broker 9, but no such broker is registered."},
		{c.move("t", 0, []int32{1, 2, 3}, noResize), "INVALID_REPLICATION_FACTOR: The replication factor is changed from 2 to 3"},
	} {
		if x.got != x.want {
			t.Errorf("%s, want %s", x.got, x.want)
		}
	}
	c.wantPlaces("t", 0, "replicas [1 2] adding [] removing [] isr [1 2] leader 1")
}

// Nobody was in sync while the move was asked for; the first one that comes back is all that it needs.
func TestAMoveEndsWithTheElectionOfAnEligibleReplica(t *testing.T) {
	c := newCluster(t)
	c.start(1, 2, 3)
	c.mustCreate("t 1,2,3")
	c.shrink("t", 0, 1, 2)
	c.beat(1, "fence")
	c.beat(2, "fence")
	if got := c.move("t", 0, []int32{1, 2}); got != "ok" {
		t.Fatal(got)
	}
	c.beat(2, "")
	c.wantPlaces("t", 0, "replicas [1 2] adding [] removing [] isr [2] leader 2")
}

// Whatever is asked, in whatever order: who leads is in sync, who is in sync is a replica, and a move that can end does.
func TestMovesKeepTheRules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCluster(t)
		c.start(1, 2, 3, 4, 5)
		c.mustCreate("t 1,2,3")
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			x := c.s.Image().Partition("t", 0)
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				ids := rapid.Permutation([]int32{1, 2, 3, 4, 5}).Draw(rt, "replicas")
				c.move("t", 0, ids[:rapid.IntRange(1, 5).Draw(rt, "factor")])
			case 1:
				c.move("t", 0, nil)
			case 2:
				if x.Leader >= 0 {
					isr := []int32{x.Leader}
					for _, id := range x.Replicas {
						if id != x.Leader && rapid.Bool().Draw(rt, "in sync") {
							isr = append(isr, id)
						}
					}
					c.shrink("t", 0, isr...)
				}
			case 3:
				c.beat(rapid.SampledFrom([]int32{1, 2, 3, 4, 5}).Draw(rt, "fenced"), "fence")
			case 4:
				c.beat(rapid.SampledFrom([]int32{1, 2, 3, 4, 5}).Draw(rt, "back"), "")
			}
			checkPartition(rt, c.s.Image(), c.s.Image().Partition("t", 0))
		}
	})
}

func checkPartition(t *rapid.T, img *meta.Image, p *meta.Partition) {
	in := func(s []int32, id int32) bool {
		for _, x := range s {
			if x == id {
				return true
			}
		}
		return false
	}
	if len(p.Replicas) == 0 || len(p.Directories) != len(p.Replicas) {
		t.Fatalf("%+v", p)
	}
	if p.Leader >= 0 && (!in(p.ISR, p.Leader) || !img.Broker(p.Leader).Active()) {
		t.Fatalf("the leader may not lead: %+v", p)
	}
	for _, id := range append(append([]int32{}, p.ISR...), p.ELR...) {
		if !in(p.Replicas, id) {
			t.Fatalf("%d is in sync and no replica: %+v", id, p)
		}
	}
	for _, id := range p.ELR {
		if in(p.ISR, id) {
			t.Fatalf("%d is in sync and eligible: %+v", id, p)
		}
	}
	if len(p.Adding)+len(p.Removing) == 0 || p.RecoveryState == meta.RecoveryStateRecovering {
		return // the replicas that are to go may hold what the leader of an unclean election lacks
	}
	for _, id := range p.Adding {
		if !in(p.ISR, id) {
			return
		}
	}
	rest := 0
	for _, id := range p.ISR {
		if !in(p.Removing, id) {
			rest++
		}
	}
	if rest > 0 {
		t.Fatalf("a move that could end goes on: %+v", p)
	}
}

// A broker of a large cluster goes: all its partitions get another leader at once.
func BenchmarkFailoverOf100000Partitions(b *testing.B) {
	c := newCluster(b)
	c.start(1, 2, 3)
	for i := range 100 {
		c.mustCreate(fmt.Sprintf("t%d 1000 3", i))
	}
	for b.Loop() {
		c.beat(1, "fence")
		c.beat(1, "")
	}
}
