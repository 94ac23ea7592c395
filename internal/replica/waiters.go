package replica

import (
	"container/heap"
	"sync/atomic"
)

// ackWait is one append that waits until the high watermark has reached offset.
type ackWait struct {
	offset int64
	index  int // place in the heap of its partition; notWaiting when it is not in it
	owner  *produceWait
	slot   int // which of owner's open parts it is
}

// notWaiting is the index of a wait that hangs in no heap.
const notWaiting = -1

func (w *ackWait) settle(err error) { w.owner.decide(w.slot, err) }

// ackHeap orders the waiting appends of a partition by the offset they wait for.
type ackHeap []*ackWait

func (h ackHeap) Len() int           { return len(h) }
func (h ackHeap) Less(i, j int) bool { return h[i].offset < h[j].offset }
func (h ackHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for package heap.
func (h *ackHeap) Push(x any) {
	w := x.(*ackWait)
	w.index = len(*h)
	*h = append(*h, w)
}

// Pop is for package heap.
func (h *ackHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.index = notWaiting
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
		w.index = notWaiting
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

// readerKind says which end of the log a fetch waits for.
type readerKind int8

const (
	watermarkReader readerKind = iota // consumers: the high watermark
	logEndReader                      // replicas: the log's end
)

// fetchWait is one parked fetch while it waits. Each partition that it asks about points to
// it; the first event that satisfies it takes the fetch out, and the other partitions
// drop their pointers when they next look.
type fetchWait struct {
	kind    readerKind
	missing atomic.Int64 // bytes; at or below zero the wait is over
	fetch   atomic.Pointer[ParkedFetch]
}

// take claims the right to go on with the fetch; only the first caller gets it, the others nil.
func (w *fetchWait) take() *ParkedFetch {
	if w == nil { // the fetch has not come to wait
		return nil
	}
	return w.fetch.Swap(nil)
}

func (w *fetchWait) over() bool { return w.fetch.Load() == nil }

// minReadersToSweep is how many waits a partition may point to before it looks for those that
// are over: a poll of a quiet partition costs one pointer.
const minReadersToSweep = 16

// fetchList is the fetches that wait on a partition, among them some that are over.
type fetchList struct {
	waits   []*fetchWait
	sweepAt int // how many to have before sweeping again, so that sweeping is rare however many wait
}

func (l *fetchList) add(w *fetchWait) {
	if len(l.waits) >= max(l.sweepAt, minReadersToSweep) {
		l.keep(func(*fetchWait) bool { return true })
		l.sweepAt = 2 * len(l.waits)
	}
	l.waits = append(l.waits, w)
}

// keep drops what is over and what fn does not want.
func (l *fetchList) keep(fn func(*fetchWait) bool) {
	kept := l.waits[:0]
	for _, w := range l.waits {
		if !w.over() && fn(w) {
			kept = append(kept, w)
		}
	}
	clear(l.waits[len(kept):])
	l.waits = kept
}

// credit tells the waits of a kind that there are more bytes and adds those to into that are over now.
func (l *fetchList) credit(k readerKind, bytes int64, into []*ParkedFetch) []*ParkedFetch {
	if len(l.waits) == 0 {
		return into
	}
	l.keep(func(w *fetchWait) bool {
		if w.kind != k || w.missing.Add(-bytes) > 0 {
			return true
		}
		if f := w.take(); f != nil {
			into = append(into, f)
		}
		return false
	})
	return into
}

// wake ends all waits of a kind, whatever they miss.
func (l *fetchList) wake(k readerKind, into []*ParkedFetch) []*ParkedFetch {
	l.keep(func(w *fetchWait) bool {
		if w.kind != k {
			return true
		}
		if f := w.take(); f != nil {
			into = append(into, f)
		}
		return false
	})
	return into
}

// takeAll empties the list and returns the fetches that still waited.
func (l *fetchList) takeAll() (fetches []*ParkedFetch) {
	for _, w := range l.waits {
		if f := w.take(); f != nil {
			fetches = append(fetches, f)
		}
	}
	l.waits = nil
	return fetches
}

// waits is everybody who waited on a partition.
type waits struct {
	acks    []*ackWait
	fetches []*ParkedFetch
	lows    []*lowWait
}

func (p *Partition) takeWaitsLocked() waits {
	w := waits{p.acks.popAll(), p.tellWatchesLocked(0, true, p.readers.takeAll()), p.lows}
	p.lows = nil
	return w
}

// failWaits ends the wait of everybody: appends fail with err, fetches read again.
func (p *Partition) failWaits(err error) {
	p.mu.Lock()
	lost := p.takeWaitsLocked()
	p.mu.Unlock()
	lost.fail(p.m, err)
}

// fail is called without locks.
func (w waits) fail(m *Manager, err error) {
	for _, a := range w.acks {
		a.settle(err)
	}
	m.resumeAll(w.fetches)
	for _, l := range w.lows {
		l.end()
	}
}
