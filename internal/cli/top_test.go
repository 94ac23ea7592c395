package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAFrameOfTop draws a model, for a pipe and for a terminal.
func TestAFrameOfTop(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ends := map[topicPartition]int64{{"orders", 0}: 1500, {"orders", 1}: 600, {"idle", 0}: 7, {"new", 0}: 99}
	before := map[topicPartition]int64{{"orders", 0}: 1000, {"orders", 1}: 500, {"idle", 0}: 7}
	f := &topFrame{
		at: at, brokers: 3, topicCount: 3, partitions: 4, underReplicated: 1, latency: 1234 * time.Microsecond,
		topics:  topicRates(ends, before, 2*time.Second),
		groups:  []groupLag{{"late", "Stable", true, 42}, {"early", "Empty", false, 0}, {"third", "Dead", true, 0}},
		trouble: []troubledPartition{{topicPartition{"orders", 1}, -1, []int32{1, 2, 3}, []int32{2}}},

		withRequests: true,
		requests:     []requestRate{{name: "Produce", perSecond: 300, median: 0.5, p99: 12.25}},
		silent:       []string{"http://127.0.0.1:1: connection refused"},
	}
	want := strings.Join([]string{
		"*03:04:05  brokers 3  topics 3  partitions 4  under-replicated 1  offline 0  metadata request 1.2 ms/",
		"not seen: http://127.0.0.1:1: connection refused",
		"",
		"*PARTITION IN TROUBLE                         LEADER  REPLICAS           IN SYNC/",
		"orders-1                                       none  1,2,3              2",
		"",
		"*TOPIC                                    PARTITIONS   RECORDS/S IN      END OFFSETS/",
		"orders                                            2          300.0             2100",
		"idle                                              1            0.0                7",
		"",
		"*GROUP                                    STATE                             LAG/",
		"late                                     Stable                             42",
		"early                                    Empty                               -",
		"",
		"*REQUEST                                      PER SECOND    MEDIAN MS       99% MS/",
		"Produce                                           300.0         0.50        12.25",
		"",
	}, "\n")
	for _, terminal := range []bool{false, true} {
		marks := strings.NewReplacer("*", "", "/\n", "\n")
		begin := ""
		if terminal {
			marks, begin = strings.NewReplacer("*", bold, "/\n", plain+"\n"), clearScreen
		}
		var out strings.Builder
		r := newRun(&Env{Stdout: &out, StdoutIsTerminal: terminal}, "top", t.Context())
		r.showFrame(f, 2)
		r.out.Flush()
		if d := cmp.Diff(begin+marks.Replace(want), out.String()); d != "" {
			t.Errorf("terminal %v (-wanted +got):\n%s", terminal, d)
		}
	}
}
