package group

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a coordinator over a log in memory, on a clock that moves by hand. Unless a test
// holds commits back, every request is answered before its call returns, or is parked.
type stage struct {
	t     testing.TB
	clk   *clock.Fake
	log   *coord.MemLog
	s     *Service
	ids   int
	epoch int32
}

func newStage(t testing.TB, tune ...func(*Options)) *stage {
	st := &stage{t: t, clk: clock.NewFake(time.UnixMilli(1_700_000_000_000)), log: coord.NewMemLog(nil)}
	st.start(tune...)
	return st
}

func (st *stage) start(tune ...func(*Options)) {
	st.t.Helper()
	o := Options{
		Config: DefaultConfig(), Writer: st.log, Loader: st.log, Clock: st.clk,
		Topics: fakeTopics{}, NumPartitions: func() int32 { return 1 },
		Log:   slog.New(slog.NewTextHandler(complaints{st.t}, &slog.HandlerOptions{Level: slog.LevelError})),
		NewID: func() string { st.ids++; return fmt.Sprintf("id%d", st.ids) },
	}
	for _, f := range tune {
		f(&o)
	}
	st.s = New(o)
	st.log.OnCommit(st.s.HighWatermark)
	st.t.Cleanup(st.s.Close)
	for p := int32(0); p < o.NumPartitions(); p++ {
		st.elect(p)
	}
}

