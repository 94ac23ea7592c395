package storage

import (
	"errors"
	"fmt"
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

	// openMu is held while the log opens. It is taken before any other lock of the log.
	openMu    sync.Mutex
	st        *dormant // guarded by openMu; nil once the log is open
	epoch     int32    // guarded by openMu: the leader epoch that has begun while nobody looked, -1 for none
	abandoned atomic.Bool
	small     atomic.Bool // it has one segment, so that there is nothing to clean
	ready     []func()    // guarded by openMu: to be called when the log has been recovered, well or not
}

// dormant is what the log directory's small files say of a log.
type dormant struct {
	logStart, recoveryPoint, highWatermark int64
	clean, sameBoot                        bool
	endKnown                               bool // the log was left in order, at recoveryPoint
	compacted                              bool // the cleaner has been in it
	cleanedTo                              int64
	adoptTopicID                           [16]byte // for a directory that names no topic
}

// stateLocked is what is to be known to open the log.
func (l *Log) stateLocked(segments *atomic.Int64) openState {
	d := l.lazy.st
	return openState{tp: l.tp, dir: l.dir, clean: d.clean, logStart: d.logStart, recoveryPoint: d.recoveryPoint, syncedTo: max(d.recoveryPoint, 0),
		highWatermark: d.highWatermark, adoptTopicID: d.adoptTopicID, sameBoot: d.sameBoot, compacted: d.compacted, cleanedTo: d.cleanedTo, segmentsLeft: segments}
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
	if err := l.load(l.stateLocked(segments)); err != nil {
		l.unload()
		if passes(err) {
			return fmt.Errorf("%w: %w", ErrStorage, err)
		}
		l.env.suspect()
		return l.failLog(err)
	}
	if l.lazy.epoch >= 0 {
		l.epochs.assign(l.lazy.epoch, l.leo.Load())
	}
	l.lazy.st = nil
	l.lazy.state.Store(logOpen)
	return nil
}

// passes says that an open failed for want of something that may be there again later.
func passes(err error) bool {
	return isDiskFull(err) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, ErrClosed)
}

// recoverNow opens a log that had to be checked, and tells who has waited for it.
func (l *Log) recoverNow(segments *atomic.Int64) {
	l.lazy.openMu.Lock()
	_ = l.openLocked(segments) // it sticks in the log, or it passes
	if l.lazy.state.Load() == logUnrecovered && l.failure.Load() == nil {
		l.lazy.state.Store(logDormant) // something was missing: whoever needs it tries again
	}
	ready := l.lazy.ready
	l.lazy.ready = nil
	l.lazy.openMu.Unlock()
	for _, fn := range ready {
		fn()
	}
}

// WhenReady calls fn when the log has been recovered, well or not; ok is false, and fn is not called, when there is
// nothing to wait for.
func (l *Log) WhenReady(fn func()) (ok bool) {
	if l.lazy.state.Load() != logUnrecovered {
		return false
	}
	l.lazy.openMu.Lock()
	defer l.lazy.openMu.Unlock()
	if l.lazy.state.Load() != logUnrecovered || l.Err() != nil {
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
	l.lazy.openMu.Lock()
	defer l.lazy.openMu.Unlock()
	st := l.lazy.st
	return st != nil && st.endKnown && st.highWatermark >= st.recoveryPoint
}

// BeginEpoch notes that a leader epoch begins at the log's end, which it returns. A dormant log stays so.
func (l *Log) BeginEpoch(epoch int32) int64 {
	if l.lazy.state.Load() == logDormant {
		l.lazy.openMu.Lock()
		if st := l.lazy.st; st != nil && st.endKnown && l.lazy.state.Load() == logDormant {
			l.lazy.epoch = max(l.lazy.epoch, epoch)
			end := st.recoveryPoint
			l.lazy.openMu.Unlock()
			return end
		}
		l.lazy.openMu.Unlock()
	}
	if l.ensure() != nil {
		return 0
	}
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epochs.assign(epoch, l.leo.Load())
	return l.leo.Load()
}

// isOpen says that the log's files have been looked at.
func (l *Log) isOpen() bool { return l.lazy.state.Load() == logOpen }

// abandonLazy ends a log that was never opened.
func (l *Log) abandonLazy() {
	l.lazy.abandoned.Store(true) // a recovery that is under way ends
	l.lazy.openMu.Lock()
	defer l.lazy.openMu.Unlock()
	l.lazy.ready = nil
	if !l.isOpen() {
		l.closed.Store(true)
	}
}

// topicIDOnDisk reads the topic's id of a log that is not open.
func (l *Log) topicIDOnDisk() [16]byte {
	l.lazy.openMu.Lock()
	defer l.lazy.openMu.Unlock()
	l.mu.RLock()
	id := l.topicID
	l.mu.RUnlock()
	if id != ([16]byte{}) || l.isOpen() || l.closed.Load() {
		return id
	}
	id, _, err := readPartitionMetadata(l.env.fs, l.dir)
	if err != nil {
		return [16]byte{} // to be told where the log opens
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.topicID = id
	return id
}

// adoptTopicID gives a log that is not open, and whose directory names no topic, its topic's id.
func (l *Log) adoptTopicID(id [16]byte) (adopted bool) {
	l.lazy.openMu.Lock()
	defer l.lazy.openMu.Unlock()
	if l.isOpen() || l.lazy.st == nil {
		return false
	}
	l.lazy.st.adoptTopicID = id
	l.mu.Lock()
	defer l.mu.Unlock()
	l.topicID = id
	return true
}

// sizeOnDisk adds up the segments of a log that is not open.
func sizeOnDisk(fsys vfs.FS, dir string) (bytes int64, segments int) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return 0, 0
	}
	for _, e := range entries {
		if len(e.Name()) != segmentNameDigits+len(logSuffix) || e.Name()[segmentNameDigits:] != logSuffix {
			continue
		}
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
			segments++
		}
	}
	return bytes, segments
}
