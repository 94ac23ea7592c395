package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// MetadataLogDir is the metadata log's directory, which the quorum opens by itself.
const MetadataLogDir = "__cluster_metadata-0"

const (
	deleteDirSuffix = "-delete"
	futureDirSuffix = "-future"
	strayDirSuffix  = "-stray"
	// maxFileNameBytes is what file systems allow in a name.
	maxFileNameBytes = 255
	// closeThreads is how many logs of a directory are closed at once: closing waits for syncs.
	closeThreads = 8
)

// ManagerOptions say what a manager manages. Zero intervals take Kafka's defaults.
type ManagerOptions struct {
	FS     vfs.FS
	Clock  clock.Clock
	Logger *slog.Logger // nil for none

	Dirs      []string // log.dirs
	ClusterID string   // "" accepts any
	NodeID    int32    // below 0 accepts any

	DefaultConfig LogConfig
	// ConfigFor gives a topic's configuration when its logs are opened; nil means DefaultConfig.
	ConfigFor func(topic string) LogConfig

	RecoveryThreadsPerDir int // num.recovery.threads.per.data.dir
	MaxOpenFiles          int

	RetentionCheckIntervalMs          int64 // log.retention.check.interval.ms
	RecoveryPointCheckpointIntervalMs int64 // log.flush.offset.checkpoint.interval.ms
	StartOffsetCheckpointIntervalMs   int64 // log.flush.start.offset.checkpoint.interval.ms
	HighWatermarkCheckpointIntervalMs int64 // replica.high.watermark.checkpoint.interval.ms
	ProducerIDExpirationMs            int64 // producer.id.expiration.ms
	ProducerIDExpirationCheckMs       int64 // producer.id.expiration.check.interval.ms

	Cleaner CleanerConfig // the zero value is DefaultCleanerConfig
	// BackgroundRecovery lets OpenManager return while logs are still being checked: those answer ErrNotReady until
	// they are. Without it, OpenManager waits for the last.
	BackgroundRecovery bool
	// BootID names the boot of the kernel; "" when it is not known.
	BootID string
	// tornTailBytes is less than the constant in tests, whose segments are small; 0 for the constant.
	tornTailBytes int64
	// ReserveBytes is what clients' records leave free on a volume: AutoReserve, or 0 for nothing.
	ReserveBytes int64
	// DirCheckIntervalMs is how often each directory is probed without a reason; below 0 never.
	DirCheckIntervalMs int64
	// VerifyReads checks the records of segments that were found, before they are first given out.
	VerifyReads bool
	// ScrubBytesPerSecond is how much of the closed segments is read in search of damage; 0 for nothing.
	ScrubBytesPerSecond int64
	// OnDirFailed is told, from a goroutine of its own, of a directory that has gone out of use and of how many are left; may be nil.
	OnDirFailed func(d DirInfo, left int)
	// OnDiffers is told, from a goroutine of its own, of a log that was found to end elsewhere than was known when the partition
	// took its role: it has lost records (Log.LostUpTo), or has more. With nil, logs that have lost records go on where they end.
	OnDiffers func(TopicPartition)
	// FlushTimes is told how long each sync of a log took; may be nil.
	FlushTimes func(time.Duration)

	// BrokerEpoch is written into the clean-shutdown marker; nil writes none.
	BrokerEpoch func() int64
	// ConfigsComeLater says that the logs are found before the configuration of their topics is known: retention begins with
	// the cleaner, since the node's defaults may delete what a topic keeps.
	ConfigsComeLater bool
}

func (o *ManagerOptions) fill() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ConfigFor == nil {
		cfg := o.DefaultConfig
		o.ConfigFor = func(string) LogConfig { return cfg }
	}
	if o.tornTailBytes == 0 {
		o.tornTailBytes = tornTailBytes
	}
	if o.RecoveryThreadsPerDir <= 0 {
		o.RecoveryThreadsPerDir = 2
	}
	for p, ms := range map[*int64]int64{
		&o.RetentionCheckIntervalMs: 300_000, &o.RecoveryPointCheckpointIntervalMs: 60_000, &o.StartOffsetCheckpointIntervalMs: 60_000,
		&o.HighWatermarkCheckpointIntervalMs: 5_000, &o.ProducerIDExpirationMs: 86_400_000, &o.ProducerIDExpirationCheckMs: 600_000, &o.DirCheckIntervalMs: 30_000,
	} {
		if *p == 0 {
			*p = ms
		}
	}
}

