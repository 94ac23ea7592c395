package clock

import (
	"testing"
	"time"
)

func TestFakeRunsTimersInOrderOfTheirTime(t *testing.T) {
	start := time.Unix(1000, 0)
	f := NewFake(start)
	var got []string
	f.AfterFunc(2*time.Second, func() { got = append(got, "two") })
	one := f.AfterFunc(time.Second, func() {
		got = append(got, "one")
		f.AfterFunc(500*time.Millisecond, func() { got = append(got, "one and a half") })
	})
	stopped := f.AfterFunc(time.Second, func() { got = append(got, "never") })
	if !stopped.Stop() || stopped.Stop() {
		t.Fatal("Stop must be true once")
	}
	f.Advance(3 * time.Second)
	want := []string{"one", "one and a half", "two"}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Fatalf("got %v, want %v", got, want)
	}
	if one.Reset(time.Second) {
		t.Fatal("Reset of a timer that has run must be false")
	}
	f.Advance(time.Second)
	if len(got) != 4 || f.Pending() != 1 {
		t.Fatalf("after Reset: %v, %d pending", got, f.Pending())
	}
	if !f.Now().Equal(start.Add(4 * time.Second)) {
		t.Fatalf("now %v", f.Now())
	}
}
