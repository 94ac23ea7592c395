package replica

import (
	"errors"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/storage"
)

// Append is one partition's part of a produce: what to append and what came of it.
type Append struct {
	TP      storage.TopicPartition
	Batches []byte // patched in place; not used after Produce returns
	Origin  storage.Origin

	Info        storage.AppendInfo
	LeaderEpoch int32
	Err         error
}

// notAppended is what is told of an append that did not happen.
func notAppended() storage.AppendInfo {
	return storage.AppendInfo{FirstOffset: -1, LastOffset: -1, LogAppendTimeMs: -1, LogStartOffset: -1}
}

// refusedAppend is notAppended with the log's start, which Kafka tells a producer whose records were looked
// at and refused, so that it can tell a sequence that was forgotten with its records from one that is wrong.
// It does not tell when the log failed or the bytes were not even worth looking into.
func refusedAppend(log *storage.Log, err error) storage.AppendInfo {
	info := notAppended()
	for _, silent := range []error{storage.ErrRecordTooLarge, storage.ErrRecordListTooLarge, storage.ErrCorruptRecord, storage.ErrStorage, storage.ErrClosed} {
		if errors.Is(err, silent) {
			return info
		}
	}
	info.LogStartOffset = log.LogStartOffset()
	return info
}

// Produce appends each part and calls done once, when all of them are decided:
// acks 0 and 1 when they are in the log (on the disk, where acknowledgements rest
// on it), acks -1 when they are committed or timeout has passed. done may run
// before Produce returns or later on another goroutine; the parts are the caller's again then.
//
// Errors are set per part: those of this package and of storage's append.
func (m *Manager) Produce(parts []Append, acks int16, timeout time.Duration, done func()) {
	waiting := 0
	for i := range parts {
		a := &parts[i]
		a.Info = notAppended()
		if a.Err != nil {
			continue
		}
		p, err := m.Partition(a.TP)
		if err != nil {
			a.Err = err
			continue
		}
		a.Info, a.LeaderEpoch, a.Err = p.append(a.Batches, acks, a.Origin)
		a.Batches = nil
		if a.Err == nil && !p.acknowledged(acks, a.Info.LastOffset+1) {
			waiting++
		}
	}
	if waiting == 0 {
		done()
		return
	}
	w := &produceWait{m: m, parts: parts, left: waiting, acks: acks, done: done}
	w.start(timeout)
}

// produceWait is a produce whose parts are not all acknowledged yet.
type produceWait struct {
	m    *Manager
	acks int16
	done func()

	mu       sync.Mutex
	parts    []Append // mu
	waits    []*ackWait
	pending  []bool // by part: not decided yet
	left     int    // parts not decided yet, and one for start itself
	timer    clock.Timer
	finished bool
}

func (w *produceWait) start(timeout time.Duration) {
	n := len(w.parts)
	w.waits, w.pending = make([]*ackWait, n), make([]bool, n)
	type target struct {
		p      *Partition
		offset int64
		epoch  int32
	}
	targets := make([]target, n)
	for i := range w.parts {
		a := &w.parts[i]
		if a.Err != nil {
			continue
		}
		p, err := w.m.Partition(a.TP)
		if err != nil {
			a.Err = err
			w.left--
			continue
		}
		w.pending[i] = true
		targets[i] = target{p, a.Info.LastOffset + 1, a.LeaderEpoch}
	}
	w.left++
	for i, t := range targets {
		if t.p == nil {
			continue
		}
		var ack *ackWait
		if w.acks == 1 {
			t.p.awaitSync(t.offset, func(err error) { w.decide(i, err) })
		} else {
			ack = t.p.awaitAck(t.offset, t.epoch, func(err error) { w.decide(i, err) })
		}
		w.mu.Lock()
		w.waits[i] = ack
		w.mu.Unlock()
	}
	w.mu.Lock()
	if w.left > 1 {
		w.timer = w.m.clock.AfterFunc(timeout, w.timeOut)
	}
	w.mu.Unlock()
	w.release()
}

