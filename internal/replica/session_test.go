package replica

import (
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/storage"
)

// What a leader does for its followers is as much as happens, not as many partitions as there are.
func TestFetchesOfFollowersAtRestLookAtNothing(t *testing.T) {
	c := three(t, func(c *cluster) { c.partitions = 50 })
	c.run(time.Second)
	c.looked = 0
	c.run(10 * time.Second)
	if c.looked != 0 {
		t.Fatalf("fetches at rest have looked at %d partitions", c.looked)
	}
	c.produce(c.ctl.img.Partition(simName, 7).Leader, 7)
	c.run(2 * time.Second)
	// Each of two followers: the records, what it holds then, and the watermark, which the other moves.
	if c.nAcked != 1 || c.looked == 0 || c.looked > 10 {
		t.Fatalf("%d acknowledged, for which fetches have looked at %d partitions", c.nAcked, c.looked)
	}
	c.settle()
}

// The followers of a partition at rest are not noted with each fetch. When it is written to again, they count as what they were: caught
// up until their last fetch.
func TestAFollowerOfAPartitionAtRestHasNotFallenBehind(t *testing.T) {
	c := three(t)
	c.run(20 * c.settings.LagTimeMax)
	c.isolate(3)
	c.produce(1, 0)
	c.run(c.settings.LagTimeMax - 200*time.Millisecond)
	c.wantISR(1, 1, 2, 3)
	c.run(c.settings.LagTimeMax)
	c.wantISR(1, 1, 2)
	clear(c.cut)
	c.settle()
}

// One that had stopped to fetch before has fallen behind with the first record that it lacks.
func TestAFollowerThatHasForgottenAPartitionFallsBehindAtOnce(t *testing.T) {
	c := three(t)
	c.isolate(3)
	c.run(20 * c.settings.LagTimeMax)
	c.wantISR(1, 1, 2, 3) // it lacks nothing
	c.produce(1, 0)
	c.run(c.settings.LagTimeMax/2 + 100*time.Millisecond)
	c.wantISR(1, 1, 2)
	clear(c.cut)
	c.settle()
}

// threeOfWhichOneHasDeleted have a partition of three records, and one of them has deleted those before an offset by itself.
func threeOfWhichOneHasDeleted(t *testing.T, node int32, before int64) *cluster {
	t.Helper()
	c := three(t)
	for range 3 {
		c.produce(1, 0)
	}
	c.run(time.Second)
	for _, err := range c.node(node).logs.AdvanceLogStartOffsets(map[storage.TopicPartition]int64{tp(simName, 0): before}) {
		must(t, err)
	}
	return c
}

// A log deletes old segments by itself, and tells nobody.
func TestFollowersHearOfALogStartThatHasMovedByItself(t *testing.T) {
	c := threeOfWhichOneHasDeleted(t, 1, 2)
	c.run(c.settings.LagTimeMax)
	for id := int32(1); id <= 3; id++ {
		if s := c.state(id); s.LogStartOffset != 2 {
			t.Fatalf("node %d begins at %d", id, s.LogStartOffset)
		}
	}
}

// Watches that are of no use any more do not pile up on a partition at rest, though its followers come again and again.
func TestWatchesOfEndedSessionsAreDropped(t *testing.T) {
	c := three(t)
	for range 10 {
		c.isolate(2)
		c.run(time.Second)
		clear(c.cut)
		c.run(time.Second)
	}
	c.run(c.settings.LagTimeMax)
	// A session whose first answer is lost is known to nobody, and stays until its place is wanted.
	if n := len(c.part(1).watches); n > 4 {
		t.Fatalf("%d watches of two followers", n)
	}
}

// A broker that has registered anew is noted anew in all partitions of its session (KIP-903).
func TestANewRegistrationMakesAllDue(t *testing.T) {
	s := NewSession()
	s.came(time.Unix(1, 0), 1)
	for range 3 {
		s.Watch(nil)
	}
	s.mu.Lock()
	for _, w := range s.all {
		w.state = watchTaken
		s.giveBackLocked(w, true)
	}
	s.due = nil
	s.mu.Unlock()
	if s.came(time.Unix(2, 0), 1); len(s.Take()) != 0 {
		t.Fatal("nothing has happened")
	}
	if s.came(time.Unix(3, 0), 2); len(s.Take()) != 3 {
		t.Fatal("they are not due")
	}
}

// Who got nothing for want of room comes before who got something.
func TestWhoWasServedGoesToTheEndOfTheLine(t *testing.T) {
	s, spec := NewSession(), &FetchSpec{}
	for i := range 3 {
		s.Watch(i)
	}
	parts := make([]FetchPart, 3)
	for i, w := range s.Take() {
		parts[i].Watch = w
	}
	parts[0].Slice = &storage.Slice{}
	s.giveBack(spec, parts)
	for i, w := range s.Take() {
		if want := []int{1, 2, 0}[i]; w.Owner != want {
			t.Fatalf("in place %d comes %v, want %d", i, w.Owner, want)
		}
	}
}

// A follower's log deletes by itself too, and may have done so before records are deleted by request: who waits for that is told.
func TestADeletionThatAFollowerIsAheadOf(t *testing.T) {
	c := threeOfWhichOneHasDeleted(t, 2, 3)
	begun, failed := c.node(1).m.DeleteRecords(map[storage.TopicPartition]int64{tp(simName, 0): 2})
	if len(failed) > 0 {
		t.Fatal(failed)
	}
	c.run(2 * time.Second)
	if low, wait, err := begun[tp(simName, 0)].look(); wait != nil || err != nil {
		t.Fatalf("the low watermark is %d: %v", low, err)
	}
}
