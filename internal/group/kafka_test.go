//go:build kafka

package group

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// These tests play the same scenes to Apache Kafka and to a Service, in real time, and compare what each
// answers. MOLDAU_TEST_KAFKA is the address of a broker that runs with group.initial.rebalance.delay.ms=500,
// group.min.session.timeout.ms=1000 and group.max.size=3.

// answerMs is how long an answer may take before the request counts as parked.
const answerMs = 350

// player sends requests of named actors to one of the two.
type player struct {
	t       *testing.T
	send    func(actor string, version int16, req kmsg.Request) <-chan kmsg.Response
	names   map[string]string // member id -> what it is called in the transcript
	actors  map[string]*part
	pending map[string]<-chan kmsg.Response
	out     []string
	suffix  string // makes groups of this run its own
}

// part is what an actor knows of itself.
type part struct {
	id        string
	gen       int32
	instance  *string
	session   int32
	rebalance int32
	protocols []string
	version   int16
}

func (p *player) actor(name string) *part {
	a := p.actors[name]
	if a == nil {
		a = &part{session: 20_000, rebalance: 5_000, protocols: []string{"x", "y"}, version: 9}
		p.actors[name] = a
	}
	return a
}

func (p *player) name(id string) string {
	if id == "" {
		return "-"
	}
	if n, ok := p.names[id]; ok {
		return n
	}
	return "?"
}

func (p *player) step(actor, what string, version int16, req kmsg.Request) kmsg.Response {
	ch := p.send(actor, version, req)
	select {
	case r := <-ch:
		return p.take(actor, what, r)
	case <-time.After(answerMs * time.Millisecond):
		p.out = append(p.out, fmt.Sprintf("%s %s: parked", actor, what))
		p.pending[actor] = ch
		return nil
	}
}

func (p *player) await(actor string) {
	ch := p.pending[actor]
	if ch == nil {
		p.out = append(p.out, actor+" waits for nothing")
		return
	}
	delete(p.pending, actor)
	select {
	case r := <-ch:
		p.take(actor, "is answered", r)
	case <-time.After(15 * time.Second):
		p.out = append(p.out, actor+" is never answered")
	}
}

func (p *player) take(actor, what string, r kmsg.Response) kmsg.Response {
	if j, ok := r.(*kmsg.JoinGroupResponse); ok {
		if _, known := p.names[j.MemberID]; !known && j.MemberID != "" {
			p.names[j.MemberID] = fmt.Sprintf("%s#%d", actor, len(p.names))
		}
		if j.ErrorCode == 0 || j.ErrorCode == codeMemberIDRequired {
			p.actor(actor).id = j.MemberID
		}
		if j.ErrorCode == 0 {
			p.actor(actor).gen = j.Generation
		}
	}
	p.out = append(p.out, fmt.Sprintf("%s %s: %s", actor, what, p.show(r)))
	return r
}

func str(s *string) string {
	if s == nil {
		return "nil"
	}
	return *s
}

func (p *player) show(r kmsg.Response) string {
	switch r := r.(type) {
	case *kmsg.JoinGroupResponse:
		var members []string
		for _, m := range r.Members {
			members = append(members, p.name(m.MemberID)+"/"+str(m.InstanceID)+"/"+string(m.ProtocolMetadata))
		}
		sort.Strings(members)
		return fmt.Sprintf("code %d gen %d %s %s leader %s me %s skip %v %v", r.ErrorCode, r.Generation, str(r.ProtocolType), str(r.Protocol), p.name(r.LeaderID), p.name(r.MemberID), r.SkipAssignment, members)
	case *kmsg.SyncGroupResponse:
		return fmt.Sprintf("code %d %s %s %q", r.ErrorCode, str(r.ProtocolType), str(r.Protocol), r.MemberAssignment)
	case *kmsg.HeartbeatResponse:
		return fmt.Sprintf("code %d", r.ErrorCode)
	case *kmsg.LeaveGroupResponse:
		s := fmt.Sprintf("code %d", r.ErrorCode)
		for _, m := range r.Members {
			s += fmt.Sprintf(" %s/%s:%d", p.name(m.MemberID), str(m.InstanceID), m.ErrorCode)
		}
		return s
	case *kmsg.OffsetCommitResponse:
		return fmt.Sprintf("code %d", r.Topics[0].Partitions[0].ErrorCode)
	case *kmsg.OffsetFetchResponse:
		s := fmt.Sprintf("code %d", r.ErrorCode)
		for _, t := range r.Topics {
			for _, x := range t.Partitions {
				s += fmt.Sprintf(" %s-%d %d/%d/%s/%d", t.Topic, x.Partition, x.Offset, x.LeaderEpoch, str(x.Metadata), x.ErrorCode)
			}
		}
		for _, g := range r.Groups {
			s += fmt.Sprintf(" [code %d", g.ErrorCode)
			for _, t := range g.Topics {
				for _, x := range t.Partitions {
					s += fmt.Sprintf(" %s-%d %d/%d/%s/%d", t.Topic, x.Partition, x.Offset, x.LeaderEpoch, str(x.Metadata), x.ErrorCode)
				}
			}
			s += "]"
		}
		return s
	case *kmsg.OffsetDeleteResponse:
		s := fmt.Sprintf("code %d", r.ErrorCode)
		for _, t := range r.Topics {
			s += fmt.Sprintf(" %s:%d", t.Topic, t.Partitions[0].ErrorCode)
		}
		return s
	case *kmsg.DescribeGroupsResponse:
		g := r.Groups[0]
		var members []string
		for _, m := range g.Members {
			members = append(members, fmt.Sprintf("%s/%s/%s/%q/%q", p.name(m.MemberID), str(m.InstanceID), m.ClientHost, m.ProtocolMetadata, m.MemberAssignment))
		}
		sort.Strings(members)
		return strings.ReplaceAll(fmt.Sprintf("code %d %s %s %s %s %v", g.ErrorCode, str(g.ErrorMessage), g.State, g.ProtocolType, g.Protocol, members), p.suffix, "")
	case *kmsg.DeleteGroupsResponse:
		return fmt.Sprintf("code %d", r.Groups[0].ErrorCode)
	}
	return fmt.Sprintf("%T", r)
}

