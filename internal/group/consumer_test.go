package group

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

func TestTwoConsumersShareATopic(t *testing.T) {
	st := newStage(t, withTopics(fakeMetadata{"t0": 4}))
	a, b := st.consumer("g", "a"), st.consumer("g", "b")
	wantCode(t, "join", a.join("t0").ErrorCode, codeNone)
	if a.count() != 4 || a.epoch != 2 {
		t.Fatalf("the first member has %d partitions at epoch %d", a.count(), a.epoch)
	}
	b.join("t0")
	if b.count() != 0 || b.interval != minMovingHeartbeatMs {
		t.Fatalf("the second has %d partitions before the first has given up any, and comes again in %d ms", b.count(), b.interval)
	}
	if a.beat(); a.interval != minMovingHeartbeatMs {
		t.Fatalf("the first has to give up partitions that the second waits for, and comes again in %d ms", a.interval)
	}
	st.settle("g", a, b)
	if a.count() != 2 || b.count() != 2 || a.interval != 5000 {
		t.Fatalf("%d and %d partitions", a.count(), b.count())
	}
	wantCode(t, "leave", b.leave().ErrorCode, codeNone)
	st.settle("g", a)
	if a.count() != 4 {
		t.Fatal("what the other has left is not taken over")
	}
}

// A group that moves is asked for some thousand heartbeats a second, however large it is, and nobody is asked to come later than before.
func TestMembersOfALargeGroupComeLessOften(t *testing.T) {
	for members, want := range map[int]int32{1: 100, 100: 100, 300: 300, 5000: 500} {
		if got := movingHeartbeatMs(members); got != want {
			t.Errorf("%d members: %d ms, want %d", members, got, want)
		}
	}
}

func TestASilentConsumerLosesItsPartitions(t *testing.T) {
	st := newStage(t, withTopics(fakeMetadata{"t0": 4}))
	a, b := st.consumer("g", "a"), st.consumer("g", "b")
	a.join("t0")
	st.pass(time.Second)
	b.join("t0")
	st.settle("g", a, b)
	for range 10 {
		st.pass(5 * time.Second)
		wantCode(t, "heartbeat", a.beat().ErrorCode, codeNone)
	}
	wantCode(t, "the silent one's", b.beat().ErrorCode, codeUnknownMemberID)
	st.settle("g", a)
	if a.count() != 4 {
		t.Fatal(a.count())
	}
}

func TestAConsumerThatDoesNotGiveUpIsPutOut(t *testing.T) {
	st := newStage(t, withTopics(fakeMetadata{"t0": 4}))
	a, b := st.consumer("g", "a"), st.consumer("g", "b")
	a.join("t0")
	st.pass(time.Second)
	b.join("t0")
	keep := a.has
	for range 15 {
		resp := a.beat()
		a.has = keep // it goes on with all that it had
		if resp.ErrorCode != codeNone {
			break
		}
		wantCode(t, "the waiting one's", b.beat().ErrorCode, codeNone)
		st.pass(5 * time.Second)
	}
	wantCode(t, "the one that keeps everything", a.beat().ErrorCode, codeUnknownMemberID)
	st.settle("g", b)
	if b.count() != 4 {
		t.Fatal(b.count())
	}
}

func TestNewTopicsAndPartitionsReachTheGroup(t *testing.T) {
	topics := fakeMetadata{"t0": 1}
	st := newStage(t, withTopics(topics))
	a := st.consumer("g", "a")
	a.join("t0", "t1")
	if a.count() != 1 {
		t.Fatal(a.count())
	}
	topics["t0"], topics["t1"] = 3, 2
	st.pass(time.Second)
	st.settle("g", a)
	if a.count() != 5 {
		t.Fatal(a.has)
	}
	delete(topics, "t1")
	st.pass(time.Second)
	st.settle("g", a)
	if a.count() != 3 {
		t.Fatal(a.has)
	}
}

