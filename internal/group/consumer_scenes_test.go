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

// These tests play the same scenes of consumer groups to Apache Kafka and to a Service and compare the answers.
// MOLDAU_TEST_KAFKA_CONSUMER is the address of a broker that runs with group.consumer.assignment.interval.ms=0,
// group.consumer.max.size=5 and group.initial.rebalance.delay.ms=0.

// stand is one of the two.
type stand struct {
	t      *testing.T
	send   func(version int16, req kmsg.Request) kmsg.Response
	topics map[[16]byte]string
	ids    map[string][16]byte
	suffix string
	out    []string
	epoch  map[string]int32 // of a member
	names  map[string]string
	quiet  bool // what is answered now depends on time
}

func (p *stand) say(format string, args ...any) {
	if p.quiet {
		return
	}
	line := fmt.Sprintf(format, args...)
	for id, name := range p.names {
		line = strings.ReplaceAll(line, id, name)
	}
	p.out = append(p.out, strings.ReplaceAll(line, p.suffix, ""))
}

type tune func(*kmsg.ConsumerGroupHeartbeatRequest)

func reads(topics ...string) tune {
	return func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = append([]string{}, topics...) }
}

func pattern(text string) tune {
	return func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicRegex = &text }
}

func at(epoch int32) tune {
	return func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.MemberEpoch = epoch
		if r.RebalanceTimeoutMillis, r.Topics = -1, nil; epoch == 0 {
			r.RebalanceTimeoutMillis, r.Topics = 60_000, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		}
	}
}

func as(instance string) tune {
	return func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = &instance }
}

func by(assignor string) tune {
	return func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = &assignor }
}

func (p *stand) owns(what ...string) tune {
	return func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		by := map[string][]int32{}
		for _, w := range what {
			var topic string
			var partition int32
			fmt.Sscanf(strings.Replace(w, "-", " ", 1), "%s %d", &topic, &partition)
			by[topic] = append(by[topic], partition)
		}
		for topic, partitions := range by {
			r.Topics = append(r.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: p.ids[topic], Partitions: partitions})
		}
	}
}

func (p *stand) group(name string) string { return name + p.suffix }

