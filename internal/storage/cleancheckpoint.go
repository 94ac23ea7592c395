package storage

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"strconv"
	"strings"
)

// cleanerFile says up to which offset each compacted log of a directory is clean.
const cleanerFile = "cleaner-offset-checkpoint"

// readCleaned reads the cleaner's checkpoint. What cannot be read of it is passed over: those logs are
// cleaned from their start again, which costs time and nothing else.
func (d *logDir) readCleaned() map[TopicPartition]int64 {
	name := path.Join(d.path, cleanerFile)
	data, err := readSmallFile(d.env.fs, name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.env.logger.Warn("ignoring the cleaner's checkpoint", "err", err)
			d.mustWrite[cleanerFile] = true
			d.makeRoom(name)
		}
		return map[TopicPartition]int64{}
	}
	if len(data) == 0 {
		return map[TopicPartition]int64{} // so Apache Kafka leaves it when nothing was ever cleaned
	}
	offsets, broken := parseCleaned(string(data))
	if broken > 0 {
		d.env.logger.Warn("ignoring damaged lines of the cleaner's checkpoint, which is written anew", "file", name, "lines", broken)
		d.mustWrite[cleanerFile] = true
	}
	return offsets
}

// parseCleaned takes the lines that are whole.
func parseCleaned(data string) (offsets map[TopicPartition]int64, broken int) {
	offsets = map[TopicPartition]int64{}
	lines := strings.Split(strings.TrimRight(data, "\n"), "\n")
	if strings.TrimSpace(lines[0]) != "0" || len(lines) < 2 {
		return offsets, len(lines)
	}
	if n, err := strconv.Atoi(strings.TrimSpace(lines[1])); err != nil || n != len(lines)-2 {
		broken++
	}
	for _, line := range lines[2:] {
		one, err := parseOffsets([]byte("0\n1\n" + line))
		if err != nil {
			broken++
			continue
		}
		maps.Copy(offsets, one)
	}
	return offsets, broken
}

// cleanedTo is up to where the checkpoint says that a log is clean.
func (d *logDir) cleanedTo(tp TopicPartition) (offset int64, known bool) {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	offset, known = d.cleaned[tp]
	return offset, known
}

// noteCleaned writes that a log is clean up to an offset, unless it was cut since it was looked at.
func (d *logDir) noteCleaned(l *Log, offset, cuts int64) error {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	if d.m.Log(l.tp) != l {
		return nil // deleted meanwhile
	}
	if l.cuts() != cuts {
		return nil
	}
	cleaned := maps.Clone(d.cleaned)
	cleaned[l.tp] = offset
	return d.writeCheckpoint(cleanerFile, &d.cleaned, cleaned)
}

// lowerCleaned heeds that a log is cut: what is appended there next is not clean.
func (d *logDir) lowerCleaned(l *Log, end int64) error {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	if to, ok := d.cleaned[l.tp]; !ok || to <= end {
		return nil
	}
	cleaned := maps.Clone(d.cleaned)
	cleaned[l.tp] = end
	return d.writeCheckpoint(cleanerFile, &d.cleaned, cleaned)
}

// checkpointCleaned drops the entries of logs that are no longer in the directory.
func (m *Manager) checkpointCleaned(d *logDir) error {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	cleaned := map[TopicPartition]int64{}
	for _, l := range m.logsIn(d) {
		if to, ok := d.cleaned[l.tp]; ok {
			cleaned[l.tp] = to
		}
	}
	return d.writeCheckpoint(cleanerFile, &d.cleaned, cleaned)
}

// secure makes everything durable that a cleaning goes by, and notes in the directory's checkpoint that what it will change is. A
// record may only make way for one that stays, or for a marker that does; and a cleaned log has gaps, which after
// an unclean stop must not lie where gaps are taken for lost records.
func (d *logDir) secure(l *Log, offset, decided, cuts int64) error {
	if _, known := d.cleanedTo(l.tp); !known {
		// Tells recovery that the log may have gaps, should the first pass not come to its end.
		if err := d.noteCleaned(l, l.LogStartOffset(), l.cuts()); err != nil {
			return err
		}
	}
	if l.FlushedOffset() < max(offset, decided) {
		if err := l.Flush(); err != nil {
			return err
		}
	}
	// The producer state from there on, so that the batches below it are not needed for it.
	if err := l.keepStateUncut(offset, cuts); err != nil {
		return err
	}
	if d.notedPoint(l.tp) >= offset {
		return nil
	}
	point := l.FlushedOffset()
	if err := l.saveForCheckpoint(point); err != nil {
		return err
	}
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	if point < offset || l.cuts() != cuts || d.m.Log(l.tp) != l {
		return errCleaningAborted // it was cut or deleted meanwhile
	}
	points := maps.Clone(d.points)
	points[l.tp] = max(points[l.tp], point)
	return d.writeCheckpoint(recoveryPointFile, &d.points, points)
}

func (d *logDir) notedPoint(tp TopicPartition) int64 {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	if point, ok := d.points[tp]; ok {
		return point
	}
	return -1
}
