package replica

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// following is a fetcher whose leader has refused every partition so often that the next pause is long. It sends nothing.
func following(t *testing.T, r *rig, partitions int32) (*fetcher, []*followed) {
	t.Helper()
	r.create("t", 1, partitions)
	f := newFetcher(r.m, fetcherKey{leader: other})
	f.busy, f.side.busy = true, true
	t.Cleanup(f.stop)
	var all []*followed
	for i := range partitions {
		p, err := r.m.Partition(tp("t", i))
		if err != nil {
			t.Fatal(err)
		}
		d := &followed{p: p, state: askedFor, inSession: true, failures: quietFailures - 1}
		f.all[keyOf(p)] = d
		all, f.inUse = append(all, d), f.inUse+1
	}
	return f, all
}

// A leader that starts anew refuses all partitions, each a moment after the other. Their pauses end together, by one timer.
func TestPausesOfManyPartitionsEndTogether(t *testing.T) {
	r := newRig(t)
	f, all := following(t, r, 300)
	timers, shortest := r.clock.Pending(), r.m.retryPause(quietFailures)
	for _, d := range all {
		f.partFailed(d, ErrNotLeader)
		r.clock.Advance(10 * time.Microsecond)
	}
	if n := r.clock.Pending() - timers; n != 1 {
		t.Errorf("%d timers run", n)
	}
	gone := all[0]
	f.remove(gone.p)
	r.clock.Advance(shortest - 3*time.Millisecond - time.Microsecond)
	if n := len(f.side.all); n != 0 {
		t.Fatalf("%d are asked for too soon", n)
	}
	var ended []int
	for range 4 {
		r.clock.Advance(shortest / pausesEndTogether)
		ended = append(ended, len(f.side.all)-sum(ended))
	}
	if sum(ended) != len(all)-1 || slices.Max(ended) < len(all)/2 {
		t.Errorf("%v of %d are asked for by and by", ended, len(all)-1)
	}
	if len(f.paused) != 0 || r.clock.Pending() != timers || gone.state != failed {
		t.Errorf("%d pause still, %d timers run, who has gone is %d", len(f.paused), r.clock.Pending()-timers, gone.state)
	}
}

func sum(all []int) (n int) {
	for _, i := range all {
		n += i
	}
	return n
}

// A pause that begins later may end earlier.
func TestAShorterPauseEndsBeforeALongerOne(t *testing.T) {
	r := newRig(t)
	f, all := following(t, r, 2)
	f.partFailed(all[0], ErrNotLeader)
	all[1].failures = 0
	f.partFailed(all[1], ErrNotLeader)
	r.clock.Advance(2 * firstRetryPause)
	if all[0].state != waiting || all[1].state != toAsk {
		t.Errorf("the long pause is %d, the short one %d", all[0].state, all[1].state)
	}
}

// A hundred thousand partitions that fail for one reason are not a hundred thousand lines.
func TestFailuresOfManyPartitionsAreToldInFewLines(t *testing.T) {
	var said bytes.Buffer
	r := newRig(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&said, nil)) })
	f, all := following(t, r, 50)
	fail := func() {
		for _, d := range all {
			f.all[keyOf(d.p)] = d // the second lane may have it
			f.partFailed(d, ErrNotLeader)
		}
	}
	lines := func() []string {
		defer said.Reset()
		return slices.DeleteFunc(strings.Split(said.String(), "\n"), func(s string) bool { return !strings.Contains(s, "cannot be copied") })
	}
	if fail(); len(lines()) != 0 {
		t.Error("failures that are in order after an election are told")
	}
	fail()
	fail()
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], "othersSinceTheLastLine=0") {
		t.Errorf("%q", got)
	}
	r.clock.Advance(troubleInterval)
	fail()
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], "othersSinceTheLastLine=49") {
		t.Errorf("%q", got)
	}
}
