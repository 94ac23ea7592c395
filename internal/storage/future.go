package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path"
	"strings"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A log moves to another log directory as in Kafka (KIP-113): a copy grows there in a directory named *-future, and
// takes the log's place when it has caught up. In steps, each of which a crash may follow:
//
//  1. the copy is synced and closed in order, and moldau-future-complete is put into it
//  2. the log's directory is renamed to *-delete
//  3. the copy's directory gets the log's name
//  4. moldau-future-complete goes
//
// A start that finds the file does what is left; one that finds a copy without it goes on copying,
// from the beginning unless the last run has ended in order.
const futureCompleteFile = "moldau-future-complete"

// ErrUnknownDirectory says that no log directory has that path.
var ErrUnknownDirectory = errors.New("no such log directory")

// ErrMoveGivenUp says that somebody has ended a move: the log was deleted, or is to move to elsewhere.
var ErrMoveGivenUp = fmt.Errorf("%w: the move was given up", ErrClosed)

// Future is a log on its way into another log directory. It is used by one goroutine.
type Future struct {
	m   *Manager
	to  *logDir
	log *Log // the copy
	// marked says that moldau-future-complete may be there.
	marked bool
	// cleanedTo is up to where the log was clean when the copy began, if the cleaner had been in it at all: what it has cleaned
	// since may have been copied before. A move that goes on after a start does not know it any more, and says 0: the cleaner then
	// goes over more than it has to.
	cleanedTo int64
	// seededAt is the offset at which the copy begins knowing what producers had sent below; -1 where it does not.
	seededAt int64
	// statedAt is where the copy has last taken over what the log knows of producers; -1 for nowhere.
	statedAt int64
}

// TopicPartition is what moves.
func (f *Future) TopicPartition() TopicPartition { return f.log.tp }

// BeginMove makes an empty copy of a log in the log directory of that path; nil when the log is there already or on
// its way there. A move to elsewhere is given up.
func (m *Manager) BeginMove(tp TopicPartition, dir string) (*Future, error) {
	m.createMu.Lock()
	defer m.createMu.Unlock()
	to, err := m.dirAt(dir)
	if err != nil {
		return nil, err
	}
	current := m.Log(tp)
	if current == nil || m.isClosed() {
		return nil, fmt.Errorf("%w: %s", ErrClosed, tp)
	}
	if err := current.ensure(); err != nil {
		return nil, err
	}
	if f := m.future(tp); f != nil {
		if f.to == to {
			return nil, nil
		}
		m.giveUp(f)
	}
	if m.dirOf(current) == to {
		return nil, nil
	}
	// What the directory's files may still say of a log of that name that was here before is not of this one.
	if err := to.clearStale(tp); err != nil {
		return nil, err
	}
	unique := m.uniqueName(tp, futureDirSuffix)
	if named, ok := parseFuture(unique); !ok || named != tp {
		// A start that finds the copy could not tell whose it is, and might remove the only other one.
		return nil, fmt.Errorf("%w: %s cannot move: the name of its copy, with %d characters more, is longer than the %d that a directory's name may have", ErrStorage, tp, len(futureDirSuffix)+33, maxFileNameBytes)
	}
	name := path.Join(to.path, unique)
	// Its name need not be on the disk before the copy is complete: finish sees to that.
	if err := m.opts.FS.MkdirAll(name, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the copy of %s in %s: %w", tp, to.path, err)
	}
	cleanedTo, _ := m.dirOf(current).cleanedTo(tp)
	f, err := m.openFuture(to, tp, name, current, false)
	if err != nil {
		return nil, errors.Join(err, m.opts.FS.RemoveAll(name))
	}
	f.cleanedTo = cleanedTo
	return f, nil
}