func TestAPatternFindsTopicsThatTheClientMaySee(t *testing.T) {
	topics := fakeMetadata{"t0": 1, "t1": 1, "t2": 1}
	st := newStage(t, withTopics(topics))
	a := st.consumer("g", "a")
	see := func(topic string) bool { return topic != "t1" }
	pattern := "t[0-2]"
	join := func() *kmsg.ConsumerGroupHeartbeatResponse {
		r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		r.Group, r.MemberID, r.MemberEpoch, r.RebalanceTimeoutMillis = "g", "a", 0, 1000
		r.Topics, r.SubscribedTopicRegex = []kmsg.ConsumerGroupHeartbeatRequestTopic{}, &pattern
		var got *kmsg.ConsumerGroupHeartbeatResponse
		st.s.ConsumerGroupHeartbeat(RequestContext{}, 1, r, see, func(x *kmsg.ConsumerGroupHeartbeatResponse) { got = x })
		return got
	}
	if got := join(); got.ErrorCode != 0 || len(got.Assignment.Topics) != 2 {
		t.Fatalf("%+v", got)
	}
	if code, _ := st.offsetDelete("g", "t0"); code != codeNone {
		t.Fatal(code)
	}
	topics["t9"] = 1 // does not match
	delete(topics, "t0")
	st.pass(time.Second)
	if got := join(); len(got.Assignment.Topics) != 1 {
		t.Fatalf("%+v", got.Assignment)
	}
	st.failover()
	a.epoch = 1
	st.shard(func(sh *Shard) {
		if x := sh.consumers["g"].regexes[pattern]; !slices.Equal(x.topics, []string{"t2"}) {
			t.Errorf("after a failover the pattern stands for %v", x.topics)
		}
	})
	pattern = "t2|none"
	join()
	st.shard(func(sh *Shard) {
		if got := sortedKeys(sh.consumers["g"].regexes); !slices.Equal(got, []string{pattern}) {
			t.Errorf("patterns %q are kept", got)
		}
	})
}

func TestAnEmptyConsumerGroupBecomesWhatItsNextMemberIs(t *testing.T) {
	st := newStage(t, withTopics(fakeMetadata{"t0": 1}))
	a := st.consumer("g", "a")
	a.join("t0")
	a.leave()
	wantCode(t, "commit", st.outsider("g").commit(9), codeNone)
	c := st.client("g")
	st.stable(c)
	if st.fetch("g") != 9 {
		t.Fatal("the offset is lost")
	}
	st.failover()
	if got := strings.Join(st.list(nil, nil), " "); got != "g:consumer:Stable:classic" {
		t.Fatal(got)
	}
	wantCode(t, "leave", c.leave(), codeNone)
	wantCode(t, "join", a.join("t0").ErrorCode, codeNone)
	st.failover()
	if got := strings.Join(st.list(nil, nil), " "); got != "g:consumer:Stable:consumer" || st.fetch("g") != 9 {
		t.Fatal(got)
	}
}

func TestOffsetsOfAConsumerGroupExpire(t *testing.T) {
	st := newStage(t, withTopics(fakeMetadata{"t0": 1, "t1": 1}))
	wantCode(t, "commit", st.outsider("g").commit(9), codeNone)
	a := st.consumer("g", "a")
	a.join("t0")
	for range 24 * 8 * 120 {
		st.pass(30 * time.Second)
		wantCode(t, "heartbeat", a.beat().ErrorCode, codeNone)
	}
	if st.fetch("g") != 9 {
		t.Fatal("an offset of a topic that is being read has expired")
	}
	a.leave()
	st.passHours(1)
	if st.fetch("g") != -1 || len(st.list(nil, nil)) != 0 {
		t.Fatal("an old offset of an empty group is kept", st.list(nil, nil))
	}
}

