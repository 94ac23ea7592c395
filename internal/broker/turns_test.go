package broker

import (
	"slices"
	"testing"
)

// Requests of one producer that come while its first waits run after it, in the order in which they came; those of
// another producer do not wait.
func TestRequestsOfAProducerKeepTheirOrderWhileItIsVerified(t *testing.T) {
	var ts turns
	var ran []int
	parked := 0
	park := func() { parked++ }
	if !ts.enter(7, park, nil) {
		t.Fatal("the first of a producer has to wait")
	}
	for i := 1; i <= 3; i++ {
		if ts.enter(7, park, func() { ran = append(ran, i); ts.leave(7) }) {
			t.Fatalf("request %d overtakes the first", i)
		}
	}
	if !ts.enter(8, park, nil) {
		t.Fatal("another producer has to wait")
	}
	ts.leave(8)
	if parked != 3 || ran != nil {
		t.Fatalf("%d parked and %v ran before the first was done", parked, ran)
	}
	ts.leave(7)
	if !slices.Equal(ran, []int{1, 2, 3}) {
		t.Fatalf("ran %v", ran)
	}
	if len(ts.waiting) != 0 {
		t.Fatalf("%d producers are remembered for nothing", len(ts.waiting))
	}
}
