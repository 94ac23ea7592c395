package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/moldau-stream/moldau/internal/record"
)

// rawRecord is one record as it lies in a batch's uncompressed records: what compaction asks about it, and
// where it is, so that it can be copied without being taken apart.
type rawRecord struct {
	start, end  int // its bytes, with the length in front
	body        int // where what the length counts begins
	deltaAt     int // the timestamp delta
	afterDelta  int
	tsDelta     int64
	offsetDelta int32
	key         []byte // nil for none
	isTombstone bool   // it has no value
}

// rawRecords walks the records of a batch. Nothing is allocated.
type rawRecords struct {
	raw        []byte
	pos        int
	prev, last int32
}

func walkRaw(b record.Batch, raw []byte) rawRecords {
	return rawRecords{raw: raw, prev: -1, last: b.LastOffsetDelta()}
}

// next reads a record. Lengths are checked, headers are not looked at: the batch's checksum has been.
func (w *rawRecords) next(r *rawRecord) error {
	raw := w.raw
	length, n := zigzag(raw, w.pos)
	if n <= 0 || length < 0 || length > int64(len(raw)-w.pos-n) {
		return fmt.Errorf("%w: bad record length at byte %d of its records", record.ErrCorrupt, w.pos)
	}
	r.start, r.body = w.pos, w.pos+n
	r.end = r.body + int(length)
	raw = raw[:r.end]
	at := r.body + 1 // attributes, unused
	r.deltaAt = at
	if at >= r.end {
		return fmt.Errorf("%w: a record of %d bytes", record.ErrCorrupt, length)
	}
	if r.tsDelta, n = zigzag(raw, at); n <= 0 {
		return fmt.Errorf("%w: bad timestamp delta", record.ErrCorrupt)
	}
	at += n
	r.afterDelta = at
	delta, n := zigzag(raw, at)
	if n <= 0 || delta <= int64(w.prev) || delta > int64(w.last) {
		return fmt.Errorf("%w: offset delta %d after %d, last is %d", record.ErrCorrupt, delta, w.prev, w.last)
	}
	at += n
	r.offsetDelta = int32(delta)
	size, n := zigzag(raw, at)
	if n <= 0 || size < -1 || size > int64(r.end-at-n) {
		return fmt.Errorf("%w: a key of %d bytes", record.ErrCorrupt, size)
	}
	at += n
	r.key = nil
	if size >= 0 {
		r.key = raw[at : at+int(size) : at+int(size)]
		at += int(size)
	}
	if size, n = zigzag(raw, at); n <= 0 || size < -1 || size > int64(r.end-at-n) {
		return fmt.Errorf("%w: a value of %d bytes", record.ErrCorrupt, size)
	}
	r.isTombstone = size < 0
	w.prev, w.pos = r.offsetDelta, r.end
	return nil
}

// zigzag reads a zig-zag varint at a place; n <= 0 when it is cut short or too long.
func zigzag(b []byte, at int) (v int64, n int) {
	if at < len(b) && b[at] < 0x80 {
		return int64(b[at]>>1) ^ -int64(b[at]&1), 1
	}
	return binary.Varint(b[at:])
}

// appendMoved appends a record whose timestamp is told relative to another base.
func (r *rawRecord) appendMoved(dst, raw []byte, tsDelta int64) []byte {
	var delta [binary.MaxVarintLen64]byte
	n := binary.PutVarint(delta[:], tsDelta)
	length := r.end - r.body - (r.afterDelta - r.deltaAt) + n
	dst = binary.AppendVarint(dst, int64(length))
	dst = append(dst, raw[r.body:r.deltaAt]...)
	dst = append(dst, delta[:n]...)
	return append(dst, raw[r.afterDelta:r.end]...)
}
