package coord

import "container/heap"

// timerQueue holds a shard's timers. Most of them are session time-outs that every
// heartbeat moves further away and that almost never fire, so moving one later only
// notes the new deadline; its place in the heap is put right when it comes up.
type timerQueue struct {
	byKey map[TimerKey]*timerEntry
	order timerHeap
}

type timerEntry struct {
	key        TimerKey
	deadlineMs int64 // when it is due
	heapMs     int64 // what the heap orders by; never later than deadlineMs
	index      int
}

func (q *timerQueue) set(key TimerKey, atMs int64) {
	if e := q.byKey[key]; e != nil {
		e.deadlineMs = atMs
		if atMs < e.heapMs {
			e.heapMs = atMs
			heap.Fix(&q.order, e.index)
		}
		return
	}
	if q.byKey == nil {
		q.byKey = map[TimerKey]*timerEntry{}
	}
	e := &timerEntry{key: key, deadlineMs: atMs, heapMs: atMs}
	q.byKey[key] = e
	heap.Push(&q.order, e)
}

func (q *timerQueue) stop(key TimerKey) {
	if e := q.byKey[key]; e != nil {
		heap.Remove(&q.order, e.index)
		delete(q.byKey, key)
	}
}

// pop removes and returns a timer that is due at nowMs.
func (q *timerQueue) pop(nowMs int64) (TimerKey, bool) {
	for len(q.order) > 0 && q.order[0].heapMs <= nowMs {
		e := q.order[0]
		if e.deadlineMs > nowMs {
			e.heapMs = e.deadlineMs
			heap.Fix(&q.order, 0)
			continue
		}
		heap.Pop(&q.order)
		delete(q.byKey, e.key)
		return e.key, true
	}
	return TimerKey{}, false
}

// next is when pop should be asked again; it may be too early, never too late.
func (q *timerQueue) next() (int64, bool) {
	if len(q.order) == 0 {
		return 0, false
	}
	return q.order[0].heapMs, true
}

type timerHeap []*timerEntry

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].heapMs < h[j].heapMs }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	e := x.(*timerEntry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *timerHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
