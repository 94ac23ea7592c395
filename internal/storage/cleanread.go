package storage

import (
	"errors"
	"fmt"
	"io"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// cleanReader reads a segment's batches, piece by piece into one buffer, which only grows for
// a batch that is larger than it.
type cleanReader struct {
	buf   []byte
	limit int64                 // no batch is larger
	took  func(bytes int) error // is told of each piece: it slows reading down, and ends it
}

const (
	// maxCleanBatchBytes bounds the buffer: more fits into no request, so that a batch which
	// says it is larger is a damaged length and not a reason to take all memory.
	maxCleanBatchBytes = 256 << 20
	// minCleanBufferBytes keeps a buffer usable however small the configuration makes it.
	minCleanBufferBytes = 4 << 10
)

// each hands the batches of a segment from a position on to fn, checked; they are valid until fn returns. A
// batch that is not whole is an ErrCorruptRecord with its file and position. fn ends the walk with errStop.
func (r *cleanReader) each(f vfs.File, pos, end int64, fn func(record.Batch) error) error {
	have := r.buf[:0]
	at := pos // where have begins in the file
	for pos < end {
		b, _, err := record.Next(have[pos-at:])
		if errors.Is(err, record.ErrTruncated) && at+int64(len(have)) < end {
			if have, err = r.fill(f, have[pos-at:], pos, end); err != nil {
				return err
			}
			at = pos
			continue
		}
		if err == nil {
			err = b.Validate()
		}
		if err == nil && (b.LastOffsetDelta() < 0 || b.NumRecords() < 0) {
			err = fmt.Errorf("%w: last offset delta %d, %d records", record.ErrCorrupt, b.LastOffsetDelta(), b.NumRecords())
		}
		if err == nil {
			err = fn(b)
			if errors.Is(err, errStop) {
				return nil
			}
		}
		if errors.Is(err, record.ErrCorrupt) || errors.Is(err, record.ErrTruncated) || errors.Is(err, record.ErrUnsupportedMagic) ||
			errors.Is(err, record.ErrUnsupportedCodec) || errors.Is(err, record.ErrTooLarge) {
			return fmt.Errorf("%w: %s at %d: %w", ErrCorruptRecord, f.Name(), pos, err)
		}
		if err != nil {
			return err
		}
		pos += int64(len(b))
	}
	return nil
}

// fill keeps rest, which lies at pos, and reads on behind it.
func (r *cleanReader) fill(f vfs.File, rest []byte, pos, end int64) ([]byte, error) {
	need := len(r.buf)
	if _, size, err := record.Peek(rest); err == nil {
		if size > r.limit {
			return nil, fmt.Errorf("%w: %s at %d: a batch of %d bytes", ErrCorruptRecord, f.Name(), pos, size)
		}
		if size > int64(need) && pos+size <= end {
			if err := checkBatchAt(f, pos, size); err != nil {
				return nil, err // before there is memory for it
			}
			need = int(size)
		}
	}
	if need > len(r.buf) {
		grown := make([]byte, need)
		copy(grown, rest)
		r.buf = grown
	} else {
		copy(r.buf, rest)
	}
	want := int(min(int64(len(r.buf)), end-pos))
	n, err := f.ReadAt(r.buf[len(rest):want], pos+int64(len(rest)))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot read %s at %d: %w", f.Name(), pos+int64(len(rest)), err)
	}
	if len(rest)+n < want {
		return nil, fmt.Errorf("%w: %s at %d: the file is shorter than it was", ErrCorruptRecord, f.Name(), pos+int64(len(rest)))
	}
	return r.buf[:want], r.took(n)
}
