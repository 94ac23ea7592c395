package replica

import (
	"container/heap"
	"sync/atomic"
)

// ackWait is one append that waits until the high watermark has reached offset.
type ackWait struct {
	offset int64
	fn     func(error)
	index  int // place in the heap; -1 when it is not in one
}

// ackHeap orders the waiting appends of a partition by the offset they wait for.
type ackHeap []*ackWait

func (h ackHeap) Len() int           { return len(h) }
func (h ackHeap) Less(i, j int) bool { return h[i].offset < h[j].offset }
func (h ackHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *ackHeap) Push(x any) {
	w := x.(*ackWait)
	w.index = len(*h)
	*h = append(*h, w)
}
func (h *ackHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.index = -1
	return w
}

// popReached takes out every wait that hw satisfies.
func (h *ackHeap) popReached(hw int64, into []*ackWait) []*ackWait {
	for len(*h) > 0 && (*h)[0].offset <= hw {
		into = append(into, heap.Pop(h).(*ackWait))
	}
	return into
}

// popAll empties the heap.
func (h *ackHeap) popAll() []*ackWait {
	all := []*ackWait(*h)
	for _, w := range all {
		w.index = -1
	}
	*h = nil
	return all
}

// remove takes w out if it is still in.
func (h *ackHeap) remove(w *ackWait) {
	if w.index >= 0 && w.index < len(*h) && (*h)[w.index] == w {
		heap.Remove(h, w.index)
	}
}

// fetchWait is one parked fetch. Each partition that it asks about holds a
// pointer to it; the first event that satisfies it takes it, and the other
// partitions drop their pointers when they next look.
type fetchWait struct {
	need int64 // bytes still missing; at or below zero the wait is over
	done atomic.Bool
	got  atomic.Int64
	wake func() // runs once, on a goroutine of its own
}

// add counts newly readable bytes; it reports whether the wait is over because of them.
func (w *fetchWait) add(bytes int64) bool {
	return w.got.Add(bytes) >= w.need
}

// take claims the right to wake; only the first caller gets it.
func (w *fetchWait) take() bool { return w.done.CompareAndSwap(false, true) }
