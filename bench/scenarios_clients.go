package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/bench/load"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	assignedMs   = "ms to the last assignment"
	recordsPerS  = "records/s"
	cpuPerRecord = "broker CPU us/record"
)

// clientScenarios are those in which whole clients take part.
func clientScenarios() []*scenario {
	out := []*scenario{
		{
			name: "join-eager", title: "Join of 100 consumers, 1,000 partitions, classic group, range",
			how:     "100 clients start at once; until all partitions are assigned and every client has its part; group.initial.rebalance.delay.ms=0, heartbeats every 100 ms",
			measure: assignedMs, columns: []string{assignedMs, cpuMs}, subjects: brokersOnly, rounds: 3, run: joinShape{}.run,
			targets: []target{{metric: assignedMs, atMost: 1000}},
		},
		{
			name: "join-cooperative", title: "Join of 100 consumers, 1,000 partitions, classic group, cooperative-sticky",
			how:     "as before",
			measure: assignedMs, columns: []string{assignedMs, cpuMs}, subjects: brokersOnly, rounds: 3, run: joinShape{cooperative: true}.run,
			targets: []target{{metric: assignedMs, atMost: 1000}},
		},
	}
	for _, rate := range []int{1, 10, 50} {
		out = append(out, &scenario{
			name: fmt.Sprintf("e2e-%dmb", rate), title: fmt.Sprintf("Latency from producer to consumer at %d MB/s", rate),
			how:     "1 KiB records, a batch every millisecond by the clock, acks=1; from the instant at which the batch was due until a long-polling consumer has it",
			measure: p99, columns: []string{p50, p99, p999}, subjects: brokersOnly, rounds: 3, warm: jvmWarmUp / 3, run: latencyShape{mbPerSecond: rate}.run,
		})
	}
	for _, size := range []int{100, 1024} {
		for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
			p := perfShape{recordBytes: size, codec: codec}
			out = append(out,
				&scenario{
					name: fmt.Sprintf("perf-produce-%d-%s", size, codec), title: fmt.Sprintf("kafka-producer-perf-test, %d bytes, %s", size, codec),
					how:     "our tool against both, acks=1, as fast as it goes",
					measure: cpuPerRecord, columns: []string{cpuPerRecord, recordsPerS, mbPerSecond, p99}, subjects: brokersOnly, rounds: 3, warm: jvmWarmUp / 5, run: p.produce,
				},
				&scenario{
					name: fmt.Sprintf("perf-consume-%d-%s", size, codec), title: fmt.Sprintf("kafka-consumer-perf-test, %d bytes, %s", size, codec),
					how:     "our tool against both",
					measure: cpuPerRecord, columns: []string{cpuPerRecord, recordsPerS, mbPerSecond}, subjects: brokersOnly, rounds: 3, warm: jvmWarmUp / 5, run: p.consume,
				})
		}
	}
	return out
}

// joinShape is a group that comes together.
type joinShape struct{ cooperative bool }

const (
	joinMembers    = 100
	joinPartitions = 1000
	joinTimeout    = 60 * time.Second
)

func (j joinShape) run(e *env, x subject, r round) (metrics, error) {
	b, err := e.broker(x, "join", map[string]string{"group.initial.rebalance.delay.ms": "0"})
	if err != nil {
		return nil, err
	}
	topic, err := keep(e, "join/"+x.name, func() (string, error) {
		name, _, _, err := e.topic(b, joinPartitions, nil)
		return name, err
	})
	if err != nil {
		return nil, err
	}
	e.topics++
	group := fmt.Sprintf("bench-group-%d", e.topics)
	a := &assigned{has: make([]int, joinMembers), done: make(chan struct{})}
	var balancer kgo.GroupBalancer = kgo.RangeBalancer()
	if j.cooperative {
		balancer = kgo.CooperativeStickyBalancer()
	}
	var clients []*kgo.Client
	defer func() {
		var all sync.WaitGroup
		for _, c := range clients {
			all.Go(c.Close)
		}
		all.Wait()
	}()
	cpu, start := newCPUMeter(b.Process.PID()), time.Now()
	for i := range joinMembers {
		c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(balancer),
			kgo.HeartbeatInterval(100*time.Millisecond), kgo.DisableAutoCommit(), kgo.FetchMaxWait(5*time.Second),
			kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { a.add(i, len(m[topic])) }),
			kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { a.add(i, -len(m[topic])) }),
			kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { a.add(i, -len(m[topic])) }))
		if err != nil {
			return nil, fmt.Errorf("cannot make a client: %w", err)
		}
		clients = append(clients, c)
	}
	select {
	case <-a.done:
	case <-time.After(joinTimeout):
		return nil, fmt.Errorf("after %s not every member has its part", joinTimeout)
	}
	return metrics{assignedMs: a.at.Sub(start).Seconds() * 1e3, cpuMs: cpu.used() * 1e3}, nil
}

