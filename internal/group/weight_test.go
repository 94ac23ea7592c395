package group

import (
	"strings"
	"testing"
	"time"
)

func TestMetadataThatCannotBeRecordedIsRefused(t *testing.T) {
	st := newStage(t, func(o *Options) { o.MaxBatchBytes = 5000 })
	c := st.client("g")
	c.protocols[1].metadata = make([]byte, 5001)
	wantCode(t, "join", c.join().now().ErrorCode, codeUnknownServerError)
	st.wantState("g", deadState)
	c.protocols[1].metadata = make([]byte, 5000)
	st.stable(c)
}

// However many members one client invents, in however many groups, the shard holds no more than
// its bound, and what was there goes on.
func TestMembersAreBoundedInBytes(t *testing.T) {
	st := newStage(t)
	old := st.client("old")
	old.session = 1_800_000
	st.stable(old)
	st.shard(func(sh *Shard) { sh.maxHeld = sh.held + 100_000 })
	big := func(version int16) int16 {
		c := st.client("g")
		c.version = version
		c.clientID = strings.Repeat("c", 1000)
		c.protocols[0].metadata = make([]byte, 30_000)
		call := c.joinOnce()
		if call.resp == nil {
			return codeNone
		}
		return call.resp.ErrorCode
	}
	for range 3 {
		wantCode(t, "join", big(3), codeNone) // is parked
	}
	wantCode(t, "one too many", big(3), codeCoordinatorNotAvailable)
	wantCode(t, "its id", big(9), codeCoordinatorNotAvailable)
	old.protocols[0].metadata = make([]byte, 30_000)
	wantCode(t, "a member grows", old.joinOnce().now().ErrorCode, codeCoordinatorNotAvailable)
	old.protocols[0].metadata = subscription("t0")
	wantCode(t, "heartbeat", old.heartbeat(), codeNone)
	rejoin := old.join().now() // as it was
	wantCode(t, "rejoin", rejoin.ErrorCode, codeNone)
	st.assign(old)
	st.pass(newMemberJoinTimeoutMs * time.Millisecond)
	st.pass(time.Minute)
	st.wantState("g", "Empty")
	wantCode(t, "join when they are gone", big(9), codeMemberIDRequired)
	st.failover()
	st.shard(func(sh *Shard) {
		var want int64
		for _, g := range sh.groups {
			for _, m := range g.members {
				want += m.weight()
			}
		}
		if sh.held != want || want == 0 || sh.maxHeld != DefaultConfig().MaxMemberBytes {
			t.Fatalf("held %d, want %d", sh.held, want)
		}
	})
	wantCode(t, "leave", old.leave(), codeNone)
	st.shard(func(sh *Shard) {
		if sh.held != 0 {
			t.Fatalf("held %d with no members", sh.held)
		}
	})
}

func TestLargeBatchesLargeBound(t *testing.T) {
	c := DefaultConfig()
	if c.maxHeld(1<<20) != c.MaxMemberBytes || c.maxHeld(1<<30) != heldBatches<<30 {
		t.Fatal(c.maxHeld(1<<20), c.maxHeld(1<<30))
	}
}

func TestMembersThatNobodyHasProvenAreBounded(t *testing.T) {
	st := newStage(t)
	st.client("g").join()
	st.shard(func(sh *Shard) { sh.groups["g"].fresh = sh.cfg.MaxFreshMembers })
	c := st.client("g")
	c.version = 3
	wantCode(t, "old client", c.join().now().ErrorCode, codeCoordinatorNotAvailable)
	wantCode(t, "static member", st.static("g", "s").join().now().ErrorCode, codeCoordinatorNotAvailable)
	d := st.client("g")
	d.join().parked()
	st.pass(6 * time.Second)
	st.shard(func(sh *Shard) {
		if n := sh.groups["g"].fresh; n != 0 {
			t.Fatalf("%d new members in a generation", n)
		}
	})
}
