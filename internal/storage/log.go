package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// env is what the logs of a directory share.
type env struct {
	fs     vfs.FS
	clock  clock.Clock
	logger *slog.Logger
	files  *fileCache
	syncer *syncer
	// after runs fn later; the manager's stops with it.
	after func(d time.Duration, fn func())
	// pointLowered makes it durable that a log's recovery point is no higher than an offset.
	pointLowered func(l *Log, to int64) error
	// segmentSynced is told that a segment has come to the disk that is not the active one; may be nil. It must not block.
	segmentSynced func(*Log)
	// markLowered makes it durable that a log's high watermark is no higher than an offset: it is about to be cut there.
	markLowered func(l *Log, to int64) error
	// noteMarks makes the high watermarks of all open logs durable.
	noteMarks func() error
	// startMoved makes a log's start offset durable.
	startMoved func(*Log) error
	// touch notes that a log changes for the first time since it was left in order.
	touch func(*Log) error
	// urgent asks for a log to be recovered before the others.
	urgent func(*Log)
	// failed is told that a write or sync in the directory has failed for good; may be nil.
	failed func(error)
	// doubtPages is told that a sync has failed, so that what the kernel calls written may be lost; may be nil.
	doubtPages func()
	// probe tries the directory out at once, and takes it out of use if it is not well; may be nil.
	probe func()
	// lookFor looks whether the log's directory is still there, differs is told of a log that ends elsewhere than was known, and
	// noteLoss notes up to where it had reached, durably; all may be nil.
	lookFor  func(*Log)
	differs  func(*Log)
	noteLoss func(l *Log, topicID [16]byte, upTo int64) error
	// suspect is told that a read has failed.
	suspect func()
	space   *space // nil where any append may fill the disk
	// stopping ends recoveries that are under way.
	stopping atomic.Bool
	// tornTailBytes is how much of a segment's end is checked in full after a kill.
	tornTailBytes int64
	// lastConfig is shared by the logs of one topic, which are opened one after another.
	lastConfig atomic.Pointer[LogConfig]
	verify     bool         // the bytes of segments that were found are checked before they are first given out
	damaged    atomic.Int64 // places found damaged
	aside      atomic.Int64 // files in which damaged records were kept
	flushTimes func(time.Duration)
	small      smallReads
	// verifyTxns: records of a transaction are taken only with a guard; see StartVerification.
	verifyTxns *atomic.Bool // nil: they are not
}

// share returns cfg where other logs can hold the same one.
func (e *env) share(cfg LogConfig) *LogConfig {
	if last := e.lastConfig.Load(); last != nil && *last == cfg {
		return last
	}
	e.lastConfig.Store(&cfg)
	return &cfg
}

// Log is one partition's log. It is safe for concurrent use; appends are serialised inside.
type Log struct {
	tp  TopicPartition
	dir string
	env *env
	cfg atomic.Pointer[LogConfig]

	lazy lazy

	// replaceMu is held over whatever removes, cuts or replaces segments other than the last, and over its I/O; taken before
	// appendMu. So the cleaner's renames hold no append up.
	replaceMu sync.Mutex
	// appendMu serialises everything that changes the log, and is held over its I/O.
	appendMu sync.Mutex
	// mu guards what is in memory, for moments. What it guards is changed only by who
	// holds appendMu too (flags of a segment's durability excepted), so the holder
	// of appendMu may read without mu.
	mu          sync.RWMutex
	segments    []*segment // in order of base, never empty; the last is active
	producers   producers
	epochs      epochCache
	truncations int64 // how often the tail was cut, so that a sync or a read that ran meanwhile knows
	lowestCut   int64 // where the tail was cut lowest since the log's copy was last told (future.go)
	topicID     [16]byte
	topicIDFile bool // partition.metadata may not be on the disk
	dirDirty    bool // the directory's own name may not be
	pagesLost   bool // a sync found no space: what is unsynced must be written again before the next

	// Changed under mu, read without. Always logStart <= hw <= leo and synced <= leo.
	logStart, hw, leo, synced atomic.Int64
	// unstable is the first offset of an undecided transaction, or MaxInt64.
	unstable atomic.Int64

	unfinished *unfinishedCut // what is left to be done of a cut, or nil; owned by the holder of appendMu

	lastSnapshot int64 // offset of the newest producer snapshot, -1 for none; owned by the holder of appendMu

	hwMoved  atomic.Bool           // the high watermark is not what the checkpoint says
	hwAbove  atomic.Bool           // the checkpoint names one above the end that was found: that must not count for what is appended
	vanished atomic.Bool           // its directory was found gone
	lostUpTo atomic.Int64          // records below were lost, and it is not decided how the log goes on; 0 for none (lost.go)
	changed  atomic.Bool           // something was written since the log was opened in order
	failure  atomic.Pointer[error] // why the log takes no more appends
	closed   atomic.Bool
	copying  atomic.Bool // a copy of it grows in another directory, and the cleaner must wait
	settled  atomic.Bool // nothing is appended any more, since the directory closes

	flushMu    sync.Mutex // one sync of this log at a time, held over it
	waitMu     sync.Mutex
	waiters    []syncWaiter // guarded by waitMu
	enqueued   bool         // guarded by the syncer's mu
	flushDueMs atomic.Int64 // when a flush by flush.ms is due; 0 for none
	retired    []string     // guarded by mu: files of deleted segments that wait for their removal

	marks     marks
	compacted atomic.Bool // the cleaner has been in it
	txnCheck  txnCheck
	foundTo   atomic.Int64 // what lies below was found, not written by this process; lowered under mu

	// Transactions whose first records are on the way, by producer; owned by the holder of appendMu.
	verifying map[int64]*verification
	lastGuard VerificationGuard

	// Scratch of an append, owned by the holder of appendMu.
	aborted []AbortedTxn
}

