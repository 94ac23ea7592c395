package replica

import (
	"errors"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kafka's semantics of replication, one by one, on a cluster without accidents.

func three(t *testing.T, change ...func(*cluster)) *cluster {
	t.Helper()
	c := newCluster(t, 1, 3, func(c *cluster) {
		for _, f := range change {
			f(c)
		}
	})
	c.create(1, 2, 3)
	t.Cleanup(func() {
		if c.broken != "" {
			t.Error(c.broken)
		}
	})
	return c
}

func (c *cluster) part(id int32) *Partition {
	c.t.Helper()
	p, err := c.node(id).m.Partition(tp(simName, 0))
	must(c.t, err)
	return p
}

// isolate cuts a node off from the other brokers, but not from the controller.
func (c *cluster) isolate(id int32) {
	for _, n := range c.nodes {
		if n.id != id {
			c.cut[[2]int32{id, n.id}], c.cut[[2]int32{n.id, id}] = true, true
		}
	}
}

func (c *cluster) wantISR(id int32, want ...int32) {
	c.t.Helper()
	got := c.state(id).ISR
	if len(got) != len(want) {
		c.t.Fatalf("node %d: ISR %v, want %v", id, got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			c.t.Fatalf("node %d: ISR %v, want %v", id, got, want)
		}
	}
}

func TestTheWatermarkWaitsForAllInSync(t *testing.T) {
	c := three(t)
	c.isolate(3)
	a := c.produce(1, 0)
	c.run(500 * time.Millisecond)
	if s := c.state(1); s.HW != 0 || s.LogEndOffset != 1 || c.nAcked != 0 {
		t.Fatalf("acknowledged without replica 3: %+v", s)
	}
	c.run(3 * time.Second) // replica 3 falls out of sync; the produce, which waited for 2 s, was told so
	if s := c.state(1); s.HW != 1 || len(s.ISR) != 2 {
		t.Fatalf("%+v", s)
	}
	if !errors.Is(a.Err, ErrRequestTimedOut) {
		t.Fatal(a.Err)
	}
	clear(c.cut)
	c.settle()
	c.wantISR(1, 1, 2, 3)
	if got := c.node(1).m.Replication(); got.IsrShrinks != 1 || got.IsrExpands != 1 {
		t.Fatalf("%+v", got)
	}
}

// KIP-966: under min.insync.replicas the watermark stands still, for acks=1 too, and acks=all is refused before the append.
func TestTheWatermarkStandsStillUnderMinISR(t *testing.T) {
	c := three(t)
	c.lose(c.node(2), c.node(2).kill)
	c.lose(c.node(3), c.node(3).kill)
	c.run(5 * time.Second)
	c.wantISR(1, 1)
	parts := []Append{{TP: tp(simName, 0), Batches: batch("a")}}
	c.node(1).m.Produce(parts, -1, time.Second, func() {})
	if !errors.Is(parts[0].Err, ErrNotEnoughReplicas) || c.state(1).LogEndOffset != 0 {
		t.Fatal(parts[0].Err)
	}
	parts = []Append{{TP: tp(simName, 0), Batches: batch("a")}}
	c.node(1).m.Produce(parts, 1, time.Second, func() {})
	c.run(time.Second)
	if s := c.state(1); parts[0].Err != nil || s.LogEndOffset != 1 || s.HW != 0 {
		t.Fatalf("%v %+v", parts[0].Err, s)
	}
	c.settle()
	if s := c.state(1); s.HW != 1 {
		t.Fatalf("%+v", s)
	}
}

// KIP-497: until the controller has agreed, records are not committed without who is to leave.
func TestAnUncommittedShrinkCommitsNothing(t *testing.T) {
	c := three(t)
	c.isolate(3)
	for _, to := range []int32{0} {
		c.cut[[2]int32{1, to}] = true // the leader cannot reach the controller
	}
	c.produce(1, 0)
	c.run(5 * time.Second)
	p := c.part(1)
	if p.pending == nil || p.pending.kind != isrShrink || c.state(1).HW != 0 {
		t.Fatalf("pending %+v, %+v", p.pending, c.state(1))
	}
	clear(c.cut)
	c.settle()
}

// Who is about to join holds the watermark back already, though the controller has not agreed.
func TestAnUncommittedExpandCounts(t *testing.T) {
	c := three(t)
	c.isolate(3)
	c.produce(1, 0)
	c.run(4 * time.Second)
	c.wantISR(1, 1, 2)
	clear(c.cut)
	c.cut[[2]int32{1, 0}] = true
	c.run(2 * time.Second)
	p := c.part(1)
	if p.pending == nil || p.pending.kind != isrExpand || len(p.maximalISR()) != 3 || len(p.isr) != 2 {
		t.Fatalf("%+v %v", p.pending, p.isr)
	}
	c.cut[[2]int32{1, 3}], c.cut[[2]int32{3, 1}] = true, true
	c.produce(1, 0)
	c.run(time.Second)
	if s := c.state(1); s.HW != 1 || s.LogEndOffset != 2 {
		t.Fatalf("committed without replica 3, which may be in sync: %+v", s)
	}
	clear(c.cut)
	c.settle()
}

// A refusal for good leaves the change pending until the metadata says what has happened.
func TestAFencedLeaderWaitsForTheMetadata(t *testing.T) {
	c := three(t)
	c.cut[[2]int32{0, 1}] = true
	c.isolate(3)
	c.produce(1, 0)
	c.run(time.Second)
	c.ctl.move(0, 2) // node 1 does not hear of it
	c.run(5 * time.Second)
	p := c.part(1)
	if p.role != Leader || p.pending == nil {
		t.Fatalf("role %d, pending %+v", p.role, p.pending)
	}
	clear(c.cut)
	c.settle()
	if s := c.state(1); s.Role != Follower || s.LeaderID != 2 {
		t.Fatalf("%+v", s)
	}
}

// A follower that died with records that nobody else got is cut back to the leader's log, not to its watermark.
func TestAFollowerTruncatesByEpoch(t *testing.T) {
	c := three(t)
	c.produce(1, 0)
	c.run(50 * time.Millisecond)
	c.isolate(1)
	c.produce(1, 0) // only node 1 has it
	c.run(10 * time.Millisecond)
	c.ctl.fence(1)
	c.run(50 * time.Millisecond)
	leader := c.ctl.img.Partition(simName, 0).Leader
	c.produce(leader, 0)
	c.produce(leader, 0)
	c.run(50 * time.Millisecond)
	clear(c.cut)
	c.settle()
	if s := c.state(1); s.LogEndOffset != 3 || s.HW != 3 {
		t.Fatalf("%+v", s)
	}
	for id := int32(1); id <= 3; id++ {
		if end := c.part(id).log.EndOffsetForEpoch(0); end != (storage.EpochEndOffset{Epoch: 0, EndOffset: 1}) {
			t.Fatalf("node %d: epoch 0 ends at %+v", id, end)
		}
	}
}

// Whoever looks for a transaction that hangs asks each replica: a follower tells what it remembers itself.
func TestAFollowerTellsItsProducers(t *testing.T) {
	c := three(t)
	c.produce(1, 0)
	c.run(50 * time.Millisecond)
	for id := int32(1); id <= 3; id++ {
		if _, err := c.node(id).m.ActiveProducers(tp(simName, 0)); err != nil {
			t.Errorf("node %d: %v", id, err)
		}
		if _, err := c.node(id).m.ActiveProducers(tp("nosuch", 0)); err != ErrUnknownTopicOrPartition {
			t.Errorf("node %d, a topic that does not exist: %v", id, err)
		}
	}
}

// A leader that was deposed before it had written anything knows an epoch that no other will ever know.
func TestAnEpochWithoutRecordsIsForgotten(t *testing.T) {
	c := three(t)
	c.produce(1, 0)
	c.run(50 * time.Millisecond)
	c.isolate(2)
	c.ctl.move(0, 2)
	c.run(20 * time.Millisecond)
	c.ctl.fence(2)
	c.run(20 * time.Millisecond)
	clear(c.cut)
	c.produce(c.ctl.img.Partition(simName, 0).Leader, 0)
	c.settle()
	if e, _ := c.part(2).log.LatestEpoch(); e != 2 {
		t.Fatalf("node 2's last epoch is %d", e)
	}
}

// A new leader does not tell "latest" before it knows that its predecessor's records are committed (KIP-207).
func TestANewLeaderServesLatestOnlyWhenItKnows(t *testing.T) {
	c := three(t)
	for range 3 {
		c.produce(1, 0)
	}
	c.run(8 * time.Millisecond) // committed, and not told to the followers yet
	if c.state(1).HW != 3 || c.state(2).HW == 3 {
		t.Fatalf("%+v %+v", c.state(1), c.state(2))
	}
	c.isolate(2)
	c.ctl.move(0, 2)
	c.run(20 * time.Millisecond)
	m := c.node(2).m
	if _, err := m.ListOffset(tp(simName, 0), LatestTimestamp, ReadUncommitted, -1); !errors.Is(err, ErrOffsetNotAvailable) {
		t.Fatal(err)
	}
	clear(c.cut)
	c.run(time.Second)
	if o, err := m.ListOffset(tp(simName, 0), LatestTimestamp, ReadUncommitted, -1); err != nil || o.Offset != 3 {
		t.Fatal(o, err)
	}
}

// KIP-903: a fetch from before a restart, or by a broker that the metadata does not know so, brings nobody in sync.
func TestAFetchFromBeforeARestartCountsForNothing(t *testing.T) {
	c := three(t)
	n := c.node(1)
	fetch := func(epoch int64, offset int64) error {
		parts := []FetchPart{{TP: tp(simName, 0), Offset: offset, MaxBytes: 1, LeaderEpoch: 0, LastFetchedEpoch: -1}}
		n.m.Fetch(FetchSpec{Isolation: ReadLogEnd, FromReplica: true, Replica: 2, ReplicaEpoch: epoch, MaxBytes: 1}, parts, func() {})
		return parts[0].Err
	}
	now := c.node(2).epoch
	if err := fetch(now-1, 0); !errors.Is(err, ErrNotLeader) {
		t.Fatal(err)
	}
	if err := fetch(now, 0); err != nil {
		t.Fatal(err)
	}
	parts := []FetchPart{{TP: tp(simName, 0), LeaderEpoch: 0, LastFetchedEpoch: -1}}
	n.m.Fetch(FetchSpec{Isolation: ReadLogEnd, FromReplica: true, Replica: 9, ReplicaEpoch: 1}, parts, func() {})
	if !errors.Is(parts[0].Err, ErrUnknownLeaderEpoch) { // it may have heard of an assignment that we have not
		t.Fatal(parts[0].Err)
	}
}

func TestEpochsOfFetchesAreFenced(t *testing.T) {
	c := three(t)
	c.ctl.move(0, 2)
	c.run(50 * time.Millisecond)
	for _, x := range []struct {
		epoch int32
		want  error
	}{{0, ErrFencedLeaderEpoch}, {1, nil}, {2, ErrUnknownLeaderEpoch}, {-1, nil}} {
		parts := []FetchPart{{TP: tp(simName, 0), MaxBytes: 1, LeaderEpoch: x.epoch, LastFetchedEpoch: -1}}
		c.node(2).m.Fetch(FetchSpec{Isolation: ReadLogEnd, FromReplica: true, Replica: 1, ReplicaEpoch: c.node(1).epoch}, parts, func() {})
		if !errors.Is(parts[0].Err, x.want) {
			t.Errorf("epoch %d: %v, want %v", x.epoch, parts[0].Err, x.want)
		}
	}
}

// A follower whose next records the leader has deleted begins anew where the leader's log begins.
func TestAFollowerFarBehindBeginsAnew(t *testing.T) {
	c := three(t)
	c.produce(1, 0)
	c.run(100 * time.Millisecond)
	c.lose(c.node(3), c.node(3).kill)
	c.run(3 * time.Second)
	for range 5 {
		c.produce(1, 0)
		c.run(20 * time.Millisecond)
	}
	if _, err := deleteOne(c.node(1).m, tp(simName, 0), 4); err != nil {
		t.Fatal(err)
	}
	c.node(3).start(false)
	c.run(3 * time.Second)
	c.settle()
	if s := c.state(3); s.LogStartOffset != 4 || s.LogEndOffset != 6 || s.HW != 6 {
		t.Fatalf("%+v", s)
	}
	if s := c.state(2); s.LogStartOffset != 4 {
		t.Fatalf("the log start does not reach followers: %+v", s)
	}
}

// The leader's log begins within a batch: a follower that begins anew takes the whole batch, and joins.
func TestAFollowerBeginsAnewWithinABatch(t *testing.T) {
	c := three(t)
	c.lose(c.node(3), c.node(3).kill)
	c.run(3 * time.Second)
	values := []string{"a", "b", "c", "d"}
	parts := []Append{{TP: tp(simName, 0), Batches: batch(values...)}}
	c.node(1).m.Produce(parts, -1, 2*time.Second, func() {
		for i, v := range values {
			c.ack(c.node(1), 0, parts[0].Info.FirstOffset+int64(i), v)
		}
	})
	c.produced += len(values)
	c.run(100 * time.Millisecond)
	c.produce(1, 0)
	c.run(100 * time.Millisecond)
	if _, err := deleteOne(c.node(1).m, tp(simName, 0), 2); err != nil {
		t.Fatal(err)
	}
	c.node(3).start(false)
	c.settle()
	if s := c.state(3); s.LogStartOffset != 2 || s.LogEndOffset != 5 || s.HW != 5 {
		t.Fatalf("%+v", s)
	}
	c.wantISR(1, 1, 2, 3)
}

// A deletion of records is done when every living replica has made it.
func TestDeleteRecordsWaitsForFollowers(t *testing.T) {
	c := three(t)
	for range 3 {
		c.produce(1, 0)
	}
	c.run(time.Second)
	c.isolate(3)
	d, err := deleteOne(c.node(1).m, tp(simName, 0), 2)
	must(t, err)
	c.run(300 * time.Millisecond)
	low, wait, err := d.look()
	if err != nil || wait == nil || low != 0 {
		t.Fatalf("low watermark %d, %v", low, err)
	}
	c.ctl.fence(3) // the dead are not waited for
	c.run(100 * time.Millisecond)
	select {
	case <-wait.over:
	default:
		t.Fatal("nobody woke the waiting deletion")
	}
	if low, wait, err = d.look(); low != 2 || wait != nil || err != nil {
		t.Fatalf("low watermark %d, %v", low, err)
	}
	clear(c.cut)
	c.settle()
}

// KIP-392: a consumer is sent to a replica of its rack, which serves what it knows to be committed.
func TestAConsumerReadsFromAFollowerOfItsRack(t *testing.T) {
	c := three(t)
	c.produce(1, 0)
	c.run(time.Second)
	fetch := func(id int32, rack string, offset int64) FetchPart {
		parts := []FetchPart{{TP: tp(simName, 0), Offset: offset, MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1}}
		c.node(id).m.Fetch(FetchSpec{FromFollower: true, Rack: rack, MaxBytes: 1 << 20, MinBytes: 1}, parts, func() {})
		if s := parts[0].Slice; s != nil {
			t.Cleanup(s.Release)
		}
		return parts[0]
	}
	for rack, want := range map[string]int32{"a": -1, "b": 2, "c": 3, "elsewhere": -1, "": -1} {
		f := fetch(1, rack, 0)
		if f.ReadElsewhere() != want || (f.Slice == nil) != (want >= 0) {
			t.Errorf("rack %q: sent to %d", rack, f.ReadElsewhere())
		}
	}
	if f := fetch(2, "b", 0); f.Err != nil || f.Slice == nil || f.HighWatermark != 1 || f.ReadElsewhere() != -1 {
		t.Fatalf("%+v", f)
	}
	if f := fetch(2, "b", 2); !errors.Is(f.Err, storage.ErrOffsetOutOfRange) {
		t.Fatal(f.Err)
	}
	old := []FetchPart{{TP: tp(simName, 0), MaxBytes: 1, LeaderEpoch: -1, LastFetchedEpoch: -1}}
	c.node(2).m.Fetch(FetchSpec{}, old, func() {}) // a client from before KIP-392
	if !errors.Is(old[0].Err, ErrNotLeader) {
		t.Fatal(old[0].Err)
	}
	// What lies between the follower's watermark and its end is not shown, and is no error.
	c.isolate(3)
	c.produce(1, 0)
	c.run(50 * time.Millisecond)
	if s := c.state(2); s.HW != 1 || s.LogEndOffset != 2 {
		t.Fatalf("%+v", s)
	}
	if f := fetch(2, "b", 1); f.Err != nil || f.Slice != nil {
		t.Fatalf("%+v", f)
	}
	clear(c.cut)
	c.settle()
}

// A leader that an unclean election has made tells the controller when it has taken over.
func TestAnUncleanLeaderRecovers(t *testing.T) {
	c := three(t)
	change := meta.NewPartitionChange(simTopic, 0)
	change.Leader, change.ISR, change.LeaderRecoveryState = 2, []int32{2}, meta.RecoveryStateRecovering
	c.ctl.apply(change)
	c.run(20 * time.Millisecond)
	if got := c.ctl.img.Partition(simName, 0).RecoveryState; got != meta.RecoveryStateRecovered {
		t.Fatalf("recovery state %d", got)
	}
	c.settle()
}

// Another incarnation of a topic shares nothing with the first but the name.
func TestARecreatedTopicIsCopiedAfresh(t *testing.T) {
	c := three(t)
	for range 3 {
		c.produce(1, 0)
	}
	c.run(200 * time.Millisecond)
	again := [16]byte{8}
	c.ctl.apply(&meta.RemoveTopicRecord{TopicID: simTopic}, &meta.TopicRecord{Name: simName, TopicID: again},
		&meta.PartitionRecord{TopicID: again, Replicas: []int32{2, 3, 1}, ISR: []int32{2, 3, 1}, Leader: 2})
	c.run(200 * time.Millisecond)
	clear(c.committed)
	clear(c.acked)
	c.produce(2, 0)
	c.run(500 * time.Millisecond)
	for id := int32(1); id <= 3; id++ {
		if s := c.state(id); s.LogEndOffset != 1 || s.HW != 1 || len(s.ISR) != 3 {
			t.Fatalf("node %d: %+v", id, s)
		}
	}
}

// A reassignment: a broker joins as a replica, copies, is in sync, and another leaves and deletes its log.
func TestReplicasComeAndGo(t *testing.T) {
	c := newCluster(t, 1, 4, nil)
	c.create(1, 2, 3)
	for range 5 {
		c.produce(1, 0)
	}
	c.run(200 * time.Millisecond)
	change := meta.NewPartitionChange(simTopic, 0)
	change.Replicas, change.AddingReplicas, change.RemovingReplicas = []int32{1, 2, 3, 4}, []int32{4}, []int32{3}
	c.ctl.apply(change)
	c.run(2 * time.Second)
	c.wantISR(1, 1, 2, 3, 4)
	change = meta.NewPartitionChange(simTopic, 0)
	change.Replicas, change.ISR, change.AddingReplicas, change.RemovingReplicas = []int32{1, 2, 4}, []int32{1, 2, 4}, []int32{}, []int32{}
	c.ctl.apply(change)
	c.run(time.Second)
	if _, err := c.node(3).m.Partition(tp(simName, 0)); !errors.Is(err, ErrNotLeader) || c.node(3).logs.Log(tp(simName, 0)) != nil {
		t.Fatalf("the replica that has moved away is still there: %v", err)
	}
	c.produce(1, 0)
	c.run(time.Second)
	if s := c.state(4); s.HW != 6 || c.broken != "" {
		t.Fatalf("%+v %s", s, c.broken)
	}
}

// A throttled follower that is out of sync gets no more than the bound; one in sync is never held back.
func TestThrottledReplicas(t *testing.T) {
	for _, side := range []string{"leader", "follower"} {
		t.Run(side, func(t *testing.T) {
			bound := Throttle{BytesPerSecond: 100, Windows: 11, Window: time.Second}
			c := three(t, func(c *cluster) {
				if side == "leader" {
					c.settings.LeaderThrottle = bound
				} else {
					c.settings.FollowerThrottle = bound
				}
				c.settings.FetchMaxBytes = 100 // a batch at a time
			})
			c.lose(c.node(3), c.node(3).kill)
			c.run(3 * time.Second)
			for range 100 {
				c.produce(1, 0)
				c.run(10 * time.Millisecond)
			}
			c.throttle = ThrottledReplicas{All: true}
			for _, n := range c.nodes {
				if n.up {
					p := c.part(n.id)
					p.configure(c.topicConfig())
				}
			}
			c.node(3).start(false)
			c.run(10 * time.Second)
			if got := c.state(3).LogEndOffset; got == 0 || got > 60 {
				t.Fatalf("copied %d records of 68 bytes in 10 s at 100 bytes a second", got)
			}
			c.run(90 * time.Second)
			if got := c.state(3).LogEndOffset; got != 100 {
				t.Fatalf("copied %d records", got)
			}
			c.settle()
		})
	}
}

// Where acknowledgements rest on the disk, a follower tells only what it has synced.
func TestAFollowerClaimsOnlyWhatItHasSynced(t *testing.T) {
	c := three(t, func(c *cluster) { c.flush = true })
	c.slow[3] = 300 * time.Millisecond // its disk too
	c.produce(1, 0)
	for range 400 {
		c.run(5 * time.Millisecond)
		f := c.part(1).followerOf(3)
		if log := c.part(3).log; f.end > log.FlushedOffset() {
			t.Fatalf("it claims %d and has synced %d", f.end, log.FlushedOffset())
		}
	}
	if c.nAcked != 1 {
		t.Fatal("never acknowledged")
	}
}

// Requests name only what has changed: an idle cluster asks for nothing by name.
func TestFetchSessionsNameOnlyChanges(t *testing.T) {
	c := three(t, func(c *cluster) { c.partitions = 20 })
	var named []int
	c.seen = func(r *kmsg.FetchRequest) {
		n := 0
		for _, t := range r.Topics {
			n += len(t.Partitions)
		}
		named = append(named, n)
	}
	c.run(2 * time.Second)
	for _, n := range named {
		if n != 0 {
			t.Fatalf("an idle follower names partitions: %v", named)
		}
	}
	named = nil
	c.produce(c.ctl.img.Partition(simName, 4).Leader, 4)
	c.run(time.Second)
	most := 0
	for _, n := range named {
		most = max(most, n)
	}
	if most != 1 || c.nAcked != 1 {
		t.Fatalf("one record: requests name %v", named)
	}
}

// Who begins to follow while a long poll is under way does not wait for its end.
func TestANewcomerDoesNotWaitForALongPoll(t *testing.T) {
	c := three(t, func(c *cluster) { c.settings.FetchWaitMax = time.Hour })
	c.run(50 * time.Millisecond)
	c.ctl.apply(&meta.PartitionRecord{PartitionID: 1, TopicID: simTopic, Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2, 3}, Leader: 1})
	c.partitions = 2
	c.run(30 * time.Millisecond)
	c.produce(1, 1)
	c.run(30 * time.Millisecond)
	if c.nAcked != 1 {
		t.Fatal("not acknowledged")
	}
}
