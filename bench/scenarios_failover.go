package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/bench/load"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Names of metrics of a node's going.
const (
	nextAckMs    = "ms to the next ack"
	longestGapMs = "longest gap ms"
	othersGapMs  = "longest gap ms, led elsewhere"
	backMs       = "ms from its start to all replicas in sync"
	clientErrors = "errors of a default client"
	clientAcks   = "its acks"
)

const (
	// failoverBoundMs is wanted after a kill, termBoundMs after a SIGTERM, at worst of all rounds.
	failoverBoundMs, termBoundMs = 500, 100
	// rollings is how many strikes of another row stand for one restart of all nodes.
	rollings = 10
)

// failoverScenarios are those in which a node goes.
func failoverScenarios() []*scenario {
	const how = "a driver of our own writes one record after the other to each of 3 partitions, which different nodes lead, with acks=all, and asks for the leader every 10 ms while it is refused"
	row := func(name, title, more string, f failoverShape, columns []string, targets ...target) *scenario {
		return &scenario{
			name: name, title: "Three nodes: " + title, how: clusterHow + "; " + how + "; " + more,
			measure: columns[0], columns: columns, targets: targets, warm: jvmWarmUp, subjects: brokersOnly, unpinned: true, heap: clusterHeap,
			turns: f.turns, unprofiled: true, run: f.run,
		}
	}
	killed := []string{nextAckMs, othersGapMs, backMs}
	return []*scenario{
		row("failover-kill-leader", "kill -9 of a leader",
			"from the kill until a record that was sent to the partition that was led there is acknowledged; the node is not the active controller, and comes back afterwards",
			failoverShape{signal: syscall.SIGKILL}, killed, target{metric: nextAckMs, atMost: failoverBoundMs, worst: true}),
		row("failover-kill-controller", "kill -9 of the active controller",
			"as before, where the node is the active controller and leads a partition",
			failoverShape{signal: syscall.SIGKILL, controller: true}, killed, target{metric: nextAckMs, atMost: failoverBoundMs, worst: true}),
		row("failover-term-leader", "SIGTERM of a leader",
			"the longest time without an acknowledgement of the partition that was led there, from the signal until the process has ended and every partition acknowledges; the node is not the active controller",
			failoverShape{signal: syscall.SIGTERM}, []string{longestGapMs, othersGapMs, backMs}, target{metric: longestGapMs, atMost: termBoundMs, worst: true}),
		row("rolling", "all nodes restarted in turn",
			"the longest time without an acknowledgement of any partition while each node is stopped by SIGTERM and started as soon as the one before has all replicas in sync; meanwhile franz-go with its default settings writes 200 records a second",
			failoverShape{signal: syscall.SIGTERM, all: true}, []string{longestGapMs, clientErrors, clientAcks, backMs}, target{metric: clientErrors, atMost: 0, worst: true}),
	}
}

const (
	failoverPartitions = clusterSize
	// strikePatience bounds the wait for acknowledgements after a node has gone: many times what Apache Kafka takes.
	strikePatience = 2 * time.Minute
	// termTimeout bounds a stop in order.
	termTimeout = time.Minute
	// beforeStrike is how long all is well before a node goes, afterStrike how long it stays away after the first
	// acknowledgements: what follows them counts too.
	beforeStrike, afterStrike = 700 * time.Millisecond, 500 * time.Millisecond
	// defaultEvery is the pause between two records of the default client.
	defaultEvery = 5 * time.Millisecond
)

// failoverShape is how a node goes.
type failoverShape struct {
	signal     syscall.Signal
	controller bool // it is the active controller, else it is not
	all        bool // one after the other
}

func (f failoverShape) turns(o options, k kind) int {
	n := o.strikes
	if k == kindKafka {
		n = o.kafkaStrikes
	}
	if f.all {
		n = max(1, n/rollings)
	}
	return n
}

// struck is a cluster that exists to be hurt.
type struck struct {
	e     *env
	topic replicatedTopic
	probe *load.Probe
}

func (f failoverShape) run(e *env, x subject, r round) (metrics, error) {
	c, err := e.cluster(x, "failover")
	if err != nil {
		return nil, err
	}
	topic, err := keep(e, fmt.Sprintf("failover/%p", c), func() (replicatedTopic, error) { return e.replicated(c, failoverPartitions) })
	if err != nil {
		return nil, err
	}
	s := struck{e: e, topic: topic}
	view, err := topic.spreadLeaders()
	if err != nil {
		return nil, err
	}
	s.probe = load.StartProbe(c.Seeds(), topic.name, topic.id, failoverPartitions)
	defer s.probe.Stop()
	if err := s.probe.AwaitAcks(time.Now(), strikePatience); err != nil {
		return nil, err
	}
	if r.warming {
		time.Sleep(r.length)
		return metrics{}, nil
	}
	time.Sleep(beforeStrike)
	s.probe.Reset()
	if f.all {
		return s.roll()
	}
	victim, err := s.victim(f.controller)
	if err != nil {
		return nil, err
	}
	return s.strike(victim, f.signal, view)
}

