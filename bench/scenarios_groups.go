package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/bench/host"
	"github.com/moldau-stream/moldau/bench/load"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	afterJoinMs = "ms after a join"
	afterKillMs = "ms after a kill"
	afterFirst  = "ms after the first answer"
	txnsPerSec  = "transactions/s"
	cpuPerTxn   = "broker CPU us/transaction"
)

// groupScenarios are about coordinators: groups that change, commits, transactions.
func groupScenarios() []*scenario {
	var out []*scenario
	for _, g := range []changeShape{{name: "eager"}, {name: "cooperative"}, {name: "consumer"}} {
		out = append(out, &scenario{
			name: "group-" + g.name, title: "One member more and one killed, 100 members, 1,000 partitions, " + g.title(),
			how: "a group of 100 members that read, and has not changed for 2 s; one joins, and 2 s later one of the 101 is killed without a goodbye, whose session ends after 6 s. Until the partitions are shared out again " +
				"and a record that was written to each of them after the change has been read; heartbeats every 500 ms, fetches wait as long",
			measure: afterJoinMs, columns: []string{afterJoinMs, afterKillMs, cpuMs}, subjects: brokersOnly, rounds: 3, unprofiled: true, run: g.run,
			targets: []target{{metric: afterJoinMs, against: kindKafka, atMost: 1}},
		})
	}
	return append(out,
		&scenario{
			name: "commits", title: "Offset commits, 16 connections, depth 5",
			how:     "each connection commits for a group of its own, one partition a request, a higher offset each time",
			measure: cpuPerReq, columns: []string{cpuPerReq, reqPerSec, p50, p99, allocs}, subjects: brokersOnly, rounds: 3, warm: jvmWarmUp / 3, run: commits,
			targets: []target{{metric: cpuPerReq, against: kindKafka, atLeast: 1}},
		},
		&scenario{
			name: "transactions", title: "Transactions of 100 records of 1 KiB, 8 producers",
			how:     "each producer begins, writes 100 records to a partition of its own, and commits, as fast as it goes",
			measure: cpuPerTxn, columns: []string{cpuPerTxn, txnsPerSec, p50, p99}, subjects: brokersOnly, rounds: 3, warm: jvmWarmUp / 3, unprofiled: true, run: transactions,
			targets: []target{{metric: cpuPerTxn, against: kindKafka, atLeast: 1}},
		},
		&scenario{
			name: "groups-10k", title: "A coordinator that was killed comes back with 10,000 groups",
			how:     "10,000 groups with an offset each, and ten commits of it, in one partition of __consumer_offsets; kill -9, start; from the first answer of the new process until it tells each group's offset; an answer that there is none does not count",
			measure: afterFirst, columns: []string{afterFirst, firstAckMs}, subjects: brokersOnly, rounds: 3, unprofiled: true, run: coordinatorLoad,
			targets: []target{{metric: afterFirst, atMost: 1000}},
		})
}

// changeShape is a group that changes.
type changeShape struct{ name string }

func (g changeShape) title() string {
	return map[string]string{"eager": "classic group, range", "cooperative": "classic group, cooperative-sticky", "consumer": "group of the consumer protocol (KIP-848)"}[g.name]
}

func (g changeShape) opts() []kgo.Opt {
	switch g.name {
	case "eager":
		return []kgo.Opt{kgo.Balancers(kgo.RangeBalancer()), kgo.SessionTimeout(changeSession)}
	case "cooperative":
		return []kgo.Opt{kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.SessionTimeout(changeSession)}
	}
	return []kgo.Opt{kgo.ServerSideBalancer()}
}

// changeSession is the least that brokers allow without being told.
const changeSession = 6 * time.Second

// changeProps let sessions end early and heartbeats come often, for both protocols.
func changeProps() map[string]string {
	return map[string]string{
		"group.initial.rebalance.delay.ms": "0", "group.consumer.min.session.timeout.ms": "6000", "group.consumer.session.timeout.ms": "6000",
		"group.consumer.min.heartbeat.interval.ms": "500", "group.consumer.heartbeat.interval.ms": "500",
	}
}

// changeRest is how long a group is left alone before it changes: a target of KIP-848 may be no younger than a second
// (consumer.assignment.interval.ms), which who comes together soon would have to wait out.
const changeRest = 2 * time.Second

