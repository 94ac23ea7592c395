package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// How far a log is on its way to serve.
const (
	logOpen int32 = iota
	// logDormant: it was left in order and nobody has needed it since. Its files are not looked at before.
	logDormant
	// logUnrecovered: it must be checked before it serves; the directory's recovery does that.
	logUnrecovered
)

// lazy is what is known of a log that is not open. A node has many more logs than are in use: what is not used costs
// a start neither time nor descriptors, and little memory.
type lazy struct {
	state atomic.Int32
	// abandoned says that the log will not be needed any more: an opening that is under way ends.
	abandoned atomic.Bool
	small     atomic.Bool // it has one segment, so that there is nothing to clean

	// openMu is held while the log opens, which may take long. It is taken before any other lock of the log.
	openMu sync.Mutex
	// mu guards the rest, for moments.
	mu    sync.Mutex
	st    *dormant // nil once the log is open
	epoch int32    // the leader epoch that has begun while nobody looked, -1 for none
	seen  *Glance  // of a dormant log, which does not change; nil until somebody has looked
	ready []func() // to be called when the log has been recovered, well or not
}

// dormant is what the log directory's small files say of a log.
type dormant struct {
	logStart, recoveryPoint, highWatermark int64
	clean, sameBoot, pagesDoubted          bool
	endKnown                               bool // the log was left in order, at recoveryPoint
	compacted                              bool // the cleaner has been in it
	cleanedTo                              int64
}

// stateLocked is what is to be known to open the log.
func (l *Log) stateLocked(segments *atomic.Int64) openState {
	d := l.lazy.st
	proven := max(d.recoveryPoint, 0)
	if d.sameBoot && !d.clean || d.clean && !d.endKnown { // one that was left in order has committed nothing behind its end
		proven = max(proven, d.highWatermark) // what was committed was written, and nothing that was written can have gone
	}
	// Without a recovery point the log may have come from anywhere.
	return openState{distrust: d.recoveryPoint < 0, tp: l.tp, dir: l.dir, clean: d.clean, logStart: d.logStart, recoveryPoint: d.recoveryPoint, syncedTo: max(d.recoveryPoint, 0), provenTo: proven,
		highWatermark: d.highWatermark, sameBoot: d.sameBoot, pagesDoubted: d.pagesDoubted, compacted: d.compacted, cleanedTo: d.cleanedTo, endKnown: d.endKnown, segmentsLeft: segments}
}

// newDormantLog is the log of a directory without a look at its files.
func newDormantLog(e *env, tp TopicPartition, dir string, cfg LogConfig, topicID [16]byte, st dormant) *Log {
	l := newLog(e, tp, dir, cfg)
	l.lazy.st, l.lazy.epoch = &st, -1
	l.topicID = topicID
	l.lazy.state.Store(logUnrecovered)
	if st.clean {
		l.lazy.state.Store(logDormant)
	}
	return l
}

// ensure opens a log that is dormant. It says why the log cannot be used: ErrNotReady for one that is still to be
// recovered, which it asks to be next.
func (l *Log) ensure() error {
	if l.lazy.state.Load() == logOpen {
		return nil
	}
	return l.wakeUp()
}

func (l *Log) wakeUp() error {
	if l.lazy.state.Load() == logUnrecovered && !l.closed.Load() && l.failure.Load() == nil {
		l.env.urgent(l)
		return fmt.Errorf("%w: %s", ErrNotReady, l.tp)
	}
	l.lazy.openMu.Lock()
	defer l.lazy.openMu.Unlock()
	return l.openLocked(nil)
}

