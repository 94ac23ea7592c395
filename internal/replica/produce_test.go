package replica

import (
	"errors"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/storage"
)

func TestAppendsAreCommittedAtOnceWhereNobodyElseHoldsThem(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	for i, acks := range []int16{0, 1, -1} {
		a := r.produce(acks, never, to("t", "a", "b"))
		if a.waits() {
			t.Fatalf("acks %d waits", acks)
		}
		a.fails(nil)
		if got := a.parts[0].Info; got.FirstOffset != int64(2*i) || got.LastOffset != int64(2*i+1) {
			t.Fatalf("acks %d: %+v", acks, got)
		}
	}
	if hw := r.log("t").HighWatermark(); hw != 6 || r.marks[tp("t", 0)] != 6 {
		t.Fatalf("high watermark %d, told %d", hw, r.marks[tp("t", 0)])
	}
	if n := r.clock.Pending(); n != r.idleTimers() {
		t.Fatalf("%d timers are left", n)
	}
}

// idleTimers is how many timers storage keeps for itself.
func (r *rig) idleTimers() int { return 5 }

// With moldau.flush.acks nothing is acknowledged, or shown, before it is on the disk.
func TestFlushedAppendsWaitForTheDisk(t *testing.T) {
	r := newRig(t, flushed)
	r.create("t", 1, 1)
	g := r.gate()
	zero := r.produce(0, never, to("t", "0"))
	zero.fails(nil) // nobody waits for acks 0
	one, all := r.produce(1, never, to("t", "1")), r.produce(-1, never, to("t", "all"))
	if !one.waits() || !all.waits() {
		t.Fatal("acknowledged before the sync")
	}
	wantTexts(t, r.read(FetchSpec{}, from("t", 0)), "-")
	g.open(nil)
	one.fails(nil)
	all.fails(nil)
	wantTexts(t, r.read(FetchSpec{}, from("t", 0)), "0 1 all")
}

// Two partitions, one of which is on the disk already: the answer waits for the other.
func TestAProduceIsAnsweredWhenItsLastPartitionIsDecided(t *testing.T) {
	r := newRig(t, flushed)
	r.create("t", 1, 1)
	r.create("u", 2, 1)
	repeated := idempotent(7, 0, "once")
	r.produce(-1, never, Append{TP: tp("t", 0), Batches: clone(repeated)}).fails(nil)

	g := r.gate()
	both := r.produce(-1, never, Append{TP: tp("t", 0), Batches: clone(repeated)}, to("u", "new"))
	time.Sleep(5 * time.Millisecond) // an answer that comes too early would come now
	if !both.waits() {
		t.Fatal("answered before the second partition is on the disk")
	}
	g.open(nil)
	both.fails(nil)
	if info := both.parts[0].Info; !info.Duplicate || info.FirstOffset != 0 {
		t.Fatalf("the repeated batch: %+v", info)
	}
}

func TestASyncThatFailsIsTold(t *testing.T) {
	r := newRig(t, flushed)
	r.create("t", 1, 1)
	r.create("u", 2, 1)
	g := r.gate()
	one, all, reader := r.produce(1, never, to("t", "1")), r.produce(-1, never, to("t", "all")), r.poll(from("t", 0))
	g.open(errors.New("the disk is broken"))
	one.fails(storage.ErrStorage)
	all.fails(storage.ErrStorage)
	if err := reader.wait()[0].Err; !errors.Is(err, ErrOffline) {
		t.Fatalf("a fetch that waited: %v", err)
	}
	r.produce(1, never, to("t", "later")).fails(ErrOffline)
	if c := r.m.Counts(); c.Offline != 1 || c.Leaders != 1 {
		t.Fatalf("%+v", c)
	}
	r.setHook(nil)
	r.produce(-1, never, to("u", "another partition")).fails(nil)
}

