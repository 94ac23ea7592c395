package replica

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
)

func clone(b record.Batch) record.Batch { return append(record.Batch(nil), b...) }

func idempotent(producer int64, sequence int32, values ...string) record.Batch {
	return batchOf(record.BuilderOptions{HasProducer: true, ProducerID: producer, BaseSequence: sequence}, values...)
}

func inTxn(producer int64, sequence int32, values ...string) record.Batch {
	return batchOf(record.BuilderOptions{HasProducer: true, ProducerID: producer, BaseSequence: sequence, Transactional: true}, values...)
}

func batchOf(o record.BuilderOptions, values ...string) record.Batch {
	b := record.NewBuilder(o)
	for _, v := range values {
		b.Append(1_700_000_000_000, nil, []byte(v), nil)
	}
	return b.Build()
}

func TestAFetchIsAnsweredAtOnceWhenThereIsEnough(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	r.put("t", "a")
	f := r.poll(from("t", 0))
	if f.parked != nil || f.waits() {
		t.Fatal("it waits")
	}
	wantTexts(t, f.wait(), "a")
	if p := f.parts[0]; p.HighWatermark != 1 || p.LastStableOffset != 1 || p.LogStartOffset != 0 {
		t.Fatalf("%+v", p)
	}
	for _, f := range []*fetched{
		r.fetch(FetchSpec{MaxWait: never, MinBytes: 0}, from("t", 1)),
		r.fetch(FetchSpec{MaxWait: 0, MinBytes: 1}, from("t", 1)),
		r.fetch(FetchSpec{MaxWait: never, MinBytes: 1}),
	} {
		if f.parked != nil || f.waits() {
			t.Fatal("it waits")
		}
	}
}

func TestWhatEndsAParkedFetch(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*rig)
		want string
	}{
		{"bytes", func(r *rig) { r.put("t", "new") }, "new | -"},
		{"time", func(r *rig) { r.clock.Advance(never) }, "- | -"},
		{"loss of leadership", func(r *rig) { r.lead(1, other) }, ErrFencedLeaderEpoch.Error() + " | -"},
		{"a new term", func(r *rig) { r.lead(1, me) }, ErrFencedLeaderEpoch.Error() + " | -"},
		{"deletion of the topic", func(r *rig) { r.apply(&meta.RemoveTopicRecord{TopicID: meta.UUID{1}}) }, ErrUnknownTopicOrPartition.Error() + " | -"},
		{"shutdown", func(r *rig) { r.m.Stop() }, ErrShuttingDown.Error()}, // of the other partition soon,
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.create("t", 1, 1, me)
			r.create("quiet", 2, 1, me)
			part := from("t", 0)
			part.LeaderEpoch = 0
			f := r.poll(part, from("quiet", 0))
			f.stillParked()
			c.do(r)
			if got := texts(t, f.wait()); !strings.HasPrefix(got, c.want) {
				t.Fatalf("read %q, want %q", got, c.want)
			}
			if f.parked.Cancel() {
				t.Fatal("an answered fetch can be cancelled")
			}
		})
	}
}

func TestACancelledFetchIsNotAnswered(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	f := r.poll(from("t", 0))
	if !f.parked.Cancel() || f.parked.Cancel() {
		t.Fatal("Cancel must be true once")
	}
	if n := r.clock.Pending(); n != r.idleTimers() {
		t.Fatalf("%d timers are left", n)
	}
	r.put("t", "x")
	r.clock.Advance(never)
	f.stillParked()
}

