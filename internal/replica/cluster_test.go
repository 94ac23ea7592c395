package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// cluster is several replica managers over real storage on memory disks, joined by a network in memory and a small
// controller. Everything happens on the goroutine that moves the fake clock, so that a seed replays its run.
type cluster struct {
	t     *testing.T
	fake  *clock.Fake
	rng   *rand.Rand
	nodes []*node // node i has id i+1
	ctl   *ctl

	minISR   int
	flush    bool
	flaws    flaws
	settings Settings
	throttle ThrottledReplicas
	seen     func(*kmsg.FetchRequest)
	looked   int // partitions that fetches have looked at

	cut    map[[2]int32]bool // links over which nothing passes; 0 is the controller
	jitter time.Duration     // links and the metadata take up to this longer than they must
	slow   map[int32]time.Duration

	partitions int32
	committed  map[int32][]string // by partition: what somebody has seen committed, by offset
	acked      map[int32]map[int64]string
	leaders    map[[2]int32]int32 // by partition and leader epoch
	produced   int
	nAcked     int
	broken     string // the first violation
}

// node is one broker; inc rises with each start, and whatever an older incarnation has begun comes to nothing.
type node struct {
	c        *cluster
	id       int32
	inc      int
	up       bool
	lost     bool // what was not synced, when it went down
	paused   bool
	held     []func()
	mem      *vfs.Mem
	logs     *storage.Manager
	m        *Manager
	epoch    int64
	fedAt    time.Time // when the last metadata arrives
	fedTo    int64
	feed     []step // the metadata on its way
	sessions map[int32]*simSession
	marks    map[[2]int32]int64 // highest watermark seen, by partition and leader epoch
}

// simSession is the leader's half of KIP-227, in small.
type simSession struct {
	epoch int32
	wants map[isrKey]*simWant
	watch *Session // nil: the request stands alone
}

type simWant struct {
	key   isrKey
	want  kmsg.FetchRequestTopicPartition
	watch *Watch
}

var simTopic = [16]byte{7}

const simName = "t"

func newCluster(t *testing.T, seed uint64, n int, change func(*cluster)) *cluster {
	c := &cluster{
		t: t, fake: clock.NewFake(time.UnixMilli(1_700_000_000_000)), rng: rand.New(rand.NewPCG(seed, 1)),
		minISR: 2, partitions: 1, settings: DefaultSettings(), cut: map[[2]int32]bool{}, slow: map[int32]time.Duration{},
		committed: map[int32][]string{}, acked: map[int32]map[int64]string{}, leaders: map[[2]int32]int32{},
	}
	c.settings.FetchWaitMax, c.settings.FetchBackoff, c.settings.LagTimeMax = 100*time.Millisecond, 200*time.Millisecond, 2*time.Second
	if change != nil {
		change(c)
	}
	c.ctl = &ctl{c: c, img: meta.NewImage()}
	for i := range n {
		nd := &node{c: c, id: int32(i + 1), mem: vfs.NewMem()}
		must(t, nd.mem.MkdirAll("/d", 0o755))
		must(t, storage.WriteMetaProperties(nd.mem, "/d", storage.MetaProperties{ClusterID: "c", NodeID: nd.id, DirectoryID: [16]byte{9}}))
		nd.mem = nd.mem.KillClone()
		c.nodes = append(c.nodes, nd)
	}
	t.Cleanup(func() {
		for _, nd := range c.nodes {
			nd.kill()
		}
	})
	for _, nd := range c.nodes {
		nd.start(false)
	}
	c.run(50 * time.Millisecond)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) topicConfig() TopicConfig {
	return TopicConfig{Log: storage.DefaultLogConfig(), MinISR: c.minISR, LeaderThrottled: c.throttle, FollowerThrottled: c.throttle}
}

func (c *cluster) node(id int32) *node { return c.nodes[id-1] }

