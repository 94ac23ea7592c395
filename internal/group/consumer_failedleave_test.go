package group

import (
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/coord"
)

// A member says goodbye while the log takes no records, and never comes again. It is still a member then, but not for good: when
// the log takes records again its session ends, and the other gets everything.
func TestAGoodbyeThatCannotBeWritten(t *testing.T) {
	st := newStage(t, withTopics(fakeMetadata{"t1": 4}))
	a, b := st.consumer("g", "a"), st.consumer("g", "b")
	wantCode(t, "join", a.join("t1").ErrorCode, codeNone)
	wantCode(t, "join", b.join("t1").ErrorCode, codeNone)
	st.settle("g", a, b)
	if a.count() != 2 || b.count() != 2 {
		t.Fatalf("they have %d and %d partitions", a.count(), b.count())
	}
	st.log.FailAppends(coord.ErrNotEnoughReplicas)
	if code := b.leave().ErrorCode; code == codeNone {
		t.Fatal("a goodbye is confirmed that is written nowhere")
	}
	st.log.FailAppends(nil)
	for range 10 {
		st.pass(10 * time.Second)
		wantCode(t, "heartbeat", a.beat().ErrorCode, codeNone)
	}
	st.settle("g", a)
	if a.count() != 4 {
		t.Fatalf("the one who is left has %d partitions of 4", a.count())
	}
}
