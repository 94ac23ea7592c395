package node

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// startOn is start on a file system that a test can let fail.
func startOn(t *testing.T, mem *vfs.Mem, hook *atomic.Pointer[func(vfs.Op) error], overrides ...string) *rig {
	t.Helper()
	r := &rig{t: t, fs: mem, net: netx.NewMem(clock.Real{})}
	o := r.options(overrides...)
	o.FS = vfs.NewFault(mem, func(op vfs.Op) error {
		if h := hook.Load(); h != nil {
			return (*h)(op)
		}
		return nil
	})
	n, err := Start(context.Background(), o)
	if err != nil {
		t.Fatalf("cannot start: %v", err)
	}
	r.node = n
	t.Cleanup(func() { _ = n.Stop() })
	return r
}

// eventually waits for something that other goroutines do.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 2000 {
		if is() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("in vain: " + what)
}

// A disk that dies takes its partitions with it, and the controller gives them up; those on the other disk go on.
func TestALogDirectoryFailsWhileTheNodeRuns(t *testing.T) {
	var hook atomic.Pointer[func(vfs.Op) error]
	r := startOn(t, vfs.NewMem(), &hook, "log.dirs=/x,/y", "moldau.log.dir.check.interval.ms=20", "broker.heartbeat.interval.ms=50")
	r.create("colours", 4)
	at := r.placed("colours")
	gone := vfs.Vanished("/y")
	hook.Store(&gone)
	leaderless := func() (n int) {
		for _, p := range r.node.broker.Image().Topic("colours").Partitions {
			if p.Leader < 0 {
				n++
			}
		}
		return n
	}
	inY := 0
	for _, d := range at {
		if d == r.node.directories["/y"] {
			inY++
		}
	}
	eventually(t, "the controller hears of the lost directory", func() bool { return inY > 0 && leaderless() == inY })
	c := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i, d := range at {
		if d == r.node.directories["/y"] {
			continue
		}
		rec := kgo.StringRecord("green")
		rec.Topic, rec.Partition = "colours", int32(i)
		if err := c.ProduceSync(context.Background(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if closed(r.node.failed) {
		t.Fatal(r.node.Err())
	}
	dirs, err := kadm.NewClient(c).DescribeAllLogDirs(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs[r.node.id] {
		if (d.Err != nil) != (d.Dir == "/y") {
			t.Fatal(d.Dir, d.Err)
		}
	}
}

func TestANodeEndsWithItsLastLogDirectory(t *testing.T) {
	var hook atomic.Pointer[func(vfs.Op) error]
	r := startOn(t, vfs.NewMem(), &hook, "moldau.log.dir.check.interval.ms=20")
	r.create("colours", 1)
	readOnly := vfs.ReadOnly("moldau-data")
	hook.Store(&readOnly)
	select {
	case <-r.node.Failed():
	case <-time.After(20 * time.Second):
		t.Fatal("the node goes on without a disk")
	}
	if msg := r.node.Err().Error(); !strings.Contains(msg, "moldau-data") {
		t.Fatal(msg)
	}
}

// A replica moves to another log directory while it is written to, and the controller learns where it lies.
func TestAReplicaMovesBetweenLogDirectories(t *testing.T) {
	mem := vfs.NewMem()
	r := start(t, mem, "log.dirs=/x,/y")
	r.create("colours", 1)
	from := r.placed("colours")[0]
	to := "/x"
	if from == r.node.directories["/x"] {
		to = "/y"
	}
	r.produce("colours", "red", "green")
	adm := kadm.NewClient(r.client())
	move := func(dir string) error {
		var req kadm.AlterReplicaLogDirsReq
		req.Add(dir, kadm.TopicsSet{"colours": {0: struct{}{}}})
		resp, err := adm.AlterBrokerReplicaLogDirs(context.Background(), r.node.id, req)
		if err == nil {
			resp.Each(func(p kadm.AlterReplicaLogDirsResponse) { err = p.Err })
		}
		return err
	}
	if err := move("/elsewhere"); err == nil || !strings.Contains(err.Error(), "LOG_DIR_NOT_FOUND") {
		t.Fatal(err)
	}
	if err := move(to); err != nil {
		t.Fatal(err)
	}
	r.produce("colours", "blue", "black")
	eventually(t, "the controller learns of the move", func() bool { return r.placed("colours")[0] == r.node.directories[to] })
	r.produce("colours", "white")
	if got := strings.Join(r.consume("colours", 5), " "); got != "red green blue black white" {
		t.Fatal(got)
	}
	if err := r.node.Stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, mem, "log.dirs=/x,/y")
	if got := strings.Join(r.consume("colours", 5), " "); got != "red green blue black white" {
		t.Fatal(got)
	}
	if log := r.node.logs.Logs()[0]; log.LogDir() != to && len(r.node.logs.Logs()) == 1 {
		t.Fatal(log.LogDir())
	}
}

// A move is asked for while the log is still being checked after a kill. It is answered, and begins when that is done.
func TestAReplicaMovesAfterItsRecovery(t *testing.T) {
	const dirs = "log.dirs=/x,/y"
	mem := vfs.NewMem()
	r := start(t, mem, dirs)
	r.create("colours", 1)
	from := r.placed("colours")[0]
	to := "/x"
	if from == r.node.directories["/x"] {
		to = "/y"
	}
	r.produce("colours", "red", "green")
	killed := mem.KillClone()
	_ = r.node.Stop()

	var hook atomic.Pointer[func(vfs.Op) error]
	goOn := make(chan struct{})
	hold := func(op vfs.Op) error {
		if op.Kind == vfs.OpRead && strings.Contains(op.Name, "/colours-0/") && strings.HasSuffix(op.Name, ".log") {
			<-goOn
		}
		return nil
	}
	hook.Store(&hold)
	r = startOn(t, killed, &hook, dirs)
	var req kadm.AlterReplicaLogDirsReq
	req.Add(to, kadm.TopicsSet{"colours": {0: struct{}{}}})
	resp, err := kadm.NewClient(r.client()).AlterBrokerReplicaLogDirs(context.Background(), r.node.id, req)
	if err == nil {
		resp.Each(func(p kadm.AlterReplicaLogDirsResponse) { err = p.Err })
	}
	close(goOn)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the controller learns of the move", func() bool { return r.placed("colours")[0] == r.node.directories[to] })
	if got := strings.Join(r.consume("colours", 2), " "); got != "red green" {
		t.Fatal(got)
	}
}