// beat sends a heartbeat at the epoch that the member was told last.
func (p *stand) beat(member string, tunes ...tune) {
	r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	r.Group, r.MemberID, r.MemberEpoch, r.RebalanceTimeoutMillis = p.group("g"), member, p.epoch[member], -1
	if r.MemberEpoch == 0 {
		r.RebalanceTimeoutMillis, r.Topics = 60_000, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	for _, f := range tunes {
		f(r)
	}
	resp := p.send(1, r).(*kmsg.ConsumerGroupHeartbeatResponse)
	if resp.ErrorCode == 0 {
		p.epoch[member] = max(resp.MemberEpoch, 0)
	}
	interval := resp.HeartbeatIntervalMillis
	if interval == minMovingHeartbeatMs {
		interval = 5000 // a member that waits is asked to come sooner than in Kafka
	}
	p.say("%s at %d: code %d %s epoch %d interval %d %s", member, r.MemberEpoch, resp.ErrorCode, str(resp.ErrorMessage), resp.MemberEpoch, interval, p.shown(resp.Assignment))
}

func (p *stand) shown(a *kmsg.ConsumerGroupHeartbeatResponseAssignment) string {
	if a == nil {
		return "as before"
	}
	var out []string
	for _, t := range a.Topics {
		for _, x := range t.Partitions {
			out = append(out, fmt.Sprintf("%s-%d", p.topics[t.TopicID], x))
		}
	}
	sort.Strings(out)
	return fmt.Sprint(out)
}

func (p *stand) describe() {
	r := kmsg.NewPtrConsumerGroupDescribeRequest()
	r.Groups = []string{p.group("g")}
	for _, g := range p.send(1, r).(*kmsg.ConsumerGroupDescribeResponse).Groups {
		p.say("described: code %d %s %s epoch %d target %d by %s", g.ErrorCode, str(g.ErrorMessage), g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName)
		var lines []string
		for _, m := range g.Members {
			lines = append(lines, fmt.Sprintf("  %s/%s/%s epoch %d reads %v %s has %s shall %s type %d", m.MemberID, str(m.InstanceID), str(m.RackID), m.MemberEpoch, m.SubscribedTopics, str(m.SubscribedTopicRegex), listed(m.Assignment), listed(m.TargetAssignment), m.MemberType))
		}
		sort.Strings(lines)
		for _, l := range lines {
			p.say("%s", l)
		}
	}
}

func listed(a kmsg.Assignment) string {
	var out []string
	for _, t := range a.TopicPartitions {
		for _, x := range t.Partitions {
			out = append(out, fmt.Sprintf("%s-%d", t.Topic, x))
		}
	}
	sort.Strings(out)
	return fmt.Sprint(out)
}

func (p *stand) commit(member string, epoch int32, version int16, partitions ...int32) {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.MemberID, r.Generation = p.group("g"), member, epoch
	t := kmsg.OffsetCommitRequestTopic{Topic: "t0", TopicID: p.ids["t0"]}
	for _, x := range partitions {
		t.Partitions = append(t.Partitions, kmsg.OffsetCommitRequestTopicPartition{Partition: x, Offset: 5, LeaderEpoch: 0})
	}
	r.Topics = append(r.Topics, t)
	resp := p.send(version, r).(*kmsg.OffsetCommitResponse)
	var codes []int16
	for _, x := range resp.Topics[0].Partitions {
		codes = append(codes, x.ErrorCode)
	}
	p.say("%s commits at %d: %v", member, epoch, codes)
}

func (p *stand) fetch(member string, epoch int32) {
	r := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.MemberEpoch = p.group("g"), epoch
	if member != "" {
		g.MemberID = &member
	}
	g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t0", Partitions: []int32{0}}}
	r.Groups = append(r.Groups, g)
	resp := p.send(9, r).(*kmsg.OffsetFetchResponse)
	line := ""
	for _, t := range resp.Groups[0].Topics {
		line += fmt.Sprintf(" %d code %d", t.Partitions[0].Offset, t.Partitions[0].ErrorCode)
	}
	p.say("%s fetches at %d: code %d%s", member, epoch, resp.Groups[0].ErrorCode, line)
}

func (p *stand) admin() {
	d := kmsg.NewPtrDescribeGroupsRequest()
	d.Groups = []string{p.group("g")}
	g := p.send(6, d).(*kmsg.DescribeGroupsResponse).Groups[0]
	p.say("as a classic group: code %d %s %s %q %d members", g.ErrorCode, str(g.ErrorMessage), g.State, g.ProtocolType, len(g.Members))
	for _, x := range p.send(5, kmsg.NewPtrListGroupsRequest()).(*kmsg.ListGroupsResponse).Groups {
		if x.Group == p.group("g") {
			p.say("listed: %s %q %s %s", x.Group, x.ProtocolType, x.GroupState, x.GroupType)
		}
	}
	o := kmsg.NewPtrOffsetDeleteRequest()
	o.Group = p.group("g")
	o.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "t0", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}, {Topic: "t1", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}
	or := p.send(0, o).(*kmsg.OffsetDeleteResponse)
	p.say("offsets deleted: code %d", or.ErrorCode)
	for _, t := range or.Topics {
		p.say("  %s %d", t.Topic, t.Partitions[0].ErrorCode)
	}
	x := kmsg.NewPtrDeleteGroupsRequest()
	x.Groups = []string{p.group("g")}
	p.say("deleted: code %d", p.send(2, x).(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode)
}

// joins sends a JoinGroup of a classic consumer, twice if it is only given an id. Its answer must come at once.
func (p *stand) joins(actor string, version int16, protocol string, owned ...string) {
	r := kmsg.NewPtrJoinGroupRequest()
	r.Group, r.ProtocolType, r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = p.group("g"), "consumer", 30_000, 30_000
	for id, name := range p.names {
		if name == actor {
			r.MemberID = id
		}
	}
	meta := appendInt32(appendString(appendInt32(appendInt16(nil, 1), 1), "t0"), -1)
	meta = appendInt32(meta, int32(min(len(owned), 1)))
	if len(owned) > 0 {
		meta = appendInt32(appendString(meta, "t0"), int32(len(owned)))
		for _, o := range owned {
			meta = appendInt32(meta, int32(o[len(o)-1]-'0'))
		}
	}
	r.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: protocol, Metadata: meta}}
	resp := p.send(version, r).(*kmsg.JoinGroupResponse)
	if resp.ErrorCode == codeMemberIDRequired {
		r.MemberID = resp.MemberID
		p.names[resp.MemberID] = actor
		resp = p.send(version, r).(*kmsg.JoinGroupResponse)
	}
	if resp.MemberID != "" {
		p.names[resp.MemberID] = actor
	}
	if resp.ErrorCode == 0 {
		p.epoch[actor] = resp.Generation
	}
	p.say("%s joins: code %d generation %d %s %s leader %q %d members skip %v", actor, resp.ErrorCode, resp.Generation, str(resp.ProtocolType), str(resp.Protocol), resp.LeaderID, len(resp.Members), resp.SkipAssignment)
}

