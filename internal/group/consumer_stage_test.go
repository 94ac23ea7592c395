package group

import (
	"time"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumer is a client of the consumer protocol that does what Java's does: it remembers what it was given, gives up at
// once what it shall, and says so with its next heartbeat.
type consumer struct {
	st       *stage
	group    string
	id       string
	instance *string
	topics   []string
	epoch    int32
	has      assignment
	interval int32
	full     bool // has missed an answer, and says everything with the next heartbeat
}

func (st *stage) consumer(group, id string) *consumer {
	return &consumer{st: st, group: group, id: id, has: assignment{}}
}

// beat sends a request of the client, changed by tunes, and returns the answer.
func (c *consumer) beat(tunes ...func(*kmsg.ConsumerGroupHeartbeatRequest)) *kmsg.ConsumerGroupHeartbeatResponse {
	r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	r.Group, r.MemberID, r.MemberEpoch, r.InstanceID, r.RebalanceTimeoutMillis = c.group, c.id, c.epoch, c.instance, -1
	if c.epoch == 0 {
		r.SubscribedTopicNames, r.RebalanceTimeoutMillis = c.topics, 60_000
		c.has = assignment{}
	}
	if c.full {
		r.SubscribedTopicNames, r.RebalanceTimeoutMillis, c.full = c.topics, 60_000, false
	}
	if c.epoch >= 0 {
		r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		for _, topic := range sortedTopicIDs(c.has) {
			r.Topics = append(r.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: topic, Partitions: c.has[topic]})
		}
	}
	for _, f := range tunes {
		f(r)
	}
	var got *kmsg.ConsumerGroupHeartbeatResponse
	all := func(string) bool { return true }
	c.st.s.ConsumerGroupHeartbeat(RequestContext{ClientID: "client", ClientHost: "/127.0.0.1"}, 1, r, all, func(x *kmsg.ConsumerGroupHeartbeatResponse) { got = x })
	if got == nil {
		c.st.t.Fatal("a heartbeat is not answered")
	}
	if got.ErrorCode != codeNone {
		return got
	}
	c.epoch, c.interval = got.MemberEpoch, got.HeartbeatIntervalMillis
	if got.Assignment != nil {
		c.has = assignment{}
		for _, t := range got.Assignment.Topics {
			c.has[t.TopicID] = t.Partitions
		}
	}
	return got
}

func (c *consumer) join(topics ...string) *kmsg.ConsumerGroupHeartbeatResponse {
	c.epoch, c.topics = 0, append([]string{}, topics...)
	return c.beat()
}

func (c *consumer) leave() *kmsg.ConsumerGroupHeartbeatResponse {
	return c.beat(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = leaveEpoch })
}

func (c *consumer) count() int {
	n := 0
	for _, partitions := range c.has {
		n += len(partitions)
	}
	return n
}

// settle lets clients heartbeat in turn until the group is stable.
func (st *stage) settle(group string, clients ...*consumer) {
	st.t.Helper()
	for range 50 {
		for _, c := range clients {
			wantCode(st.t, c.id+"'s heartbeat", c.beat().ErrorCode, codeNone)
		}
		if st.consumerState(group) == Stable.String() {
			return
		}
		st.pass(minMovingHeartbeatMs * time.Millisecond)
	}
	st.t.Fatalf("group %s does not settle: %s", group, st.consumerState(group))
}

func (st *stage) consumerState(group string) string {
	out := deadState
	st.shard(func(sh *Shard) {
		if g := sh.consumers[group]; g != nil {
			out = g.state()
		}
	})
	return out
}

// withTopics gives the coordinator topics by their number of partitions.
func withTopics(m fakeMetadata) func(*Options) {
	return func(o *Options) { o.Metadata = func() Metadata { return m } }
}

// dump is all that a shard holds of its consumer groups that is durable, as records.
func (st *stage) dump() (out []string) {
	st.shard(func(sh *Shard) {
		for _, id := range sortedKeys(sh.consumers) {
			for _, r := range sh.consumers[id].records() {
				out = append(out, string(r.Key)+" = "+string(r.Value))
			}
		}
	})
	return out
}

// records is the group as it would be written anew.
func (g *consumerGroup) records() []coord.Record {
	out := []coord.Record{g.epochRecord(g.epoch, g.metadataHash), g.targetEpochRecord(g.targetEpoch, g.targetMs)}
	for _, m := range g.sortedMembers() {
		out = append(out, m.metadataRecord(g.id), m.assignmentRecord(g.id))
	}
	for _, id := range sortedKeys(g.target) {
		out = append(out, g.targetRecord(id, g.target[id]))
	}
	for _, text := range sortedKeys(g.regexes) {
		out = append(out, g.regexRecord(text, g.regexes[text]))
	}
	return out
}
