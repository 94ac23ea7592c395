package quorum

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
)

// catchUp waits until this node has applied everything that was committed when it began to wait: what it finds on its
// own disk at a start may be far behind, and a broker that believed it would take its partitions for somebody else's.
type catchUp struct {
	n      uint64 // tells the questions of this node apart
	index  uint64 // to be applied; 0 until the leader has said
	asked  time.Time
	reply  chan struct{}
	answer bool
}

// CaughtUp returns when this node has applied everything that was committed when it was called.
func (n *Node) CaughtUp(ctx context.Context) error {
	c := &catchUp{reply: make(chan struct{})}
	if err := n.put(op{fn: func(l *loop) {
		l.questions++
		c.n = l.questions
		l.catching = append(l.catching, c)
	}}); err != nil {
		return err
	}
	select {
	case <-c.reply:
		return nil
	case <-n.done:
		if err := n.failure(); err != nil {
			return err
		}
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("this node has not heard from a majority of the controllers, or not got all metadata yet: %w", ctx.Err())
	}
}

// askIndex asks the leader how far the log is committed, again and again until it answers.
func (l *loop) askIndex(now time.Time) {
	left := l.catching[:0]
	for _, c := range l.catching {
		if c.answer && l.disk.applied.index >= c.index {
			close(c.reply)
			continue
		}
		left = append(left, c)
		if !c.answer && l.leaderID >= 0 && now.Sub(c.asked) >= l.raftTick() {
			c.asked = now
			l.raft.ReadIndex(binary.BigEndian.AppendUint64(nil, c.n))
		}
	}
	l.catching = left
}

// indexTold takes the leader's answers.
func (l *loop) indexTold(states []raft.ReadState) {
	for _, s := range states {
		if len(s.RequestCtx) != 8 {
			continue
		}
		for _, c := range l.catching {
			if c.n == binary.BigEndian.Uint64(s.RequestCtx) {
				c.index, c.answer = s.Index, true
			}
		}
	}
}

// CaughtUp returns when the copy has everything that was committed when a controller was first asked.
func (o *Observer) CaughtUp(ctx context.Context) error {
	select {
	case <-o.caughtUp:
		return nil
	case <-ctx.Done():
		err := ctx.Err()
		if last := o.lastErr.Load(); last != nil {
			err = *last
		}
		return fmt.Errorf("this node has not reached the active controller, or not got all metadata yet: %w", err)
	}
}
