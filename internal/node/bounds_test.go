package node

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kafka's codes for what is too much.
const (
	offsetMetadataTooLarge    int16 = 12
	coordinatorNotAvailable   int16 = 15
	invalidSessionTimeout     int16 = 26
	invalidTransactionTimeout int16 = 50
	concurrentTransactions    int16 = 51
	memberIDRequired          int16 = 79
	groupMaxSizeReached       int16 = 81
)

// asker sends single requests and takes each answer for what it is: nothing is asked again.
type asker struct {
	t  *testing.T
	br *kgo.Broker
}

func (a asker) ask(version int16, req kmsg.Request) kmsg.Response {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if version >= 0 {
		req = &pinned{req, version}
	}
	resp, err := a.br.Request(ctx, req)
	if err != nil {
		a.t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
	}
	return resp
}

// pinned is a request whose newest version is another.
type pinned struct {
	kmsg.Request
	version int16
}

func (p *pinned) MaxVersion() int16 { return p.version }

func joinRequest(group string, session int32, metadata []byte) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = group, session, 10_000, "consumer"
	req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: "range", Metadata: metadata})
	return req
}

func (a asker) join(group string, session int32) int16 {
	req := joinRequest(group, session, make([]byte, 10))
	return a.ask(3, req).(*kmsg.JoinGroupResponse).ErrorCode // the last version in which a member needs no second request
}

// joinWith joins with so many bytes of metadata.
func (a asker) joinWith(group string, metadataBytes int) int16 {
	return a.ask(3, joinRequest(group, 10_000, make([]byte, metadataBytes))).(*kmsg.JoinGroupResponse).ErrorCode
}

// idFor asks for a member's id, which it does not use.
func (a asker) idFor(group string) int16 {
	code := a.ask(-1, joinRequest(group, 10_000, make([]byte, 10))).(*kmsg.JoinGroupResponse).ErrorCode
	if code == memberIDRequired {
		return 0
	}
	return code
}

func (a asker) heartbeat(group, member string) int16 {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.RebalanceTimeoutMillis, req.SubscribedTopicNames = group, member, 10_000, []string{"t"}
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	return a.ask(-1, req).(*kmsg.ConsumerGroupHeartbeatResponse).ErrorCode
}

func (a asker) commit(group, metadata string) int16 {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = group
	topic, part := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	topic.Topic, part.Metadata = "t", &metadata
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	return a.ask(8, req).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

func (a asker) init(id string, timeout int32) *kmsg.InitProducerIDResponse {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &id, timeout
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp := a.ask(-1, req).(*kmsg.InitProducerIDResponse)
		if resp.ErrorCode != concurrentTransactions || time.Now().After(deadline) { // the one before is being given up
			return resp
		}
	}
}