// fetch.min.bytes counts over all partitions, and only what may be read.
func TestMinBytesOverSeveralPartitions(t *testing.T) {
	r := newRig(t)
	r.create("a", 1, 1)
	r.create("b", 2, 1)
	one := int64(len(batch("x")))
	f := r.fetch(FetchSpec{MaxWait: never, MinBytes: 3 * one}, from("a", 0), from("b", 0))
	r.put("a", "1")
	f.stillParked()
	r.put("b", "2")
	f.stillParked()
	r.put("a", "3")
	wantTexts(t, f.wait(), "1 3 | 2")

	// What was read before the wait counts too, and is shown again.
	f = r.fetch(FetchSpec{MaxWait: never, MinBytes: 4 * one}, from("a", 0), from("b", 0))
	f.stillParked()
	r.put("b", "4")
	wantTexts(t, f.wait(), "1 3 | 2 4")
	f = r.fetch(FetchSpec{MaxWait: time.Second, MinBytes: 1 << 20}, from("a", 1), from("b", 0))
	r.clock.Advance(time.Second)
	wantTexts(t, f.wait(), "3 | 2 4")
}

// Bytes that are not on the disk yet must neither end the wait nor be forgotten when they are.
func TestMinBytesCountWhatIsCommittedNotWhatIsAppended(t *testing.T) {
	r := newRig(t, flushed)
	r.create("t", 1, 1)
	one := int64(len(batch("x")))
	g := r.gate()
	f := r.fetch(FetchSpec{MaxWait: never, MinBytes: 3 * one}, from("t", 0))
	first := []*produced{r.produce(-1, never, to("t", "1")), r.produce(-1, never, to("t", "2"))}
	f.stillParked()
	g.open(nil)
	first[0].fails(nil)
	first[1].fails(nil)
	f.stillParked()
	g.shut()
	last := r.produce(-1, never, to("t", "3"))
	f.stillParked()
	g.open(nil)
	last.fails(nil)
	wantTexts(t, f.wait(), "1 2 3")
}

// More appends than are counted one by one pile up below a watermark that stands still; when it moves, in
// steps, a fetch is answered as soon as there is enough.
func TestABacklogThatIsCountedTogether(t *testing.T) {
	var b backlog
	for i := range int64(maxBacklog + 50) {
		b.add(i+1, 10)
	}
	if bytes, exact := b.take(100); bytes != 1000 || exact {
		t.Fatal(bytes, exact)
	}
	if bytes, exact := b.take(maxBacklog + 20); bytes != 1550 || exact {
		t.Fatal(bytes, exact)
	}
	b.add(maxBacklog+51, 10)
	if bytes, exact := b.take(maxBacklog + 50); bytes != 510 || !exact {
		t.Fatal(bytes, exact)
	}
	if bytes, exact := b.take(maxBacklog + 51); bytes != 10 || !exact || len(b) != 0 {
		t.Fatal(bytes, exact, len(b))
	}
}

// KIP-74: the first partition with data gives a batch however large it is; after it, limits are hard.
func TestLimitsAreSoftForTheFirstPartitionOnly(t *testing.T) {
	r := newRig(t)
	r.create("empty", 1, 1)
	r.create("a", 2, 1)
	r.create("b", 3, 1)
	large := strings.Repeat("x", 1000)
	r.put("a", large)
	r.put("a", "a2")
	r.put("b", "b1")
	r.put("b", "b2")
	one := int64(len(batch("b1")))
	read := func(spec FetchSpec, limit int64, topics ...string) string {
		t.Helper()
		var parts []FetchPart
		for _, name := range topics {
			p := from(name, 0)
			p.MaxBytes = limit
			parts = append(parts, p)
		}
		return strings.ReplaceAll(texts(t, r.read(spec, parts...)), large, "LARGE")
	}
	for _, c := range []struct {
		total, each int64
		topics      []string
		want        string
	}{
		{1 << 20, 1 << 20, []string{"empty", "a", "b"}, "- | LARGE a2 | b1 b2"},
		{10, 1 << 20, []string{"empty", "a", "b"}, "- | LARGE | -"},
		{1 << 20, 10, []string{"empty", "a", "b"}, "- | LARGE | -"},
		{1 << 20, one, []string{"b", "a"}, "b1 | -"},
		{0, 0, []string{"b", "a"}, "b1 | -"},
		{-5, -5, []string{"b", "a"}, "b1 | -"},
		{2*one - 1, 1 << 20, []string{"b", "a"}, "b1 | -"},
		{3 * one, 1 << 20, []string{"b", "b"}, "b1 b2 | b1"},
	} {
		if got := read(FetchSpec{MaxBytes: c.total}, c.each, c.topics...); got != c.want {
			t.Errorf("max %d, a partition %d, %v: %q, want %q", c.total, c.each, c.topics, got, c.want)
		}
	}
}

