package replica

import (
	"container/heap"
	"time"
)

// pauses are the partitions of a fetcher that wait after a failure of their own, by the end of their pauses. A leader that comes back
// with a hundred thousand logs refuses most of them for a while: what is done for one pause must not grow with their number.
type pauses []pausing

// pausing is void when its partition does not wait any more, or for another time.
type pausing struct {
	d   *followed
	due time.Time
}

func (p pauses) Len() int           { return len(p) }
func (p pauses) Less(i, j int) bool { return p[i].due.Before(p[j].due) }
func (p pauses) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }

// Push is for package heap.
func (p *pauses) Push(x any) { *p = append(*p, x.(pausing)) }

// Pop is for package heap.
func (p *pauses) Pop() any {
	old := *p
	last := old[len(old)-1]
	old[len(old)-1] = pausing{}
	*p = old[:len(old)-1]
	return last
}

// pausesEndTogether is into how many parts a pause is divided: those that end in the same part end together, with one request.
const pausesEndTogether = 4

// pauseLocked has d wait after a failure of its own.
func (f *fetcher) pauseLocked(d *followed, pause time.Duration) {
	f.leaveSessionLocked(d)
	part := max(pause/pausesEndTogether, time.Millisecond)
	end := f.m.clock.Now().Sub(f.began) + pause
	d.state, d.due = waiting, f.began.Add(end-end%part+part)
	heap.Push(&f.paused, pausing{d, d.due})
	f.armLocked()
}

// armLocked sets the timer for the first of the paused.
func (f *fetcher) armLocked() {
	if len(f.paused) == 0 || f.stopped {
		return
	}
	first := f.paused[0].due
	if !f.wakeAt.IsZero() && !first.Before(f.wakeAt) {
		return
	}
	if f.wake != nil {
		f.wake.Stop()
	}
	f.wakeAt = first
	f.wake = f.m.clock.AfterFunc(max(first.Sub(f.m.clock.Now()), 0), f.endPauses)
}

// endPauses asks again for those whose pause is over.
func (f *fetcher) endPauses() {
	f.mu.Lock()
	now := f.m.clock.Now()
	f.wakeAt = time.Time{}
	for len(f.paused) > 0 && !f.paused[0].due.After(now) {
		over := heap.Pop(&f.paused).(pausing)
		if d := over.d; f.isMine(d) && d.state == waiting && d.due.Equal(over.due) {
			f.readyLocked(d)
		}
	}
	f.armLocked()
	f.mu.Unlock()
	f.send()
	if f.side != nil {
		f.side.send()
	}
}
