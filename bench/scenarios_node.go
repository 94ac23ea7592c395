package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os/exec"
	"time"

	"github.com/moldau-stream/moldau/bench/host"
	"github.com/moldau-stream/moldau/bench/load"
)

// Names of metrics of a whole node.
const (
	firstAckMs = "ms to the first ack"
	rssMB      = "RSS MB"
	wallMs     = "wall ms"
	cpuMs      = "CPU ms"
)

// nodeScenarios are about a node as a whole: its start, its memory, its tools.
func nodeScenarios() []*scenario {
	return []*scenario{
		{
			name: "start", title: "Exec to the first acknowledged produce", quick: true,
			how:     "a node with one topic of one partition is stopped and started; the driver connects and sends until it is acknowledged",
			measure: firstAckMs, columns: []string{firstAckMs, rssMB}, subjects: brokersOnly, run: startShape{topics: 1, partitions: 1}.run,
			targets: []target{{metric: firstAckMs, atMost: 50}},
		},
		{
			name: "start-100k", title: "The same with 100,000 partitions",
			how:     "100 topics of 1,000 partitions; a clean stop; the memory is read 3 s after the ack",
			measure: firstAckMs, columns: []string{firstAckMs, rssMB}, subjects: []kind{kindMoldau}, rounds: 3, run: startShape{topics: 100, partitions: 1000}.run,
			targets: []target{{metric: firstAckMs, atMost: 1000}, {metric: rssMB, atMost: 300}},
		},
		{
			name: "kill-10gb", title: "kill -9 with 10 GB of log, until it acknowledges again",
			how:     "4 partitions of 2.5 GB, killed under load; until each of them has acknowledged a produce; the page cache has survived, the node's memory has not",
			measure: firstAckMs, columns: []string{firstAckMs}, subjects: brokersOnly, rounds: 3, run: killed,
			targets: []target{{metric: firstAckMs, atMost: 300}},
		},
		{
			name: "rss-idle", title: "Memory, idle", quick: true,
			how:     "a fresh node, 3 s after its start",
			measure: rssMB, columns: []string{rssMB}, subjects: brokersOnly, rounds: 3, run: rssIdle,
			targets: []target{{metric: rssMB, atMost: 20}},
		},
		{
			name: "rss-load", title: "Memory under the load of produce-1m",
			how:     "the most that the kernel has seen of the process while 4 connections sent 1 MiB batches as fast as they could",
			measure: rssMB, columns: []string{rssMB, mbPerSecond}, subjects: brokersOnly, rounds: 3, run: rssLoad,
			targets: []target{{metric: rssMB, atMost: 120}},
		},
		{
			name: "rss-10k-connections", title: "Memory with 10,000 idle connections",
			how:     "each connection has made one request and waits",
			measure: rssMB, columns: []string{rssMB}, subjects: brokersOnly, rounds: 3, run: rssConnections,
			targets: []target{{metric: rssMB, atMost: 60}},
		},
		{
			name: "cli", title: "kafka-topics --list against a running node",
			how:     "exec to exit, each node with its own tool; not pinned",
			measure: wallMs, columns: []string{wallMs, cpuMs}, subjects: brokersOnly, run: cliTime,
			targets: []target{{metric: wallMs, atMost: 20}},
		},
		{
			name: "synced", title: "Synced acknowledgements, 16 producers",
			how:     "16 connections, depth 5, 16 KiB batches to 16 partitions; each round first from the page cache, then synced: moldau.flush.acks=true, and flush.messages=1 for Apache Kafka",
			measure: syncedShare, columns: []string{syncedShare, "synced MB/s", "unsynced MB/s", "synced CPU-s/GB", "synced p50 ms", "synced p99 ms"}, subjects: brokersOnly,
			warm: jvmWarmUp / 3, run: synced,
			targets: []target{{metric: syncedShare, atLeast: 0.5, more: true}},
		},
		{
			name: "compaction", title: "Compaction",
			how:        "400 MB of 1 KiB records under 50,000 keys in segments of 64 MiB, written with compaction held back; the CPU from its release until the log has stopped shrinking",
			unprofiled: true,
			measure:    cpuPerGB, columns: []string{cpuPerGB, "seconds", "MB after"}, subjects: brokersOnly, rounds: 3, warm: jvmWarmUp / 3, run: compaction,
			targets: []target{{metric: cpuPerGB, against: kindKafka, atLeast: 3}},
		},
	}
}

// startShape is a node that is stopped and started.
type startShape struct{ topics, partitions int }

// sleeper is a node that exists to be started.
type sleeper struct {
	b  *host.Broker
	id [16]byte
}

