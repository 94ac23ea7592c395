package storage

import (
	"github.com/moldau-stream/moldau/internal/record"
)

// cleanBatch decides what stays of one batch. Kafka's rules:
//
//   - Data of aborted transactions goes at once.
//   - A marker goes when nothing of its transaction is left, and then a while later: the pass that could remove
//     it only stamps it with a delete horizon, delete.retention.ms ahead, and a pass after that time removes it.
//   - A record goes when its key comes again later, up to where the map knows, or when it has no key.
//   - A tombstone that is its key's last goes as markers do, by its batch's delete horizon.
//   - A batch that holds a producer's last sequence, or ends where the cleaned part ends, stays
//     as a header without records.
//
// Offsets, sequences and timestamps never change.
func (c *cleaning) cleanBatch(b record.Batch) error {
	c.stats.readBytes += int64(len(b))
	c.stats.readMessages += int64(b.NumRecords())
	discard, raw, err := c.judge(b)
	if err != nil {
		return err
	}
	horizonMs, stamped := b.DeleteHorizonMs()
	isOver := stamped && horizonMs <= c.nowMs
	switch {
	case b.NumRecords() == 0, discard && !b.IsControl(), discard && isOver:
		return c.keepEmpty(b)
	case b.IsControl() && discard && !stamped:
		c.spans = append(c.spans[:0], span{0, len(raw)})
		return c.rewrite(b, raw, record.Rewrite{Count: b.NumRecords(), MaxTimestamp: b.MaxTimestamp(), DeleteHorizonMs: c.horizon()})
	case b.IsControl(), b.BaseOffset() > c.keys.latest:
		return c.keep(b)
	}
	return c.filter(b, isOver, stamped)
}

// horizon is when what is marked for removal now may be removed.
func (c *cleaning) horizon() int64 { return addClamped(c.nowMs, c.cfg.DeleteRetentionMs) }

func (c *cleaning) keep(b record.Batch) error {
	c.stats.writtenMessages += int64(b.NumRecords())
	c.stats.writtenBytes += int64(len(b))
	return c.w.keep(b)
}

// keepEmpty leaves the header of a batch without records, where that is needed.
func (c *cleaning) keepEmpty(b record.Batch) error {
	if b.NextOffset() != c.upper && !c.isLastOfProducer(b) {
		return nil
	}
	if err := c.w.room(record.HeaderBytes); err != nil {
		return err
	}
	at := len(c.w.out)
	c.w.out = b.AppendEmpty(c.w.out)
	c.stats.writtenBytes += record.HeaderBytes
	c.w.index(record.Batch(c.w.out[at:]))
	return nil
}

// isLastOfProducer says whether a batch holds the last sequence of a producer that is remembered or, where only
// its epoch is, a marker of that epoch.
func (c *cleaning) isLastOfProducer(b record.Batch) bool {
	if !b.HasProducerID() {
		return false
	}
	last, ok := c.last[b.ProducerID()]
	if !ok {
		return false
	}
	if last.offset >= 0 {
		return b.LastOffset() == last.offset
	}
	return b.IsControl() && b.ProducerEpoch() == last.epoch
}

// filter keeps the records of a data batch that are still of use.
func (c *cleaning) filter(b record.Batch, isOver, stamped bool) error {
	raw, err := c.unpack(b)
	if err != nil {
		return err
	}
	c.spans = c.spans[:0]
	count, maxTsDelta, tombstones := 0, int64(0), false
	base, total := b.BaseOffset(), b.NumRecords()
	var r rawRecord
	w := walkRaw(b, raw)
	for range total {
		if err := w.next(&r); err != nil {
			return err
		}
		offset := base + int64(r.offsetDelta)
		if offset <= c.keys.latest {
			if r.key == nil {
				c.stats.invalidMessages++
				continue
			}
			if offset < c.keys.get(r.key) || r.isTombstone && isOver {
				continue
			}
			tombstones = tombstones || r.isTombstone
		}
		if count == 0 || r.tsDelta > maxTsDelta {
			maxTsDelta = r.tsDelta
		}
		count++
		if n := len(c.spans); n > 0 && c.spans[n-1].to == r.start {
			c.spans[n-1].to = r.end
		} else {
			c.spans = append(c.spans, span{r.start, r.end})
		}
	}
	stamp := tombstones && !stamped
	switch {
	case count == 0:
		return c.keepEmpty(b)
	case count == total && !stamp:
		return c.keep(b)
	}
	rw := record.Rewrite{Count: count, MaxTimestamp: b.BaseTimestamp() + maxTsDelta, DeleteHorizonMs: -1}
	if b.TimestampType() == record.LogAppendTime {
		rw.MaxTimestamp = b.MaxTimestamp()
	}
	if stamp {
		rw.DeleteHorizonMs = c.horizon()
	}
	return c.rewrite(b, raw, rw)
}

// rewrite appends a batch with the records that c.spans tells, in the batch's own codec.
func (c *cleaning) rewrite(b record.Batch, raw []byte, rw record.Rewrite) (err error) {
	w := c.w
	var at int
	if b.Codec() == record.None {
		if err := w.room(len(b)); err != nil {
			return err
		}
		at = len(w.out)
		w.out, err = c.appendKept(append(w.out, b[:record.HeaderBytes]...), b, raw, rw.DeleteHorizonMs)
	} else {
		if c.kept, err = c.appendKept(c.kept[:0], b, raw, rw.DeleteHorizonMs); err != nil {
			return err
		}
		if err := w.room(len(b)); err != nil {
			return err
		}
		at = len(w.out)
		w.out, err = b.Codec().Compress(append(w.out, b[:record.HeaderBytes]...), c.kept, record.DefaultLevel)
	}
	if err != nil {
		return err
	}
	if grown := int64(len(w.out) - at - len(b)); grown > 0 {
		// A stamp or another compressor's work may add some bytes. Before a segment becomes too large for its
		// index the batch stays as it was, which is allowed: another pass will find it.
		if grown > c.growth {
			w.out = w.out[:at]
			return c.keep(b)
		}
		c.growth -= grown
	}
	n := rw.Finish(w.out[at:])
	c.stats.writtenMessages += int64(rw.Count)
	c.stats.writtenBytes += int64(len(n))
	w.index(n)
	return nil
}

// appendKept appends the records that stay; with a horizon, relative to that.
func (c *cleaning) appendKept(dst []byte, b record.Batch, raw []byte, horizonMs int64) ([]byte, error) {
	if horizonMs < 0 {
		for _, s := range c.spans {
			dst = append(dst, raw[s.from:s.to]...)
		}
		return dst, nil
	}
	var r rawRecord
	for _, s := range c.spans {
		w := walkRaw(b, raw[:s.to])
		for w.pos = s.from; w.pos < s.to; {
			if err := w.next(&r); err != nil {
				return dst, err
			}
			dst = r.appendMoved(dst, raw, b.BaseTimestamp()+r.tsDelta-horizonMs)
		}
	}
	return dst, nil
}
