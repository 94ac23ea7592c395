package quorum

import (
	"strings"
	"testing"
	"time"
)

// A voter without its Raft log could vote a second time in one epoch. It refuses, says what to do, and touches nothing.
func TestAVoterThatHasLostItsRaftLogRefuses(t *testing.T) {
	s := underWay(t)
	for s.nodes[0].LogEndOffset() < 4 {
		s.pass(100 * time.Millisecond)
		s.say("colours")
	}
	for id, n := range s.nodes {
		if err := n.Close(); err != nil {
			t.Error(id, err)
		}
	}
	s.calls.Wait()
	if err := s.disks[0].Remove(testDir + "/" + WALName); err != nil {
		t.Fatal(err)
	}
	before, err := s.disks[0].ReadDir(testDir)
	if err != nil {
		t.Fatal(err)
	}
	err = s.start(0)
	if err == nil {
		t.Fatal("it starts")
	}
	for _, part := range []string{WALName + " is missing", "two leaders could come of that", "from a backup", "format it again"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if after, err := s.disks[0].ReadDir(testDir); err != nil || len(after) != len(before) {
		t.Errorf("%d files became %d: %v", len(before), len(after), err)
	}
	if err := s.start(1); err != nil { // the others are as they were
		t.Error(err)
	} else if err := s.nodes[1].Close(); err != nil {
		t.Error(err)
	}
}
