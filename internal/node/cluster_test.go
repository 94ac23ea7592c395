package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// crew is several nodes in one process, each on a host and a disk of its own.
type crew struct {
	t     *testing.T
	net   *netx.Mem
	disks map[int32]*vfs.Mem
	nodes map[int32]*Node
	opts  map[int32][]string // settings of each node
	ears  map[int32]*ear     // of nodes whose log is listened to
}

const crewCluster = "AAAAAAAAAAAAAAAAAAAAAw"

func newCrew(t *testing.T) *crew {
	c := &crew{t: t, net: netx.NewMem(clock.Real{}), disks: map[int32]*vfs.Mem{}, nodes: map[int32]*Node{}, opts: map[int32][]string{}}
	t.Cleanup(func() {
		for id := range c.nodes {
			c.stop(id)
		}
	})
	return c
}

// combined describes n nodes that are broker and controller in one.
func combined(t *testing.T, n int32) *crew {
	c := newCrew(t)
	voters := ""
	for id := int32(1); id <= n; id++ {
		if id > 1 {
			voters += ","
		}
		voters += fmt.Sprintf("%d@n%d:9093", id, id)
	}
	for id := int32(1); id <= n; id++ {
		c.opts[id] = []string{
			"process.roles=broker,controller", fmt.Sprintf("node.id=%d", id), "controller.quorum.voters=" + voters,
			fmt.Sprintf("listeners=PLAINTEXT://n%d:9092,CONTROLLER://n%d:9093", id, id), "controller.listener.names=CONTROLLER",
			"controller.quorum.election.timeout.ms=300",
		}
		c.disks[id] = vfs.NewMem()
	}
	return c
}

func (c *crew) options(id int32) Options {
	return Options{
		Settings: settings(c.t, c.opts[id]...), AutoFormat: true, ClusterID: crewCluster, FS: c.disks[id],
		Network: c.net.Host(fmt.Sprintf("n%d", id)), Clock: clock.Real{}, Logger: c.logger(id), Version: "test", BootID: "boot",
	}
}

// logger is silent unless the test is run with MOLDAU_TEST_LOG set.
func (c *crew) logger(id int32) *slog.Logger {
	if e := c.ears[id]; e != nil {
		return slog.New(slog.NewTextHandler(e, nil))
	}
	if os.Getenv("MOLDAU_TEST_LOG") == "" {
		return obs.Discard()
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", id)
}

// ear waits for words in a log.
type ear struct {
	words string
	heard atomic.Bool
}

func (e *ear) Write(line []byte) (int, error) {
	if strings.Contains(string(line), e.words) {
		e.heard.Store(true)
	}
	return len(line), nil
}

// startAll starts all nodes at once: none is ready before a majority is there.
func (c *crew) startAll(ids ...int32) {
	c.t.Helper()
	if len(ids) == 0 {
		for id := range c.opts {
			ids = append(ids, id)
		}
	}
	type outcome struct {
		id  int32
		n   *Node
		err error
	}
	done := make(chan outcome, len(ids))
	for _, id := range ids {
		o := c.options(id)
		go func() {
			n, err := Start(context.Background(), o)
			done <- outcome{id, n, err}
		}()
	}
	for range ids {
		o := <-done
		if o.err != nil {
			c.t.Errorf("node %d cannot start: %v", o.id, o.err)
			continue
		}
		c.nodes[o.id] = o.n
	}
	if c.t.Failed() {
		c.t.FailNow()
	}
}

func (c *crew) stop(id int32) {
	if n := c.nodes[id]; n != nil {
		delete(c.nodes, id)
		if err := n.Stop(); err != nil {
			c.t.Logf("node %d: %v", id, err)
		}
	}
}

func (c *crew) until(what string, cond func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if cond() {
			return
		}
	}
	c.t.Fatal("never came: " + what)
}

