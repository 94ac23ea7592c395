package obs

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// A histogram's buckets: up to 2^subBits each value has its own; above, each power of
// two is parted into 2^subBits equal buckets. So a quantile is wrong by at most 1/16 of itself.
const (
	subBits    = 4
	subBuckets = 1 << subBits
	// maxExponent bounds what is told apart: 2^36 microseconds are 19 hours.
	maxExponent = 36
	numBuckets  = (maxExponent - subBits + 1) * subBuckets
)

// windowAge is how long one window collects. Quantiles are over the present window and the one
// before it: a peak is seen for one to two minutes, whatever the scrape interval is.
const windowAge = time.Minute

// windowFull ends a window early, long before a bucket of 32 bits could run over.
const windowFull = 1 << 30

// Histogram tells how values are spread. Observe does not lock and, but for the first value of all,
// does not allocate. The zero value is ready.
type Histogram struct {
	count atomic.Int64
	data  atomic.Pointer[histogramData]
	turn  sync.Mutex // held while the windows change places
}

type histogramData struct {
	active  atomic.Uint32 // the window that collects
	began   time.Time     // when it began; under turn
	windows [2][numBuckets]atomic.Uint32
}

// Observe counts one value; a negative one counts as 0.
func (h *Histogram) Observe(v int64) {
	d := h.data.Load()
	if d == nil {
		d = h.allocate()
	}
	d.windows[d.active.Load()][bucketOf(v)].Add(1)
	if h.count.Add(1)%windowFull == 0 {
		h.rotate(d, time.Time{})
	}
}

// ObserveDuration counts a time, in microseconds.
func (h *Histogram) ObserveDuration(t time.Duration) { h.Observe(t.Microseconds()) }

// Count is how many values have been observed ever.
func (h *Histogram) Count() int64 { return h.count.Load() }

func (h *Histogram) allocate() *histogramData {
	h.data.CompareAndSwap(nil, new(histogramData))
	return h.data.Load()
}

// bucketOf is the index of the bucket of v.
func bucketOf(v int64) int {
	if v < subBuckets {
		return int(max(v, 0))
	}
	exponent := bits.Len64(uint64(v)) - 1
	if exponent >= maxExponent {
		return numBuckets - 1
	}
	sub := int(v>>(exponent-subBits)) - subBuckets
	return (exponent-subBits+1)*subBuckets + sub
}

// valueOf is the middle of a bucket.
func valueOf(bucket int) float64 {
	if bucket < subBuckets {
		return float64(bucket)
	}
	exponent := bucket/subBuckets - 1
	low := int64(subBuckets+bucket%subBuckets) << exponent
	return float64(low) + float64(int64(1)<<exponent-1)/2
}

// Quantiles are the values below which the given shares of the recent values lie; 0 where there are none.
func (h *Histogram) Quantiles(now time.Time, shares []float64, out []float64) {
	clear(out)
	d := h.data.Load()
	if d == nil {
		return
	}
	h.rotateIfOld(d, now)
	var sum [numBuckets]uint64
	var total uint64
	for i := range sum {
		sum[i] = uint64(d.windows[0][i].Load()) + uint64(d.windows[1][i].Load())
		total += sum[i]
	}
	if total == 0 {
		return
	}
	next, below := 0, uint64(0)
	for i := range sum { // shares grow, so one pass finds all
		below += sum[i]
		for next < len(shares) && float64(below) >= shares[next]*float64(total) {
			out[next] = valueOf(i)
			next++
		}
	}
}

// rotateIfOld begins a new window when the present one has collected for long enough.
func (h *Histogram) rotateIfOld(d *histogramData, now time.Time) {
	h.turn.Lock()
	age := now.Sub(d.began)
	fresh := d.began.IsZero()
	if fresh {
		d.began = now
	}
	h.turn.Unlock()
	switch {
	case fresh:
	case age >= 2*windowAge: // both windows are of the past
		h.rotate(d, now)
		h.rotate(d, now)
	case age >= windowAge:
		h.rotate(d, now)
	}
}

// rotate empties the older window and lets it collect. A value that is being counted meanwhile may
// land in either: no reader can tell.
func (h *Histogram) rotate(d *histogramData, now time.Time) {
	h.turn.Lock()
	defer h.turn.Unlock()
	older := 1 - d.active.Load()
	for i := range d.windows[older] {
		d.windows[older][i].Store(0)
	}
	d.active.Store(older)
	if !now.IsZero() {
		d.began = now
	}
}
