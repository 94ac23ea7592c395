package group

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumersMetadata is what a classic consumer of t0 says of itself, with the partitions that it has.
func consumersMetadata(owned ...int32) []byte {
	b := appendInt32(appendString(appendInt32(appendInt16(nil, 1), 1), "t0"), -1)
	if len(owned) == 0 {
		return appendInt32(b, 0)
	}
	b = appendInt32(appendString(appendInt32(b, 1), "t0"), int32(len(owned)))
	for _, p := range owned {
		b = appendInt32(b, p)
	}
	return b
}

// classicConsumer is a consumer of t0 by the classic protocol whose partitions are tracked.
type classicConsumer struct {
	t     *testing.T
	s     *Service
	id    string
	gen   int32
	eager bool
	has   []int32
}

func (c *classicConsumer) join() int16 {
	if c.eager {
		c.has = nil
	}
	r := kmsg.NewPtrJoinGroupRequest()
	r.Group, r.MemberID, r.ProtocolType, r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = "g", c.id, "consumer", 45_000, 60_000
	r.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: consumersMetadata(c.has...)}}
	var got *kmsg.JoinGroupResponse
	c.s.JoinGroup(RequestContext{ClientID: "old"}, 9, r, func(x *kmsg.JoinGroupResponse) { got = x })
	if got != nil && got.ErrorCode == codeMemberIDRequired {
		c.id = got.MemberID
		return c.join()
	}
	if got == nil {
		c.t.Fatal("the join is parked")
	}
	if got.ErrorCode == codeNone {
		c.id, c.gen = got.MemberID, got.Generation
	}
	return got.ErrorCode
}

func (c *classicConsumer) sync(leads ...int32) int16 {
	r := kmsg.NewPtrSyncGroupRequest()
	r.Group, r.MemberID, r.Generation = "g", c.id, c.gen
	ptype, name := "consumer", "range"
	r.ProtocolType, r.Protocol = &ptype, &name
	if len(leads) > 0 {
		h := holding{}
		for _, p := range leads {
			h.give(topicID{100}, p, 0)
		}
		r.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: c.id, MemberAssignment: classicAssignment(h, 1, fakeMetadata{"t0": 4})}}
	}
	var got *kmsg.SyncGroupResponse
	c.s.SyncGroup(RequestContext{}, 5, r, func(x *kmsg.SyncGroupResponse) { got = x })
	if got.ErrorCode == codeNone {
		named, err := parseClassicAssignment(got.MemberAssignment)
		if err != nil {
			c.t.Fatal(err)
		}
		c.has = named["t0"]
	}
	return got.ErrorCode
}

func (c *classicConsumer) heartbeat() (code int16) {
	r := kmsg.NewPtrHeartbeatRequest()
	r.Group, r.MemberID, r.Generation = "g", c.id, c.gen
	c.s.Heartbeat(RequestContext{}, 4, r, func(x *kmsg.HeartbeatResponse) { code = x.ErrorCode })
	return code
}

// live is what the client does at every heartbeat interval.
func (c *classicConsumer) live() {
	for range 5 {
		if code := c.heartbeat(); code != codeRebalanceInProgress {
			wantCode(c.t, "classic heartbeat", code, codeNone)
			return
		}
		wantCode(c.t, "classic join", c.join(), codeNone)
		if code := c.sync(); code != codeRebalanceInProgress {
			wantCode(c.t, "classic sync", code, codeNone)
			return
		}
	}
}

func noDelay(o *Options) { o.Config.InitialRebalanceDelayMs = 0 }