func (c *crew) client(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	cl, err := kgo.NewClient(c.clientOpts(opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	return cl
}

// clientOpts are options of a client of the cluster, and more.
func (c *crew) clientOpts(opts ...kgo.Opt) []kgo.Opt {
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		return c.net.Host("client").Dial(ctx, address)
	}
	var seeds []string
	for id := range c.opts {
		if id < 100 {
			seeds = append(seeds, fmt.Sprintf("n%d:9092", id))
		}
	}
	return append([]kgo.Opt{kgo.SeedBrokers(seeds...), kgo.Dialer(dial), kgo.RetryTimeout(20 * time.Second)}, opts...)
}

func (c *crew) create(topic string, partitions int32, rf int16) {
	c.t.Helper()
	resp, err := kadm.NewClient(c.client()).CreateTopic(context.Background(), partitions, rf, nil, topic)
	if err != nil || resp.Err != nil {
		c.t.Fatalf("cannot create %s: %v %v", topic, err, resp.Err)
	}
}

func (c *crew) image(id int32) *meta.Image { return c.nodes[id].metadata.Image() }

// activeController is who leads, as every running node sees it; -1 while they disagree.
func (c *crew) activeController() int32 {
	out := int32(-1)
	for _, n := range c.nodes {
		id, _ := n.cluster.leader.Leader()
		if out >= 0 && id != out || id < 0 {
			return -1
		}
		out = id
	}
	return out
}

func (c *crew) know(topic string) func() bool {
	return func() bool {
		for _, n := range c.nodes {
			if n.metadata.Image().Topic(topic) == nil {
				return false
			}
		}
		return true
	}
}

func TestThreeNodesFormACluster(t *testing.T) {
	c := combined(t, 3)
	c.startAll()
	c.until("one active controller", func() bool { return c.activeController() > 0 })
	c.create("colours", 3, 3)
	c.until("everybody to know the topic", c.know("colours"))
	for id := range c.nodes {
		if got := len(c.image(id).Brokers()); got != 3 {
			t.Errorf("node %d knows %d brokers", id, got)
		}
	}

	// The active controller stops in order; another leads, and changes go on.
	old := c.activeController()
	c.stop(old)
	c.until("another controller", func() bool { a := c.activeController(); return a > 0 && a != old })
	c.create("shapes", 1, 2)
	c.until("everybody to know the next topic", c.know("shapes"))
	c.startAll(old)
	c.until("the node that was away to know it", c.know("shapes"))
}

// kill ends a node as kill -9 does: nothing is said to anybody, and what it wrote stays written.
func (c *crew) kill(id int32) { c.end(id, (*vfs.Mem).KillClone) }

// powerCut is kill, and what was not synced is lost.
func (c *crew) powerCut(id int32) { c.end(id, (*vfs.Mem).CrashClone) }

func (c *crew) end(id int32, clone func(*vfs.Mem) *vfs.Mem) {
	n := c.nodes[id]
	delete(c.nodes, id)
	c.net.Crash(fmt.Sprintf("n%d", id), true) // first, so that nothing is promised that the clone of the disk has not
	c.disks[id] = clone(c.disks[id])
	n.Kill()
}

func TestTheActiveControllerIsKilled(t *testing.T) {
	c := combined(t, 3)
	c.startAll()
	c.until("one active controller", func() bool { return c.activeController() > 0 })
	c.create("before", 1, 3)
	for round := range 3 {
		old := c.activeController()
		if round == 1 {
			c.powerCut(old)
		} else {
			c.kill(old)
		}
		c.until("another controller", func() bool { a := c.activeController(); return a > 0 && a != old })
		name := fmt.Sprintf("after-%d", round)
		c.create(name, 1, 2)
		c.until("the dead broker to be fenced", func() bool {
			for id := range c.nodes {
				if b := c.image(id).Broker(old); b == nil || !b.Fenced {
					return false
				}
			}
			return true
		})
		c.startAll(old)
		c.until("everybody to know "+name, c.know(name))
		c.until("the broker to serve again", func() bool { b := c.image(old).Broker(old); return b != nil && !b.Fenced })
	}
	if !c.know("before")() {
		t.Error("the first topic was lost")
	}
	c.sameImages()
}

// sameImages waits until all nodes have read the same, and compares.
func (c *crew) sameImages() {
	c.t.Helper()
	encode := func(img *meta.Image) (out []byte) {
		for r := range img.Records() {
			out = meta.Append(out, r)
		}
		return out
	}
	c.until("equal offsets", func() bool {
		at := int64(-1)
		for id := range c.nodes {
			if at >= 0 && c.image(id).Offset() != at {
				return false
			}
			at = c.image(id).Offset()
		}
		return true
	})
	byOffset := map[int64][]byte{}
	for id := range c.nodes {
		img := c.image(id)
		b := encode(img)
		if other, ok := byOffset[img.Offset()]; ok && string(other) != string(b) {
			c.t.Errorf("node %d has another image at offset %d", id, img.Offset())
		}
		byOffset[img.Offset()] = b
	}
}

func TestTheActiveControllerIsCutOff(t *testing.T) {
	c := combined(t, 3)
	c.startAll()
	c.until("one active controller", func() bool { return c.activeController() > 0 })
	old := c.activeController()
	host := fmt.Sprintf("n%d", old)
	for id := range c.nodes {
		if id != old {
			c.net.Partition(host, fmt.Sprintf("n%d", id))
		}
	}
	c.until("the others to have a controller of their own", func() bool {
		for id, n := range c.nodes {
			if a, _ := n.cluster.leader.Leader(); id != old && (a < 0 || a == old) {
				return false
			}
		}
		return true
	})
	c.until("a change without the one that is cut off", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		resp, err := kadm.NewClient(c.client(kgo.SeedBrokers(fmt.Sprintf("n%d:9092", old%3+1)))).CreateTopic(ctx, 1, 1, nil, "colours")
		return err == nil && (resp.Err == nil || errors.Is(resp.Err, kerr.TopicAlreadyExists))
	})
	if c.image(old).Topic("colours") != nil {
		t.Error("what was cut off knows what it cannot know")
	}
	for id := range c.nodes {
		if id != old {
			c.net.Heal(host, fmt.Sprintf("n%d", id))
		}
	}
	c.until("everybody to know the topic", c.know("colours"))
	c.until("one active controller", func() bool { return c.activeController() > 0 })
	c.sameImages()
}

