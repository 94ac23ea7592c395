package quorum

import (
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// saidAndClosed is a quorum that was under way, and is at rest.
func saidAndClosed(t *testing.T) *sea {
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
	return s
}

// A Raft log that ends where a frame ends looks whole, but the metadata log beside it has more.
func TestAVoterWhoseRaftLogWasCutSaysWhatToDo(t *testing.T) {
	s := saidAndClosed(t)
	name := testDir + "/" + WALName
	whole, err := vfs.ReadFile(s.disks[0], name)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for n := len(whole) - 1; n > 0; n-- {
		if err := vfs.WriteFileAtomic(s.disks[0], name, whole[:n]); err != nil {
			t.Fatal(err)
		}
		if err := s.start(0); err == nil {
			if err := s.nodes[0].Close(); err != nil {
				t.Fatal(err)
			}
		} else if refused++; !strings.Contains(err.Error(), "from a") || !strings.Contains(err.Error(), "backup") {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if refused == 0 {
		t.Fatal("nothing was refused")
	}
}

// A voter without its Raft log could vote a second time in one epoch. It refuses, says what to do, and touches nothing.
func TestAVoterThatHasLostItsRaftLogRefuses(t *testing.T) {
	s := saidAndClosed(t)
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

// A voter of fixed ones has lost its disk. The leader counts on what it has promised to keep, and it ends and says what to do; it comes
// back once another leads.
func TestAVoterWithANewDiskComesBackUnderAnotherLeader(t *testing.T) {
	s := underWay(t)
	for s.nodes[0].LogEndOffset() < 4 {
		s.pass(100 * time.Millisecond)
		s.say("colours")
	}
	leader := s.awaitLeader().cfg.NodeID
	lost := (leader + 1) % s.size
	s.powerCut(lost)
	s.disks[lost] = memDisk()
	if err := s.disks[lost].MkdirAll(testDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.start(lost); err != nil {
		t.Fatal(err)
	}
	n := s.nodes[lost]
	for range 100 {
		s.pass(100 * time.Millisecond)
		if n.failure() != nil {
			break
		}
	}
	if err := n.failure(); err == nil || !strings.Contains(err.Error(), "restart the controller that leads") || strings.Contains(err.Error(), "remove it") {
		t.Fatal(err)
	}
	s.powerCut(lost)
	s.powerCut(leader)
	for _, id := range []int32{leader, lost} {
		if err := s.start(id); err != nil {
			t.Fatal(err)
		}
		s.awaitLeader()
	}
	for range 200 {
		if s.pass(100 * time.Millisecond); s.nodes[lost].LogEndOffset() >= 4 {
			return
		}
	}
	t.Fatalf("it ends at %d: %v", s.nodes[lost].LogEndOffset(), s.nodes[lost].failure())
}