// TopicPartition is the partition the log belongs to.
func (l *Log) TopicPartition() TopicPartition { return l.tp }

// Dir is the partition's directory.
func (l *Log) Dir() string { return l.dir }

// LogDir is the log directory that the partition's directory lies in.
func (l *Log) LogDir() string { return path.Dir(l.dir) }

// TopicID is the topic's id; zero when it is not known.
func (l *Log) TopicID() [16]byte {
	if !l.isOpen() {
		return l.topicIDOnDisk()
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.topicID
}

// LogStartOffset is the first offset that can be read.
func (l *Log) LogStartOffset() int64 {
	_ = l.ensure() // what cannot be opened says so where it is used
	return l.logStart.Load()
}

// LogEndOffset is the offset that the next record will get.
func (l *Log) LogEndOffset() int64 {
	_ = l.ensure()
	return l.leo.Load()
}

// FlushedOffset is the recovery point: everything below it is on the disk.
func (l *Log) FlushedOffset() int64 {
	_ = l.ensure()
	return l.synced.Load()
}

// HighWatermark is the offset up to which records are committed.
func (l *Log) HighWatermark() int64 {
	_ = l.ensure()
	return l.hw.Load()
}

// LastStableOffset is the high watermark, or the start of the first undecided transaction below it; never
// less than the log's start, behind which records of a transaction may have been deleted.
func (l *Log) LastStableOffset() int64 {
	_ = l.ensure()
	stable := max(l.logStart.Load(), l.unstable.Load())
	return min(l.hw.Load(), stable)
}

// SetHighWatermark sets the high watermark, brought into the log's range.
func (l *Log) SetHighWatermark(hw int64) {
	if l.ensure() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setHighWatermarkLocked(hw)
}

// moveHighWatermark also notes that the checkpoint is behind: one that names an offset above the log's end would
// commit what is appended there next.
func (l *Log) moveHighWatermark(hw int64) {
	if l.hw.Swap(hw) != hw && !l.hwMoved.Load() {
		l.hwMoved.Store(true)
	}
}

func (l *Log) setHighWatermarkLocked(hw int64) {
	hw = max(l.logStart.Load(), min(hw, l.leo.Load()))
	l.moveHighWatermark(hw)
	if len(l.producers.unreplicated) > 0 {
		l.producers.highWatermarkMoved(hw)
	}
	l.unstable.Store(l.producers.firstUnstable())
}

// Config is the log's configuration.
func (l *Log) Config() LogConfig { return *l.cfg.Load() }

func (l *Log) config() *LogConfig { return l.cfg.Load() }

// SetConfig replaces the log's configuration; it counts from the next append on.
func (l *Log) SetConfig(cfg LogConfig) {
	l.cfg.Store(l.env.share(cfg))
	if l.isOpen() && l.synced.Load() < l.leo.Load() {
		l.flushLater(&cfg)
	}
}

// Size is the size of all segments' records in bytes.
func (l *Log) Size() int64 {
	if !l.isOpen() {
		bytes, _ := sizeOnDisk(l.env.fs, l.dir)
		return bytes
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	var n int64
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// NumSegments is how many segments the log has.
func (l *Log) NumSegments() int {
	if !l.isOpen() {
		_, n := sizeOnDisk(l.env.fs, l.dir)
		return n
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.segments)
}

// ActiveProducers is what the log remembers of idempotent producers, in no order.
func (l *Log) ActiveProducers() []ProducerState {
	_ = l.ensure()
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]ProducerState, 0, len(l.producers.byID))
	for _, p := range l.producers.byID {
		out = append(out, ProducerState{ProducerID: p.id, ProducerEpoch: p.epoch, LastSequence: p.lastSeq(),
			LastTimestampMs: p.lastTimestampMs, CoordinatorEpoch: p.coordinatorEpoch, CurrentTxnStartOffset: p.txnFirstOffset})
	}
	return out
}

// ExpireProducers forgets producers that have been silent since before a time.
func (l *Log) ExpireProducers(beforeMs int64) int {
	if !l.isOpen() {
		return 0
	}
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.expireVerifications(beforeMs)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.producers.expire(beforeMs)
}

// LatestEpoch is the newest leader epoch the log knows.
func (l *Log) LatestEpoch() (int32, bool) {
	_ = l.ensure()
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.epochs.latest()
}

// EpochForOffset is the leader epoch that a record was written in.
func (l *Log) EpochForOffset(offset int64) (int32, bool) {
	_ = l.ensure()
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.epochs.epochFor(offset)
}

// EndOffsetForEpoch is the largest known epoch not above the given one, and where it ends.
func (l *Log) EndOffsetForEpoch(epoch int32) EpochEndOffset {
	_ = l.ensure()
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.epochs.endOffset(epoch, l.leo.Load())
}

// AssignEpochStart notes that a leader epoch begins at an offset, usually the log's end.
func (l *Log) AssignEpochStart(epoch int32, start int64) {
	if l.ensure() != nil {
		return
	}
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epochs.assign(epoch, start)
}

// saveEpochs brings the leader-epoch checkpoint up to date. appendMu is held.
func (l *Log) saveEpochs() error { return l.writeEpochs(true) }

// writeEpochs is saveEpochs; without sync, for a directory that will be synced as a whole. Should the power go before,
// the batches tell the epochs.
func (l *Log) writeEpochs(sync bool) error {
	l.mu.Lock()
	dirty, data := l.epochs.dirty, []byte(nil)
	if dirty {
		data = l.epochs.encode()
		l.epochs.dirty = false
	}
	l.mu.Unlock()
	if !dirty {
		return nil
	}
	write := vfs.WriteFileAtomic
	if !sync {
		write = func(fsys vfs.FS, name string, data []byte) error { return writeFile(fsys, name, data, false) }
	}
	if err := write(l.env.fs, path.Join(l.dir, leaderEpochFile), data); err != nil {
		l.mu.Lock()
		l.epochs.dirty = true
		l.mu.Unlock()
		return fmt.Errorf("cannot save the leader epochs of %s: %w", l.tp, err)
	}
	return nil
}

// SetTopicID notes the topic's id in a log that does not know one yet.
func (l *Log) SetTopicID(id [16]byte) error {
	have := l.TopicID()
	if have == id {
		return nil
	}
	if have == ([16]byte{}) && l.adoptTopicID(id) {
		return nil
	}
	if err := l.ensure(); err != nil {
		return err
	}
	return l.noteTopicID(id)
}

func (l *Log) noteTopicID(id [16]byte) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if err := l.errWrite(); err != nil {
		return err // the directory may be a successor's by now
	}
	l.mu.RLock()
	have := l.topicID
	l.mu.RUnlock()
	if have == id {
		return nil
	}
	if have != ([16]byte{}) {
		return fmt.Errorf("%w: %s belongs to topic id %s, not to %s", ErrInconsistentTopicID, l.dir, encodeUUID(have), encodeUUID(id))
	}
	if err := l.writeTopicID(id); err != nil {
		return fmt.Errorf("cannot note the topic id of %s: %w", l.tp, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.topicID, l.topicIDFile = id, true
	return nil
}

// hasFailed says that the log takes no more appends because of its disk.
func (l *Log) hasFailed() bool { return l.failure.Load() != nil }

// Err is why the log takes no more appends, or nil.
func (l *Log) Err() error {
	if e := l.failure.Load(); e != nil {
		return *e
	}
	if l.closed.Load() {
		return fmt.Errorf("%w: %s", ErrClosed, l.tp)
	}
	return nil
}

// errWrite is Err for who wants to change the log.
func (l *Log) errWrite() error {
	if err := l.Err(); err != nil {
		return err
	}
	if l.settled.Load() {
		return fmt.Errorf("%w: %s", ErrClosed, l.tp)
	}
	return l.errUnfinished()
}

// fail is failLog for a write or a sync that failed: as in Kafka, the whole log directory goes out of use with the
// log, unless there was only a lack of space or of descriptors. When a file is not there, only the log's own directory may be
// gone: the log directory is tried out.
func (l *Log) fail(cause error) error {
	err := l.failLog(cause)
	if errors.Is(cause, fs.ErrNotExist) && l.env.probe != nil {
		l.env.probe()
		l.env.lookFor(l)
		return err
	}
	if isShortage(cause) {
		return err
	}
	if l.env.failed != nil && isIOError(cause) && !isDiskFull(cause) {
		l.env.failed(cause)
	}
	return err
}

// isIOError says that the operating system has refused something, and that it was not this program's mistake.
func isIOError(err error) bool {
	if errors.Is(err, errGone) || errors.Is(err, fs.ErrClosed) {
		return false
	}
	var path *fs.PathError
	return errors.As(err, &path)
}

// failLog marks the log: its disk can no longer be trusted to keep what is appended.
// The first reason sticks.
func (l *Log) failLog(cause error) error {
	if errors.Is(cause, errGone) || errors.Is(cause, ErrClosed) {
		return cause
	}
	err := fmt.Errorf("%w: %s takes no more appends: %w", ErrStorage, l.tp, cause)
	if l.failure.CompareAndSwap(nil, &err) {
		l.env.logger.Error("log has failed", "partition", l.tp.String(), "dir", l.dir, "err", cause)
	}
	return err
}

func (l *Log) nowMs() int64 { return clock.Millis(l.env.clock.Now()) }

func (l *Log) active() *segment { return l.segments[len(l.segments)-1] }