// openLocked opens the log if it is not open; openMu is held.
func (l *Log) openLocked(segments *atomic.Int64) error {
	if l.lazy.state.Load() == logOpen {
		return nil
	}
	if err := l.Err(); err != nil {
		return err
	}
	if l.lazy.abandoned.Load() {
		return fmt.Errorf("%w: %s", ErrClosed, l.tp)
	}
	l.lazy.mu.Lock()
	st := l.stateLocked(segments)
	l.lazy.mu.Unlock()
	if err := l.load(st); err != nil {
		l.unload()
		if passes(err) {
			return fmt.Errorf("%w: %w", ErrStorage, err)
		}
		l.env.suspect()
		if errors.Is(err, fs.ErrNotExist) && l.env.lookFor != nil {
			l.env.lookFor(l)
		}
		return l.failLog(err)
	}
	if end := l.leo.Load(); l.env.differs != nil && (end < st.provenTo || st.endKnown && end > st.syncedTo) {
		defer l.env.differs(l) // when it is open
	}
	l.lazy.mu.Lock()
	defer l.lazy.mu.Unlock()
	if l.lazy.epoch >= 0 {
		l.epochs.assign(l.lazy.epoch, l.leo.Load())
	}
	l.lazy.st, l.lazy.seen = nil, nil
	l.lazy.state.Store(logOpen)
	return nil
}

// passes says that something failed for want of what may be there again later.
func passes(err error) bool { return isDiskFull(err) || isShortage(err) || errors.Is(err, ErrClosed) }

// isShortage says that the process or the kernel has run out of something, and that the disk is not to blame. No sync
// fails so, but the opening of a file before it does.
func isShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// Wake opens a log that is dormant, or says why it cannot be used now. Who acts on a log's offsets wakes it first: of one
// that cannot be opened for the moment they all read 0.
func (l *Log) Wake() error { return l.ensure() }

// recoverNow opens a log that had to be checked, and tells who has waited for it.
func (l *Log) recoverNow(segments *atomic.Int64) {
	l.lazy.openMu.Lock()
	_ = l.openLocked(segments) // it sticks in the log, or it passes
	l.lazy.mu.Lock()
	// Something may have been missing that passes: then whoever needs the log tries again.
	l.lazy.state.CompareAndSwap(logUnrecovered, logDormant)
	ready := l.lazy.ready
	l.lazy.ready = nil
	l.lazy.mu.Unlock()
	l.lazy.openMu.Unlock()
	for _, fn := range ready {
		fn()
	}
}

// WhenReady calls fn when the log has been recovered, well or not; ok is false, and fn is not called, when there is
// nothing to wait for.
func (l *Log) WhenReady(fn func()) (ok bool) {
	l.lazy.mu.Lock()
	defer l.lazy.mu.Unlock()
	if l.lazy.state.Load() != logUnrecovered {
		return false
	}
	l.lazy.ready = append(l.lazy.ready, fn)
	return true
}

// Dormant says that the log has not been needed yet, was left in order, and had everything committed then.
func (l *Log) Dormant() bool {
	if l.lazy.state.Load() != logDormant {
		return false
	}
	l.lazy.mu.Lock()
	defer l.lazy.mu.Unlock()
	st := l.lazy.st
	return st != nil && st.endKnown && st.highWatermark >= st.recoveryPoint
}

// BeginEpoch notes that a leader epoch begins at the log's end, which it returns. A dormant log stays so. Of one that cannot be
// opened for the moment the end is not known; it remembers the epoch for when it is.
func (l *Log) BeginEpoch(epoch int32) (int64, error) {
	if end, ok := l.beginEpochAsleep(epoch); ok {
		return end, nil
	}
	if err := l.ensure(); err != nil {
		l.lazy.mu.Lock()
		defer l.lazy.mu.Unlock()
		if l.lazy.st != nil {
			l.lazy.epoch = max(l.lazy.epoch, epoch)
		}
		return 0, err
	}
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epochs.assign(epoch, l.leo.Load())
	return l.leo.Load(), nil
}

func (l *Log) beginEpochAsleep(epoch int32) (end int64, ok bool) {
	l.lazy.mu.Lock()
	defer l.lazy.mu.Unlock()
	st := l.lazy.st
	if st == nil || !st.endKnown || l.lazy.state.Load() != logDormant {
		return 0, false
	}
	l.lazy.epoch = max(l.lazy.epoch, epoch)
	return st.recoveryPoint, true
}

// isUnchecked says that the log was not left in order and has not been checked since.
func (l *Log) isUnchecked() bool {
	l.lazy.mu.Lock()
	defer l.lazy.mu.Unlock()
	return l.lazy.st != nil && !l.lazy.st.clean
}

