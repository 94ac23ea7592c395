package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// logDir is one of a manager's log directories.
type logDir struct {
	m     *Manager
	path  string
	env   *env
	props MetaProperties
	lock  io.Closer
	why   atomic.Pointer[error] // why it is out of use

	clean         bool // it was left in order
	previousEpoch int64
	topicIDs      map[TopicPartition][16]byte // as the last orderly stop has listed them; gone after load
	sameBoot      bool                        // neither has the kernel stopped since the last run nor was the file system mounted anew
	pagesDoubted  bool                        // the last run has left no word that its syncs went well
	mark          string                      // names boot and mounting; "" where they cannot be told from others
	bootMu        sync.Mutex                  // held over the writing of the boot file
	doubted       bool                        // guarded by bootMu: a sync has failed
	recovery      recovery
	touched       map[TopicPartition]struct{} // of topicIDs, those that were changed since; gone after load
	touchedMu     sync.Mutex
	touchedLog    vfs.File   // guarded by touchedMu; nil when every log is to be checked after a kill
	touchedEnd    int64      // guarded by touchedMu
	touchedSync   sync.Mutex // one sync of the file at a time, held over it
	touchedSynced int64      // guarded by touchedSync
	listed        listed     // by the last orderly stop; written only by load
	scrubber      scrubber
	toNote        toNote
	futureNames   map[TopicPartition]string // copies of logs that an earlier run has begun; until they are gone on with
	suspected     atomic.Bool               // a probe is due soon
	probeMu       sync.Mutex                // one probe at a time, held over its file
	untidy        atomic.Bool               // something is not as an orderly stop must leave it
	loaded        []*Log                    // between load and distribute

	// ckMu serialises the writing of checkpoint files, and is held over it.
	ckMu                sync.Mutex
	pointsKnown         bool                           // there was a recovery-point file: a log it does not name is new
	points, starts, hws map[TopicPartition]int64       // what the files say
	cleaned             map[TopicPartition]int64       // what the cleaner's says
	lost                map[TopicPartition]lostRecords // logs that have lost records, and it is not decided how they go on
	stale               map[TopicPartition]struct{}    // deleted logs that the files may still name
	deleted             map[TopicPartition]struct{}    // of stale, those that this node has deleted itself, as their directories say; written by load
	missing             map[TopicPartition]missingLog  // of stale, those that the last orderly stop has listed; written by load and, under createMu, by create
	arriving            map[TopicPartition]struct{}    // logs that are about to come from another directory
	sums                checkpointSums                 // what vouches for points and hws
	mustWrite           map[string]bool                // checkpoints that were damaged, and are still
}

// missingLog is a log that was there at the last orderly stop and whose directory is gone.
type missingLog struct {
	topicID [16]byte
	end     int64
}

func newLogDir(m *Manager, p string) *logDir {
	d := &logDir{m: m, path: p, futureNames: map[TopicPartition]string{}, deleted: map[TopicPartition]struct{}{}, stale: map[TopicPartition]struct{}{}, arriving: map[TopicPartition]struct{}{}, mustWrite: map[string]bool{}, sums: checkpointSums{of: map[string][]contentSum{}}}
	d.env = &env{fs: m.opts.FS, clock: m.opts.Clock, logger: m.opts.Logger, files: m.files, syncer: newSyncer(), after: m.scheduler.after,
		pointLowered: d.lowerRecoveryPoint, segmentSynced: d.noteSoon, markLowered: d.lowerHighWatermark, noteMarks: func() error { return m.checkpointHighWatermarks(d) }, startMoved: d.noteStartOffset, touch: d.touch, urgent: d.recovery.hurry,
		failed: d.fail, doubtPages: d.doubtPages, probe: d.probe, lookFor: d.lookFor, differs: d.differs, noteLoss: d.noteLoss, suspect: d.suspect, verify: m.opts.VerifyReads, verifyTxns: &m.verifyTxns, flushTimes: m.opts.FlushTimes, tornTailBytes: m.opts.tornTailBytes}
	d.env.space = newSpace(m.opts.FS, m.opts.Clock, p, m.opts.ReserveBytes, m.opts.Logger)
	return d
}

