package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
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
	for _, minISR := range []int{1, 2} {
		t.Run(fmt.Sprintf("min.insync.replicas=%d", minISR), func(t *testing.T) {
			c := apart(t, 3)
			brokers := []int32{1, 2, 3}
			for _, id := range brokers {
				c.opts[id] = append(c.opts[id], fmt.Sprintf("min.insync.replicas=%d", minISR), "broker.session.timeout.ms=1000",
					"broker.heartbeat.interval.ms=200", "replica.lag.time.max.ms=1500", "default.replication.factor=3")
			}
			for id := int32(101); id <= 103; id++ {
				c.opts[id] = append(c.opts[id], fmt.Sprintf("min.insync.replicas=%d", minISR))
			}
			c.startAll()
			c.create("t", 1, 3)
			c.until("everybody in sync", c.inSync("t", 3))
			w := c.write("t")
			c.until("a start", w.reached(100))
			w.stop.Store(true)
			w.done.Wait()
			leader := c.leader("t", 0, -1)
			for _, id := range brokers { // the leader last
				if id != leader {
					c.stop(id)
				}
			}
			c.stop(leader)
			if err := c.disks[leader].RemoveAll(partitionDir("t")); err != nil {
				t.Fatal(err)
			}
			c.startAll(brokers...)
			if minISR == 1 {
				// By what the controller knows only the leader was in sync. It does not lead, since that would make the
				// others cut their logs; somebody must decide for another one.
				c.until("an election", func() bool { return c.leader("t", 0, -1) == leader })
				c.until("the broker to refuse to lead", func() bool { // it hears later of it than the controllers
					p, err := c.nodes[leader].replicas.Partition(storage.TopicPartition{Topic: "t"})
					if err == nil && p.State().Role == replica.Leader {
						t.Fatal(p.State())
					}
					return err == nil && p.State().Role == replica.Offline
				})
				c.stop(leader)
				adm := kadm.NewClient(c.client())
				c.until("an unclean election", func() bool {
					_, err := adm.ElectLeaders(context.Background(), kadm.ElectLiveReplica, kadm.TopicsSet{"t": {0: {}}})
					now := c.leader("t", 0, -1)
					return err == nil && now > 0 && now != leader
				})
				c.startAll(leader)
			}
			c.verify("t", w)
			c.until("the lost ones to be copied", func() bool { l := c.log(leader, "t"); return l != nil && l.LostUpTo() == 0 && l.LogEndOffset() >= 100 })
		})
	}
}

// A disk was replaced and formatted: the controller knows the replicas in a directory that is no more. They are copied into the new one.
func TestWhatWasOnAReplacedDiskIsCopied(t *testing.T) {
	c := apart(t, 3)
	for id := int32(1); id <= 3; id++ {
		c.opts[id] = append(c.opts[id], "broker.session.timeout.ms=1000", "broker.heartbeat.interval.ms=200", "replica.lag.time.max.ms=1500")
	}
	c.startAll()
	c.create("t", 1, 3)
	c.until("everybody in sync", c.inSync("t", 3))
	w := c.write("t")
	c.until("a start", w.reached(100))
	c.stop(2)
	c.disks[2] = vfs.NewMem()
	c.startAll(2)
	c.until("everybody in sync again", c.inSync("t", 3))
	w.stop.Store(true)
	w.done.Wait()
	c.verify("t", w)
}

// The directory's small files are of an older day than its logs, as after a restore by hand. The only replica has all of its log
// committed, also what the files do not know of.
func TestALogThatIsLongerThanItsCheckpointsIsCommitted(t *testing.T) {
	c := combined(t, 1)
	c.startAll()
	c.create("t", 1, 1)
	for i := range 10 {
		c.put("t", fmt.Sprint(i))
	}
	c.stop(1)
	for _, name := range []string{"recovery-point-offset-checkpoint", "replication-offset-checkpoint"} {
		name = "moldau-data/" + name
		offsets, err := storage.ReadOffsetCheckpoint(c.disks[1], name)
		if err != nil {
			t.Fatal(err)
		}
		tp := storage.TopicPartition{Topic: "t"}
		if offsets[tp] != 10 {
			t.Fatal(name, offsets)
		}
		offsets[tp] = 4
		if err := storage.WriteOffsetCheckpoint(c.disks[1], name, offsets); err != nil {
			t.Fatal(err)
		}
	}
	c.startAll()
	cl := c.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().AtStart()}}))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for n := 0; n < 10; {
		cl.PollFetches(ctx).EachRecord(func(*kgo.Record) { n++ })
		if ctx.Err() != nil {
			t.Fatalf("%d of 10 records", n)
		}
	}
}

// meta.properties is lost in every directory, and the data is there: the start does not offer to make a new cluster over it.
func TestLostPropertiesAreToBePutBack(t *testing.T) {
	for _, auto := range []bool{false, true} {
		c := combined(t, 1)
		c.startAll()
		c.create("t", 1, 1)
		c.stop(1)
		if err := c.disks[1].Remove("moldau-data/meta.properties"); err != nil {
			t.Fatal(err)
		}
		o := c.options(1)
		o.AutoFormat, o.ClusterID = auto, ""
		_, err := Start(context.Background(), o)
		wantError(t, err, "holds data", "put the file back", "node.id=1", "cluster-id")
		if strings.Contains(err.Error(), "random-uuid") {
			t.Error(err)
		}
	}
}

// The directory of a partition was replaced by one of another topic while the node was away. It is not served as the topic's, and
// the others are.
func TestADirectoryOfAnotherTopicIsNotServed(t *testing.T) {
	c := combined(t, 1)
	c.startAll()
	c.create("t", 1, 1)
	c.create("other", 1, 1)
	c.fill("t", 3)
	c.stop(1)
	name := partitionDir("t") + "/partition.metadata"
	b, err := vfs.ReadFile(c.disks[1], name)
	if err == nil {
		err = c.disks[1].Overwrite(name, strings.Index(string(b), "topic_id: ")+10, []byte("QQQ"))
	}
	if err != nil {
		t.Fatal(err)
	}
	c.startAll()
	c.fill("other", 1)
	l := c.log(1, "t")
	if _, err := l.Read(0, 100, 3, true); !errors.Is(err, storage.ErrInconsistentTopicID) {
		t.Fatal(err)
	}
	if err := l.Err(); !errors.Is(err, storage.ErrStorage) {
		t.Fatal("it is not offline", err)
	}
}
