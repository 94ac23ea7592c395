package quorum

import (
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"go.etcd.io/raft/v3/raftpb"
)

// A leader's first entry holds nothing, and nothing in the metadata log tells whether it was committed. Once a controller that
// started took such an entry at the end of its Raft log for committed. The leader of a later epoch had something else there, took the
// controller's word for having that, and the two wrote to each other without end; what the leader counted as held was not.
func TestAnEmptyEntryAtTheEndIsNotTakenForCommitted(t *testing.T) {
	s := newSea(1, 3, memDisk, crashClone)
	start := func(ids ...int32) {
		for _, id := range ids {
			if err := s.start(id); err != nil {
				t.Fatal(err)
			}
		}
	}
	until := func(name string, ids ...int32) {
		for range 400 {
			s.say(name)
			s.pass(100 * time.Millisecond)
			missing := 0
			for _, id := range ids {
				if s.nodes[id].Image().Config(meta.ResourceGroup, name) == nil {
					missing++
				}
			}
			if missing == 0 {
				return
			}
		}
		t.Fatalf("nodes %v do not agree on %s", ids, name)
	}
	stop := func() {
		for id, n := range s.nodes {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
			delete(s.nodes, id)
		}
		s.calls.Wait()
	}
	start(0, 1, 2)
	until("before", 0, 1, 2)
	stop()

	// The others voted for node 0; it wrote the entry that begins its epoch, and died before anybody heard of it.
	for id := range s.size {
		w, st, _, err := readWAL(s.disks[id], testDir)
		if err != nil {
			t.Fatal(err)
		}
		end, hard := st.base.index+uint64(len(st.entries)), st.hard
		hard.term, hard.vote = hard.term+1, raftID(0, meta.UUID{})
		var entries []*raftpb.Entry
		if id == 0 {
			entries = append(entries, &raftpb.Entry{Index: new(end + 1), Term: new(hard.term)})
		}
		if err := w.append(hard, entries); err != nil {
			t.Fatal(err)
		}
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
	}

	start(1, 2)
	until("meanwhile", 1, 2)
	start(0)
	until("after", 0, 1, 2)
	if err := s.nodes[0].failure(); err != nil {
		t.Error(err)
	}
	stop()
}

// A voter that has more of a leader's own epoch than the leader shows that a disk has lost what it had promised to keep. The leader
// ends and says so: it once looked for a snapshot to send, and the process died of there being none.
func TestALeaderThatLacksItsOwnEntriesEnds(t *testing.T) {
	s := underWay(t)
	leader := s.awaitLeader()
	_, epoch := leader.Leader()
	m, err := encodeMessage(&raftpb.Message{
		Type: raftpb.MsgAppResp.Enum(), From: new(raftID((leader.cfg.NodeID+1)%s.size, meta.UUID{})), To: new(leader.loop.ownID),
		Term: new(uint64(epoch)), Index: new(uint64(1000)),
	})
	if err == nil {
		err = leader.Step(m.Data)
	}
	if err != nil {
		t.Fatal(err)
	}
	<-leader.done
	if err := leader.failure(); err == nil || !strings.Contains(err.Error(), "has entry 1000 of epoch") || !strings.Contains(err.Error(), "move this one's metadata directory away") {
		t.Errorf("it ended with %v", err)
	}
}