// apart describes three controllers and brokers that are only that.
func apart(t *testing.T, brokers int32) *crew {
	c := newCrew(t)
	voters := "101@n101:9093,102@n102:9093,103@n103:9093"
	for id := int32(101); id <= 103; id++ {
		c.opts[id] = []string{
			"process.roles=controller", fmt.Sprintf("node.id=%d", id), "controller.quorum.voters=" + voters,
			fmt.Sprintf("listeners=CONTROLLER://n%d:9093", id), "controller.listener.names=CONTROLLER",
			"controller.quorum.election.timeout.ms=300",
		}
	}
	for id := int32(1); id <= brokers; id++ {
		c.opts[id] = []string{
			"process.roles=broker", fmt.Sprintf("node.id=%d", id), "controller.quorum.voters=" + voters,
			fmt.Sprintf("listeners=PLAINTEXT://n%d:9092", id), "controller.listener.names=CONTROLLER",
			"controller.quorum.election.timeout.ms=300", "controller.quorum.fetch.timeout.ms=500",
		}
	}
	for id := range c.opts {
		c.disks[id] = vfs.NewMem()
	}
	return c
}

func TestBrokersFollowControllersThatAreApart(t *testing.T) {
	c := apart(t, 2)
	c.startAll()
	c.create("colours", 2, 2)
	c.until("everybody to know the topic", c.know("colours"))
	old := c.activeController()
	c.kill(old)
	c.until("another controller", func() bool { a := c.activeController(); return a > 0 && a != old })
	c.create("shapes", 2, 2)
	c.until("everybody to know the next topic", c.know("shapes"))
	c.sameImages()
	c.kill(1)
	c.until("the dead broker to be fenced", func() bool { return c.image(2).Broker(1).Fenced })
	c.startAll(1, old)
	c.until("it to serve again", func() bool { return !c.image(2).Broker(1).Fenced })
	c.until("all to know everything", c.know("shapes"))
	state, _, err := controllerLink{c.nodes[2]}.DescribeQuorum(context.Background())
	if err != nil || len(state.CurrentVoters) != 3 || len(state.Observers) != 2 {
		t.Fatalf("%v %+v", err, state)
	}
	c.sameImages()
}
