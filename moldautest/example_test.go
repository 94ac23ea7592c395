package moldautest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/moldautest"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// exampleT stands in for the *testing.T that a test is given, which examples are not.
type exampleT struct {
	testing.TB
	cleanups []func()
}

func (t *exampleT) Helper()                         {}
func (t *exampleT) Cleanup(f func())                { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Logf(format string, args ...any) {}
func (t *exampleT) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// inATest is the t of an example, and what ends it.
func inATest() (testing.TB, func()) {
	t := &exampleT{}
	return t, func() {
		for _, f := range slices.Backward(t.cleanups) {
			f()
		}
	}
}

// produce sends one record and waits for its acknowledgement.
func produce(c *kgo.Client, topic, value string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
		panic(err)
	}
}

// consume reads n values of a topic from its beginning.
func consume(kafka *moldautest.Engine, topic string, n int) (values []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := kafka.Client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	for len(values) < n && ctx.Err() == nil {
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

// One node, and any client: here franz-go's, as a program would make it.
func ExampleNew() {
	t, end := inATest() // a test has a t already
	defer end()

	kafka := moldautest.New(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Bootstrap()), kgo.AllowAutoTopicCreation())
	if err != nil {
		panic(err)
	}
	defer client.Close()
	produce(client, "orders", "coffee")

	fmt.Println(consume(kafka, "orders", 1))
	// Output: [coffee]
}

// Three nodes hold each record three times, and take it when two have it.
func ExampleCluster() {
	t, end := inATest()
	defer end()

	kafka := moldautest.Cluster(t, 3)
	kafka.CreateTopic("orders", 6, "retention.ms=60000")
	produce(kafka.Client(), "orders", "coffee")
	kafka.WaitInSync("orders")

	fmt.Println(len(kafka.Brokers()), "brokers")
	// Output: 3 brokers
}

// Brokers are set up as a server.properties would.
func ExampleConfig() {
	t, end := inATest()
	defer end()

	kafka := moldautest.New(t, moldautest.Config("num.partitions=7"))
	produce(kafka.Client(kgo.AllowAutoTopicCreation()), "orders", "coffee")

	topics, err := kadm.NewClient(kafka.Client()).ListTopics(context.Background(), "orders")
	fmt.Println(len(topics["orders"].Partitions), "partitions", err)
	// Output: 7 partitions <nil>
}

// No sockets: clients connect by the engine's Dial.
func ExampleInMemory() {
	t, end := inATest()
	defer end()

	kafka := moldautest.New(t, moldautest.InMemory())
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Bootstrap()), kgo.Dialer(kafka.Dial), kgo.AllowAutoTopicCreation())
	if err != nil {
		panic(err)
	}
	defer client.Close()
	produce(client, "orders", "coffee")

	fmt.Println(consume(kafka, "orders", 1))
	// Output: [coffee]
}

// A rolling restart: each broker stops in order and comes back, and producers notice nothing.
func ExampleBroker_Stop() {
	t, end := inATest()
	defer end()

	kafka := moldautest.Cluster(t, 3)
	kafka.CreateTopic("orders", 1)
	client := kafka.Client()
	for _, b := range kafka.Brokers() {
		b.Stop()
		produce(client, "orders", fmt.Sprint("while ", b.ID(), " is away"))
		b.Start()
		kafka.WaitInSync("orders")
	}

	fmt.Println(consume(kafka, "orders", 3))
	// Output: [while 1 is away while 2 is away while 3 is away]
}

// A leader dies as by kill -9: another leads, and what was acknowledged is there.
func ExampleBroker_Kill() {
	t, end := inATest()
	defer end()

	kafka := moldautest.Cluster(t, 3)
	kafka.CreateTopic("orders", 1)
	client := kafka.Client()
	produce(client, "orders", "coffee")

	leader := kafka.Leader("orders", 0)
	leader.Kill()
	produce(client, "orders", "tea")

	fmt.Println(consume(kafka, "orders", 2), kafka.Leader("orders", 0) == leader)
	// Output: [coffee tea] false
}

