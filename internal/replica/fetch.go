package replica

import (
	"errors"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/storage"
)

// Isolation says up to where a fetch may read.
type Isolation int8

// The isolation levels of a fetch.
const (
	ReadUncommitted Isolation = iota // up to the high watermark
	ReadCommitted                    // up to the last stable offset
	ReadLogEnd                       // up to the log end: replicas
)

// FetchSpec is what a whole fetch asks for. MinBytes that cannot be met are waited for at most MaxWait.
type FetchSpec struct {
	MaxWait            time.Duration
	MinBytes, MaxBytes int64
	Isolation          Isolation
}

// FetchPart is one partition's part of a fetch: what to read and what came of it.
type FetchPart struct {
	TP               storage.TopicPartition
	TopicID          [16]byte // zero: the request names topics
	Offset           int64
	MaxBytes         int64
	LeaderEpoch      int32 // the leader epoch the reader knows; -1: none
	LastFetchedEpoch int32 // the epoch of the reader's last record; -1: none
	Err              error // set before Fetch: the part is not read

	HighWatermark, LastStableOffset, LogStartOffset int64
	Slice                                           *storage.Slice // nil when there is nothing; the caller releases it
	Aborted                                         []storage.AbortedTxn
	Diverging                                       *storage.EpochEndOffset // the reader's log leaves the leader's here
	partition                                       *Partition
}

// Fetch reads the parts in their order and calls done once: at once when there is
// enough, an error, or nothing to wait for, else when enough has come or MaxWait
// has passed. Limits are soft in Kafka's way (KIP-74): the first part with data
// gives at least one whole batch. done may run on another goroutine; a reader that
// goes away calls Cancel on the returned wait, which is nil when done has been called.
func (m *Manager) Fetch(spec FetchSpec, parts []FetchPart, done func()) *ParkedFetch {
	bytes, urgent := m.read(spec, parts)
	if urgent || bytes >= spec.MinBytes || spec.MaxWait <= 0 || len(parts) == 0 {
		done()
		return nil
	}
	f := &ParkedFetch{m: m, spec: spec, parts: parts, done: done, deadline: m.clock.Now().Add(spec.MaxWait)}
	f.mu.Lock()
	if f.park(bytes) {
		f.mu.Unlock()
		return f
	}
	return f.readOn()
}

// read fills the parts; urgent means that a part has an answer that does not wait for bytes.
func (m *Manager) read(spec FetchSpec, parts []FetchPart) (bytes int64, urgent bool) {
	left := spec.MaxBytes
	for i := range parts {
		f := &parts[i]
		if f.Err != nil {
			urgent = true
			continue
		}
		m.readPart(spec.Isolation, f, left, bytes == 0)
		if f.Err != nil || f.Diverging != nil {
			urgent = true
			continue
		}
		if f.Slice != nil {
			bytes += f.Slice.Len
			left = max(left-f.Slice.Len, 0)
		}
	}
	return bytes, urgent
}

func (m *Manager) readPart(iso Isolation, f *FetchPart, left int64, first bool) {
	p, err := m.Partition(f.TP)
	if err != nil {
		f.fail(err)
		return
	}
	if f.TopicID != ([16]byte{}) && f.TopicID != p.topicID {
		f.fail(ErrInconsistentTopicID)
		return
	}
	f.partition = p
	p.read(iso, f, min(left, f.MaxBytes), first)
}

func (f *FetchPart) fail(err error) {
	f.Err = err
	f.HighWatermark, f.LastStableOffset, f.LogStartOffset = -1, -1, -1
}