// Manager owns all logs of a node but the metadata log.
type Manager struct {
	opts      ManagerOptions
	files     *fileCache
	scheduler *scheduler
	cleaner   *cleaner
	dirs      []*logDir
	serial    atomic.Int64  // makes names of deleted directories unique
	removals  chan struct{} // holds one for each removal under way

	producerIDExpirationMs atomic.Int64
	cordoned               atomic.Pointer[[]string] // cordoned.log.dirs: no new log goes there
	verifyTxns             atomic.Bool              // transaction.partition.verification.enable

	createMu sync.Mutex // one creation or deletion at a time, held over its I/O

	mu      sync.RWMutex
	logs    map[TopicPartition]*Log    // guarded by mu
	futures map[TopicPartition]*Future // guarded by mu: logs on their way to another directory
	began   bool                       // guarded by mu: the logs have been found
	closed  bool                       // guarded by mu
}

// DirInfo is one log directory.
type DirInfo struct {
	Path string
	ID   [16]byte // directory.id
	Err  error    // why it is out of use, or nil
}

// OpenManager is PrepareManager and Start.
func OpenManager(o ManagerOptions) (*Manager, error) {
	m, err := PrepareManager(o)
	if err != nil {
		return nil, err
	}
	return m, m.Start()
}

// PrepareManager locks the log directories and checks whose they are. A directory that cannot be used is left out,
// with the reason in Dirs, unless it is the last. The manager is of use after Start, or Close.
func PrepareManager(o ManagerOptions) (*Manager, error) {
	o.fill()
	m := &Manager{opts: o, files: newFileCache(o.MaxOpenFiles), scheduler: newScheduler(o.Clock), logs: map[TopicPartition]*Log{}, futures: map[TopicPartition]*Future{},
		removals: make(chan struct{}, maxParallelRemovals)}
	m.cleaner = newCleaner(m, o.Cleaner)
	m.SetProducerIDExpirationMs(o.ProducerIDExpirationMs)
	if err := m.prepare(); err != nil {
		m.undo()
		return nil, err
	}
	return m, nil
}

// Start finds the logs in the directories and begins to recover those that need it.
func (m *Manager) Start() error {
	if err := m.open(); err != nil {
		m.undo()
		return err
	}
	for _, d := range m.dirs {
		d.startRecovery(m.logsIn(d))
	}
	if !m.opts.BackgroundRecovery {
		m.AwaitRecovery()
	}
	m.startTasks()
	return nil
}

// undo gives back what a start that failed has taken.
func (m *Manager) undo() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.scheduler.stop()
	for _, l := range m.Logs() {
		_ = l.Close(false) // the error that matters is another
	}
	m.unlock()
}

func (m *Manager) prepare() error {
	if len(m.opts.Dirs) == 0 {
		return errors.New("cannot open the logs: no log directory is configured")
	}
	for _, p := range m.opts.Dirs {
		d := newLogDir(m, p)
		m.dirs = append(m.dirs, d)
		if err := d.prepare(); err != nil {
			var ioErr *fs.PathError
			if !errors.As(err, &ioErr) || errors.Is(err, vfs.ErrLocked) || errors.Is(err, fs.ErrNotExist) {
				return err // somebody's mistake, not a broken disk
			}
			d.setErr(err)
		}
	}
	for i, d := range m.dirs {
		for _, e := range m.dirs[:i] {
			if d.props.DirectoryID == e.props.DirectoryID && d.props.DirectoryID != ([16]byte{}) {
				return fmt.Errorf("cannot open the logs: %s and %s have the same directory.id %s", e.path, d.path, encodeUUID(d.props.DirectoryID))
			}
		}
	}
	return nil
}

func (m *Manager) open() error {
	m.mu.Lock()
	m.began = true
	m.mu.Unlock()
	var wg sync.WaitGroup
	for _, d := range m.dirs {
		if d.err() == nil {
			wg.Go(d.load)
		}
	}
	wg.Wait()
	var first error
	for _, d := range m.dirs {
		if d.err() == nil {
			continue
		}
		m.opts.Logger.Error("log directory is out of use", "dir", d.path, "err", d.err())
		if first == nil {
			first = d.err()
		}
	}
	if len(m.usableDirs()) == 0 {
		return fmt.Errorf("cannot use any log directory: %w", first)
	}
	if err := m.completeMoves(); err != nil {
		return err
	}
	return m.distribute()
}

