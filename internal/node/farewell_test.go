package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/meta"
)

// A broker that leaves stays for those who still ask it, and no longer.
func TestAFarewellLastsAsLongAsClientsAsk(t *testing.T) {
	for name, c := range map[string]struct {
		asked func(moved time.Duration) bool
		lasts time.Duration
	}{
		"nobody asks":             {func(time.Duration) bool { return false }, 0},
		"they find their leaders": {func(moved time.Duration) bool { return moved < 300*time.Millisecond }, 300 * time.Millisecond},
		"they ask without end":    {func(time.Duration) bool { return true }, farewellMost},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				linger(context.Background(), clock.Real{}, c.asked)
				if took := time.Since(began); took < c.lasts || took > c.lasts+farewellLook {
					t.Errorf("lasted %s, want %s", took, c.lasts)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		linger(ctx, clock.Real{}, func(time.Duration) bool { return true })
		if took := time.Since(began); took != 50*time.Millisecond {
			t.Errorf("lasted %s after a stop had to end", took)
		}
	})
}

func TestWhoIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		silent, moved time.Duration
		want          bool
		who           string
	}{
		{0, time.Second, true, "one that asks"},
		{300 * time.Millisecond, time.Second, true, "one that pauses before it looks for its leader"},
		{500 * time.Millisecond, time.Second, false, "one that was told and has gone"},
		{1500 * time.Millisecond, time.Second, true, "one that writes now and then, and was not told yet"},
		{time.Minute, time.Second, false, "one that has not asked for long"},
	} {
		if got := comesAgain(c.silent, c.moved); got != c.want {
			t.Errorf("%s is waited for: %v", c.who, got)
		}
	}
}

// There is no farewell where clients have nowhere to go.
func TestTheLastBrokerSaysNoFarewell(t *testing.T) {
	register := func(id int32) meta.Record {
		return &meta.RegisterBrokerRecord{BrokerID: id, BrokerEpoch: int64(id)}
	}
	img, _, err := meta.NewImage().Apply([]meta.Record{register(1), register(2)}, 1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !othersServe(img, 1) {
		t.Error("broker 2 serves")
	}
	img, _, err = img.Apply([]meta.Record{&meta.BrokerRegistrationChangeRecord{BrokerID: 2, BrokerEpoch: 2, Fenced: 1}}, 2, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if othersServe(img, 1) {
		t.Error("broker 2 is fenced")
	}
}