// victim is a node that is the active controller, or one that is not.
func (s struck) victim(controller bool) (node int, err error) {
	c, err := load.NewClient(s.topic.cluster.Members[0].Addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	id, err := c.Controller()
	if err != nil {
		return 0, err
	}
	if id < 1 || id > clusterSize {
		return 0, fmt.Errorf("the active controller is node %d", id)
	}
	node = int(id) - 1
	if !controller {
		node = (node + 1 + int(time.Now().UnixNano()%(clusterSize-1))) % clusterSize
	}
	return node, nil
}

// strike has one node go and come back.
func (s struck) strike(node int, signal syscall.Signal, view load.View) (metrics, error) {
	there := map[int32]bool{}
	for _, p := range view.Led()[int32(node+1)] {
		there[p.Partition] = true
	}
	if len(there) == 0 {
		return nil, fmt.Errorf("node %d leads nothing", node+1)
	}
	began, ended, err := s.end(node, signal)
	if err != nil {
		return nil, err
	}
	if err := s.probe.AwaitAcks(ended, strikePatience); err != nil {
		return nil, err
	}
	time.Sleep(afterStrike)
	out := gaps(s.acks(), there, began, time.Now())
	took, err := s.start(node)
	out[backMs] = took.Seconds() * 1e3
	return out, err
}

// gaps is what the partitions that were led on a node, and the others, have acknowledged while it went.
func gaps(acks [][]load.Ack, there map[int32]bool, from, to time.Time) metrics {
	out := metrics{}
	for i, a := range acks {
		gap := load.LongestGap(a, from, to).Seconds() * 1e3
		if !there[int32(i)] {
			out[othersGapMs] = max(out[othersGapMs], gap)
			continue
		}
		out[longestGapMs] = max(out[longestGapMs], gap)
		if at, ok := load.FirstAfter(a, from); ok {
			out[nextAckMs] = max(out[nextAckMs], at.Sub(from).Seconds()*1e3)
		}
	}
	return out
}

func (s struck) acks() (all [][]load.Ack) {
	for i := range failoverPartitions {
		all = append(all, s.probe.Acks(int32(i)))
	}
	return all
}

// end signals a node and waits until its process is gone.
func (s struck) end(node int, signal syscall.Signal) (began, ended time.Time, err error) {
	p := s.topic.cluster.Members[node].Process
	if p.Ended() {
		return began, ended, fmt.Errorf("node %d had ended by itself: %s", node+1, p.Tail())
	}
	began = time.Now()
	if err := p.Signal(signal); err != nil {
		return began, ended, err
	}
	if err := p.Await(termTimeout); err != nil {
		return began, ended, err
	}
	return began, time.Now(), nil
}

// start has a node come back, and tells how long it takes until all replicas are in sync.
func (s struck) start(node int) (time.Duration, error) {
	b := s.topic.cluster.Members[node]
	if err := s.e.exec(b); err != nil {
		return 0, err
	}
	_, err := s.topic.awaitWhole()
	return time.Since(b.Started), err
}

// roll restarts all nodes in turn.
func (s struck) roll() (metrics, error) {
	client, err := startDefaultClient(s.topic)
	if err != nil {
		return nil, err
	}
	out, err := s.rollUnder()
	acked, failed, last := client.finish()
	if err != nil {
		return nil, err
	}
	if acked == 0 {
		return nil, errors.New("the default client had nothing acknowledged")
	}
	if last != nil {
		fmt.Println("  the default client:", last)
	}
	out[clientAcks], out[clientErrors] = float64(acked), float64(failed)
	return out, nil
}

func (s struck) rollUnder() (metrics, error) {
	out, began := metrics{}, time.Now()
	for node := range s.topic.cluster.Members {
		_, _, err := s.end(node, syscall.SIGTERM)
		if err != nil {
			return nil, err
		}
		took, err := s.start(node)
		if err != nil {
			return nil, err
		}
		out[backMs] = max(out[backMs], took.Seconds()*1e3)
	}
	if err := s.probe.AwaitAcks(time.Now(), strikePatience); err != nil {
		return nil, err
	}
	time.Sleep(afterStrike)
	everywhere := map[int32]bool{}
	for i := range int32(failoverPartitions) {
		everywhere[i] = true
	}
	out[longestGapMs] = gaps(s.acks(), everywhere, began, time.Now())[longestGapMs]
	return out, nil
}

// defaultClient is franz-go as it comes.
type defaultClient struct {
	cl            *kgo.Client
	stop, stopped chan struct{}
	acked, failed atomic.Int64
	last          atomic.Pointer[error]
}

func startDefaultClient(t replicatedTopic) (*defaultClient, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.cluster.Seeds()...), kgo.DefaultProduceTopic(t.name))
	if err != nil {
		return nil, fmt.Errorf("cannot make a client: %w", err)
	}
	d := &defaultClient{cl: cl, stop: make(chan struct{}), stopped: make(chan struct{})}
	go d.write()
	return d, nil
}

func (d *defaultClient) write() {
	defer close(d.stopped)
	tick := time.NewTicker(defaultEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-tick.C:
			d.cl.Produce(context.Background(), kgo.StringRecord("default"), d.done)
		}
	}
}

func (d *defaultClient) done(_ *kgo.Record, err error) {
	if err != nil {
		d.failed.Add(1)
		d.last.Store(&err)
		return
	}
	d.acked.Add(1)
}

// finish waits for the last acknowledgements.
func (d *defaultClient) finish() (acked, failed int64, last error) {
	close(d.stop)
	<-d.stopped
	ctx, cancel := context.WithTimeout(context.Background(), strikePatience)
	defer cancel()
	if err := d.cl.Flush(ctx); err != nil {
		d.done(nil, err)
	}
	d.cl.Close()
	if err := d.last.Load(); err != nil {
		last = *err
	}
	return d.acked.Load(), d.failed.Load(), last
}
