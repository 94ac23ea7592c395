package group

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// actor is a client as the property test sees it. Its requests are sent one after the other, and
// it does with the answers what a real client does.
type actor struct {
	*who
	name    string
	join    *call[kmsg.JoinGroupResponse]
	sync    *call[kmsg.SyncGroupResponse]
	commits []*call[kmsg.OffsetCommitResponse]
	members []kmsg.JoinGroupResponseMember // of the generation that it leads
	token   string                         // its assignment, "" if it has none
}

// crowd is random clients of a few groups, faults of the log included.
type crowd struct {
	*rapid.T
	st     *stage
	actors []*actor
	gone   []*actor
	named  int
	told   map[string]string // group/generation/token -> the static name or the member id that was told it
	faults bool              // appends have failed: what is live may be ahead of the log
}

func TestRandomCrowds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		st := newStage(t, func(o *Options) {
			o.Config.InitialRebalanceDelayMs = int64(rapid.SampledFrom([]int{0, 3000}).Draw(rt, "delay"))
			o.Config.MaxSize = rapid.SampledFrom([]int{3, 100}).Draw(rt, "max size")
		})
		c := &crowd{T: rt, st: st, told: map[string]string{}}
		withFaults := rapid.Bool().Draw(rt, "faults")
		actions := map[string]func(*rapid.T){
			"":          func(*rapid.T) { c.look() },
			"arrive":    c.arrive,
			"act":       c.act,
			"act more":  c.act,
			"act on":    c.act,
			"commit":    c.commit,
			"heartbeat": c.heartbeat,
			"leave":     c.leave,
			"crash":     c.crash,
			"time":      c.time,
		}
		if withFaults {
			actions["failover"] = c.failover
			actions["hold commits"] = func(*rapid.T) { st.log.HoldCommits(true) }
			actions["commit log"] = func(*rapid.T) { st.log.HoldCommits(false); st.log.CommitAll(0) }
			actions["fail appends"] = func(*rapid.T) { c.faults = true; st.log.FailAppends(coord.ErrNotEnoughReplicas) }
			actions["heal"] = func(*rapid.T) { st.log.FailAppends(nil) }
		}
		rt.Repeat(actions)
		c.finish()
	})
}

func (c *crowd) arrive(t *rapid.T) {
	if len(c.actors) >= 8 {
		t.Skip()
	}
	c.named++
	a := &actor{who: c.st.client(rapid.SampledFrom([]string{"g", "h"}).Draw(t, "group")), name: fmt.Sprintf("a%d", c.named)}
	a.version = rapid.SampledFrom([]int16{3, 5, 9}).Draw(t, "version")
	a.session = rapid.SampledFrom([]int32{6000, 30_000}).Draw(t, "session")
	a.rebalance = rapid.SampledFrom([]int32{5000, 20_000}).Draw(t, "rebalance")
	if rapid.Bool().Draw(t, "two protocols") {
		a.supporting("x", "y")
	} else {
		a.supporting("y")
	}
	if rapid.Bool().Draw(t, "static") {
		name := rapid.SampledFrom([]string{"S1", "S2"}).Draw(t, "instance")
		a.instance = &name
	}
	c.actors = append(c.actors, a)
	c.st.ids += 1000 // ids of actors are never alike
}

func (c *crowd) pick(t *rapid.T) *actor {
	if len(c.actors) == 0 {
		t.Skip()
	}
	return c.actors[rapid.IntRange(0, len(c.actors)-1).Draw(t, "actor")]
}

// act lets one client do its next step: join, then sync, then be content.
func (c *crowd) act(t *rapid.T) { c.step(c.pick(t)) }

func (c *crowd) step(a *actor) {
	switch {
	case a.sync != nil && a.sync.resp != nil:
		c.synced(a)
	case a.join != nil && a.join.resp != nil:
		c.joined(a)
	case a.join == nil && a.sync == nil && a.token == "":
		a.join = a.who.join()
	case a.token != "" && a.who.heartbeatCall().resp == nil:
		// Parked behind a commit: it is looked at another time.
	}
}