// A reader whose limits hold back what is there has enough: waiting would bring it no more.
func TestLimitsBelowMinBytesDoNotKeepAFetchWaiting(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	one := int64(len(batch("x")))
	r.put("t", "1")
	r.put("t", "2")
	part := from("t", 0)
	part.MaxBytes = 2*one - 1
	f := r.fetch(FetchSpec{MaxWait: never, MinBytes: 2*one - 1, MaxBytes: 2*one - 1}, part)
	if f.waits() {
		t.Fatal("it waits for bytes that it would not take")
	}
	wantTexts(t, f.wait(), "1")
}

func TestReadCommittedEndsAtTheLastStableOffset(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	r.put("t", "before")
	r.produce(1, never, Append{TP: tp("t", 0), Batches: inTxn(5, 0, "open")}).fails(nil)
	r.put("t", "after")
	wantTexts(t, r.read(FetchSpec{}, from("t", 0)), "before open after")
	committed := FetchSpec{Isolation: ReadCommitted}
	parts := r.read(committed, from("t", 0))
	wantTexts(t, parts, "before")
	if p := parts[0]; p.LastStableOffset != 1 || p.HighWatermark != 3 || len(p.Aborted) != 0 {
		t.Fatalf("%+v", p)
	}
	f := r.fetch(FetchSpec{MaxWait: never, MinBytes: 1, Isolation: ReadCommitted}, from("t", 1))
	r.put("t", "still open")
	f.stillParked()
	marker := record.EndTxnBatch(5, 0, 1_700_000_000_000, record.EndTxnMarker{})
	if _, err := r.m.AppendAsCoordinator(tp("t", 0), 0, marker); err != nil {
		t.Fatal(err)
	}
	p := f.wait()[0]
	if p.Slice == nil || len(p.Aborted) != 1 || p.Aborted[0].ProducerID != 5 || p.Aborted[0].FirstOffset != 1 {
		t.Fatalf("%+v", p)
	}
}

// A replica reads what is not committed yet, and is woken by it.
func TestReplicasReadToTheLogEnd(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1, me, other)
	r.produce(0, never, to("t", "1")).fails(nil)
	spec := FetchSpec{MaxWait: never, MinBytes: 1, Isolation: ReadLogEnd}
	wantTexts(t, r.read(spec, from("t", 0)), "1")
	replica, consumer := r.fetch(spec, from("t", 1)), r.poll(from("t", 0))
	replica.stillParked()
	r.produce(0, never, to("t", "2")).fails(nil)
	wantTexts(t, replica.wait(), "2")
	consumer.stillParked()
	r.shrink(1, me)
	wantTexts(t, consumer.wait(), "1 2")
}

// A leader that nobody has called alive of late does not say of an offset beyond its log that it does not exist: another may lead,
// and have it.
func TestALeaderOutOfTouchDoesNotDenyOffsets(t *testing.T) {
	inTouch := true
	r := newRig(t, func(c *Config) { c.InTouch = func() bool { return inTouch } })
	r.create("t", 1, 1, me, other)
	r.lead(1, me)
	r.put("t", "a", "b")
	r.create("alone", 2, 1)
	r.lead(2, me)
	for _, c := range []struct {
		name    string
		inTouch bool
		part    FetchPart
		want    error
	}{
		{"in touch", true, from("t", 3), storage.ErrOffsetOutOfRange},
		{"out of touch", false, from("t", 3), ErrNotLeader},
		{"out of touch, before the start", false, from("t", -1), storage.ErrOffsetOutOfRange},
		{"out of touch, at the end", false, from("t", 2), nil},
		{"out of touch, the only replica", false, from("alone", 3), storage.ErrOffsetOutOfRange},
	} {
		inTouch = c.inTouch
		if got := r.read(FetchSpec{}, c.part)[0]; !errors.Is(got.Err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got.Err, c.want)
		}
	}
}