func (m *Manager) dirAt(p string) (*logDir, error) {
	for _, d := range m.dirs {
		if d.path == path.Clean(p) {
			return d, d.err()
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownDirectory, p)
}

// openFuture opens a copy; clean says that an earlier run has left it in order.
func (m *Manager) openFuture(to *logDir, tp TopicPartition, dir string, current *Log, clean bool) (*Future, error) {
	l, err := openLog(to.env, openState{tp: tp, dir: dir, cfg: current.Config(), clean: clean})
	if err != nil {
		return nil, err
	}
	if err := l.SetTopicID(current.TopicID()); err != nil {
		_ = l.Close(false) // nothing has been written to it
		return nil, err
	}
	current.copying.Store(true)
	m.cleaner.awaitIdle(current)
	f := &Future{m: m, to: to, log: l, seededAt: -1, statedAt: -1}
	_ = current.takeCut() // those before are none of its concern
	m.mu.Lock()
	defer m.mu.Unlock()
	m.futures[tp] = f
	return f, nil
}

func (m *Manager) future(tp TopicPartition) *Future {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.futures[tp]
}

// Futures lists the copies of logs that are moving.
func (m *Manager) Futures() []*Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]*Log, 0, len(m.futures))
	for _, f := range m.futures {
		out = append(out, f.log)
	}
	return out
}

// ResumeMoves lists the moves that an earlier run has begun, to be gone on with. It is asked once.
func (m *Manager) ResumeMoves() (moves []*Future) {
	for _, d := range m.dirs {
		names := d.futureNames
		d.futureNames = nil
		for tp, name := range names {
			current := m.Log(tp)
			full := path.Join(d.path, name)
			if current == nil || m.dirOf(current) == d || d.err() != nil {
				m.opts.Logger.Warn("leaving the copy of a log alone that has no log to be a copy of", "dir", full)
				continue
			}
			var f *Future
			clean := d.clean && m.dirOf(current).clean
			err := m.clearCopy(d, full, clean)
			if err == nil {
				f, err = m.openFuture(d, tp, full, current, clean)
			}
			if err != nil {
				m.opts.Logger.Error("cannot go on with the move of a log to another directory", "partition", tp.String(), "dir", full, "err", err)
				continue
			}
			moves = append(moves, f)
		}
	}
	return moves
}

// clearCopy empties the copy that a run has left which did not end in order: nothing of it was synced, so there may be
// holes in it, and holes are no error where compaction makes them. And the log itself may have lost what the copy has.
func (m *Manager) clearCopy(d *logDir, dir string, clean bool) error {
	if clean {
		return nil
	}
	return errors.Join(m.opts.FS.RemoveAll(dir), m.opts.FS.MkdirAll(dir, 0o755), m.opts.FS.SyncDir(d.path))
}

// err says why the move cannot go on, or nil.
func (f *Future) err() error {
	if f.m.future(f.log.tp) != f {
		return fmt.Errorf("%w: %s", ErrMoveGivenUp, f.log.tp)
	}
	return errors.Join(f.to.err(), f.log.Err())
}

// Copy copies some committed records more, or with all, up to the log's end. It returns how many bytes it has copied;
// none when the copy has caught up.
func (f *Future) Copy(maxBytes int, all bool) (int64, error) {
	if err := f.err(); err != nil {
		return 0, err
	}
	current := f.m.Log(f.log.tp)
	if current == nil {
		return 0, fmt.Errorf("%w: %s", ErrMoveGivenUp, f.log.tp)
	}
	if err := current.Wake(); err != nil { // one that is still being checked would seem to be empty
		return 0, err
	}
	for {
		cuts := current.cuts()
		n, err := f.copyFrom(current, maxBytes, all)
		if err == nil || current.cuts() == cuts {
			return n, err
		}
		// The log was cut under the copying; what is there now is another matter.
	}
}

func (f *Future) copyFrom(current *Log, maxBytes int, all bool) (int64, error) {
	if err := f.align(current); err != nil {
		return 0, err
	}
	upTo := current.HighWatermark()
	if all {
		upTo = current.LogEndOffset()
	}
	at := f.log.LogEndOffset()
	if to := f.toldAt(current, at, upTo); to >= 0 {
		if n, err := f.copyRange(current, at, maxBytes, to); n > 0 || err != nil {
			return n, err
		}
		if err := f.takeState(current, to); err != nil {
			return 0, err
		}
		return f.copyFrom(current, maxBytes, all)
	}
	if at >= upTo {
		return 0, nil
	}
	return f.copyRange(current, at, maxBytes, upTo)
}

