package storage

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// tellProgressEvery is how often a long recovery says how far it is.
const tellProgressEvery = 5 * time.Second

// recovery checks the logs of a directory that was not left in order, several at a time. Each serves as soon as it
// has been checked; those that somebody asks for come first.
type recovery struct {
	d       *logDir
	threads []atomic.Int64 // segments that each thread has still to check in its log
	workers sync.WaitGroup

	mu           sync.Mutex
	urgent, rest []*Log
	total, left  int
	stopped      bool
	began, told  time.Time
}

// startRecovery begins to recover the unrecovered among logs.
func (d *logDir) startRecovery(logs []*Log) {
	r := &d.recovery
	r.d, r.began = d, d.env.clock.Now()
	r.told = r.began
	for _, l := range logs {
		if l.lazy.state.Load() == logUnrecovered {
			r.rest = append(r.rest, l)
		}
	}
	r.total, r.left = len(r.rest), len(r.rest)
	if r.total == 0 {
		d.noteBoot()
		return
	}
	d.env.logger.Info(fmt.Sprintf("the last run did not end in order: recovering %d logs in %s", r.total, d.path), "threads", d.m.opts.RecoveryThreadsPerDir, "sameBoot", d.sameBoot)
	r.threads = make([]atomic.Int64, min(d.m.opts.RecoveryThreadsPerDir, r.total))
	for i := range r.threads {
		r.workers.Go(func() { r.work(&r.threads[i]) })
	}
}

func (r *recovery) work(segments *atomic.Int64) {
	for {
		l := r.next()
		if l == nil {
			return
		}
		l.recoverNow(segments)
		segments.Store(0)
		r.done()
	}
}

func (r *recovery) next() *Log {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.stopped {
		from := &r.urgent
		if len(*from) == 0 {
			from = &r.rest
		}
		if len(*from) == 0 {
			return nil
		}
		l := (*from)[len(*from)-1]
		*from = (*from)[:len(*from)-1]
		if l.lazy.state.Load() == logUnrecovered && l.failure.Load() == nil {
			return l
		}
	}
	return nil
}

// hurry puts a log before the others.
func (r *recovery) hurry(l *Log) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || len(r.urgent) > 0 && r.urgent[len(r.urgent)-1] == l || len(r.urgent) > len(r.rest)+maxUrgent {
		return
	}
	r.urgent = append(r.urgent, l) // it stays among the rest as well, where it will be found recovered
}

// maxUrgent bounds how many wishes are remembered beyond the number of logs: clients ask again and again.
const maxUrgent = 1000

// done counts one log and tells of progress now and then.
func (r *recovery) done() {
	now := r.d.env.clock.Now()
	r.mu.Lock()
	r.left--
	left, total := r.left, r.total
	tell := left > 0 && now.Sub(r.told) >= tellProgressEvery
	if tell {
		r.told = now
	}
	began := r.began
	r.mu.Unlock()
	took := now.Sub(began).Round(time.Millisecond)
	switch {
	case tell:
		r.d.env.logger.Info(fmt.Sprintf("recovered %d of %d logs in %s", total-left, total, r.d.path), "after", took)
	case left == 0:
		r.d.env.logger.Info(fmt.Sprintf("recovered all %d logs in %s", total, r.d.path), "after", took)
		r.d.recovered()
	}
}

// recovered is called when every log has been checked.
func (d *logDir) recovered() {
	if slices.ContainsFunc(d.m.logsIn(d), (*Log).isUnchecked) {
		return // one that could not be opened would seem to be new at the next start, for not being named
	}
	if !slices.ContainsFunc(d.m.logsIn(d), (*Log).hasLostPages) {
		d.noteBoot()
	}
	if err := d.notePoints(); err != nil {
		d.env.logger.Error("cannot write a checkpoint", "dir", d.path, "err", err)
	}
}

// stop lets the logs that are being checked end and leaves the others.
func (r *recovery) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.workers.Wait()
}

// wait returns when all logs have been checked.
func (r *recovery) wait() { r.workers.Wait() }

// remaining is how many logs are still to be checked, and of how many.
func (r *recovery) remaining() (left, total int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left, r.total
}

// RecoveryState is how far the recovery of a log directory is.
type RecoveryState struct {
	Dir                      string
	RemainingLogs, TotalLogs int
	RemainingSegments        []int64 // by thread
}

// Recovery tells how far the recovery of each log directory is.
func (m *Manager) Recovery() []RecoveryState {
	out := make([]RecoveryState, len(m.dirs))
	for i, d := range m.dirs {
		out[i].Dir = d.path
		out[i].RemainingLogs, out[i].TotalLogs = d.recovery.remaining()
		for j := range d.recovery.threads {
			out[i].RemainingSegments = append(out[i].RemainingSegments, d.recovery.threads[j].Load())
		}
	}
	return out
}

// AwaitRecovery returns when no log is left to be checked.
func (m *Manager) AwaitRecovery() {
	for _, d := range m.dirs {
		d.recovery.wait()
	}
}
