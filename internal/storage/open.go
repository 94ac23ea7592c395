package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// LogOptions say how to open a log that no manager owns, as the metadata log is.
type LogOptions struct {
	FS             vfs.FS
	Clock          clock.Clock
	Logger         *slog.Logger // nil for none
	Dir            string       // the partition's directory, made if it is missing
	TopicPartition TopicPartition
	TopicID        [16]byte // noted in a directory that has none
	Config         LogConfig
	LogStartOffset int64
	// Clean says that the log was closed in order, so that nothing is to be checked.
	Clean bool
	// RecoveryPoint is what is known to be on the disk; only consulted without Clean. 0 has everything checked.
	RecoveryPoint int64
	HighWatermark int64
	MaxOpenFiles  int // 0 for the default
}

// OpenLog opens a log on its own, with a descriptor cache and a syncer of its own.
// Close it with Log.Close.
func OpenLog(o LogOptions) (*Log, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	e := &env{fs: o.FS, clock: o.Clock, logger: o.Logger, files: newFileCache(o.MaxOpenFiles), syncer: newSyncer(),
		after:        func(d time.Duration, fn func()) { o.Clock.AfterFunc(d, fn) },
		pointLowered: func(*Log, int64) error { return nil }, markLowered: func(*Log, int64) error { return nil }, noteMarks: func() error { return nil }, startMoved: func(*Log) error { return nil },
		touch: func(*Log) error { return nil }, urgent: func(*Log) {}, suspect: func() {}}
	if err := e.fs.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create %s: %w", o.Dir, err)
	}
	l, err := openLog(e, openState{tp: o.TopicPartition, dir: o.Dir, cfg: o.Config, logStart: o.LogStartOffset,
		clean: o.Clean, recoveryPoint: o.RecoveryPoint, highWatermark: o.HighWatermark})
	if err == nil && o.TopicID != ([16]byte{}) {
		if err = l.SetTopicID(o.TopicID); err != nil {
			_ = l.Close(false) // the error that matters is err
		}
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// openState is what the checkpoints say of a log that is to be opened.
type openState struct {
	tp            TopicPartition
	dir           string
	cfg           LogConfig
	clean         bool
	logStart      int64
	recoveryPoint int64 // -1 when no checkpoint is left that would name it
	syncedTo      int64 // what was certainly on the disk; 0 where that is not known
	provenTo      int64 // what certainly was in the files: syncedTo, or what was committed where nothing written can have gone
	endKnown      bool  // it was left in order, and ended at syncedTo
	highWatermark int64
	compacted     bool  // the cleaner has been at work on it, and leaves gaps
	cleanedTo     int64 // up to here

	// sameBoot says that the kernel has not stopped since the log was last written: all that was written is in the
	// files, and only the last write may be torn.
	sameBoot     bool
	pagesDoubted bool          // a sync may have failed, so that what is read may not be what is on the disk
	distrust     bool          // something was found damaged, or nothing is known: every byte is checked
	segmentsLeft *atomic.Int64 // counts down while segments are checked; may be nil
}

// opener opens one log.
type opener struct {
	*Log
	st      openState
	missing map[int64]bool // segments without one of their index files
	trusted int64          // up to here producer snapshots and transaction indexes can be believed
	// epochsGone says that the file of leader epochs is damaged: the batches tell them.
	epochsGone bool
}

func openLog(e *env, st openState) (*Log, error) {
	l := newLog(e, st.tp, st.dir, st.cfg)
	if err := l.load(st); err != nil {
		l.unload()
		return nil, err
	}
	return l, nil
}

func newLog(e *env, tp TopicPartition, dir string, cfg LogConfig) *Log {
	l := &Log{tp: tp, dir: dir, env: e}
	l.cfg.Store(e.share(cfg))
	return l
}

// load looks at the log's files, and checks what must be checked.
func (l *Log) load(st openState) error {
	l.dirDirty = !st.clean
	l.changed.Store(!st.clean)
	l.compacted.Store(st.compacted)
	st.cfg = l.Config() // it may have changed since the log was found
	o := &opener{Log: l, st: st, missing: map[int64]bool{}, trusted: math.MaxInt64}
	if err := o.open(); err != nil {
		return fmt.Errorf("cannot open the log of %s in %s: %w", st.tp, st.dir, err)
	}
	return nil
}

// unload forgets what a load that failed has found.
func (l *Log) unload() {
	for _, s := range l.segments {
		s.forget()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments, l.producers, l.epochs = nil, producers{}, epochCache{}
	for _, at := range []*atomic.Int64{&l.logStart, &l.hw, &l.leo, &l.synced} {
		at.Store(0)
	}
}

func (o *opener) open() error {
	id, named, err := readPartitionMetadata(o.env.fs, o.dir)
	if errors.Is(err, errTorn) && (!o.st.clean || o.idSoFar() != [16]byte{}) { // what an orderly stop has listed is noted again
		o.env.logger.Warn("ignoring a torn file, the topic id will be noted again", "err", err)
		err = nil
	}
	if err != nil {
		return err
	}
	listed := o.idSoFar() != [16]byte{}
	if err := o.takeTopicID(id, named); err != nil {
		return err
	}
	if err := o.findSegments(); err != nil {
		return err
	}
	if err := o.loadEpochs(); err != nil {
		return err
	}
	end, err := o.recover()
	if err != nil {
		return err
	}
	o.tellLoss(end)
	o.tellLostHead(listed)
	startIsWrong := o.st.endKnown && o.st.logStart > o.st.syncedTo
	if startIsWrong {
		o.distrustStart(end)
	} else if o.st.logStart > end {
		// The records between were lost, or cut on purpose; offsets must not be given twice.
		o.env.logger.Warn("log ends before its start offset, it begins anew", "partition", o.tp.String(), "end", end, "start", o.st.logStart)
		if end, err = o.beginAt(o.st.logStart); err != nil {
			return err
		}
	}
	start := max(o.st.logStart, o.segments[0].base)
	o.logStart.Store(start)
	o.leo.Store(end)
	o.foundTo.Store(end)
	o.synced.Store(end)
	if !o.st.clean {
		o.synced.Store(min(max(o.st.recoveryPoint, 0), end))
	}
	if startIsWrong {
		if err := o.env.startMoved(o.Log); err != nil { // after a kill it would be believed
			return err
		}
	}
	o.epochs.truncateFromEnd(end)
	o.epochs.truncateFromStart(start)
	if err := o.confirmEpochs(start, end); err != nil {
		return err
	}
	if err := o.loadProducers(end, o.trusted); err != nil {
		return err
	}
	if err := o.removeStraySnapshots(); err != nil {
		return err
	}
	o.hw.Store(start)
	o.mu.Lock()
	o.setHighWatermarkLocked(o.st.highWatermark)
	o.mu.Unlock()
	if err := o.findUnreplicated(); err != nil {
		return err
	}
	o.hwMoved.Store(o.hw.Load() != o.st.highWatermark) // the checkpoint may name what was lost
	o.hwAbove.Store(o.hw.Load() < o.st.highWatermark)
	if o.st.pagesDoubted && !o.st.clean {
		if err := o.writeDoubted(); err != nil {
			return err
		}
	}
	if o.env.noteLoss != nil && end < o.st.provenTo {
		if err := o.env.noteLoss(o.Log, o.idSoFar(), o.st.provenTo); err != nil {
			return err
		}
	}
	if synced := o.synced.Load(); synced < o.st.syncedTo {
		// What is appended there next is not on the disk because the lost records were.
		return o.env.pointLowered(o.Log, synced)
	}
	return nil
}

// distrustStart heeds that a log which was left in order cannot start behind its end: the checkpoint is damaged. To believe it would cost all
// records; without it, some that were deleted by a request may be there again.
func (o *opener) distrustStart(end int64) {
	o.env.damaged.Add(1)
	o.env.logger.Error("the checkpoint of log start offsets is damaged: the log was closed in order, and ended before where it starts by this file. It starts with its first segment; records that were deleted by a request may be there again",
		"partition", o.tp.String(), "file", path.Join(path.Dir(o.dir), logStartFile), "logStartOffset", o.st.logStart, "logEndOffset", end)
	o.st.logStart = 0
}

// takeTopicID holds what the directory says of its topic against what the last orderly stop has listed: a directory that was put
// there since, from another cluster or of a deleted topic of that name, is not served as the topic's.
func (o *opener) takeTopicID(id [16]byte, named bool) error {
	switch listed := o.idSoFar(); {
	case listed == ([16]byte{}) || id == listed:
		o.mu.Lock() // TopicID may be asked meanwhile, and read the file too
		o.topicID, o.topicIDFile = id, named && !o.st.clean
		o.mu.Unlock()
	case named:
		return fmt.Errorf("%w: %s says that it belongs to topic id %s, the log that was here at the last stop to %s: another directory has taken its place; put the right one back, or remove this one to have the log copied or begun anew",
			ErrInconsistentTopicID, path.Join(o.dir, partitionMetadataFile), encodeUUID(id), encodeUUID(listed))
	default:
		o.mu.Lock()
		o.topicIDFile = true
		o.mu.Unlock()
		return o.writeTopicID(listed)
	}
	return nil
}

// idSoFar is the topic's id as far as it is known, without a look at the disk.
func (l *Log) idSoFar() [16]byte {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.topicID
}

// beginAt replaces all segments by an empty one. What was known of producers goes too: how it went on below the
// offset nobody can tell, and a transaction that was open then would stay so for ever.
func (o *opener) beginAt(offset int64) (int64, error) {
	if err := o.removeSnapshots(); err != nil {
		return 0, err
	}
	for _, s := range o.segments {
		if err := o.removeSegment(s); err != nil {
			return 0, err
		}
	}
	if err := o.removeEpochs(); err != nil {
		return 0, err
	}
	s, err := createSegment(o.Log, offset)
	if err != nil {
		return 0, err
	}
	o.segments = []*segment{s}
	return offset, o.syncNames()
}

// removeEpochs forgets the leader epochs where no record is left that they tell of. The file may be older than the last of those that
// were lost, and the newest epoch that it names would seem to reach to the log's new beginning.
func (o *opener) removeEpochs() error {
	o.epochs.entries = nil
	return removeIfThere(o.env.fs, path.Join(o.dir, leaderEpochFile))
}

// findSegments lists the directory, ends what a stop has left half done, and makes
// the first segment of a new log.
func (o *opener) findSegments() error {
	if err := o.finishSwaps(); err != nil {
		return err
	}
	entries, err := o.env.fs.ReadDir(o.dir)
	if err != nil {
		return err
	}
	have := map[string]fs.DirEntry{}
	for _, e := range entries {
		moved, err := o.setNoFileAside(e)
		if err != nil {
			return err
		}
		if !moved {
			have[e.Name()] = e
		}
	}
	for _, e := range entries {
		name := e.Name()
		switch suffix := path.Ext(name); suffix {
		case logSuffix:
			if err := o.addSegment(e, have); err != nil {
				return err
			}
		case indexSuffix, timeIndexSuffix, txnIndexSuffix:
			if _, ok := have[strings.TrimSuffix(name, suffix)+logSuffix]; !ok {
				if err := removeIfThere(o.env.fs, path.Join(o.dir, name)); err != nil {
					return err
				}
			}
		}
	}
	slices.SortFunc(o.segments, func(a, b *segment) int { return int(min(1, max(-1, a.base-b.base))) })
	if len(o.segments) > 0 {
		return o.setOlderAside()
	}
	if err := errors.Join(o.removeSnapshots(), o.removeEpochs()); err != nil {
		return err
	}
	s, err := createSegment(o.Log, max(o.st.logStart, 0))
	if err != nil {
		return err
	}
	o.segments = []*segment{s}
	if s.base > 0 {
		// From now on this name tells the start offset, which was durable before.
		return o.syncNames()
	}
	return nil
}

func (o *opener) addSegment(e fs.DirEntry, have map[string]fs.DirEntry) error {
	stem := strings.TrimSuffix(e.Name(), logSuffix)
	base, err := strconv.ParseInt(stem, 10, 64)
	if err != nil || base < 0 || segmentName(base) != stem {
		return fmt.Errorf("%s is not the name of a segment", e.Name())
	}
	info, err := infoOf(o.env.fs, e, path.Join(o.dir, e.Name()))
	if err != nil {
		return err
	}
	s := newSegment(o.Log, base)
	s.size = info.Size()
	s.verified.found(s.size)
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		if have[stem+suffix] == nil {
			o.missing[base] = true
		}
	}
	o.segments = append(o.segments, s)
	return nil
}

// finishSwaps removes what was on its way out and ends a replacement of segments:
// a .swap file is whole and takes the place of the segments that it covers, a
// .cleaned file is not whole.
func (o *opener) finishSwaps() error {
	entries, err := o.env.fs.ReadDir(o.dir)
	if err != nil {
		return err
	}
	var swaps []string
	for _, e := range entries {
		name := path.Join(o.dir, e.Name())
		if e.IsDir() {
			continue // nobody here makes directories: it is somebody else's, with what it holds
		}
		switch path.Ext(e.Name()) {
		case deletedSuffix, cleanedSuffix, ".tmp":
			if err := o.env.fs.Remove(name); err != nil {
				return err
			}
		case swapSuffix:
			swaps = append(swaps, strings.TrimSuffix(name, swapSuffix))
		}
	}
	if len(swaps) == 0 {
		return nil
	}
	for _, name := range slices.Clone(swaps) {
		if path.Ext(name) != logSuffix {
			continue
		}
		dropped, err := o.removeCovered(name, swaps)
		if err != nil {
			return err
		}
		if dropped {
			stem := strings.TrimSuffix(name, logSuffix)
			swaps = slices.DeleteFunc(swaps, func(s string) bool { return strings.TrimSuffix(s, path.Ext(s)) == stem })
		}
	}
	// The log files' names come last: as long as one is .swap, this is done again after another stop.
	for _, logs := range []bool{false, true} {
		for _, name := range swaps {
			if (path.Ext(name) == logSuffix) != logs {
				continue
			}
			if err := o.finishSwap(name, swaps); err != nil {
				return err
			}
		}
		if err := o.env.fs.SyncDir(o.dir); err != nil {
			return err
		}
	}
	return nil
}

// finishSwap gives a .swap file its own name, unless it is one of a replacement that was not begun.
func (o *opener) finishSwap(name string, swaps []string) error {
	if !slices.Contains(swaps, strings.TrimSuffix(name, path.Ext(name))+logSuffix) {
		return o.env.fs.Remove(name + swapSuffix)
	}
	return o.env.fs.Rename(name+swapSuffix, name)
}

// removeCovered removes the segments that a .swap file replaces: those that begin within its offsets. A transaction
// index whose .swap is gone is the new one already. dropped says that the .swap files went instead.
func (o *opener) removeCovered(name string, swaps []string) (dropped bool, err error) {
	f, err := o.env.fs.OpenFile(name+swapSuffix, os.O_RDONLY, 0)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // opened for reading only
	from, err := strconv.ParseInt(strings.TrimSuffix(path.Base(name), logSuffix), 10, 64)
	if err != nil {
		return false, fmt.Errorf("%s is not the name of a segment", name)
	}
	entries, err := o.env.fs.ReadDir(o.dir)
	if err != nil {
		return false, err
	}
	limit := int64(math.MaxInt64)
	if bases := basesIn(entries); len(bases) > 0 && bases[len(bases)-1] > from {
		limit = bases[len(bases)-1] // the active segment, which is never cleaned
	}
	end, bad, err := o.reach(f, from, limit)
	if err != nil {
		return false, err
	}
	end = max(end, from+1)
	if bad != nil {
		if dropped, err := o.dropRotten(name, swaps, entries, from, end, bad); dropped || err != nil {
			return dropped, err
		}
	}
	for _, e := range entries {
		stem, ext := strings.TrimSuffix(e.Name(), path.Ext(e.Name())), path.Ext(e.Name())
		base, err := strconv.ParseInt(stem, 10, 64)
		if err != nil || base < from || base >= end || ext != logSuffix && ext != indexSuffix && ext != timeIndexSuffix && ext != txnIndexSuffix {
			continue
		}
		full := path.Join(o.dir, e.Name())
		if base == from && ext == txnIndexSuffix && !slices.Contains(swaps, full) {
			continue
		}
		if err := o.env.fs.Remove(full); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (o *opener) loadEpochs() error {
	name := path.Join(o.dir, leaderEpochFile)
	data, err := readSmallFile(o.env.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if cannotBeUnderstood(err) {
		if err := clearPlace(o.env.fs, name); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("cannot read %s: %w", name, err)
	} else {
		o.epochs.entries, err = parseEpochs(data)
	}
	if err != nil {
		// Each batch says its epoch: checking the whole log finds them again.
		o.env.logger.Warn("ignoring a damaged leader-epoch checkpoint and checking the whole log", "file", name, "err", err)
		o.st.clean, o.st.recoveryPoint, o.st.distrust = false, -1, true
		o.epochs.dirty, o.epochsGone = true, true
	}
	return nil
}