func (f *Future) copyRange(current *Log, at int64, maxBytes int, upTo int64) (int64, error) {
	s, err := current.Read(at, maxBytes, upTo, true)
	if err != nil || s.Len == 0 {
		return 0, err
	}
	b, err := s.Bytes()
	s.Release()
	if err != nil {
		return 0, err
	}
	_, err = f.log.AppendAsFollower(b, math.MaxInt32)
	return int64(len(b)), err
}

// align brings the copy to where it is a part of the log: that may have been cut at either end, and may have other
// records since where it was cut.
func (f *Future) align(current *Log) error {
	if to := current.takeCut(); to < f.log.LogEndOffset() {
		if err := f.log.TruncateTo(to); err != nil {
			current.noteCut(to)
			return err
		}
		f.seededAt, f.statedAt = -1, -1 // it may begin anew
	}
	start, end := current.LogStartOffset(), current.LogEndOffset()
	first, at := f.log.LogStartOffset(), f.log.LogEndOffset()
	if at < start || first > start || at > end || at == first && start > 0 && f.seededAt != start {
		return f.beginWhere(current)
	}
	return nil
}

// toldAt is where the next segment of the log begins, from an offset on, where the copy has not yet taken over what the log knows of
// producers; -1 where there is none up to another offset, and in a log in which the cleaner has not been. At the beginning of a segment
// the log knows what they had sent, whatever the cleaner has taken since.
func (f *Future) toldAt(current *Log, at, upTo int64) int64 {
	if _, compacted := f.m.dirOf(current).cleanedTo(f.log.tp); !compacted {
		return -1
	}
	for _, v := range current.views() {
		if base := v.seg.base; base >= at && base > f.statedAt && base > current.LogStartOffset() && base <= upTo {
			return base
		}
	}
	return -1
}

// takeState has the copy, which has all records of the log below an offset, end there and know of producers what the log knows. The
// cleaner has taken some of the batches that tell it.
func (f *Future) takeState(current *Log, at int64) error {
	ps, err := current.stateAt(at)
	if err == nil {
		err = f.log.setState(ps, at)
	}
	if err != nil {
		return fmt.Errorf("cannot take over what producers had sent to %s before offset %d: %w", f.log.tp, at, err)
	}
	f.statedAt = at
	return nil
}

// beginWhere has the copy begin where the log does. What producers had sent below is in no record that is copied: without it they
// would be taken for new ones, and a transaction that began below for one that begins with its next record, so that readers of
// committed records would see what was not decided when they came by.
func (f *Future) beginWhere(current *Log) error {
	start := current.LogStartOffset()
	if err := f.log.TruncateFullyAndStartAt(start); err != nil {
		return err
	}
	f.seededAt, f.statedAt = -1, -1
	if err := f.takeState(current, start); err != nil {
		return err
	}
	f.seededAt = start
	return nil
}

// noteCutLocked notes that the log ends at an offset for a moment, for its copy. mu is held.
func (l *Log) noteCutLocked(end int64) { l.lowestCut = min(l.lowestCut, end) }

func (l *Log) noteCut(end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteCutLocked(end)
}

// takeCut is the lowest offset that the log was cut to since it was asked before.
func (l *Log) takeCut() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := l.lowestCut
	l.lowestCut = math.MaxInt64
	return to
}

// alignCopies brings the copies to what the logs are at an orderly stop: the next start knows nothing of cuts before it.
func (m *Manager) alignCopies() {
	m.mu.RLock()
	futures := maps.Clone(m.futures)
	m.mu.RUnlock()
	for tp, f := range futures {
		if l := m.Log(tp); l != nil && l.isOpen() && f.log.Err() == nil {
			if err := f.align(l); err != nil {
				m.opts.Logger.Warn("cannot cut the copy of a log as the log was cut", "partition", tp.String(), "err", err)
				f.to.untidy.Store(true)
			}
		}
	}
}