// prepare locks the directory, checks that it is this node's, and reads its checkpoints.
func (d *logDir) prepare() error {
	fsys := d.env.fs
	if _, err := fsys.Stat(d.path); err != nil {
		return fmt.Errorf("cannot use log directory %s: %w", d.path, explainDeadLink(fsys, d.path, err))
	}
	lock, err := fsys.Lock(path.Join(d.path, lockFile))
	if err != nil {
		return fmt.Errorf("cannot lock log directory %s, is another node running on it? %w", d.path, err)
	}
	d.lock = lock
	if d.props, err = ReadMetaProperties(fsys, d.path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("log directory %s is not formatted, format it with kafka-storage: %w", d.path, err)
		}
		return err
	}
	o := &d.m.opts
	if o.ClusterID != "" && d.props.ClusterID != "" && d.props.ClusterID != o.ClusterID {
		return fmt.Errorf("log directory %s belongs to cluster %s, this node to cluster %s", d.path, d.props.ClusterID, o.ClusterID)
	}
	if o.NodeID >= 0 && d.props.NodeID >= 0 && d.props.NodeID != o.NodeID {
		return fmt.Errorf("log directory %s belongs to node %d, this is node %d", d.path, d.props.NodeID, o.NodeID)
	}
	d.sums = readSums(fsys, d.path)
	d.points, d.pointsKnown = d.readCheckpoint(recoveryPointFile)
	d.starts, _ = d.readCheckpoint(logStartFile)
	d.hws, _ = d.readCheckpoint(highWatermarkFile)
	d.cleaned = d.readCleaned()
	d.lost = d.readLost()
	return nil
}

// readCheckpoint reads one of the offset files. A damaged one is as good as none:
// more is checked then, and kept.
func (d *logDir) readCheckpoint(name string) (offsets map[TopicPartition]int64, ok bool) {
	full := path.Join(d.path, name)
	data, err := readSmallFile(d.env.fs, full)
	if errors.Is(err, fs.ErrNotExist) {
		return map[TopicPartition]int64{}, false
	}
	if err == nil {
		offsets, err = parseOffsets(d.mendCheckpoint(name, data))
	}
	if err != nil {
		err = fmt.Errorf("cannot read %s: %w", full, err)
		d.env.logger.Warn("ignoring a damaged checkpoint", "err", err)
		d.makeRoom(full)
		d.mustWrite[name] = true
		return map[TopicPartition]int64{}, false
	}
	return offsets, true
}

// makeRoom clears the place of a file that is to be written anew.
func (d *logDir) makeRoom(name string) {
	if err := clearPlace(d.env.fs, name); err != nil {
		d.env.logger.Error("a file cannot be written anew", "err", err)
	}
}

// takeCleanMarker reads and removes the marker: from now on the directory is in use.
func (d *logDir) takeCleanMarker() (err error) {
	var marker []byte
	d.clean, d.previousEpoch, marker, err = readCleanShutdown(d.env.fs, d.path)
	if err == nil && d.clean {
		d.topicIDs = d.readCleanState(marker)
		err = d.env.fs.Remove(path.Join(d.path, cleanShutdownFile))
	}
	if err == nil {
		d.noteMarker(nil)
	}
	if err == nil {
		// Also after a kill: a checkpoint that it came upon may have its name in memory only. What it says counts from now on, and is not
		// written again, so the power must not bring back the one before.
		err = d.env.fs.SyncDir(d.path)
	}
	if err != nil {
		return fmt.Errorf("cannot take the clean-shutdown marker of %s: %w", d.path, err)
	}
	return nil
}

// takeState looks how the last run has ended.
func (d *logDir) takeState() error {
	if err := d.takeCleanMarker(); err != nil {
		return err
	}
	d.takeBoot()
	var err error
	if d.clean {
		err = d.beginTouched()
	}
	if isDiskFull(err) {
		d.env.logger.Warn("the disk is full: after a kill, every log will be checked", "dir", d.path, "err", err)
		err = nil
	}
	if err != nil {
		return err
	}
	if !d.clean && d.sameBoot {
		if ids, touched, ok := d.readTouched(); ok {
			d.topicIDs, d.touched = ids, touched
		}
	}
	return d.dropTouched()
}

// isInOrder says whether a log is as an orderly stop has left it.
func (d *logDir) isInOrder(tp TopicPartition) bool {
	if d.clean {
		return true
	}
	_, listed := d.topicIDs[tp]
	_, touched := d.touched[tp]
	return listed && !touched
}

