package group

import (
	"testing"
	"time"
)

// Static members do not say goodbye. When all of a group end, one after the other, it is empty a session after the last was heard
// of, however the rebalance stands that the first one's end began.
func TestAGroupOfStaticMembersIsEmptyASessionAfterTheLast(t *testing.T) {
	st := newStage(t)
	a, b, c := st.static("g", "A"), st.static("g", "B"), st.static("g", "C")
	all := []*who{a, b, c}
	for _, w := range all {
		w.session = 6000
	}
	st.stable(all...)
	for _, w := range all {
		st.pass(300 * time.Millisecond)
		wantCode(t, "heartbeat", w.heartbeat(), codeNone)
	}
	st.pass(5900 * time.Millisecond)
	wantCode(t, "delete before the last session ends", st.delete("g"), codeNonEmptyGroup)
	st.pass(101 * time.Millisecond)
	st.wantState("g", "Empty")
	wantCode(t, "delete", st.delete("g"), codeNone)
}