func (p *player) join(actor, group string, tune ...func(*kmsg.JoinGroupRequest)) {
	a := p.actor(actor)
	r := kmsg.NewPtrJoinGroupRequest()
	r.Group, r.MemberID, r.InstanceID, r.ProtocolType = group+p.suffix, a.id, a.instance, "consumer"
	r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = a.session, a.rebalance
	for _, n := range a.protocols {
		r.Protocols = append(r.Protocols, kmsg.JoinGroupRequestProtocol{Name: n, Metadata: subscription("t0")})
	}
	for _, f := range tune {
		f(r)
	}
	p.step(actor, "joins", a.version, r)
}

// enter joins as clients do: twice, if the first time only brings an id.
func (p *player) enter(actor, group string) {
	p.join(actor, group)
	if a := p.actor(actor); a.id != "" && p.pending[actor] == nil && a.gen == 0 {
		p.join(actor, group)
	}
}

// sync: assignments are given by actor.
func (p *player) sync(actor, group string, assign ...string) {
	a := p.actor(actor)
	r := kmsg.NewPtrSyncGroupRequest()
	r.Group, r.MemberID, r.Generation, r.InstanceID = group+p.suffix, a.id, a.gen, a.instance
	ptype := "consumer"
	pname := a.protocols[len(a.protocols)-1]
	if len(a.protocols) > 1 {
		pname = a.protocols[0]
	}
	r.ProtocolType, r.Protocol = &ptype, &pname
	for _, to := range assign {
		r.GroupAssignment = append(r.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: p.actor(to).id, MemberAssignment: []byte("for " + to)})
	}
	p.step(actor, "syncs", 5, r)
}

func (p *player) heartbeat(actor, group string) {
	a := p.actor(actor)
	r := kmsg.NewPtrHeartbeatRequest()
	r.Group, r.MemberID, r.Generation, r.InstanceID = group+p.suffix, a.id, a.gen, a.instance
	p.step(actor, "heartbeats", 4, r)
}

func (p *player) leave(actor, group string, tune ...func(*kmsg.LeaveGroupRequest)) {
	a := p.actor(actor)
	r := kmsg.NewPtrLeaveGroupRequest()
	r.Group = group + p.suffix
	r.Members = []kmsg.LeaveGroupRequestMember{{MemberID: a.id, InstanceID: a.instance}}
	for _, f := range tune {
		f(r)
	}
	p.step(actor, "leaves", 5, r)
}

func (p *player) commit(actor, group string, offset int64, tune ...func(*kmsg.OffsetCommitRequest)) {
	a := p.actor(actor)
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.MemberID, r.Generation, r.InstanceID = group+p.suffix, a.id, a.gen, a.instance
	note := "note"
	r.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t0", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0, Offset: offset, LeaderEpoch: 0, Metadata: &note}}}}
	for _, f := range tune {
		f(r)
	}
	p.step(actor, "commits", 9, r)
}

