package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// cleaning is one pass over one log, Kafka's in two steps.
//
// First the keys of the dirty part, [first, upper), are taken into a map of bounded memory, each with its last
// offset; when the map is full before the end, the pass ends at that offset. Then all segments up to there
// are read from the log's beginning on and written anew without the records that a later one of the same key
// replaces, several small ones into one; see cleanBatch for what stays. Each group takes the place of
// its segments before the next is begun.
type cleaning struct {
	l            *Log
	cfg          *LogConfig
	first, upper int64 // upper is where a segment begins; nothing from there on is touched
	cuts         int64 // the log's truncations when it was looked at
	nowMs        int64
	now          func() time.Time

	keys   *keyMap
	txns   *cleanedTxns
	last   map[int64]lastRecord
	reader cleanReader
	out    []byte // the writer's buffer
	raw    []byte // a batch's records, decompressed
	kept   []byte // those that stay
	spans  []span
	w      *cleanWriter
	growth int64 // by so much the group's segment may become larger than those it is made from

	stats cleaningStats
}

// cleaningStats is what a pass has done.
type cleaningStats struct {
	began, indexed, ended         time.Time
	indexBytes, indexMessages     int64
	readBytes, readMessages       int64
	writtenBytes, writtenMessages int64
	invalidMessages               int64
	bufferUtilization             float64
	segmentsBefore, segmentsAfter int
}

func (s *cleaningStats) elapsed() time.Duration { return s.ended.Sub(s.began) }

// lastRecord is what must stay of a producer so that its state can be told from the log.
type lastRecord struct {
	offset int64 // of its last data batch, -1 when only markers are known
	epoch  int16
}

// span is a part of a batch's records that stays, from byte to byte.
type span struct{ from, to int }

// run cleans and returns the offset up to which the log is clean now.
func (c *cleaning) run(memoryBytes int64, loadFactor float64) (end int64, err error) {
	c.stats.began = c.now()
	c.keys = newKeyMap(memoryBytes, loadFactor, c.upper-c.first)
	if err := c.buildMap(); err != nil {
		return c.first, err
	}
	end = c.keys.latest + 1
	c.stats.indexed = c.now()
	c.stats.bufferUtilization = c.keys.utilization()
	c.txns = newCleanedTxns()
	groups, err := c.group(end)
	if err != nil {
		return c.first, err
	}
	for _, g := range groups {
		if err := c.cleanGroup(g); err != nil {
			return c.first, err
		}
	}
	c.stats.ended = c.now()
	return end, nil
}

// checkDone ends a pass whose log is no longer what it was.
func (c *cleaning) checkDone() error {
	if err := c.l.Err(); err != nil {
		return err
	}
	if c.l.cuts() != c.cuts {
		return fmt.Errorf("%w: the log was cut", errCleaningAborted)
	}
	if c.l.copying.Load() {
		return fmt.Errorf("%w: the log moves to another directory", errCleaningAborted)
	}
	if !c.l.config().Compact {
		return fmt.Errorf("%w: the topic is not compacted any more", errCleaningAborted)
	}
	return nil
}

// viewsUpTo are the segments that begin below an offset.
func (c *cleaning) viewsUpTo(end int64) []view {
	views := c.l.views()
	n := 0
	for n < len(views) && views[n].seg.base < end && !views[n].last {
		n++
	}
	return views[:n]
}

// buildMap reads the dirty part.
func (c *cleaning) buildMap() error {
	c.txns = newCleanedTxns()
	aborted, err := c.l.AbortedTxns(c.first, c.upper)
	if err != nil {
		return err
	}
	c.txns.add(aborted)
	c.keys.latest = c.first - 1
	for _, v := range c.viewsUpTo(c.upper) {
		if v.end <= c.first {
			continue
		}
		full, err := c.mapSegment(v)
		if err != nil || full {
			return err
		}
		c.keys.latest = max(c.keys.latest, v.end-1) // there may be a gap at its end
	}
	return nil
}

func (c *cleaning) mapSegment(v view) (full bool, err error) {
	if err := c.checkDone(); err != nil {
		return false, err
	}
	err = v.seg.with(kindLog, func(f vfs.File) error {
		pos, err := c.l.locate(v, f, c.first)
		if err != nil {
			return err
		}
		return c.reader.each(f, pos, v.size, func(b record.Batch) error {
			c.stats.indexBytes += int64(len(b))
			c.stats.indexMessages += int64(b.NumRecords())
			if full, err = c.mapBatch(b); err == nil && full {
				return errStop
			}
			return err
		})
	})
	return full, err
}

func (c *cleaning) mapBatch(b record.Batch) (full bool, err error) {
	discard, _, err := c.judge(b)
	if err != nil {
		return false, err
	}
	if !b.IsControl() && !discard && b.NumRecords() > 0 {
		raw, err := c.unpack(b)
		if err != nil {
			return false, err
		}
		var r rawRecord
		w := walkRaw(b, raw)
		for range b.NumRecords() {
			if err := w.next(&r); err != nil {
				return false, err
			}
			if offset := b.BaseOffset() + int64(r.offsetDelta); r.key != nil && offset >= c.first && !c.keys.put(r.key, offset) {
				return true, nil
			}
		}
	}
	c.keys.latest = max(c.keys.latest, b.LastOffset())
	return false, nil
}