func (st *stage) elect(p int32) {
	st.t.Helper()
	st.epoch++
	st.log.SetEpoch(p, st.epoch)
	st.s.Elect(p, st.epoch)
	for i := 0; st.s.rt.Counts().Active != len(st.s.rt.Partitions()) || !st.s.rt.Idle(); i++ {
		if i > 10_000 {
			st.t.Fatal("the partition does not load")
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// failover makes the coordinator forget all that is not in the log.
func (st *stage) failover() {
	st.t.Helper()
	st.s.Resign(0, -1)
	st.elect(0)
}

func (st *stage) pass(d time.Duration) { st.clk.Advance(d) }

// shard gives a look inside.
func (st *stage) shard(fn func(*Shard)) {
	var died any // what a failed test panics with is not the shard's to swallow
	st.s.rt.Do(0, func(sh *Shard, _ *coord.Turn) {
		defer func() { died = recover() }()
		fn(sh)
	}, func(err error) { st.t.Fatal(err) })
	if died != nil {
		panic(died)
	}
}

// silent is for tests that provoke errors.
func silent(o *Options) { o.Log = nil }

// reload waits for the coordinator that comes after a panic.
func (st *stage) reload() {
	st.t.Helper()
	for i := 0; st.s.rt.Counts().Active == 0 || !st.s.rt.Idle(); i++ {
		if i > 10_000 {
			st.t.Fatal("the partition is not loaded anew")
		}
		st.pass(coord.DefaultLoadRetryMs * time.Millisecond)
		time.Sleep(100 * time.Microsecond)
	}
}

// complaints fails a test in which the coordinator has logged an error: it answers all
// the same when it panics, and a test that only looks at answers could miss it.
type complaints struct{ t testing.TB }

func (c complaints) Write(line []byte) (int, error) {
	c.t.Errorf("logged: %s", line)
	return len(line), nil
}

func (st *stage) state(group string) string {
	out := deadState
	st.shard(func(sh *Shard) {
		if g := sh.groups[group]; g != nil {
			out = g.state.String()
		}
	})
	return out
}

func (st *stage) wantState(group, want string) {
	st.t.Helper()
	if got := st.state(group); got != want {
		st.t.Fatalf("group %s is %s, want %s", group, got, want)
	}
}

// fakeTopics knows topics t0 to t9, whose ids begin with 100 to 109.
type fakeTopics struct{}

func (fakeTopics) TopicName(id [16]byte) (string, bool) {
	if id[0] < 100 || id[0] > 109 {
		return "", false
	}
	return fmt.Sprintf("t%d", id[0]-100), true
}

func (fakeTopics) TopicID(name string) ([16]byte, bool) {
	if len(name) != 2 || name[0] != 't' {
		return [16]byte{}, false
	}
	return [16]byte{100 + name[1] - '0'}, true
}

// subscription is a consumer's metadata: version 1, topics, no user data.
func subscription(topics ...string) []byte {
	b := appendInt32(appendInt16(nil, 1), int32(len(topics)))
	for _, t := range topics {
		b = appendString(b, t)
	}
	return appendInt32(b, -1)
}

// who is a client that joins.
type who struct {
	st        *stage
	group     string
	clientID  string
	id        string
	instance  *string
	version   int16
	session   int32
	rebalance int32
	ptype     string
	protocols []protocol

	gen    int32
	leader bool
}

func (st *stage) client(group string) *who {
	return &who{
		st: st, group: group, clientID: "client", version: 9, session: 10_000, rebalance: 60_000, ptype: consumerProtocolType,
		protocols: []protocol{{"range", subscription("t0")}, {"roundrobin", subscription("t0")}},
	}
}

func (st *stage) static(group, instance string) *who {
	c := st.client(group)
	c.instance = &instance
	return c
}

func (c *who) supporting(names ...string) *who {
	c.protocols = nil
	for _, n := range names {
		c.protocols = append(c.protocols, protocol{n, subscription("t0")})
	}
	return c
}

// call is a request in flight.
type call[R any] struct {
	t    testing.TB
	resp *R
}

func (c *call[R]) take(r *R) {
	if c.resp != nil {
		c.t.Errorf("answered twice: %+v after %+v", r, c.resp)
	}
	c.resp = r
}

func (c *call[R]) now() *R {
	c.t.Helper()
	if c.resp == nil {
		c.t.Fatal("not answered yet")
	}
	return c.resp
}

func (c *call[R]) parked() {
	c.t.Helper()
	if c.resp != nil {
		c.t.Fatalf("answered already: %+v", c.resp)
	}
}

// joinOnce sends one JoinGroup.
func (c *who) joinOnce() *call[kmsg.JoinGroupResponse] {
	r := kmsg.NewPtrJoinGroupRequest()
	r.Version, r.Group, r.MemberID, r.InstanceID = c.version, c.group, c.id, c.instance
	r.SessionTimeoutMillis, r.RebalanceTimeoutMillis, r.ProtocolType = c.session, c.rebalance, c.ptype
	for _, p := range c.protocols {
		r.Protocols = append(r.Protocols, kmsg.JoinGroupRequestProtocol{Name: p.name, Metadata: p.metadata})
	}
	out := &call[kmsg.JoinGroupResponse]{t: c.st.t}
	c.st.s.JoinGroup(RequestContext{ClientID: c.clientID, ClientHost: "/127.0.0.1"}, c.version, r, func(resp *kmsg.JoinGroupResponse) {
		out.take(resp)
		if resp.ErrorCode == codeNone || resp.ErrorCode == codeMemberIDRequired {
			c.id = resp.MemberID
		}
		if resp.ErrorCode == codeNone {
			c.gen, c.leader = resp.Generation, resp.LeaderID == resp.MemberID && !resp.SkipAssignment
		}
	})
	return out
}

// join sends JoinGroup as clients do: again with the member id, when one is given.
func (c *who) join() *call[kmsg.JoinGroupResponse] {
	out := c.joinOnce()
	if out.resp != nil && out.resp.ErrorCode == codeMemberIDRequired {
		out = c.joinOnce()
	}
	return out
}

func (c *who) syncWith(assignments map[string]string) *call[kmsg.SyncGroupResponse] {
	r := kmsg.NewPtrSyncGroupRequest()
	r.Group, r.MemberID, r.Generation, r.InstanceID = c.group, c.id, c.gen, c.instance
	ptype, pname := c.ptype, c.protocols[0].name
	c.st.shard(func(sh *Shard) {
		if g := sh.groups[c.group]; g != nil && g.protocolName != nil {
			pname = *g.protocolName
		}
	})
	r.ProtocolType, r.Protocol = &ptype, &pname
	for _, id := range sortedKeys(assignments) {
		r.GroupAssignment = append(r.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: []byte(assignments[id])})
	}
	out := &call[kmsg.SyncGroupResponse]{t: c.st.t}
	c.st.s.SyncGroup(RequestContext{}, 5, r, out.take)
	return out
}

func (c *who) sync() *call[kmsg.SyncGroupResponse] { return c.syncWith(nil) }

func (c *who) heartbeat() int16 {
	r := kmsg.NewPtrHeartbeatRequest()
	r.Group, r.MemberID, r.Generation, r.InstanceID = c.group, c.id, c.gen, c.instance
	out := &call[kmsg.HeartbeatResponse]{t: c.st.t}
	c.st.s.Heartbeat(RequestContext{}, 4, r, out.take)
	return out.now().ErrorCode
}

func (c *who) leave() int16 {
	r := kmsg.NewPtrLeaveGroupRequest()
	r.Group = c.group
	r.Members = []kmsg.LeaveGroupRequestMember{{MemberID: c.id, InstanceID: c.instance}}
	out := &call[kmsg.LeaveGroupResponse]{t: c.st.t}
	c.st.s.LeaveGroup(RequestContext{}, 5, r, out.take)
	resp := out.now()
	if resp.ErrorCode != codeNone {
		return resp.ErrorCode
	}
	return resp.Members[0].ErrorCode
}

// commitCall sends OffsetCommit for one partition of topic t0.
func (c *who) commitCall(version int16, offset int64, tune ...func(*kmsg.OffsetCommitRequest)) *call[kmsg.OffsetCommitResponse] {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.MemberID, r.Generation, r.InstanceID = c.group, c.id, c.gen, c.instance
	r.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t0", TopicID: [16]byte{100}, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0, Offset: offset, LeaderEpoch: 7}}}}
	for _, f := range tune {
		f(r)
	}
	out := &call[kmsg.OffsetCommitResponse]{t: c.st.t}
	c.st.s.OffsetCommit(RequestContext{}, version, r, out.take)
	return out
}

func (c *who) commit(offset int64, tune ...func(*kmsg.OffsetCommitRequest)) int16 {
	return c.commitCall(9, offset, tune...).now().Topics[0].Partitions[0].ErrorCode
}

// outsider commits and fetches without being a member.
func (st *stage) outsider(group string) *who {
	c := st.client(group)
	c.gen = -1
	return c
}

// fetch is the committed offset of t0-0, -1 if there is none.
func (st *stage) fetch(group string) int64 {
	return st.fetchCall(group, 9, false, "t0", 0).now().Groups[0].Topics[0].Partitions[0].Offset
}

func (st *stage) fetchCall(group string, version int16, stable bool, topic string, partitions ...int32) *call[kmsg.OffsetFetchResponse] {
	r := kmsg.NewPtrOffsetFetchRequest()
	r.Group, r.RequireStable = group, stable
	if topic != "" {
		id, _ := fakeTopics{}.TopicID(topic)
		r.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: topic, Partitions: partitions}}
		r.Groups = []kmsg.OffsetFetchRequestGroup{{Group: group, Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: topic, TopicID: id, Partitions: partitions}}}}
	} else {
		r.Groups = []kmsg.OffsetFetchRequestGroup{{Group: group}}
	}
	out := &call[kmsg.OffsetFetchResponse]{t: st.t}
	st.s.OffsetFetch(RequestContext{}, version, r, out.take)
	return out
}

