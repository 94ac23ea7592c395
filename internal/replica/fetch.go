package replica

import (
	"errors"
	"fmt"
	"time"

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

	// Of a replica, which reads with ReadLogEnd:
	FromReplica  bool
	Replica      int32 // the broker's id
	ReplicaEpoch int64 // of the broker's registration; -1: not told
	// Session is that of a replica which names only what has changed; the parts are those of its watches that were due. When the fetch
	// looks again, after a wait, More adds what has become due meanwhile, and returns all parts.
	Session *Session
	More    func(due []*Watch) []FetchPart
	// Of a consumer:
	FromFollower bool   // it knows that followers may serve it
	Rack         string // where it is; empty: not told
}

// FetchPart is one partition's part of a fetch: what to read and what came of it.
type FetchPart struct {
	TP               storage.TopicPartition
	TopicID          [16]byte // zero: the request names topics
	Offset           int64
	MaxBytes         int64
	LeaderEpoch      int32 // the leader epoch the reader knows; -1: none
	LastFetchedEpoch int32 // the epoch of the reader's last record; -1: none
	ReplicaStart     int64 // the log start offset of a replica
	Watch            *Watch

	// Err may be set before Fetch: the part is not read then, and the others are waited for.
	Err                                             error
	HighWatermark, LastStableOffset, LogStartOffset int64
	Slice                                           *storage.Slice // nil when there is nothing; the caller releases it
	Aborted                                         []storage.AbortedTxn
	Diverging                                       *storage.EpochEndOffset // the reader's log leaves the leader's here

	read      storage.Slice // Slice points to it
	partition *Partition
	noted     bool  // what a replica has told is taken over
	elsewhere int32 // one more than the replica to read from; 0: this one
	end       int64 // of what was there: the watermark, or the log's end for a replica
	upTo      int64 // to read below
	readable  int64 // bytes that count for MinBytes: also those that the limits keep back
}

// ReadElsewhere is the replica that the consumer had better read from, -1 for this one.
func (f *FetchPart) ReadElsewhere() int32 { return f.elsewhere - 1 }

// fail sets the part's error; nothing else is told of a partition that cannot be read.
func (f *FetchPart) fail(err error) {
	f.Err = err
	f.HighWatermark, f.LastStableOffset, f.LogStartOffset = -1, -1, -1
}

// clear gives back what the part holds, so that it can be read again.
func (f *FetchPart) clear() {
	if f.Slice != nil {
		f.Slice.Release()
		f.Slice = nil
	}
	f.Aborted, f.Diverging, f.readable, f.elsewhere = nil, nil, 0, 0
}

// Fetch reads the parts in their order and calls done once: at once when there is
// enough, an error, or nothing to wait for, else when enough has come or MaxWait
// has passed. Limits are soft in Kafka's way (KIP-74): the first part with data
// gives at least one whole batch. done may run on another goroutine; a reader that
// goes away calls Cancel on the returned wait, which is nil when done has been called.
func (m *Manager) Fetch(spec FetchSpec, parts []FetchPart, done func()) *ParkedFetch {
	if spec.Session != nil {
		spec.Session.came(m.clock.Now(), spec.ReplicaEpoch)
	}
	got := m.read(&spec, parts)
	if got.enough(&spec) || spec.MaxWait <= 0 {
		m.handOut(&spec, parts)
		done()
		return nil
	}
	return m.park(spec, parts, got, done)
}

// handOut counts what a replica is about to get, and ends the look at its parts.
func (m *Manager) handOut(spec *FetchSpec, parts []FetchPart) {
	if !spec.FromReplica {
		return
	}
	if spec.Session != nil {
		spec.Session.giveBack(spec, parts)
	}
	for i := range parts {
		if f := &parts[i]; f.Slice != nil {
			m.throttles.sent(f.partition, spec.Replica, f.Slice.Len)
		}
	}
}

// reading is what one pass over the parts has found.
type reading struct {
	bytes  int64
	urgent bool // a part has an answer that does not wait for bytes, or no part can be read at all
}

func (r reading) enough(spec *FetchSpec) bool { return r.urgent || r.bytes >= spec.MinBytes }

// read fills the parts.
func (m *Manager) read(spec *FetchSpec, parts []FetchPart) reading {
	got, tried, left, first := reading{}, false, spec.MaxBytes, true
	for i := range parts {
		f := &parts[i]
		if f.Err != nil {
			continue
		}
		tried = true
		m.readPart(spec, f, left, first)
		if f.Err != nil || f.Diverging != nil || f.elsewhere > 0 {
			got.urgent = true
			continue
		}
		got.bytes += f.readable
		if f.Slice != nil {
			first = false
			left = max(left-f.Slice.Len, 0)
		}
	}
	if !tried && (spec.Session == nil || !spec.Session.rests()) {
		got.urgent = true
	}
	return got
}

func (m *Manager) readPart(spec *FetchSpec, f *FetchPart, left int64, first bool) {
	if f.partition == nil {
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
		if f.Watch != nil {
			p.watched(f.Watch)
		}
	}
	f.partition.read(spec, f, max(min(left, f.MaxBytes), 0), first)
}

// read fills f from the partition's log; a first part may exceed maxBytes by one batch.
func (p *Partition) read(spec *FetchSpec, f *FetchPart, maxBytes int64, first bool) {
	p.lead.RLock()
	out := p.readAsRole(spec, f, maxBytes, first)
	log, epoch := p.log, p.leaderEpoch
	p.lead.RUnlock()
	out.fire(p)
	if spec.Isolation == ReadCommitted && f.Slice != nil {
		if err := p.tellAborted(spec, f, log, epoch); err != nil {
			f.clear()
			f.fail(err)
		}
	}
}