// judge takes a batch into the transactions; raw is what a control batch holds.
func (c *cleaning) judge(b record.Batch) (discard bool, raw []byte, err error) {
	if !b.IsControl() || b.NumRecords() == 0 {
		discard, err = c.txns.read(b, nil)
		return discard, nil, err
	}
	if raw, err = c.unpack(b); err != nil {
		return false, nil, err
	}
	var r rawRecord
	w := walkRaw(b, raw)
	if err := w.next(&r); err != nil {
		return false, nil, err
	}
	if r.key == nil {
		return false, nil, fmt.Errorf("%w: a control record without a key", record.ErrCorrupt)
	}
	discard, err = c.txns.read(b, r.key)
	return discard, raw, err
}

// unpack is a batch's records, decompressed; valid until the next call.
func (c *cleaning) unpack(b record.Batch) (raw []byte, err error) {
	if b.Codec() == record.None {
		return b.RecordsBytes(), nil
	}
	c.raw, err = b.Codec().Decompress(c.raw[:0], b.RecordsBytes(), record.MaxDecompressedBytes)
	return c.raw, err
}

// group puts neighbours together that fit into one segment: by the sizes of records and indexes, and by the offsets
// that an index can tell.
func (c *cleaning) group(end int64) ([][]view, error) {
	var groups [][]view
	var size, offsetIndex, timeIndex int64
	for _, v := range c.viewsUpTo(end) {
		oi, ti, err := c.indexSizes(v.seg)
		if err != nil {
			return nil, err
		}
		size, offsetIndex, timeIndex = size+v.size, offsetIndex+oi, timeIndex+ti
		n := len(groups)
		if n > 0 && size <= int64(min(c.cfg.SegmentBytes, maxSegmentBytes)) && offsetIndex <= int64(c.cfg.IndexBytes) && timeIndex <= int64(c.cfg.IndexBytes) &&
			(v.size == 0 || v.end-1-groups[n-1][0].seg.base <= maxRelativeOffset) {
			groups[n-1] = append(groups[n-1], v)
			continue
		}
		size, offsetIndex, timeIndex = v.size, oi, ti
		groups = append(groups, []view{v})
	}
	return groups, nil
}

// maxRelativeOffset is what an index entry can say.
const maxRelativeOffset = 1<<31 - 1

func (c *cleaning) indexSizes(s *segment) (offsets, times int64, err error) {
	for k, n := range map[fileKind]*int64{kindIndex: &offsets, kindTimeIndex: &times} {
		info, err := c.l.env.fs.Stat(s.path(k))
		if errors.Is(err, fs.ErrNotExist) {
			return 0, 0, fmt.Errorf("%w: segment %d is gone", errCleaningAborted, s.base)
		}
		if err != nil {
			return 0, 0, err
		}
		*n = info.Size()
	}
	return offsets, times, nil
}

// cleanGroup writes one segment from some and puts it in their place.
func (c *cleaning) cleanGroup(group []view) (err error) {
	if err := c.checkDone(); err != nil {
		return err
	}
	old := make([]*segment, len(group))
	for i, v := range group {
		old[i] = v.seg
	}
	info, err := c.l.env.fs.Stat(old[len(old)-1].path(kindLog))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: segment %d is gone", errCleaningAborted, old[len(old)-1].base)
	}
	if err != nil {
		return err
	}
	bytes := int64(0)
	for _, v := range group {
		bytes += v.size
	}
	if err := c.l.env.space.leaves(bytes); err != nil {
		return err
	}
	c.last = c.l.lastRecords()
	if c.w, err = newCleanWriter(c.l, c.cfg, old[0].base, c.out, c.reader.took); err != nil {
		return err
	}
	if err = c.fillSegment(group); err == nil {
		err = c.w.finish(info.ModTime())
	}
	c.out = c.w.out
	if err == nil {
		err = c.l.replaceSegments(c.w, old, c.cuts)
	}
	if err != nil {
		if c.w.seg.cleaned.Load() {
			c.w.discard(numKinds)
		}
		return err
	}
	c.stats.segmentsBefore += len(old)
	c.stats.segmentsAfter++
	return nil
}

func (c *cleaning) fillSegment(group []view) error {
	c.txns.kept = func(t AbortedTxn) { c.w.aborted = append(c.w.aborted, t) }
	c.growth = maxSegmentBytes
	for _, v := range group {
		c.growth -= v.size
	}
	for _, v := range group {
		aborted, err := c.l.AbortedTxns(v.seg.base, v.end)
		if err != nil {
			return err
		}
		c.txns.add(aborted)
		err = v.seg.with(kindLog, func(f vfs.File) error { return c.reader.each(f, 0, v.size, c.cleanBatch) })
		if err != nil {
			return err
		}
	}
	return nil
}

// cuts is how often the log's end has been cut.
func (l *Log) cuts() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.truncations
}

// lastRecords is what must stay of each producer that the log remembers.
func (l *Log) lastRecords() map[int64]lastRecord {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make(map[int64]lastRecord, len(l.producers.byID))
	for id, p := range l.producers.byID {
		r := lastRecord{offset: -1, epoch: p.epoch}
		if p.n > 0 {
			r.offset = p.batches[p.n-1].lastOffset
		}
		out[id] = r
	}
	return out
}