func (s startShape) run(e *env, x subject, r round) (metrics, error) {
	n, err := keep(e, fmt.Sprintf("start/%s/%d", x.name, s.topics*s.partitions), func() (sleeper, error) { return s.prepare(e, x) })
	if err != nil {
		return nil, err
	}
	n.b.Process.Stop()
	if err := n.b.Exec(); err != nil {
		return nil, err
	}
	took, err := firstAck(n.b, n.id, []int32{0})
	if err != nil {
		return nil, err
	}
	time.Sleep(restBeforeRSS)
	return metrics{firstAckMs: took.Seconds() * 1e3, rssMB: float64(host.Memory(n.b.Process.PID(), "VmRSS")) / 1e6}, nil
}

// restBeforeRSS lets a node that has started come to rest.
const restBeforeRSS = 3 * time.Second

func (s startShape) prepare(e *env, x subject) (sleeper, error) {
	b, err := e.broker(x, fmt.Sprintf("start-%d", s.topics*s.partitions), nil)
	if err != nil {
		return sleeper{}, err
	}
	c, err := load.NewClient(b.Addr)
	if err != nil {
		return sleeper{}, err
	}
	defer c.Close()
	n := sleeper{b: b}
	for i := range s.topics {
		if n.id, err = c.CreateTopic(fmt.Sprintf("start-%d", i), int32(s.partitions), nil); err != nil {
			return n, err
		}
	}
	return n, nil
}

// firstAck is how long after its exec a broker has acknowledged a produce to each partition.
func firstAck(b *host.Broker, id [16]byte, partitions []int32) (time.Duration, error) {
	batch := load.Batch(load.BatchShape{Records: 1, RecordBytes: 100}, 1)
	var c *load.Client
	for i := 0; i < len(partitions); {
		if b.Process.Ended() {
			return 0, fmt.Errorf("the broker ended: %s", b.Process.Tail())
		}
		if time.Since(b.Started) > 3*time.Minute {
			return 0, errors.New("the broker has acknowledged nothing in 3 minutes")
		}
		var err error
		if c == nil {
			if c, err = load.NewClient(b.Addr); err != nil {
				time.Sleep(500 * time.Microsecond)
				continue
			}
		}
		if err := c.Produce(id, partitions[i], batch); err != nil {
			if !load.Refused(err) {
				c.Close()
				c = nil
			}
			time.Sleep(500 * time.Microsecond)
			continue
		}
		i++
	}
	took := time.Since(b.Started)
	c.Close()
	return took, nil
}

// killedBytes is the log that a killed node finds.
const killedBytes = 10e9

func killed(e *env, x subject, r round) (metrics, error) {
	n, err := keep(e, "kill/"+x.name, func() (sleeper, error) {
		s, err := startShape{topics: 1, partitions: 4}.prepare(e, x)
		if err == nil {
			err = bulk(s, 4*time.Minute, killedBytes)
		}
		return s, err
	})
	if err != nil {
		return nil, err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- bulk(n, time.Minute, 0) }()
	time.Sleep(500 * time.Millisecond)
	n.b.Process.Kill()
	<-stopped // with the error of the connection's end
	if err := n.b.Exec(); err != nil {
		return nil, err
	}
	took, err := firstAck(n.b, n.id, []int32{0, 1, 2, 3})
	return metrics{firstAckMs: took.Seconds() * 1e3}, err
}

// bulk writes 1 MiB batches to the four partitions.
func bulk(n sleeper, length time.Duration, bytes int64) error {
	shape := produceShape{conns: 4, depth: 5, partitions: 4, batchBytes: mib, recordBytes: kib, perConn: true}
	d, err := load.Dial(n.b.Addr, shape.depth, shape.sources(subject{kind: kindMoldau}, n.id, shape.batch()))
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.Run(length, bytes)
	return err
}

func rssIdle(e *env, x subject, r round) (metrics, error) {
	b, err := e.broker(x, "rss", nil)
	if err != nil {
		return nil, err
	}
	defer e.drop(x, "rss")
	time.Sleep(restBeforeRSS)
	return metrics{rssMB: float64(host.Memory(b.Process.PID(), "VmRSS")) / 1e6}, nil
}

func rssLoad(e *env, x subject, r round) (metrics, error) {
	defer e.drop(x, "rss")
	shape := produceShape{conns: 4, depth: 5, partitions: 4, batchBytes: mib, recordBytes: kib, maxBytes: 2 * bulkBytes, perConn: true, variant: "rss"}
	m, err := shape.run(e, x, r)
	if err != nil {
		return nil, err
	}
	b, err := e.broker(x, "rss", nil)
	if err != nil {
		return nil, err
	}
	return metrics{rssMB: float64(host.Memory(b.Process.PID(), "VmHWM")) / 1e6, mbPerSecond: m[mbPerSecond]}, nil
}

// idleConnections is a large number of clients that have nothing to say.
const idleConnections = 10_000

