package quorum

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// ErrClosed says that the node was closed. A request in flight may have been carried out or not.
var ErrClosed = errors.New("the controller is closed")

// ErrBusy says that too many requests wait already.
var ErrBusy = errors.New("the controller has too many requests waiting")

// ErrUnknownRequest says that the controller does not serve the kind of request.
var ErrUnknownRequest = errors.New("the controller does not serve this request")

// NotLeaderError says that another node leads, or none. A request in flight may have been carried out or not.
type NotLeaderError struct{ LeaderID int32 } // -1 when it is not known

func (e *NotLeaderError) Error() string {
	if e.LeaderID < 0 {
		return "this controller does not lead, and who does is not known"
	}
	return fmt.Sprintf("this controller does not lead; controller %d does", e.LeaderID)
}

// RequestContext is who asks. The request was authorized before it comes here.
type RequestContext struct {
	Principal string
	ClientID  string
	Local     bool // this process asks for itself
	Try       controller.Try
}

// Node is one controller of the quorum.
type Node struct {
	cfg  Config
	loop *loop
	pub  *publisher

	image  atomic.Pointer[meta.Image] // published last
	leader atomic.Int64               // leader's node id and epoch, see packLeader
	log    Log

	mu     sync.Mutex
	ops    []op
	closed bool  // nothing is taken any more
	fatal  error // why the loop ended by itself

	wake  chan struct{}
	done  chan struct{} // closed when the loop has ended
	ready chan struct{} // closed when the node has led and published once

	members   atomic.Pointer[Members] // as of the newest committed entry
	committed watermark
	observers observers
	senders   sync.Map // of other controllers' nodes, the directories that they say they have: int32 to meta.UUID
}

// op is one thing for the loop to do.
type op struct {
	rc    RequestContext
	req   kmsg.Request
	reply func(kmsg.Response, error)
	msg   *raftpb.Message
	fn    func(*loop)
}

// Start loads the metadata and takes part in the quorum. A single voter leads when Start returns, and what format
// left for it is in its image.
func Start(cfg Config) (*Node, error) {
	if err := cfg.withDefaults(); err != nil {
		return nil, err
	}
	if cfg.Bootstrap == nil {
		cfg.Bootstrap = meta.BootstrapRecords()
	}
	formatted, damaged := ReadBootstrap(cfg.FS, cfg.Dir)
	if formatted != nil {
		cfg.Bootstrap = formatted
	}
	d, err := load(&cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot start the quorum: %w", errors.Join(err, damaged))
	}
	if err := passBootstrap(&cfg, d, damaged); err != nil {
		return nil, errors.Join(err, d.close())
	}
	n := &Node{cfg: cfg, wake: make(chan struct{}, 1), done: make(chan struct{}), ready: make(chan struct{}), log: d.log}
	n.image.Store(d.replay.Image())
	n.leader.Store(packLeader(-1, int32(d.hard.term)))
	n.committed.advance(d.log.EndOffset())
	n.pub = newPublisher(d.replay.Image())
	if n.loop, err = newLoop(n, d); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start the quorum: %w", err), d.close())
	}
	alone := onlyMember(d.conf, n.loop.ownID) // looked at before the loop may change it
	go n.pub.run()
	go n.run()
	if alone {
		select {
		case <-n.ready:
		case <-n.done:
			return nil, fmt.Errorf("cannot start the quorum: %w", errors.Join(n.failure(), n.Close()))
		}
	}
	return n, nil
}

// Submit hands a request to the controller. reply is called once, on the publisher's goroutine and after the change
// was committed and the subscribers have seen it; it must not block.
func (n *Node) Submit(rc RequestContext, req kmsg.Request, reply func(kmsg.Response, error)) {
	if !controller.Serves(req) {
		reply(nil, fmt.Errorf("%w: %s", ErrUnknownRequest, kmsg.NameForKey(req.Key())))
		return
	}
	if err := n.put(op{rc: rc, req: req, reply: reply}); err != nil {
		reply(nil, err)
	}
}

