package quorum

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3/raftpb"
)

// A seed draws the faults of a run: which messages are lost, come twice or late, who is cut off, who loses power and with
// it all that was not synced. The order in which goroutines run is not the seed's, so a run is alike and not the same.
const (
	simSeeds = 12 // in an ordinary test run; MOLDAU_SIM_SEEDS asks for more
	simSteps = 40
	// simLinger is how long a node runs on after its power was cut, unheard: what it does then must change nothing.
	simLinger = time.Millisecond
)

// sea is a cluster of voters in bad weather.
type sea struct {
	clock *clock.Fake
	ids   chance
	size  int32

	mu    sync.Mutex // guards what follows: messages come from the nodes' goroutines
	rnd   *rand.Rand
	rough bool
	nodes map[int32]*Node
	lives map[int32]*seaLife
	disks map[int32]vfs.FS
	cut   map[[2]int32]bool // one way
	terms map[int32]int32   // who led in which epoch
	found []string          // rules that were broken
	acked []string
	calls sync.WaitGroup
	clone func(vfs.FS) vfs.FS
}

func newSea(seed uint64, size int32, disk func() vfs.FS, clone func(vfs.FS) vfs.FS) *sea {
	s := &sea{
		clock: clock.NewFake(time.Unix(1_700_000_000, 0)), ids: newChance(), size: size, rnd: rand.New(rand.NewPCG(seed, 1)),
		nodes: map[int32]*Node{}, lives: map[int32]*seaLife{}, disks: map[int32]vfs.FS{}, cut: map[[2]int32]bool{}, terms: map[int32]int32{}, clone: clone,
	}
	for id := range size {
		s.disks[id] = disk()
		_ = s.disks[id].MkdirAll(testDir, 0o755) // what fails here fails at Start
		_ = s.disks[id].SyncDir("/")
	}
	return s
}

// underWay is a calm sea with three nodes, which are closed when the test ends.
func underWay(t *testing.T) *sea {
	t.Helper()
	s := newSea(1, 3, memDisk, crashClone)
	for id := range s.size {
		if err := s.start(id); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, n := range s.nodes {
			_ = n.Close() // how each has ended, the test has looked at
		}
		s.calls.Wait()
	})
	return s
}

// awaitLeader lets time pass until a node leads and knows something.
func (s *sea) awaitLeader() *Node {
	for {
		for id, n := range s.nodes {
			if l, _ := n.Leader(); l == id && n.Image().Offset() >= 0 {
				return n
			}
		}
		s.pass(100 * time.Millisecond)
	}
}

func (s *sea) start(id int32) error {
	var voters []int32
	for v := range s.size {
		voters = append(voters, v)
	}
	life := &seaLife{}
	n, err := Start(Config{
		FS: s.disks[id], Dir: testDir, NodeID: id, Voters: voters, Clock: s.clock, Transport: seaWire{s, id, life},
		Controller: controller.Config{ClusterID: "C", Random: s.ids}, SnapshotBytes: 2000,
	})
	if err != nil {
		return fmt.Errorf("node %d does not start: %w", id, err)
	}
	s.mu.Lock()
	s.nodes[id], s.lives[id] = n, life
	s.mu.Unlock()
	return nil
}

// seaLife is a node from its start to its power cut. The goroutines of a node whose power was cut run on for a moment, on a
// disk that nobody will see again: what they say from then on must not be heard, or a promise would rest on nothing.
type seaLife struct{ over bool } // guarded by the sea's mutex

type seaWire struct {
	s    *sea
	from int32
	life *seaLife
}

func (w seaWire) Send(to int32, m Message) {
	s := w.s
	s.mu.Lock()
	if w.life.over {
		s.mu.Unlock()
		return
	}
	copies, late := 1, time.Duration(0)
	if s.cut[[2]int32{w.from, to}] {
		copies = 0
	}
	if s.rough && copies > 0 {
		switch x := s.rnd.IntN(100); {
		case x < 8:
			copies = 0
		case x < 14:
			copies = 2
		case x < 30:
			late = time.Duration(s.rnd.IntN(400)) * time.Millisecond // later ones overtake it
		}
	}
	s.mu.Unlock()
	deliver := func() {
		s.mu.Lock()
		n, from := s.nodes[to], s.nodes[w.from]
		s.mu.Unlock()
		ok := n != nil && copies > 0
		for range copies {
			if n != nil {
				_ = n.Step(m.Data) // a node that ends loses messages, as any
			}
		}
		if m.Snapshot && from != nil {
			go from.ReportSnapshot(to, ok)
		}
	}
	if late > 0 {
		s.clock.AfterFunc(late, deliver)
		return
	}
	deliver()
}