// load lists the logs of the directory. None is opened: those that were left in order wait until somebody needs them,
// the others for the recovery.
func (d *logDir) load() {
	if err := d.takeState(); err != nil {
		d.setErr(err)
		return
	}
	entries, err := d.env.fs.ReadDir(d.path)
	if err != nil {
		d.setErr(fmt.Errorf("cannot list log directory %s: %w", d.path, err))
		return
	}
	topic := "" // one string for all partitions of a topic
	for _, e := range entries {
		tp, ok := d.partitionOf(e)
		if !ok {
			continue
		}
		if tp.Topic != topic {
			topic = strings.Clone(tp.Topic)
		}
		tp.Topic = topic
		d.loaded = append(d.loaded, d.found(tp))
	}
	d.findStale()
	d.findMissing()
	d.listed = newListed(d.topicIDs)
	d.topicIDs, d.touched = nil, nil
	if len(d.loaded) > 0 && !d.clean {
		return // the recovery writes what is known when it is done
	}
	if err := d.notePoints(); err != nil {
		d.setErr(err)
		d.loaded = nil
	}
}

// findMissing finds the logs that the last orderly stop has listed, which the checkpoints still name, and which are not here.
func (d *logDir) findMissing() {
	d.missing = map[TopicPartition]missingLog{}
	ids := d.topicIDs
	if ids == nil && len(d.stale) > 0 { // after a stop that was not orderly
		if list, err := readSmallFile(d.env.fs, path.Join(d.path, cleanStateFile)); err == nil {
			ids = parseCleanList(list)
		}
	}
	for tp := range d.stale {
		_, deleted := d.deleted[tp]
		if id, listed := ids[tp]; listed && !deleted {
			d.missing[tp] = missingLog{topicID: id, end: max(d.points[tp], d.hws[tp])}
		}
	}
}

// notePoints writes the recovery-point file if there was none: from now on a log that it does not name is known to be new.
func (d *logDir) notePoints() error {
	d.ckMu.Lock()
	known := d.pointsKnown
	d.pointsKnown = true
	if !known {
		defer d.ckMu.Unlock()
		return d.replaceCheckpoint(recoveryPointFile, d.points)
	}
	d.ckMu.Unlock()
	return nil
}

// partitionOf says whether a directory is a partition's, and sees to those that are on their way out.
func (d *logDir) partitionOf(e fs.DirEntry) (TopicPartition, bool) {
	name := e.Name()
	full := path.Join(d.path, name)
	if isDeadLink(d.env.fs, e, full) {
		d.env.logger.Error("a partition's directory is passed over", "dir", full, "err", errDeadLink)
		return TopicPartition{}, false
	}
	if name == MetadataLogDir || !isDirectory(d.env.fs, e, full) {
		return TopicPartition{}, false
	}
	switch {
	case strings.HasSuffix(name, deleteDirSuffix):
		d.m.scheduler.after(d.keepDeleted(name), func() { d.m.removeDir(full) })
		return TopicPartition{}, false
	case strings.HasSuffix(name, futureDirSuffix):
		if tp, ok := parseFuture(name); ok {
			d.futureNames[tp] = name
			return tp, false
		}
		d.env.logger.Warn("leaving a directory alone that is no copy of a log", "dir", full)
		return TopicPartition{}, false
	case strings.HasSuffix(name, strayDirSuffix):
		d.env.logger.Warn("leaving a directory alone that is no live partition", "dir", full)
		return TopicPartition{}, false
	}
	tp, err := ParseTopicPartition(name)
	if err != nil {
		d.env.logger.Warn("leaving a directory alone that is no partition", "dir", full)
		return tp, false
	}
	return tp, true
}

// keepDeleted notes that a log was deleted by this node, and tells how long what is left of it stays: until the checkpoint files, if
// they still name it, do so no more. Else the next start, after another kill, would take it for lost.
func (d *logDir) keepDeleted(name string) time.Duration {
	stem := strings.TrimSuffix(name, deleteDirSuffix)
	tp, err := ParseTopicPartition(stem[:max(strings.LastIndexByte(stem, '.'), 0)])
	if err != nil {
		return 0
	}
	for _, offsets := range []map[TopicPartition]int64{d.points, d.starts, d.hws, d.cleaned} {
		if _, named := offsets[tp]; named {
			d.deleted[tp] = struct{}{}
			return millis(checkpointsToForget * max(d.m.opts.RecoveryPointCheckpointIntervalMs, d.m.opts.StartOffsetCheckpointIntervalMs))
		}
	}
	return 0
}

