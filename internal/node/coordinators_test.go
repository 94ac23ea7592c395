package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/group"
	"github.com/moldau-stream/moldau/internal/txn"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// coordinated describes three nodes on which one partition holds all groups and another all transactions, so that one
// broker coordinates them and another goes on when it is killed.
func coordinated(t *testing.T, more ...string) *crew {
	more = append([]string{
		"offsets.topic.num.partitions=1", "offsets.topic.replication.factor=3",
		"transaction.state.log.num.partitions=1", "transaction.state.log.replication.factor=3", "transaction.state.log.min.isr=2",
		"group.initial.rebalance.delay.ms=0",
	}, more...)
	c := replicated(t, more...)
	c.startAll()
	return c
}

// killLeader kills the broker that leads a partition, waits until another does, and returns who it was.
func (c *crew) killLeader(topic string) int32 {
	c.t.Helper()
	c.until("all replicas of "+topic, c.inSync(topic, 3))
	old := c.leader(topic, 0, -1)
	c.kill(old)
	c.until("another leader of "+topic, func() bool { l := c.leader(topic, 0, old); return l >= 0 && l != old })
	return old
}

// seat is a member of a group, and what it was given and lost.
type seat struct {
	cl      *kgo.Client
	revoked atomic.Int32
	mu      sync.Mutex
	has     map[int32]bool
}

func (s *seat) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.has)
}

// sit makes a member that polls until the test ends.
func (c *crew) sit(group, topic string, opts ...kgo.Opt) *seat {
	s := &seat{has: map[int32]bool{}}
	change := func(parts map[string][]int32, has bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, p := range parts[topic] {
			if has {
				s.has[p] = true
			} else {
				delete(s.has, p)
			}
		}
	}
	away := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		s.revoked.Add(int32(len(parts[topic])))
		change(parts, false)
	}
	s.cl = c.client(append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(100 * time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { change(parts, true) }),
		kgo.OnPartitionsRevoked(away), kgo.OnPartitionsLost(away),
	}, opts...)...)
	ctx, cancel := context.WithCancel(context.Background())
	var polling sync.WaitGroup
	polling.Go(func() {
		for ctx.Err() == nil {
			s.cl.PollFetches(ctx)
		}
	})
	c.t.Cleanup(func() { cancel(); polling.Wait() })
	return s
}

func share(seats ...*seat) func() bool {
	return func() bool {
		total := 0
		for _, s := range seats {
			n := s.count()
			if total += n; n == 0 {
				return false
			}
		}
		return total == 6
	}
}

// groupStays kills the coordinator and says whether both members have kept generation and partitions, by which one commits.
func (c *crew) groupStays(a, b *seat) bool {
	c.t.Helper()
	given := func() int32 { return a.revoked.Load() + b.revoked.Load() }
	_, before := a.cl.GroupMetadata()
	had := given()
	old := c.killLeader(group.Topic)
	c.until("a commit at the new coordinator", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		mine := keys(a)
		return given() != had || len(mine) > 0 && a.cl.CommitRecords(ctx, &kgo.Record{Topic: "t", Partition: slices.Min(mine), Offset: 0, LeaderEpoch: -1}) == nil
	})
	_, after := a.cl.GroupMetadata()
	stayed := after == before && given() == had
	c.startAll(old)
	c.until("all replicas again", c.inSync(group.Topic, 3))
	return stayed
}

// A group whose coordinator dies has the same members, the same generation and the same partitions on the next one: nobody
// has to give anything up. A member that joins while a coordinator dies is let in by the next.
func TestAGroupOutlivesItsCoordinators(t *testing.T) {
	for name, protocol := range map[string][]kgo.Opt{"classic": nil, "consumer": {kgo.ServerSideBalancer()}} {
		t.Run(name, func(t *testing.T) {
			c := coordinated(t, "group.consumer.min.heartbeat.interval.ms=100", "group.consumer.heartbeat.interval.ms=100")
			c.create("t", 6, 3)
			a, b := c.sit("g", "t", protocol...), c.sit("g", "t", protocol...)
			c.until("two members to share", share(a, b))
			// The client itself gives its session up where it is refused a connection thrice before there is a new coordinator.
			rounds := 0
			for !c.groupStays(a, b) {
				if rounds++; rounds == 5 {
					t.Fatal("a generation never outlives its coordinator")
				}
				c.until("two members to share again", share(a, b))
			}
			joined := make(chan *seat, 1)
			go func() { joined <- c.sit("g", "t", protocol...) }()
			old := c.killLeader(group.Topic)
			c.until("three members to share", share(a, b, <-joined))
			c.startAll(old)
		})
	}
}

