package storage

import (
	"math"
	"slices"
)

// dirtyLog is a log that may be worth cleaning.
type dirtyLog struct {
	l            *Log
	first, upper int64 // the dirty part that may be cleaned
	decided      int64 // the offset below which all lies that a cleaning goes by: markers may be above upper
	cuts         int64
	cleanBytes   int64
	dirtyBytes   int64
	// delayMs is by how much max.compaction.lag.ms is exceeded.
	delayMs int64
	// wrong says that the checkpoint's offset was not one of the log's.
	wrong bool
}

func (d *dirtyLog) ratio() float64 {
	if d.cleanBytes+d.dirtyBytes == 0 {
		return 0
	}
	return float64(d.dirtyBytes) / float64(d.cleanBytes+d.dirtyBytes)
}

// isDue says whether the log must be cleaned now: it is dirty enough, or something in it has waited too long.
func (d *dirtyLog) isDue() bool {
	return d.dirtyBytes > 0 && (d.delayMs > 0 || d.ratio() > d.l.config().MinCleanableDirtyRatio)
}

// inspect finds out what of a log may be cleaned, given up to where it is clean.
// Not touched are the active segment, segments with records that are not committed or of undecided transactions, and those
// with records younger than min.compaction.lag.ms.
func (l *Log) inspect(cleanedTo int64, known bool, nowMs int64) (dirtyLog, error) {
	cfg := l.config()
	d := dirtyLog{l: l}
	d.decided = l.HighWatermark()
	stable := min(d.decided, l.LastStableOffset())
	views := l.views()
	d.cuts = views[0].cuts
	start, end := l.logStart.Load(), l.leo.Load()
	d.first = cleanedTo
	if !known || cleanedTo < start || cleanedTo > end {
		d.first, d.wrong = start, known
	}
	active := views[len(views)-1]
	upper := min(stable, active.seg.base)
	if cfg.MinCompactionLagMs > 0 {
		for _, v := range views[:len(views)-1] {
			if v.end <= d.first || v.seg.base >= upper {
				continue
			}
			ts, _, err := v.seg.maxTimestamp()
			if err != nil {
				return d, err
			}
			if ts > subClamped(nowMs, cfg.MinCompactionLagMs) {
				upper = min(upper, v.seg.base)
				break
			}
		}
	}
	// Whole segments only: up to the beginning of the one that upper lies in.
	i, found := slices.BinarySearchFunc(views, upper, func(v view, o int64) int { return compareOffsets(v.seg.base, o) })
	if !found && i > 0 {
		i--
	}
	d.upper = max(d.first, views[i].seg.base)
	for _, v := range views[:len(views)-1] {
		if v.seg.base < d.first {
			d.cleanBytes += v.size
		}
		if v.end > d.first && v.end <= d.upper {
			d.dirtyBytes += v.size
		}
	}
	if cfg.MaxCompactionLagMs < math.MaxInt64 {
		oldest, err := oldestDirty(views[:len(views)-1], d.first)
		if err != nil {
			return d, err
		}
		d.delayMs = max(0, subClamped(nowMs, cfg.MaxCompactionLagMs)-oldest)
	}
	return d, nil
}

func compareOffsets(a, b int64) int { return int(min(1, max(-1, a-b))) }

// oldestDirty is the smallest timestamp that a dirty segment begins with.
func oldestDirty(closed []view, first int64) (int64, error) {
	oldest := int64(math.MaxInt64)
	for _, v := range closed {
		if v.end <= first || v.size == 0 {
			continue
		}
		ts, err := v.firstTimestamp()
		if err != nil {
			return 0, err
		}
		if ts > 0 {
			oldest = min(oldest, ts)
		}
	}
	return oldest, nil
}

// firstTimestamp is the timestamp of the segment's first batch.
func (v view) firstTimestamp() (int64, error) {
	l := v.seg.log
	l.mu.RLock()
	ts, known := v.seg.firstTs, v.seg.firstTsKnown
	l.mu.RUnlock()
	if known {
		return ts, nil
	}
	ts, err := v.seg.readFirstTimestamp(v.size)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.truncations == v.cuts {
		v.seg.firstTs, v.seg.firstTsKnown = ts, true
	}
	return ts, nil
}

// filthiest takes the log that needs it most into cleaning, if one needs it.
func (c *cleaner) filthiest() (best dirtyLog, ok bool) {
	c.pickMu.Lock()
	defer c.pickMu.Unlock()
	nowMs := c.nowMs()
	maxRatio, maxDelayMs := 0.0, int64(0)
	for _, l := range c.m.Logs() {
		if !l.config().Compact || l.Err() != nil || !c.isFree(l) || !l.mayBeDirty() {
			continue
		}
		d, err := c.look(l, nowMs)
		if err != nil {
			continue
		}
		maxRatio, maxDelayMs = max(maxRatio, d.ratio()), max(maxDelayMs, d.delayMs)
		if d.isDue() && (!ok || d.ratio() > best.ratio()) {
			best, ok = d, true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastRunMs, c.maxDirtyRatio, c.maxDelayMs = nowMs, maxRatio, maxDelayMs
	if ok = ok && !best.l.copying.Load(); ok {
		c.busy[best.l] = true
	}
	return best, ok
}

// isFree says whether a log may be cleaned. One that is being copied may not: a tombstone or a marker that goes before the copy
// has come to it would leave there what it has deleted.
func (c *cleaner) isFree(l *Log) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !l.copying.Load() && !c.busy[l] && c.uncleanable[l] == nil
}

// look inspects one log, whose checkpoint it puts right.
func (c *cleaner) look(l *Log, nowMs int64) (dirtyLog, error) {
	dir := c.m.dirOf(l)
	to, known := dir.cleanedTo(l.tp)
	d, err := l.inspect(to, known, nowMs)
	if err != nil {
		if isLasting(l, err) {
			c.condemn(l, err)
		}
		return d, err
	}
	if d.wrong {
		c.correct(dir, d, to)
	}
	return d, nil
}

// mayBeDirty says whether a log is worth a look. One that has not been opened yet is opened only when it has closed segments,
// which is looked up once: what nobody uses does not grow.
func (l *Log) mayBeDirty() bool {
	if l.isOpen() {
		return true
	}
	if l.lazy.small.Load() || l.lazy.state.Load() == logUnrecovered { // the time of the latter will come
		return false
	}
	if _, segments := sizeOnDisk(l.env.fs, l.dir); segments < 2 {
		l.lazy.small.Store(true)
		return false
	}
	return l.ensure() == nil
}

// correct replaces a checkpoint's offset that lies outside of the log: the log was cut or lost records. All
// of it counts as dirty then.
func (c *cleaner) correct(dir *logDir, x dirtyLog, noted int64) {
	if cfg := x.l.config(); !cfg.Delete || noted > x.first { // retention moves the start of other logs all the time
		c.m.opts.Logger.Warn("the cleaner's checkpoint names an offset that the log does not have, cleaning it from its start",
			"partition", x.l.tp.String(), "checkpoint", noted, "logStartOffset", x.first)
	}
	if err := dir.noteCleaned(x.l, x.first, x.cuts); err != nil {
		c.m.opts.Logger.Error("cannot write the cleaner's checkpoint", "dir", dir.path, "err", err)
	}
}