// checkpointsToForget is after how many intervals of checkpoints a deleted log is surely in none of them.
const checkpointsToForget = 2

// isDirectory follows links, as Kafka does.
func isDirectory(fsys vfs.FS, e fs.DirEntry, full string) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := fsys.Stat(full)
	return err == nil && info.IsDir()
}

// found is a log that lies in the directory.
func (d *logDir) found(tp TopicPartition) *Log {
	point, ok := d.points[tp]
	if !ok && !d.pointsKnown {
		point = d.pointWithoutFile(tp)
	}
	clean := d.isInOrder(tp)
	cleanedTo, compacted := d.cleaned[tp]
	var id [16]byte
	if clean { // what was changed since may be another topic of that name
		id = d.topicIDs[tp]
	}
	l := newDormantLog(d.env, tp, d.path+"/"+tp.String(), d.m.opts.ConfigFor(tp.Topic), id, dormant{logStart: d.starts[tp],
		recoveryPoint: point, highWatermark: d.hws[tp], clean: clean, sameBoot: d.sameBoot, pagesDoubted: d.pagesDoubted, endKnown: ok && clean,
		compacted: compacted, cleanedTo: cleanedTo})
	l.lostUpTo.Store(d.lost[tp].upTo)
	return l
}

// pointWithoutFile is a log's recovery point where the file of them is damaged or gone: after an orderly stop everything was on the
// disk, the closed segments at the least, and what has rotted of them since must not cost what follows it. -1 where nothing is known.
func (d *logDir) pointWithoutFile(tp TopicPartition) int64 {
	if !d.clean {
		return -1
	}
	entries, err := d.env.fs.ReadDir(path.Join(d.path, tp.String()))
	bases := basesIn(entries)
	if err != nil || len(bases) == 0 {
		return -1
	}
	point := bases[len(bases)-1]
	d.points[tp] = point
	return point
}

// create makes a new log.
func (d *logDir) create(tp TopicPartition, topicID [16]byte, cfg LogConfig) (*Log, error) {
	dir := path.Join(d.path, tp.String())
	lost := d.lostOf(tp, topicID)
	if lost > 0 {
		if err := explainDeadLink(d.env.fs, dir, nil); err != nil {
			return nil, err // nothing is lost as long as it may be mounted
		}
		d.env.logger.Error("records are lost: the partition's directory, which was there before, is gone. What other replicas hold is copied from them; without any, new records get offsets behind the lost ones. If there is a backup, stop the node and restore the directory before anything is produced",
			"partition", tp.String(), "dir", dir, "logEndOffset", lost)
	}
	// Before the checkpoints forget the log and its directory is there: then nothing else would tell of the loss.
	if d.m.opts.OnDiffers == nil {
		lost = 0
	}
	if err := d.setLost(tp, topicID, lost); err != nil {
		return nil, err
	}
	if err := d.clearStale(tp); err != nil {
		return nil, err
	}
	if err := d.touch(&Log{tp: tp}); err != nil {
		return nil, err
	}
	if err := d.env.fs.MkdirAll(dir, 0o755); err != nil {
		return nil, explainDeadLink(d.env.fs, dir, err)
	}
	delete(d.missing, tp)
	st := openState{tp: tp, dir: dir, cfg: cfg}
	if bytes, segments := sizeOnDisk(d.env.fs, dir); segments > 0 {
		// Put there while the node ran: nothing is known of it, so everything is checked, and gaps may be the cleaner's.
		d.env.logger.Warn("a new partition's directory holds segments already, they are checked and kept", "partition", tp.String(), "dir", dir, "bytes", bytes)
		st.recoveryPoint, st.compacted = -1, true
	}
	l, err := openLog(d.env, st)
	if err != nil {
		return nil, err
	}
	l.lostUpTo.Store(max(lost, l.lostUpTo.Load()))
	if err := l.SetTopicID(topicID); err != nil {
		_ = l.Close(false) // nothing has been written to it
		return nil, err
	}
	return l, nil
}

