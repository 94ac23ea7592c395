package moldautest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/moldautest"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// send produces values, each acknowledged before the next.
func send(t *testing.T, c *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := c.ProduceSync(soon(t), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatalf("%s: %v", v, err)
		}
	}
}

// read reads n values of a topic from its beginning.
func read(t *testing.T, kafka *moldautest.Engine, topic string, n int) []string {
	t.Helper()
	c := kafka.Client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	var out []string
	for len(out) < n {
		f := c.PollFetches(soon(t))
		if err := f.Err0(); err != nil {
			t.Fatal(err)
		}
		f.EachRecord(func(r *kgo.Record) { out = append(out, string(r.Value)) })
	}
	return out
}

// One real node, at an address of loopback that any client of any language takes.
func TestAnyClientConnects(t *testing.T) {
	kafka := moldautest.New(t)
	if _, err := net.Dial("tcp", kafka.Bootstrap()); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Bootstrap()), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	send(t, client, "orders", "coffee", "tea")
	if got := read(t, kafka, "orders", 2); got[0] != "coffee" || got[1] != "tea" {
		t.Error(got)
	}
}

// Without sockets: the same, through Dial.
func TestWithoutSockets(t *testing.T) {
	kafka := moldautest.New(t, moldautest.InMemory())
	kafka.CreateTopic("orders", 3, "retention.ms=60000")
	send(t, kafka.Client(), "orders", "coffee")
	if got := read(t, kafka, "orders", 1); got[0] != "coffee" {
		t.Error(got)
	}
}

func TestBrokerConfigs(t *testing.T) {
	kafka := moldautest.New(t, moldautest.Config("auto.create.topics.enable=false", "message.max.bytes=1000"))
	err := kafka.Client(kgo.UnknownTopicRetries(1)).ProduceSync(soon(t), &kgo.Record{Topic: "nobody-made-it"}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Error(err)
	}
	kafka.CreateTopic("small", 1)
	err = kafka.Client(kgo.ProducerBatchCompression(kgo.NoCompression())).ProduceSync(soon(t), &kgo.Record{Topic: "small", Value: make([]byte, 2000)}).FirstErr()
	if !errors.Is(err, kerr.MessageTooLarge) {
		t.Error(err)
	}
}

// Three nodes: the leader of a partition dies, another leads, and nothing that was acknowledged is lost.
func TestALeaderDies(t *testing.T) {
	kafka := moldautest.Cluster(t, 3)
	kafka.CreateTopic("orders", 1)
	client := kafka.Client()
	send(t, client, "orders", "coffee")

	leader := kafka.Leader("orders", 0)
	leader.Kill()
	send(t, client, "orders", "tea")
	if now := kafka.Leader("orders", 0); now == leader {
		t.Error("a dead broker leads")
	}

	leader.Start()
	kafka.WaitInSync("orders")
	if got := read(t, kafka, "orders", 2); fmt.Sprint(got) != "[coffee tea]" {
		t.Error(got)
	}
}

// What was acknowledged survives a cut of the power, on one node as well.
func TestThePowerGoes(t *testing.T) {
	kafka := moldautest.New(t)
	kafka.CreateTopic("orders", 1)
	send(t, kafka.Client(), "orders", "coffee", "tea")
	kafka.Broker(1).LosePower()
	kafka.Broker(1).Start()
	if got := read(t, kafka, "orders", 2); fmt.Sprint(got) != "[coffee tea]" {
		t.Error(got)
	}
}

// A broker stops in order and comes back, at the same address.
func TestARollingRestart(t *testing.T) {
	kafka := moldautest.Cluster(t, 3)
	kafka.CreateTopic("orders", 3)
	client := kafka.Client()
	for i, b := range kafka.Brokers() {
		addr := b.Addr()
		b.Stop()
		send(t, client, "orders", fmt.Sprint("order ", i))
		b.Start()
		if b.Addr() != addr {
			t.Error("the address changed from", addr, "to", b.Addr())
		}
		kafka.WaitInSync("orders")
	}
	if got := read(t, kafka, "orders", 3); len(got) != 3 {
		t.Error(got)
	}
}