// isOpen says that the log's files have been looked at.
func (l *Log) isOpen() bool { return l.lazy.state.Load() == logOpen }

// abandonLazy ends a log that was never opened.
func (l *Log) abandonLazy() {
	l.lazy.abandoned.Store(true)
	l.lazy.openMu.Lock()
	defer l.lazy.openMu.Unlock()
	if !l.isOpen() {
		l.closed.Store(true)
	}
}

// topicIDOnDisk reads the topic's id of a log that is not open.
func (l *Log) topicIDOnDisk() [16]byte {
	id := l.idSoFar()
	if id != ([16]byte{}) || l.isOpen() || l.closed.Load() {
		return id
	}
	id, _, err := readPartitionMetadata(l.env.fs, l.dir)
	if err != nil {
		return [16]byte{} // to be told where the log opens
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.topicID == ([16]byte{}) {
		l.topicID = id
	}
	return l.topicID
}

// adoptTopicID gives a log that is not open, and whose directory names no topic, its topic's id.
func (l *Log) adoptTopicID(id [16]byte) (adopted bool) {
	if l.lazy.state.Load() != logDormant {
		l.lazy.mu.Lock()
		defer l.lazy.mu.Unlock()
		if l.lazy.st == nil {
			return false
		}
		// One that is being checked is told when that is done: a power cut has left it without the id.
		l.lazy.ready = append(l.lazy.ready, func() {
			if err := l.noteTopicID(id); err != nil && !errors.Is(err, ErrClosed) && l.failure.Load() == nil {
				l.env.logger.Error("cannot note a topic's id", "partition", l.tp.String(), "err", err)
			}
		})
		return true
	}
	return false
}

// Glance is what can be told of a log without opening it.
type Glance struct {
	LogStartOffset, LogEndOffset, HighWatermark int64
	SizeBytes                                   int64
	Segments                                    int
}

// Glance tells of the log, for metrics and descriptions: one that nobody uses is not opened for it. Of one that is
// still to be recovered nothing but its size is known.
func (l *Log) Glance() Glance {
	l.lazy.mu.Lock()
	seen, st := l.lazy.seen, l.lazy.st
	l.lazy.mu.Unlock()
	if st == nil {
		return Glance{LogStartOffset: l.logStart.Load(), LogEndOffset: l.leo.Load(), HighWatermark: l.hw.Load(), SizeBytes: l.Size(), Segments: l.NumSegments()}
	}
	if seen != nil {
		return *seen
	}
	var g Glance
	var first int64
	g.SizeBytes, g.Segments, first = lookInto(l.env.fs, l.dir)
	if !st.endKnown {
		return g
	}
	g.LogStartOffset, g.LogEndOffset = max(first, st.logStart), st.recoveryPoint
	g.HighWatermark = min(max(st.highWatermark, g.LogStartOffset), g.LogEndOffset)
	l.lazy.mu.Lock()
	defer l.lazy.mu.Unlock()
	if l.lazy.st != nil {
		l.lazy.seen = &g
	}
	return g
}

// lookInto is sizeOnDisk, and the offset of the first segment.
func lookInto(fsys vfs.FS, dir string) (bytes int64, segments int, first int64) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return 0, 0, 0
	}
	for _, e := range entries {
		if len(e.Name()) != segmentNameDigits+len(logSuffix) || e.Name()[segmentNameDigits:] != logSuffix {
			continue
		}
		base, err := strconv.ParseInt(e.Name()[:segmentNameDigits], 10, 64)
		info, ierr := e.Info()
		if err != nil || ierr != nil {
			continue
		}
		if segments == 0 {
			first = base // they are sorted
		}
		bytes += info.Size()
		segments++
	}
	return bytes, segments, first
}

// sizeOnDisk adds up the segments of a log that is not open.
func sizeOnDisk(fsys vfs.FS, dir string) (bytes int64, segments int) {
	bytes, segments, _ = lookInto(fsys, dir)
	return bytes, segments
}
