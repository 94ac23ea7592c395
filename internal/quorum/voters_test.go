package quorum

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wires joins several nodes in one process. A node that is cut off neither sends nor receives.
type wires struct {
	mu    sync.Mutex
	nodes map[int32]*Node
	cut   map[int32]bool
	snaps int // snapshots that were sent
}

type wire struct {
	w    *wires
	from int32
}

func (x wire) Send(to int32, m Message) {
	x.w.mu.Lock()
	n := x.w.nodes[to]
	lost := n == nil || x.w.cut[to] || x.w.cut[x.from]
	x.w.mu.Unlock()
	if !lost {
		_ = n.Step(m.Data) // a node that ends loses messages, as any
	}
	if m.Snapshot {
		x.w.mu.Lock()
		from := x.w.nodes[x.from]
		x.w.snaps++
		x.w.mu.Unlock()
		if from != nil {
			go from.ReportSnapshot(to, !lost)
		}
	}
}

// trio is three voters over memory, on one fake clock.
type trio struct {
	t     *testing.T
	clock *clock.Fake
	wires *wires
	disks map[int32]*vfs.Mem
	ids   chance
}

func newTrio(t *testing.T) *trio {
	x := &trio{t: t, clock: clock.NewFake(time.Unix(1_700_000_000, 0)), wires: &wires{nodes: map[int32]*Node{}, cut: map[int32]bool{}}, disks: map[int32]*vfs.Mem{}, ids: newChance()}
	for id := int32(0); id < 3; id++ { // node id 0 is a legal one
		x.disks[id] = vfs.NewMem()
		mustMkdir(t, x.disks[id])
		x.start(id)
	}
	t.Cleanup(func() {
		for id := range x.disks {
			x.stop(id)
		}
	})
	return x
}

func (x *trio) start(id int32) {
	x.t.Helper()
	n, err := Start(Config{
		FS: x.disks[id], Dir: testDir, NodeID: id, Voters: []int32{0, 1, 2}, Clock: x.clock, Transport: wire{x.wires, id},
		Controller:    controller.Config{ClusterID: "C", Random: x.ids},
		SnapshotBytes: 3000,
	})
	if err != nil {
		x.t.Fatal(err)
	}
	x.wires.mu.Lock()
	x.wires.nodes[id] = n
	x.wires.mu.Unlock()
}

func (x *trio) stop(id int32) {
	x.wires.mu.Lock()
	n := x.wires.nodes[id]
	delete(x.wires.nodes, id)
	x.wires.mu.Unlock()
	if n != nil {
		closeNode(x.t, n)
	}
}

func (x *trio) cut(id int32, off bool) {
	x.wires.mu.Lock()
	defer x.wires.mu.Unlock()
	x.wires.cut[id] = off
}

// until lets time pass until a condition holds.
func (x *trio) until(what string, cond func() bool) {
	x.t.Helper()
	for range 5000 {
		if cond() {
			return
		}
		x.clock.Advance(100 * time.Millisecond)
		time.Sleep(time.Millisecond) // the nodes' goroutines get a turn
	}
	x.t.Fatal("never came: " + what)
}

// create asks every node in turn, as a client does that looks for the leader.
func (x *trio) create(name string) {
	x.t.Helper()
	x.until("topic "+name, func() bool {
		x.wires.mu.Lock()
		nodes := make([]*Node, 0, 3)
		for id, n := range x.wires.nodes {
			if !x.wires.cut[id] {
				nodes = append(nodes, n)
			}
		}
		x.wires.mu.Unlock()
		for _, n := range nodes {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			resp, err := n.Call(ctx, RequestContext{}, groupConfig(name))
			cancel()
			if err == nil {
				return resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode == 0
			}
			var not *NotLeaderError
			if !errors.As(err, &not) && !errors.Is(err, context.DeadlineExceeded) {
				x.t.Fatal(err)
			}
		}
		return false
	})
}

// groupConfig is a change that needs no broker.
func groupConfig(name string) kmsg.Request {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, name
	kv := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	value := name
	kv.Name, kv.Value = "k", &value
	r.Configs = append(r.Configs, kv)
	req.Resources = append(req.Resources, r)
	return req
}

