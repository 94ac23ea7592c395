package node

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/group"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// abuseRounds is how often each kind of abuse comes.
const abuseRounds = 8

// What no honest client sends to a coordinator is answered, each request by itself, and the group and the transactions of others go on.
func TestCoordinatorsBearWhatNoHonestClientSends(t *testing.T) {
	r := start(t, vfs.NewMem(), "offsets.topic.num.partitions=1", "transaction.state.log.num.partitions=1", "group.initial.rebalance.delay.ms=0")
	r.create("t", 3)
	cl := r.client()
	adm := kadm.NewClient(cl)
	r.coordinators(adm)
	honest := newHonest(r)
	a := asker{t, cl.SeedBrokers()[0]}
	rnd := rand.New(rand.NewPCG(5, 5))
	for i, abuse := range abuses() {
		for range abuseRounds {
			for _, req := range abuse(rnd) {
				a.abuse(&pinned{req, req.MaxVersion()})
				// At version 0 a join waits for the others as long as its session lasts.
				a.abuse(&pinned{req, max(int16(rnd.IntN(int(req.MaxVersion())+1)), min(req.MaxVersion(), 1))})
			}
		}
		honest.works(i)
	}
}

// abuse sends a request that is refused, or dropped with its connection, as long as that does not take forever.
func (a asker) abuse(req *pinned) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := a.br.Request(ctx, req); ctx.Err() != nil {
		a.t.Fatalf("%s version %d is never answered: %v", kmsg.NameForKey(req.Key()), req.version, err)
	}
}

// honest is somebody who commits in a group and in transactions meanwhile.
type honest struct {
	r  *rig
	cl *kgo.Client
	n  int64
}

func newHonest(r *rig) *honest {
	return &honest{r: r, cl: r.client(kgo.TransactionalID("honest"), kgo.DefaultProduceTopic("t"))}
}

func (h *honest) works(after int) {
	h.r.t.Helper()
	h.n++
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	adm := kadm.NewClient(h.cl)
	if err := adm.CommitAllOffsets(ctx, "honest", kadm.OffsetsFromRecords(kgo.Record{Topic: "t", Offset: h.n - 1, LeaderEpoch: -1})); err != nil {
		h.r.t.Fatalf("after abuse %d no offset can be committed: %v", after, err)
	}
	got, err := adm.FetchOffsets(ctx, "honest")
	if o, ok := got.Lookup("t", 0); err != nil || !ok || o.At != h.n {
		h.r.t.Fatalf("after abuse %d the committed offset is %d (%v), want %d", after, o.At, err, h.n)
	}
	if err := h.cl.BeginTransaction(); err != nil {
		h.r.t.Fatal(err)
	}
	if err := h.cl.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
		h.r.t.Fatalf("after abuse %d nothing can be written in a transaction: %v", after, err)
	}
	if err := h.cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		h.r.t.Fatalf("after abuse %d no transaction can be committed: %v", after, err)
	}
}

// odd numbers and texts, some of them of the honest.
func oddInt32(rnd *rand.Rand) int32 {
	return []int32{-1, -2, 0, 1, 5, math.MaxInt32, math.MinInt32}[rnd.IntN(7)]
}

func oddText(rnd *rand.Rand) string {
	return []string{"", "honest", "g", "\x00\xff", strings.Repeat("x", math.MaxInt16), strings.Repeat("ß", 16_000), "../..", "__consumer_offsets"}[rnd.IntN(8)]
}

