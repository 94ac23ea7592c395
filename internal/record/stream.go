package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// A compressed batch is walked through a window that holds one record at a time:
// what a batch unpacks to may be a thousand times its size, and none of that has to
// be in memory at once.

const (
	// maxRecordBytes bounds one record of a compressed batch: the window grows to it at
	// the most. A batch larger than that by itself may hold records of eight times its size.
	maxRecordBytes = 32 << 20
	// maxZstdWindowBytes is what a zstd frame may ask a stream's reader to remember; zstd's own
	// highest level asks for 8 MiB at Kafka's batch sizes, where it knows them.
	maxZstdWindowBytes = 16 << 20
	// maxWideBytes is what a frame may unpack to that asks for more, as those of a client may that compresses with the highest levels while
	// records come. Such a frame is unpacked whole: that takes no more than this, while its window might.
	maxWideBytes = maxRecordBytes
	// maxZstdFrameBytes is the largest window that zstd's own readers take unasked.
	maxZstdFrameBytes = 128 << 20
	// zstdWindowAt is where a frame that is not one segment says its window, in steps of an eighth: wideWindow stands for maxWideBytes.
	zstdWindowAt = 5
	wideWindow   = (25 - 10) << 3
)

// open gives a reader of src decompressed and what gives it back; nil for a codec whose
// bytes unpack to little more than they are (none, snappy).
func (c Codec) open(src []byte) (r io.Reader, done func(), err error) {
	in := bytes.NewReader(src)
	switch c {
	case Gzip:
		z, ok := gzipReaders.Get().(*gzip.Reader)
		if !ok {
			z = new(gzip.Reader)
		}
		if err := z.Reset(in); err != nil {
			gzipReaders.Put(z)
			return nil, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return z, func() { gzipReaders.Put(z) }, nil
	case LZ4:
		z := lz4Readers.Get().(*lz4.Reader)
		z.Reset(in)
		return z, func() { z.Reset(nil); lz4Readers.Put(z) }, nil
	case Zstd:
		var claim zstd.Header
		if claim.Decode(src) == nil && !claim.Skippable && !claim.SingleSegment && claim.WindowSize > maxZstdWindowBytes && claim.WindowSize <= maxZstdFrameBytes {
			return openWide(src)
		}
		z, ok := zstdStreams.Get().(*zstd.Decoder)
		if !ok {
			z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindowBytes))
			if err != nil {
				return nil, nil, err
			}
		}
		if err := z.Reset(in); err != nil {
			zstdStreams.Put(z)
			return nil, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return z, func() { _ = z.Reset(nil); zstdStreams.Put(z) }, nil
	}
	return nil, nil, nil
}

// openWide is open for a zstd frame whose window is too large for a stream.
func openWide(src []byte) (r io.Reader, done func(), err error) {
	z, ok := zstdWide.Get().(*zstd.Decoder)
	if !ok {
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxWideBytes))
		if err != nil {
			return nil, nil, err
		}
	}
	defer zstdWide.Put(z)
	// What unpacks to no more than a smaller window needs no larger one, and the decoder refuses a window that exceeds its bound.
	src = bytes.Clone(src)
	src[zstdWindowAt] = wideWindow
	raw, err := z.DecodeAll(src, nil)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return bytes.NewReader(raw), func() {}, nil
}

// window holds the part of a decompressed stream that is being looked at.
type window struct {
	r         io.Reader
	buf       []byte // buf[at:] has been read and not been used
	at        int
	total     int // bytes read so far
	maxRecord int
	end       bool
}

// fill makes at least n bytes available, fewer only at the end of the stream.
func (w *window) fill(n int) error {
	for len(w.buf)-w.at < n && !w.end {
		if err := w.read(n); err != nil {
			return err
		}
	}
	return nil
}

func (w *window) read(n int) error {
	if w.at > 0 {
		w.buf = w.buf[:copy(w.buf, w.buf[w.at:])]
		w.at = 0
	}
	if cap(w.buf) < n {
		grown := make([]byte, len(w.buf), min(max(n, 2*cap(w.buf)), w.maxRecord+maxVarintBytes))
		copy(grown, w.buf)
		w.buf = grown
	}
	got, err := w.r.Read(w.buf[len(w.buf):cap(w.buf)])
	w.buf = w.buf[:len(w.buf)+got]
	if w.total += got; w.total > MaxDecompressedBytes {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxDecompressedBytes)
	}
	switch {
	case errors.Is(err, io.EOF):
		w.end = true
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// maxVarintBytes is the longest varint.
const maxVarintBytes = 10

// record is the bytes of the next record, its length before it; they are valid until the next call.
func (w *window) record() ([]byte, error) {
	if err := w.fill(maxVarintBytes); err != nil {
		return nil, err
	}
	length, n := varint(w.buf[w.at:])
	if n <= 0 || length < 0 {
		return nil, fmt.Errorf("%w: bad length", ErrCorrupt)
	}
	if length > int64(w.maxRecord) {
		return nil, fmt.Errorf("%w: a record of %d bytes", ErrTooLarge, length)
	}
	size := n + int(length)
	if err := w.fill(size); err != nil {
		return nil, err
	}
	if len(w.buf)-w.at < size {
		return nil, fmt.Errorf("%w: a record of %d bytes where %d are left", ErrCorrupt, length, len(w.buf)-w.at-n)
	}
	rec := w.buf[w.at : w.at+size]
	w.at += size
	return rec, nil
}

// left is how many bytes follow, as far as that shows after one more read.
func (w *window) left() (int, error) {
	err := w.fill(1)
	return len(w.buf) - w.at, err
}

// walkStream is walkRaw over a stream.
func (b Batch) walkStream(r io.Reader, headers bool, fn func(Record) error) error {
	buf := getBuffer()
	w := window{r: r, buf: (*buf)[:0], maxRecord: max(maxRecordBytes, 8*len(b))}
	defer func() {
		*buf = w.buf[:0]
		putBuffer(buf)
	}()
	d, count, err := b.decoder(headers)
	if err != nil {
		return err
	}
	for i := range count {
		if d.rest, err = w.record(); err == nil {
			err = d.next()
		}
		if err != nil {
			return fmt.Errorf("cannot read record %d of %d of the batch at offset %d: %w", i, count, b.BaseOffset(), err)
		}
		if err := fn(d.rec); err != nil {
			return err
		}
	}
	left, err := w.left()
	if err == nil && left > 0 {
		err = fmt.Errorf("%w: bytes follow the %d records", ErrCorrupt, count)
	}
	if err != nil {
		return fmt.Errorf("cannot read the batch at offset %d to its end: %w", b.BaseOffset(), err)
	}
	return nil
}
