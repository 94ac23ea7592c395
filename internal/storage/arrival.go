package storage

import "maps"

// What a directory's checkpoint files say of a log moves with it, and is on the disk in the new directory before the log
// is: without its start, deleted records would come back; without the recovery point and the cleaner's, a start after a
// kill would take the gaps of a compacted log for lost records, and cut it there.

// expect notes of a log that is about to come from another directory what that one has noted. The log is synced.
func (d *logDir) expect(l *Log, from *logDir) error {
	cleanedTo, cleaned := from.cleanedTo(l.tp)
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	d.arriving[l.tp] = struct{}{}
	starts, points, cleans := maps.Clone(d.starts), maps.Clone(d.points), maps.Clone(d.cleaned)
	delete(starts, l.tp)
	if start := l.LogStartOffset(); start > 0 {
		starts[l.tp] = start
	}
	delete(cleans, l.tp)
	if cleaned {
		cleans[l.tp] = cleanedTo
	}
	if err := d.writeCheckpoint(logStartFile, &d.starts, starts); err != nil {
		return err
	}
	if err := d.writeCheckpoint(cleanerFile, &d.cleaned, cleans); err != nil {
		return err
	}
	if !d.pointsKnown {
		return nil // all logs that are found are checked, and none of their gaps is taken for a loss
	}
	points[l.tp] = l.LogEndOffset()
	return d.writeCheckpoint(recoveryPointFile, &d.points, points)
}

// arrived says that the log that was expected is there.
func (d *logDir) arrived(tp TopicPartition) {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	delete(d.arriving, tp)
	delete(d.stale, tp)
}

// departed says that the log that was expected does not come.
func (d *logDir) departed(tp TopicPartition) {
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	delete(d.arriving, tp)
	d.stale[tp] = struct{}{}
}

// keepExpected takes into what is about to be written what was noted of logs that are on their way. ckMu is held.
func (d *logDir) keepExpected(noted, next map[TopicPartition]int64) {
	for tp := range d.arriving {
		if at, ok := noted[tp]; ok {
			next[tp] = at
		}
	}
}