// commitIn commits an offset of a partition in a transaction, which begins with the first.
func (a asker) commitIn(p *kmsg.InitProducerIDResponse, id, group string, partition int32) int16 {
	a.t.Helper()
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = id, group, p.ProducerID, p.ProducerEpoch, -1
	topic, part := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
	topic.Topic, part.Partition = "t", partition
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	return a.ask(-1, req).(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

// Whatever clients can make a coordinator remember has a bound that a setting moves: up to it they are served, past it they are
// refused with the code that Kafka has for it, and what was served before goes on.
func TestWhatClientsCanMakeCoordinatorsRememberIsBounded(t *testing.T) {
	const session = 10_000
	for _, c := range []struct {
		setting string
		within  func(a asker) int16 // what the bound still allows
		past    func(a asker) int16
		code    int16
	}{
		{"group.max.size=1", func(a asker) int16 { return a.join("g", session) }, func(a asker) int16 { return a.join("g", session) }, groupMaxSizeReached},
		{"group.consumer.max.size=1", func(a asker) int16 { return a.heartbeat("g", "one") }, func(a asker) int16 { return a.heartbeat("g", "two") }, groupMaxSizeReached},
		{"group.min.session.timeout.ms=9000", func(a asker) int16 { return a.join("g", 9000) }, func(a asker) int16 { return a.join("h", 8999) }, invalidSessionTimeout},
		{"group.max.session.timeout.ms=11000", func(a asker) int16 { return a.join("g", 11_000) }, func(a asker) int16 { return a.join("h", 11_001) }, invalidSessionTimeout},
		{
			"offset.metadata.max.bytes=10", func(a asker) int16 { return a.commit("g", strings.Repeat("m", 10)) },
			func(a asker) int16 { return a.commit("g", strings.Repeat("m", 11)) }, offsetMetadataTooLarge,
		},
		{"moldau.group.max.pending.members=1", func(a asker) int16 { return a.idFor("g") }, func(a asker) int16 { return a.idFor("g") }, coordinatorNotAvailable},
		{
			"moldau.group.max.member.bytes.per.partition=0", // four batches of message.max.bytes are always allowed
			func(a asker) int16 {
				return max(a.joinWith("a", 1e6), a.joinWith("b", 1e6), a.joinWith("c", 1e6), a.joinWith("d", 1e6))
			},
			func(a asker) int16 { return a.joinWith("e", 1e6) }, coordinatorNotAvailable,
		},
		{"moldau.group.max.groups.per.partition=1", func(a asker) int16 { return a.commit("g", "") }, func(a asker) int16 { return a.commit("h", "") }, coordinatorNotAvailable},
		{"moldau.group.max.groups.per.partition=1", func(a asker) int16 { return a.join("g", session) }, func(a asker) int16 { return a.join("h", session) }, coordinatorNotAvailable},
		{
			"moldau.group.max.groups.per.partition=1", func(a asker) int16 { return a.heartbeat("g", "one") },
			func(a asker) int16 { return a.heartbeat("h", "one") }, coordinatorNotAvailable,
		},
		{
			"moldau.group.max.pending.offsets.per.partition=2",
			func(a asker) int16 {
				p := a.init("x", 10_000)
				return max(a.commitIn(p, "x", "g", 0), a.commitIn(p, "x", "g", 1), a.commitIn(p, "x", "g", 1))
			},
			func(a asker) int16 { return a.commitIn(a.init("y", 10_000), "y", "h", 2) }, coordinatorNotAvailable,
		},
		{
			"moldau.transaction.max.ids.per.partition=1", func(a asker) int16 { return a.init("x", 10_000).ErrorCode },
			func(a asker) int16 { return a.init("y", 10_000).ErrorCode }, coordinatorNotAvailable,
		},
		{
			"transaction.max.timeout.ms=5000", func(a asker) int16 { return a.init("x", 5000).ErrorCode },
			func(a asker) int16 { return a.init("x", 5001).ErrorCode }, invalidTransactionTimeout,
		},
	} {
		t.Run(fmt.Sprintf("%s code %d", c.setting, c.code), func(t *testing.T) {
			r := start(t, vfs.NewMem(), "offsets.topic.num.partitions=1", "transaction.state.log.num.partitions=1", "group.initial.rebalance.delay.ms=0", c.setting)
			r.create("t", 3)
			cl := r.client()
			adm := kadm.NewClient(cl)
			r.coordinators(adm)
			a := asker{t, cl.SeedBrokers()[0]}
			if code := c.within(a); code != 0 {
				t.Fatalf("what the bound allows is refused with %d", code)
			}
			for range 2 {
				if code := c.past(a); code != c.code {
					t.Fatalf("what is past the bound is answered with %d, want %d", code, c.code)
				}
			}
		})
	}
}

// Members of old clients that wait for their first generation are bounded too: the one that fits waits, and the next is refused.
func TestFreshMembersAreBounded(t *testing.T) {
	r := start(t, vfs.NewMem(), "offsets.topic.num.partitions=1", "transaction.state.log.num.partitions=1", "group.initial.rebalance.delay.ms=60000", "moldau.group.max.fresh.members=1")
	cl := r.client()
	r.coordinators(kadm.NewClient(cl))
	waiting, cancel := context.WithCancel(context.Background())
	var first sync.WaitGroup
	defer first.Wait()
	defer cancel()
	first.Go(func() {
		_, _ = r.client().SeedBrokers()[0].Request(waiting, &pinned{joinRequest("g", 10_000, make([]byte, 10)), 3})
	})
	adm := kadm.NewClient(cl)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		groups, err := adm.DescribeGroups(context.Background(), "g")
		if err == nil && len(groups["g"].Members) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the first member is not there: %v %v", groups, err)
		}
	}
	if code := (asker{t, r.client().SeedBrokers()[0]}).join("g", 10_000); code != coordinatorNotAvailable {
		t.Fatalf("the member past the bound is answered with %d", code)
	}
}

// coordinators waits until groups and transactions have theirs.
func (r *rig) coordinators(adm *kadm.Client) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		groups := adm.FindGroupCoordinators(context.Background(), "g")
		txns := adm.FindTxnCoordinators(context.Background(), "x")
		loaded := r.node.groups.Metrics().Partitions.Active == 1 && r.node.txns.Metrics().Partitions.Active == 1
		if groups["g"].Err == nil && txns["x"].Err == nil && loaded {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("no coordinators: %v %v", groups["g"].Err, txns["x"].Err)
		}
	}
}