// tellAborted lists the aborted transactions of what was read. In a log that was found that may take a walk over many segments, for
// which a change of role cannot wait: lead is not held over it. If there was one, what was read may have been cut meanwhile.
func (p *Partition) tellAborted(spec *FetchSpec, f *FetchPart, log *storage.Log, epoch int32) (err error) {
	if f.Aborted, err = log.AbortedTxns(f.Offset, f.Slice.NextOffset); err != nil {
		return readError(err)
	}
	p.lead.RLock()
	defer p.lead.RUnlock()
	if err := p.checkReader(spec, f.LeaderEpoch); err != nil {
		return err
	}
	if p.leaderEpoch != epoch {
		return ErrNotLeader
	}
	return nil
}

// readAsRole is read for one role; what a replica's fetch releases is the caller's to fire. lead must be held.
func (p *Partition) readAsRole(spec *FetchSpec, f *FetchPart, maxBytes int64, first bool) (out released) {
	if err := p.checkReader(spec, f.LeaderEpoch); err != nil {
		f.fail(err)
		return out
	}
	if err := p.log.Wake(); err != nil {
		f.fail(err)
		return out
	}
	err := p.checkPlace(f)
	if err == storage.ErrOffsetOutOfRange && !spec.FromReplica && p.mayBeDeposed(f.Offset) {
		err = ErrNotLeader
	}
	if err == nil && f.Diverging == nil && spec.FromReplica && !f.noted {
		out, err = p.noteFetch(spec, f)
		f.noted = true
	}
	p.measure(spec.Isolation, f)
	switch {
	case err != nil:
		f.fail(err)
		return out
	case f.Diverging != nil:
		return out
	}
	if spec.Rack != "" && p.role == Leader {
		if f.elsewhere = p.readSource(spec.Rack, f.Offset) + 1; f.elsewhere > 0 {
			return out
		}
	}
	if spec.FromReplica && p.m.throttles.holdsBack(p, spec.Replica) {
		return out
	}
	p.fill(spec, f, maxBytes, first)
	return out
}

// measure tells of the log's offsets, and up to where f may be read.
func (p *Partition) measure(iso Isolation, f *FetchPart) {
	// In this order, since each may rise while the next is read, and start <= stable <= high must hold in the answer.
	f.LogStartOffset = p.log.LogStartOffset()
	f.LastStableOffset = p.log.LastStableOffset()
	f.HighWatermark = p.log.HighWatermark()
	f.end, f.upTo = f.HighWatermark, f.HighWatermark
	switch iso {
	case ReadCommitted:
		f.upTo = f.LastStableOffset
	case ReadLogEnd:
		f.upTo = p.log.LogEndOffset()
		f.end = f.upTo
	}
}

// fill reads.
func (p *Partition) fill(spec *FetchSpec, f *FetchPart, maxBytes int64, first bool) {
	if err := p.readUpTo(f, f.upTo, maxBytes, first); err != nil {
		f.clear()
		f.fail(err)
	}
}

// checkPlace says whether the reader's offset lies in the log, and notes where its log leaves this one.
func (p *Partition) checkPlace(f *FetchPart) error {
	start := p.log.LogStartOffset()
	if f.LastFetchedEpoch >= 0 && !p.m.flaws.skipEpochCheck {
		if diverges, err := p.diverges(f, start); diverges || err != nil {
			return err
		}
	}
	if f.Offset < start || f.Offset > p.log.LogEndOffset() {
		return storage.ErrOffsetOutOfRange
	}
	return nil
}

// mayBeDeposed says that an offset lies beyond the log's end of a leader which has heard nothing of the controller for a while: the
// records may be on another that leads by now. A consumer that is told that its offset does not exist begins anew, and reads all twice.
// lead must be held.
func (p *Partition) mayBeDeposed(offset int64) bool {
	return p.role == Leader && len(p.replicas) > 1 && p.m.inTouch != nil && offset > p.log.LogEndOffset() && !p.m.inTouch()
}

func (p *Partition) readUpTo(f *FetchPart, upTo, maxBytes int64, first bool) error {
	if f.Offset >= upTo || maxBytes == 0 && !first {
		return nil
	}
	slice := &f.read
	if err := p.log.ReadInto(slice, f.Offset, int(maxBytes), upTo, first); err != nil {
		return readError(err)
	}
	f.readable = slice.Len
	if slice.NextOffset < upTo && (slice.Len > 0 || !first) {
		f.readable = max(slice.Len, maxBytes) // there is more than the limits, or the segment, let through
	}
	if slice.Len > 0 {
		f.Slice = slice
	}
	return nil
}

// readError tells a failing disk, which a client waits for to mend, from what its request or the log's end has caused.
func readError(err error) error {
	if errors.Is(err, storage.ErrOffsetOutOfRange) || errors.Is(err, storage.ErrClosed) {
		return err
	}
	return fmt.Errorf("%w: %w", storage.ErrStorage, err)
}

// diverges checks the reader's last epoch against the log's (KIP-595) and notes where they part.
func (p *Partition) diverges(f *FetchPart, start int64) (bool, error) {
	end := p.log.EndOffsetForEpoch(f.LastFetchedEpoch)
	if end.Epoch < 0 || end.EndOffset < 0 || f.Offset < start {
		return false, storage.ErrOffsetOutOfRange
	}
	if end.Epoch < f.LastFetchedEpoch || end.EndOffset < f.Offset {
		f.Diverging = &end
		return true, nil
	}
	return false, nil
}