func TestFetchRefusals(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	r.lead(1, me) // epoch 1
	r.put("t", "a", "b")
	r.create("followed", 2, 1, other, me)
	part := func(change func(*FetchPart)) FetchPart {
		p := from("t", 0)
		change(&p)
		return p
	}
	for _, c := range []struct {
		name string
		part FetchPart
		want error
	}{
		{"no such topic", from("nowhere", 0), ErrUnknownTopicOrPartition},
		{"no such partition", fromPartition("t", 4, 0), ErrUnknownTopicOrPartition},
		{"not the leader", from("followed", 0), ErrNotLeader},
		{"older epoch", part(func(p *FetchPart) { p.LeaderEpoch = 0 }), ErrFencedLeaderEpoch},
		{"newer epoch", part(func(p *FetchPart) { p.LeaderEpoch = 2 }), ErrUnknownLeaderEpoch},
		{"right epoch", part(func(p *FetchPart) { p.LeaderEpoch = 1 }), nil},
		{"another incarnation", part(func(p *FetchPart) { p.TopicID = [16]byte{77} }), ErrInconsistentTopicID},
		{"this incarnation", part(func(p *FetchPart) { p.TopicID = [16]byte{1} }), nil},
		{"beyond the end", from("t", 3), storage.ErrOffsetOutOfRange},
		{"before the start", from("t", -1), storage.ErrOffsetOutOfRange},
	} {
		got := r.read(FetchSpec{}, c.part)[0]
		if !errors.Is(got.Err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got.Err, c.want)
		}
		if c.want != nil && (got.HighWatermark != -1 || got.LogStartOffset != -1 || got.LastStableOffset != -1 || got.Slice != nil) {
			t.Errorf("%s: an error tells %+v", c.name, got)
		}
		if waits := r.poll(c.part); c.want != nil && waits.waits() {
			t.Errorf("%s: the error waits", c.name)
		}
	}
}

// A part that was refused before does not hurry the others, but alone it is answered.
func TestRefusedPartsAreNotWaitedFor(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	refused := FetchPart{Err: errors.New("not authorized")}
	if f := r.poll(refused, refused); f.waits() {
		t.Fatal("there is nothing to wait for")
	}
	f := r.poll(refused, from("t", 0))
	f.stillParked()
	r.put("t", "x")
	wantTexts(t, f.wait(), "not authorized | x")
}

func TestALogThatDivergesIsToldWhere(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	r.put("t", "0", "1", "2") // epoch 0: [0,3)
	r.lead(1, me)
	r.lead(1, me)
	r.put("t", "3", "4") // epoch 2: [3,5)
	at := func(offset int64, epoch int32) FetchPart {
		p := from("t", offset)
		p.LastFetchedEpoch = epoch
		return r.read(FetchSpec{Isolation: ReadLogEnd}, p)[0]
	}
	if p := at(5, 2); p.Err != nil || p.Diverging != nil {
		t.Fatalf("in agreement: %+v", p)
	}
	if p := at(4, 0); p.Diverging == nil || p.Diverging.Epoch != 0 || p.Diverging.EndOffset != 3 || p.Slice != nil {
		t.Fatalf("ahead in an old epoch: %+v", p.Diverging)
	}
	if p := at(5, 1); p.Diverging == nil || p.Diverging.Epoch != 0 || p.Diverging.EndOffset != 3 {
		t.Fatalf("an epoch that this log does not know: %+v", p.Diverging)
	}
	if p := at(5, 7); !errors.Is(p.Err, storage.ErrOffsetOutOfRange) {
		t.Fatalf("a newer epoch than any: %v", p.Err)
	}
	if _, err := deleteOne(r.m, tp("t", 0), 4); err != nil {
		t.Fatal(err)
	}
	if p := at(3, 0); !errors.Is(p.Err, storage.ErrOffsetOutOfRange) || p.Diverging != nil {
		t.Fatalf("below the log's start, whatever the epoch: %+v", p)
	}
}

