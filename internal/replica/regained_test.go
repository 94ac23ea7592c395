package replica

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A follower that had lost records up to offset 100 copies them: its loss is over when it has them, or when the leader has no
// more. A leader's high watermark from before its start is no such moment, while records still come.
func TestALossIsOverWhenTheRecordsAreThere(t *testing.T) {
	for _, c := range []struct {
		what    string
		end, hw int64
		records bool
		want    bool
	}{
		{"the leader has just started, and knows of no high watermark", 10, 0, true, false},
		{"it tells an old one", 50, 50, true, false},
		{"an old one, behind which we are already", 50, 30, false, false},
		{"all is there", 100, 0, true, true},
		{"and more", 120, 110, true, true},
		{"the leader has lost a part as well", 70, 70, false, true},
		{"still to come", 70, 90, false, false},
	} {
		a := kmsg.NewFetchResponseTopicPartition()
		if a.HighWatermark = c.hw; c.records {
			a.RecordBatches = []byte{0}
		}
		if got := regained(c.end, 100, &a); got != c.want {
			t.Error(c.what, got)
		}
	}
}
