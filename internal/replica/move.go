package replica

import (
	"errors"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/storage"
)

// moves are the logs that are on their way to other log directories (KIP-113), some of them at work.
type moves struct {
	m       *Manager
	threads int

	mu      sync.Mutex
	waiting []*storage.Future
	busy    int
	limit   Throttle // of all of them together
	stopped chan struct{}
	done    sync.WaitGroup
	copied  rate
}

const (
	// moveBytes is how much is copied at once.
	moveBytes = 1 << 20
	// moveRetry is how long a move waits for a log that is still being recovered.
	moveRetry = 100 * time.Millisecond
)

func newMoves(m *Manager, threads int) *moves {
	return &moves{m: m, threads: max(threads, 1), stopped: make(chan struct{})}
}

// MoveReplica moves the log of a partition into the log directory of that path, while it serves. It returns when the
// move has begun. A log that is there already stays, and a move to elsewhere is given up.
func (m *Manager) MoveReplica(tp storage.TopicPartition, dir string) error {
	p, err := m.Partition(tp)
	if err != nil {
		return err
	}
	p.lead.RLock()
	err = p.unusable()
	p.lead.RUnlock()
	if errors.Is(err, storage.ErrNotReady) && m.moveLater(tp, dir) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := m.logs.BeginMove(tp, dir)
	if f != nil && err == nil {
		m.moves.add(f)
	}
	return err
}

// moveLater begins a move when the log has been recovered; false when that is not what it waits for.
func (m *Manager) moveLater(tp storage.TopicPartition, dir string) bool {
	log := m.logs.Log(tp)
	known := slices.ContainsFunc(m.logs.Dirs(), func(d storage.DirInfo) bool { return d.Path == path.Clean(dir) && d.Err == nil })
	if log == nil || !known || closed(m.moves.stopped) {
		return false
	}
	return log.WhenReady(func() {
		m.moves.mu.Lock()
		defer m.moves.mu.Unlock()
		if closed(m.moves.stopped) {
			return
		}
		m.moves.done.Go(func() {
			for {
				err := m.MoveReplica(tp, dir)
				if !errors.Is(err, storage.ErrNotReady) || closed(m.moves.stopped) {
					if err != nil {
						m.logger.Error("cannot move a log to another directory: it stays where it is", "topic", tp.Topic, "partition", tp.Partition, "cause", err)
					}
					return
				}
				m.moves.pause(moveRetry) // its partition has not taken its role yet
			}
		})
	})
}

// SetMoveLimit bounds the bytes that all moves between log directories copy in a second.
func (m *Manager) SetMoveLimit(limit Throttle) {
	m.moves.mu.Lock()
	defer m.moves.mu.Unlock()
	m.moves.limit = limit
}

func (v *moves) add(f *storage.Future) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.waiting = append(v.waiting, f)
	if v.busy < v.threads && !closed(v.stopped) {
		v.busy++
		v.done.Go(v.work)
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (v *moves) work() {
	for {
		v.mu.Lock()
		if len(v.waiting) == 0 || closed(v.stopped) {
			v.busy--
			v.mu.Unlock()
			return
		}
		f := v.waiting[0]
		v.waiting = v.waiting[1:]
		v.mu.Unlock()
		v.move(f)
	}
}

// stop ends the moves; the next start goes on with them.
func (v *moves) stop() {
	v.mu.Lock()
	if !closed(v.stopped) {
		close(v.stopped)
	}
	v.mu.Unlock()
	v.done.Wait()
}

// move copies until the copy has caught up, and then puts it in the log's place.
func (v *moves) move(f *storage.Future) {
	tp := f.TopicPartition()
	for !closed(v.stopped) {
		n, err := f.Copy(moveBytes, false)
		switch {
		case errors.Is(err, storage.ErrNotReady):
			v.pause(moveRetry)
			continue
		case err == nil && n > 0:
			v.heed(n)
			continue
		case err == nil:
			err = v.m.swap(f)
		}
		switch {
		case err == nil:
		case errors.Is(err, storage.ErrNotReady):
			v.pause(moveRetry)
			continue
		case errors.Is(err, storage.ErrMoveGivenUp):
			v.m.logger.Info("the move of a log to another directory was given up", "topic", tp.Topic, "partition", tp.Partition, "cause", err)
		default:
			v.m.logger.Error("cannot move a log to another directory: it stays where it is", "topic", tp.Topic, "partition", tp.Partition, "cause", err)
			f.GiveUp()
		}
		return
	}
}

// heed counts n bytes and waits while more than is allowed has been copied over the last windows.
func (v *moves) heed(n int64) {
	v.mu.Lock()
	limit := v.limit
	v.mu.Unlock()
	if limit.BytesPerSecond <= 0 {
		return
	}
	v.copied.add(limit, v.m.clock.Now(), n)
	for !closed(v.stopped) {
		now := v.m.clock.Now()
		v.mu.Lock()
		limit = v.limit // it may have been raised
		v.mu.Unlock()
		if limit.BytesPerSecond <= 0 || !v.copied.exceeds(limit, now) {
			return
		}
		window := max(limit.Window, time.Millisecond)
		v.pause(min(window-time.Duration(now.UnixNano()%int64(window)), moveLook)) // the next window may let it go on
	}
}

// moveLook is how often a move that is held back looks whether its limit has changed.
const moveLook = time.Second

// leastPause keeps a wait for the end of a window from turning in place.
const leastPause = time.Millisecond

func (v *moves) pause(d time.Duration) {
	d = max(d, leastPause)
	over := make(chan struct{})
	t := v.m.clock.AfterFunc(d, func() { close(over) })
	defer t.Stop()
	select {
	case <-over:
	case <-v.stopped:
	}
}

// swap gives the partition the copy as its log. Appends and reads wait meanwhile; little is left to be copied.
func (m *Manager) swap(f *storage.Future) error {
	p, err := m.Partition(f.TopicPartition())
	if err != nil {
		return err
	}
	p.lead.Lock()
	log, err := f.Swap()
	if log != nil {
		if p.role == Leader {
			if _, berr := log.BeginEpoch(p.leaderEpoch); berr != nil { // it is open; so it has failed, and says so to who uses it
				m.logger.Error("a log that has moved cannot be used", "topic", p.tp.Topic, "partition", p.tp.Partition, "cause", berr)
			}
		}
		p.mu.Lock()
		p.log = log
		p.mu.Unlock()
	}
	p.lead.Unlock()
	if log == nil {
		return err
	}
	if err != nil {
		m.logger.Warn("the move of a log has ended, but not all of it was done", "topic", p.tp.Topic, "partition", p.tp.Partition, "cause", err)
	}
	p.tryAdvance()
	if m.onPlaced != nil {
		m.onPlaced(p.topicID, p.tp.Partition, m.logs.DirectoryID(log))
	}
	return nil
}