// distribute takes the loaded logs into the manager; a partition may lie in one directory only.
func (m *Manager) distribute() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var twice error
	for _, d := range m.dirs {
		for _, l := range d.loaded {
			if other := m.logs[l.tp]; other != nil {
				twice = fmt.Errorf("cannot open the logs: %s lies in %s and in %s, remove one of them", l.tp, other.dir, l.dir)
				_ = l.Close(false) // nothing has been written to it
				continue
			}
			m.logs[l.tp] = l
		}
		d.loaded = nil
	}
	return twice
}

func (m *Manager) usableDirs() (usable []*logDir) {
	for _, d := range m.dirs {
		if d.err() == nil {
			usable = append(usable, d)
		}
	}
	return usable
}

// Dirs lists the log directories in the order they are configured.
func (m *Manager) Dirs() []DirInfo {
	out := make([]DirInfo, len(m.dirs))
	for i, d := range m.dirs {
		out[i] = DirInfo{Path: d.path, ID: d.props.DirectoryID, Err: d.err()}
	}
	return out
}

// PreviousBrokerEpoch is the broker epoch of the last run if that ended in order in
// all directories and nothing of what it left is gone, or -1: then the controller takes the broker out of the in-sync replicas.
func (m *Manager) PreviousBrokerEpoch() int64 {
	epoch := int64(noBrokerEpoch)
	for i, d := range m.dirs {
		if !d.clean || d.hasLost() || i > 0 && d.previousEpoch != epoch {
			return noBrokerEpoch
		}
		epoch = d.previousEpoch
	}
	return epoch
}

// Log is a partition's log, or nil.
func (m *Manager) Log(tp TopicPartition) *Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.logs[tp]
}

// Logs lists all logs, in no order.
func (m *Manager) Logs() []*Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]*Log, 0, len(m.logs))
	for _, l := range m.logs {
		out = append(out, l)
	}
	return out
}

func (m *Manager) logsIn(d *logDir) []*Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []*Log
	for _, l := range m.logs {
		if l.env == d.env {
			out = append(out, l)
		}
	}
	return out
}

// CreateLog makes a partition's log, in the directory of that id or, when it is zero,
// in the one with the fewest logs. A log that is there already is returned, if it is that topic's.
func (m *Manager) CreateLog(tp TopicPartition, topicID [16]byte, cfg LogConfig, dirID [16]byte) (*Log, error) {
	m.createMu.Lock()
	defer m.createMu.Unlock()
	if l := m.Log(tp); l != nil {
		return l, l.SetTopicID(topicID)
	}
	if m.isClosed() {
		return nil, fmt.Errorf("cannot create the log of %s: %w", tp, ErrClosed)
	}
	d, err := m.chooseDir(dirID)
	if err != nil {
		return nil, fmt.Errorf("cannot create the log of %s: %w", tp, err)
	}
	l, err := d.create(tp, topicID, cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot create the log of %s: %w", tp, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logs[tp] = l
	return l, nil
}

func (m *Manager) isClosed() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.closed
}

// SetCordoned names the log directories that take no new logs unless one is assigned to them; "*" stands for all.
func (m *Manager) SetCordoned(paths []string) { m.cordoned.Store(&paths) }

// Cordoned lists the ids of the log directories that take no new logs.
func (m *Manager) Cordoned() [][16]byte {
	ids := [][16]byte{}
	for _, d := range m.usableDirs() {
		if m.isCordoned(d) {
			ids = append(ids, d.props.DirectoryID)
		}
	}
	return ids
}

func (m *Manager) isCordoned(d *logDir) bool {
	paths := m.cordoned.Load()
	return paths != nil && slices.ContainsFunc(*paths, func(p string) bool { return p == "*" || path.Clean(p) == d.path })
}

func (m *Manager) chooseDir(id [16]byte) (*logDir, error) {
	usable := m.usableDirs()
	if len(usable) == 0 {
		return nil, ErrNoDirectory
	}
	if id == ([16]byte{}) {
		// The controller sends no replica to a broker of which every directory is cordoned; one that it has sent before
		// it knew must still lie somewhere.
		if open := slices.DeleteFunc(slices.Clone(usable), m.isCordoned); len(open) > 0 {
			usable = open
		}
		if len(usable) == 1 {
			return usable[0], nil
		}
		best, fewest := usable[0], len(m.logsIn(usable[0]))
		for _, d := range usable[1:] {
			if n := len(m.logsIn(d)); n < fewest {
				best, fewest = d, n
			}
		}
		return best, nil
	}
	for _, d := range usable {
		if d.props.DirectoryID == id {
			return d, nil
		}
	}
	return nil, fmt.Errorf("%w: none has the id %s", ErrNoDirectory, encodeUUID(id))
}