// findStale looks in the checkpoint files for logs that are gone: those were deleted in
// the last run, which died before it wrote the files anew.
func (d *logDir) findStale() {
	have := make(map[TopicPartition]struct{}, len(d.loaded))
	for _, l := range d.loaded {
		have[l.tp] = struct{}{}
	}
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	for _, offsets := range []map[TopicPartition]int64{d.points, d.starts, d.hws, d.cleaned} {
		for tp := range offsets {
			if _, ok := have[tp]; !ok {
				d.stale[tp] = struct{}{}
			}
		}
	}
}

// noteStale remembers that the checkpoint files may name a log that is gone.
func (d *logDir) noteStale(tp TopicPartition) {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	d.stale[tp] = struct{}{}
}

// clearStale makes sure that a new log does not inherit the offsets of a deleted one of its name.
func (d *logDir) clearStale(tp TopicPartition) error {
	d.ckMu.Lock()
	_, stale := d.stale[tp]
	d.ckMu.Unlock()
	if !stale {
		return nil
	}
	if err := errors.Join(d.m.checkpointRecoveryPoints(d), d.m.checkpointStartOffsets(d), d.m.checkpointHighWatermarks(d), d.m.checkpointCleaned(d)); err != nil {
		return err
	}
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	clear(d.stale) // all of them: the files name only logs that are there
	return nil
}

// checkpointRecoveryPoints notes up to where each log is on the disk. What recovery
// trusts below that point besides the records is saved before: leader epochs and indexes.
func (m *Manager) checkpointRecoveryPoints(d *logDir) error {
	d.ckMu.Lock()
	noted := d.points
	d.ckMu.Unlock()
	points := map[TopicPartition]int64{}
	cuts := map[*Log]int64{} // before what lies below the point was saved
	logs := m.logsIn(d)
	if !d.mayNotePoints() {
		return nil
	}
	for _, l := range logs {
		if !l.isOpen() {
			if last, ok := noted[l.tp]; ok {
				points[l.tp] = last
			}
			continue
		}
		cuts[l] = l.cuts()
		last, ok := noted[l.tp]
		point, err := l.pointToNote(last, ok)
		if err != nil {
			return err
		}
		points[l.tp] = point
	}
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	for _, l := range logs {
		if m.Log(l.tp) != l {
			delete(points, l.tp) // deleted meanwhile: the point is not that of a successor
			continue
		}
		if l.isOpen() && !l.hasFailed() {
			if l.cuts() != cuts[l] {
				delete(points, l.tp) // what was saved is not what is there now
			}
			// The cleaner may have noted a later point.
			points[l.tp] = min(max(points[l.tp], d.points[l.tp]), l.synced.Load())
		}
	}
	for _, l := range m.logsIn(d) {
		if _, done := points[l.tp]; !done {
			if point, ok := d.points[l.tp]; ok {
				points[l.tp] = point // it has come meanwhile
			}
		}
	}
	return d.writeCheckpoint(recoveryPointFile, &d.points, points)
}

// pointToNote is the recovery point that may be noted of a log: what recovery trusts below it is saved. The one that was noted last
// stays true where that cannot be done.
func (l *Log) pointToNote(last int64, noted bool) (int64, error) {
	point := l.synced.Load()
	if noted && point <= last {
		return point, nil
	}
	err := l.saveForCheckpoint(point)
	if errors.Is(err, ErrStorage) || errors.Is(err, ErrClosed) {
		return last, nil // the log has failed and said so
	}
	return point, err
}

// saveForCheckpoint makes what recovery trusts below a recovery point durable. Of the
// indexes that is the last segment that begins below: those before were synced whole.
func (l *Log) saveForCheckpoint(point int64) error {
	s, err := l.writeForCheckpoint(point)
	if s == nil || err != nil {
		return err
	}
	for _, k := range []fileKind{kindIndex, kindTimeIndex} {
		if err := s.with(k, vfs.File.Sync); err != nil && !l.hasGone(s, err) {
			return l.indexNotSynced(s, err)
		}
	}
	return nil
}

// indexNotSynced is saveForCheckpoint's end when a sync has failed: another one of the same pages would prove nothing.
func (l *Log) indexNotSynced(s *segment, err error) error {
	err = fmt.Errorf("cannot sync the indexes of segment %d: %w", s.base, err)
	if !isDiskFull(err) {
		return l.fail(err)
	}
	l.mu.Lock()
	for _, later := range l.segments {
		if later.base >= s.base { // the dirty ones are the last
			later.dirty, later.closedUnsaved = true, true
		}
	}
	l.mu.Unlock()
	l.notePagesLost()
	return fmt.Errorf("%w: %w: %w", ErrStorage, ErrDiskFull, err)
}

