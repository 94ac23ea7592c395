package group

import (
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTheFirstMember(t *testing.T) {
	st := newStage(t)
	c := st.client("g")
	first := c.joinOnce().now()
	wantCode(t, "join without an id", first.ErrorCode, codeMemberIDRequired)
	if first.MemberID != "client-id1" || first.Generation != -1 {
		t.Fatalf("%+v", first)
	}
	j := c.joinOnce()
	j.parked()
	st.wantState("g", "PreparingRebalance")
	st.pass(2999 * time.Millisecond)
	j.parked()
	st.pass(time.Millisecond)
	r := j.now()
	if r.ErrorCode != 0 || r.Generation != 1 || *r.Protocol != "range" || *r.ProtocolType != "consumer" ||
		r.LeaderID != c.id || len(r.Members) != 1 || r.Members[0].MemberID != c.id || r.SkipAssignment {
		t.Fatalf("%+v", r)
	}
	st.wantState("g", "CompletingRebalance")
	wantCode(t, "heartbeat", c.heartbeat(), codeNone)
	wantCode(t, "commit before the assignment", c.commit(1), codeRebalanceInProgress)
	st.assign(c)
	st.wantState("g", "Stable")
	wantCode(t, "commit", c.commit(42), codeNone)
	if got := st.fetch("g"); got != 42 {
		t.Fatalf("fetched %d", got)
	}
}

func TestOldClientsJoinWithoutTheDetour(t *testing.T) {
	for version := int16(0); version < memberIDRequiredVersion; version++ {
		st := newStage(t)
		c := st.client("g")
		c.version = version
		j := c.joinOnce()
		j.parked()
		st.pass(3 * time.Second)
		if r := j.now(); r.ErrorCode != 0 || r.MemberID == "" {
			t.Fatalf("version %d: %+v", version, r)
		}
		st.shard(func(sh *Shard) {
			want := c.rebalance
			if version == 0 {
				want = c.session
			}
			if got := sh.groups["g"].members[c.id].rebalanceTimeoutMs; got != want {
				t.Errorf("version %d: rebalance time-out %d", version, got)
			}
		})
	}
}

func TestTheFirstRebalanceWaitsAsLongAsMembersCome(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	a.rebalance = 8000
	ja := a.join()
	st.pass(2 * time.Second)
	b := st.client("g")
	b.rebalance = 5000
	jb := b.join()
	st.pass(time.Second) // first delay over, but b came during it
	ja.parked()
	st.pass(2 * time.Second)
	c := st.client("g")
	jc := c.join()
	st.pass(time.Second) // second delay over, and c came
	ja.parked()
	st.pass(1999 * time.Millisecond) // 8 s of rebalance time-out as it was at the beginning
	ja.parked()
	st.pass(time.Millisecond)
	for _, j := range []*call[kmsg.JoinGroupResponse]{ja, jb, jc} {
		if r := j.now(); r.ErrorCode != 0 || r.Generation != 1 {
			t.Fatalf("%+v", r)
		}
	}
	if n := len(ja.now().Members); n != 3 {
		t.Fatalf("the leader sees %d members", n)
	}
	if jb.now().Members != nil {
		t.Fatal("a follower sees the members")
	}
	st.assign(a, b, c)
}

func TestNoInitialDelay(t *testing.T) {
	st := newStage(t, func(o *Options) { o.Config.InitialRebalanceDelayMs = 0 })
	c := st.client("g")
	if r := c.join().now(); r.ErrorCode != 0 || r.Generation != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestRefusedJoins(t *testing.T) {
	st := newStage(t)
	st.stable(st.client("g").supporting("range"))
	for _, tc := range []struct {
		name string
		c    func() *who
		code int16
		id   string
	}{
		{"no group id", func() *who { return st.client("") }, codeInvalidGroupID, ""},
		{"session too short", func() *who { c := st.client("g"); c.session = 5999; return c }, codeInvalidSessionTimeout, ""},
		{"session too long", func() *who { c := st.client("g"); c.session = 1_800_001; return c }, codeInvalidSessionTimeout, ""},
		{"unknown id in a known group", func() *who { c := st.client("g"); c.id = "who"; return c }, codeUnknownMemberID, "who"},
		{"unknown id in an unknown group", func() *who { c := st.client("h"); c.id = "who"; return c }, codeUnknownMemberID, "who"},
		{"another protocol type", func() *who { c := st.client("g"); c.ptype = "connect"; return c }, codeInconsistentProtocol, ""},
		{"no common protocol", func() *who { return st.client("g").supporting("sticky") }, codeInconsistentProtocol, ""},
		{"no protocol type for a new group", func() *who { c := st.client("h"); c.ptype = ""; return c }, codeInconsistentProtocol, ""},
		{"no protocols for a new group", func() *who { return st.client("h").supporting() }, codeInconsistentProtocol, ""},
		{"unknown id with an instance", func() *who { c := st.static("g", "i"); c.id = "who"; return c }, codeUnknownMemberID, "who"},
		{"a name that no record can hold", func() *who { return st.client("h").supporting(string(make([]byte, 40_000))) }, codeInconsistentProtocol, ""},
	} {
		r := tc.c().joinOnce().now()
		if r.ErrorCode != tc.code || r.MemberID != tc.id || r.Generation != -1 {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
	if got := st.list(nil, nil); len(got) != 1 {
		t.Errorf("refused joins have left groups behind: %v", got)
	}
}

func TestAMemberJoinsAndTheOthersFollow(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	st.stable(a)
	jb := b.join()
	jb.parked()
	wantCode(t, "heartbeat tells of the rebalance", a.heartbeat(), codeRebalanceInProgress)
	wantCode(t, "commit while preparing", a.commit(5), codeNone)
	ja := a.join()
	if ja.now().Generation != 2 || jb.now().Generation != 2 || !a.leader || b.leader {
		t.Fatalf("%+v %+v", ja.now(), jb.now())
	}
	st.assign(a, b)
	wantCode(t, "commit of the old generation", func() int16 { a.gen--; defer func() { a.gen++ }(); return a.commit(6) }(), codeIllegalGeneration)
	wantCode(t, "heartbeat of the old generation", func() int16 { a.gen--; defer func() { a.gen++ }(); return a.heartbeat() }(), codeIllegalGeneration)
}

func TestWhoDoesNotRejoinInTimeIsOut(t *testing.T) {
	st := newStage(t)
	a, b, c := st.client("g"), st.client("g"), st.client("g")
	for _, x := range []*who{a, b, c} {
		x.session, x.rebalance = 300_000, 20_000
	}
	st.stable(a, b)
	jc := c.join()
	jb := b.join()
	st.pass(19_999 * time.Millisecond)
	jb.parked()
	st.pass(time.Millisecond)
	if r := jb.now(); r.ErrorCode != 0 || r.LeaderID != b.id || len(r.Members) != 2 {
		t.Fatalf("%+v", r) // the old leader is out; the older of the others leads
	}
	jc.now()
	wantCode(t, "heartbeat of who is out", a.heartbeat(), codeUnknownMemberID)
	st.assign(b, c)
}

func TestASilentMemberIsExpired(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	st.stable(a, b)
	for i := 0; i < 4; i++ {
		st.pass(3 * time.Second)
		if i < 3 {
			wantCode(t, "heartbeat", a.heartbeat(), codeNone)
		}
	}
	wantCode(t, "heartbeat after b is gone", a.heartbeat(), codeRebalanceInProgress)
	if r := a.join().now(); r.Generation != 2 || len(r.Members) != 1 {
		t.Fatalf("%+v", r)
	}
	wantCode(t, "heartbeat of the expired", b.heartbeat(), codeUnknownMemberID)
}

func TestACommitKeepsTheSession(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	st.stable(a)
	for i := 0; i < 5; i++ {
		st.pass(9 * time.Second)
		wantCode(t, "commit", a.commit(int64(i)), codeNone)
	}
	st.pass(10 * time.Second)
	wantCode(t, "commit after the session", a.commit(9), codeUnknownMemberID)
	st.wantState("g", "Empty")
}

func TestAnUnusedIDExpires(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	a.session = 300_000
	st.stable(a)
	wantCode(t, "id", b.joinOnce().now().ErrorCode, codeMemberIDRequired)
	jb := st.client("g")
	j := jb.join()
	ja := a.join()
	ja.parked() // b has an id and may come yet
	st.pass(10 * time.Second)
	ja.now()
	j.now()
	wantCode(t, "late join", b.joinOnce().now().ErrorCode, codeUnknownMemberID)
}

// The first rebalance waits for more members, whoever does not come.
func TestAnUnusedIDThatExpiresDoesNotCutTheFirstRebalanceShort(t *testing.T) {
	st := newStage(t, func(o *Options) { o.Config.InitialRebalanceDelayMs = 20_000 })
	unused, a := st.client("g"), st.client("g")
	unused.session = 6000
	wantCode(t, "id", unused.joinOnce().now().ErrorCode, codeMemberIDRequired)
	st.pass(time.Second)
	ja := a.join()
	st.pass(6 * time.Second) // the unused id has expired, the delay has not
	ja.parked()
	b := st.client("g")
	jb := b.join()
	st.pass(time.Minute)
	if r := ja.now(); r.Generation != 1 || jb.now().Generation != 1 || len(r.Members) != 2 {
		t.Fatalf("%+v %+v", r, jb.now())
	}
}

// When all who have come to the first rebalance are gone, nothing is left to wait for.
func TestAFirstRebalanceWhoseMembersAreGoneEnds(t *testing.T) {
	st := newStage(t, func(o *Options) { o.Config.InitialRebalanceDelayMs = 2 * newMemberJoinTimeoutMs })
	a, b, unused := st.client("g"), st.client("g"), st.client("g")
	unused.session = newMemberJoinTimeoutMs + 60_000
	ja := a.join()
	unused.joinOnce()
	st.pass(time.Second)
	jb := b.join()
	st.pass(newMemberJoinTimeoutMs*time.Millisecond - time.Second)
	wantCode(t, "join", ja.now().ErrorCode, codeUnknownMemberID)
	jb.parked()
	st.pass(time.Second)
	wantCode(t, "join", jb.now().ErrorCode, codeUnknownMemberID)
	st.wantState("g", "PreparingRebalance") // an id may still be used
	st.pass(time.Minute)
	st.wantState("g", "Empty")
}

func TestAnUnusedIDCanLeave(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	a.session = 300_000
	st.stable(a)
	b.joinOnce()
	c := st.client("g")
	jc := c.join()
	ja := a.join()
	ja.parked()
	wantCode(t, "leave", b.leave(), codeNone)
	ja.now()
	jc.now()
}

func TestANewMemberWhoseClientIsGoneDoesNotHoldAGroupForever(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	a.session, a.rebalance = 1_800_000, 1_800_000
	b.version = 3
	st.stable(a)
	jb := b.join()
	jb.parked()
	st.pass(newMemberJoinTimeoutMs * time.Millisecond)
	wantCode(t, "join of the new member", jb.now().ErrorCode, codeUnknownMemberID)
	if r := a.join().now(); len(r.Members) != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestRejoins(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	a.session, b.session = 300_000, 300_000
	st.stable(a, b)
	if r := b.join().now(); r.Generation != 1 || r.Members != nil || *r.Protocol != "range" {
		t.Fatalf("a follower with the same metadata upset the group: %+v", r)
	}
	st.wantState("g", "Stable")
	b.protocols[0].metadata = subscription("t0", "t1")
	jb := b.join()
	jb.parked()
	st.wantState("g", "PreparingRebalance")
	a.join()
	if jb.now().Generation != 2 {
		t.Fatalf("%+v", jb.now())
	}
	if r := b.join().now(); r.Generation != 2 {
		t.Fatalf("a join that was repeated while completing: %+v", r)
	}
	if r := a.join().now(); r.Generation != 2 || len(r.Members) != 2 {
		t.Fatalf("the leader's join that was repeated while completing: %+v", r)
	}
	st.assign(a, b)
	ja := a.join()
	ja.parked()
	st.wantState("g", "PreparingRebalance") // the leader may always ask for a rebalance
	again := a.join()
	wantCode(t, "the join that was repeated", ja.now().ErrorCode, codeRebalanceInProgress)
	b.join()
	again.now()
}

func TestTheSyncBarrier(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	for _, c := range []*who{a, b} {
		c.session, c.rebalance = 300_000, 20_000
	}
	ja, jb := a.join(), b.join()
	st.pass(6 * time.Second)
	ja.now()
	jb.now()
	sb := b.sync()
	sb.parked()
	wrong := *b
	wrong.gen = 7
	wantCode(t, "sync of another generation", wrong.sync().now().ErrorCode, codeIllegalGeneration)
	wrong = *b
	wrong.id = "who"
	wantCode(t, "sync of a stranger", wrong.sync().now().ErrorCode, codeUnknownMemberID)
	wrong = *b
	wrong.ptype = "connect"
	wantCode(t, "sync of another type", wrong.sync().now().ErrorCode, codeInconsistentProtocol)
	st.pass(20 * time.Second) // the leader never syncs
	wantCode(t, "sync without a leader", sb.now().ErrorCode, codeRebalanceInProgress)
	wantCode(t, "heartbeat of the lost leader", a.heartbeat(), codeUnknownMemberID)
	if r := b.join().now(); r.LeaderID != b.id || r.Generation != 2 {
		t.Fatalf("%+v", r)
	}
	st.assign(b)
}

func TestAMemberThatFetchesNoAssignmentIsOut(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	for _, c := range []*who{a, b} {
		c.session, c.rebalance = 300_000, 20_000
	}
	a.join()
	b.join()
	st.pass(6 * time.Second)
	wantCode(t, "leader's sync", a.syncWith(map[string]string{a.id: "all"}).now().ErrorCode, codeNone)
	st.wantState("g", "Stable")
	st.pass(20 * time.Second)
	wantCode(t, "heartbeat", a.heartbeat(), codeRebalanceInProgress)
	wantCode(t, "late sync", b.sync().now().ErrorCode, codeUnknownMemberID)
}

func TestLateSyncOfAStableGroup(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	a.join()
	b.join()
	st.pass(6 * time.Second)
	a.syncWith(map[string]string{a.id: "x", b.id: "y", "stranger": "z"}).now()
	if r := b.sync().now(); string(r.MemberAssignment) != "y" || *r.Protocol != "range" || *r.ProtocolType != "consumer" {
		t.Fatalf("%+v", r)
	}
	if r := a.sync().now(); string(r.MemberAssignment) != "x" {
		t.Fatalf("%+v", r)
	}
}

func TestSyncMustSayWhatItIsAbout(t *testing.T) {
	st := newStage(t)
	r := kmsg.NewPtrSyncGroupRequest()
	r.Group = "g"
	var got *kmsg.SyncGroupResponse
	st.s.SyncGroup(RequestContext{}, 5, r, func(resp *kmsg.SyncGroupResponse) { got = resp })
	wantCode(t, "sync without protocol", got.ErrorCode, codeInconsistentProtocol)
	st.s.SyncGroup(RequestContext{}, 4, r, func(resp *kmsg.SyncGroupResponse) { got = resp })
	wantCode(t, "older sync", got.ErrorCode, codeUnknownMemberID)
}

func TestVotes(t *testing.T) {
	for _, tc := range []struct {
		name    string
		members [][]string
		want    string
	}{
		{"the most wanted", [][]string{{"a", "b"}, {"b", "a"}, {"b", "a"}}, "b"},
		{"only what all support", [][]string{{"a", "b", "c"}, {"c", "b"}, {"d", "c"}}, "c"},
		{"of equals the oldest member's", [][]string{{"b", "a"}, {"a", "b"}}, "b"},
		{"named twice counts once", [][]string{{"a", "a", "b"}, {"b", "a"}}, "a"},
	} {
		st := newStage(t)
		var clients []*who
		for _, names := range tc.members {
			clients = append(clients, st.client("g").supporting(names...))
		}
		st.stable(clients...)
		if d := st.describe(5, "g"); d.Protocol != tc.want {
			t.Errorf("%s: %s", tc.name, d.Protocol)
		}
	}
}

func TestMaxSize(t *testing.T) {
	st := newStage(t, func(o *Options) { o.Config.MaxSize = 2 })
	a, b, c := st.client("g"), st.client("g"), st.client("g")
	a.session, b.session = 300_000, 300_000
	st.stable(a, b)
	r := c.joinOnce().now()
	wantCode(t, "the third", r.ErrorCode, codeGroupMaxSizeReached)
	if r.MemberID != "" {
		t.Fatalf("%+v", r)
	}
	wantCode(t, "a rejoin", b.join().now().ErrorCode, codeNone)
	st.wantState("g", "Stable")
}

func TestAGroupThatHasBecomeTooLargeShrinks(t *testing.T) {
	st := newStage(t)
	a, b, c := st.client("g"), st.client("g"), st.client("g")
	st.stable(a, b, c)
	st.s.Close()
	st.start(func(o *Options) { o.Config.MaxSize = 2 })
	st.wantState("g", "PreparingRebalance")
	wantCode(t, "heartbeat", a.heartbeat(), codeRebalanceInProgress)
	ja, jb := a.join(), b.join()
	wantCode(t, "the last to rejoin", c.join().now().ErrorCode, codeGroupMaxSizeReached)
	if ja.now().Generation != 2 || len(ja.now().Members)+len(jb.now().Members) != 2 {
		t.Fatalf("%+v %+v", ja.now(), jb.now())
	}
}

func TestLeaving(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	st.stable(a, b)
	wantCode(t, "leave", b.leave(), codeNone)
	wantCode(t, "leave again", b.leave(), codeUnknownMemberID)
	wantCode(t, "heartbeat", a.heartbeat(), codeRebalanceInProgress)
	if a.join().now().Generation != 2 {
		t.Fatal("no new generation")
	}
	st.assign(a)
	wantCode(t, "leave", a.leave(), codeNone)
	st.wantState("g", "Empty")
	d := st.describe(5, "g")
	if d.ProtocolType != "consumer" || d.Protocol != "" || len(d.Members) != 0 {
		t.Fatalf("%+v", d)
	}
	st.failover()
	st.wantState("g", "Empty")
	wantCode(t, "leave of nobody's group", st.client("h").leave(), codeUnknownMemberID)
}

func TestLeaveWhileOthersAreAwaited(t *testing.T) {
	st := newStage(t)
	a, b, c := st.client("g"), st.client("g"), st.client("g")
	a.session, b.session = 300_000, 300_000
	st.stable(a, b)
	jc := c.join()
	ja := a.join()
	ja.parked()
	b.leave() // the one that was missing
	ja.now()
	jc.now()
	again := c.join() // same metadata: the generation is told again
	if again.now().Generation != 2 {
		t.Fatal("not the same generation")
	}
}

func TestLeavingWithAParkedJoin(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	j := a.join()
	wantCode(t, "leave", a.leave(), codeNone)
	wantCode(t, "the parked join", j.now().ErrorCode, codeUnknownMemberID)
	st.pass(3 * time.Second)
	st.wantState("g", "Empty")
}

func TestOldLeave(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	st.stable(a)
	for _, want := range []int16{codeNone, codeUnknownMemberID} {
		r := kmsg.NewPtrLeaveGroupRequest()
		r.Group, r.MemberID = "g", a.id
		var got *kmsg.LeaveGroupResponse
		st.s.LeaveGroup(RequestContext{}, 1, r, func(resp *kmsg.LeaveGroupResponse) { got = resp })
		wantCode(t, "leave", got.ErrorCode, want)
		if got.Members != nil {
			t.Fatalf("%+v", got)
		}
	}
}

// The four ways in which an append or its commit can fail a rebalance.

func TestTheAssignmentCannotBeWritten(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	a.join()
	b.join()
	st.pass(6 * time.Second)
	sb := b.sync()
	st.log.FailAppends(coord.ErrNotEnoughReplicas)
	sa := a.syncWith(map[string]string{a.id: "x", b.id: "y"})
	wantCode(t, "leader", sa.now().ErrorCode, codeCoordinatorNotAvailable)
	wantCode(t, "follower", sb.now().ErrorCode, codeCoordinatorNotAvailable)
	st.wantState("g", "PreparingRebalance")
	wantCode(t, "commit", a.commit(1), codeCoordinatorNotAvailable)
	st.log.FailAppends(nil)
	ja, jb := a.join(), b.join()
	if ja.now().Generation != 2 || jb.now().Generation != 2 {
		t.Fatalf("%+v %+v", ja.now(), jb.now())
	}
	st.assign(a, b)
}

func TestEmptinessCannotBeWritten(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	st.stable(a)
	st.log.FailAppends(coord.ErrNotLeader)
	wantCode(t, "leave", a.leave(), codeNotCoordinator)
	st.log.FailAppends(nil)
	st.wantState("g", "Empty")
	b := st.client("g")
	st.stable(b)
	if b.gen != 3 {
		t.Fatalf("generation %d", b.gen)
	}
	st.failover()
	wantCode(t, "heartbeat", b.heartbeat(), codeNone)
}

func TestTheAssignmentIsNotTakenAsGivenBeforeItIsCommitted(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	a.join()
	b.join()
	st.pass(6 * time.Second)
	st.log.HoldCommits(true)
	sb := b.sync()
	sa := a.syncWith(map[string]string{a.id: "x", b.id: "y"})
	sa.parked()
	sb.parked()
	st.s.Resign(0, -1)
	wantCode(t, "leader", sa.now().ErrorCode, codeNotCoordinator)
	wantCode(t, "follower", sb.now().ErrorCode, codeNotCoordinator)
	st.log.TruncateToCommitted(0)
	st.log.HoldCommits(false)
	st.elect(0)
	st.wantState("g", "Dead")
	wantCode(t, "heartbeat", a.heartbeat(), codeUnknownMemberID)
}

func TestCommitsThatTakeTooLong(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	st.stable(a)
	st.log.HoldCommits(true)
	c := a.commitCall(9, 5)
	f := st.fetchCall("g", 9, false, "t0", 0)
	c.parked()
	f.parked()
	st.pass(5 * time.Second)
	wantCode(t, "commit", c.now().Topics[0].Partitions[0].ErrorCode, codeCoordinatorNotAvailable)
	wantCode(t, "fetch", f.now().Groups[0].ErrorCode, codeNotCoordinator)
	st.log.CommitAll(0)
	if st.fetch("g") != 5 {
		t.Fatal("the commit is lost")
	}
}

func TestResignationAnswersParkedJoinsAndSyncs(t *testing.T) {
	st := newStage(t)
	a, b, c := st.client("g"), st.client("g"), st.client("h")
	a.join()
	b.join()
	st.pass(6 * time.Second)
	sb := b.sync()
	jc := c.join()
	st.s.Resign(0, -1)
	wantCode(t, "sync", sb.now().ErrorCode, codeNotCoordinator)
	wantCode(t, "join", jc.now().ErrorCode, codeNotCoordinator)
	wantCode(t, "join", a.joinOnce().now().ErrorCode, codeNotCoordinator)
	wantCode(t, "heartbeat", a.heartbeat(), codeNotCoordinator)
	wantCode(t, "commit", a.commit(1), codeNotCoordinator)
	wantCode(t, "describe", st.describe(5, "g").ErrorCode, codeNotCoordinator)
	wantCode(t, "delete", st.delete("g"), codeNotCoordinator)
	if got := st.list(nil, nil); got != nil {
		t.Fatal(got)
	}
}

func TestWhileLoading(t *testing.T) {
	st := newStage(t)
	a := st.client("g")
	st.stable(a)
	st.s.Resign(0, -1)
	release := st.log.HoldLoads()
	defer release()
	st.s.Elect(0, 100)
	wantCode(t, "heartbeat", a.heartbeat(), codeNone)
	wantCode(t, "join", a.joinOnce().now().ErrorCode, codeCoordinatorLoading)
	wantCode(t, "sync", a.sync0().ErrorCode, codeCoordinatorLoading)
	wantCode(t, "leave", a.leave(), codeCoordinatorLoading)
	wantCode(t, "commit", a.commit(1), codeCoordinatorLoading)
	wantCode(t, "fetch", st.fetchCall("g", 9, false, "t0", 0).now().Groups[0].ErrorCode, codeCoordinatorLoading)
	wantCode(t, "delete", st.delete("g"), codeCoordinatorLoading)
	var list *kmsg.ListGroupsResponse
	st.s.ListGroups(RequestContext{}, 5, kmsg.NewPtrListGroupsRequest(), func(r *kmsg.ListGroupsResponse) { list = r })
	wantCode(t, "list", list.ErrorCode, codeCoordinatorLoading)
}

// sync0 sends a SyncGroup that looks at nothing before.
func (c *who) sync0() *kmsg.SyncGroupResponse {
	r := kmsg.NewPtrSyncGroupRequest()
	r.Group, r.MemberID, r.Generation = c.group, c.id, c.gen
	out := &call[kmsg.SyncGroupResponse]{t: c.st.t}
	c.st.s.SyncGroup(RequestContext{}, 4, r, out.take)
	return out.now()
}

func TestTheTopicDoesNotExistYet(t *testing.T) {
	st := newStage(t, func(o *Options) { o.NumPartitions = func() int32 { return 0 } })
	wantCode(t, "join", st.client("g").joinOnce().now().ErrorCode, codeCoordinatorNotAvailable)
	if _, ok := st.s.PartitionFor("g"); ok {
		t.Fatal("a partition of nothing")
	}
}

func TestAStableGroupOutlivesItsCoordinator(t *testing.T) {
	st := newStage(t)
	a, b := st.client("g"), st.client("g")
	st.stable(a, b)
	a.commit(17)
	st.failover()
	st.wantState("g", "Stable")
	wantCode(t, "heartbeat", a.heartbeat(), codeNone)
	if r := b.sync().now(); string(r.MemberAssignment) != "for "+b.id {
		t.Fatalf("%+v", r)
	}
	if st.fetch("g") != 17 {
		t.Fatal("offset lost")
	}
	wantCode(t, "commit", b.commit(18), codeNone)
	st.pass(10 * time.Second) // nobody heartbeats
	st.wantState("g", "Empty")
}