func TestTooFewInSyncReplicasRefuseAcksAllAndFreezeTheWatermark(t *testing.T) {
	r := newRig(t)
	r.setMinISR(2)
	r.create("t", 1, 1, me, other)
	r.shrink(1, me)
	r.produce(-1, never, to("t", "refused")).fails(ErrNotEnoughReplicas)
	if end := r.log("t").LogEndOffset(); end != 0 {
		t.Fatalf("a refused append moved the log's end to %d", end)
	}
	r.produce(1, never, to("t", "leader only")).fails(nil)
	reader := r.poll(from("t", 0))
	reader.stillParked()
	if hw := r.log("t").HighWatermark(); hw != 0 {
		t.Fatalf("high watermark %d below min.insync.replicas", hw)
	}
	if c := r.m.Counts(); c.UnderMinISR != 1 || c.UnderReplicated != 1 {
		t.Fatalf("%+v", c)
	}
	r.setMinISR(1)
	r.reconfigure("t")
	wantTexts(t, reader.wait(), "leader only")
	r.produce(-1, never, to("t", "now")).fails(nil)
}

// A topic of one replica cannot have two in sync: it counts as one (KIP-966).
func TestMinInSyncIsNeverMoreThanThereAreReplicas(t *testing.T) {
	r := newRig(t)
	r.setMinISR(3)
	r.create("t", 1, 1)
	r.produce(-1, never, to("t", "x")).fails(nil)
	if c := r.m.Counts(); c.AtMinISR != 1 || c.UnderMinISR != 0 {
		t.Fatalf("%+v", c)
	}
}

// A replica that is in sync, and of which nothing is known, holds nothing for certain.
func TestNothingIsCommittedThatAnInSyncReplicaMayLack(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1, me, other)
	waiting := r.produce(-1, never, to("t", "x"))
	if hw := r.log("t").HighWatermark(); hw != 0 || !waiting.waits() {
		t.Fatalf("high watermark %d", hw)
	}
	r.shrink(1, me) // the controller has decided that the other one does not count
	waiting.fails(nil)
}

// Committed in one moment, too few replicas in the next: the records are there, and that is what is told.
func TestTooFewReplicasAfterTheAppend(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1, me, other)
	r.shrink(1, me)
	r.put("t", "x")
	r.setMinISR(2)
	r.reconfigure("t")
	p, err := r.m.Partition(tp("t", 0))
	if err != nil {
		t.Fatal(err)
	}
	if decided, err := p.parkAck(&ackWait{offset: 1, index: notWaiting}, 0); !decided || !errors.Is(err, ErrNotEnoughReplicasAfterAppend) {
		t.Fatalf("%v %v", decided, err)
	}
}

func TestAnAppendThatIsNotAcknowledgedInTime(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1, me, other)
	r.create("u", 2, 1)
	slow := r.produce(-1, time.Second, to("t", "x"), to("u", "y"))
	r.clock.Advance(time.Second - 1)
	if !slow.waits() {
		t.Fatal("answered before its time")
	}
	r.clock.Advance(1)
	parts := slow.wait()
	if !errors.Is(parts[0].Err, ErrRequestTimedOut) || parts[1].Err != nil {
		t.Fatalf("%v and %v", parts[0].Err, parts[1].Err)
	}
	r.shrink(1, me) // what is committed later finds nobody
	r.produce(-1, 0, to("t", "z")).fails(nil)
	late := r.produce(-1, 0, Append{TP: tp("nowhere", 0), Batches: batch("x")})
	late.fails(ErrUnknownTopicOrPartition)
}

