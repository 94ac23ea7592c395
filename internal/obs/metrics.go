package obs

import (
	"math"
	"sync/atomic"
)

// Counter only grows. The zero value is ready.
type Counter struct{ n atomic.Int64 }

// Inc adds one.
func (c *Counter) Inc() { c.n.Add(1) }

// Add adds n, which is not negative.
func (c *Counter) Add(n int64) { c.n.Add(n) }

// Value is the count so far.
func (c *Counter) Value() int64 { return c.n.Load() }

// Gauge goes up and down. The zero value is ready and stands at 0.
type Gauge struct{ bits atomic.Uint64 }

// Set makes the gauge v.
func (g *Gauge) Set(v float64) { g.bits.Store(math.Float64bits(v)) }

// Add adds d, which may be negative.
func (g *Gauge) Add(d float64) {
	for {
		old := g.bits.Load()
		if g.bits.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+d)) {
			return
		}
	}
}

// Value is where the gauge stands.
func (g *Gauge) Value() float64 { return math.Float64frombits(g.bits.Load()) }
