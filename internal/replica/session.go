package replica

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A follower asks for thousands of partitions twice a second, of which few have anything new for it. So its leader keeps a Session
// (KIP-227), whose watches hang on the partitions: what happens to a partition makes its watch due, and a fetch looks at those that
// are due alone.
//
//	due ── taken by a fetch ──> taken ── nothing left to tell ──> quiet ── something has happened ──> due
//	                             └─────── there is more, or an error ─────────────────────────────────^
//
// What must be told again and again, such as an error, or asked for again, such as a replica that would like to be in sync, stays due.

// Session is what a follower's fetches within one session have in common.
type Session struct {
	mu     sync.Mutex // taken last, with that of a partition held
	all    []*Watch   // and some that are forgotten
	gone   int        // how many of all are forgotten
	due    []*Watch   // who was given least lately comes first
	quiet  int
	epoch  int64      // of the follower's registration
	moved  bool       // something that a parked fetch would wake for has happened since the last look
	wait   *fetchWait // of the fetch that has parked last
	closed bool

	fetched atomic.Pointer[time.Time] // when the last fetch came
}

// Watch is one partition of a Session.
type Watch struct {
	s *Session
	// Owner is whatever who has made the watch knows it by.
	Owner any

	state watchState                // guarded by the session's mutex
	p     *Partition                // where it hangs, nil: nowhere yet; guarded by the session's mutex
	start int64                     // the log start that was told last; guarded by the mutex of p
	last  atomic.Pointer[time.Time] // when its last fetch came, once it is forgotten; nil: it is not
}

type watchState int8

const (
	watchDue watchState = iota
	watchTaken
	watchQuiet
	watchForgotten
)

// NewSession returns a session without partitions.
func NewSession() *Session { return &Session{} }

// came notes a fetch. In a new registration of its broker the follower has to be noted anew everywhere (KIP-903).
func (s *Session) came(now time.Time, epoch int64) {
	s.fetched.Store(&now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch == s.epoch {
		return
	}
	s.epoch, s.moved = epoch, true
	for _, w := range s.all {
		s.wakeLocked(w)
	}
}

// Watch adds a partition, which is due.
func (s *Session) Watch(owner any) *Watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &Watch{s: s, Owner: owner}
	s.all, s.due = append(s.all, w), append(s.due, w)
	return w
}

// Want makes a watch due: its follower asks for something else.
func (w *Watch) Want() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.wakeLocked(w)
}

// Forget takes a partition out. Where the watch hangs it is dropped when somebody next comes by.
func (w *Watch) Forget() {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.state == watchForgotten {
		return
	}
	if w.state == watchQuiet {
		s.quiet--
	}
	w.state = watchForgotten
	w.last.Store(s.fetched.Load())
	if s.gone++; 2*s.gone > len(s.all) {
		s.all, s.gone = slices.DeleteFunc(s.all, func(w *Watch) bool { return w.state == watchForgotten }), 0
	}
}

// Close ends the session: nothing makes its watches due any more.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.all, s.due, s.quiet = true, nil, nil, 0
}

// Take hands out all that is due: a fetch is about to look at it.
func (s *Session) Take() []*Watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = false
	taken := slices.DeleteFunc(s.due, func(w *Watch) bool { return w.state != watchDue })
	for _, w := range taken {
		w.state = watchTaken
	}
	s.due = nil
	return taken
}

// wakeLocked makes a quiet watch due.
func (s *Session) wakeLocked(w *Watch) {
	if w.state == watchQuiet && !s.closed {
		w.state = watchDue
		s.quiet--
		s.due = append(s.due, w)
	}
}

// giveBackLocked ends the taking of a watch.
func (s *Session) giveBackLocked(w *Watch, quiet bool) {
	switch {
	case w.state != watchTaken || s.closed:
	case quiet:
		w.state = watchQuiet
		s.quiet++
	default:
		w.state = watchDue
		s.due = append(s.due, w)
	}
}

// hang has the session wake the fetch of wait; false means that something has happened since the look that has found too little.
func (s *Session) hang(wait *fetchWait) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moved {
		return false
	}
	s.wait = wait
	return true
}

