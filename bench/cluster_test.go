package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/bench/load"
)

func TestVerdicts(t *testing.T) {
	round := func(v float64) metrics { return metrics{nextAckMs: v, clientErrors: 0} }
	r := &result{Subjects: []subjectResult{{Name: "moldau", Rounds: []metrics{round(100), round(150), round(600)}}, {Name: "kafka", Rounds: []metrics{round(9000)}}}}
	for _, c := range []struct {
		t    target
		met  bool
		text string
	}{
		{target{metric: nextAckMs, atMost: 500}, true, "150 ms to the next ack, wanted at most 500: met"},
		{target{metric: nextAckMs, atMost: 500, worst: true}, false, "600 ms to the next ack at worst of 3, wanted at most 500: MISSED"},
		{target{metric: nextAckMs, atLeast: 120, more: true, worst: true}, false, "100 ms to the next ack at worst of 3, wanted at least 120: MISSED"},
		{target{metric: clientErrors, atMost: 0, worst: true}, true, "0 errors of a default client at worst of 3, wanted at most 0: met"},
		{target{metric: nextAckMs, against: kindKafka, atLeast: 3}, true, "90.0x better than kafka in ms to the next ack, wanted at least 3.00x: met"},
	} {
		got := verdicts(&scenario{targets: []target{c.t}}, r)
		if len(got) != 1 || got[0].met != c.met || got[0].text != c.text {
			t.Errorf("%+v: %+v", c.t, got)
		}
	}
	r.Subjects[0].Error = "it broke"
	if got := verdicts(&scenario{targets: []target{{metric: nextAckMs, atMost: 500}}}, r); len(got) != 0 {
		t.Errorf("a subject that has failed is judged: %+v", got)
	}
}

// Apache Kafka is struck less often, and a restart of all nodes stands for many strikes.
func TestEachKindHasItsRounds(t *testing.T) {
	o := options{rounds: 5, strikes: 30, kafkaStrikes: 5}
	want := map[string][2]int{"produce-1m": {5, 5}, "compaction": {3, 3}, "cluster-latency": {5, 5}, "failover-kill-leader": {30, 5}, "rolling": {3, 1}, "topics-1000": {3, 1}}
	for _, s := range allScenarios() {
		if w, ok := want[s.name]; ok {
			if got := [2]int{s.roundsOf(o, kindMoldau), s.roundsOf(o, kindKafka)}; got != w || s.most(o) != w[0] {
				t.Errorf("%s has rounds %v and at most %d, not %v", s.name, got, s.most(o), w)
			}
		}
	}
}

func TestNamesOfRowsAreTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range allScenarios() {
		if seen[s.name] {
			t.Errorf("there are two rows %s", s.name)
		}
		seen[s.name] = true
		if s.measure == "" || !slices.Contains(s.columns, s.measure) || s.run == nil {
			t.Errorf("row %s does not show what it measures", s.name)
		}
	}
	for part := range strings.SplitSeq(notesText, "\n## ") {
		if name, _, _ := strings.Cut(part, "\n"); !strings.HasPrefix(name, "#") && !seen[name] {
			t.Errorf("there is a note on %s, and no such row", name)
		}
	}
}

// Node 1 led partition 0 and was killed at 100: its next acknowledgement is that of a record sent afterwards; the others went on.
func TestGapsOfAStrike(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(1e12) + int64(ms)) }
	acks := [][]load.Ack{
		{{Sent: at(90), At: at(95)}, {Sent: at(98), At: at(102)}, {Sent: at(120), At: at(300)}, {Sent: at(304), At: at(310)}},
		{{Sent: at(90), At: at(95)}, {Sent: at(99), At: at(150)}, {Sent: at(154), At: at(160)}, {Sent: at(164), At: at(305)}},
	}
	got := gaps(acks, map[int32]bool{0: true}, at(100), at(320))
	want := metrics{nextAckMs: 200, longestGapMs: 198, othersGapMs: 145}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s is %v, not %v", name, got[name], v)
		}
	}
}

func TestSharesOfConnections(t *testing.T) {
	parts := []load.Replicated{{Partition: 3}, {Partition: 1}, {Partition: 7}}
	if got := shares(parts, 2); len(got) != 2 || !slices.Equal(got[0], []int32{3, 7}) || !slices.Equal(got[1], []int32{1}) {
		t.Fatal(got)
	}
	if got := shares(parts[:1], 2); len(got) != 1 {
		t.Fatal("a connection has no partition", got)
	}
}
