package load

import (
	"testing"
	"time"
)

func at(ms int) time.Time { return time.UnixMilli(int64(1e12) + int64(ms)) }

// A node is killed at 100: what it had acknowledged before comes in at 101 and is no sign of life, the record that was sent at 110 is.
func TestFirstAfterAKill(t *testing.T) {
	acks := []Ack{{at(90), at(92)}, {at(99), at(101)}, {at(110), at(350)}, {at(355), at(357)}}
	got, ok := FirstAfter(acks, at(100))
	if !ok || got != at(350) {
		t.Fatalf("the next acknowledgement is %v, %v", got, ok)
	}
	if _, ok := FirstAfter(acks, at(400)); ok {
		t.Fatal("an acknowledgement of nothing")
	}
}

func TestLongestGap(t *testing.T) {
	acks := []Ack{{at(0), at(1)}, {at(50), at(60)}, {at(64), at(164)}, {at(168), at(170)}}
	for _, c := range []struct{ from, to, want int }{
		{0, 180, 104},   // between two acknowledgements
		{100, 180, 64},  // it counts from the beginning
		{100, 400, 230}, // and to the end
		{300, 400, 100},
	} {
		if got := LongestGap(acks, at(c.from), at(c.to)); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("from %d to %d the longest gap is %s, not %d ms", c.from, c.to, got, c.want)
		}
	}
}

func TestWhole(t *testing.T) {
	v := View{Brokers: map[int32]string{1: "a", 2: "b", 3: "c"}, Partitions: []Replicated{{"t", 0, 1, 3, 3}, {"t", 1, 2, 3, 3}, {"t", 2, 1, 3, 3}}}
	if err := v.Whole(3, 3); err != nil {
		t.Fatal(err)
	}
	if led := v.Led(); len(led[1]) != 2 || len(led[2]) != 1 || len(led[3]) != 0 {
		t.Fatalf("led are %v", led)
	}
	if v.Whole(3, 4) == nil || v.Whole(2, 3) == nil {
		t.Fatal("a partition or a broker that is missing is not missed")
	}
	v.Partitions[1].InSync = 2
	if v.Whole(3, 3) == nil {
		t.Fatal("a replica that is not in sync is not missed")
	}
	v.Partitions[1] = Replicated{"t", 1, -1, 3, 3}
	if v.Whole(3, 3) == nil {
		t.Fatal("a partition without a leader is whole")
	}
}