// assigned watches who has how many partitions.
type assigned struct {
	mu   sync.Mutex
	has  []int // by member
	done chan struct{}
	at   time.Time // guarded by mu; when all were assigned
}

func (a *assigned) add(member, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.has[member] += n
	for _, n := range a.has {
		if n != joinPartitions/joinMembers {
			return
		}
	}
	if a.at.IsZero() {
		a.at = time.Now()
		close(a.done)
	}
}

// latencyShape is a steady stream from a producer to a consumer.
type latencyShape struct{ mbPerSecond int }

func (l latencyShape) run(e *env, x subject, r round) (metrics, error) {
	b, err := e.broker(x, "", nil)
	if err != nil {
		return nil, err
	}
	_, id, remove, err := e.topic(b, 1, nil)
	if err != nil {
		return nil, err
	}
	defer remove()
	batch := load.Batch(load.BatchShape{Records: max(1, l.mbPerSecond*1000/kib), RecordBytes: kib}, 1)
	lat, err := load.Latency(b.Addr, id, batch, time.Millisecond, r.length)
	if err != nil {
		return nil, err
	}
	out := metrics{}
	percentiles(out, lat)
	return out, nil
}

// perfShape is a run of Kafka's performance tools, of our making.
type perfShape struct {
	recordBytes int
	codec       string
}

// perfBytes is what one run moves.
const perfBytes = 200 << 20

func (p perfShape) records() int { return perfBytes / p.recordBytes }

var (
	producerLine = regexp.MustCompile(`([\d.]+) records/sec \(([\d.]+) MB/sec\).* ([\d.]+) ms 99th`)
	errNoTool    = errors.New("this build has no such tool")
)

func (p perfShape) produce(e *env, x subject, r round) (metrics, error) {
	b, err := e.broker(x, "", nil)
	if err != nil {
		return nil, err
	}
	name, _, remove, err := e.topic(b, 4, nil)
	if err != nil {
		return nil, err
	}
	defer remove()
	cpu := newCPUMeter(b.Process.PID())
	out, err := p.tool(e, "producer-perf-test", p.produceArgs(name, b.Addr)...)
	if err != nil {
		return nil, err
	}
	used := cpu.used()
	all := producerLine.FindAllStringSubmatch(out, -1)
	if len(all) == 0 {
		return nil, fmt.Errorf("cannot read the tool's output: %s", out)
	}
	last := all[len(all)-1]
	m := metrics{cpuPerRecord: used / float64(p.records()) * 1e6}
	for i, name := range []string{recordsPerS, mbPerSecond, p99} {
		m[name], _ = strconv.ParseFloat(last[i+1], 64)
	}
	return m, nil
}

func (p perfShape) produceArgs(topic, addr string) []string {
	return []string{"--topic", topic, "--num-records", strconv.Itoa(p.records()), "--record-size", strconv.Itoa(p.recordBytes), "--throughput", "-1",
		"--producer-props", "bootstrap.servers=" + addr, "acks=1", "compression.type=" + p.codec}
}

func (p perfShape) consume(e *env, x subject, r round) (metrics, error) {
	b, err := e.broker(x, "", nil)
	if err != nil {
		return nil, err
	}
	topic, err := keep(e, fmt.Sprintf("perf/%s/%d/%s", x.name, p.recordBytes, p.codec), func() (string, error) {
		name, _, _, err := e.topic(b, 4, nil)
		if err == nil {
			_, err = p.tool(e, "producer-perf-test", p.produceArgs(name, b.Addr)...)
		}
		return name, err
	})
	if err != nil {
		return nil, err
	}
	e.topics++
	cpu := newCPUMeter(b.Process.PID())
	out, err := p.tool(e, "consumer-perf-test", "--topic", topic, "--bootstrap-server", b.Addr, "--messages", strconv.Itoa(p.records()*9/10), "--group", fmt.Sprintf("bench-perf-%d", e.topics), "--hide-header")
	if err != nil {
		return nil, err
	}
	used := cpu.used()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	f := strings.Split(lines[len(lines)-1], ", ")
	if len(f) < 6 {
		return nil, fmt.Errorf("cannot read the tool's output: %s", out)
	}
	m := metrics{}
	read, _ := strconv.ParseFloat(f[4], 64)
	m[mbPerSecond], _ = strconv.ParseFloat(f[3], 64)
	m[recordsPerS], _ = strconv.ParseFloat(f[5], 64)
	m[cpuPerRecord] = used / max(read, 1) * 1e6
	return m, nil
}

// tool runs one of our tools. The driver's binary is the one that is measured.
func (p perfShape) tool(e *env, name string, args ...string) (string, error) {
	names, err := exec.Command(e.opts.moldau, "tool-names").Output()
	if err != nil || !bytes.Contains(names, []byte("kafka-"+name)) {
		return "", errNoTool
	}
	out, err := exec.Command(e.opts.moldau, append([]string{name}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kafka-%s: %w: %s", name, err, out)
	}
	return string(out), nil
}