func (p *player) fetch(group string, version int16, all bool) {
	r := kmsg.NewPtrOffsetFetchRequest()
	r.Group = group + p.suffix
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = r.Group
	if !all {
		r.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t0", Partitions: []int32{0, 1}}}
		g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t0", Partitions: []int32{0, 1}}}
	}
	r.Groups = append(r.Groups, g)
	p.step("admin", fmt.Sprintf("fetches (version %d)", version), version, r)
}

func (p *player) describe(group string) {
	r := kmsg.NewPtrDescribeGroupsRequest()
	r.Groups = []string{group + p.suffix}
	p.step("admin", "describes", 6, r)
}

func (p *player) deleteGroup(group string) {
	r := kmsg.NewPtrDeleteGroupsRequest()
	r.Groups = []string{group + p.suffix}
	p.step("admin", "deletes", 2, r)
}

func (p *player) deleteOffsets(group string, topics ...string) {
	r := kmsg.NewPtrOffsetDeleteRequest()
	r.Group = group + p.suffix
	for _, t := range topics {
		r.Topics = append(r.Topics, kmsg.OffsetDeleteRequestTopic{Topic: t, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}})
	}
	p.step("admin", "deletes offsets", 0, r)
}

func (p *player) static(actor, instance string) { p.actor(actor).instance = &instance }

func wait(ms int) { time.Sleep(time.Duration(ms) * time.Millisecond) }