func (g changeShape) run(e *env, x subject, r round) (metrics, error) {
	b, err := e.broker(x, "change", changeProps())
	if err != nil {
		return nil, err
	}
	topic, err := keep(e, "change/"+x.name, func() (string, error) {
		name, _, _, err := e.topic(b, joinPartitions, nil)
		return name, err
	})
	if err != nil {
		return nil, err
	}
	e.topics++
	c := &changing{shape: g, addr: b.Addr, topic: topic, group: fmt.Sprintf("bench-change-%d", e.topics), owner: make([]*reader, joinPartitions), news: make(chan struct{}, 1)}
	defer c.close()
	if c.writer, err = kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0)); err != nil {
		return nil, err
	}
	for range joinMembers {
		if err := c.join(); err != nil {
			return nil, err
		}
	}
	if _, err := c.settle(); err != nil {
		return nil, fmt.Errorf("the group does not come together: %w", err)
	}
	time.Sleep(changeRest)
	cpu, out := newCPUMeter(b.Process.PID()), metrics{}
	if err := c.join(); err != nil {
		return nil, err
	}
	took, err := c.settle()
	if err != nil {
		return nil, fmt.Errorf("after a join: %w", err)
	}
	out[afterJoinMs] = took.Seconds() * 1e3
	time.Sleep(changeRest)
	c.kill()
	if took, err = c.settle(); err != nil {
		return nil, fmt.Errorf("after a kill: %w", err)
	}
	out[afterKillMs], out[cpuMs] = took.Seconds()*1e3, cpu.used()*1e3
	return out, nil
}

// changing is a group, and what its members say of themselves.
type changing struct {
	shape  changeShape
	addr   string
	topic  string
	group  string
	writer *kgo.Client
	news   chan struct{} // something has changed

	mu      sync.Mutex
	readers []*reader
	owner   []*reader // by partition
	round   string    // value of the records that are waited for
	read    map[int32]bool
}

// reader is one member.
type reader struct {
	cl    *kgo.Client
	stop  context.CancelFunc
	ended chan struct{}
	has   int

	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

// dial is what a reader dials with: when it is killed its connections break, and it dials nobody any more.
func (r *reader) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && r.dead {
		conn.Close()
		err = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EPERM)}
	}
	if err != nil {
		return nil, err
	}
	r.conns = append(r.conns, conn)
	return conn, nil
}

func (c *changing) join() error {
	r := &reader{ended: make(chan struct{})}
	change := func(n int) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { c.change(r, n, parts[c.topic]) }
	}
	var err error
	r.cl, err = kgo.NewClient(append(c.shape.opts(), kgo.SeedBrokers(c.addr), kgo.Dialer(r.dial), kgo.ConsumerGroup(c.group), kgo.ConsumeTopics(c.topic), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.DisableAutoCommit(), kgo.FetchMaxWait(500*time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(change(1)), kgo.OnPartitionsRevoked(change(-1)), kgo.OnPartitionsLost(change(-1)))...)
	if err != nil {
		return fmt.Errorf("cannot make a client: %w", err)
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	c.mu.Lock()
	c.readers = append(c.readers, r)
	c.mu.Unlock()
	go func() {
		defer close(r.ended)
		for ctx.Err() == nil {
			c.got(r.cl.PollFetches(ctx))
		}
	}()
	return nil
}

func (c *changing) change(r *reader, n int, parts []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range parts {
		if n > 0 {
			c.owner[p] = r
		} else if c.owner[p] == r {
			c.owner[p] = nil
		}
	}
	r.has += n * len(parts)
	c.tell()
}

func (c *changing) got(fs kgo.Fetches) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fs.EachRecord(func(r *kgo.Record) {
		if string(r.Value) == c.round {
			c.read[r.Partition] = true
		}
	})
	c.tell()
}

func (c *changing) tell() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// kill ends one member as a crash does.
func (c *changing) kill() {
	c.mu.Lock()
	i := rand.IntN(len(c.readers))
	r := c.readers[i]
	c.readers = append(c.readers[:i], c.readers[i+1:]...)
	c.mu.Unlock()
	r.mu.Lock()
	r.dead = true
	for _, conn := range r.conns {
		conn.Close()
	}
	r.mu.Unlock()
	r.stop()
	<-r.ended
	r.cl.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, o := range c.owner { // whatever it believes
		if o == r {
			c.owner[p] = nil
		}
	}
}