func (p *stand) id(actor string) string {
	for id, name := range p.names {
		if name == actor {
			return id
		}
	}
	return actor
}

func (p *stand) syncs(actor, protocol string, assign map[string][]int32) {
	r := kmsg.NewPtrSyncGroupRequest()
	r.Group, r.MemberID, r.Generation = p.group("g"), p.id(actor), p.epoch[actor]
	ptype := "consumer"
	r.ProtocolType, r.Protocol = &ptype, &protocol
	for to, partitions := range assign {
		b := appendInt32(appendString(appendInt32(appendInt16(nil, 1), 1), "t0"), int32(len(partitions)))
		for _, x := range partitions {
			b = appendInt32(b, x)
		}
		r.GroupAssignment = append(r.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: p.id(to), MemberAssignment: appendInt32(b, -1)})
	}
	resp := p.send(5, r).(*kmsg.SyncGroupResponse)
	p.say("%s syncs: code %d %s %s %q", actor, resp.ErrorCode, str(resp.ProtocolType), str(resp.Protocol), resp.MemberAssignment)
}

func (p *stand) beatsClassic(actor string) {
	r := kmsg.NewPtrHeartbeatRequest()
	r.Group, r.MemberID, r.Generation = p.group("g"), p.id(actor), p.epoch[actor]
	p.say("%s heartbeats: code %d", actor, p.send(4, r).(*kmsg.HeartbeatResponse).ErrorCode)
}

func (p *stand) leavesClassic(actor string) {
	r := kmsg.NewPtrLeaveGroupRequest()
	r.Group = p.group("g")
	r.Members = []kmsg.LeaveGroupRequestMember{{MemberID: p.id(actor)}}
	resp := p.send(5, r).(*kmsg.LeaveGroupResponse)
	p.say("%s leaves: code %d", actor, resp.ErrorCode)
	for _, m := range resp.Members {
		p.say("  %s %d", m.MemberID, m.ErrorCode)
	}
}

