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
