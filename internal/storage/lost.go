package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A log may be found shorter than it was once synced, because its files were damaged, or gone with its directory. What other
// replicas have is copied from them, as long as this one does not lead: followers would cut their logs to its. Where there
// is no other, the log goes on, but behind the offsets that it had given: a consumer that has read offset 7 must not be given
// another record at offset 7. So the loss is noted until it has been decided: lostFile names each such log, its
// topic's id and the offset up to which it was known to reach. Who knows the replicas decides, by PassLoss or Regained;
// until then the log takes no records as leader. Kafka does not know the file.
//
//	0
//	<number of lines>
//	<topic> <partition> <topic id> <offset>
const lostFile = "moldau-lost-records"

// lostRecords is what a log has lost.
type lostRecords struct {
	topicID [16]byte
	upTo    int64
}

func parseLost(data []byte) (map[TopicPartition]lostRecords, error) {
	lines, err := checkpointLines(data)
	if err != nil {
		return nil, err
	}
	lost := map[TopicPartition]lostRecords{}
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 4 {
			return nil, fmt.Errorf("line %q is not a topic, a partition, a topic id and an offset", line)
		}
		p, err1 := strconv.ParseInt(f[1], 10, 32)
		id, err2 := parseUUID(f[2])
		at, err3 := strconv.ParseInt(f[3], 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil || p < 0 || at <= 0 || at > maxOffset {
			return nil, fmt.Errorf("line %q is not a topic, a partition, a topic id and an offset", line)
		}
		lost[TopicPartition{f[0], int32(p)}] = lostRecords{id, at}
	}
	return lost, nil
}

func encodeLost(lost map[TopicPartition]lostRecords) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "0\n%d\n", len(lost))
	for _, tp := range slices.SortedFunc(maps.Keys(lost), TopicPartition.Compare) {
		fmt.Fprintf(&b, "%s %d %s %d\n", tp.Topic, tp.Partition, encodeUUID(lost[tp].topicID), lost[tp].upTo)
	}
	return []byte(b.String())
}

// readLost reads the file. A damaged one tells nothing.
func (d *logDir) readLost() map[TopicPartition]lostRecords {
	data, err := readSmallFile(d.env.fs, path.Join(d.path, lostFile))
	if errors.Is(err, fs.ErrNotExist) {
		return map[TopicPartition]lostRecords{}
	}
	lost, perr := map[TopicPartition]lostRecords(nil), err
	if err == nil {
		lost, perr = parseLost(data)
	}
	if perr != nil {
		d.env.logger.Error("the file that names logs which have lost records is damaged; those may lead before they are whole again", "dir", d.path, "file", lostFile, "err", perr)
		d.makeRoom(path.Join(d.path, lostFile))
		return map[TopicPartition]lostRecords{}
	}
	return lost
}

// setLost notes what a log has lost, durably; nothing with upTo 0.
func (d *logDir) setLost(tp TopicPartition, id [16]byte, upTo int64) error {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	was, is := d.lost[tp]
	if !is && upTo == 0 || is && was.upTo == upTo && was.topicID == id {
		return nil
	}
	lost := maps.Clone(d.lost)
	delete(lost, tp)
	if upTo > 0 {
		lost[tp] = lostRecords{id, upTo}
	}
	if err := vfs.WriteFileAtomic(d.env.fs, path.Join(d.path, lostFile), encodeLost(lost)); err != nil {
		return fmt.Errorf("cannot note which records of %s are lost: %w", tp, err)
	}
	d.lost = lost
	return nil
}

// lostOf is up to where a topic's log that is not here once reached, as far as anything still tells; 0 for nothing.
func (d *logDir) lostOf(tp TopicPartition, id [16]byte) int64 {
	d.ckMu.Lock()
	noted := d.lost[tp]
	d.ckMu.Unlock()
	upTo := int64(0)
	if noted.topicID == id {
		upTo = noted.upTo
	}
	if gone, ok := d.missing[tp]; ok && gone.topicID == id {
		upTo = max(upTo, gone.end)
	}
	return upTo
}

// hasLost says whether a log that was here is gone or has lost records.
func (d *logDir) hasLost() bool {
	d.ckMu.Lock()
	lost := len(d.lost) > 0
	d.ckMu.Unlock()
	for tp := range d.missing {
		lost = lost || d.m.Log(tp) == nil
	}
	return lost
}

// differs is told of a log that was found to end elsewhere than the directory's files say.
func (d *logDir) differs(l *Log) {
	if f := d.m.opts.OnDiffers; f != nil {
		tp := l.tp
		d.m.scheduler.after(0, func() { f(tp) })
	}
}

// noteLoss notes that a log has lost the records up to an offset, if somebody is there who can decide about it.
func (d *logDir) noteLoss(l *Log, id [16]byte, upTo int64) error {
	if d.m.opts.OnDiffers == nil || upTo <= 0 {
		return nil
	}
	upTo = max(upTo, l.lostUpTo.Load())
	if err := d.setLost(l.tp, id, upTo); err != nil {
		return err
	}
	l.lostUpTo.Store(upTo)
	return nil
}

// LostUpTo is 0, or the offset up to which the log once reached: records below it are lost, and it is not decided yet how the log
// goes on.
func (l *Log) LostUpTo() int64 { return l.lostUpTo.Load() }