// DeleteLog takes a log out of use at once; its directory is renamed now and removed
// after file.delete.delay.ms.
func (m *Manager) DeleteLog(tp TopicPartition) error {
	m.createMu.Lock()
	defer m.createMu.Unlock()
	l := m.Log(tp)
	if l == nil {
		return nil
	}
	d, _ := m.takeOut(tp, l, false) // nothing of it is wanted
	if err := d.setLost(tp, [16]byte{}, 0); err != nil {
		return err
	}
	gone := path.Join(d.path, m.uniqueName(tp, deleteDirSuffix))
	if err := m.opts.FS.Rename(l.dir, gone); err != nil {
		return fmt.Errorf("cannot delete the log of %s: %w", tp, err)
	}
	m.opts.Logger.Info("deleting log", "partition", tp.String(), "dir", gone)
	m.scheduler.after(millis(l.config().FileDeleteDelayMs), func() { m.removeDir(gone) })
	// Else a power cut could bring the log back, or lay it beside a successor's.
	if err := m.opts.FS.SyncDir(d.path); err != nil {
		return fmt.Errorf("cannot delete the log of %s for good: %w", tp, err)
	}
	return nil
}

// SetAside takes a log out of use that belongs to no partition of this node: its
// directory is renamed to *-stray, where nobody but a person touches it.
func (m *Manager) SetAside(tp TopicPartition) error {
	m.createMu.Lock()
	defer m.createMu.Unlock()
	l := m.Log(tp)
	if l == nil {
		return nil
	}
	d, err := m.takeOut(tp, l, true)
	aside := path.Join(d.path, m.uniqueName(tp, strayDirSuffix))
	if err := errors.Join(err, m.opts.FS.Rename(l.dir, aside), m.opts.FS.SyncDir(d.path)); err != nil {
		return fmt.Errorf("cannot set the log of %s aside: %w", tp, err)
	}
	m.opts.Logger.Warn("set a stray log aside", "partition", tp.String(), "dir", aside)
	return nil
}

// takeOut closes a log that nobody is to find any more, with what it has if that is kept. createMu must be held.
func (m *Manager) takeOut(tp TopicPartition, l *Log, keep bool) (*logDir, error) {
	if f := m.future(tp); f != nil {
		m.giveUp(f)
	}
	err := l.Close(keep)
	m.mu.Lock()
	delete(m.logs, tp)
	m.mu.Unlock()
	m.cleaner.forget(l)
	d := m.dirOf(l)
	d.noteStale(tp)
	return d, err
}

// DirectoryID is the id of the log directory that l lies in.
func (m *Manager) DirectoryID(l *Log) [16]byte { return m.dirOf(l).props.DirectoryID }

func (m *Manager) dirOf(l *Log) *logDir {
	for _, d := range m.dirs {
		if d.env == l.env {
			return d
		}
	}
	return nil
}

// uniqueName is Kafka's: topic-partition.32 hex digits and a suffix, cut to fit a file name.
func (m *Manager) uniqueName(tp TopicPartition, suffix string) string {
	unique := fmt.Sprintf(".%016x%016x%s", m.opts.Clock.Now().UnixNano(), m.serial.Add(1), suffix)
	name := tp.String()
	return name[:min(len(name), maxFileNameBytes-len(unique))] + unique
}

// maxParallelRemovals bounds how many deleted logs leave the disk at once. Each removal blocks a thread of the process:
// without a bound, some thousand topics that are deleted together take some thousand threads, and the Go runtime ends a
// process of ten thousand.
const maxParallelRemovals = 4

func (m *Manager) removeDir(dir string) {
	m.removals <- struct{}{}
	defer func() { <-m.removals }()
	if err := m.opts.FS.RemoveAll(dir); err != nil {
		m.opts.Logger.Warn("cannot remove a deleted log", "dir", dir, "err", err)
	}
}

func (m *Manager) startTasks() {
	o := &m.opts
	m.scheduler.every(millis(o.RetentionCheckIntervalMs), m.ApplyRetention)
	m.scheduler.every(millis(o.RecoveryPointCheckpointIntervalMs), func() { m.eachDir(m.checkpointRecoveryPoints) })
	m.scheduler.every(millis(o.StartOffsetCheckpointIntervalMs), func() { m.eachDir(m.checkpointStartOffsets) })
	m.scheduler.every(millis(o.HighWatermarkCheckpointIntervalMs), func() { m.eachDir(m.checkpointHighWatermarks) })
	m.scheduler.every(millis(o.ProducerIDExpirationCheckMs), m.expireProducers)
	m.scheduler.every(millis(o.DirCheckIntervalMs), m.probeDirs)
	if o.ScrubBytesPerSecond > 0 {
		for _, d := range m.dirs {
			m.scheduler.every(scrubEvery, func() { d.scrub(o.ScrubBytesPerSecond) })
		}
	}
}

