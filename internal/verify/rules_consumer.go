package verify

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Epochs of a heartbeat that are no epochs.
const (
	epochJoin  = 0
	epochLeave = -1
)

// consumer is a member of a group of the consumer protocol.
type consumer struct {
	x     *exam
	group string
	id    string
	epoch int32
	owned map[string]bool // "topic-partition" as it was assigned and acknowledged
	topic *topic
}

// memberID is a random id as clients make them.
func memberID() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (x *exam) newConsumer(group string, t *topic) *consumer {
	return &consumer{x: x, group: group, id: memberID(), topic: t, owned: map[string]bool{}}
}

// heartbeat sends one; change may make it wrong.
func (c *consumer) heartbeat(change func(*kmsg.ConsumerGroupHeartbeatRequest)) *kmsg.ConsumerGroupHeartbeatResponse {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = c.group, c.id, c.epoch, -1
	if change != nil {
		change(req)
	}
	return askGroup[*kmsg.ConsumerGroupHeartbeatResponse](c.x, c.group, req)
}

// joining makes a heartbeat a join.
func (c *consumer) joining(req *kmsg.ConsumerGroupHeartbeatRequest) {
	req.MemberEpoch, req.RebalanceTimeoutMillis = epochJoin, rebalanceTimeoutMs
	req.SubscribedTopicNames = []string{c.topic.name}
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
}

func (c *consumer) join() *kmsg.ConsumerGroupHeartbeatResponse {
	resp := c.heartbeat(c.joining)
	c.x.ok("the join", resp.ErrorCode)
	c.x.must(resp.MemberID != nil && *resp.MemberID != "", "a member id", "none")
	c.id, c.epoch = *resp.MemberID, resp.MemberEpoch
	c.x.that(resp.MemberEpoch > 0, "an epoch above 0", "%d", resp.MemberEpoch)
	c.x.that(resp.HeartbeatIntervalMillis > 0, "a heartbeat interval", "%d", resp.HeartbeatIntervalMillis)
	c.x.onEnd(func() { c.leave() })
	if got := c.assigned(resp); got != nil {
		c.owned = got
	}
	return resp
}

func (c *consumer) leave() {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = c.group, c.id, epochLeave, -1
	c.x.try(c.x.home(c.group), req)
}

// poll heartbeats as a client does: with what it owns, and takes a new assignment at once when own says so.
func (c *consumer) poll(take bool) (assigned map[string]bool) {
	resp := c.heartbeat(func(req *kmsg.ConsumerGroupHeartbeatRequest) { req.Topics = c.ownedTopics() })
	c.x.ok("the heartbeat", resp.ErrorCode)
	c.epoch = resp.MemberEpoch
	assigned = c.assigned(resp)
	if take && assigned != nil {
		c.owned = assigned
	}
	return assigned
}

// assigned are the partitions that an answer assigns, nil where it says nothing of them.
func (c *consumer) assigned(resp *kmsg.ConsumerGroupHeartbeatResponse) map[string]bool {
	if resp.Assignment == nil {
		return nil
	}
	assigned := map[string]bool{}
	for _, t := range resp.Assignment.Topics {
		c.x.that(t.TopicID == c.topic.id, "partitions of the subscribed topic", "of topic %x", t.TopicID)
		for _, p := range t.Partitions {
			assigned[fmt.Sprint(p)] = true
		}
	}
	return assigned
}

func (c *consumer) ownedTopics() []kmsg.ConsumerGroupHeartbeatRequestTopic {
	out := []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if len(c.owned) == 0 {
		return out
	}
	t := kmsg.NewConsumerGroupHeartbeatRequestTopic()
	t.TopicID = c.topic.id
	for p := range c.topic.partitions {
		if c.owned[fmt.Sprint(p)] {
			t.Partitions = append(t.Partitions, p)
		}
	}
	return append(out, t)
}

// settle joins and takes all partitions.
func (c *consumer) settle() {
	c.join()
	c.x.eventually("the only member is assigned all partitions", func() bool {
		return len(c.owned) == int(c.topic.partitions) || len(c.poll(true)) == int(c.topic.partitions)
	})
	c.poll(true) // tells the broker
}

