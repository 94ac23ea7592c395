package main

import (
	"fmt"
	"time"

	"github.com/moldau-stream/moldau/bench/host"
	"github.com/moldau-stream/moldau/bench/load"
	"github.com/moldau-stream/moldau/internal/record"
)

// clusterHow is said of each row with three nodes.
const clusterHow = "three nodes, each broker and controller, on this machine; nothing is pinned; topics with three replicas and min.insync.replicas=2"

// Names of metrics of a cluster.
const (
	createdMs = "ms until created"
	wholeMs   = "ms until all serve with all replicas in sync"
	restCPU   = "CPU % of a core at rest, all nodes"
	rssSum    = "RSS MB, all nodes"
)

// clusterScenarios are those with three nodes. They come last: what other rows have started is ended first.
func clusterScenarios() []*scenario {
	bulk := clusterShape{partitions: 6, perLeader: 2, depth: 5, batchBytes: mib, maxBytes: bulkBytes}
	small := clusterShape{partitions: 30, perLeader: 2, depth: 5, batchBytes: 16 * kib, maxBytes: bulkBytes}
	paced := clusterShape{partitions: 6, perLeader: 1, depth: 5, batchBytes: 16 * kib, mbPerSecond: 20, stretch: 3}
	columns := []string{cpuPerGB, mbPerSecond, reqPerSec, p50, p99}
	cheap := []target{{metric: cpuPerGB, atMost: 2.1}, {metric: cpuPerGB, against: kindKafka, atLeast: 3}}
	out := []*scenario{
		{
			name: "cluster-produce-1m", title: "Three nodes: produce with acks=all, 1 MiB batches of 1 KiB records",
			how:     clusterHow + "; 2 connections to each leader, 5 requests under way on each, one of 6 partitions a connection, idempotent batches; the CPU of all three nodes for each GB of the user's; the roofline is three processes that read, check, write, send by sendfile to the other two, and answer when these have read, checked and written",
			measure: cpuPerGB, columns: columns, warm: jvmWarmUp, subjects: everyone, unpinned: true, heap: clusterHeap, run: bulk.run, targets: cheap,
		},
		{
			name: "cluster-produce-16k", title: "Three nodes: produce with acks=all, 16 KiB batches of 1 KiB records over 30 partitions",
			how:     "as before with one batch a request, the partitions of a connection in turn",
			measure: cpuPerGB, columns: columns, warm: jvmWarmUp, subjects: everyone, unpinned: true, heap: clusterHeap, run: small.run, targets: cheap,
		},
		{
			name: "cluster-latency", title: "Three nodes: latency of acks=all at 20 MB/s",
			how:     clusterHow + "; batches of 16 KiB of 1 KiB records by the clock over 6 partitions, one connection to each leader with at most 5 requests under way; from the instant at which a batch was due until it was acknowledged",
			measure: p99, columns: []string{p50, p99, p999, mbPerSecond, cpuPerGB}, warm: jvmWarmUp, subjects: everyone, unpinned: true, heap: clusterHeap, run: paced.run,
			targets: []target{{metric: p99, atMost: 5}},
		},
	}
	out = append(out, failoverScenarios()...)
	return append(out, &scenario{
		name: "topics-1000", title: "Three nodes: 1,000 topics of 10 partitions with 3 replicas",
		how:     "three nodes, fresh and not pinned, made with 10 requests of 100 topics; until every node tells of all partitions with all replicas in sync, and their leaders answer; then 20 s of rest",
		measure: wholeMs, columns: []string{createdMs, wholeMs, restCPU, rssOf(0), rssOf(1), rssOf(2), rssSum}, subjects: brokersOnly, unpinned: true, heap: clusterHeap,
		turns: func(o options, k kind) int {
			if k == kindKafka {
				return 1
			}
			return min(o.rounds, 3)
		},
		run: manyTopics,
	})
}

func rssOf(node int) string { return fmt.Sprintf("RSS MB, node %d", node+1) }

// loadVariant is the cluster under load.
const loadVariant = "load"

// clusterShape says what producers send to a cluster.
type clusterShape struct {
	partitions, perLeader, depth int
	batchBytes                   int
	maxBytes                     int64
	mbPerSecond                  float64 // 0: as fast as it goes
	stretch                      int     // how many times a round's length it takes; 0: once
}

// run tries a second time when a leader has refused: on a machine that has other things to do one may have moved meanwhile, and the
// driver, unlike a client, does not follow.
func (p clusterShape) run(e *env, s subject, r round) (metrics, error) {
	if s.kind == kindRoofline {
		return p.roofline(e, r)
	}
	m, err := p.once(e, s, r)
	if load.Refused(err) {
		fmt.Printf("  %s once more: %v\n", s.name, err)
		m, err = p.once(e, s, r)
	}
	return m, err
}

func (p clusterShape) once(e *env, s subject, r round) (metrics, error) {
	c, err := e.cluster(s, loadVariant)
	if err != nil {
		return nil, err
	}
	t, err := e.replicated(c, p.partitions)
	if err != nil {
		return nil, err
	}
	defer t.remove()
	batch, err := p.batch(e)
	if err != nil {
		return nil, err
	}
	addrs, sources, err := p.sources(t, batch)
	if err != nil {
		return nil, err
	}
	return p.drive(e, addrs, sources, measured{c.PIDs(), c.Members[0].Admin}, r)
}