// create makes the topic, with all partitions on the named brokers; the first leads.
func (c *cluster) create(replicas ...int32) {
	records := []meta.Record{&meta.TopicRecord{Name: simName, TopicID: simTopic}}
	for i := range c.partitions {
		records = append(records, &meta.PartitionRecord{
			PartitionID: i, TopicID: simTopic, Replicas: replicas, ISR: replicas, Leader: replicas[int(i)%len(replicas)],
		})
	}
	c.ctl.apply(records...)
	c.run(100 * time.Millisecond)
}

// run lets time pass.
func (c *cluster) run(d time.Duration) { c.fake.Advance(d) }

func (c *cluster) violated(format string, args ...any) {
	if c.broken == "" {
		c.broken = fmt.Sprintf(format, args...)
	}
}

// nodeClock is the clock as one incarnation of a node sees it.
type nodeClock struct {
	n   *node
	inc int
}

func (k nodeClock) Now() time.Time { return k.n.c.fake.Now() }

func (k nodeClock) AfterFunc(d time.Duration, f func()) clock.Timer {
	return k.n.c.fake.AfterFunc(d, func() { k.n.do(k.inc, f) })
}

// do runs f unless the node has died since; while it is stopped, f waits.
func (n *node) do(inc int, f func()) {
	switch {
	case n.inc != inc || !n.up:
	case n.paused:
		n.held = append(n.held, func() { n.do(inc, f) })
	default:
		f()
	}
}

func (n *node) resume() {
	n.paused = false
	held := n.held
	n.held = nil
	for _, f := range held {
		f()
	}
}

// start opens what is on the disk and registers. unclean says that what was not synced is lost.
func (n *node) start(unclean bool) {
	n.inc++
	n.up, n.paused, n.held = true, false, nil
	inc, c := n.inc, n.c
	k := nodeClock{n, inc}
	logs, err := storage.OpenManager(storage.ManagerOptions{
		FS: n.mem, Clock: k, Dirs: []string{"/d"}, NodeID: -1, DefaultConfig: storage.DefaultLogConfig(),
	})
	must(c.t, err)
	n.logs, n.sessions, n.marks = logs, map[int32]*simSession{}, map[[2]int32]int64{}
	n.m = NewManager(Config{
		NodeID: n.id, Logs: logs, Clock: k, Logger: slog.New(slog.DiscardHandler), FlushAcks: c.flush,
		TopicConfig:         func(*meta.Image, string) TopicConfig { return c.topicConfig() },
		InterBrokerListener: "B", Settings: c.settings, BrokerEpoch: func() int64 { return n.epoch },
		Dial:       func(broker int32, _ string) Peer { return &simPeer{n: n, inc: inc, to: broker} },
		Controller: toCtl{n, inc},
	})
	n.m.flaws = c.flaws
	n.m.spawn = func(fn func()) { k.AfterFunc(0, fn) }
	n.m.awaitSync = func(log *storage.Log, offset int64, fn func(error)) {
		k.AfterFunc(c.delay(n.id, n.id), func() {
			if err := log.Flush(); err != nil {
				fn(err)
				return
			}
			log.AwaitSync(min(offset, log.FlushedOffset()), fn)
		})
	}
	n.fedAt = c.fake.Now()
	c.ctl.register(n, unclean)
}

// kill ends the node at once; its disk stays as the page cache has it.
func (n *node) kill() {
	if !n.up {
		return
	}
	n.up, n.lost = false, false
	mem := n.mem.KillClone()
	n.m.isr.stop()
	_ = n.logs.Close(false)
	n.mem = mem
}

// cutPower ends the node and loses what was not synced, or, with torn, some of it.
func (n *node) cutPower(torn bool) {
	if !n.up {
		return
	}
	n.up, n.lost = false, true
	mem := n.mem.CrashClone()
	if torn {
		mem = n.mem.TornClone(n.c.rng)
	}
	n.m.isr.stop()
	_ = n.logs.Close(false)
	n.mem = mem
}