func abuses() []func(*rand.Rand) []kmsg.Request {
	return []func(*rand.Rand) []kmsg.Request{
		func(rnd *rand.Rand) []kmsg.Request { // classic members that are none
			j := joinRequest(oddText(rnd), oddInt32(rnd), make([]byte, rnd.IntN(200_000)))
			j.MemberID, j.ProtocolType, j.RebalanceTimeoutMillis = oddText(rnd), oddText(rnd), oddInt32(rnd)
			if j.SessionTimeoutMillis >= 6000 && j.RebalanceTimeoutMillis > 0 {
				j.RebalanceTimeoutMillis = 100
			}
			s := kmsg.NewPtrSyncGroupRequest()
			s.Group, s.MemberID, s.Generation = oddText(rnd), oddText(rnd), oddInt32(rnd)
			s.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: oddText(rnd), MemberAssignment: make([]byte, rnd.IntN(1000))}}
			b := kmsg.NewPtrHeartbeatRequest()
			b.Group, b.MemberID, b.Generation = oddText(rnd), oddText(rnd), oddInt32(rnd)
			l := kmsg.NewPtrLeaveGroupRequest()
			text := oddText(rnd)
			l.Group, l.MemberID, l.Members = oddText(rnd), oddText(rnd), []kmsg.LeaveGroupRequestMember{{MemberID: oddText(rnd), InstanceID: &text, Reason: &text}}
			return []kmsg.Request{j, s, b, l}
		},
		func(rnd *rand.Rand) []kmsg.Request { // members of the consumer protocol that are none
			h := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			text := oddText(rnd)
			h.Group, h.MemberID, h.MemberEpoch, h.RebalanceTimeoutMillis = oddText(rnd), oddText(rnd), oddInt32(rnd), oddInt32(rnd)
			h.SubscribedTopicNames, h.SubscribedTopicRegex, h.ServerAssignor, h.InstanceID = []string{oddText(rnd)}, &text, &text, &text
			h.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: [16]byte{9}, Partitions: []int32{oddInt32(rnd), oddInt32(rnd)}}}
			bad := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			regex := []string{"(", "a{1000}{1000}", "(a*)*b", strings.Repeat("(", 5000)}[rnd.IntN(4)]
			bad.Group, bad.MemberID, bad.RebalanceTimeoutMillis, bad.SubscribedTopicRegex = "regex", "m", 1000, &regex
			bad.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
			return []kmsg.Request{h, bad}
		},
		func(rnd *rand.Rand) []kmsg.Request { // commits that nobody may make
			c := kmsg.NewPtrOffsetCommitRequest()
			text := oddText(rnd)
			c.Group, c.MemberID, c.Generation, c.InstanceID, c.RetentionTimeMillis = oddText(rnd), oddText(rnd), oddInt32(rnd), &text, int64(oddInt32(rnd))
			if c.Group == "honest" {
				c.Generation = 7
			}
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = oddInt32(rnd), -5, oddInt32(rnd), &text
			c.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{p, p}}, {Topic: oddText(rnd), Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
			d := kmsg.NewPtrOffsetDeleteRequest()
			d.Group = strings.Replace(oddText(rnd), "honest", "g", 1)
			d.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: oddText(rnd), Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: oddInt32(rnd)}}}}
			return []kmsg.Request{c, d}
		},
		func(rnd *rand.Rand) []kmsg.Request { // transactions of nobody
			id := strings.Replace(oddText(rnd), "honest", "y", 1)
			i := kmsg.NewPtrInitProducerIDRequest()
			i.TransactionalID, i.TransactionTimeoutMillis, i.ProducerID, i.ProducerEpoch = &id, oddInt32(rnd), int64(oddInt32(rnd)), int16(oddInt32(rnd))
			add := kmsg.NewPtrAddPartitionsToTxnRequest()
			add.TransactionalID, add.ProducerID, add.ProducerEpoch = "honest", int64(oddInt32(rnd)), math.MaxInt16
			add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "t", Partitions: []int32{oddInt32(rnd)}}}
			off := kmsg.NewPtrAddOffsetsToTxnRequest()
			off.TransactionalID, off.ProducerID, off.ProducerEpoch, off.Group = "honest", int64(oddInt32(rnd)), -1, oddText(rnd)
			com := kmsg.NewPtrTxnOffsetCommitRequest()
			com.TransactionalID, com.Group, com.ProducerID, com.ProducerEpoch, com.Generation, com.MemberID = oddText(rnd), "honest", int64(oddInt32(rnd)), int16(oddInt32(rnd)), oddInt32(rnd), oddText(rnd)
			com.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: -5}}}}
			end := kmsg.NewPtrEndTxnRequest()
			end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = "honest", int64(oddInt32(rnd)), math.MaxInt16, true
			w := kmsg.NewPtrWriteTxnMarkersRequest()
			w.Markers = []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: math.MaxInt64, ProducerEpoch: math.MaxInt16, CoordinatorEpoch: -7, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: oddText(rnd), Partitions: []int32{oddInt32(rnd)}}}}}
			return []kmsg.Request{i, add, off, com, end, w}
		},
		func(rnd *rand.Rand) []kmsg.Request { // one group in both protocols at once
			j := joinRequest("mixed", 10_000, nil)
			j.RebalanceTimeoutMillis = 100
			h := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			h.Group, h.MemberID, h.RebalanceTimeoutMillis, h.SubscribedTopicNames, h.Topics = "mixed", fmt.Sprint(rnd.IntN(3)), 1000, []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
			return []kmsg.Request{j, h}
		},
	}
}