// Swap puts the copy in the log's place and returns it as the log. Nobody may append to the log meanwhile. When the copy
// cannot be completed, the move is over and the log stays; but one that is not recovered yet can be swapped later.
func (f *Future) Swap() (*Log, error) {
	m, tp := f.m, f.log.tp
	m.createMu.Lock()
	defer m.createMu.Unlock()
	if err := f.err(); err != nil {
		return nil, err
	}
	current := m.Log(tp)
	if err := current.Wake(); errors.Is(err, ErrNotReady) {
		return nil, err
	}
	defer f.arrived()
	if err := f.finish(current); err != nil {
		err = fmt.Errorf("cannot complete the move of %s to %s: %w", tp, f.to.path, err)
		if rerr := f.unmark(); rerr != nil {
			// The next start would put the copy in the log's place: nothing may be appended to the log that the copy lacks.
			err = errors.Join(err, current.failLog(rerr))
			f.to.fail(rerr)
		}
		m.giveUp(f)
		return nil, err
	}
	hw, start := current.HighWatermark(), current.LogStartOffset()
	from := m.dirOf(current)
	gone := path.Join(from.path, m.uniqueName(tp, deleteDirSuffix))
	_ = current.Close(false) // everything of it is in the copy
	home := path.Join(f.to.path, tp.String())
	begun, placed, perr := f.exchange(current, home, gone)
	if begun && !placed {
		m.mu.Lock()
		delete(m.futures, tp) // the copy must not go with a move that is given up: the log has no name
		m.mu.Unlock()
		return nil, current.failLog(fmt.Errorf("its move to %s is half done, and ends with the next start: %w", f.to.path, perr))
	}
	if !placed {
		return f.comeBack(current, fmt.Errorf("cannot complete the move of %s to %s: %w", tp, f.to.path, perr))
	}
	cleanedTo, compacted := f.to.cleanedTo(tp)
	l := newDormantLog(f.to.env, tp, home, current.Config(), current.TopicID(), dormant{clean: true, logStart: start, recoveryPoint: current.LogEndOffset(), highWatermark: hw, endKnown: true,
		compacted: compacted, cleanedTo: cleanedTo})
	if err := l.ensure(); err == nil {
		l.changed.Store(true)
	} // else it says why to who needs it, and what passes is tried again then
	l.lostUpTo.Store(current.lostUpTo.Load())
	m.mu.Lock()
	m.logs[tp] = l
	delete(m.futures, tp)
	m.mu.Unlock()
	m.cleaner.forget(current)
	from.noteStale(tp)
	if err := from.setLost(tp, [16]byte{}, 0); err != nil {
		m.opts.Logger.Warn("a log's loss stays noted where it has left", "partition", tp.String(), "err", err)
	}
	m.opts.Logger.Info("a log has moved to another log directory", "partition", tp.String(), "from", from.path, "to", f.to.path)
	m.scheduler.after(millis(current.config().FileDeleteDelayMs), func() { m.removeDir(gone) })
	if perr != nil { // should the new name not hold, the next start ends the move
		return l, perr
	}
	return l, m.opts.FS.Remove(path.Join(home, futureCompleteFile))
}

