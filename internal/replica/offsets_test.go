package replica

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/storage"
)

func TestListOffsets(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1, me, other)
	r.shrink(1, me)
	at := func(ts int64, values ...string) {
		t.Helper()
		r.produce(1, never, Append{TP: tp("t", 0), Batches: batchAt(1_600_000_000_000+ts, values...)}).fails(nil)
	}
	at(10, "a", "b")  // offsets 0 and 1 at 10 and 11
	at(50, "largest") // 2
	at(20, "c")       // 3
	if _, err := deleteOne(r.m, tp("t", 0), 1); err != nil {
		t.Fatal(err)
	}
	r.lead(1, me) // epoch 1
	r.produce(1, never, Append{TP: tp("t", 0), Batches: inTxn(5, 0, "open")}).fails(nil)
	r.shrink(1, me, other) // the watermark stands at 5 from here on
	at(90, "hidden")       // 5, the largest timestamp of all

	type ask struct {
		ts    int64
		iso   Isolation
		found ListedOffset
	}
	now := int64(1_700_000_000_000)
	for _, c := range []ask{
		{LatestTimestamp, ReadUncommitted, ListedOffset{5, -1, 1}},
		{LatestTimestamp, ReadCommitted, ListedOffset{4, -1, 1}},
		{LatestTimestamp, ReadLogEnd, ListedOffset{6, -1, 1}},
		{EarliestTimestamp, ReadUncommitted, ListedOffset{1, -1, 0}},
		{EarliestLocalTimestamp, ReadUncommitted, ListedOffset{1, -1, 0}},
		{LatestTieredTimestamp, ReadUncommitted, ListedOffset{-1, -1, -1}},
		{EarliestPendingUpload, ReadUncommitted, ListedOffset{-1, -1, -1}},
		{MaxTimestamp, ReadUncommitted, ListedOffset{4, now, 1}},
		{MaxTimestamp, ReadCommitted, ListedOffset{-1, -1, -1}}, // the transaction's, which is open
		{0, ReadUncommitted, ListedOffset{1, 1_600_000_000_011, 0}},
		{1_600_000_000_012, ReadUncommitted, ListedOffset{2, 1_600_000_000_050, 0}},
		{1_600_000_000_051, ReadUncommitted, ListedOffset{4, now, 1}},
		{1_600_000_000_051, ReadCommitted, ListedOffset{-1, -1, -1}},
		{now + 1, ReadUncommitted, ListedOffset{-1, -1, -1}},
	} {
		found, err := r.m.ListOffset(tp("t", 0), c.ts, c.iso, -1)
		if err != nil || found != c.found {
			t.Errorf("timestamp %d at isolation %d: %+v %v, want %+v", c.ts, c.iso, found, err, c.found)
		}
	}
	for epoch, want := range map[int32]error{0: ErrFencedLeaderEpoch, 1: nil, 2: ErrUnknownLeaderEpoch} {
		if _, err := r.m.ListOffset(tp("t", 0), LatestTimestamp, ReadUncommitted, epoch); !errors.Is(err, want) {
			t.Errorf("epoch %d: %v", epoch, err)
		}
	}
}

// What lies above the watermark is not shown, by whatever timestamp it is looked for.
func TestOffsetsAboveTheWatermarkAreHidden(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1, me, other) // nothing is committed while the other one is in sync
	r.produce(1, never, to("t", "uncommitted")).fails(nil)
	for _, ts := range []int64{0, MaxTimestamp} {
		if found, err := r.m.ListOffset(tp("t", 0), ts, ReadUncommitted, -1); err != nil || found.Offset != -1 {
			t.Fatalf("timestamp %d: %+v %v", ts, found, err)
		}
		if found, err := r.m.ListOffset(tp("t", 0), ts, ReadLogEnd, -1); err != nil || found.Offset != 0 {
			t.Fatalf("timestamp %d for a replica: %+v %v", ts, found, err)
		}
	}
	// In a new term the leader does not know how far the one before it had committed.
	r.lead(1, me)
	for _, ts := range []int64{LatestTimestamp, 0, MaxTimestamp} {
		if _, err := r.m.ListOffset(tp("t", 0), ts, ReadUncommitted, -1); !errors.Is(err, ErrOffsetNotAvailable) {
			t.Fatalf("timestamp %d in a new term: %v", ts, err)
		}
	}
	if found, err := r.m.ListOffset(tp("t", 0), LatestTimestamp, ReadLogEnd, -1); err != nil || found.Offset != 1 {
		t.Fatalf("a replica in a new term: %+v %v", found, err)
	}
	r.shrink(1, me)
	if found, err := r.m.ListOffset(tp("t", 0), LatestTimestamp, ReadUncommitted, -1); err != nil || found.Offset != 1 {
		t.Fatalf("%+v %v", found, err)
	}
}

func TestDeleteRecords(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1, me, other)
	r.shrink(1, me)
	r.put("t", "a", "b")
	r.put("t", "c")
	r.shrink(1, me, other)
	r.put("t", "uncommitted")
	for _, c := range []struct {
		offset, low int64
		want        error
	}{
		{1, 1, nil}, {0, 1, nil}, {4, -1, storage.ErrOffsetOutOfRange}, {-2, -1, storage.ErrOffsetOutOfRange},
		{-1, 3, nil}, {3, 3, nil},
	} {
		low := int64(-1)
		d, err := deleteOne(r.m, tp("t", 0), c.offset)
		if err == nil {
			low, err = d.Wait(r.clock.Now()) // the other replica is not alive, so nobody waits for it
		}
		if low != c.low || !errors.Is(err, c.want) {
			t.Errorf("delete to %d: %d %v, want %d %v", c.offset, low, err, c.low, c.want)
		}
	}
	if err := r.read(FetchSpec{}, from("t", 2))[0].Err; !errors.Is(err, storage.ErrOffsetOutOfRange) {
		t.Fatalf("a deleted record: %v", err)
	}
	r.lead(1, other)
	if _, err := deleteOne(r.m, tp("t", 0), -1); !errors.Is(err, ErrNotLeader) {
		t.Fatal(err)
	}
}