func keys(s *seat) []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []int32
	for p := range s.has {
		out = append(out, p)
	}
	return out
}

// Offsets are committed one higher each time while coordinators die. What is fetched never goes back, and never lies before
// what was acknowledged.
func TestCommittedOffsetsNeverGoBack(t *testing.T) {
	c := coordinated(t)
	c.create("t", 1, 3)
	adm := kadm.NewClient(c.client())
	var acked, stop atomic.Int64
	var work sync.WaitGroup
	work.Go(func() {
		for at := int64(1); stop.Load() == 0; at++ {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if err := adm.CommitAllOffsets(ctx, "g", kadm.OffsetsFromRecords(kgo.Record{Topic: "t", Offset: at - 1, LeaderEpoch: -1})); err == nil {
				acked.Store(at)
			}
			cancel()
		}
	})
	work.Go(func() {
		reader := kadm.NewClient(c.client())
		for last := int64(0); stop.Load() == 0; {
			floor := acked.Load()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			offsets, err := reader.FetchOffsets(ctx, "g")
			cancel()
			o, ok := offsets.Lookup("t", 0)
			if err != nil || ok && o.Err != nil {
				// An old one goes on asking the dead broker: after a failed dial the client forgets the coordinator for requests
				// about one group, and not for those that it splits by coordinator, of which this is one.
				reader = kadm.NewClient(c.client())
				continue
			}
			if !ok && floor > 0 || ok && o.At < max(last, floor) {
				t.Errorf("committed %d is fetched after %d was seen and %d acknowledged", o.At, last, floor)
				return
			}
			if ok {
				last = o.At
			}
		}
	})
	for range 3 {
		n := acked.Load()
		c.until("commits", func() bool { return acked.Load() > n+5 })
		old := c.killLeader(group.Topic)
		n = acked.Load()
		c.until("commits at the next coordinator", func() bool { return acked.Load() > n+5 })
		c.startAll(old)
	}
	stop.Store(1)
	work.Wait()
}

// readCommitted reads what a topic holds for readers of committed transactions, to its last stable offset.
func (c *crew) readCommitted(topic string, want int) []string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r := c.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	var got []string
	for len(got) < want && ctx.Err() == nil {
		r.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	slices.Sort(got)
	return got
}

// stable says that no transaction is open in any partition of a topic.
func (c *crew) stable(topic string, partitions int32) func() bool {
	adm := kadm.NewClient(c.client())
	return func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		ends, err1 := adm.ListEndOffsets(ctx, topic)
		stable, err2 := adm.ListCommittedOffsets(ctx, topic)
		if err1 != nil || err2 != nil {
			return false
		}
		for p := range partitions {
			e, _ := ends.Lookup(topic, p)
			s, _ := stable.Lookup(topic, p)
			if e.Err != nil || s.Err != nil || e.Offset == 0 || e.Offset != s.Offset {
				return false
			}
		}
		return true
	}
}