// finish makes the copy equal to the log, and durable.
func (f *Future) finish(current *Log) error {
	for {
		n, err := f.Copy(readAhead, true)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	if got, want := f.log.LogEndOffset(), current.LogEndOffset(); got != want {
		return fmt.Errorf("the copy ends at offset %d, the log at %d", got, want)
	}
	if err := current.Flush(); err != nil { // who waits for it need not wait for the copy
		return err
	}
	f.log.SetHighWatermark(current.HighWatermark())
	if err := f.announce(current); err != nil {
		return err
	}
	if err := f.to.touch(f.log); err != nil {
		return err
	}
	if err := f.to.setLost(f.log.tp, current.TopicID(), current.lostUpTo.Load()); err != nil {
		return err
	}
	if err := f.log.Close(true); err != nil {
		return err
	}
	f.marked = true
	if err := vfs.WriteFileAtomic(f.m.opts.FS, path.Join(f.log.dir, futureCompleteFile), nil); err != nil {
		return err
	}
	return f.m.opts.FS.SyncDir(f.to.path) // its name: the log is about to lose its own
}

// unmark makes sure that the next start does not take the copy for complete.
func (f *Future) unmark() error {
	if !f.marked {
		return nil
	}
	err := f.m.opts.FS.Remove(path.Join(f.log.dir, futureCompleteFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.m.opts.FS.SyncDir(f.log.dir)
}

// readAhead is how much is copied at once.
const readAhead = 1 << 20

// putInPlace gives a finished copy the name of the log, which leaves under another. old is "" when it is gone already.
// The copy's own name is synced before: a start removes the old log without a question.
func (m *Manager) putInPlace(future, home, old, gone string) error {
	fsys := m.opts.FS
	if old != "" {
		if err := fsys.SyncDir(path.Dir(future)); err != nil {
			return err
		}
		if err := errors.Join(fsys.Rename(old, gone), fsys.SyncDir(path.Dir(old))); err != nil {
			return err
		}
	}
	return errors.Join(fsys.Rename(future, home), fsys.SyncDir(path.Dir(home)))
}

// exchange gives the copy the log's name in its directory, and the log another where it was. A directory is out of use only for what
// it was refused itself, and not for want of space or descriptors. begun says that the log has lost its name: then only the next start
// can tell which names hold, and ends the move.
func (f *Future) exchange(current *Log, home, gone string) (begun, placed bool, err error) {
	fsys, from := f.m.opts.FS, f.m.dirOf(current)
	if err := fsys.Rename(current.dir, gone); err != nil {
		return false, false, from.blame(err)
	}
	if err := fsys.SyncDir(from.path); err != nil {
		return true, false, from.blame(err)
	}
	if err := fsys.Rename(f.log.dir, home); err != nil {
		return true, false, f.to.blame(err)
	}
	return true, true, f.to.blame(fsys.SyncDir(f.to.path))
}

// blame takes a directory out of use for an error, unless that passes.
func (d *logDir) blame(err error) error {
	if err != nil && !passes(err) {
		d.fail(err)
	}
	return err
}

// comeBack ends a move whose copy could not take the log's place, and puts the log back into use. Its files hold all of it.
func (f *Future) comeBack(current *Log, cause error) (*Log, error) {
	m, tp := f.m, f.log.tp
	if err := f.unmark(); err != nil {
		f.to.fail(err) // the next start would put the copy in the log's place
		cause = errors.Join(cause, err)
	}
	d := m.dirOf(current)
	cleanedTo, compacted := d.cleanedTo(tp)
	end := current.LogEndOffset()
	l := newDormantLog(d.env, tp, current.dir, current.Config(), current.TopicID(), dormant{sameBoot: true, logStart: current.LogStartOffset(),
		recoveryPoint: end, highWatermark: current.HighWatermark(), compacted: compacted, cleanedTo: cleanedTo})
	l.lazy.state.Store(logDormant)
	l.lostUpTo.Store(current.lostUpTo.Load())
	m.mu.Lock()
	m.logs[tp] = l
	m.mu.Unlock()
	m.cleaner.forget(current)
	if err := d.err(); err != nil {
		l.takeOffline(err)
	} else {
		_ = l.ensure() // it says why to who needs it, and what passes is tried again then
	}
	m.giveUp(f)
	return l, cause
}

// announce has the checkpoints of the new directory tell of the log before it comes: where it starts, that all of it is on
// the disk, so that gaps which the cleaner has left are none that a crash has made, and up to where it is clean.
func (f *Future) announce(current *Log) error {
	tp, d := f.log.tp, f.to
	if err := d.clearStale(tp); err != nil {
		return err
	}
	if err := f.log.Flush(); err != nil {
		return err
	}
	_, compacted := f.m.dirOf(current).cleanedTo(tp)
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	delete(d.arriving, tp)
	defer func() { d.arriving[tp] = struct{}{} }()
	note := func(name string, file *map[TopicPartition]int64, offset int64, is bool) error {
		now := maps.Clone(*file)
		delete(now, tp)
		if is {
			now[tp] = offset
		}
		return d.writeCheckpoint(name, file, now)
	}
	start, end := current.LogStartOffset(), current.LogEndOffset()
	if d.pointsKnown { // else all logs that are found are checked, and none of their gaps is taken for a loss
		if err := note(recoveryPointFile, &d.points, end, true); err != nil {
			return err
		}
	}
	return errors.Join(note(logStartFile, &d.starts, start, start > 0),
		note(highWatermarkFile, &d.hws, current.HighWatermark(), true), note(cleanerFile, &d.cleaned, max(f.cleanedTo, start), compacted))
}

// arrived ends what announce has begun.
func (f *Future) arrived() {
	f.to.ckMu.Lock()
	defer f.to.ckMu.Unlock()
	delete(f.to.arriving, f.log.tp)
	if f.m.Log(f.log.tp) == nil || f.m.dirOf(f.m.Log(f.log.tp)) != f.to {
		f.to.stale[f.log.tp] = struct{}{} // it has not come
	}
}

// GiveUp ends a move; the copy goes.
func (f *Future) GiveUp() {
	f.m.createMu.Lock()
	defer f.m.createMu.Unlock()
	f.m.giveUp(f)
}

// giveUp is GiveUp; createMu is held.
func (m *Manager) giveUp(f *Future) {
	m.mu.Lock()
	mine := m.futures[f.log.tp] == f
	if mine {
		delete(m.futures, f.log.tp)
	}
	m.mu.Unlock()
	if !mine {
		return
	}
	if current := m.Log(f.log.tp); current != nil {
		current.copying.Store(false)
	}
	_ = f.log.Close(false) // nothing of it is wanted
	gone := path.Join(f.to.path, m.uniqueName(f.log.tp, deleteDirSuffix))
	// Synced, or the move would go on after a power cut.
	if err := errors.Join(m.opts.FS.Rename(f.log.dir, gone), m.opts.FS.SyncDir(f.to.path)); err != nil {
		m.opts.Logger.Warn("cannot remove the copy of a log whose move was given up", "dir", f.log.dir, "err", err)
		return
	}
	m.scheduler.after(0, func() { m.removeDir(gone) })
}

// parseFuture reads the name of a copy's directory: topic-partition.32 hex digits-future.
func parseFuture(name string) (TopicPartition, bool) {
	stem, ok := strings.CutSuffix(name, futureDirSuffix)
	i := strings.LastIndexByte(stem, '.')
	if !ok || i < 0 {
		return TopicPartition{}, false
	}
	tp, err := ParseTopicPartition(stem[:i])
	return tp, err == nil
}

// completeMoves does what is left of moves whose copies were complete when the last run ended. It is called between
// the finding of the logs and their distribution.
func (m *Manager) completeMoves() error {
	for _, d := range m.usableDirs() {
		for tp, name := range d.futureNames {
			copied := path.Join(d.path, name)
			whole, err := vfs.Exists(m.opts.FS, path.Join(copied, futureCompleteFile))
			if err != nil {
				return err
			}
			if !whole {
				continue
			}
			delete(d.futureNames, tp)
			if err := m.completeMove(d, tp, copied); err != nil {
				return fmt.Errorf("cannot complete the move of %s to %s: %w", tp, d.path, err)
			}
		}
	}
	return nil
}

func (m *Manager) completeMove(d *logDir, tp TopicPartition, copied string) error {
	old, gone := "", ""
	for _, other := range m.usableDirs() {
		for i, l := range other.loaded {
			if l.tp == tp {
				old, gone = l.dir, path.Join(other.path, m.uniqueName(tp, deleteDirSuffix))
				other.loaded = append(other.loaded[:i], other.loaded[i+1:]...)
				other.noteStale(tp)
				break
			}
		}
	}
	home := path.Join(d.path, tp.String())
	if err := m.putInPlace(copied, home, old, gone); err != nil {
		return err
	}
	if gone != "" {
		m.scheduler.after(0, func() { m.removeDir(gone) })
	}
	d.loaded = append(d.loaded, d.found(tp))
	m.opts.Logger.Info("completed the move of a log that the last run had begun", "partition", tp.String(), "to", d.path)
	return nil
}