func rssConnections(e *env, x subject, r round) (metrics, error) {
	b, err := e.broker(x, "rss", nil)
	if err != nil {
		return nil, err
	}
	defer e.drop(x, "rss")
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range idleConnections {
		c, err := load.NewClient(b.Addr)
		if err != nil {
			return nil, fmt.Errorf("after %d connections: %w", len(open), err)
		}
		open = append(open, c.Conn())
		if err := c.Hello(); err != nil {
			return nil, fmt.Errorf("after %d connections: %w", len(open), err)
		}
	}
	time.Sleep(restBeforeRSS)
	return metrics{rssMB: float64(host.Memory(b.Process.PID(), "VmRSS")) / 1e6}, nil
}

// cliRuns are made in a round of ours; a tool on the JVM gets one.
const cliRuns = 10

func cliTime(e *env, x subject, r round) (metrics, error) {
	b, err := e.broker(x, "", nil)
	if err != nil {
		return nil, err
	}
	runs := cliRuns
	command := func() *exec.Cmd { return exec.Command(x.binary, "topics", "--list", "--bootstrap-server", b.Addr) }
	if x.kind == kindKafka {
		runs = 1
		command = func() *exec.Cmd {
			return e.kafka.Command(-1, "256m", "org.apache.kafka.tools.TopicCommand", "--list", "--bootstrap-server", b.Addr)
		}
	}
	var wall, cpu []float64
	for range runs {
		cmd := command()
		start := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
		wall = append(wall, time.Since(start).Seconds()*1e3)
		cpu = append(cpu, (cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()).Seconds()*1e3)
	}
	return metrics{wallMs: median(wall), cpuMs: median(cpu)}, nil
}

const syncedShare = "synced / unsynced MB/s"

func synced(e *env, x subject, r round) (metrics, error) {
	shape := produceShape{conns: 16, depth: 5, partitions: 16, batchBytes: 16 * kib, recordBytes: kib, maxBytes: 2 * bulkBytes, perConn: true}
	quick, err := shape.run(e, x, r)
	if err != nil {
		return nil, err
	}
	shape.variant = "synced"
	shape.props = map[kind]map[string]string{kindMoldau: {"moldau.flush.acks": "true"}, kindKafka: {"log.flush.interval.messages": "1"}}
	sure, err := shape.run(e, x, r)
	if err != nil {
		return nil, err
	}
	return metrics{
		syncedShare: sure[mbPerSecond] / quick[mbPerSecond], "synced MB/s": sure[mbPerSecond], "unsynced MB/s": quick[mbPerSecond],
		"synced CPU-s/GB": sure[cpuPerGB], "synced p50 ms": sure[p50], "synced p99 ms": sure[p99],
	}, nil
}

const (
	compactBytes   = 400e6
	compactKeys    = 50_000
	compactTimeout = 90 * time.Second
)

func compaction(e *env, x subject, r round) (metrics, error) {
	b, err := e.broker(x, "compaction", map[string]string{"log.cleaner.backoff.ms": "500"})
	if err != nil {
		return nil, err
	}
	name, id, remove, err := e.topic(b, 1, map[string]string{"cleanup.policy": "compact", "segment.bytes": "67108864", "min.cleanable.dirty.ratio": "1.0"})
	if err != nil {
		return nil, err
	}
	defer remove()
	batches, err := keep(e, "compaction", func() ([][]byte, error) {
		var out [][]byte
		for i := range 64 {
			out = append(out, load.Batch(load.BatchShape{Records: 60, RecordBytes: kib, Repeat: 50, Keys: compactKeys}, uint64(i)))
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	var sources []load.Source
	for _, batch := range batches {
		sources = append(sources, load.NewProducer(id, []int32{0}, batch, 1, false))
	}
	d, err := load.Dial(b.Addr, 1, sources)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if _, err := d.Run(time.Minute, compactBytes); err != nil {
		return nil, err
	}
	c, err := load.NewClient(b.Addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	before, err := c.LogBytes(name, 1)
	if err != nil {
		return nil, err
	}
	cpu, start := newCPUMeter(b.Process.PID()), time.Now()
	if err := c.AlterTopic(name, map[string]string{"min.cleanable.dirty.ratio": "0.01", "segment.ms": "1000"}); err != nil {
		return nil, err
	}
	size, since := before, time.Now()
	used, took := 0.0, 0.0
	for {
		time.Sleep(200 * time.Millisecond)
		now, err := c.LogBytes(name, 1)
		if err != nil {
			return nil, err
		}
		if now != size {
			size, since = now, time.Now()
			used, took = cpu.used(), time.Since(start).Seconds()
		}
		if size < before/2 && time.Since(since) > 3*time.Second {
			break
		}
		if time.Since(start) > compactTimeout {
			return nil, fmt.Errorf("the log of %d bytes has %d after %s", before, size, compactTimeout)
		}
	}
	return metrics{cpuPerGB: used / (float64(before) / 1e9), "seconds": took, "MB after": math.Round(float64(size) / 1e6)}, nil
}