// writeForCheckpoint is the part of saveForCheckpoint that keeps appends out. It
// returns the segment whose indexes are to be synced, or nil.
func (l *Log) writeForCheckpoint(point int64) (*segment, error) {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if failed := l.failure.Load(); failed != nil {
		return nil, *failed
	}
	if l.closed.Load() {
		return nil, nil // it was settled
	}
	if err := l.errUnfinished(); err != nil {
		return nil, err // the files are not what the point would say
	}
	if err := l.saveEpochs(); err != nil {
		return nil, err
	}
	for _, s := range slices.Backward(l.segments) {
		if s.base >= point {
			continue
		}
		if s.inMemory && len(s.offsets) == 0 {
			return nil, nil
		}
		return s, s.writeIndexes()
	}
	return nil, nil
}

// mayNotePoints says that the file may be written: while a directory without one recovers, a log that it does not
// name would seem to be new.
func (d *logDir) mayNotePoints() bool {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	return d.pointsKnown
}

// lowerRecoveryPoint brings what the files say of a log down to an offset: what is on the disk, and what is clean.
func (d *logDir) lowerRecoveryPoint(l *Log, to int64) error {
	if err := d.lowerCleaned(l, to); err != nil {
		return err
	}
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	if point, ok := d.points[l.tp]; !ok || point <= to {
		return nil
	}
	points := maps.Clone(d.points)
	points[l.tp] = to
	return d.writeCheckpoint(recoveryPointFile, &d.points, points)
}

// lowerHighWatermark brings the noted high watermark of a log down, before the log is cut there: after a kill, a log that ends below
// what is noted has lost records.
func (d *logDir) lowerHighWatermark(l *Log, to int64) error {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	if hw, ok := d.hws[l.tp]; !ok || hw <= to || d.m.Log(l.tp) != l {
		return nil
	}
	hws := maps.Clone(d.hws)
	hws[l.tp] = to
	return d.writeCheckpoint(highWatermarkFile, &d.hws, hws)
}

// noteStartOffset writes the start offset of one log.
func (d *logDir) noteStartOffset(l *Log) error { return d.noteStartOffsets([]*Log{l}) }

// noteStartOffsets writes the start offsets of some logs, at once.
func (d *logDir) noteStartOffsets(logs []*Log) error {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	starts := maps.Clone(d.starts)
	for _, l := range logs {
		if d.m.Log(l.tp) != l {
			continue // deleted meanwhile: the offset is not that of a successor
		}
		delete(starts, l.tp)
		if start, ok := l.startToNote(); ok {
			starts[l.tp] = start
		}
	}
	return d.writeCheckpoint(logStartFile, &d.starts, starts)
}

// startToNote is the log's start offset, if the segments do not tell it.
func (l *Log) startToNote() (int64, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.segments) == 0 {
		return 0, false // it has failed to open
	}
	start := l.logStart.Load()
	return start, start > l.segments[0].base
}

// checkpointStartOffsets notes the start offsets that the segments do not tell.
func (m *Manager) checkpointStartOffsets(d *logDir) error {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	starts := map[TopicPartition]int64{}
	for _, l := range m.logsIn(d) {
		if !l.isOpen() {
			if start, ok := d.starts[l.tp]; ok {
				starts[l.tp] = start
			}
			continue
		}
		if start, ok := l.startToNote(); ok {
			starts[l.tp] = start
		}
	}
	return d.writeCheckpoint(logStartFile, &d.starts, starts)
}

// checkpointHighWatermarks notes the high watermarks, if one has moved or a log has come or gone.
func (m *Manager) checkpointHighWatermarks(d *logDir) error {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	logs := m.logsIn(d)
	moved := len(logs) != len(d.hws) || len(d.stale) > 0
	for _, l := range logs {
		if l.hwMoved.Load() && l.isOpen() {
			l.hwMoved.Store(false)
			moved = true
		}
	}
	if !moved {
		return nil
	}
	hws := make(map[TopicPartition]int64, len(logs))
	var noted []*Log
	for _, l := range logs {
		if l.isOpen() {
			hws[l.tp] = l.hw.Load()
			noted = append(noted, l)
		} else {
			hws[l.tp] = d.hws[l.tp]
		}
	}
	if err := d.writeCheckpoint(highWatermarkFile, &d.hws, hws); err != nil {
		for _, l := range logs {
			l.hwMoved.Store(true) // all of them, to try again
		}
		return err
	}
	for _, l := range noted {
		l.hwAbove.Store(false)
	}
	return nil
}