func (c *crowd) joined(a *actor) {
	r := a.join.resp
	a.join = nil
	switch r.ErrorCode {
	case codeNone:
		a.members = r.Members
		assignments := map[string]string{}
		if a.leader {
			for _, m := range r.Members {
				assignments[m.MemberID] = fmt.Sprintf("%d/%s", a.gen, m.MemberID)
			}
		}
		a.sync = a.syncWith(assignments)
	case codeUnknownMemberID, codeFencedInstanceID:
		a.id = ""
	}
}

func (c *crowd) synced(a *actor) {
	r := a.sync.resp
	a.sync = nil
	if r.ErrorCode != codeNone {
		a.lost(r.ErrorCode)
		return
	}
	token := string(r.MemberAssignment)
	if token == "" {
		return // it joined while the leader was assigning without it; it will be told of a rebalance
	}
	if !strings.HasPrefix(token, fmt.Sprintf("%d/", a.gen)) {
		c.Fatalf("%s of generation %d was given %q", a.name, a.gen, token)
	}
	owner := a.id
	if a.instance != nil {
		owner = "static " + *a.instance
	}
	key := a.group + "/" + token
	if was, told := c.told[key]; told && was != owner {
		c.Fatalf("%q was given to %s and to %s", key, was, owner)
	}
	c.told[key] = owner
	a.token = token
}

func (a *actor) lost(code int16) {
	if code == codeUnknownMemberID || code == codeFencedInstanceID {
		a.id = ""
	}
	a.token = ""
}

func (c *who) heartbeatCall() *call[kmsg.HeartbeatResponse] {
	r := kmsg.NewPtrHeartbeatRequest()
	r.Group, r.MemberID, r.Generation, r.InstanceID = c.group, c.id, c.gen, c.instance
	out := &call[kmsg.HeartbeatResponse]{t: c.st.t}
	c.st.s.Heartbeat(RequestContext{}, 4, r, out.take)
	return out
}

func (c *crowd) heartbeat(t *rapid.T) {
	a := c.pick(t)
	if a.token == "" {
		t.Skip()
	}
	if h := a.heartbeatCall(); h.resp != nil && h.resp.ErrorCode != codeNone {
		a.lost(h.resp.ErrorCode)
	}
}

// commit: only members of the present generation may, whatever a client believes.
func (c *crowd) commit(t *rapid.T) {
	a := c.pick(t)
	if a.id == "" || a.gen == 0 {
		t.Skip()
	}
	var now int32
	var member bool
	c.st.shard(func(sh *Shard) {
		if g := sh.groups[a.group]; g != nil {
			now, member = g.generation, g.members[a.id] != nil
		}
	})
	commit := a.commitCall(9, int64(c.named))
	a.commits = append(a.commits, commit)
	if commit.resp != nil && commit.resp.Topics[0].Partitions[0].ErrorCode == codeNone && (now != a.gen || !member) {
		c.Fatalf("%s of generation %d committed to generation %d (member: %v)", a.name, a.gen, now, member)
	}
}

func (c *crowd) leave(t *rapid.T) {
	a := c.pick(t)
	if a.id == "" || a.join != nil || a.sync != nil || a.instance != nil {
		t.Skip()
	}
	r := kmsg.NewPtrLeaveGroupRequest()
	r.Group, r.Members = a.group, []kmsg.LeaveGroupRequestMember{{MemberID: a.id}}
	out := &call[kmsg.LeaveGroupResponse]{t: c.st.t}
	c.st.s.LeaveGroup(RequestContext{}, 5, r, out.take)
	a.id, a.token = "", ""
}

func (c *crowd) crash(t *rapid.T) {
	a := c.pick(t)
	for i := range c.actors {
		if c.actors[i] == a {
			c.actors = append(c.actors[:i], c.actors[i+1:]...)
			break
		}
	}
	c.gone = append(c.gone, a)
}

func (c *crowd) time(t *rapid.T) {
	c.st.pass(time.Duration(rapid.SampledFrom([]int{100, 1000, 3000, 7000}).Draw(t, "ms")) * time.Millisecond)
}