func TestEachWayToLoseAPartitionEndsItsAppends(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*rig)
		want error
	}{
		{"another leader", func(r *rig) { r.lead(1, other) }, ErrNotLeader},
		{"a new term of the same leader", func(r *rig) { r.lead(1, me) }, ErrNotLeader},
		{"no leader", func(r *rig) { r.lead(1, meta.NoLeader) }, ErrNotLeader},
		{"deletion", func(r *rig) { r.apply(&meta.RemoveTopicRecord{TopicID: meta.UUID{1}}) }, ErrUnknownTopicOrPartition},
		{"the replica moves away", func(r *rig) {
			r.change(1, func(c *meta.PartitionChangeRecord) {
				c.Replicas, c.ISR, c.Leader = []int32{other}, []int32{other}, other
			})
		}, ErrUnknownTopicOrPartition},
		{"shutdown", func(r *rig) { r.m.Stop() }, ErrNotLeader},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.create("t", 1, 1, me, other)
			waiting := r.produce(-1, never, to("t", "x"))
			c.do(r)
			waiting.fails(c.want)
			if n := r.clock.Pending(); n > r.idleTimers()+1 { // and that of the deletion
				t.Fatalf("%d timers are left", n)
			}
		})
	}
}

func TestWhoMayNotAppend(t *testing.T) {
	r := newRig(t)
	r.create("led", 1, 1)
	r.create("followed", 2, 1, other, me)
	r.create("elsewhere", 3, 1, other)
	told := Append{TP: tp("led", 0), Err: errors.New("refused before")}
	parts := r.produce(-1, never, to("followed", "x"), to("elsewhere", "x"), to("nowhere", "x"), told,
		Append{TP: tp("led", 1), Batches: batch("x")}, to("led", "x")).wait()
	for i, want := range []error{ErrNotLeader, ErrNotLeader, ErrUnknownTopicOrPartition, told.Err, ErrUnknownTopicOrPartition, nil} {
		if !errors.Is(parts[i].Err, want) {
			t.Errorf("%s: %v, want %v", parts[i].TP, parts[i].Err, want)
		}
	}
	r.m.Stop()
	r.produce(1, never, to("led", "x")).fails(ErrShuttingDown)
}

// flush.messages lets an append wait for the disk with the role held; a change of role that
// comes meanwhile must not keep the disk from telling that it is done.
func TestAFlushDuringAChangeOfRoleIsNoDeadlock(t *testing.T) {
	r := newRig(t, flushed)
	r.create("t", 1, 1)
	g := r.gate()
	first := r.produce(-1, never, to("t", "first"))
	cfg := storage.DefaultLogConfig()
	cfg.FlushMessages = 1
	r.log("t").SetConfig(cfg)
	second := make(chan *produced, 1)
	go func() { second <- r.produce(-1, never, to("t", "second")) }()
	for r.log("t").LogEndOffset() < 2 { // it is in the log and waits for the disk
		time.Sleep(time.Millisecond)
	}
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		r.lead(1, me)
	}()
	time.Sleep(5 * time.Millisecond) // the change of role is waiting now
	g.open(nil)
	first.wait()
	(<-second).wait()
	await(t, changed, "the role does not change")
}

func TestCoordinatorsWriteInTheirOwnTermOnly(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	end, err := r.m.AppendAsCoordinator(tp("t", 0), 0, batch("a", "b"))
	if err != nil || end != 2 {
		t.Fatal(end, err)
	}
	r.lead(1, me)
	for _, epoch := range []int32{0, 2} {
		if end, err := r.m.AppendAsCoordinator(tp("t", 0), epoch, batch("c")); !errors.Is(err, ErrNotLeader) || end != -1 {
			t.Fatalf("epoch %d: %d %v", epoch, end, err)
		}
	}
	if got := r.log("t").LogEndOffset(); got != 2 {
		t.Fatalf("log end %d", got)
	}
	var read []byte
	end, hw, err := r.m.ReadAll(tp("t", 0), func(b []byte) error {
		read = append(read, b...)
		return nil
	})
	if err != nil || end != 2 || hw != 2 || len(read) == 0 {
		t.Fatal(end, hw, err, len(read))
	}
	stop := errors.New("enough")
	if _, _, err := r.m.ReadAll(tp("t", 0), func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
}