// writeCheckpoint writes a file if it would say something new. What it tells of logs that are about to come stays. ckMu is held.
func (d *logDir) writeCheckpoint(name string, last *map[TopicPartition]int64, now map[TopicPartition]int64) error {
	for tp := range d.arriving {
		if at, ok := (*last)[tp]; ok {
			if _, named := now[tp]; !named {
				now[tp] = at
			}
		}
	}
	if maps.Equal(*last, now) && !d.mustWrite[name] {
		return nil
	}
	if err := d.replaceCheckpoint(name, now); err != nil {
		return err
	}
	*last = now
	delete(d.mustWrite, name)
	return nil
}

// futuresHere are the copies that grow in the directory.
func (d *logDir) futuresHere() (out []*Log) {
	for _, l := range d.m.Futures() {
		if l.env == d.env {
			out = append(out, l)
		}
	}
	return out
}

// syncAtOnceFrom is how many changed logs make it worth to sync the whole volume once, instead of some files of each.
const syncAtOnceFrom = 64

// syncAtOnce makes all changed logs of a directory durable with one sync, where there are many and the file system
// can. What it does not reach is synced one by one as it closes.
func (d *logDir) syncAtOnce() {
	all, ok := d.env.fs.(vfs.AllSyncer)
	var changed []*Log
	for _, l := range d.m.logsIn(d) {
		if l.isOpen() && l.changed.Load() && l.Err() == nil {
			changed = append(changed, l)
		}
	}
	if !ok || len(changed) < syncAtOnceFrom {
		return
	}
	var wg sync.WaitGroup
	work := make(chan *Log)
	for range closeThreads {
		wg.Go(func() {
			for l := range work {
				if err := l.settleAll(); err != nil {
					d.env.logger.Warn("cannot settle a log before its directory is synced", "partition", l.tp.String(), "err", err)
				}
			}
		})
	}
	for _, l := range changed {
		work <- l
	}
	close(work)
	wg.Wait()
	if err := all.SyncAll(d.path); err != nil {
		if !errors.Is(err, errors.ErrUnsupported) {
			d.env.logger.Error("cannot sync a log directory as a whole", "dir", d.path, "err", err)
			d.fail(err) // what the kernel could not write it may have dropped
		}
		return
	}
	for _, l := range changed {
		l.syncedAll()
	}
}

// close closes the directory's logs, several at a time, and leaves the marker if all went well.
func (d *logDir) close(clean bool) error {
	if clean {
		d.lookForLogs()
		d.syncAtOnce()
		clean = d.err() == nil
	}
	var mu sync.Mutex // guards errs
	var errs []error
	var wg sync.WaitGroup
	work := make(chan *Log)
	for range closeThreads {
		wg.Go(func() {
			for l := range work {
				if err := l.Close(clean); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, l := range append(d.m.logsIn(d), d.futuresHere()...) {
		work <- l
	}
	close(work)
	wg.Wait()
	d.env.syncer.close()
	d.closeTouched()
	clean = clean && !d.untidy.Load() && !slices.ContainsFunc(d.m.logsIn(d), (*Log).isUnchecked)
	if !clean {
		return errors.Join(errs...)
	}
	errs = append(errs, d.m.checkpointRecoveryPoints(d), d.m.checkpointStartOffsets(d), d.m.checkpointHighWatermarks(d), d.m.checkpointCleaned(d))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	epoch := int64(noBrokerEpoch)
	if f := d.m.opts.BrokerEpoch; f != nil {
		epoch = f()
	}
	return d.writeCleanShutdown(epoch)
}

// Usage tells the size of the directory's volume and how much can still be written; ok
// is false where the file system does not know.
func (m *Manager) Usage(dir string) (totalBytes, usableBytes int64, ok bool) {
	u, is := m.opts.FS.(vfs.Usage)
	if !is {
		return 0, 0, false
	}
	total, usable, err := u.Usage(dir)
	return total, usable, err == nil
}