// powerCut ends a node; only what it synced is left.
func (s *sea) powerCut(id int32) {
	s.mu.Lock()
	n := s.nodes[id]
	delete(s.nodes, id)
	if s.lives[id] != nil {
		s.lives[id].over = true // in the same moment as its disk is taken
	}
	disk := s.disks[id]
	s.disks[id] = s.clone(disk)
	s.mu.Unlock()
	if n != nil {
		time.Sleep(simLinger)
		_ = n.Close() // on the disk that is gone
	}
}

// say asks some node for a change; it is remembered when it is acknowledged.
func (s *sea) say(name string) {
	s.mu.Lock()
	asked := map[*Node]*seaLife{}
	for id, n := range s.nodes {
		asked[n] = s.lives[id]
	}
	s.mu.Unlock()
	for n, life := range asked {
		s.calls.Add(1)
		n.Submit(RequestContext{}, groupConfig(name), func(resp kmsg.Response, err error) {
			defer s.calls.Done()
			if err != nil || resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode != 0 {
				return
			}
			s.mu.Lock()
			if !life.over {
				s.acked = append(s.acked, name)
			}
			s.mu.Unlock()
		})
	}
}

// look checks what must hold at every moment: one leader in an epoch, and equal images at equal offsets.
func (s *sea) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	images := map[int64][]string{}
	for id, n := range s.nodes {
		if leader, epoch := n.Leader(); leader == id {
			if other, ok := s.terms[epoch]; ok && other != id {
				s.found = append(s.found, fmt.Sprintf("nodes %d and %d lead in epoch %d", other, id, epoch))
			}
			s.terms[epoch] = id
		}
		img := n.Image()
		b := encodeImage(img)
		if other, ok := images[img.Offset()]; ok && !slices.Equal(other, b) {
			s.found = append(s.found, fmt.Sprintf("two images at offset %d", img.Offset()))
		}
		images[img.Offset()] = b
	}
}

func (s *sea) pass(d time.Duration) {
	for range d / (50 * time.Millisecond) {
		s.clock.Advance(50 * time.Millisecond)
		time.Sleep(200 * time.Microsecond) // the nodes' goroutines get a turn
	}
}

// sail runs one seed and returns the rules that were broken.
func (s *sea) sail() []string {
	defer func() {
		for id := range s.size {
			s.mu.Lock()
			n := s.nodes[id]
			delete(s.nodes, id)
			s.mu.Unlock()
			if n != nil {
				_ = n.Close()
			}
		}
		s.calls.Wait()
	}()
	for id := range s.size {
		if err := s.start(id); err != nil {
			return []string{err.Error()}
		}
	}
	s.pass(3 * time.Second)
	s.mu.Lock()
	s.rough = true
	s.mu.Unlock()
	for step := range simSteps {
		for i := range 3 {
			s.say(fmt.Sprintf("g%d-%d", step, i))
		}
		if err := s.weather(); err != nil {
			return append(s.found, err.Error())
		}
		s.pass(time.Duration(100+s.draw(600)) * time.Millisecond)
		s.look()
	}
	return s.calm()
}

func (s *sea) draw(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rnd.IntN(n)
}

// weather lets one thing go wrong, or right again.
func (s *sea) weather() error {
	a, b := int32(s.draw(int(s.size))), int32(s.draw(int(s.size)))
	switch s.draw(8) {
	case 0: // one node loses power and comes back
		s.powerCut(a)
		return s.start(a)
	case 1: // one stays away for a while
		s.powerCut(a)
	case 2: // all lose power at once
		for id := range s.size {
			s.powerCut(id)
		}
	case 3, 4:
		s.mu.Lock()
		s.cut[[2]int32{a, b}] = true
		if s.rnd.IntN(2) == 0 {
			s.cut[[2]int32{b, a}] = true
		}
		s.mu.Unlock()
	default:
		s.mu.Lock()
		clear(s.cut)
		s.mu.Unlock()
	}
	if s.draw(2) == 0 {
		return s.wakeAll()
	}
	return nil
}