// read fills f from the partition's log; a first part may exceed maxBytes by one batch.
func (p *Partition) read(iso Isolation, f *FetchPart, maxBytes int64, first bool) {
	p.lead.RLock()
	defer p.lead.RUnlock()
	if err := p.checkLeader(f.LeaderEpoch); err != nil {
		f.fail(err)
		return
	}
	log := p.log
	f.HighWatermark, f.LastStableOffset, f.LogStartOffset = log.HighWatermark(), log.LastStableOffset(), log.LogStartOffset()
	if f.LastFetchedEpoch >= 0 && p.diverges(f) {
		return
	}
	upTo := f.HighWatermark
	switch iso {
	case ReadCommitted:
		upTo = f.LastStableOffset
	case ReadLogEnd:
		upTo = log.LogEndOffset()
	}
	if f.Offset < f.LogStartOffset || f.Offset > log.LogEndOffset() {
		f.fail(storage.ErrOffsetOutOfRange)
		return
	}
	if f.Offset >= upTo || maxBytes <= 0 && !first {
		return
	}
	slice, err := log.Read(f.Offset, int(maxBytes), upTo, first)
	if err != nil {
		f.fail(err)
		return
	}
	if slice == nil || slice.Len == 0 {
		slice.Release()
		return
	}
	f.Slice = slice
	if iso == ReadCommitted {
		if f.Aborted, err = log.AbortedTxns(f.Offset, slice.NextOffset); err != nil {
			slice.Release()
			f.Slice = nil
			f.fail(err)
		}
	}
}

// diverges checks the reader's last epoch against the log's (KIP-595) and notes where they part.
func (p *Partition) diverges(f *FetchPart) bool {
	end := p.log.EndOffsetForEpoch(f.LastFetchedEpoch)
	if end.Epoch < 0 || end.EndOffset < 0 {
		f.fail(storage.ErrOffsetOutOfRange)
		return true
	}
	if end.Epoch < f.LastFetchedEpoch || end.EndOffset < f.Offset {
		f.Diverging = &end
		return true
	}
	return false
}

// ParkedFetch is a fetch that waits for data.
type ParkedFetch struct {
	m        *Manager
	spec     FetchSpec
	deadline time.Time
	done     func()

	mu    sync.Mutex // held while the parts are read or hung on their partitions
	parts []FetchPart
	wait  *fetchWait
	timer clock.Timer
}

// park throws away the bytes that were too few and hangs the fetch on its partitions.
// False means that there is something to read at once. mu must be held.
func (f *ParkedFetch) park(bytes int64) bool {
	rest := f.deadline.Sub(f.m.clock.Now())
	if rest <= 0 {
		return false
	}
	releaseAll(f.parts)
	w := &fetchWait{need: max(f.spec.MinBytes-bytes, 1), wake: f.resume}
	f.wait = w
	f.timer = f.m.clock.AfterFunc(rest, func() {
		if w.take() {
			f.resume()
		}
	})
	for i := range f.parts {
		part := &f.parts[i]
		if part.partition == nil || part.partition.awaitData(w, part.HighWatermark) {
			continue
		}
		if w.take() {
			f.timer.Stop()
			return false
		}
		return true // woken already: resume waits for mu
	}
	return true
}

// resume runs when enough seems to have arrived or time is up; the caller has taken the wait.
func (f *ParkedFetch) resume() {
	f.mu.Lock()
	f.timer.Stop()
	f.readOn()
}

// readOn reads until there is enough or time is up, then answers; or parks again. It lets go of mu,
// and returns f when it has parked.
func (f *ParkedFetch) readOn() *ParkedFetch {
	for {
		releaseAll(f.parts)
		bytes, urgent := f.m.read(f.spec, f.parts)
		if urgent || bytes >= f.spec.MinBytes || !f.m.clock.Now().Before(f.deadline) {
			f.mu.Unlock()
			f.done()
			return nil
		}
		if f.park(bytes) {
			f.mu.Unlock()
			return f
		}
	}
}

// Cancel drops the fetch without an answer; false means that the answer is under way.
func (f *ParkedFetch) Cancel() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.wait.take() {
		return false
	}
	f.timer.Stop()
	releaseAll(f.parts)
	return true
}

// releaseAll gives back what parts hold and clears what came of them, so that they can be read again.
func releaseAll(parts []FetchPart) {
	for i := range parts {
		p := &parts[i]
		if p.Slice != nil {
			p.Slice.Release()
			p.Slice = nil
		}
		p.Aborted, p.Diverging = nil, nil
	}
}

// IsOutOfRange tells the one error of a read that a reader mends by itself.
func IsOutOfRange(err error) bool { return errors.Is(err, storage.ErrOffsetOutOfRange) }