// The outcome of a transaction is fixed, but the coordinator's markers reach no other broker, so that some partitions have
// theirs and others not; then the coordinator dies. The next one brings the rest: the transaction is seen whole
// or not at all, and never half.
func TestACoordinatorDiesWithMarkersHalfWritten(t *testing.T) {
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		t.Run(fmt.Sprintf("commit=%t", end), func(t *testing.T) {
			c := coordinated(t)
			c.create("t", 3, 3) // each broker leads one
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			p := c.client(kgo.TransactionalID("x"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			write := func(name string) {
				t.Helper()
				if err := p.BeginTransaction(); err != nil {
					t.Fatal(err)
				}
				for partition := range int32(3) {
					if err := p.ProduceSync(ctx, &kgo.Record{Topic: "t", Partition: partition, Value: fmt.Appendf(nil, "%s %d", name, partition)}).FirstErr(); err != nil {
						t.Fatal(err)
					}
				}
			}
			write("first")
			if err := p.EndTransaction(ctx, kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			c.until("the first transaction to be complete", c.stable("t", 3))
			c.until("all replicas", c.inSync(txn.Topic, 3))

			write("second")
			coordinator := c.leader(txn.Topic, 0, -1)
			c.nodes[coordinator].peers.close() // its markers reach nobody but itself
			if err := p.EndTransaction(ctx, end); err != nil {
				t.Fatal(err)
			}
			if c.stable("t", 3)() {
				t.Fatal("the test does not test: all markers have arrived")
			}
			c.kill(coordinator)
			c.until("another coordinator", func() bool { l := c.leader(txn.Topic, 0, coordinator); return l >= 0 && l != coordinator })
			c.until("the second transaction to be complete", c.stable("t", 3))

			write("third") // the same producer goes on
			if err := p.EndTransaction(ctx, kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, name := range []string{"first", "second", "third"} {
				for partition := range 3 {
					if name != "second" || bool(end) {
						want = append(want, fmt.Sprintf("%s %d", name, partition))
					}
				}
			}
			slices.Sort(want)
			c.until("the third transaction to be complete", c.stable("t", 3))
			if got := c.readCommitted("t", len(want)); !slices.Equal(got, want) {
				t.Errorf("read %v, want %v", got, want)
			}
			c.startAll(coordinator)
		})
	}
}

// Coordinators of transactions and of groups die while a transaction with offsets is open. It goes on; its offsets count when
// it is committed, and not before.
func TestATransactionWithOffsetsOutlivesBothCoordinators(t *testing.T) {
	c := coordinated(t)
	c.create("in", 1, 3)
	c.create("out", 1, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	writer := c.client(kgo.DefaultProduceTopic("in"))
	for i := range 3 {
		if err := writer.ProduceSync(ctx, &kgo.Record{Value: fmt.Appendf(nil, "record %d", i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := kgo.NewGroupTransactSession(c.clientOpts(kgo.TransactionalID("x"), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("in"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := 0
	for n < 3 {
		fs := s.PollRecords(ctx, 3-n)
		if err := fs.Err0(); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if err := s.Begin(); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range fs.Records() {
			n++
			if err := s.ProduceSync(ctx, &kgo.Record{Topic: "out", Value: []byte(strings.ToUpper(string(r.Value)))}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, topic := range []string{txn.Topic, group.Topic} {
		old := c.killLeader(topic)
		var seen kadm.OffsetResponses
		c.until("an answer about the offsets", func() bool {
			// Each time by a new client: one that has asked before goes on asking the dead broker.
			seen, err = kadm.NewClient(c.client()).FetchOffsets(ctx, "g")
			return err == nil
		})
		if len(seen["in"]) != 0 {
			t.Fatalf("offsets of an open transaction are seen: %v", seen)
		}
		c.startAll(old)
		c.until("all replicas of the offsets", c.inSync(group.Topic, 3))
		c.until("all replicas of transactions", c.inSync(txn.Topic, 3))
	}
	done, err := s.End(ctx, kgo.TryCommit)
	if err != nil || !done {
		t.Fatalf("the transaction is not committed: %t, %v", done, err)
	}
	c.until("its offsets", func() bool {
		offsets, err := kadm.NewClient(c.client()).FetchOffsets(ctx, "g")
		o, ok := offsets.Lookup("in", 0)
		return err == nil && ok && o.At == 3
	})
	if got := c.readCommitted("out", 3); !slices.Equal(got, []string{"RECORD 0", "RECORD 1", "RECORD 2"}) {
		t.Error(got)
	}
}
