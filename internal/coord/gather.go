package coord

import (
	"sync"
	"sync/atomic"
)

// Gather joins answers that come from several shards into one.
type Gather struct {
	mu   sync.Mutex
	left int
	done func()
}

// NewGather calls done when Done has been called n times; at once if n is 0.
func NewGather(n int, done func()) *Gather {
	g := &Gather{left: n, done: done}
	if n == 0 {
		done()
	}
	return g
}

// Done runs fn, which may touch what all parts share, and counts one part as finished.
func (g *Gather) Done(fn func()) {
	if g.count(fn) {
		g.done()
	}
}

// count tells whether this part was the last. A part whose fn panics does not count: it will be refused.
func (g *Gather) count(fn func()) (last bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fn()
	g.left--
	return g.left == 0
}

// Latch is passed once. The zero value is open.
type Latch struct{ passed atomic.Bool }

// Pass tells whether the caller is the first.
func (l *Latch) Pass() bool { return !l.passed.Swap(true) }

// Counter counts over all shards of a coordinator. The zero value is ready.
type Counter struct{ n atomic.Int64 }

// Add adds n.
func (c *Counter) Add(n int) { c.n.Add(int64(n)) }

// Load is the count.
func (c *Counter) Load() int64 { return c.n.Load() }