// settle writes a record to each partition and waits until all are read and every partition has one owner, all members
// having their share.
func (c *changing) settle() (time.Duration, error) {
	start := time.Now()
	c.mu.Lock()
	c.round, c.read = strconv.FormatInt(start.UnixNano(), 10), map[int32]bool{}
	value := []byte(c.round)
	c.mu.Unlock()
	failed := make(chan error, 1)
	for p := range int32(joinPartitions) {
		c.writer.Produce(context.Background(), &kgo.Record{Partition: p, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	late := time.After(joinTimeout)
	for !c.settled() {
		select {
		case <-c.news:
		case err := <-failed:
			return 0, err
		case <-late:
			return 0, fmt.Errorf("after %s not all is read by members that have their share", joinTimeout)
		}
	}
	return time.Since(start), nil
}

func (c *changing) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.read) < joinPartitions {
		return false
	}
	for _, o := range c.owner {
		if o == nil {
			return false
		}
	}
	total, least := 0, joinPartitions/len(c.readers)
	for _, r := range c.readers {
		if total += r.has; r.has < least {
			return false
		}
	}
	return total == joinPartitions
}

func (c *changing) close() {
	if c.writer != nil {
		c.writer.Close()
	}
	var all sync.WaitGroup
	for _, r := range c.readers {
		r.stop()
		all.Go(r.cl.Close)
	}
	all.Wait()
}

// commitConns is how many connections commit, depth how many commits are under way on each.
const commitConns, commitDepth = 16, 5

func commits(e *env, x subject, r round) (metrics, error) {
	b, err := e.broker(x, "", nil)
	if err != nil {
		return nil, err
	}
	name, _, remove, err := e.topic(b, commitConns, nil)
	if err != nil {
		return nil, err
	}
	defer remove()
	var sources []load.Source
	for i := range commitConns {
		group := fmt.Sprintf("bench-commits-%d", i)
		if err := awaitCoordinator(b.Addr, group, name); err != nil {
			return nil, err
		}
		sources = append(sources, load.NewCommitter(group, name, int32(i)))
	}
	d, err := load.Dial(b.Addr, commitDepth, sources)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if _, err := d.Run(r.length/5, 0); err != nil {
		return nil, err
	}
	return e.loadRound(only(b), d, r.length, 0, r.profile)
}

// awaitCoordinator commits once, as soon as that works: the topic of offsets is made when somebody asks for a coordinator.
func awaitCoordinator(addr, group, topic string) error {
	c, err := load.NewClient(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for end := time.Now().Add(joinTimeout); ; time.Sleep(20 * time.Millisecond) {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.Version, find.CoordinatorKeys = 4, []string{group}
		if _, err := c.Call(find); err != nil {
			return err
		}
		resp, err := c.Call(load.CommitRequest(group, topic, 0, 0))
		if err != nil {
			return err
		}
		err = kerr.ErrorForCode(resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("cannot commit for group %s: %w", group, err)
		}
	}
}

const (
	txnProducers = 8
	txnRecords   = 100
)

func transactions(e *env, x subject, r round) (metrics, error) {
	b, err := e.broker(x, "", nil)
	if err != nil {
		return nil, err
	}
	name, _, remove, err := e.topic(b, txnProducers, nil)
	if err != nil {
		return nil, err
	}
	defer remove()
	var clients []*kgo.Client
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for i := range txnProducers {
		c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.TransactionalID(fmt.Sprintf("bench-%s-%d", x.name, i)), kgo.DefaultProduceTopic(name),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
	}
	if _, err := transact(clients, r.length/5); err != nil { // ids are given, coordinators found
		return nil, err
	}
	cpu, start := newCPUMeter(b.Process.PID()), time.Now()
	took, err := transact(clients, r.length)
	if err != nil {
		return nil, err
	}
	n, out := float64(len(took)), metrics{}
	out[cpuPerTxn], out[txnsPerSec] = cpu.used()/n*1e6, n/time.Since(start).Seconds()
	percentiles(out, took)
	return out, nil
}

// transact has each client commit transactions for so long, and says how long each took.
func transact(clients []*kgo.Client, length time.Duration) ([]time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	payload := make([]byte, kib)
	ctx, cancel := context.WithTimeout(context.Background(), length+joinTimeout)
	defer cancel()
	until := time.Now().Add(length)
	for i, c := range clients {
		wg.Go(func() {
			var took []time.Duration
			var err error
			for err == nil && time.Now().Before(until) {
				start := time.Now()
				if err = c.BeginTransaction(); err != nil {
					break
				}
				for range txnRecords {
					c.Produce(ctx, &kgo.Record{Partition: int32(i), Value: payload}, nil)
				}
				if err = c.Flush(ctx); err == nil {
					err = c.EndTransaction(ctx, kgo.TryCommit)
				}
				took = append(took, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, took...), errors.Join(failed, err)
		})
	}
	wg.Wait()
	if failed == nil && len(all) == 0 {
		failed = errors.New("no transaction was committed")
	}
	return all, failed
}

const (
	loadGroups = 10_000
	// loadCommits is how often each of them has committed.
	loadCommits = 10
	// loadAsk is how many groups are asked for at once.
	loadAsk = 500
)

// manyGroups is a broker that exists to be killed.
type manyGroups struct {
	b     *host.Broker
	topic string
}

func coordinatorLoad(e *env, x subject, r round) (metrics, error) {
	m, err := keep(e, "groups-10k/"+x.name, func() (manyGroups, error) { return prepareGroups(e, x) })
	if err != nil {
		return nil, err
	}
	m.b.Process.Kill()
	start := time.Now()
	if err := m.b.Exec(); err != nil {
		return nil, err
	}
	if err := m.b.AwaitPort(); err != nil {
		return nil, err
	}
	c, err := load.NewClient(m.b.Addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.Hello(); err != nil {
		return nil, err
	}
	first := time.Now()
	for from := 0; from < loadGroups; {
		ok, err := m.told(c, from)
		if err != nil {
			return nil, err
		}
		if ok {
			from += loadAsk
		} else if time.Since(first) > joinTimeout {
			return nil, fmt.Errorf("the offsets are not told after %s", joinTimeout)
		} else {
			time.Sleep(time.Millisecond)
		}
	}
	return metrics{afterFirst: time.Since(first).Seconds() * 1e3, firstAckMs: first.Sub(start).Seconds() * 1e3}, nil
}

func groupName(i int) string { return fmt.Sprintf("bench-group-of-many-%05d", i) }

func prepareGroups(e *env, x subject) (manyGroups, error) {
	b, err := e.broker(x, "groups-10k", map[string]string{"offsets.topic.num.partitions": "1"})
	if err != nil {
		return manyGroups{}, err
	}
	m := manyGroups{b: b}
	if m.topic, _, _, err = e.topic(b, 1, nil); err != nil {
		return m, err
	}
	if err := awaitCoordinator(b.Addr, groupName(0), m.topic); err != nil {
		return m, err
	}
	c, err := load.NewClient(b.Addr)
	if err != nil {
		return m, err
	}
	defer c.Close()
	for offset := range int64(loadCommits) {
		for i := range loadGroups {
			resp, err := c.Call(load.CommitRequest(groupName(i), m.topic, 0, offset+1))
			if err != nil {
				return m, err
			}
			if err := kerr.ErrorForCode(resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode); err != nil {
				return m, fmt.Errorf("cannot commit for %s: %w", groupName(i), err)
			}
		}
	}
	return m, nil
}

// told asks for the offsets of some groups; false: the coordinator is not ready. A wrong offset is an error.
func (m manyGroups) told(c *load.Client, from int) (bool, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version = 8
	for i := range loadAsk {
		g := kmsg.NewOffsetFetchRequestGroup()
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		g.Group, t.Topic, t.Partitions = groupName(from+i), m.topic, []int32{0}
		g.Topics = append(g.Topics, t)
		req.Groups = append(req.Groups, g)
	}
	resp, err := c.Call(req)
	if err != nil {
		return false, err
	}
	for _, g := range resp.(*kmsg.OffsetFetchResponse).Groups {
		if g.ErrorCode != 0 {
			return false, nil
		}
		p := g.Topics[0].Partitions[0]
		if p.ErrorCode != 0 {
			return false, nil
		}
		if p.Offset < 0 { // Apache Kafka may answer so before it has loaded
			return false, nil
		}
		if p.Offset != loadCommits {
			return false, fmt.Errorf("group %s has offset %d, not %d", g.Group, p.Offset, loadCommits)
		}
	}
	return true, nil
}
