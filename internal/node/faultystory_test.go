package node

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What clients see of faulty disks.

// produceOnce sends one record by hand, and returns the error that the broker answers.
func (r *rig) produceOnce(topic string, partition int32, value string) error {
	r.t.Helper()
	c := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordRetries(0), kgo.UnknownTopicRetries(0), kgo.DisableIdempotentWrite(),
		kgo.RecordDeliveryTimeout(3*time.Second))
	defer c.Close()
	rec := kgo.StringRecord(value)
	rec.Topic, rec.Partition = topic, partition
	return c.ProduceSync(context.Background(), rec).FirstErr()
}

// fetchOnce reads one partition from an offset and returns how many bytes of records came and the partition's error.
func (r *rig) fetchOnce(topic string, partition int32, offset int64) (int, error) {
	r.t.Helper()
	c := r.client()
	defer c.Close()
	req := kmsg.NewPtrFetchRequest()
	req.MinBytes, req.MaxBytes, req.MaxWaitMillis = 0, 1<<20, 0
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic, ft.TopicID = topic, r.node.broker.Image().Topic(topic).ID
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.Partition, fp.FetchOffset, fp.PartitionMaxBytes = partition, offset, 1<<20
	ft.Partitions = append(ft.Partitions, fp)
	req.Topics = append(req.Topics, ft)
	resp, err := c.Broker(int(r.node.id)).RetriableRequest(context.Background(), req)
	if err != nil {
		return 0, err
	}
	p := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
	return len(p.RecordBatches), kerr.ErrorForCode(p.ErrorCode)
}

// leaderOf is who metadata says leads a partition, -1 for nobody.
func (r *rig) leaderOf(topic string, partition int32) int32 {
	return r.node.broker.Image().Partition(topic, partition).Leader
}

// The disk is full: a produce is refused with an error that clients retry, fetches and metadata go on, and with space the
// same client's retry is taken, without a restart.
func TestAFullDiskAsClientsSeeIt(t *testing.T) {
	var hook atomic.Pointer[func(vfs.Op) error]
	r := startOn(t, vfs.NewMem(), &hook)
	r.create("colours", 1)
	r.produce("colours", "red", "green")
	full := func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.Contains(op.Name, "/colours-0/") {
			return syscall.ENOSPC
		}
		return nil
	}
	hook.Store(&full)
	err := r.produceOnce("colours", 0, "blue")
	if !kerr.IsRetriable(err) {
		t.Fatal("a client would give up", err)
	}
	if n, err := r.fetchOnce("colours", 0, 0); n == 0 || err != nil {
		t.Fatal("what is there cannot be read", n, err)
	}
	if r.leaderOf("colours", 0) != r.node.id {
		t.Fatal("the partition has lost its leader")
	}
	done := make(chan error, 1)
	c := r.client(kgo.DefaultProduceTopic("colours"), kgo.RecordDeliveryTimeout(20*time.Second))
	c.Produce(context.Background(), kgo.StringRecord("blue"), func(_ *kgo.Record, err error) { done <- err })
	time.Sleep(20 * time.Millisecond) // it is refused and retries; that it is not yet may only make the test easier
	hook.Store(nil)
	if err := <-done; err != nil {
		t.Fatal("there is space again", err)
	}
	if got := strings.Join(r.consume("colours", 3), " "); got != "red green blue" {
		t.Fatal(got)
	}
}

// One file cannot be read: the fetch of that partition fails, everything else goes on, and so does it when the file can be read again.
func TestAnUnreadableFileAsClientsSeeIt(t *testing.T) {
	var hook atomic.Pointer[func(vfs.Op) error]
	mem := vfs.NewMem()
	r := startOn(t, mem, &hook)
	r.create("colours", 2)
	r.produce("colours", "red", "green")
	bad := func(op vfs.Op) error {
		if op.Kind == vfs.OpRead && strings.Contains(op.Name, "/colours-0/") {
			return syscall.EIO
		}
		return nil
	}
	hook.Store(&bad)
	// The answer has begun when its records are read: then the connection ends, as with Kafka.
	if n, err := r.fetchOnce("colours", 0, 0); err == nil {
		t.Fatal("records came from nowhere", n)
	}
	if _, err := r.fetchOnce("colours", 1, 0); err != nil {
		t.Fatal("another partition", err)
	}
	if err := r.produceOnce("colours", 1, "blue"); err != nil {
		t.Fatal(err)
	}
	hook.Store(nil) // the next try succeeds
	if n, err := r.fetchOnce("colours", 0, 0); n == 0 || err != nil {
		t.Fatal(n, err)
	}
}

// With two directories, one fails: by a write, by a sync, by turning read-only, by vanishing. Its partitions answer a storage
// error, or that this is not their leader, which both have clients look for another; metadata names no leader for them; and the other directory's go on.
func TestAFailedDirectoryAsClientsSeeIt(t *testing.T) {
	failing := func(kind vfs.OpKind) func(vfs.Op) error {
		return func(op vfs.Op) error {
			if op.Kind == kind && strings.HasPrefix(op.Name, "/y/") && strings.HasSuffix(op.Name, ".log") {
				return syscall.EIO
			}
			return nil
		}
	}
	for name, fault := range map[string]func(vfs.Op) error{
		"EIO at a write": failing(vfs.OpWrite), "EIO at a sync": failing(vfs.OpSync), "read-only": vfs.ReadOnly("/y"), "vanished": vfs.Vanished("/y"),
	} {
		t.Run(name, func(t *testing.T) {
			var hook atomic.Pointer[func(vfs.Op) error]
			r := startOn(t, vfs.NewMem(), &hook, "log.dirs=/x,/y", "moldau.log.dir.check.interval.ms=50", "broker.heartbeat.interval.ms=50")
			r.create("colours", 4)
			var inX, inY []int32
			for i, d := range r.placed("colours") {
				if err := r.produceOnce("colours", int32(i), "red"); err != nil {
					t.Fatal(err)
				}
				if d == r.node.directories["/y"] {
					inY = append(inY, int32(i))
				} else {
					inX = append(inX, int32(i))
				}
			}
			if len(inX) == 0 || len(inY) == 0 {
				t.Fatal(inX, inY)
			}
			hook.Store(&fault)
			if err := r.produceOnce("colours", inY[0], "green"); err == nil {
				t.Fatal("a record on a failed disk is acknowledged")
			}
			eventually(t, "the controller takes the leader away", func() bool { return r.leaderOf("colours", inY[0]) < 0 })
			for _, p := range inY {
				eventually(t, "fetches are refused", func() bool {
					_, err := r.fetchOnce("colours", p, 0)
					return errors.Is(err, kerr.KafkaStorageError) || errors.Is(err, kerr.NotLeaderForPartition)
				})
			}
			for _, p := range inX {
				if err := r.produceOnce("colours", p, "green"); err != nil {
					t.Fatal(p, err)
				}
				if n, err := r.fetchOnce("colours", p, 1); n == 0 || err != nil {
					t.Fatal(p, n, err)
				}
			}
		})
	}
}
