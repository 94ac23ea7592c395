package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kgo"
)

// partitionDir is where the first partition of a topic lies on a crew's disk.
func partitionDir(topic string) string { return "moldau-data/" + topic + "-0" }

// put produces one record with acks=all and returns its offset.
func (c *crew) put(topic, value string) int64 {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cl := c.client(kgo.RecordDeliveryTimeout(30 * time.Second))
	defer cl.Close()
	r := &kgo.Record{Topic: topic, Value: []byte(value)}
	if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
		c.t.Fatalf("%s: %v", value, err)
	}
	return r.Offset
}

func (c *crew) fill(topic string, n int) {
	c.t.Helper()
	cl := c.client(kgo.DefaultProduceTopic(topic))
	defer cl.Close()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Value: fmt.Appendf(nil, "%d", i)})
	}
	if err := cl.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crew) log(id int32, topic string) *storage.Log {
	p, err := c.nodes[id].replicas.Partition(storage.TopicPartition{Topic: topic})
	if err != nil {
		return nil
	}
	return p.Log()
}

// A partition's directory is gone when the node starts, and there is no other replica. The records are lost; their offsets are not
// given to others, also not by the start after that.
func TestOffsetsOfALostDirectoryAreNotGivenAgain(t *testing.T) {
	for _, clean := range []bool{true, false} {
		t.Run(fmt.Sprintf("after an orderly stop %v", clean), func(t *testing.T) {
			c := combined(t, 1)
			c.startAll()
			c.create("t", 1, 1)
			c.fill("t", 100)
			c.stop(1) // which lists what is there
			c.startAll()
			if at := c.put("t", "one more"); at != 100 {
				t.Fatal(at)
			}
			if clean {
				c.stop(1)
			} else {
				c.kill(1)
			}
			if err := c.disks[1].RemoveAll(partitionDir("t")); err != nil {
				t.Fatal(err)
			}
			c.startAll()
			first := c.put("t", "after the loss")
			if first < 100 || clean && first != 101 {
				t.Fatalf("offset %d was given twice", first)
			}
			if at := c.put("t", "the next"); at != first+1 {
				t.Fatal(at)
			}
			c.stop(1)
			c.startAll()
			if at := c.put("t", "after another start"); at != first+2 {
				t.Fatal(at)
			}
			if l := c.log(1, "t"); l.LogStartOffset() != first {
				t.Fatal(l.LogStartOffset())
			}
		})
	}
}

// A partition's directory is removed under the node. The kernel would keep its files for as long as they are open, and nobody
// know: it is noticed, the partition goes offline, and the next start goes on behind what was given.
func TestADirectoryThatVanishesUnderTheNodeIsNoticed(t *testing.T) {
	c := combined(t, 1)
	c.opts[1] = append(c.opts[1], "moldau.log.dir.check.interval.ms=100")
	c.startAll()
	c.create("t", 1, 1)
	c.create("other", 1, 1)
	c.fill("t", 100)
	if err := c.disks[1].RemoveAll(partitionDir("t")); err != nil {
		t.Fatal(err)
	}
	c.until("it to be noticed", func() bool { return c.log(1, "t").Err() != nil })
	c.fill("other", 1) // the rest of the log directory serves on
	c.stop(1)
	c.startAll()
	if at := c.put("t", "after the loss"); at != 100 {
		t.Fatal(at)
	}
}

// The end of a log is damaged below what was synced. What is left is served, and new records come behind what was there.
func TestOffsetsOfALostTailAreNotGivenAgain(t *testing.T) {
	c := combined(t, 1)
	c.startAll()
	c.create("t", 1, 1)
	for i := range 10 {
		c.put("t", fmt.Sprint(i))
	}
	c.stop(1)
	f, err := c.disks[1].OpenFile(partitionDir("t")+"/00000000000000000000.log", 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	size, _ := f.Size()
	if err := f.Truncate(size - 100); err != nil {
		t.Fatal(err)
	}
	c.startAll()
	if at := c.put("t", "after the loss"); at != 10 {
		t.Fatal(at)
	}
	for range 2 {
		cl := c.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().AtStart()}}))
		var got []int64
		for len(got) == 0 || got[len(got)-1] < 10 {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got = append(got, r.Offset) })
			if ctx.Err() != nil {
				t.Fatal(got)
			}
			cancel()
		}
		cl.Close()
		if len(got) < 5 || got[0] != 0 || len(got) > 10 {
			t.Fatal(got)
		}
		c.kill(1) // and the gap is none to a recovery
		c.startAll()
	}
}

// One of three replicas has lost its directory. Its records are copied from the others, whoever led before.
func TestALostDirectoryIsCopiedFromTheOthers(t *testing.T) {
	c := replicated(t)
	c.startAll()
	c.create("t", 1, 3)
	c.until("everybody in sync", c.inSync("t", 3))
	w := c.write("t")
	c.until("a start", w.reached(100))
	w.stop.Store(true)
	w.done.Wait()
	c.until("equal logs", c.equalLogs("t"))
	leader := c.leader("t", 0, -1)
	for id := range c.opts { // the leader last, so that it is in sync alone, and would lead again
		if id != leader {
			c.stop(id)
		}
	}
	c.stop(leader)
	if err := c.disks[leader].RemoveAll(partitionDir("t")); err != nil {
		t.Fatal(err)
	}
	c.startAll()
	c.until("everybody in sync", c.inSync("t", 3))
	c.until("equal logs", c.equalLogs("t"))
	for id := range c.nodes {
		if l := c.log(id, "t"); l.LogStartOffset() != 0 || l.LostUpTo() != 0 {
			t.Fatalf("node %d has [%d, %d)", id, l.LogStartOffset(), l.LogEndOffset())
		}
	}
	c.verify("t", w)
}