func (s *sea) wakeAll() error {
	for id := range s.size {
		s.mu.Lock()
		n := s.nodes[id]
		s.mu.Unlock()
		if n != nil && n.failure() != nil {
			return fmt.Errorf("node %d ended: %w", id, n.failure())
		}
		if n == nil {
			if err := s.start(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// calm ends all faults, waits until all agree, and looks for what was acknowledged.
func (s *sea) calm() []string {
	s.mu.Lock()
	s.rough = false
	clear(s.cut)
	s.mu.Unlock()
	if err := s.wakeAll(); err != nil {
		return append(s.found, err.Error())
	}
	agreed := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, n := range s.nodes {
			if n.Image().Config(meta.ResourceGroup, "last") == nil {
				return false
			}
		}
		return true
	}
	for range 2000 {
		if agreed() {
			break
		}
		s.say("last")
		s.pass(100 * time.Millisecond)
	}
	if !agreed() {
		return append(s.found, "the cluster does not come to itself")
	}
	s.look()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range s.nodes {
		for _, name := range s.acked {
			if n.Image().Config(meta.ResourceGroup, name) == nil {
				s.found = append(s.found, fmt.Sprintf("node %d has lost %s, which was acknowledged", id, name))
			}
		}
	}
	return s.found
}

func memDisk() vfs.FS { return vfs.NewMem() }

func crashClone(fs vfs.FS) vfs.FS { return fs.(*vfs.Mem).CrashClone() }

func TestNothingAcknowledgedIsLostInBadWeather(t *testing.T) {
	seeds := simSeeds
	if n, err := strconv.Atoi(os.Getenv("MOLDAU_SIM_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		s := newSea(uint64(seed), 3+2*int32(seed%2), memDisk, crashClone)
		if found := s.sail(); len(found) > 0 {
			t.Fatalf("seed %d: %s", seed, strings.Join(found, "\n"))
		}
		if len(s.acked) < simSteps/4 {
			t.Errorf("seed %d: only %d changes were acknowledged: the run shows nothing", seed, len(s.acked))
		}
	}
}

// lying forgets to sync Raft's log: a planted fault, which the simulation must find.
type lying struct{ *vfs.Mem }

func (l lying) OpenFile(name string, flag int, perm os.FileMode) (vfs.File, error) {
	f, err := l.Mem.OpenFile(name, flag, perm)
	if err == nil && strings.HasSuffix(name, WALName) {
		return lyingFile{f}, nil
	}
	return f, err
}

type lyingFile struct{ vfs.File }

func (lyingFile) Sync() error { return nil }

func TestTheSimulationFindsAForgottenSync(t *testing.T) {
	disk := func() vfs.FS { return lying{vfs.NewMem()} }
	clone := func(fs vfs.FS) vfs.FS { return lying{fs.(lying).CrashClone()} }
	for seed := range uint64(20) {
		if found := newSea(seed, 3, disk, clone).sail(); len(found) > 0 {
			t.Logf("seed %d: %s", seed, found[0])
			return
		}
	}
	t.Error("20 seeds have not found that nothing is synced")
}

// Once the simulation took a dead node's word: a leader counted its acknowledgement of what only the disk of before the power
// cut had, and the cluster lost what it had promised.
func TestWhatADeadNodeSaysIsNotHeard(t *testing.T) {
	s := underWay(t)
	dead := seaWire{s, 0, s.lives[0]}
	s.powerCut(0)
	if err := s.start(0); err != nil {
		t.Fatal(err)
	}
	heartbeat := &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: new(uint64(1)), To: new(uint64(2)), Term: new(uint64(99)), Commit: new(uint64(0))}
	m, err := encodeMessage(heartbeat)
	if err != nil {
		t.Fatal(err)
	}
	dead.Send(1, m)
	s.pass(100 * time.Millisecond)
	if _, epoch := s.nodes[1].Leader(); epoch == 99 {
		t.Error("node 1 follows a leader whose power was cut")
	}
	dead.life = s.lives[0]
	dead.Send(1, m) // the same words of one that lives
	for range 100 {
		if _, epoch := s.nodes[1].Leader(); epoch >= 99 {
			return
		}
		s.pass(50 * time.Millisecond)
	}
	t.Error("node 1 does not hear a leader that lives: the test shows nothing")
}

// A node that stops gives the lead to another first, so that nobody waits for an election.
func TestALeaderThatResignsIsFollowed(t *testing.T) {
	s := underWay(t)
	old := s.awaitLeader()
	s.say("before")
	s.pass(500 * time.Millisecond) // the others are heard of
	done := make(chan error, 1)
	go func() { done <- old.Resign(context.Background()) }()
	for resigned := false; !resigned; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			resigned = true
		default:
			s.pass(100 * time.Millisecond)
		}
	}
	if s.awaitLeader() == old {
		t.Error("it leads still")
	}
}

// A log of another history is told apart also when its epochs are older than all that are known here: an answer that
// looked like "nothing new" once made a broker serve what its controllers did not know.
func TestALogOfUnknownEpochsDiverges(t *testing.T) {
	s := underWay(t)
	for done := false; !done; {
		s.pass(100 * time.Millisecond)
		s.say("x")
		done = s.nodes[0].LogEndOffset() > 3
	}
	n := s.nodes[0]
	for _, epoch := range []int32{0, 900} {
		c, err := n.Fetch(n.LogEndOffset(), epoch, 1000)
		if err != nil || !c.Diverges || c.DivergingEpoch < 0 || c.DivergingEnd < 0 {
			t.Errorf("epoch %d: %+v, %v", epoch, c, err)
		}
	}
}
