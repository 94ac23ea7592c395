package storage

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

const (
	// headerChunkBytes is read at once when headers are walked: an index interval and some.
	headerChunkBytes = 8 << 10
	// scanChunkBytes is read at once when all bytes are checked.
	scanChunkBytes = 1 << 20
)

// chunks only saves allocations.
var chunks = sync.Pool{New: func() any { b := make([]byte, headerChunkBytes); return &b }}

// headers walks the batch headers of a file without reading the records.
type headers struct {
	f    vfs.File
	end  int64 // nothing from here on is looked at
	buf  *[]byte
	have []byte // bytes of the file from start on
	from int64
}

func walkHeaders(f vfs.File, end int64) headers {
	return headers{f: f, end: end, buf: chunks.Get().(*[]byte)}
}

func (h *headers) close() { chunks.Put(h.buf) }

// at reads the header at pos. The header is valid until the next call.
func (h *headers) at(pos int64) (hdr record.Batch, size int64, err error) {
	if pos+record.HeaderBytes > h.end {
		return nil, 0, h.corrupt(pos, record.ErrTruncated)
	}
	if pos < h.from || pos+record.HeaderBytes > h.from+int64(len(h.have)) {
		n := min(int64(len(*h.buf)), h.end-pos)
		if _, err := h.f.ReadAt((*h.buf)[:n], pos); err != nil {
			return nil, 0, fmt.Errorf("cannot read %s at %d: %w", h.f.Name(), pos, err)
		}
		h.have, h.from = (*h.buf)[:n], pos
	}
	hdr, size, err = record.Peek(h.have[pos-h.from:])
	if err != nil {
		return nil, 0, h.corrupt(pos, err)
	}
	if pos+size > h.end {
		return nil, 0, h.corrupt(pos, record.ErrTruncated)
	}
	return hdr, size, nil
}

func (h *headers) corrupt(pos int64, err error) error {
	return fmt.Errorf("%w: %s at %d: %w", ErrCorruptRecord, h.f.Name(), pos, err)
}

// readBatch reads the whole batch at pos.
func readBatch(f vfs.File, pos, size int64) (record.Batch, error) {
	b := make(record.Batch, size)
	if _, err := f.ReadAt(b, pos); err != nil {
		return nil, fmt.Errorf("cannot read the batch at %d of %s: %w", pos, f.Name(), err)
	}
	return b, nil
}

// scanBatches reads f from pos on and hands each whole batch with a good checksum to
// fn. It stops at end, or where the bytes cease to be such batches: bad then says
// why. err is an error of reading or of fn, except errStop, which counts as bad.
func scanBatches(f vfs.File, pos, end int64, fn func(b record.Batch, pos int64) error) (stopped int64, bad, err error) {
	buf := make([]byte, 0, min(scanChunkBytes, end-pos))
	at := pos // where buf begins in the file
	for pos < end {
		batch, _, nerr := record.Next(buf[pos-at:])
		if errors.Is(nerr, record.ErrTruncated) && at+int64(len(buf)) < end {
			if buf, err = refill(f, buf[pos-at:], pos, end); err != nil {
				return pos, nil, err
			}
			at = pos
			continue
		}
		if nerr == nil {
			nerr = batch.Validate()
		}
		if nerr != nil {
			return pos, nerr, nil
		}
		if err := fn(batch, pos); err != nil {
			if errors.Is(err, errStop) {
				return pos, err, nil
			}
			return pos, nil, err
		}
		pos += int64(len(batch))
	}
	return pos, nil, nil
}

// errStop ends a scan as if the bytes were bad.
var errStop = errors.New("batch does not fit here")

// refill keeps rest, which lies at pos, and reads on: a chunk more, or twice as much
// as before when that was not enough for a batch.
func refill(f vfs.File, rest []byte, pos, end int64) ([]byte, error) {
	size := min(int64(max(scanChunkBytes, 2*len(rest))), end-pos)
	buf := make([]byte, size)
	n := copy(buf, rest)
	m, err := f.ReadAt(buf[n:], pos+int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot read %s at %d: %w", f.Name(), pos+int64(n), err)
	}
	if n+m < len(buf) {
		return nil, fmt.Errorf("cannot read %s at %d: it is shorter than it was", f.Name(), pos+int64(n))
	}
	return buf, nil
}