// All machines of a cluster lose their power at once. What was acknowledged is on their disks.
func ExampleBroker_LosePower() {
	t, end := inATest()
	defer end()

	kafka := moldautest.New(t)
	kafka.CreateTopic("orders", 1)
	produce(kafka.Client(), "orders", "coffee")

	for _, b := range kafka.Brokers() {
		b.LosePower()
	}
	for _, b := range kafka.Brokers() {
		b.Start()
	}

	fmt.Println(consume(kafka, "orders", 1))
	// Output: [coffee]
}

// A leader that nobody reaches any more is replaced, when its session with the controller has run out.
func ExampleBroker_CutOff() {
	t, end := inATest()
	defer end()

	kafka := moldautest.Cluster(t, 3)
	kafka.CreateTopic("orders", 1)
	leader := kafka.Leader("orders", 0)

	leader.CutOff()
	kafka.Advance(15 * time.Second) // nobody waits for it
	fmt.Println("still leads:", kafka.Leader("orders", 0) == leader)

	leader.Reconnect()
	kafka.WaitInSync("orders") // it follows now
	// Output: still leads: false
}

// Two brokers lose sight of each other, while clients reach both.
func ExampleEngine_Partition() {
	t, end := inATest()
	defer end()

	kafka := moldautest.Cluster(t, 3)
	kafka.CreateTopic("orders", 1)
	a, b := kafka.Broker(1), kafka.Broker(2)

	kafka.Partition(a, b)
	produce(kafka.Client(), "orders", "coffee")
	kafka.Heal(a, b)
	kafka.WaitInSync("orders")

	fmt.Println(consume(kafka, "orders", 1))
	// Output: [coffee]
}

// A broker far away: each way takes 20 ms longer.
func ExampleBroker_SlowDown() {
	t, end := inATest()
	defer end()

	kafka := moldautest.New(t)
	kafka.CreateTopic("orders", 1)
	client := kafka.Client()
	produce(client, "orders", "coffee") // the client is connected now

	kafka.Broker(1).SlowDown(20 * time.Millisecond)
	began := time.Now()
	produce(client, "orders", "tea")
	fmt.Println("at least 40 ms:", time.Since(began) >= 40*time.Millisecond)

	kafka.Broker(1).SlowDown(0)
	// Output: at least 40 ms: true
}

// A disk fails, and with it the broker; the others go on.
func ExampleBroker_FailDisk() {
	t, end := inATest()
	defer end()

	kafka := moldautest.Cluster(t, 3)
	kafka.CreateTopic("orders", 1)
	client := kafka.Client()
	produce(client, "orders", "coffee")

	leader := kafka.Leader("orders", 0)
	leader.FailDisk()
	produce(client, "orders", "tea")
	<-leader.Ended()

	leader.RepairDisk()
	leader.Start()
	kafka.WaitInSync("orders")
	fmt.Println(consume(kafka, "orders", 2))
	// Output: [coffee tea]
}

// A full disk: a producer tries again until there is space.
func ExampleBroker_FillDisk() {
	t, end := inATest()
	defer end()

	kafka := moldautest.New(t)
	kafka.CreateTopic("orders", 1)
	client := kafka.Client()

	kafka.Broker(1).FillDisk()
	sent := make(chan error)
	client.Produce(context.Background(), &kgo.Record{Topic: "orders", Value: []byte("coffee")}, func(_ *kgo.Record, err error) { sent <- err })
	kafka.Broker(1).RepairDisk()

	fmt.Println(<-sent, consume(kafka, "orders", 1))
	// Output: <nil> [coffee]
}

// Two days pass in a moment, and retention has taken what was older than one.
func ExampleEngine_Advance() {
	t, end := inATest()
	defer end()

	kafka := moldautest.New(t)
	kafka.CreateTopic("orders", 1, "retention.ms=86400000")
	client := kafka.Client()
	produce(client, "orders", "coffee")

	kafka.Advance(48 * time.Hour)
	for first := int64(0); first == 0; kafka.Advance(5 * time.Minute) { // log.retention.check.interval.ms
		starts, err := kadm.NewClient(client).ListStartOffsets(context.Background(), "orders")
		if err != nil {
			panic(err)
		}
		o, _ := starts.Lookup("orders", 0)
		first = o.Offset
	}
	fmt.Println("coffee is gone")
	// Output: coffee is gone
}
