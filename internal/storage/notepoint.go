package storage

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// After a kill, a log is gone over from its recovery point on, so a segment that the background has just brought to the disk
// would be gone over for nothing until the next checkpoint, which may be a minute away. So the points of such logs are
// noted soon: only theirs, since with group commit every log's point moves all the time, and not at once, since many logs roll
// together.

// notePointsAfter is how long logs are gathered whose points are to be noted: each writing of the file names all logs of the directory.
const notePointsAfter = time.Second

// toNote is the logs whose recovery points are to be noted soon.
type toNote struct {
	mu   sync.Mutex
	logs map[*Log]struct{} // nil while nothing is due
}

// noteSoon has a log's recovery point noted soon. It is called under the log's locks.
func (d *logDir) noteSoon(l *Log) {
	d.toNote.mu.Lock()
	defer d.toNote.mu.Unlock()
	if d.toNote.logs == nil {
		d.toNote.logs = map[*Log]struct{}{}
		d.m.scheduler.after(notePointsAfter, d.noteGathered)
	}
	d.toNote.logs[l] = struct{}{}
}

func (d *logDir) noteGathered() {
	d.toNote.mu.Lock()
	logs := slices.Collect(maps.Keys(d.toNote.logs))
	d.toNote.logs = nil
	d.toNote.mu.Unlock()
	if d.err() != nil || !d.mayNotePoints() {
		return
	}
	if err := d.notePointsOf(logs); err != nil {
		d.env.logger.Error("cannot write a checkpoint", "dir", d.path, "err", err)
	}
}

// notePointsOf is checkpointRecoveryPoints for some of the logs.
func (d *logDir) notePointsOf(logs []*Log) error {
	d.ckMu.Lock()
	noted := d.points
	d.ckMu.Unlock()
	type rise struct{ point, cuts int64 }
	risen := map[*Log]rise{}
	for _, l := range logs {
		last, ok := noted[l.tp]
		cuts := l.cuts()
		point, err := l.pointToNote(last, ok)
		if err != nil {
			return err
		}
		if point > last {
			risen[l] = rise{point, cuts}
		}
	}
	d.ckMu.Lock()
	defer d.ckMu.Unlock()
	points := maps.Clone(d.points)
	for l, r := range risen {
		// One that was deleted meanwhile may have a successor, whose point this is not; of one that was cut, what was saved is not what is there.
		if d.m.Log(l.tp) == l && !l.hasFailed() && l.cuts() == r.cuts {
			points[l.tp] = max(points[l.tp], r.point)
		}
	}
	return d.writeCheckpoint(recoveryPointFile, &d.points, points)
}
