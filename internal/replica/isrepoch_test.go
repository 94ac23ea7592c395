package replica

import (
	"testing"
	"time"
)

// A replica had caught up and was about to join. Before the controller could be asked, its machine lost power: it is back with less
// than it had, and fetches. What it held in its former life must not bring it in sync: it could be elected, and what was
// committed would be gone.
func TestAReplicaThatWasRestartedDoesNotJoinByWhatItHeldBefore(t *testing.T) {
	c := three(t)
	c.isolate(3)
	for range 5 {
		c.produce(1, 0)
	}
	c.run(4 * time.Second)
	c.wantISR(1, 1, 2)
	clear(c.cut)
	c.cut[[2]int32{1, 0}] = true // the leader cannot reach the controller
	c.run(2 * time.Second)
	if p := c.part(1); p.pending == nil || p.pending.kind != isrExpand {
		t.Fatalf("pending %+v", p.pending)
	}
	had := c.state(3).LogEndOffset
	c.node(3).cutPower(false)
	c.cut[[2]int32{1, 3}] = true // it asks the leader, and is not answered
	c.node(3).start(true)
	c.run(2 * time.Second)
	if now := c.state(3).LogEndOffset; now >= had || c.state(1).HW != had {
		t.Fatalf("node 3 had %d and has %d; committed to %d", had, now, c.state(1).HW)
	}
	delete(c.cut, [2]int32{1, 0})
	c.run(500 * time.Millisecond)
	if p := c.ctl.img.Partition(simName, 0); len(p.ISR) != 2 {
		t.Fatalf("in sync %v, though node 3 ends at %d and all to %d is committed", p.ISR, c.state(3).LogEndOffset, had)
	}
	clear(c.cut)
	c.settle()
}