func TestATopicThatIsCreatedAgainIsAnotherTopic(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 2)
	r.put("t", "old")
	parked, appending := r.poll(fromPartition("t", 1, 0)), r.log("t")
	r.apply(&meta.RemoveTopicRecord{TopicID: meta.UUID{1}},
		&meta.TopicRecord{Name: "t", TopicID: meta.UUID{2}},
		&meta.PartitionRecord{TopicID: meta.UUID{2}, Replicas: []int32{me}, ISR: []int32{me}, Leader: me})
	if err := parked.wait()[0].Err; !errors.Is(err, ErrUnknownTopicOrPartition) {
		t.Fatal(err)
	}
	if err := appending.Err(); !errors.Is(err, storage.ErrClosed) {
		t.Fatalf("the old log: %v", err)
	}
	old := from("t", 0)
	old.TopicID = [16]byte{1}
	if err := r.read(FetchSpec{}, old)[0].Err; !errors.Is(err, ErrInconsistentTopicID) {
		t.Fatal(err)
	}
	r.put("t", "new")
	wantTexts(t, r.read(FetchSpec{}, from("t", 0), fromPartition("t", 1, 0)), "new | "+ErrUnknownTopicOrPartition.Error())
}

// The disk fails under an append: the partition goes offline, and so does who waits on it; the rest serves.
func TestADirectoryThatFailsTakesItsPartitionsOffline(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	r.create("u", 2, 1)
	r.put("t", "x")
	parked := r.poll(from("t", 1))
	r.setHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.Contains(op.Name, "/t-0/") {
			return errors.New("input/output error")
		}
		return nil
	})
	r.produce(1, never, to("t", "y")).fails(storage.ErrStorage)
	if err := parked.wait()[0].Err; !errors.Is(err, ErrOffline) {
		t.Fatalf("a fetch that waited: %v", err)
	}
	r.produce(1, never, to("t", "z")).fails(ErrOffline)
	if err := r.read(FetchSpec{}, from("t", 0))[0].Err; !errors.Is(err, ErrOffline) {
		t.Fatal(err)
	}
	if _, err := r.m.ListOffset(tp("t", 0), LatestTimestamp, ReadUncommitted, -1); !errors.Is(err, ErrOffline) {
		t.Fatal(err)
	}
	r.put("u", "another partition")
	if c := r.m.Counts(); c.Offline != 1 || c.Leaders != 1 || c.Partitions != 2 {
		t.Fatalf("%+v", c)
	}
}

func TestAPartitionWhoseLogCannotBeMadeIsOfflineUntilItCan(t *testing.T) {
	r := newRig(t)
	r.setHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpMkdir {
			return errors.New("read-only file system")
		}
		return nil
	})
	r.create("t", 1, 1)
	r.produce(1, never, to("t", "x")).fails(ErrOffline)
	r.setHook(nil)
	r.lead(1, me)
	r.put("t", "x")
}

// A quiet partition that is polled again and again does not remember all who asked.
func TestPollsOfAQuietPartitionAreForgotten(t *testing.T) {
	r := newRig(t)
	r.create("quiet", 1, 1)
	r.create("busy", 2, 1)
	var live []*fetched
	for range 20 {
		live = append(live, r.poll(from("quiet", 0)))
	}
	for i := range 1000 {
		f := r.poll(from("quiet", 0), from("busy", int64(i)))
		r.put("busy", "x")
		f.wait()
	}
	p, _ := r.m.Partition(tp("quiet", 0))
	p.mu.Lock()
	n := len(p.readers.waits)
	p.mu.Unlock()
	if n > 3*len(live)+minReadersToSweep {
		t.Fatalf("%d waits are remembered, %d wait", n, len(live))
	}
	r.put("quiet", "x")
	for _, f := range live {
		wantTexts(t, f.wait(), "x")
	}
}