// errLost refuses records while a loss is undecided.
func (l *Log) errLost() error {
	if upTo := l.lostUpTo.Load(); upTo > 0 {
		return fmt.Errorf("%w: records of %s up to offset %d are lost here", ErrNotReady, l.tp, upTo)
	}
	return nil
}

// Regained ends a loss: the log has been copied from another replica.
func (m *Manager) Regained(l *Log) error {
	if l.lostUpTo.Load() == 0 {
		return nil
	}
	if err := m.dirOf(l).setLost(l.tp, l.TopicID(), 0); err != nil {
		return err
	}
	l.lostUpTo.Store(0)
	m.opts.Logger.Info("a log that had lost records has them again, from another replica", "partition", l.tp.String(), "logEndOffset", l.leo.Load())
	return nil
}

// PassLoss has a log go on behind the offsets that it had given: nobody else has the records.
func (m *Manager) PassLoss(l *Log) error {
	upTo := l.lostUpTo.Load()
	if upTo == 0 {
		return nil
	}
	if err := l.ensure(); err != nil {
		return err
	}
	end := l.leo.Load()
	if err := l.notePassedLoss(lossRange{end, upTo}); err != nil {
		return err
	}
	if err := l.goOnAt(upTo); err != nil {
		return err
	}
	d := m.dirOf(l)
	// Before the loss is forgotten: without the point, the next start after a power cut would take the gap for one that the
	// power made, and what is behind it for lost.
	if err := errors.Join(m.checkpointRecoveryPoints(d), m.checkpointHighWatermarks(d)); err != nil {
		return err
	}
	if err := d.setLost(l.tp, l.TopicID(), 0); err != nil {
		return err
	}
	l.lostUpTo.Store(0)
	m.opts.Logger.Warn("a log goes on behind the records that it has lost, so that no offset is given twice", "partition", l.tp.String(), "logEndOffset", l.leo.Load(), "lostFrom", end)
	return nil
}

// goOnAt makes an offset the log's end, with nothing between.
func (l *Log) goOnAt(offset int64) error {
	if l.leo.Load() >= offset {
		return l.Flush()
	}
	if l.holdsNothing() {
		if err := l.TruncateFullyAndStartAt(offset); err != nil {
			return err
		}
		return l.Flush()
	}
	l.replaceMu.Lock()
	l.appendMu.Lock()
	err := l.errWrite()
	if err == nil {
		err = l.touch()
	}
	last := l.active()
	if err == nil {
		err = l.rollTo(offset)
	}
	if err == nil && last.size == 0 {
		err = l.dropEmpty(last)
	}
	if err == nil {
		l.mu.Lock()
		l.leo.Store(offset)
		l.producers.end = offset
		l.setHighWatermarkLocked(offset)
		l.mu.Unlock()
	}
	l.appendMu.Unlock()
	l.replaceMu.Unlock()
	if err != nil {
		return err
	}
	return l.Flush()
}

// holdsNothing says that there is no record between the first segment's beginning and the log's end.
func (l *Log) holdsNothing() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.leo.Load() == l.segments[0].base
}

// dropEmpty removes a segment without records that is not the active one any more: each start would take it for one that has lost them.
// replaceMu and appendMu are held.
func (l *Log) dropEmpty(s *segment) error {
	l.mu.Lock()
	l.segments = slices.DeleteFunc(slices.Clone(l.segments), func(x *segment) bool { return x == s })
	l.mu.Unlock()
	if err := errors.Join(l.retire(s), l.retireFiles(l.snapshotPath(s.base))); err != nil {
		return l.fail(fmt.Errorf("cannot remove an empty segment: %w", err))
	}
	return nil
}

// errVanished is why a log fails whose directory is gone.
var errVanished = errors.New("its directory is gone: it was removed or renamed from outside")

// lookFor looks whether a log's directory is still there.
func (d *logDir) lookFor(l *Log) {
	_, err := d.env.fs.Stat(l.dir)
	if !errors.Is(err, fs.ErrNotExist) || l.closed.Load() || d.m.Log(l.tp) != l {
		return // one that is being deleted was closed before
	}
	end := l.leo.Load()
	if !l.isOpen() {
		d.ckMu.Lock()
		end = max(d.points[l.tp], d.hws[l.tp])
		d.ckMu.Unlock()
	}
	if l.vanished.Swap(true) {
		return
	}
	d.env.logger.Error("records are lost: a partition's directory has vanished while the node runs. If it was renamed or there is a backup, stop the node and put it back",
		"partition", l.tp.String(), "dir", l.dir, "logEndOffset", end)
	if err := d.noteLoss(l, l.TopicID(), end); err != nil {
		d.env.logger.Error("a loss cannot be noted", "partition", l.tp.String(), "err", err)
	}
	_ = l.failLog(errVanished) // it is told
	l.wakeWaiters()
}

// lookForLogs looks for the directories of the logs that are in use: the kernel keeps files that are open, and nobody else would
// notice.
func (d *logDir) lookForLogs() {
	for _, l := range d.m.logsIn(d) {
		if l.isOpen() && l.failure.Load() == nil {
			d.lookFor(l)
		}
	}
}
