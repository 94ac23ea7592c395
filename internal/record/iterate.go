package record

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte // nil = null
}

// Record is one record, unpacked.
type Record struct {
	Offset      int64
	TimestampMs int64
	Key, Value  []byte // nil = null
	Headers     []Header
}

// Clone is a record that shares no memory with r.
func (r Record) Clone() Record {
	r.Key, r.Value = slices.Clone(r.Key), slices.Clone(r.Value)
	if len(r.Headers) == 0 {
		r.Headers = nil
		return r
	}
	r.Headers = slices.Clone(r.Headers)
	for i := range r.Headers {
		r.Headers[i].Value = slices.Clone(r.Headers[i].Value)
	}
	return r
}

// ForEach unpacks the records in order and hands each to fn; an error of fn ends
// the walk and is returned as it is. The record's bytes and its slice of headers
// belong to the batch or to a pooled buffer: they are valid until fn returns, who
// keeps them must Clone. The records must be as many as the header says, in
// rising order of offset and within its last offset, with nothing after them.
func (b Batch) ForEach(fn func(Record) error) error {
	return b.walk(true, fn)
}

// ForEachKey is ForEach for callers who do not need the headers, which it only checks.
func (b Batch) ForEachKey(fn func(Record) error) error {
	return b.walk(false, fn)
}

// ValidateRecords unpacks all records to see that they can be unpacked.
func (b Batch) ValidateRecords() error {
	return b.walk(false, func(Record) error { return nil })
}

func (b Batch) walk(headers bool, fn func(Record) error) error {
	codec := b.Codec()
	if codec == None {
		return b.walkRaw(b.RecordsBytes(), headers, fn)
	}
	r, done, err := codec.open(b.RecordsBytes())
	if err != nil {
		return fmt.Errorf("cannot decompress the records of the batch at offset %d: %w", b.BaseOffset(), err)
	}
	if r != nil {
		defer done()
		return b.walkStream(r, headers, fn)
	}
	buf := getBuffer()
	defer putBuffer(buf)
	raw, err := codec.Decompress((*buf)[:0], b.RecordsBytes(), MaxDecompressedBytes)
	*buf = raw[:0]
	if err != nil {
		return fmt.Errorf("cannot decompress the records of the batch at offset %d: %w", b.BaseOffset(), err)
	}
	return b.walkRaw(raw, headers, fn)
}

// decoder is what reads the batch's records, and how many the header says there are.
func (b Batch) decoder(headers bool) (decoder, int, error) {
	count := b.NumRecords()
	if count < 0 {
		return decoder{}, 0, fmt.Errorf("%w: its count of records is %d", ErrCorrupt, count)
	}
	d := decoder{base: b.BaseOffset(), baseTs: b.BaseTimestamp(), keepHeaders: headers, prevDelta: -1, lastDelta: b.LastOffsetDelta()}
	if b.TimestampType() == LogAppendTime {
		d.appendTime, d.stamped = b.MaxTimestamp(), true
	}
	return d, count, nil
}

func (b Batch) walkRaw(raw []byte, headers bool, fn func(Record) error) error {
	d, count, err := b.decoder(headers)
	if err != nil {
		return err
	}
	d.rest = raw
	for i := 0; i < count; i++ {
		if err := d.next(); err != nil {
			return fmt.Errorf("cannot read record %d of %d of the batch at offset %d: %w", i, count, b.BaseOffset(), err)
		}
		if err := fn(d.rec); err != nil {
			return err
		}
	}
	if len(d.rest) != 0 {
		return fmt.Errorf("%w: %d bytes follow the %d records of the batch at offset %d", ErrCorrupt, len(d.rest), count, b.BaseOffset())
	}
	return nil
}

// decoder reads one record after another from decompressed bytes.
type decoder struct {
	rest                 []byte
	base, baseTs         int64
	appendTime           int64
	stamped              bool // appendTime is every record's timestamp
	keepHeaders          bool
	prevDelta, lastDelta int32
	rec                  Record
}

func (d *decoder) next() error {
	length, n := varint(d.rest)
	if n <= 0 {
		return fmt.Errorf("%w: bad length", ErrCorrupt)
	}
	if length < 0 || length > int64(len(d.rest)-n) {
		return fmt.Errorf("%w: a record of %d bytes where %d are left", ErrCorrupt, length, len(d.rest)-n)
	}
	body := d.rest[n : n+int(length)]
	d.rest = d.rest[n+int(length):]
	if len(body) == 0 {
		return fmt.Errorf("%w: empty record", ErrCorrupt)
	}
	body = body[1:] // attributes, unused
	tsDelta, n := varint(body)
	if n <= 0 {
		return fmt.Errorf("%w: bad timestamp delta", ErrCorrupt)
	}
	body = body[n:]
	offDelta, n := varint(body)
	if n <= 0 || offDelta <= int64(d.prevDelta) || offDelta > int64(d.lastDelta) {
		return fmt.Errorf("%w: offset delta %d after %d, last is %d", ErrCorrupt, offDelta, d.prevDelta, d.lastDelta)
	}
	body = body[n:]
	d.prevDelta = int32(offDelta)
	d.rec.Offset = d.base + offDelta
	d.rec.TimestampMs = d.baseTs + tsDelta
	if d.stamped {
		d.rec.TimestampMs = d.appendTime
	}
	var err error
	if d.rec.Key, body, err = varbytes(body); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if d.rec.Value, body, err = varbytes(body); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	return d.headers(body)
}

func (d *decoder) headers(body []byte) error {
	num, n := varint(body)
	// A header takes two bytes at the least, which bounds their number before anything is allocated.
	if n <= 0 || num < 0 || num > int64(len(body)-n)/2 {
		return fmt.Errorf("%w: %d headers in %d bytes", ErrCorrupt, num, len(body))
	}
	body = body[n:]
	d.rec.Headers = d.rec.Headers[:0]
	for range num {
		var key, value []byte
		var err error
		if key, body, err = varbytes(body); err != nil {
			return fmt.Errorf("header key: %w", err)
		}
		if key == nil {
			return fmt.Errorf("%w: header key is null", ErrCorrupt)
		}
		if value, body, err = varbytes(body); err != nil {
			return fmt.Errorf("header value: %w", err)
		}
		if d.keepHeaders {
			d.rec.Headers = append(d.rec.Headers, Header{Key: string(key), Value: value})
		}
	}
	if len(body) != 0 {
		return fmt.Errorf("%w: %d bytes left in a record", ErrCorrupt, len(body))
	}
	return nil
}

// varint reads a zig-zag varint; n <= 0 when it is cut short or longer than 64 bits.
func varint(b []byte) (v int64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	}
	return binary.Varint(b)
}

// varbytes reads a length and that many bytes; length -1 is null.
func varbytes(b []byte) (v, rest []byte, err error) {
	length, n := varint(b)
	if n <= 0 || length < -1 || length > int64(len(b)-n) {
		return nil, b, fmt.Errorf("%w: a field of %d bytes where %d are left", ErrCorrupt, length, len(b))
	}
	b = b[n:]
	if length == -1 {
		return nil, b, nil
	}
	return b[:length:length], b[length:], nil
}