func TestAClassicGroupMovesOverAndBackWhileItRuns(t *testing.T) {
	for _, eager := range []bool{true, false} {
		st := newStage(t, withTopics(fakeMetadata{"t0": 4}), noDelay)
		old := &classicConsumer{t: t, s: st.s, eager: eager}
		wantCode(t, "join", old.join(), codeNone)
		wantCode(t, "sync", old.sync(0, 1, 2, 3), codeNone)
		wantCode(t, "commit", st.commitAs("g", old.id, old.gen, 5), codeNone)

		next := st.consumer("g", "n")
		wantCode(t, "the first of the new protocol", next.join("t0").ErrorCode, codeNone)
		for range 10 {
			old.live()
			wantCode(t, "heartbeat", next.beat().ErrorCode, codeNone)
			disjoint(t, old, next)
			st.pass(time.Second)
		}
		if len(old.has) != 2 || next.count() != 2 || st.consumerState("g") != Stable.String() {
			t.Fatalf("eager %v: the old member has %v, the new one %v, the group is %s", eager, old.has, next.has, st.consumerState("g"))
		}
		st.failover()
		old.live()
		wantCode(t, "heartbeat after a failover", next.beat().ErrorCode, codeNone)
		wantCode(t, "commit of a classic member", st.commitAs("g", old.id, old.gen, 6), codeNone)
		if st.fetch("g") != 6 {
			t.Fatal("offset", st.fetch("g"))
		}

		wantCode(t, "leave", next.leave().ErrorCode, codeNone)
		if st.consumerState("g") != deadState {
			t.Fatal("the group has only a classic member and is no classic group")
		}
		if code := old.heartbeat(); code != codeIllegalGeneration && code != codeRebalanceInProgress {
			t.Fatal(code)
		}
		wantCode(t, "join", old.join(), codeNone)
		wantCode(t, "sync", old.sync(0, 1, 2, 3), codeNone)
		st.wantState("g", "Stable")
		if st.fetch("g") != 6 {
			t.Fatal("the offset is lost on the way back")
		}
	}
}

func disjoint(t *testing.T, old *classicConsumer, next *consumer) {
	t.Helper()
	for _, p := range old.has {
		for _, q := range next.has[topicID{100}] {
			if p == q {
				t.Fatalf("both are at work on partition %d", p)
			}
		}
	}
}

func TestTheMigrationPolicyIsObeyed(t *testing.T) {
	st := newStage(t, withTopics(fakeMetadata{"t0": 4}), noDelay, func(o *Options) { o.Config.Consumer.Upgrade = false })
	old := &classicConsumer{t: t, s: st.s}
	wantCode(t, "join", old.join(), codeNone)
	wantCode(t, "sync", old.sync(0, 1, 2, 3), codeNone)
	wantCode(t, "join without upgrades", st.consumer("g", "n").join("t0").ErrorCode, codeGroupIDNotFound)
	wantCode(t, "the classic member's heartbeat", old.heartbeat(), codeNone)

	st = newStage(t, withTopics(fakeMetadata{"t0": 4}), noDelay, func(o *Options) { o.Config.Consumer.Downgrade = false })
	old = &classicConsumer{t: t, s: st.s}
	wantCode(t, "join", old.join(), codeNone)
	wantCode(t, "sync", old.sync(0, 1, 2, 3), codeNone)
	n := st.consumer("g", "n")
	n.join("t0")
	wantCode(t, "leave", n.leave().ErrorCode, codeNone)
	if st.consumerState("g") == deadState {
		t.Fatal("the group is a classic one again, though that is not allowed")
	}
	old.live()
	if len(old.has) != 4 {
		t.Fatal(old.has)
	}
}

func TestAClassicMemberThatDoesNotComeBackIsPutOut(t *testing.T) {
	st := newStage(t, withTopics(fakeMetadata{"t0": 4}), noDelay)
	old := &classicConsumer{t: t, s: st.s}
	wantCode(t, "join", old.join(), codeNone)
	wantCode(t, "sync", old.sync(0, 1, 2, 3), codeNone)
	n := st.consumer("g", "n")
	n.join("t0")
	for range 15 {
		if old.heartbeat() == codeUnknownMemberID {
			break
		}
		wantCode(t, "heartbeat", n.beat().ErrorCode, codeNone)
		st.pass(5 * time.Second)
	}
	wantCode(t, "the one that only heartbeats", old.heartbeat(), codeUnknownMemberID)
	st.settle("g", n)
	if n.count() != 4 {
		t.Fatal(n.has)
	}
}

// commitAs commits an offset of t0-0 in a member's name.
func (st *stage) commitAs(group, member string, generation int32, offset int64) int16 {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.MemberID, r.Generation = group, member, generation
	r.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t0", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: offset, LeaderEpoch: -1}}}}
	var code int16 = -99
	st.s.OffsetCommit(RequestContext{}, 9, r, func(x *kmsg.OffsetCommitResponse) { code = x.Topics[0].Partitions[0].ErrorCode })
	return code
}