// A random history of members, topics and failovers: nobody ever has a partition that another has, everybody has its share
// in the end, and what is read back from the log is what was there.
func TestNoPartitionHasTwoOwners(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		topics := fakeMetadata{"t0": 3, "t1": 2}
		assignors := []string{uniformAssignor, rangeAssignor}
		st := newStage(t, withTopics(topics), func(o *Options) {
			o.GroupSettings = func(string) GroupSettings {
				return GroupSettings{SessionTimeoutMs: 45_000, HeartbeatIntervalMs: 5000, AssignmentIntervalMs: int64(len(assignors)) * 100}
			}
		})
		defer st.s.Close()
		if rapid.Bool().Draw(rt, "range first") {
			slices.Reverse(assignors)
			st.s.o.Config.Consumer.Assignors = assignors
		}
		clients := map[string]*consumer{}
		check := func() {
			owner := map[string]string{}
			for id, c := range clients {
				for topic, partitions := range c.has {
					for _, p := range partitions {
						key := fmt.Sprintf("%d-%d", topic[0], p)
						if other, taken := owner[key]; taken {
							rt.Fatalf("%s is at work on %s, which %s has", id, key, other)
						}
						owner[key] = id
					}
				}
			}
		}
		subscriptions := [][]string{{"t0"}, {"t1"}, {"t0", "t1"}, {"t2"}, {}}
		pick := func() *consumer {
			if len(clients) == 0 {
				return nil
			}
			return clients[rapid.SampledFrom(sortedKeys(clients)).Draw(rt, "member")]
		}
		beat := func(c *consumer) {
			switch resp := c.beat(); resp.ErrorCode {
			case codeNone:
			case codeUnknownMemberID, codeFencedMemberEpoch:
				c.has = assignment{}
				c.epoch = 0
			default:
				rt.Fatalf("%s's heartbeat: %d %s", c.id, resp.ErrorCode, *resp.ErrorMessage)
			}
		}
		n := 0
		rt.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { check() },
			"join": func(rt *rapid.T) {
				if len(clients) >= 5 {
					rt.Skip()
				}
				n++
				c := st.consumer("g", fmt.Sprintf("m%d", n))
				if rapid.Bool().Draw(rt, "static") {
					instance := c.id + "-instance"
					c.instance = &instance
				}
				clients[c.id] = c
				c.topics = rapid.SampledFrom(subscriptions).Draw(rt, "topics")
				beat(c)
			},
			"heartbeat": func(rt *rapid.T) {
				if c := pick(); c != nil {
					beat(c)
				}
			},
			"lose an answer": func(rt *rapid.T) {
				if c := pick(); c != nil {
					epoch, has := c.epoch, c.has
					if c.beat().ErrorCode == codeNone {
						c.epoch, c.has, c.full = epoch, has, true
					}
				}
			},
			"subscribe": func(rt *rapid.T) {
				if c := pick(); c != nil && c.epoch > 0 {
					c.topics = rapid.SampledFrom(subscriptions).Draw(rt, "topics")
					resp := c.beat(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = c.topics })
					if resp.ErrorCode != codeNone {
						c.has, c.epoch = assignment{}, 0
					}
				}
			},
			"leave": func(rt *rapid.T) {
				if c := pick(); c != nil {
					delete(clients, c.id)
					c.has = assignment{}
					c.leave()
				}
			},
			"restart a static one": func(rt *rapid.T) {
				c := pick()
				if c == nil || c.instance == nil || c.epoch <= 0 {
					rt.Skip()
				}
				c.has = assignment{}
				if c.beat(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch, r.Topics = staticAwayEpoch, nil }).ErrorCode != codeNone {
					rt.Skip()
				}
				n++
				delete(clients, c.id)
				next := st.consumer("g", fmt.Sprintf("m%d", n))
				next.instance, next.topics = c.instance, c.topics
				clients[next.id] = next
				beat(next)
			},
			"partitions are added": func(rt *rapid.T) {
				topics[rapid.SampledFrom([]string{"t0", "t1", "t2"}).Draw(rt, "topic")]++
			},
			"time passes": func(rt *rapid.T) { st.pass(time.Duration(rapid.IntRange(1, 2000).Draw(rt, "ms")) * time.Millisecond) },
			"failover": func(*rapid.T) {
				before := st.dump()
				st.failover()
				if after := st.dump(); !slices.Equal(before, after) {
					rt.Fatalf("what is loaded differs:\n%q\n%q", before, after)
				}
			},
		})
		if len(clients) == 0 {
			return
		}
		for range 100 {
			for _, id := range sortedKeys(clients) {
				beat(clients[id])
				check()
			}
			st.pass(500 * time.Millisecond)
		}
		if got := st.consumerState("g"); got != Stable.String() {
			rt.Fatalf("the group ends up %s", got)
		}
		read := map[string]bool{}
		total, want := 0, 0
		for _, c := range clients {
			total += c.count()
			for _, topic := range c.topics {
				if !read[topic] {
					read[topic] = true
					want += int(topics[topic])
				}
			}
		}
		if total != want {
			rt.Fatalf("%d of %d partitions are given out", total, want)
		}
	})
}

