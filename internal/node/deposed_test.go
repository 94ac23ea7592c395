package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A leader is cut off from the other brokers, which elect another; clients still reach it. An application that goes on from what the new
// leader has taken since is not told that its offset does not exist: it would begin anew, and do all its work twice.
func TestALeaderThatIsCutOffSendsNobodyBackToTheStart(t *testing.T) {
	c := replicated(t)
	c.startAll()
	c.create("t", 1, 3)
	c.until("everybody in sync", c.inSync("t", 3))
	c.put("t", "seen by all")
	old := c.leader("t", 0, -1)
	var rest []string
	for id := range c.opts {
		if id != old {
			rest = append(rest, fmt.Sprintf("n%d:9092", id))
			c.net.Partition(fmt.Sprintf("n%d", old), fmt.Sprintf("n%d", id))
		}
	}
	c.until("another leader", func() bool { l := c.leader("t", 0, old); return l >= 0 && l != old })
	writer := c.client(kgo.SeedBrokers(rest...), kgo.RecordDeliveryTimeout(30*time.Second))
	at := int64(-1)
	for at <= c.log(old, "t").LogEndOffset() { // it may have been sent some that it could not commit
		r := &kgo.Record{Topic: "t", Value: []byte("not committed by the old leader")}
		if err := writer.ProduceSync(context.Background(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
		at = r.Offset + 1
	}
	ask := func() *kerr.Error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		req := kmsg.NewPtrFetchRequest()
		req.ReplicaID, req.MaxBytes, req.MaxWaitMillis, req.SessionEpoch = -1, 1<<20, 0, -1
		ft := kmsg.NewFetchRequestTopic()
		ft.Topic, ft.TopicID = "t", c.image(old).Topic("t").ID
		fp := kmsg.NewFetchRequestTopicPartition()
		fp.FetchOffset, fp.PartitionMaxBytes = at, 1<<20
		ft.Partitions = append(ft.Partitions, fp)
		req.Topics = append(req.Topics, ft)
		resp, err := req.RequestWith(ctx, c.client(kgo.SeedBrokers(fmt.Sprintf("n%d:9092", old))).Broker(int(old)))
		if err != nil {
			t.Fatal(err)
		}
		return kerr.TypedErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err := ask(); err != kerr.NotLeaderForPartition {
		t.Fatalf("the old leader says %v of offset %d", err, at)
	}
}
