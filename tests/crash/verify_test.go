package crash

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// log makes a partition that holds the numbered records of producer 0.
func log(seqs ...int64) map[int32][]*kgo.Record {
	var rs []*kgo.Record
	for i, s := range seqs {
		rs = append(rs, &kgo.Record{Offset: int64(i), Value: value(0, s)})
	}
	return map[int32][]*kgo.Record{0: rs}
}

func TestCompareSeesEachKindOfDamage(t *testing.T) {
	acked := func(n int64) *ledger {
		l := &ledger{}
		for i := range n {
			l.add(ack{0, 0, i, i})
		}
		return l
	}
	text := func(p *problems) string {
		if p.err() == nil {
			return ""
		}
		return p.err().Error()
	}
	for name, c := range map[string]struct {
		recs                          map[int32][]*kgo.Record
		acks                          int64
		lost, doubled, order, missing string
	}{
		"all well":             {recs: log(0, 1, 2), acks: 3},
		"more than was acked":  {recs: log(0, 1, 2, 3), acks: 3},
		"the tail is gone":     {recs: log(0, 1), acks: 3, lost: "is gone"},
		"one is gone":          {recs: log(0, 2, 3), acks: 4, lost: "is gone"},
		"one is there twice":   {recs: log(0, 1, 2, 1), acks: 3, doubled: "offsets 1 and 3"},
		"two changed places":   {recs: log(0, 2, 1), acks: 3, lost: "acknowledged at offset", order: "follows 2"},
		"an offset is skipped": {recs: map[int32][]*kgo.Record{0: {{Offset: 1, Value: value(0, 0)}}}, missing: "has offset 1"},
		"not a record of ours": {recs: map[int32][]*kgo.Record{0: {{Value: []byte("x")}}}, lost: "1 bytes"},
	} {
		lost, doubled, order, holes := acked(c.acks).compare(c.recs)
		for _, pair := range [][2]string{{text(lost), c.lost}, {text(doubled), c.doubled}, {text(order), c.order}, {text(holes), c.missing}} {
			if !strings.Contains(pair[0], pair[1]) || pair[1] == "" && pair[0] != "" {
				t.Errorf("%s: said %q, should say %q", name, pair[0], pair[1])
			}
		}
	}
}