// A thousand members come and go, of both protocols and many at once; then nothing of them is left.
func TestAThousandMembersComeAndGo(t *testing.T) {
	r := start(t, vfs.NewMem(), "offsets.topic.num.partitions=1", "transaction.state.log.num.partitions=1", "group.initial.rebalance.delay.ms=0")
	r.create("t", 3)
	adm := kadm.NewClient(r.client())
	r.coordinators(adm)
	var work sync.WaitGroup
	for n := range 8 {
		cl := r.client()
		work.Go(func() {
			for i := range 125 {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				if n%2 == 0 {
					h := kmsg.NewPtrConsumerGroupHeartbeatRequest()
					h.Group, h.MemberID, h.RebalanceTimeoutMillis, h.SubscribedTopicNames, h.Topics = "crowd", fmt.Sprintf("%d-%d", n, i), 1000, []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
					_, _ = h.RequestWith(ctx, cl)
					h.MemberEpoch = -1
					_, _ = h.RequestWith(ctx, cl)
				} else {
					j := joinRequest("old crowd", 10_000, make([]byte, 10))
					if resp, err := j.RequestWith(ctx, cl); err == nil {
						l := kmsg.NewPtrLeaveGroupRequest()
						l.Group, l.MemberID, l.Members = "old crowd", resp.MemberID, []kmsg.LeaveGroupRequestMember{{MemberID: resp.MemberID}}
						_, _ = l.RequestWith(ctx, cl)
					}
				}
				cancel()
			}
		})
	}
	work.Wait()
	for _, name := range []string{"crowd", "old crowd"} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		left := 0
		if groups, err := adm.DescribeConsumerGroups(ctx, name); err == nil {
			left += len(groups[name].Members)
		}
		if groups, err := adm.DescribeGroups(ctx, name); err == nil {
			left += len(groups[name].Members)
		}
		cancel()
		if left != 0 {
			t.Errorf("%d members are left of %s", left, name)
		}
	}
}

// Two producers of one transactional id take it from each other, again and again. Each transaction that its producer was told is
// committed is there, once, and of the others nothing is there twice.
func TestTwoProducersFightForAnID(t *testing.T) {
	r := start(t, vfs.NewMem())
	r.create("t", 1)
	var mu sync.Mutex
	told := map[string]bool{}
	var work sync.WaitGroup
	for n := range 2 {
		work.Go(func() {
			for i := range 20 {
				name := fmt.Sprintf("%d.%d", n, i)
				cl := r.client(kgo.TransactionalID("x"), kgo.DefaultProduceTopic("t"))
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				err := cl.BeginTransaction()
				if err == nil {
					err = cl.ProduceSync(ctx, kgo.StringRecord(name)).FirstErr()
				}
				if err == nil {
					err = cl.EndTransaction(ctx, kgo.TryCommit)
				}
				cancel()
				mu.Lock()
				told[name] = err == nil
				mu.Unlock()
			}
		})
	}
	work.Wait()
	last := r.client(kgo.TransactionalID("x"), kgo.DefaultProduceTopic("t"))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := last.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := last.ProduceSync(ctx, kgo.StringRecord("end")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := last.EndTransaction(ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	reader := r.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	there := map[string]int{}
	for there["end"] == 0 && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) { there[string(r.Value)]++ })
	}
	for name, committed := range told {
		if n := there[name]; n > 1 || committed && n != 1 {
			t.Errorf("transaction %s, committed=%t, is there %d times", name, committed, n)
		}
	}
}

// Whoever deletes the offsets topic loses the offsets, and nothing else: the coordinator goes, the next request makes the topic anew,
// and groups begin again.
func TestTheOffsetsTopicIsDeleted(t *testing.T) {
	r := start(t, vfs.NewMem(), "offsets.topic.num.partitions=1", "transaction.state.log.num.partitions=1")
	r.create("t", 1)
	adm := kadm.NewClient(r.client())
	r.coordinators(adm)
	commit := func(offset int64) {
		t.Helper()
		var err error
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			err = adm.CommitAllOffsets(ctx, "g", kadm.OffsetsFromRecords(kgo.Record{Topic: "t", Offset: offset - 1, LeaderEpoch: -1}))
			cancel()
			if err == nil {
				return
			}
		}
		t.Fatalf("nothing can be committed: %v", err)
	}
	commit(5)
	resp, err := adm.DeleteTopics(context.Background(), group.Topic)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the answer: %v", resp[group.Topic].Err)
	commit(3)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	got, err := adm.FetchOffsets(ctx, "g")
	if o, ok := got.Lookup("t", 0); err != nil || !ok || o.At != 3 {
		t.Fatalf("the committed offset is %d (%v), want 3", o.At, err)
	}
}
