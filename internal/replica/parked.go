package replica

import (
	"runtime"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
)

// ParkedFetch is a fetch that waits for data. At any time it either hangs on its partitions
// (wait can be taken, once) or is being read by whoever has taken the wait.
type ParkedFetch struct {
	m        *Manager
	spec     FetchSpec
	deadline time.Time
	done     func()

	mu    sync.Mutex // held while the parts are read or hung on their partitions
	parts []FetchPart
	wait  *fetchWait
	timer clock.Timer // runs to the deadline
}

// park makes a fetch wait that has found got and not enough. It returns nil when done has been called.
func (m *Manager) park(spec FetchSpec, parts []FetchPart, got reading, done func()) *ParkedFetch {
	f := &ParkedFetch{m: m, spec: spec, parts: parts, done: done, deadline: m.clock.Now().Add(spec.MaxWait)}
	f.mu.Lock()
	f.timer = m.clock.AfterFunc(spec.MaxWait, f.expire)
	return f.settle(got)
}

// resume goes on with a fetch whose wait the caller has taken.
func (f *ParkedFetch) resume() {
	f.mu.Lock()
	f.settle(f.again())
}

// resumeAll goes on with fetches whose waits the caller has taken, beside the caller, who has other things
// to do: on a few goroutines, since a fresh one for each spends much of its time in growing its stack.
func (m *Manager) resumeAll(fetches []*ParkedFetch) {
	n := min(len(fetches), runtime.GOMAXPROCS(0))
	for i := range n {
		m.spawn(func() {
			for ; i < len(fetches); i += n {
				fetches[i].resume()
			}
		})
	}
}

// expire answers with what there is. If the wait is taken already, whoever has taken it will
// see that time is up, or has answered.
func (f *ParkedFetch) expire() {
	f.mu.Lock()
	if f.wait.take() == nil {
		f.mu.Unlock()
		return
	}
	f.settle(f.again())
}

// again reads the parts once more, and those that have become due. mu must be held.
func (f *ParkedFetch) again() reading {
	f.clear()
	if s := f.spec.Session; s != nil {
		if due := s.Take(); len(due) > 0 {
			f.parts = f.spec.More(due)
		}
	}
	return f.m.read(&f.spec, f.parts)
}

// settle answers when got is enough or time is up, and parks otherwise. It lets go of mu, and
// returns f when it has parked.
func (f *ParkedFetch) settle(got reading) *ParkedFetch {
	for {
		if got.enough(&f.spec) || !f.m.clock.Now().Before(f.deadline) {
			f.timer.Stop()
			f.m.handOut(&f.spec, f.parts)
			f.mu.Unlock()
			f.done()
			return nil
		}
		if f.hang(got.bytes) {
			f.mu.Unlock()
			return f
		}
		got = f.again()
	}
}

// hang throws away the bytes that were too few and hangs the fetch on its partitions.
// False means that there is something to read at once. mu must be held.
func (f *ParkedFetch) hang(bytes int64) bool {
	f.clear()
	w := &fetchWait{}
	w.missing.Store(f.spec.MinBytes - bytes)
	if f.spec.Isolation == ReadLogEnd {
		w.kind = logEndReader
	}
	w.fetch.Store(f)
	f.wait = w
	if s := f.spec.Session; s != nil {
		return s.hang(w) || w.take() == nil
	}
	for i := range f.parts {
		part := &f.parts[i]
		if part.partition == nil || part.partition.awaitData(&f.spec, w, part) {
			continue
		}
		// Who has taken the wait meanwhile is about to resume; otherwise go on here.
		return w.take() == nil
	}
	return true
}

// Cancel drops the fetch without an answer; false means that the answer is under way.
func (f *ParkedFetch) Cancel() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wait.take() == nil {
		return false
	}
	f.timer.Stop()
	if s := f.spec.Session; s != nil {
		s.putBack(f.parts)
	}
	return true
}

func (f *ParkedFetch) clear() {
	for i := range f.parts {
		f.parts[i].clear()
	}
}

// awaitData hangs w on the partition until there is more than the reading of f has seen; false means
// that there is already, or that the partition's role has changed.
func (p *Partition) awaitData(spec *FetchSpec, w *fetchWait, f *FetchPart) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.checkReader(spec, f.LeaderEpoch) != nil {
		return false
	}
	now := p.log.HighWatermark()
	if w.kind == logEndReader {
		now = p.log.LogEndOffset()
	}
	if now != f.end {
		return false
	}
	p.readers.add(w)
	return true
}
