package replica

import (
	"container/heap"
	"errors"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/storage"
)

// Append is one partition's part of a produce: what to append and what came of it.
type Append struct {
	TP      storage.TopicPartition
	TopicID [16]byte // of the topic that is meant; zero: the request names topics
	Batches []byte   // patched in place; not used after Produce returns
	Origin  storage.Origin
	Txn     storage.AppendOptions
	Err     error // set before Produce: the part is left out

	Info        storage.AppendInfo
	LeaderEpoch int32
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
// acks 0 and 1 when they are in the log (acks 1 on the disk, where acknowledgements rest
// on it), acks -1 when they are committed or timeout has passed. done may run
// before Produce returns or later on another goroutine; the parts are the caller's again then.
//
// Errors are set per part: those of this package and of storage's append.
func (m *Manager) Produce(parts []Append, acks int16, timeout time.Duration, done func()) {
	var w *produceWait
	for i := range parts {
		a := &parts[i]
		a.Info = notAppended()
		if a.Err != nil {
			continue
		}
		p, err := m.Partition(a.TP)
		if err == nil && a.TopicID != ([16]byte{}) && a.TopicID != p.topicID {
			err = ErrInconsistentTopicID
		}
		if err != nil {
			a.Err = err
			continue
		}
		var r result
		r, a.Err = p.append(a.Batches, acks, a.Origin, anyEpoch, a.Txn)
		a.Info, a.LeaderEpoch, a.Batches = r.info, r.epoch, nil
		if a.Err != nil || r.acked {
			continue
		}
		if w == nil {
			w = &produceWait{m: m, parts: parts, acks: acks, done: done}
			w.open = w.one[:0]
		}
		w.open = append(w.open, openPart{p: p, log: r.log, part: i, ackWait: ackWait{offset: r.info.LastOffset + 1, index: notWaiting}})
	}
	if w == nil {
		done()
		return
	}
	w.start(timeout)
}

// produceWait is a produce whose parts are not all acknowledged yet.
type produceWait struct {
	m    *Manager
	acks int16
	done func()
	open []openPart // does not grow any more: the partitions point into it
	one  [1]openPart

	mu       sync.Mutex
	parts    []Append
	left     int // open parts not decided yet, and one for start itself
	timer    clock.Timer
	finished bool
}

// openPart is a part that waits.
type openPart struct {
	ackWait
	p       *Partition
	log     *storage.Log
	part    int  // its index in the request
	decided bool // guarded by mu of the wait
}

// start hangs the open parts where they are decided, perhaps at once.
func (w *produceWait) start(timeout time.Duration) {
	w.left = len(w.open) + 1
	for i := range w.open {
		o := &w.open[i]
		o.owner, o.slot = w, i
		if w.acks == 1 {
			w.m.awaitSync(o.log, o.offset, o.settle)
		} else {
			o.p.awaitAck(o, w.parts[o.part].LeaderEpoch)
		}
	}
	w.mu.Lock()
	if w.left > 1 {
		w.timer = w.m.clock.AfterFunc(timeout, w.timeOut)
	}
	w.mu.Unlock()
	w.release()
}

// decide settles one open part.
func (w *produceWait) decide(slot int, err error) {
	w.mu.Lock()
	o := &w.open[slot]
	if w.finished || o.decided {
		w.mu.Unlock()
		return
	}
	o.decided = true
	w.parts[o.part].Err = err
	w.mu.Unlock()
	w.release()
}

// release counts one reason to wait down and answers with the last.
func (w *produceWait) release() {
	w.mu.Lock()
	w.left--
	if w.left > 0 || w.finished {
		w.mu.Unlock()
		return
	}
	w.finished = true
	timer := w.timer
	w.mu.Unlock()
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
	for i := range w.open {
		if o := &w.open[i]; !o.decided {
			w.parts[o.part].Err = ErrRequestTimedOut
		}
	}
	w.mu.Unlock()
	for i := range w.open {
		w.open[i].p.cancelAck(&w.open[i].ackWait)
	}
	w.done()
}

// awaitAck settles o once its offset is committed, or with the reason why it will not be.
func (p *Partition) awaitAck(o *openPart, epoch int32) {
	decided, err := p.parkAck(&o.ackWait, epoch)
	if decided {
		o.settle(err)
	}
}

func (p *Partition) parkAck(w *ackWait, epoch int32) (decided bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.unusable(); err != nil {
		return true, err
	}
	if p.role != Leader || p.leaderEpoch != epoch {
		return true, ErrNotLeader
	}
	if p.log.HighWatermark() < w.offset {
		heap.Push(&p.acks, w)
		return false, nil
	}
	if len(p.maximalISR()) < p.effectiveMinISR() {
		return true, ErrNotEnoughReplicasAfterAppend
	}
	return true, nil
}

func (p *Partition) cancelAck(w *ackWait) {
	p.mu.Lock()
	p.acks.remove(w)
	p.mu.Unlock()
}