var consumerScenes = map[string]func(p *stand){
	"life": func(p *stand) {
		p.beat("a", at(3))
		p.beat("a", reads("t0"), by("range"))
		p.describe()
		p.beat("a", p.owns("t0-0", "t0-1", "t0-2"))
		p.beat("b", reads("t0"), by("range"))
		p.describe()
		p.beat("b", p.owns())
		p.beat("a")
		p.describe()
		p.beat("a", p.owns("t0-0", "t0-1", "t0-2"))
		p.beat("b")
		p.beat("a", p.owns("t0-0", "t0-1"))
		p.beat("b")
		p.beat("b")
		p.beat("a", at(99))
		p.beat("a", at(1), p.owns("t0-0"))
		p.beat("a", at(1), p.owns("t0-2"))
		p.beat("a", at(1))
		p.describe()
		p.admin()
		p.beat("b", at(-1))
		p.describe()
		p.beat("a", p.owns("t0-0", "t0-1"))
		p.beat("a", at(0), reads("t0"))
		p.beat("a", at(-1))
		p.beat("a", at(-1))
		p.describe()
		p.admin()
		p.describe()
		p.beat("a", at(-1))
	},
	"bad requests": func(p *stand) {
		p.beat("", reads("t0"))
		p.beat("a", func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = "" }, reads("t0"))
		p.beat("a", as(""), reads("t0"))
		p.beat("a")
		p.beat("a", reads("t0"), p.owns("t0-0"))
		p.beat("a", reads("t0"), func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 })
		p.beat("a", reads("t0"), by("none"))
		p.beat("a", at(-2))
		p.beat("a", at(-3), reads("t0"))
		p.beat("a", reads("t0"), func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RackID = new(string) })
		p.beat("a", reads())
		p.beat("a", reads("nothing"))
		p.describe()
	},
	"too many": func(p *stand) {
		for _, m := range []string{"a", "b", "c", "d", "e", "f"} {
			p.beat(m, reads("nothing"))
		}
		p.beat("a")
	},
	"static": func(p *stand) {
		p.beat("a", as("i"), reads("t0"))
		p.beat("b", as("i"), reads("t0"))
		p.beat("b", as("i"), at(1))
		p.beat("b", as("j"), at(1))
		p.beat("b", as("i"), at(-2))
		p.beat("a", as("i"), at(-2))
		p.describe()
		p.beat("a", as("i"), at(1))
		p.beat("b", as("i"), reads("t0"))
		p.describe()
		p.beat("a", as("i"), at(1))
		p.beat("b", as("i"), at(-1))
		p.describe()
	},
	"subscriptions": func(p *stand) {
		p.beat("a", reads("t0"))
		p.beat("a", reads("t0", "t1"))
		p.beat("a", reads("t1"))
		p.describe()
		p.beat("a", p.owns("t1-0", "t1-1"))
		p.beat("a", reads("t1"), func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = 500 }, p.owns("t1-0", "t1-1"))
		p.beat("a", by("range"))
		p.describe()
	},
	"patterns": func(p *stand) {
		p.beat("a", pattern("t[01"))
		p.beat("a", pattern("t(?=1)"))
		p.beat("a", pattern("*"))
		p.beat("a", pattern("a{3,2}"))
		p.beat("a", pattern("(t"))
		p.beat("a", pattern(`\p{Nope}`))
		p.quiet = true // Kafka matches after it has answered, we match before
		p.beat("a", pattern("(?<x>t)[01]|nothing"), reads())
		time.Sleep(500 * time.Millisecond)
		p.beat("a", p.owns())
		p.quiet = false
		p.beat("a", reads(), p.owns(), func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = 60_000 })
		p.describe()
		p.admin()
	},
	"offsets": func(p *stand) {
		p.fetch("a", 1)
		p.fetch("", -1)
		p.commit("a", 1, 9, 0)
		p.beat("a", reads("t0"), by("range"))
		p.commit("a", 1, 9, 0, 1, 2)
		p.commit("a", 1, 8, 0)
		p.commit("", -1, 9, 0)
		p.commit("a", -1, 9, 0)
		p.commit("a", 2, 9, 0)
		p.commit("b", 1, 9, 0)
		p.beat("b", reads("t0"), by("range"))
		p.beat("a")
		p.commit("a", 1, 9, 0, 1, 2)
		p.beat("a", p.owns("t0-0", "t0-1"))
		p.commit("a", 2, 9, 0)
		p.commit("a", 1, 9, 0)
		p.commit("a", 1, 9, 2)
		p.commit("a", 1, 9, 0, 2)
		p.beat("b")
		p.commit("b", 1, 9, 2)
		p.commit("b", 2, 9, 2)
		p.fetch("a", 2)
		p.fetch("a", 1)
		p.fetch("a", 3)
		p.fetch("c", 2)
		p.fetch("", -1)
		p.beat("a", at(-1))
		p.beat("b", at(-1))
		p.commit("", -1, 9, 0)
		p.commit("a", 2, 9, 0)
		p.admin()
	},
	"upgrade and downgrade": func(p *stand) {
		p.joins("c", 9, "range")
		p.syncs("c", "range", map[string][]int32{"c": {0, 1, 2}})
		p.beatsClassic("c")
		p.beat("n", at(4))
		p.beat("n", reads("t0"), by("range"))
		p.describe()
		p.beatsClassic("c")
		p.syncs("c", "range", nil)
		p.joins("c", 9, "range")
		p.describe()
		p.syncs("c", "range", nil)
		p.beatsClassic("c")
		p.beat("n")
		p.beat("n")
		p.describe()
		p.commit(p.id("c"), p.epoch["c"], 9, 0)
		p.commit(p.id("c"), p.epoch["c"]-1, 9, 0)
		p.joins("d", 9, "roundrobin")
		p.joins("d", 9, "range")
		p.syncs("d", "range", nil)
		p.beatsClassic("c")
		p.beat("n")
		p.leavesClassic("d")
		p.beat("n", at(-1))
		p.describe()
		p.beatsClassic("c")
		p.admin()
	},
	"cooperative": func(p *stand) {
		p.joins("c", 9, "cooperative-sticky")
		p.syncs("c", "cooperative-sticky", map[string][]int32{"c": {0, 1, 2}})
		p.beat("n", reads("t0"), by("range"))
		p.beatsClassic("c")
		p.joins("c", 9, "cooperative-sticky", "t0-0", "t0-1", "t0-2")
		p.beatsClassic("c")
		p.syncs("c", "cooperative-sticky", nil)
		p.describe()
		p.beatsClassic("c")
		p.beat("n")
		p.joins("c", 9, "cooperative-sticky", "t0-0", "t0-1")
		p.syncs("c", "cooperative-sticky", nil)
		p.beat("n")
		p.beatsClassic("c")
		p.describe()
		p.leavesClassic("c")
		p.beat("n")
		p.beat("n")
		p.describe()
	},
}

