package node

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lagLines is what the metrics of all brokers say about groups' lags.
func (c *crew) lagLines() string {
	c.t.Helper()
	var lines []string
	for _, n := range c.nodes {
		var out bytes.Buffer
		if err := n.registry.Write(&out); err != nil {
			c.t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if strings.HasPrefix(line, "kafka_consumergroup_") || strings.HasPrefix(line, "kminion_") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// A group has read 1 of 3 records in each of three partitions, each with one replica on a broker of its own: whoever coordinates the group
// asks the others where they end, and the brokers together show each lag once, under both names.
func TestLagsAreShownWhoeverHasTheRecords(t *testing.T) {
	c := replicated(t)
	c.startAll()
	c.create("t", 3, 1)
	ctx := context.Background()
	w := c.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 9 {
		if err := w.ProduceSync(ctx, &kgo.Record{Topic: "t", Partition: int32(i % 3), Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	offsets := kadm.Offsets{}
	for p := range int32(3) {
		offsets.AddOffset("t", p, 1, -1)
	}
	if err := kadm.NewClient(c.client()).CommitAllOffsets(ctx, "g", offsets); err != nil {
		t.Fatal(err)
	}
	var want []string
	for p := range 3 {
		want = append(want,
			fmt.Sprintf(`kafka_consumergroup_lag{consumergroup="g",topic="t",partition="%d"} 2`, p),
			fmt.Sprintf(`kafka_consumergroup_current_offset{consumergroup="g",topic="t",partition="%d"} 1`, p),
			fmt.Sprintf(`kminion_kafka_consumer_group_topic_partition_lag{group_id="g",topic_name="t",partition_id="%d"} 2`, p))
	}
	want = append(want, `kafka_consumergroup_lag_sum{consumergroup="g",topic="t"} 6`, `kminion_kafka_consumer_group_topic_lag{group_id="g",topic_name="t"} 6`,
		`kafka_consumergroup_members{consumergroup="g"} 0`)
	said := ""
	shown := func() bool {
		said = c.lagLines()
		for _, line := range want {
			if strings.Count(said, line) != 1 {
				return false
			}
		}
		return true
	}
	defer func() {
		if t.Failed() {
			t.Log(said)
		}
	}()
	c.until("all lags", shown)
}

func TestLagsAreBounded(t *testing.T) {
	r := start(t, vfs.NewMem(), "moldau.metrics.consumer.lag.max=2")
	r.create("t", 5)
	offsets := kadm.Offsets{}
	for p := range int32(5) {
		offsets.AddOffset("t", p, 0, -1)
	}
	if err := kadm.NewClient(r.client()).CommitAllOffsets(context.Background(), "g", offsets); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := r.node.registry.Write(&out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "kafka_consumergroup_lag{"); n != 2 || !strings.Contains(out.String(), "moldau_consumer_lag_left_out 3") {
		t.Fatalf("%d lags are shown of two that may be:\n%s", n, out.String())
	}
}