func consumerGroupRules() []rule {
	const kip = "KIP-848"
	beat := func(name, says string, run func(x *exam, c *consumer)) rule {
		return rule{name: "consumer-group/" + name, key: kmsg.ConsumerGroupHeartbeat, says: says, cites: kip, run: func(x *exam) {
			run(x, x.newConsumer(x.name("g"), x.main))
		}}
	}
	return []rule{
		beat("life", "A member joins with epoch 0, is assigned the partitions of what it subscribes to, and leaves with epoch -1.", func(x *exam, c *consumer) {
			c.settle()
			resp := c.heartbeat(func(req *kmsg.ConsumerGroupHeartbeatRequest) { req.MemberEpoch = epochLeave })
			x.ok("the leave", resp.ErrorCode)
			equal(x, "epoch", resp.MemberEpoch, epochLeave)
			x.code("a heartbeat after it", c.heartbeat(nil).ErrorCode, codeUnknownMember)
		}),
		beat("revoke-first", "A partition goes to another member only after the one that owns it has given it up.", func(x *exam, a *consumer) {
			a.settle()
			b := x.newConsumer(a.group, a.topic)
			b.join()
			nothing := func(got map[string]bool) {
				x.must(len(got) == 0, "nothing for the second member while the first has not given up anything", "%d partitions", len(got))
			}
			nothing(b.owned)
			// The first member goes on with all that it has until it is asked to give something up; then it still does not.
			var keep map[string]bool
			x.eventually("the first member is asked to give a partition up", func() bool {
				nothing(b.poll(false))
				keep = a.poll(false)
				return keep != nil && len(keep) < int(a.topic.partitions)
			})
			nothing(b.poll(false))
			a.owned = keep
			a.poll(true)
			x.eventually("the second member gets what the first gave up", func() bool {
				a.poll(true)
				b.poll(true)
				for p := range b.owned {
					x.must(!a.owned[p], "each partition with one member", "partition %s with two", p)
				}
				return len(b.owned) > 0 && len(a.owned)+len(b.owned) == int(a.topic.partitions)
			})
		}),
		beat("fenced", "An epoch that is ahead, or long past, is FENCED_MEMBER_EPOCH; a member that is not of the group is UNKNOWN_MEMBER_ID.", func(x *exam, c *consumer) {
			c.settle()
			x.code("an epoch that is ahead", c.heartbeat(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch += 5 }).ErrorCode, codeFencedMemberEpoch)
			x.code("another member", c.heartbeat(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = memberID() }).ErrorCode, codeUnknownMember)
		}),
		beat("refused", "Without a group id, a subscription or a rebalance timeout a join is INVALID_REQUEST, and with an assignor that the broker lacks UNSUPPORTED_ASSIGNOR.", func(x *exam, c *consumer) {
			for _, w := range []struct {
				what   string
				code   int16
				change func(*kmsg.ConsumerGroupHeartbeatRequest)
			}{
				{"no group id", codeInvalidRequest, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = "" }},
				{"no rebalance timeout", codeInvalidRequest, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 }},
				{"owned partitions are null", codeInvalidRequest, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = nil }},
				{"an unknown assignor", codeUnsupportedAssignor, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = ptr("nonsense") }},
			} {
				x.code(w.what, c.heartbeat(func(r *kmsg.ConsumerGroupHeartbeatRequest) { c.joining(r); w.change(r) }).ErrorCode, w.code)
			}
			x.code("an epoch in a group that does not exist", c.heartbeat(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = 3 }).ErrorCode, codeGroupIDNotFound, codeUnknownMember)
		}),
	}
}