func (x *trio) node(id int32) *Node {
	x.wires.mu.Lock()
	defer x.wires.mu.Unlock()
	return x.wires.nodes[id]
}

func (x *trio) has(id int32, name string) bool {
	return x.node(id).Image().Config(meta.ResourceGroup, name) != nil
}

func (x *trio) leader() int32 {
	for id := int32(0); id < 3; id++ {
		if n := x.node(id); n != nil {
			x.wires.mu.Lock()
			off := x.wires.cut[id]
			x.wires.mu.Unlock()
			if l, _ := n.Leader(); l == id && !off {
				return id
			}
		}
	}
	return -1
}

func TestThreeVotersKeepOneHistory(t *testing.T) {
	x := newTrio(t)
	x.until("a leader", func() bool { return x.leader() >= 0 })
	for i := range 5 {
		x.create(fmt.Sprint("first", i))
	}
	// The leader is cut off: another takes over, and the old one learns what it missed.
	old := x.leader()
	x.cut(old, true)
	x.until("another leader", func() bool { l := x.leader(); return l >= 0 && l != old })
	x.create("without-the-old")
	x.cut(old, false)
	x.until("the old leader to follow", func() bool { return x.has(old, "without-the-old") })

	// A voter is away for so long that only a snapshot can bring it back.
	away := (x.leader() + 1) % 3
	x.stop(away)
	for i := range 80 {
		x.create(fmt.Sprintf("while-away-%02d", i))
	}
	x.start(away)
	x.until("the voter to come back", func() bool { return x.has(away, "while-away-79") })
	x.wires.mu.Lock()
	if x.wires.snaps == 0 {
		t.Error("no snapshot was sent")
	}
	x.wires.mu.Unlock()
	x.create("last")
	x.until("all to agree", func() bool { return x.has(0, "last") && x.has(1, "last") && x.has(2, "last") })
	want := encodeImage(x.node(0).Image())
	for id := int32(1); id < 3; id++ {
		if !slices.Equal(encodeImage(x.node(id).Image()), want) {
			t.Errorf("node %d has another image than node 0", id)
		}
	}
	// All go down and come up again.
	for id := int32(0); id < 3; id++ {
		x.stop(id)
	}
	for id := int32(0); id < 3; id++ {
		x.start(id)
	}
	x.create("after-all")
	x.until("all to be there", func() bool { return x.has(0, "after-all") && x.has(1, "after-all") && x.has(2, "after-all") })
	if !x.has(0, "while-away-00") || !x.has(1, "first0") {
		t.Error("something was lost when all restarted")
	}
}

// A voter that lost power while it took over the leader's snapshot once refused to start: the log was ahead of Raft's.
func TestASnapshotTakenOverByHalf(t *testing.T) {
	x := newTrio(t)
	x.until("a leader", func() bool { return x.leader() >= 0 })
	x.create("first")
	away := (x.leader() + 1) % 3
	x.until("all to have it", func() bool { return x.has(away, "first") })
	x.stop(away)
	for i := range 80 {
		x.create(fmt.Sprintf("while-away-%02d", i))
	}
	leader := x.leader()
	x.until("a snapshot", func() bool {
		ids, err := listSnapshots(x.disks[leader], testDir+"/"+logDirName)
		return err == nil && len(ids) > 0
	})
	ids, err := listSnapshots(x.disks[leader], testDir+"/"+logDirName)
	if err != nil {
		t.Fatal(err)
	}
	id := ids[len(ids)-1]
	data, err := vfs.ReadFile(x.disks[leader], testDir+"/"+logDirName+"/"+id.name())
	if err != nil {
		t.Fatal(err)
	}
	// The first of the three steps of the installation was made, and not the others.
	if err := writeSnapshotFile(x.disks[away], testDir+"/"+logDirName, id, data); err != nil {
		t.Fatal(err)
	}
	x.start(away)
	x.until("the voter to come back", func() bool { return x.has(away, "while-away-79") && x.has(away, "first") })
}