// A leader that nobody reaches is replaced; when the network is whole again it follows.
func TestALeaderIsCutOff(t *testing.T) {
	kafka := moldautest.Cluster(t, 3)
	kafka.CreateTopic("orders", 1)
	client := kafka.Client(kgo.RequestTimeoutOverhead(time.Second), kgo.ConnIdleTimeout(time.Minute))
	send(t, client, "orders", "coffee")
	leader := kafka.Leader("orders", 0)
	leader.CutOff()
	kafka.Advance(15 * time.Second) // its session with the controller runs out
	if now := kafka.Leader("orders", 0); now == leader {
		t.Error("a broker leads that nobody reaches")
	}
	leader.Reconnect()
	send(t, kafka.Client(), "orders", "tea")
	kafka.WaitInSync("orders")
}

// A slow network: what takes a round trip takes longer.
func TestASlowBroker(t *testing.T) {
	kafka := moldautest.New(t)
	kafka.CreateTopic("orders", 1)
	client := kafka.Client()
	send(t, client, "orders", "warm")
	kafka.Broker(1).SlowDown(50 * time.Millisecond)
	began := time.Now()
	send(t, client, "orders", "coffee")
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Error("a round trip of twice 50ms took", took)
	}
	kafka.Broker(1).SlowDown(0)
}

// A full disk: produce requests wait in the client, which tries again, and go on when there is space.
func TestTheDiskIsFull(t *testing.T) {
	kafka := moldautest.New(t)
	kafka.CreateTopic("orders", 1)
	client := kafka.Client()
	send(t, client, "orders", "coffee")
	kafka.Broker(1).FillDisk()
	result := make(chan error, 1)
	client.Produce(soon(t), &kgo.Record{Topic: "orders", Value: []byte("tea")}, func(_ *kgo.Record, err error) { result <- err })
	time.Sleep(200 * time.Millisecond)
	select {
	case err := <-result:
		t.Fatal("there was space, or no patience:", err)
	default:
	}
	kafka.Broker(1).RepairDisk()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if got := read(t, kafka, "orders", 2); fmt.Sprint(got) != "[coffee tea]" {
		t.Error(got)
	}
}

// A disk that fails ends its broker; the other two go on, and the third comes back when it has been repaired.
func TestADiskFails(t *testing.T) {
	kafka := moldautest.Cluster(t, 3)
	kafka.CreateTopic("orders", 1)
	client := kafka.Client()
	send(t, client, "orders", "coffee")
	leader := kafka.Leader("orders", 0)
	leader.FailDisk()
	send(t, client, "orders", "tea")
	select {
	case <-leader.Ended():
	case <-soon(t).Done():
		t.Fatal("a broker without a disk goes on")
	}
	leader.RepairDisk()
	leader.Start()
	kafka.WaitInSync("orders")
	if got := read(t, kafka, "orders", 2); fmt.Sprint(got) != "[coffee tea]" {
		t.Error(got)
	}
}

// A week passes in a moment: retention takes what is old.
func TestAWeekPasses(t *testing.T) {
	kafka := moldautest.New(t)
	kafka.CreateTopic("orders", 1, "retention.ms=86400000")
	client := kafka.Client()
	send(t, client, "orders", "coffee")
	before := kafka.Now()
	kafka.Advance(7 * 24 * time.Hour)
	if passed := kafka.Now().Sub(before); passed < 7*24*time.Hour {
		t.Error("only", passed, "passed")
	}
	for {
		starts, err := kadm.NewClient(client).ListStartOffsets(soon(t), "orders")
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := starts.Lookup("orders", 0); o.Offset == 1 {
			return
		}
		time.Sleep(5 * time.Millisecond)
		kafka.Advance(time.Minute) // retention looks every five minutes
	}
}

// The session of a consumer that is gone without a word runs out at once, and another gets its partitions.
func TestAConsumerIsGone(t *testing.T) {
	kafka := moldautest.New(t)
	kafka.CreateTopic("orders", 1)
	send(t, kafka.Client(), "orders", "coffee")
	group := []kgo.Opt{kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit()}
	gone := kafka.Client(append(group, kgo.InstanceID("gone"))...) // a static member: it does not leave when it is closed
	if err := gone.PollFetches(soon(t)).Err0(); err != nil {
		t.Fatal(err)
	}
	gone.Close()
	next := kafka.Client(group...)
	got := make(chan int, 1)
	go func() {
		n := 0
		for ctx := soon(t); n == 0 && ctx.Err() == nil; {
			n = next.PollRecords(ctx, 1).NumRecords()
		}
		got <- n
	}()
	for {
		select {
		case n := <-got:
			if n != 1 {
				t.Error(n, "records")
			}
			return
		case <-time.After(50 * time.Millisecond):
			kafka.Advance(10 * time.Second)
		}
	}
}