// consumerGroupMoreRules are about expressions, tools and commits in groups of the consumer protocol.
func consumerGroupMoreRules() []rule {
	return []rule{
		{name: "consumer-group/regex", key: kmsg.ConsumerGroupHeartbeat, min: 1, says: "From version 1 a member may subscribe by a regular expression; one that cannot be read is INVALID_REGULAR_EXPRESSION.", cites: "KIP-848",
			run: func(x *exam) {
				c := x.newConsumer(x.name("g"), x.topic(2))
				bad := c.heartbeat(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
					c.joining(r)
					r.SubscribedTopicNames, r.SubscribedTopicRegex = nil, ptr("[")
				})
				x.code("an expression that cannot be read", bad.ErrorCode, codeInvalidRegularExpression)
				resp := c.heartbeat(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
					c.joining(r)
					r.SubscribedTopicNames, r.SubscribedTopicRegex = nil, ptr(c.topic.name[:len(c.topic.name)-1]+".")
				})
				x.ok("the join", resp.ErrorCode)
				c.epoch = resp.MemberEpoch
				if got := c.assigned(resp); got != nil {
					c.owned = got
				}
				x.onEnd(func() { c.leave() })
				x.eventually("the topic that matches is assigned", func() bool { return len(c.owned) == 2 || len(c.poll(true)) == 2 })
			}},
		{name: "consumer-group/described", key: kmsg.ConsumerGroupDescribe, more: []kmsg.Key{kmsg.ConsumerGroupHeartbeat}, says: "ConsumerGroupDescribe tells state, epochs and assignments; a group that does not exist is GROUP_ID_NOT_FOUND.", cites: "KIP-848",
			run: func(x *exam) {
				c := x.newConsumer(x.name("g"), x.main)
				c.settle()
				ask1 := func(g string) kmsg.ConsumerGroupDescribeResponseGroup {
					req := kmsg.NewPtrConsumerGroupDescribeRequest()
					req.Groups = []string{g}
					resp := askGroup[*kmsg.ConsumerGroupDescribeResponse](x, g, req)
					x.count("one group in the answer", len(resp.Groups), 1)
					return resp.Groups[0]
				}
				x.eventually("the group is Stable", func() bool { c.poll(true); return ask1(c.group).State == "Stable" })
				g := ask1(c.group)
				x.ok("the group", g.ErrorCode)
				x.count("one member", len(g.Members), 1)
				m := g.Members[0]
				equal(x, "member", m.MemberID, c.id)
				equal(x, "epoch", m.MemberEpoch, c.epoch)
				x.that(len(m.Assignment.TopicPartitions) == 1 && len(m.Assignment.TopicPartitions[0].Partitions) == int(x.main.partitions), "all partitions", "%+v", m.Assignment.TopicPartitions)
				x.code("a group that does not exist", ask1(x.name("g")).ErrorCode, codeGroupIDNotFound)
			}},
		{name: "consumer-group/commit", key: kmsg.OffsetCommit, min: 9, more: []kmsg.Key{kmsg.ConsumerGroupHeartbeat}, says: "A member commits with its epoch; an epoch that is not its own is STALE_MEMBER_EPOCH.", cites: "KIP-848",
			run: func(x *exam) {
				c := x.newConsumer(x.name("g"), x.main)
				c.settle()
				x.code("the member's commit", x.commit(c.group, x.main, 3, func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = c.id, c.epoch }), 0)
				x.code("a commit of an epoch to come", x.commit(c.group, x.main, 4, func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = c.id, c.epoch+5 }), codeStaleMemberEpoch, codeFencedMemberEpoch)
				x.code("a commit of another member", x.commit(c.group, x.main, 4, func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = memberID(), c.epoch }), codeUnknownMember)
				equal(x, "offset", x.committed(c.group, x.main, false).offset, 3)
			}},
		{name: "consumer-group/listed", key: kmsg.ListGroups, min: 5, more: []kmsg.Key{kmsg.ConsumerGroupHeartbeat}, says: "A group of the consumer protocol is listed with its type.", cites: "KIP-848",
			run: func(x *exam) {
				c := x.newConsumer(x.name("g"), x.main)
				c.settle()
				req := kmsg.NewPtrListGroupsRequest()
				req.TypesFilter = []string{"consumer"}
				resp := askGroup[*kmsg.ListGroupsResponse](x, c.group, req)
				x.that(slices.ContainsFunc(resp.Groups, func(g kmsg.ListGroupsResponseGroup) bool { return g.Group == c.group && g.GroupType == "consumer" }), "the group, of type consumer", "it is not in the list")
			}},
	}
}