// Call is Submit for callers who wait. When ctx ends first, the request may still be carried out.
// A subscriber must not call it: it would wait for itself.
func (n *Node) Call(ctx context.Context, rc RequestContext, req kmsg.Request) (kmsg.Response, error) {
	type result struct {
		resp kmsg.Response
		err  error
	}
	done := make(chan result, 1)
	n.Submit(rc, req, func(resp kmsg.Response, err error) { done <- result{resp, err} })
	select {
	case r := <-done:
		return r.resp, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("the controller has not answered: %w", ctx.Err())
	}
}

// Subscribe calls fn with the present image (its delta is everything), and then with each step, in order, on one
// goroutine. It returns after the first call. fn must not wait for Call.
func (n *Node) Subscribe(fn func(*meta.Image, *meta.Delta)) {
	n.pub.subscribe(fn)
}

// Image is the newest image that was published.
func (n *Node) Image() *meta.Image { return n.image.Load() }

// Leader is who leads, -1 when that is not known, and the leader epoch.
func (n *Node) Leader() (id, epoch int32) { return unpackLeader(n.leader.Load()) }

// LogEndOffset is the offset after the last committed record.
func (n *Node) LogEndOffset() int64 { return n.log.EndOffset() }

// ReportUnreachable says that a message to a member could not be sent.
func (n *Node) ReportUnreachable(node int32) {
	_ = n.put(op{fn: func(l *loop) {
		if id, ok := l.member(node); ok {
			l.raft.ReportUnreachable(id)
		}
	}}) // a closed node does not care
}

// ReportSnapshot says whether a snapshot message has reached a voter.
func (n *Node) ReportSnapshot(node int32, ok bool) {
	status := raft.SnapshotFinish
	if !ok {
		status = raft.SnapshotFailure
	}
	_ = n.put(op{fn: func(l *loop) {
		if id, ok := l.member(node); ok {
			l.raft.ReportSnapshot(id, status)
		}
	}})
}

// Close ends the node: requests that wait get ErrClosed, the logs are synced and closed.
func (n *Node) Close() error {
	n.committed.close()
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	signal(n.wake)
	<-n.done
	n.pub.close()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.loop.closeErr
}

func (n *Node) put(o op) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.fatal != nil:
		return n.fatal
	case n.closed:
		return ErrClosed
	case len(n.ops) >= maxWaitingRequests:
		return ErrBusy
	}
	n.ops = append(n.ops, o)
	signal(n.wake)
	return nil
}

// take empties the mailbox.
func (n *Node) take() (ops []op, closed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ops, n.ops = n.ops, nil
	return ops, n.closed
}

func (n *Node) failure() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fatal
}

// run is the loop's goroutine.
func (n *Node) run() {
	defer close(n.done)
	err := n.loop.guarded()
	n.mu.Lock()
	if err != nil {
		n.fatal = err
	}
	n.closed = true
	left := append(n.loop.inHand, n.ops...)
	n.ops = nil
	n.mu.Unlock()
	why := ErrClosed
	if err != nil {
		why = err
		n.cfg.Logger.Error("the controller ends: it cannot go on", "error", err)
	}
	for _, o := range left {
		n.refuse(o, why)
	}
	n.loop.failAll(why)
	n.loop.stop()
	if err != nil && n.cfg.OnFatal != nil {
		n.cfg.OnFatal(err)
	}
}

func (n *Node) refuse(o op, err error) {
	if o.reply == nil {
		return
	}
	reply := o.reply
	if !n.pub.put(publication{replies: []func(){func() { reply(nil, err) }}}) {
		reply(nil, err)
	}
}

func packLeader(id, epoch int32) int64 { return int64(id)<<32 | int64(uint32(epoch)) }

func unpackLeader(v int64) (id, epoch int32) { return int32(v >> 32), int32(uint32(v)) }

// timer wakes the loop at a time.
type timer struct {
	clock clock.Clock
	t     clock.Timer
	wake  chan struct{}
}

func (t *timer) arm(d time.Duration) {
	if d <= 0 {
		signal(t.wake)
		return
	}
	if t.t == nil {
		t.t = t.clock.AfterFunc(d, func() { signal(t.wake) })
		return
	}
	t.t.Reset(d)
}

func (t *timer) stop() {
	if t.t != nil {
		t.t.Stop()
	}
}