var scenes = map[string]func(p *player){
	"life of a group": func(p *player) {
		p.enter("a", "g")
		p.describe("g")
		p.await("a")
		p.describe("g")
		p.commit("a", "g", 1)
		p.heartbeat("a", "g")
		p.sync("a", "g", "a")
		p.describe("g")
		p.commit("a", "g", 2)
		p.enter("b", "g")
		p.heartbeat("a", "g")
		p.commit("a", "g", 3)
		p.describe("g")
		p.join("a", "g")
		p.await("b")
		p.sync("b", "g")
		p.sync("a", "g", "a", "b")
		p.await("b")
		p.describe("g")
		p.join("b", "g")
		p.sync("b", "g")
		p.leave("b", "g")
		p.leave("b", "g")
		p.heartbeat("a", "g")
		p.deleteGroup("g")
		p.deleteOffsets("g", "t0", "t1")
		p.join("a", "g")
		p.sync("a", "g", "a")
		p.leave("a", "g")
		p.describe("g")
		p.fetch("g", 9, false)
		p.fetch("g", 9, true)
		p.fetch("g", 1, false)
		p.fetch("g", 5, true)
		p.deleteOffsets("g", "t0", "t1")
		p.deleteGroup("g")
		p.describe("g")
		p.fetch("g", 7, false)
	},
	"sessions": func(p *player) {
		p.actor("a").session, p.actor("b").session = 2000, 1500
		p.actor("a").rebalance, p.actor("b").rebalance = 2000, 2000
		p.enter("a", "g")
		p.enter("b", "g")
		p.await("a")
		p.await("b")
		p.sync("b", "g")
		p.sync("a", "g", "a", "b")
		p.await("b")
		wait(1000)
		p.heartbeat("a", "g")
		wait(1000)
		p.heartbeat("a", "g")
		p.heartbeat("b", "g")
		wait(2300)
		p.heartbeat("a", "g")
		p.describe("g")
	},
	"nobody syncs": func(p *player) {
		p.actor("a").rebalance, p.actor("b").rebalance = 1500, 1500
		p.enter("a", "g")
		p.enter("b", "g")
		p.await("a")
		p.await("b")
		p.sync("b", "g")
		p.await("b")
		p.describe("g")
		p.heartbeat("a", "g")
		p.join("b", "g")
		p.sync("b", "g", "b")
	},
	"a member does not rejoin": func(p *player) {
		for _, n := range []string{"a", "b", "c"} {
			p.actor(n).rebalance = 1500
		}
		p.enter("a", "g")
		p.enter("b", "g")
		p.await("a")
		p.await("b")
		p.sync("a", "g", "a", "b")
		p.sync("b", "g")
		p.enter("c", "g")
		p.join("b", "g")
		p.await("b")
		p.await("c")
		p.heartbeat("a", "g")
		p.describe("g")
	},
	"static members": func(p *player) {
		p.static("a", "A")
		p.static("b", "B")
		p.enter("a", "g")
		p.enter("b", "g")
		p.await("a")
		p.await("b")
		p.sync("b", "g")
		p.sync("a", "g", "a", "b")
		p.await("b")
		p.static("b2", "B")
		p.enter("b2", "g")
		p.sync("b2", "g")
		p.heartbeat("b", "g")
		p.commit("b", "g", 1)
		p.sync("b", "g")
		p.join("b", "g")
		p.leave("b", "g")
		p.heartbeat("b2", "g")
		p.commit("b2", "g", 2)
		p.describe("g")
		p.static("a2", "A")
		p.enter("a2", "g")
		p.sync("a2", "g")
		p.static("a3", "A")
		p.actor("a3").version = 8
		p.enter("a3", "g")
		p.sync("a3", "g")
		p.describe("g")
		p.actor("b3").protocols = []string{"y"}
		p.static("b3", "B")
		p.enter("b3", "g")
		p.heartbeat("a3", "g")
		p.join("a3", "g")
		p.await("b3")
		p.sync("b3", "g")
		p.static("b4", "B")
		p.enter("b4", "g")
		p.await("b3")
		p.leave("admin", "g", func(r *kmsg.LeaveGroupRequest) {
			i, j := "A", "nobody"
			r.Members = []kmsg.LeaveGroupRequestMember{{InstanceID: &i}, {InstanceID: &j}, {}}
		})
		p.await("b4")
		p.describe("g")
	},
	"size and protocols": func(p *player) {
		for _, n := range []string{"a", "b", "c", "d"} {
			p.enter(n, "g")
		}
		for _, n := range []string{"a", "b", "c"} {
			p.await(n)
		}
		p.sync("a", "g", "a", "b", "c")
		p.sync("b", "g")
		p.sync("c", "g")
		p.join("d", "g")
		p.actor("e").protocols = []string{"z"}
		p.join("e", "g")
		p.leave("c", "g")
		p.join("e", "g")
		p.join("e", "g", func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect"; r.Protocols[0].Name = "x" })
		p.join("e", "none", func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" })
		p.join("e", "none", func(r *kmsg.JoinGroupRequest) { r.Protocols = nil })
		p.join("e", "none", func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 999 })
		p.join("e", "none", func(r *kmsg.JoinGroupRequest) { r.MemberID = "unknown" })
		p.actor("o").version = 1
		p.join("o", "old")
		p.await("o")
	},
	"commits": func(p *player) {
		p.actor("x").gen = -1
		p.commit("x", "simple", 5)
		p.fetch("simple", 9, false)
		p.commit("x", "simple", 6, func(r *kmsg.OffsetCommitRequest) { r.MemberID = "someone" })
		p.actor("y").gen = 3
		p.commit("y", "none", 6)
		long := strings.Repeat("m", 4097)
		p.commit("x", "simple", 7, func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Metadata = &long })
		p.fetch("simple", 9, true)
		p.describe("simple")
		p.enter("a", "simple")
		p.commit("x", "simple", 8)
		p.await("a")
		p.commit("x", "simple", 8)
		p.sync("a", "simple", "a")
		p.commit("x", "simple", 8)
		p.commit("a", "simple", 9)
		p.commit("a", "simple", 9, func(r *kmsg.OffsetCommitRequest) { r.Generation = -1 })
		p.fetch("simple", 2, true)
	},
	"an id that is never used": func(p *player) {
		p.actor("a").session = 1500
		p.join("a", "g")
		p.describe("g")
		p.leave("a", "g")
		p.join("a", "g")
		p.actor("b").session = 1500
		p.join("b", "g")
		wait(1800)
		p.join("b", "g")
		p.describe("g")
	},
}

