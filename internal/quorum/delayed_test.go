package quorum

import (
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"go.etcd.io/raft/v3"
)

// A controller that wins an election just as it is taken out of the quorum, or while the lead is being handed over, may propose
// nothing. Once that ended the whole controller; found by the simulation of clusters whose voters change.
func TestALeaderThatMayProposeNothingTriesAgain(t *testing.T) {
	s := underWay(t)
	n, refused := s.awaitLeader(), make(chan error, 1)
	err := n.put(op{fn: func(l *loop) {
		for id := range s.size { // nobody takes the lead that is handed over
			s.mu.Lock()
			s.cut[[2]int32{n.cfg.NodeID, id}] = true
			s.mu.Unlock()
		}
		l.raft.TransferLeader(raftID((n.cfg.NodeID+1)%s.size, meta.UUID{}))
		l.active = false
		refused <- l.activate()
		if !l.delayed || l.active {
			t.Error("it does not notice that nothing was taken")
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-refused; err != nil {
		t.Fatalf("the controller ends: %v, %v", err, raft.ErrProposalDropped)
	}
	s.mu.Lock()
	clear(s.cut)
	s.mu.Unlock()
	for done := false; !done; {
		s.pass(100 * time.Millisecond)
		s.say("again")
		s.mu.Lock()
		done = len(s.acked) > 0
		s.mu.Unlock()
	}
	for _, n := range s.nodes {
		if err := n.failure(); err != nil {
			t.Error(err)
		}
	}
}
