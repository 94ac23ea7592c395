package storage

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// keepStateAt makes the producers' state at an offset where a segment begins durable. It is called before the batches below go or
// lose what the state is told from: the snapshot that was written when the segment began may have been lost with the
// power, or with the power only.
func (l *Log) keepStateAt(offset int64) error {
	name := l.snapshotPath(offset)
	data, err := readSmallFile(l.env.fs, name)
	if err == nil {
		if _, err = parseSnapshot(data, offset); err == nil {
			return vfs.WriteFileAtomic(l.env.fs, name, data) // again, since a sync of it may have failed before
		}
	}
	ps, err := l.producersAt(offset)
	if err == nil {
		err = vfs.WriteFileAtomic(l.env.fs, name, ps.encodeSnapshot())
	}
	if err != nil {
		return fmt.Errorf("cannot keep the producer state of %s at offset %d: %w", l.tp, offset, err)
	}
	return nil
}

// keepStateUncut is keepStateAt for who does not hold the log's locks. A log that was cut since it was looked at ends elsewhere: it is
// told nothing of producers behind its end, whose records may come again.
func (l *Log) keepStateUncut(offset, cuts int64) error {
	l.replaceMu.Lock()
	defer l.replaceMu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	if l.cuts() != cuts {
		return errCleaningAborted
	}
	return l.keepStateAt(offset)
}

// producersAt is the producers' state before the batch that holds an offset, from the newest good snapshot below and the
// batches since.
func (l *Log) producersAt(offset int64) (producers, error) {
	var ps producers
	views := l.views()
	ps.reset(min(views[0].seg.base, offset))
	snapshots, err := l.snapshotOffsets()
	if err != nil {
		return ps, err
	}
	for i := len(snapshots) - 1; i >= 0; i-- {
		if snapshots[i] > offset {
			continue
		}
		data, err := readSmallFile(l.env.fs, l.snapshotPath(snapshots[i]))
		if err != nil {
			continue // an older one will do
		}
		if found, err := parseSnapshot(data, snapshots[i]); err == nil {
			ps = found
			break
		}
	}
	for _, v := range views {
		if v.end <= ps.end || v.seg.base >= offset {
			continue
		}
		from := ps.end
		err := v.seg.with(kindLog, func(f vfs.File) error { return l.takeIn(&ps, v, f, from, offset) })
		if errors.Is(err, errTakenIn) {
			break
		}
		if err != nil {
			return ps, err
		}
	}
	ps.end = offset
	return ps, nil
}

// errTakenIn says that the batches which are left lie above.
var errTakenIn = errors.New("the rest lies above")

// takeIn takes the batches of one segment from an offset on into a producer state, those that end before another.
func (l *Log) takeIn(ps *producers, v view, f vfs.File, from, upTo int64) error {
	return l.eachHeader(v, f, from, func(b record.Batch, pos, size int64) (err error) {
		if b.LastOffset() >= upTo {
			return errTakenIn
		}
		if b.IsControl() { // its record says what it is
			if b, err = readChecked(f, pos, size); err != nil {
				return err
			}
		}
		_, _, err = ps.apply(b)
		return err
	})
}

// stateAt is producersAt for who does not hold the log's locks.
func (l *Log) stateAt(offset int64) (producers, error) {
	l.replaceMu.Lock() // no segment goes meanwhile
	defer l.replaceMu.Unlock()
	return l.producersAt(offset)
}

// setState has the log, which ends at an offset or before and gets no more records below it, end there, and know of producers what is
// told elsewhere, also after its next start: a segment begins there.
func (l *Log) setState(ps producers, at int64) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if err := l.errWrite(); err != nil {
		return err
	}
	if err := l.touch(); err != nil {
		return err
	}
	if l.active().base < at {
		if err := l.rollTo(at); err != nil {
			return err
		}
	}
	if len(ps.byID) > 0 || len(l.producers.byID) > 0 {
		if err := vfs.WriteFileAtomic(l.env.fs, l.snapshotPath(at), ps.encodeSnapshot()); err != nil {
			return l.failUnlessFull(fmt.Errorf("cannot write the producer snapshot of %s: %w", l.tp, err))
		}
		l.lastSnapshot = at
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leo.Store(at)
	l.producers = ps
	l.unstable.Store(ps.firstUnstable())
	return nil
}

// moveBaseState gives what is known of producers at the beginning of a log without records to another beginning. appendMu is held.
func (l *Log) moveBaseState(from, to int64) error {
	err := l.env.fs.Rename(l.snapshotPath(from), l.snapshotPath(to))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && l.lastSnapshot == from {
		l.lastSnapshot = to
	}
	return err
}

// removeSnapshots removes all that the directory tells of producers, where the log begins anew.
func (l *Log) removeSnapshots() error {
	snapshots, err := l.snapshotOffsets()
	if err != nil {
		return err
	}
	for _, at := range snapshots {
		if err := l.env.fs.Remove(l.snapshotPath(at)); err != nil {
			return err
		}
	}
	return nil
}

// removeBrokenSnapshots removes those from an offset on that the power has cut short. Snapshots are written without a sync
// where a segment begins, and become durable with that segment.
func (l *Log) removeBrokenSnapshots(from int64) error {
	snapshots, err := l.snapshotOffsets()
	if err != nil {
		return err
	}
	for _, at := range snapshots {
		if at >= from {
			l.loadSnapshot(at) // which removes a bad one
		}
	}
	return nil
}