// againstKafka sends to a real broker, each actor over a connection of its own.
func againstKafka(t *testing.T, addr string) func(string, int16, kmsg.Request) <-chan kmsg.Response {
	clients := map[string]*kgo.Client{}
	return func(actor string, version int16, req kmsg.Request) <-chan kmsg.Response {
		cl := clients[actor]
		if cl == nil {
			var err error
			if cl, err = kgo.NewClient(kgo.SeedBrokers(addr), kgo.ClientID("client")); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cl.Close)
			clients[actor] = cl
			if err := cl.Ping(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		ch := make(chan kmsg.Response, 1)
		go func() {
			resp, err := cl.SeedBrokers()[0].Request(context.Background(), &atVersion{req, version})
			if err != nil {
				t.Logf("%s: %v", actor, err)
				return
			}
			ch <- resp
		}()
		return ch
	}
}

// atVersion is a request that no negotiation raises.
type atVersion struct {
	kmsg.Request
	version int16
}

func (a *atVersion) MaxVersion() int16  { return a.version }
func (a *atVersion) SetVersion(v int16) { a.Request.SetVersion(v) }

// againstUs sends to a Service.
func againstUs(t *testing.T) func(string, int16, kmsg.Request) <-chan kmsg.Response {
	log := coord.NewMemLog(nil)
	cfg := DefaultConfig()
	cfg.InitialRebalanceDelayMs, cfg.MinSessionTimeoutMs, cfg.MaxSize = 500, 1000, 3
	n := make(chan int, 1)
	n <- 0
	s := New(Options{
		Config: cfg, Writer: log, Loader: log, Clock: clock.Real{}, Topics: fakeTopics{},
		NumPartitions: func() int32 { return 1 },
		NewID:         func() string { i := <-n; n <- i + 1; return fmt.Sprint(i) },
	})
	log.OnCommit(s.HighWatermark)
	t.Cleanup(s.Close)
	s.Elect(0, 1)
	for s.rt.Counts().Active != 1 {
		time.Sleep(time.Millisecond)
	}
	rc := RequestContext{ClientID: "client", ClientHost: "/127.0.0.1"}
	return func(_ string, version int16, req kmsg.Request) <-chan kmsg.Response {
		req.SetVersion(version)
		// Through bytes and back, so that each version loses what it cannot carry.
		in := req.AppendTo(nil)
		wire := kmsg.RequestForKey(req.Key())
		wire.SetVersion(version)
		if err := wire.ReadFrom(in); err != nil {
			t.Fatal(err)
		}
		ch := make(chan kmsg.Response, 1)
		back := func(r kmsg.Response) {
			out := kmsg.ResponseForKey(r.Key())
			out.SetVersion(version)
			if err := out.ReadFrom(r.AppendTo(nil)); err != nil {
				t.Error(err)
			}
			ch <- out
		}
		switch r := wire.(type) {
		case *kmsg.JoinGroupRequest:
			s.JoinGroup(rc, version, r, func(x *kmsg.JoinGroupResponse) { back(x) })
		case *kmsg.SyncGroupRequest:
			s.SyncGroup(rc, version, r, func(x *kmsg.SyncGroupResponse) { back(x) })
		case *kmsg.HeartbeatRequest:
			s.Heartbeat(rc, version, r, func(x *kmsg.HeartbeatResponse) { back(x) })
		case *kmsg.LeaveGroupRequest:
			s.LeaveGroup(rc, version, r, func(x *kmsg.LeaveGroupResponse) { back(x) })
		case *kmsg.OffsetCommitRequest:
			s.OffsetCommit(rc, version, r, func(x *kmsg.OffsetCommitResponse) { back(x) })
		case *kmsg.OffsetFetchRequest:
			s.OffsetFetch(rc, version, r, func(x *kmsg.OffsetFetchResponse) { back(x) })
		case *kmsg.OffsetDeleteRequest:
			s.OffsetDelete(rc, version, r, func(x *kmsg.OffsetDeleteResponse) { back(x) })
		case *kmsg.DescribeGroupsRequest:
			s.DescribeGroups(rc, version, r, func(x *kmsg.DescribeGroupsResponse) { back(x) })
		case *kmsg.DeleteGroupsRequest:
			s.DeleteGroups(rc, version, r, func(x *kmsg.DeleteGroupsResponse) { back(x) })
		}
		return ch
	}
}

func play(t *testing.T, scene func(*player), send func(string, int16, kmsg.Request) <-chan kmsg.Response) []string {
	p := &player{
		t: t, send: send, names: map[string]string{}, actors: map[string]*part{}, pending: map[string]<-chan kmsg.Response{},
		suffix: fmt.Sprintf("-%d", time.Now().UnixNano()),
	}
	scene(p)
	return p.out
}

func TestAgainstKafka(t *testing.T) {
	addr := os.Getenv("MOLDAU_TEST_KAFKA")
	if addr == "" {
		t.Skip("MOLDAU_TEST_KAFKA is not set")
	}
	prepareKafka(t, addr)
	for _, name := range sortedKeys(scenes) {
		t.Run(name, func(t *testing.T) {
			theirs := play(t, scenes[name], againstKafka(t, addr))
			ours := play(t, scenes[name], againstUs(t))
			if d := cmp.Diff(theirs, ours); d != "" {
				t.Errorf("- Kafka, + Moldau:\n%s", d)
			}
			if testing.Verbose() {
				t.Log(strings.Join(theirs, "\n"))
			}
		})
	}
}

// prepareKafka makes the topics, and waits for the group coordinator.
func prepareKafka(t *testing.T, addr string) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopics(ctx, 3, 1, nil, "t0", "t1"); err != nil {
		t.Fatal(err)
	}
	for adm.FindGroupCoordinators(ctx, "g").Error() != nil && ctx.Err() == nil {
		time.Sleep(200 * time.Millisecond)
	}
	time.Sleep(time.Second)
}