// decide settles part i.
func (w *produceWait) decide(i int, err error) {
	w.mu.Lock()
	if !w.pending[i] || w.finished {
		w.mu.Unlock()
		return
	}
	w.pending[i] = false
	w.parts[i].Err = err
	w.mu.Unlock()
	w.release()
}

// release counts one reason to wait down and answers with the last.
func (w *produceWait) release() {
	w.mu.Lock()
	w.left--
	last := w.left == 0 && !w.finished
	if last {
		w.finished = true
	}
	timer := w.timer
	w.mu.Unlock()
	if !last {
		return
	}
	if timer != nil {
		timer.Stop()
	}
	w.done()
}

// timeOut answers with what is known now. The records stay in the log: the client may retry.
func (w *produceWait) timeOut() {
	w.mu.Lock()
	if w.finished {
		w.mu.Unlock()
		return
	}
	w.finished = true
	type cancelled struct {
		p *Partition
		w *ackWait
	}
	var cancel []cancelled
	for i, open := range w.pending {
		if !open {
			continue
		}
		w.parts[i].Err = ErrRequestTimedOut
		if p, err := w.m.Partition(w.parts[i].TP); err == nil && w.waits[i] != nil {
			cancel = append(cancel, cancelled{p, w.waits[i]})
		}
	}
	w.mu.Unlock()
	for _, c := range cancel {
		c.p.cancelAck(c.w)
	}
	w.done()
}

// acknowledged says whether everything below offset already is what acks asks for.
func (p *Partition) acknowledged(acks int16, offset int64) bool {
	switch {
	case acks == 0 || acks == 1 && !p.m.flushAcks:
		return true
	}
	log := p.Log()
	if log == nil {
		return false
	}
	if acks == 1 {
		return log.FlushedOffset() >= offset
	}
	return log.HighWatermark() >= offset
}

// awaitSync calls fn once everything below offset is on the disk.
func (p *Partition) awaitSync(offset int64, fn func(error)) {
	log := p.Log()
	if log == nil {
		fn(ErrOffline)
		return
	}
	log.AwaitSync(offset, fn)
}

// AppendAsCoordinator appends one batch of a coordinator's records to a partition that this
// broker leads in leaderEpoch and returns the log end offset after it. It is refused like a
// produce with acks -1; that it is committed is told by Config.OnHighWatermark.
func (m *Manager) AppendAsCoordinator(tp storage.TopicPartition, leaderEpoch int32, batch []byte) (int64, error) {
	p, err := m.Partition(tp)
	if err != nil {
		return 0, err
	}
	p.lead.RLock()
	stale := p.leaderEpoch != leaderEpoch
	p.lead.RUnlock()
	if stale {
		return 0, ErrNotLeader
	}
	info, epoch, err := p.append(batch, -1, storage.FromCoordinator)
	if err == nil && epoch != leaderEpoch {
		err = ErrNotLeader
	}
	return info.LastOffset + 1, err
}

// ReadAll hands the log of a partition from its start to its end to fn, piece by piece: whole
// batches, valid until fn returns. It returns the end and the high watermark.
func (m *Manager) ReadAll(tp storage.TopicPartition, fn func(batches []byte) error) (end, hw int64, err error) {
	p, err := m.Partition(tp)
	if err != nil {
		return 0, 0, err
	}
	log := p.Log()
	if log == nil {
		return 0, 0, ErrOffline
	}
	end = log.LogEndOffset()
	var buf []byte
	for at := log.LogStartOffset(); at < end; {
		slice, err := log.Read(at, readAllBytes, end, true)
		if err != nil {
			return 0, 0, err
		}
		if slice == nil || slice.Len == 0 {
			slice.Release()
			break
		}
		if int64(cap(buf)) < slice.Len {
			buf = make([]byte, slice.Len)
		}
		buf = buf[:slice.Len]
		_, err = slice.File.ReadAt(buf, slice.Pos)
		next := slice.NextOffset
		slice.Release()
		if err != nil {
			return 0, 0, err
		}
		if err := fn(buf); err != nil {
			return 0, 0, err
		}
		at = next
	}
	return end, log.HighWatermark(), nil
}

// readAllBytes is the size of the pieces that ReadAll reads: a disk's good stride, and little memory.
const readAllBytes = 1 << 20