// drive is a round against nodes or loops.
func (p clusterShape) drive(e *env, addrs []string, sources []load.Source, m measured, r round) (metrics, error) {
	d, err := load.DialEach(addrs, p.depth, sources)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if p.mbPerSecond > 0 {
		if err := d.Schedule(p.mbPerSecond * 1e6 / float64(p.batchBytes)); err != nil {
			return nil, err
		}
	}
	if _, err := d.Run(r.length/5, p.maxBytes/5); err != nil {
		return nil, err
	}
	settle()
	if p.maxBytes > 0 {
		if err := host.Touch(clusterSize * int(p.maxBytes)); err != nil {
			return nil, err
		}
	}
	length := r.length
	if !r.warming {
		length *= time.Duration(max(1, p.stretch))
	}
	return e.loadRound(m, d, length, p.maxBytes, r.profile)
}

// roofline is the same against the loops.
func (p clusterShape) roofline(e *env, r round) (metrics, error) {
	loops, end, err := e.replicatingLoops()
	if err != nil {
		return nil, err
	}
	defer end()
	batch, err := p.batch(e)
	if err != nil {
		return nil, err
	}
	var addrs []string
	var sources []load.Source
	m := measured{}
	for _, l := range loops {
		m.pids = append(m.pids, l.pid)
		for range p.perLeader {
			addrs = append(addrs, l.addr)
			sources = append(sources, load.Plain{Source: load.NewProducer([16]byte{}, []int32{0}, batch, -1, true), Payload: len(batch)})
		}
	}
	return p.drive(e, addrs, sources, m, r)
}

func (p clusterShape) batch(e *env) ([]byte, error) {
	return keep(e, fmt.Sprintf("cluster/%d", p.batchBytes), func() ([]byte, error) {
		b, _ := load.BatchOfSize(p.batchBytes, kib, record.None, 0, 1)
		return b, nil
	})
}

// sources are the connections: so many to each leader, which share its partitions.
func (p clusterShape) sources(t replicatedTopic, batch []byte) (addrs []string, out []load.Source, err error) {
	v, err := t.spreadLeaders()
	if err != nil {
		return nil, nil, err
	}
	client, err := load.NewClient(t.cluster.Members[0].Addr)
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	for id, parts := range v.Led() {
		for _, share := range shares(parts, p.perLeader) {
			producer, epoch, err := client.ProducerID()
			if err != nil {
				return nil, nil, err
			}
			addrs = append(addrs, v.Brokers[id])
			out = append(out, load.NewIdempotentProducer(t.id, share, batch, producer, epoch))
		}
	}
	return addrs, out, nil
}

// shares deals partitions out to so many connections; none goes without.
func shares(parts []load.Replicated, n int) [][]int32 {
	out := make([][]int32, min(n, len(parts)))
	for i, p := range parts {
		out[i%len(out)] = append(out[i%len(out)], p.Partition)
	}
	return out
}

const (
	manyTopicCount, manyTopicPartitions = 1000, 10
	// manyTopicsAtOnce is how many topics one request makes.
	manyTopicsAtOnce = 100
	// beforeRest lets what the creation has left be done.
	beforeRest = 5 * time.Second
	restLength = 20 * time.Second
)

func manyTopics(e *env, x subject, r round) (metrics, error) {
	c, err := e.cluster(x, manyVariant)
	if err != nil {
		return nil, err
	}
	defer e.dropCluster(x)
	client, err := load.NewClient(c.Members[0].Addr)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	start, out := time.Now(), metrics{}
	for from := 0; from < manyTopicCount; from += manyTopicsAtOnce {
		var names []string
		for i := range manyTopicsAtOnce {
			names = append(names, fmt.Sprintf("many-%04d", from+i))
		}
		if _, err := client.CreateTopics(names, manyTopicPartitions, clusterSize, durable()); err != nil {
			return nil, err
		}
	}
	out[createdMs] = time.Since(start).Seconds() * 1e3
	if err := until(healTimeout, func() error { return allServe(c) }); err != nil {
		return nil, err
	}
	out[wholeMs] = time.Since(start).Seconds() * 1e3
	time.Sleep(beforeRest)
	if r.profile != "" {
		return out, takeProfile(c.Members[0].Admin, e.opts.profile, r.profile, restLength)
	}
	cpu, began := newCPUMeters(c.PIDs()), time.Now()
	time.Sleep(restLength)
	out[restCPU] = cpu.used() / time.Since(began).Seconds() * 100
	for i, pid := range c.PIDs() {
		rss := float64(host.Memory(pid, "VmRSS")) / 1e6
		out[rssOf(i)] = rss
		out[rssSum] += rss
	}
	return out, c.Ended()
}

// allServe asks each node for all topics, and each leader for its partitions.
func allServe(c *host.Cluster) error {
	if err := c.Ended(); err != nil {
		return final{err}
	}
	var v load.View
	for _, b := range c.Members {
		var err error
		if v, err = viewOf(b.Addr); err == nil {
			err = v.Whole(clusterSize, manyTopicCount*manyTopicPartitions)
		}
		if err != nil {
			return err
		}
	}
	return leadersServe(v)
}