func (c *crowd) failover(t *rapid.T) {
	c.st.s.Resign(0, -1)
	if rapid.Bool().Draw(t, "truncate") {
		c.st.log.TruncateToCommitted(0)
	}
	c.st.elect(0)
}

// look checks what must hold at any moment.
func (c *crowd) look() {
	c.st.shard(func(sh *Shard) {
		var held int64
		for id, g := range sh.groups {
			awaiting, fresh := 0, 0
			for mid, m := range g.members {
				if m.id != mid {
					c.Fatalf("group %s: member %s is kept as %s", id, m.id, mid)
				}
				if m.join != nil {
					awaiting++
				}
				if m.isNew {
					fresh++
				}
				held += m.weight()
				if m.instanceID != nil && g.static[*m.instanceID] != mid {
					c.Fatalf("group %s: static member %s is known as %s", id, mid, g.static[*m.instanceID])
				}
				if (m.join != nil && g.state != PreparingRebalance) || (m.sync != nil && g.state != CompletingRebalance) {
					c.Fatalf("group %s is %s, yet member %s is parked", id, g.state, mid)
				}
			}
			for id := range g.pendingJoin {
				held += int64(pendingOverheadBytes + len(id))
			}
			if fresh != g.fresh {
				c.Fatalf("group %s: %d new members are counted as %d", id, fresh, g.fresh)
			}
			if awaiting != g.awaiting {
				c.Fatalf("group %s: %d parked joins are counted as %d", id, awaiting, g.awaiting)
			}
			if (len(g.members) == 0) != (g.leader == "") || (g.leader != "" && g.members[g.leader] == nil) {
				c.Fatalf("group %s: %d members, leader %q", id, len(g.members), g.leader)
			}
			if g.state == Empty && len(g.members) > 0 {
				c.Fatalf("group %s is empty with %d members", id, len(g.members))
			}
		}
		if held != sh.held {
			c.Fatalf("members take %d bytes and are counted as %d", held, sh.held)
		}
	})
}

// finish lets the dust settle: parked calls are answered, and a new coordinator sees what the old one saw.
func (c *crowd) finish() {
	st := c.st
	st.log.FailAppends(nil)
	st.log.HoldCommits(false)
	st.log.CommitAll(0)
	c.look()
	if !c.faults {
		c.compareWithReplay()
	}
	st.pass(time.Minute)
	st.s.Resign(0, -1)
	for _, a := range append(c.actors, c.gone...) {
		if a.join != nil {
			a.join.now()
		}
		if a.sync != nil {
			a.sync.now()
		}
		for _, x := range a.commits {
			x.now()
		}
	}
}

func (c *crowd) compareWithReplay() {
	again := NewShard(&Config{}, &Counters{})
	for _, b := range c.st.log.Batches(0) {
		for _, r := range b.Records {
			if err := again.Replay(coord.Source{Offset: r.Offset, ProducerID: coord.NoProducerID}, r.Record); err != nil {
				c.Fatal(err)
			}
		}
	}
	c.st.shard(func(live *Shard) {
		for id, offsets := range live.offsets.byGroup {
			for topic, partitions := range offsets {
				for p, o := range partitions {
					if got, ok := again.offsets.byGroup[id].get(topic, p); !ok || got != o {
						c.Fatalf("group %s %s-%d: live %+v, replayed %+v", id, topic, p, o, got)
					}
				}
			}
		}
		for id, g := range live.groups {
			if g.state == PreparingRebalance || g.state == CompletingRebalance || g.generation == 0 {
				continue // on the way to a generation that is not in the log yet
			}
			r := again.groups[id]
			if r == nil || r.state != g.state || r.generation != g.generation || r.leader != g.leader || r.protocolType != g.protocolType || len(r.members) != len(g.members) {
				c.Fatalf("group %s: live %+v, replayed %+v", id, g, r)
			}
			for mid, m := range g.members {
				if x := r.members[mid]; x == nil || !bytes.Equal(x.assignment, m.assignment) || x.sessionTimeoutMs != m.sessionTimeoutMs {
					c.Fatalf("group %s: member %s is live %+v, replayed %+v", id, mid, m, x)
				}
			}
		}
	})
}
