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

// maxBatchBytes is the largest batch there can be: more fits into no request, and unpacks to more than is ever unpacked. A
// header that says more is damaged.
const maxBatchBytes = record.MaxDecompressedBytes

// errShorter says that a file ends before what was written to it does.
var errShorter = errors.New("the file is shorter than it was")

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
		n := min(h.ahead(pos), h.end-pos)
		got, err := h.f.ReadAt((*h.buf)[:n], pos)
		if errors.Is(err, io.EOF) && got < record.HeaderBytes {
			return nil, 0, h.corrupt(pos, errShorter)
		}
		if err != nil && !errors.Is(err, io.EOF) && got < record.HeaderBytes { // what cannot be read may lie behind what is looked for
			return nil, 0, fmt.Errorf("cannot read %s at %d: %w", h.f.Name(), pos, err)
		}
		h.have, h.from = (*h.buf)[:got], pos
	}
	hdr, size, err = record.Peek(h.have[pos-h.from:])
	if err != nil {
		return nil, 0, h.corrupt(pos, err)
	}
	if pos+size > h.end {
		return nil, 0, h.corrupt(pos, record.ErrTruncated)
	}
	if size > maxBatchBytes {
		return nil, 0, h.corrupt(pos, fmt.Errorf("%w: it says that it has %d bytes", record.ErrCorrupt, size))
	}
	return hdr, size, nil
}

// ahead is how much to read at a position: where the batches are larger than what is read at once, their headers alone.
func (h *headers) ahead(pos int64) int64 {
	if len(h.have) > 0 && pos-h.from > int64(len(*h.buf)) {
		return record.HeaderBytes
	}
	return int64(len(*h.buf))
}

func (h *headers) corrupt(pos int64, err error) error {
	return fmt.Errorf("%w: %s at %d: %w", ErrCorruptRecord, h.f.Name(), pos, err)
}

// readBatch reads the whole batch at pos. Nothing large is allocated because a damaged length says so.
func readBatch(f vfs.File, pos, size int64) (record.Batch, error) {
	if size > scanChunkBytes {
		if err := checkBatchAt(f, pos, size); err != nil {
			return nil, err
		}
	}
	b := make(record.Batch, size)
	if err := readWhole(f, b, pos); err != nil {
		return nil, err
	}
	return b, nil
}

// readWhole fills b from pos on.
func readWhole(f vfs.File, b []byte, pos int64) error {
	n, err := f.ReadAt(b, pos)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s at %d: %w", ErrCorruptRecord, f.Name(), pos, errShorter)
	}
	return fmt.Errorf("cannot read %s at %d: %w", f.Name(), pos, err)
}

// checkBatchAt holds a batch against its checksum, piece by piece.
func checkBatchAt(f vfs.File, pos, size int64) error {
	if size > maxBatchBytes {
		return fmt.Errorf("%w: %s at %d: %w: it says that it has %d bytes", ErrCorruptRecord, f.Name(), pos, record.ErrCorrupt, size)
	}
	buf := verifyBuffers.Get().(*[]byte)
	defer verifyBuffers.Put(buf)
	var sum record.CRC
	for at := int64(0); at < size; {
		b := (*buf)[:min(int64(len(*buf)), size-at)]
		if err := readWhole(f, b, pos+at); err != nil {
			return err
		}
		sum.Write(b)
		at += int64(len(b))
	}
	if err := sum.Check(); err != nil {
		return fmt.Errorf("%w: %s at %d: %w", ErrCorruptRecord, f.Name(), pos, err)
	}
	return nil
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
			more, cut, err := refill(f, buf[pos-at:], pos, end)
			if cut != nil || err != nil {
				return pos, cut, err
			}
			buf, at = more, pos
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

// refill keeps rest, which lies at pos, and reads on: a chunk more, or the whole of a batch that is larger and good. bad
// says why there is no such batch.
func refill(f vfs.File, rest []byte, pos, end int64) (buf []byte, bad, err error) {
	want := int64(scanChunkBytes)
	if _, size, perr := record.Peek(rest); perr == nil && size > want {
		if pos+size > end {
			return nil, record.ErrTruncated, nil
		}
		if err := checkBatchAt(f, pos, size); errors.Is(err, ErrCorruptRecord) {
			return nil, err, nil
		} else if err != nil {
			return nil, nil, err
		}
		want = size
	}
	buf = make([]byte, min(want, end-pos))
	n := copy(buf, rest)
	if err := readWhole(f, buf[n:], pos+int64(n)); err != nil {
		return nil, nil, err
	}
	return buf, nil, nil
}