// rests says that there are partitions with nothing to tell, for which a fetch waits.
func (s *Session) rests() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quiet > 0
}

// lastFetch is when a fetch last asked for the partition.
func (w *Watch) lastFetch() time.Time {
	at := w.last.Load()
	if at == nil {
		at = w.s.fetched.Load()
	}
	if at == nil {
		return time.Time{}
	}
	return *at
}

// happened makes the watch due, and takes out the fetch that waits if bytes have come that it misses, or an urgent answer. A watch
// that is of no use any more says so.
func (w *Watch) happened(bytes int64, urgent bool, into []*ParkedFetch) (still bool, woken []*ParkedFetch) {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || w.state == watchForgotten {
		return false, into
	}
	s.wakeLocked(w)
	if bytes == 0 && !urgent {
		return true, into
	}
	s.moved = true
	if s.wait != nil && (s.wait.missing.Add(-bytes) <= 0 || urgent) {
		if f := s.wait.take(); f != nil {
			into = append(into, f)
		}
		s.wait = nil
	}
	return true, into
}

// watched hangs w on the partition, where it may hang already, and drops those of no use. No lock may be held.
func (p *Partition) watched(w *Watch) {
	w.s.mu.Lock()
	there := w.p == p
	w.p = p
	w.s.mu.Unlock()
	if there {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watches = append(slices.DeleteFunc(p.watches, (*Watch).isOver), w)
}

func (w *Watch) isOver() bool {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.s.closed || w.state == watchForgotten
}

// tellWatchesLocked says that something has happened to the partition: bytes have come, or, urgent, it may serve nobody any more.
func (p *Partition) tellWatchesLocked(bytes int64, urgent bool, into []*ParkedFetch) []*ParkedFetch {
	if len(p.watches) == 0 {
		return into
	}
	kept := p.watches[:0]
	for _, w := range p.watches {
		var still bool
		if still, into = w.happened(bytes, urgent, into); still {
			kept = append(kept, w)
		}
	}
	clear(p.watches[len(kept):])
	p.watches = kept
	return into
}

// lookAtWatches makes those due who have not been told of the log's start, which the log moves by itself, and drops those of no use.
func (p *Partition) lookAtWatches() {
	p.mu.Lock()
	var r released
	if len(p.watches) > 0 && p.log != nil && p.unusable() == nil {
		start := p.log.LogStartOffset()
		p.watches = slices.DeleteFunc(p.watches, (*Watch).isOver)
		if slices.ContainsFunc(p.watches, func(w *Watch) bool { return w.start != start }) {
			r.woken = p.tellWatchesLocked(0, false, nil)
		}
	}
	p.mu.Unlock()
	r.fire(p)
}

// giveBack ends the look at parts that an answer is about to tell of. Those that got nothing come before those that got something.
func (s *Session) giveBack(spec *FetchSpec, parts []FetchPart) {
	for _, served := range []bool{false, true} {
		for i := range parts {
			if f := &parts[i]; f.Watch != nil && (f.Slice != nil) == served {
				f.giveBack(spec)
			}
		}
	}
}

// putBack ends a look of which nobody will be told.
func (s *Session) putBack(parts []FetchPart) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range parts {
		if w := parts[i].Watch; w != nil {
			s.giveBackLocked(w, false)
		}
	}
}

func (f *FetchPart) giveBack(spec *FetchSpec) {
	s := f.Watch.s
	if p := f.partition; p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		f.Watch.start = f.LogStartOffset
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBackLocked(f.Watch, f.Err == nil && f.partition != nil && f.partition.restsLocked(spec, f))
}

// restsLocked says that a fetch like f's would find nothing to tell or to do: whatever changes that tells the watches, with mu held.
func (p *Partition) restsLocked(spec *FetchSpec, f *FetchPart) bool {
	return f.Diverging == nil && p.checkReader(spec, f.LeaderEpoch) == nil && !p.log.Dormant() &&
		f.Offset == p.log.LogEndOffset() && f.HighWatermark == p.log.HighWatermark() &&
		f.LogStartOffset == p.log.LogStartOffset() && slices.Contains(p.isr, spec.Replica)
}
