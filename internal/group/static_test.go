package group

import (
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestAStaticMemberComesBackWithoutARebalance(t *testing.T) {
	st := newStage(t)
	a, b := st.static("g", "A"), st.static("g", "B")
	st.stable(a, b)
	old := *b
	again := st.static("g", "B")
	r := again.join().now()
	if r.ErrorCode != 0 || r.Generation != 1 || r.MemberID == old.id || r.LeaderID != a.id || r.Members != nil || r.SkipAssignment {
		t.Fatalf("%+v", r)
	}
	st.wantState("g", "Stable")
	if s := again.sync().now(); string(s.MemberAssignment) != "for "+old.id {
		t.Fatalf("%+v", s)
	}
	wantCode(t, "heartbeat of the old", old.heartbeat(), codeFencedInstanceID)
	wantCode(t, "commit of the old", old.commit(3), codeFencedInstanceID)
	wantCode(t, "sync of the old", old.sync().now().ErrorCode, codeFencedInstanceID)
	wantCode(t, "join of the old", old.joinOnce().now().ErrorCode, codeFencedInstanceID)
	wantCode(t, "leave of the old", old.leave(), codeFencedInstanceID)
	wantCode(t, "heartbeat of the new", again.heartbeat(), codeNone)
	wantCode(t, "commit of the new", again.commit(4), codeNone)
	st.failover()
	wantCode(t, "heartbeat of the new after a failover", again.heartbeat(), codeNone)
	wantCode(t, "heartbeat of the old after a failover", old.heartbeat(), codeFencedInstanceID)
	if s := again.sync().now(); string(s.MemberAssignment) != "for "+old.id {
		t.Fatalf("%+v", s)
	}
}

func TestAStaticLeaderComesBack(t *testing.T) {
	st := newStage(t)
	a, b := st.static("g", "A"), st.static("g", "B")
	st.stable(a, b)
	oldID := a.id
	again := st.static("g", "A")
	r := again.join().now()
	if !r.SkipAssignment || r.LeaderID != r.MemberID || len(r.Members) != 2 || r.Members[0].MemberID != r.MemberID {
		t.Fatalf("%+v", r)
	}
	if s := again.sync().now(); string(s.MemberAssignment) != "for "+oldID {
		t.Fatalf("%+v", s)
	}
	older := st.static("g", "A")
	older.version = 8
	r = older.join().now()
	if r.SkipAssignment || r.LeaderID != again.id || r.Members != nil {
		t.Fatalf("a client that cannot skip the assignment must not think that it leads: %+v", r)
	}
}

func TestAStaticMemberThatChangesTheProtocolRebalances(t *testing.T) {
	st := newStage(t)
	a, b := st.static("g", "A").supporting("x", "y"), st.static("g", "B").supporting("x", "y")
	st.stable(a, b)
	if d := st.describe(5, "g"); d.Protocol != "x" {
		t.Fatal(d.Protocol)
	}
	again := st.static("g", "B").supporting("y")
	j := again.join()
	j.parked()
	st.wantState("g", "PreparingRebalance")
	a.join()
	if r := j.now(); r.Generation != 2 || *r.Protocol != "y" {
		t.Fatalf("%+v", r)
	}
}

func TestAStaticMemberThatComesBackWhileTheLeaderAssigns(t *testing.T) {
	st := newStage(t)
	a, b := st.static("g", "A"), st.static("g", "B")
	ja, jb := a.join(), b.join()
	st.pass(6 * time.Second)
	ja.now()
	jb.now()
	old := *b
	sb := b.sync()
	again := st.static("g", "B")
	j := again.join()
	wantCode(t, "the parked sync of the old", sb.now().ErrorCode, codeFencedInstanceID)
	wantCode(t, "heartbeat of the old", old.heartbeat(), codeFencedInstanceID)
	st.wantState("g", "PreparingRebalance")
	wantCode(t, "sync of the leader", a.syncWith(map[string]string{a.id: "x"}).now().ErrorCode, codeRebalanceInProgress)
	a.join()
	if r := j.now(); r.Generation != 2 {
		t.Fatalf("%+v", r)
	}
	st.assign(a, again)
}

func TestAStaticMemberThatComesBackWhileItsJoinIsParked(t *testing.T) {
	st := newStage(t)
	b := st.static("g", "B")
	jb := b.join()
	again := st.static("g", "B")
	j := again.join()
	wantCode(t, "the parked join of the old", jb.now().ErrorCode, codeFencedInstanceID)
	st.pass(6 * time.Second)
	if r := j.now(); r.ErrorCode != 0 || len(r.Members) != 1 {
		t.Fatalf("%+v", r)
	}
	st.assign(again)
}

func TestAStaticMemberMayBeAwayForItsSession(t *testing.T) {
	st := newStage(t)
	a, b := st.static("g", "A"), st.client("g")
	a.session, b.session = 30_000, 300_000
	a.rebalance, b.rebalance = 10_000, 10_000
	st.stable(a, b)
	c := st.client("g")
	c.session, c.rebalance = 300_000, 10_000
	jc := c.join()
	jb := b.join()
	st.pass(10 * time.Second) // the rebalance goes on without A, which stays a member
	if r := jb.now(); r.LeaderID != b.id || len(r.Members) != 3 {
		t.Fatalf("%+v", r)
	}
	jc.now()
	wantCode(t, "leader's sync", b.syncWith(map[string]string{a.id: "a", b.id: "b", c.id: "c"}).now().ErrorCode, codeNone)
	wantCode(t, "sync", c.sync().now().ErrorCode, codeNone)
	again := st.static("g", "A")
	if r := again.join().now(); r.Generation != 2 {
		t.Fatalf("%+v", r)
	}
	if s := again.sync().now(); string(s.MemberAssignment) != "a" {
		t.Fatalf("%+v", s)
	}
}

func TestOnlyStaticMembersAndNoneComes(t *testing.T) {
	st := newStage(t)
	a, b := st.static("g", "A"), st.static("g", "B")
	for _, c := range []*who{a, b} {
		c.session, c.rebalance = 60_000, 10_000
	}
	st.stable(a, b)
	wantCode(t, "leave", b.leave(), codeNone)
	st.pass(25 * time.Second) // two rebalance time-outs, and A is still awaited
	st.wantState("g", "PreparingRebalance")
	if r := a.join().now(); r.Generation != 2 {
		t.Fatalf("%+v", r)
	}
	st.assign(a)
	wantCode(t, "leave", a.leave(), codeNone)
	st.wantState("g", "Empty")
}

func TestAnAdministratorRemovesStaticMembers(t *testing.T) {
	st := newStage(t)
	a, b := st.static("g", "A"), st.static("g", "B")
	st.stable(a, b)
	r := kmsg.NewPtrLeaveGroupRequest()
	r.Group = "g"
	ia, ib, ix := "A", "B", "X"
	r.Members = []kmsg.LeaveGroupRequestMember{{InstanceID: &ia}, {InstanceID: &ix}, {}, {MemberID: "wrong", InstanceID: &ib}, {MemberID: a.id}}
	var got *kmsg.LeaveGroupResponse
	st.s.LeaveGroup(RequestContext{}, 5, r, func(resp *kmsg.LeaveGroupResponse) { got = resp })
	want := []int16{codeNone, codeUnknownMemberID, codeUnknownMemberID, codeFencedInstanceID, codeUnknownMemberID}
	for i, m := range got.Members {
		if m.ErrorCode != want[i] || m.MemberID != r.Members[i].MemberID {
			t.Errorf("member %d: %+v, want code %d", i, m, want[i])
		}
	}
	wantCode(t, "heartbeat", b.heartbeat(), codeRebalanceInProgress)
}

func TestAStaticReplacementThatCannotBeWritten(t *testing.T) {
	st := newStage(t)
	a, b := st.static("g", "A"), st.static("g", "B")
	st.stable(a, b)
	st.log.FailAppends(coord.ErrStorage)
	again := st.static("g", "B")
	wantCode(t, "join", again.join().now().ErrorCode, codeNotCoordinator)
	st.log.FailAppends(nil)
	wantCode(t, "the old goes on", b.heartbeat(), codeNone)
	st.wantState("g", "Stable")
}

func TestAStaticMemberIsNotAnsweredBeforeItsNewIDIsCommitted(t *testing.T) {
	st := newStage(t)
	a := st.static("g", "A")
	st.stable(a)
	st.log.HoldCommits(true)
	again := st.static("g", "A")
	j := again.join()
	j.parked()
	st.log.CommitAll(0)
	if j.now().ErrorCode != 0 {
		t.Fatalf("%+v", j.now())
	}
}