// delay is how long a message takes.
func (c *cluster) delay(from, to int32) time.Duration {
	d := time.Millisecond
	if c.jitter > 0 {
		d += time.Duration(c.rng.Int64N(int64(c.jitter)))
	}
	return d + c.slow[from] + c.slow[to]
}

const simTimeout = 500 * time.Millisecond

// simPeer is a connection; answers and requests keep their order.
type simPeer struct {
	n      *node
	inc    int
	to     int32
	closed bool
	there  time.Time // when the last request arrives
	back   time.Time
}

func (p *simPeer) Close() { p.closed = true }

var errLost = errors.New("connection lost")

func (p *simPeer) Do(req kmsg.Request, done func(kmsg.Response, error)) {
	c := p.n.c
	over := false
	finish := func(r kmsg.Response, err error) {
		p.n.do(p.inc, func() {
			if !over {
				over = true
				if p.closed {
					r, err = nil, errLost
				}
				done(r, err)
			}
		})
	}
	raw, version := req.AppendTo(nil), req.GetVersion()
	c.fake.AfterFunc(simTimeout, func() { finish(nil, errLost) })
	p.there = later(p.there, c.fake.Now().Add(c.delay(p.n.id, p.to)))
	c.fake.AfterFunc(p.there.Sub(c.fake.Now()), func() {
		to := c.node(p.to)
		if c.cut[[2]int32{p.n.id, p.to}] {
			return // lost: the reader's patience ends it
		}
		if !to.up {
			finish(nil, errLost)
			return
		}
		inc := to.inc
		to.do(inc, func() {
			to.serve(req.Key(), version, raw, func(resp kmsg.Response) {
				answer := resp.AppendTo(nil)
				p.back = later(p.back, c.fake.Now().Add(c.delay(p.to, p.n.id)))
				c.fake.AfterFunc(p.back.Sub(c.fake.Now()), func() {
					if c.cut[[2]int32{p.to, p.n.id}] {
						return
					}
					got := req.ResponseKind()
					got.SetVersion(version)
					if err := got.ReadFrom(answer); err != nil {
						c.violated("an answer cannot be read: %v", err)
					}
					finish(got, nil)
				})
			})
		})
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// serve is what package broker does with a replica's requests, in small.
func (n *node) serve(key, version int16, raw []byte, reply func(kmsg.Response)) {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	must(n.c.t, req.ReadFrom(raw))
	switch r := req.(type) {
	case *kmsg.FetchRequest:
		n.serveFetch(r, reply)
	case *kmsg.ListOffsetsRequest:
		resp := r.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range r.Topics {
			out := kmsg.NewListOffsetsResponseTopic()
			out.Topic = t.Topic
			for _, w := range t.Partitions {
				p := kmsg.NewListOffsetsResponseTopicPartition()
				found, err := n.m.ListOffset(tp(t.Topic, w.Partition), w.Timestamp, ReadLogEnd, w.CurrentLeaderEpoch)
				p.Partition, p.ErrorCode, p.Offset = w.Partition, simCode(err), found.Offset
				out.Partitions = append(out.Partitions, p)
			}
			resp.Topics = append(resp.Topics, out)
		}
		reply(resp)
	}
}

// session finds what is to be read.
func (n *node) session(r *kmsg.FetchRequest) (*simSession, int32, int16) {
	s := &simSession{wants: map[isrKey]*simWant{}}
	id := int32(0)
	switch {
	case r.SessionEpoch == 0:
		if old := n.sessions[r.SessionID]; old != nil {
			old.watch.Close()
			delete(n.sessions, r.SessionID)
		}
		id = int32(len(n.sessions)) + n.c.rng.Int32N(1<<20) + 1
		n.sessions[id] = s
		s.epoch, s.watch = 1, NewSession()
	case r.SessionEpoch > 0:
		id = r.SessionID
		if s = n.sessions[id]; s == nil {
			return nil, 0, kerr.FetchSessionIDNotFound.Code
		}
		if s.epoch != r.SessionEpoch {
			return nil, 0, kerr.InvalidFetchSessionEpoch.Code
		}
		s.epoch++
	}
	s.update(r)
	return s, id, 0
}

// update takes over what a request names.
func (s *simSession) update(r *kmsg.FetchRequest) {
	for _, t := range r.Topics {
		for _, w := range t.Partitions {
			k := isrKey{t.TopicID, w.Partition}
			x := s.wants[k]
			switch {
			case x == nil:
				x = &simWant{key: k}
				s.wants[k] = x
				if s.watch != nil {
					x.watch = s.watch.Watch(x)
				}
			case s.watch != nil:
				x.watch.Want()
			}
			x.want = w
		}
	}
	for _, t := range r.ForgottenTopics {
		for _, w := range t.Partitions {
			k := isrKey{t.TopicID, w}
			if x := s.wants[k]; x != nil && x.watch != nil {
				x.watch.Forget()
			}
			delete(s.wants, k)
		}
	}
}

// due is what a request reads: in a session what has something to tell.
func (s *simSession) due() (out []*simWant) {
	if s.watch != nil {
		return owners(s.watch.Take())
	}
	for _, x := range s.wants {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b *simWant) int { return compareKeys(a.key, b.key) })
	return out
}

func owners(due []*Watch) (out []*simWant) {
	for _, w := range due {
		out = append(out, w.Owner.(*simWant))
	}
	return out
}

func (n *node) serveFetch(r *kmsg.FetchRequest, reply func(kmsg.Response)) {
	if n.c.seen != nil {
		n.c.seen(r)
	}
	resp := r.ResponseKind().(*kmsg.FetchResponse)
	s, id, code := n.session(r)
	if resp.ErrorCode = code; code != 0 {
		reply(resp)
		return
	}
	resp.SessionID = id
	var parts []FetchPart
	var keys []isrKey
	add := func(wants []*simWant) {
		n.c.looked += len(wants)
		for _, x := range wants {
			keys, parts = append(keys, x.key), append(parts, n.part(x))
		}
	}
	add(s.due())
	spec := FetchSpec{MaxWait: time.Duration(r.MaxWaitMillis) * time.Millisecond, MinBytes: int64(r.MinBytes), MaxBytes: int64(r.MaxBytes),
		Isolation: ReadLogEnd, FromReplica: true, Replica: r.ReplicaState.ID, ReplicaEpoch: r.ReplicaState.Epoch, Session: s.watch,
		More: func(due []*Watch) []FetchPart { add(owners(due)); return parts }}
	n.m.Fetch(spec, parts, func() {
		for i := range parts {
			resp.Topics = append(resp.Topics, n.answer(keys[i], &parts[i]))
		}
		reply(resp)
	})
}

func (n *node) part(x *simWant) FetchPart {
	w := x.want
	f := FetchPart{TopicID: x.key.topicID, Offset: w.FetchOffset, MaxBytes: int64(w.PartitionMaxBytes), Watch: x.watch,
		LeaderEpoch: w.CurrentLeaderEpoch, LastFetchedEpoch: w.LastFetchedEpoch, ReplicaStart: w.LogStartOffset}
	img := n.m.image.Load()
	if img == nil || img.TopicByID(x.key.topicID) == nil {
		f.Err = ErrUnknownTopicID
		return f
	}
	f.TP = tp(img.TopicByID(x.key.topicID).Name, x.key.partition)
	return f
}

func (n *node) answer(k isrKey, f *FetchPart) kmsg.FetchResponseTopic {
	t := kmsg.NewFetchResponseTopic()
	t.TopicID = k.topicID
	p := kmsg.NewFetchResponseTopicPartition()
	p.Partition, p.ErrorCode, p.HighWatermark, p.LogStartOffset = k.partition, simCode(f.Err), f.HighWatermark, f.LogStartOffset
	if f.Diverging != nil {
		p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = f.Diverging.Epoch, f.Diverging.EndOffset
	}
	if f.Slice != nil {
		b, err := f.Slice.Bytes()
		must(n.c.t, err)
		p.RecordBatches = b
		f.Slice.Release()
	}
	t.Partitions = append(t.Partitions, p)
	return t
}

func simCode(err error) int16 {
	for _, c := range []struct {
		err  error
		kafk *kerr.Error
	}{
		{ErrUnknownTopicOrPartition, kerr.UnknownTopicOrPartition}, {ErrUnknownTopicID, kerr.UnknownTopicID},
		{ErrInconsistentTopicID, kerr.InconsistentTopicID}, {ErrFencedLeaderEpoch, kerr.FencedLeaderEpoch},
		{ErrUnknownLeaderEpoch, kerr.UnknownLeaderEpoch}, {storage.ErrOffsetOutOfRange, kerr.OffsetOutOfRange},
	} {
		if errors.Is(err, c.err) {
			return c.kafk.Code
		}
	}
	if err != nil {
		return kerr.NotLeaderForPartition.Code
	}
	return 0
}

// produce sends one record with acks -1 to a node and notes what became of it.
func (c *cluster) produce(to int32, partition int32) *Append {
	n := c.node(to)
	if !n.up || n.paused {
		return nil
	}
	c.produced++
	value, inc := fmt.Sprintf("v%d", c.produced), n.inc
	parts := []Append{{TP: tp(simName, partition), Batches: batch(value)}}
	n.m.Produce(parts, -1, 2*time.Second, func() {
		if n.inc != inc || !n.up || parts[0].Err != nil {
			return
		}
		c.ack(n, partition, parts[0].Info.FirstOffset, value)
	})
	return &parts[0]
}

// ack notes an acknowledgement: the record must be committed now, for good.
func (c *cluster) ack(n *node, partition int32, offset int64, value string) {
	c.nAcked++
	if c.acked[partition] == nil {
		c.acked[partition] = map[int64]string{}
	}
	if other, ok := c.acked[partition][offset]; ok {
		c.violated("partition %d: %s and %s are both acknowledged at offset %d", partition, other, value, offset)
	}
	c.acked[partition][offset] = value
	c.look(n, partition, true)
	if have := c.committed[partition]; int64(len(have)) <= offset || have[offset] != value {
		c.violated("partition %d: %s is acknowledged at offset %d and not committed there", partition, value, offset)
	}
}

// look compares a replica's committed records with what was seen committed before; whole says from the start.
func (c *cluster) look(n *node, partition int32, whole bool) {
	p, err := n.m.Partition(tp(simName, partition))
	if err != nil || p.log == nil || p.log.Err() != nil {
		return
	}
	hw, at := p.log.HighWatermark(), int64(0)
	if !whole {
		at = min(int64(len(c.committed[partition])), hw)
		at = max(at-3, 0)
	}
	at = max(at, p.log.LogStartOffset())
	for at < hw {
		s, err := p.log.Read(at, math.MaxInt32, hw, true)
		must(c.t, err)
		if s.Len == 0 {
			c.violated("partition %d: node %d has nothing at offset %d below its watermark %d", partition, n.id, at, hw)
			return
		}
		b, err := s.Bytes()
		s.Release()
		must(c.t, err)
		c.compare(n, partition, b, at)
		at = s.NextOffset
	}
}

func (c *cluster) compare(n *node, partition int32, b []byte, from int64) {
	for len(b) > 0 {
		one, rest, err := record.Next(b)
		must(c.t, err)
		b = rest
		must(c.t, one.ForEach(func(r record.Record) error {
			have := c.committed[partition]
			switch {
			case r.Offset < from:
			case r.Offset < int64(len(have)):
				if have[r.Offset] != string(r.Value) {
					c.violated("partition %d offset %d: node %d has committed %s, and %s was committed before", partition, r.Offset, n.id, r.Value, have[r.Offset])
				}
			case r.Offset == int64(len(have)):
				c.committed[partition] = append(have, string(r.Value))
			default:
				c.violated("partition %d: node %d commits offset %d after %d", partition, n.id, r.Offset, len(have)-1)
			}
			return nil
		}))
	}
}

// check holds the invariants against every replica.
func (c *cluster) check(whole bool) {
	for _, n := range c.nodes {
		if !n.up {
			continue
		}
		for i := range c.partitions {
			p, err := n.m.Partition(tp(simName, i))
			if err != nil || p.log == nil || p.log.Err() != nil {
				continue
			}
			c.look(n, i, whole)
			c.checkLeader(n, i, p)
		}
	}
}

func (c *cluster) checkLeader(n *node, i int32, p *Partition) {
	if p.role != Leader {
		return
	}
	term := [2]int32{i, p.leaderEpoch}
	if who, ok := c.leaders[term]; ok && who != n.id {
		c.violated("partition %d: nodes %d and %d lead in epoch %d", i, who, n.id, p.leaderEpoch)
	}
	c.leaders[term] = n.id
	hw := p.log.HighWatermark()
	if hw < n.marks[term] {
		c.violated("partition %d: the watermark of node %d fell from %d to %d in epoch %d", i, n.id, n.marks[term], hw, p.leaderEpoch)
	}
	n.marks[term] = hw
	now := c.ctl.img.Partition(simName, i)
	if now.LeaderEpoch != p.leaderEpoch {
		return
	}
	for _, id := range p.maximalISR() {
		o := c.node(id)
		if !o.up || !slices.Contains(now.ISR, id) || c.ctl.img.Broker(id).Epoch != o.epoch {
			continue
		}
		q, err := o.m.Partition(tp(simName, i))
		if err != nil || q.log == nil {
			continue
		}
		if end := q.log.LogEndOffset(); end < hw {
			c.violated("partition %d: the watermark of node %d is %d, and node %d, which is in sync, holds %d", i, n.id, hw, id, end)
		}
	}
}

// state is one node's view of partition 0.
func (c *cluster) state(id int32) State {
	p, err := c.node(id).m.Partition(tp(simName, 0))
	if err != nil {
		return State{}
	}
	return p.State()
}

// settle ends all trouble and waits until every replica of the topic is in sync and equal.
func (c *cluster) settle() {
	clear(c.cut)
	clear(c.slow)
	c.jitter = 0
	for _, n := range c.nodes {
		if !n.up {
			n.start(n.lost && !c.flush)
		}
		if n.paused {
			n.resume()
		}
	}
	for range 400 {
		c.run(50 * time.Millisecond)
		if c.equal() == "" {
			break
		}
	}
	if why := c.equal(); why != "" {
		c.violated("the cluster does not come to rest: %s", why)
	}
	c.check(true)
	for i, all := range c.acked {
		for offset, value := range all {
			if have := c.committed[i]; int64(len(have)) <= offset || have[offset] != value {
				c.violated("partition %d: %s, acknowledged at offset %d, is lost", i, value, offset)
			}
		}
	}
}

func (c *cluster) equal() string {
	for i := range c.partitions {
		now := c.ctl.img.Partition(simName, i)
		if len(now.ISR) < len(now.Replicas) || now.Leader < 0 {
			return fmt.Sprintf("partition %d is led by %d with ISR %v of %v", i, now.Leader, now.ISR, now.Replicas)
		}
		end := int64(-1)
		for _, id := range now.Replicas {
			p, err := c.node(id).m.Partition(tp(simName, i))
			if err != nil || p.log == nil {
				return fmt.Sprintf("node %d: partition %d: %v", id, i, err)
			}
			if end < 0 {
				end = p.log.LogEndOffset()
			}
			if p.log.LogEndOffset() != end || p.log.HighWatermark() != end {
				return fmt.Sprintf("partition %d ends at %d with watermark %d on node %d, not at %d", i, p.log.LogEndOffset(), p.log.HighWatermark(), id, end)
			}
		}
	}
	return ""
}