func TestWhereEpochsEnd(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	r.put("t", "a")
	r.lead(1, me)
	r.put("t", "b", "c")
	for _, c := range []struct {
		current, epoch int32
		want           storage.EpochEndOffset
		err            error
	}{
		{-1, 0, storage.EpochEndOffset{Epoch: 0, EndOffset: 1}, nil},
		{1, 1, storage.EpochEndOffset{Epoch: 1, EndOffset: 3}, nil},
		{1, 2, storage.EpochEndOffset{Epoch: -1, EndOffset: -1}, nil},
		{0, 1, storage.EpochEndOffset{Epoch: -1, EndOffset: -1}, ErrFencedLeaderEpoch},
		{2, 1, storage.EpochEndOffset{Epoch: -1, EndOffset: -1}, ErrUnknownLeaderEpoch},
	} {
		got, err := r.m.EndOffsetForEpoch(tp("t", 0), c.current, c.epoch)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("epoch %d, current %d: %+v %v", c.epoch, c.current, got, err)
		}
	}
}

func TestProducersAreListed(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	r.produce(1, never, Append{TP: tp("t", 0), Batches: idempotent(42, 0, "x")}).fails(nil)
	got, err := r.m.ActiveProducers(tp("t", 0))
	if err != nil || len(got) != 1 || got[0].ProducerID != 42 {
		t.Fatalf("%+v %v", got, err)
	}
	if _, err := r.m.ActiveProducers(tp("nowhere", 0)); !errors.Is(err, ErrUnknownTopicOrPartition) {
		t.Fatal(err)
	}
}

// Each role is told once, after the partition serves, and its end once.
func TestRolesAreTold(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	r.shrink(1, me) // no new term
	r.lead(1, me)
	r.lead(1, other)
	r.lead(1, other)
	r.lead(1, me)
	r.apply(&meta.RemoveTopicRecord{TopicID: meta.UUID{1}})
	want := []string{
		"t-0 epoch 0 leads true", "t-0 epoch 1 leads true", "t-0 epoch 2 leads false", "t-0 epoch 4 leads true", "t-0 epoch -1 leads false",
	}
	if !slices.Equal(r.told, want) {
		t.Fatalf("told:\n%s", strings.Join(r.told, "\n"))
	}
}

// A broker that comes back finds its logs, and sets aside what the cluster has forgotten meanwhile.
func TestAfterARestartTheImageDecidesWhatIsServed(t *testing.T) {
	r := newRig(t)
	r.create("kept", 1, 1)
	r.create("deleted", 2, 1)
	r.create("again", 3, 1)
	for _, topic := range []string{"kept", "deleted", "again"} {
		r.put(topic, "old")
	}
	r.m.Stop()
	if err := r.logs.Close(true); err != nil {
		t.Fatal(err)
	}
	img, _, err := r.img.Apply([]meta.Record{
		&meta.RemoveTopicRecord{TopicID: meta.UUID{2}}, &meta.RemoveTopicRecord{TopicID: meta.UUID{3}},
		&meta.TopicRecord{Name: "again", TopicID: meta.UUID{4}},
		&meta.PartitionRecord{TopicID: meta.UUID{4}, Replicas: []int32{me}, ISR: []int32{me}, Leader: me},
	}, r.img.Offset()+4, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.img = img
	r.open()
	r.m.ApplyMetadata(img, &meta.Delta{})
	wantTexts(t, r.read(FetchSpec{}, from("kept", 0), from("deleted", 0), from("again", 0)),
		"old | "+ErrUnknownTopicOrPartition.Error()+" | -")
	stray := 0
	entries, err := r.mem.ReadDir("/d")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "-stray") {
			stray++
		}
	}
	if stray != 2 {
		t.Fatalf("%d stray directories", stray)
	}
}

// deleteOne is DeleteRecords for one partition.
func deleteOne(m *Manager, tp storage.TopicPartition, offset int64) (*Deletion, error) {
	begun, failed := m.DeleteRecords(map[storage.TopicPartition]int64{tp: offset})
	return begun[tp], failed[tp]
}

// Many partitions are deleted from at once, and one that fails does not keep the others.
func TestDeleteRecordsOfManyPartitions(t *testing.T) {
	r := newRig(t)
	r.create("a", 1, 1)
	r.create("b", 2, 1)
	r.put("a", "x", "y")
	r.put("b", "x")
	begun, failed := r.m.DeleteRecords(map[storage.TopicPartition]int64{tp("a", 0): -1, tp("b", 0): 7, tp("none", 0): 1})
	if len(begun) != 1 || len(failed) != 2 || !errors.Is(failed[tp("b", 0)], storage.ErrOffsetOutOfRange) {
		t.Fatal(begun, failed)
	}
	if low, err := begun[tp("a", 0)].Wait(r.clock.Now()); low != 2 || err != nil {
		t.Fatal(low, err)
	}
	r.lead(1, other) // nothing holds the role any more
}
