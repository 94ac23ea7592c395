package group

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// BenchmarkJoin is a group of a thousand members that forms its first generation.
func BenchmarkJoin(b *testing.B) {
	const members = 1000
	for b.Loop() {
		st := newStage(b)
		clients := make([]*who, members)
		for i := range clients {
			clients[i] = st.client("g")
			clients[i].join()
		}
		st.pass(time.Minute)
		for _, c := range clients {
			if !c.leader {
				c.sync()
			}
		}
		for _, c := range clients {
			if c.leader {
				c.syncWith(map[string]string{})
			}
		}
		st.s.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/members, "us/member")
}

func BenchmarkHeartbeat(b *testing.B) {
	st := newStage(b)
	c := st.client("g")
	c.join()
	st.pass(time.Minute)
	c.session = 1_800_000
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = "g", c.id, c.gen
	b.ReportAllocs()
	for b.Loop() {
		st.s.Heartbeat(RequestContext{}, 4, req, func(*kmsg.HeartbeatResponse) {})
	}
}

func BenchmarkCommit(b *testing.B) {
	st := newStage(b)
	c := st.outsider("g")
	i := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		i++
		c.commitCall(9, i)
	}
}

func BenchmarkLoad(b *testing.B) {
	st := newStage(b)
	for i := 0; i < 20_000; i++ {
		st.outsider(fmt.Sprintf("g%d", i%1000)).commit(int64(i))
	}
	for b.Loop() {
		st.failover()
	}
	b.ReportMetric(20_000*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