func TestConsumerScenesAsKafka(t *testing.T) {
	seed := os.Getenv("MOLDAU_TEST_KAFKA_CONSUMER")
	if seed == "" {
		t.Skip("MOLDAU_TEST_KAFKA_CONSUMER is not set")
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(seed), kgo.RetryTimeout(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	adm.CreateTopic(context.Background(), 3, 1, nil, "t0")
	adm.CreateTopic(context.Background(), 2, 1, nil, "t1")
	for i := 0; i < 100 && adm.FindGroupCoordinators(context.Background(), "g").Error() != nil; i++ {
		time.Sleep(200 * time.Millisecond)
	}
	time.Sleep(time.Second)
	details, err := adm.ListTopics(context.Background(), "t0", "t1")
	if err != nil {
		t.Fatal(err)
	}
	for name, scene := range consumerScenes {
		t.Run(name, func(t *testing.T) {
			suffix := fmt.Sprintf("-%d", time.Now().UnixNano())
			real := &stand{t: t, suffix: suffix, topics: map[[16]byte]string{}, ids: map[string][16]byte{}, epoch: map[string]int32{}, names: map[string]string{}}
			for topic, d := range details {
				real.topics[d.ID], real.ids[topic] = topic, d.ID
			}
			wire := againstKafka(t, seed)
			real.send = func(version int16, req kmsg.Request) kmsg.Response {
				select {
				case resp := <-wire("", version, req):
					return resp
				case <-time.After(20 * time.Second):
					t.Fatalf("Kafka does not answer %T", req)
					return nil
				}
			}
			scene(real)
			ours := &stand{t: t, suffix: suffix, topics: map[[16]byte]string{{100}: "t0", {101}: "t1"}, ids: map[string][16]byte{"t0": {100}, "t1": {101}}, epoch: map[string]int32{}, names: map[string]string{}}
			log := coord.NewMemLog(nil)
			cfg := DefaultConfig()
			cfg.Consumer.MaxSize, cfg.InitialRebalanceDelayMs = 5, 0
			n := 0
			svc := New(Options{
				Config: cfg, Writer: log, Loader: log, Clock: clock.Real{}, Topics: fakeTopics{}, NumPartitions: func() int32 { return 1 },
				NewID:    func() string { n++; return fmt.Sprintf("id%d%s", n, suffix) },
				Metadata: func() Metadata { return fakeMetadata{"t0": 3, "t1": 2} },
				GroupSettings: func(string) GroupSettings {
					g := DefaultGroupSettings()
					g.AssignmentIntervalMs = 0
					return g
				},
			})
			defer svc.Close()
			log.OnCommit(svc.HighWatermark)
			log.SetEpoch(0, 1)
			svc.Elect(0, 1)
			for svc.rt.Counts().Active == 0 {
				time.Sleep(time.Millisecond)
			}
			ours.send = func(version int16, req kmsg.Request) kmsg.Response { return toService(t, svc, version, req) }
			scene(ours)
			if d := cmp.Diff(strings.Join(real.out, "\n"), strings.Join(ours.out, "\n")); d != "" {
				t.Errorf("Kafka (-) and we (+):\n%s", d)
			}
			if os.Getenv("MOLDAU_SHOW_SCENES") != "" {
				t.Log("\n" + strings.Join(real.out, "\n"))
			}
		})
	}
}

// toService asks the coordinator itself, and waits.
func toService(t *testing.T, s *Service, version int16, req kmsg.Request) kmsg.Response {
	ch := make(chan kmsg.Response, 1)
	rc := RequestContext{ClientID: "client", ClientHost: "/127.0.0.1"}
	switch r := req.(type) {
	case *kmsg.ConsumerGroupHeartbeatRequest:
		s.ConsumerGroupHeartbeat(rc, version, r, func(string) bool { return true }, func(x *kmsg.ConsumerGroupHeartbeatResponse) { ch <- x })
	case *kmsg.ConsumerGroupDescribeRequest:
		s.ConsumerGroupDescribe(rc, version, r, func(x *kmsg.ConsumerGroupDescribeResponse) { ch <- x })
	case *kmsg.OffsetCommitRequest:
		s.OffsetCommit(rc, version, r, func(x *kmsg.OffsetCommitResponse) { ch <- x })
	case *kmsg.OffsetFetchRequest:
		s.OffsetFetch(rc, version, r, func(x *kmsg.OffsetFetchResponse) { ch <- x })
	case *kmsg.DescribeGroupsRequest:
		s.DescribeGroups(rc, version, r, func(x *kmsg.DescribeGroupsResponse) { ch <- x })
	case *kmsg.ListGroupsRequest:
		s.ListGroups(rc, version, r, func(x *kmsg.ListGroupsResponse) { ch <- x })
	case *kmsg.OffsetDeleteRequest:
		s.OffsetDelete(rc, version, r, func(x *kmsg.OffsetDeleteResponse) { ch <- x })
	case *kmsg.DeleteGroupsRequest:
		s.DeleteGroups(rc, version, r, func(x *kmsg.DeleteGroupsResponse) { ch <- x })
	case *kmsg.JoinGroupRequest:
		s.JoinGroup(rc, version, r, func(x *kmsg.JoinGroupResponse) { ch <- x })
	case *kmsg.SyncGroupRequest:
		s.SyncGroup(rc, version, r, func(x *kmsg.SyncGroupResponse) { ch <- x })
	case *kmsg.HeartbeatRequest:
		s.Heartbeat(rc, version, r, func(x *kmsg.HeartbeatResponse) { ch <- x })
	case *kmsg.LeaveGroupRequest:
		s.LeaveGroup(rc, version, r, func(x *kmsg.LeaveGroupResponse) { ch <- x })
	}
	select {
	case r := <-ch:
		return r
	case <-time.After(10 * time.Second):
		t.Fatalf("%T is not answered", req)
		return nil
	}
}

// What the scenes have left in Kafka's log is read, and would be written in the same bytes.
func TestConsumerRecordsAsKafka(t *testing.T) {
	seed := os.Getenv("MOLDAU_TEST_KAFKA_CONSUMER")
	if seed == "" {
		t.Skip("MOLDAU_TEST_KAFKA_CONSUMER is not set")
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(seed), kgo.ConsumeTopics(Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	seen := map[int16]int{}
	for quiet := 0; quiet < 3; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		fetches := cl.PollFetches(ctx)
		cancel()
		if fetches.NumRecords() == 0 {
			quiet++
		}
		fetches.EachRecord(func(r *kgo.Record) {
			k, err := parseKey(r.Key)
			if err != nil || !isConsumerKind(k.kind) {
				return
			}
			seen[k.kind]++
			ours := rewrittenConsumer(t, k, coord.Record{Key: r.Key, Value: r.Value})
			if k.kind == keyConsumerTarget || k.kind == keyConsumerAssignment {
				if len(ours.Value) == len(r.Value) {
					return // topics come in no order there
				}
			}
			if string(ours.Key) != string(r.Key) || string(ours.Value) != string(r.Value) {
				t.Errorf("kind %d: we would write\n%x\n%x\nKafka wrote\n%x\n%x", k.kind, ours.Key, ours.Value, r.Key, r.Value)
			}
		})
	}
	t.Log(seen)
}