// eachDir runs a checkpoint in all directories; failures are told and tried again next time.
func (m *Manager) eachDir(fn func(*logDir) error) {
	for _, d := range m.usableDirs() {
		if err := fn(d); err != nil {
			m.opts.Logger.Error("cannot write a checkpoint", "dir", d.path, "err", err)
		}
	}
}

// probeDirs looks after directories that no traffic would miss.
func (m *Manager) probeDirs() {
	for _, d := range m.usableDirs() {
		if d.probe(); d.err() == nil {
			d.lookForLogs()
		}
	}
}

// ApplyRetention deletes old segments in all logs.
func (m *Manager) ApplyRetention() {
	if m.opts.ConfigsComeLater && !m.cleaner.hasStarted() {
		return
	}
	for _, l := range m.Logs() {
		if !l.isOpen() && !l.mayHaveOld() || m.isClosed() {
			continue
		}
		if _, err := l.DeleteOldSegments(); err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNotReady) {
			m.opts.Logger.Warn("cannot apply retention", "partition", l.tp.String(), "err", err)
		}
	}
}

// SetProducerIDExpirationMs changes producer.id.expiration.ms; it counts from the next
// check for silent producers on.
func (m *Manager) SetProducerIDExpirationMs(ms int64) { m.producerIDExpirationMs.Store(ms) }

// SetTransactionVerification changes transaction.partition.verification.enable.
func (m *Manager) SetTransactionVerification(on bool) { m.verifyTxns.Store(on) }

func (m *Manager) expireProducers() {
	before := m.opts.Clock.Now().UnixMilli() - m.producerIDExpirationMs.Load()
	for _, l := range m.Logs() {
		l.ExpireProducers(before)
	}
}

// AdvanceLogStartOffsets is Log.AdvanceLogStartOffset for many logs, with one write and
// sync for each log directory. It returns the errors of those that failed.
func (m *Manager) AdvanceLogStartOffsets(offsets map[TopicPartition]int64) map[TopicPartition]error {
	errs := map[TopicPartition]error{}
	moved := map[*logDir][]*Log{}
	for tp, offset := range offsets {
		l := m.Log(tp)
		if l == nil {
			errs[tp] = fmt.Errorf("%w: %s", ErrClosed, tp)
			continue
		}
		if err := l.advanceStart(offset); err != nil {
			errs[tp] = err
			continue
		}
		d := m.dirOf(l)
		moved[d] = append(moved[d], l)
	}
	for d, logs := range moved {
		if err := d.noteStartOffsets(logs); err != nil {
			for _, l := range logs {
				errs[l.tp] = fmt.Errorf("cannot save the log start offset of %s: %w", l.tp, err)
			}
		}
	}
	return errs
}

// CheckpointAll writes all offset checkpoints now.
func (m *Manager) CheckpointAll() error {
	var errs []error
	for _, d := range m.usableDirs() {
		errs = append(errs, m.checkpointRecoveryPoints(d), m.checkpointStartOffsets(d), m.checkpointHighWatermarks(d), m.checkpointCleaned(d))
	}
	return errors.Join(errs...)
}

// Close ends all logs. With clean, everything is synced and the next start has
// nothing to check; without, the directories are left as a kill would leave them.
func (m *Manager) Close(clean bool) error {
	m.createMu.Lock()
	defer m.createMu.Unlock()
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	began := m.began
	m.mu.Unlock()
	if !began { // nothing is known of what lies in the directories
		m.scheduler.stop()
		m.unlock()
		return nil
	}
	m.cleaner.stop()
	for _, d := range m.dirs {
		d.env.stopping.Store(true)
		d.recovery.stop()
	}
	m.scheduler.stop()
	if clean {
		m.alignCopies()
	}
	var errs []error
	for _, d := range m.dirs {
		if d.env != nil {
			errs = append(errs, d.close(clean && d.err() == nil))
		}
	}
	m.unlock()
	return errors.Join(errs...)
}

func (m *Manager) unlock() {
	for _, d := range m.dirs {
		if d.lock != nil {
			_ = d.lock.Close() // the lock goes with the descriptor
		}
	}
}