func (st *stage) describe(version int16, group string) kmsg.DescribeGroupsResponseGroup {
	st.t.Helper()
	r := kmsg.NewPtrDescribeGroupsRequest()
	r.Groups = []string{group}
	out := &call[kmsg.DescribeGroupsResponse]{t: st.t}
	st.s.DescribeGroups(RequestContext{}, version, r, out.take)
	return out.now().Groups[0]
}

func (st *stage) list(states, types []string) []string {
	st.t.Helper()
	r := kmsg.NewPtrListGroupsRequest()
	r.StatesFilter, r.TypesFilter = states, types
	out := &call[kmsg.ListGroupsResponse]{t: st.t}
	st.s.ListGroups(RequestContext{}, 5, r, out.take)
	var ids []string
	for _, g := range out.now().Groups {
		ids = append(ids, fmt.Sprintf("%s:%s:%s:%s", g.Group, g.ProtocolType, g.GroupState, g.GroupType))
	}
	return ids
}

func (st *stage) delete(group string) int16 {
	r := kmsg.NewPtrDeleteGroupsRequest()
	r.Groups = []string{group}
	out := &call[kmsg.DeleteGroupsResponse]{t: st.t}
	st.s.DeleteGroups(RequestContext{}, 2, r, out.take)
	return out.now().Groups[0].ErrorCode
}

func (st *stage) offsetDelete(group string, topics ...string) (int16, []int16) {
	r := kmsg.NewPtrOffsetDeleteRequest()
	r.Group = group
	for _, t := range topics {
		r.Topics = append(r.Topics, kmsg.OffsetDeleteRequestTopic{Topic: t, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}})
	}
	out := &call[kmsg.OffsetDeleteResponse]{t: st.t}
	st.s.OffsetDelete(RequestContext{}, 0, r, out.take)
	var codes []int16
	for _, t := range out.now().Topics {
		codes = append(codes, t.Partitions[0].ErrorCode)
	}
	return out.now().ErrorCode, codes
}

// stable brings clients into one stable generation: they join, the first delay passes, the
// leader assigns each member its own id.
func (st *stage) stable(clients ...*who) {
	st.t.Helper()
	var joins []*call[kmsg.JoinGroupResponse]
	for _, c := range clients {
		joins = append(joins, c.join())
	}
	st.pass(3 * time.Second)
	st.pass(3 * time.Second)
	for _, j := range joins {
		if code := j.now().ErrorCode; code != codeNone {
			st.t.Fatalf("join: code %d", code)
		}
	}
	st.assign(clients...)
}

func (st *stage) assign(clients ...*who) {
	st.t.Helper()
	assignments := map[string]string{}
	for _, c := range clients {
		assignments[c.id] = "for " + c.id
	}
	// Followers ask first, as they mostly do, and wait for the leader.
	order := slices.Clone(clients)
	slices.SortStableFunc(order, func(a, b *who) int {
		if a.leader == b.leader {
			return 0
		}
		if a.leader {
			return 1
		}
		return -1
	})
	var calls []*call[kmsg.SyncGroupResponse]
	for _, c := range order {
		if c.leader {
			calls = append(calls, c.syncWith(assignments))
		} else {
			calls = append(calls, c.sync())
		}
	}
	for i, c := range order {
		if r := calls[i].now(); r.ErrorCode != codeNone || string(r.MemberAssignment) != "for "+c.id {
			st.t.Fatalf("member %s got code %d and %q", c.id, r.ErrorCode, r.MemberAssignment)
		}
	}
}

func wantCode(t testing.TB, what string, got, want int16) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: code %d, want %d", what, got, want)
	}
}