// Of every assignment each partition has one reader of its topic, the loads differ as little as subscriptions allow, and
// what need not move does not.
func TestUniformIsEvenAndSticky(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		spec := &assignSpec{topics: map[topicID]int32{}}
		var all []topicID
		for i := range rapid.IntRange(1, 4).Draw(rt, "topics") {
			id := topicID{byte(i + 1)}
			spec.topics[id] = int32(rapid.IntRange(0, 12).Draw(rt, "partitions"))
			all = append(all, id)
		}
		members := rapid.IntRange(1, 6).Draw(rt, "members")
		same := rapid.Bool().Draw(rt, "same subscriptions")
		for i := range members {
			m := assignMember{id: fmt.Sprintf("m%d", i), topics: all}
			if !same {
				m.topics = nil
				for _, topic := range all {
					if rapid.Bool().Draw(rt, "reads") {
						m.topics = append(m.topics, topic)
					}
				}
			}
			spec.members = append(spec.members, m)
		}
		for _, topic := range all {
			if !slices.ContainsFunc(spec.members, func(m assignMember) bool { return slices.Contains(m.topics, topic) }) {
				delete(spec.topics, topic)
			}
		}
		first := assignUniform(spec)
		verifyAssignment(rt, spec, first)
		for i := range spec.members {
			spec.members[i].has = first[spec.members[i].id]
		}
		again := assignUniform(spec)
		for id, a := range first {
			if !a.equal(again[id]) {
				rt.Fatalf("%s has %v, and without any change %v", id, a, again[id])
			}
		}
		if same && members > 1 {
			lost := spec.members[members-1]
			spec.members = spec.members[:members-1]
			after := assignUniform(spec)
			verifyAssignment(rt, spec, after)
			for _, m := range spec.members {
				for topic, partitions := range m.has {
					for _, p := range partitions {
						if !slices.Contains(after[m.id][topic], p) {
							rt.Fatalf("%s loses %d because %s has left", m.id, p, lost.id)
						}
					}
				}
			}
		}
	})
}

func verifyAssignment(rt *rapid.T, spec *assignSpec, got map[string]assignment) {
	load := map[string]int{}
	owner := map[topicID]map[int32]string{}
	for _, m := range spec.members {
		for topic, partitions := range got[m.id] {
			if !slices.Contains(m.topics, topic) {
				rt.Fatalf("%s gets a topic that it does not read", m.id)
			}
			for _, p := range partitions {
				if owner[topic] == nil {
					owner[topic] = map[int32]string{}
				}
				if owner[topic][p] != "" || p >= spec.topics[topic] {
					rt.Fatalf("partition %d is given twice, or is not there", p)
				}
				owner[topic][p] = m.id
				load[m.id]++
			}
		}
	}
	for topic, n := range spec.topics {
		if len(owner[topic]) != int(n) {
			rt.Fatalf("%d of %d partitions are given", len(owner[topic]), n)
		}
		for _, id := range owner[topic] {
			for _, m := range spec.members {
				if slices.Contains(m.topics, topic) && load[m.id]+1 < load[id] {
					rt.Fatalf("%s has %d partitions, %s, which reads the same, %d", id, load[id], m.id, load[m.id])
				}
			}
		}
	}
}
