package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codec is how the records of a batch are compressed.
type Codec int8

// The codecs, by their numbers in the attributes.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4
)

// MaxDecompressedBytes bounds what one batch may unpack to. A batch is about
// 1 MiB; data that compresses a hundredfold is still far below this, while a
// bomb of 1 MiB of gzip (a thousandfold) is not let in.
const MaxDecompressedBytes = 256 << 20

// maxPooledBytes is the largest buffer kept for reuse, so that one giant does not stay for ever.
const maxPooledBytes = 4 << 20

// Known says whether the codec exists.
func (c Codec) Known() bool { return c >= None && c <= Zstd }

func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("codec %d", int8(c))
}

// ParseCodec reads a codec's name as clients and topics spell it.
func ParseCodec(name string) (Codec, error) {
	switch name {
	case "none", "uncompressed":
		return None, nil
	case "gzip":
		return Gzip, nil
	case "snappy":
		return Snappy, nil
	case "lz4":
		return LZ4, nil
	case "zstd":
		return Zstd, nil
	}
	return None, fmt.Errorf("%w: %q (known: none, gzip, snappy, lz4, zstd)", ErrUnsupportedCodec, name)
}

// The pools only save allocations: what is in them carries nothing from one use to the next.
var (
	buffers     = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}
	gzipReaders sync.Pool // *gzip.Reader
	gzipWriters [11]sync.Pool
	lz4Readers  = sync.Pool{New: func() any { return lz4.NewReader(nil) }}
	lz4Writers  [lz4MaxLevel + 1]sync.Pool
	zstdReaders sync.Pool // *zstd.Decoder, for whole batches
	zstdStreams sync.Pool // *zstd.Decoder, for streams
	zstdWide    sync.Pool // *zstd.Decoder, for frames whose window is too large for a stream
	zstdWriters [zstd.SpeedBestCompression + 1]sync.Pool
)

const (
	// DefaultLevel asks each codec for its own default.
	DefaultLevel = 0
	// lz4DefaultLevel is Kafka's number for the fast compressor.
	lz4DefaultLevel = 9
	lz4MaxLevel     = 17
)

func getBuffer() *[]byte { return buffers.Get().(*[]byte) }

func putBuffer(b *[]byte) {
	if cap(*b) <= maxPooledBytes {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// Compress appends src, compressed as Kafka's clients do it, to dst.
// level is Kafka's compression level of that codec, or DefaultLevel.
func (c Codec) Compress(dst, src []byte, level int) ([]byte, error) {
	switch c {
	case None:
		return append(dst, src...), nil
	case Gzip:
		return compressGzip(dst, src, level)
	case Snappy:
		return compressXerial(dst, src), nil
	case LZ4:
		return compressLZ4(dst, src, level)
	case Zstd:
		return compressZstd(dst, src, level)
	}
	return dst, fmt.Errorf("%w: %v", ErrUnsupportedCodec, c)
}

// Decompress appends src, decompressed, to dst; ErrTooLarge when that is more than limit bytes.
func (c Codec) Decompress(dst, src []byte, limit int) ([]byte, error) {
	switch c {
	case None:
		if len(src) > limit {
			return dst, ErrTooLarge
		}
		return append(dst, src...), nil
	case Gzip:
		return decompressGzip(dst, src, limit)
	case Snappy:
		return decompressSnappy(dst, src, limit)
	case LZ4:
		return decompressLZ4(dst, src, limit)
	case Zstd:
		return decompressZstd(dst, src, limit)
	}
	return dst, fmt.Errorf("%w: %v", ErrUnsupportedCodec, c)
}

// sliceWriter is an io.Writer that appends.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// readBounded appends all of r to dst, limit bytes at the most.
func readBounded(dst []byte, r io.Reader, limit int) ([]byte, error) {
	start := len(dst)
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst)-start > limit {
			return dst, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
		}
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
}

func compressGzip(dst, src []byte, level int) ([]byte, error) {
	if level == DefaultLevel {
		level = gzip.DefaultCompression
	}
	if level < gzip.DefaultCompression || level > gzip.BestCompression {
		return dst, fmt.Errorf("gzip has no level %d", level)
	}
	pool := &gzipWriters[level+1]
	w, ok := pool.Get().(*gzip.Writer)
	if !ok {
		w, _ = gzip.NewWriterLevel(nil, level) // the level was checked above
	}
	defer pool.Put(w)
	out := sliceWriter{dst}
	w.Reset(&out)
	if _, err := w.Write(src); err != nil {
		return out.b, err
	}
	err := w.Close()
	return out.b, err
}

func decompressGzip(dst, src []byte, limit int) ([]byte, error) {
	in := bytes.NewReader(src)
	r, ok := gzipReaders.Get().(*gzip.Reader)
	if !ok {
		r = new(gzip.Reader)
	}
	defer gzipReaders.Put(r)
	if err := r.Reset(in); err != nil {
		return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return readBounded(dst, r, limit)
}

func compressLZ4(dst, src []byte, level int) ([]byte, error) {
	if level == DefaultLevel {
		level = lz4DefaultLevel
	}
	if level < 1 || level > lz4MaxLevel {
		return dst, fmt.Errorf("lz4 has no level %d", level)
	}
	w, ok := lz4Writers[level].Get().(*lz4.Writer)
	if !ok {
		w = lz4.NewWriter(nil)
		// Java's reader knows independent blocks of 64 KiB without checksums best: it writes those itself.
		err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.BlockChecksumOption(false),
			lz4.ConcurrencyOption(1), lz4.CompressionLevelOption(lz4Level(level)))
		if err != nil {
			return dst, err
		}
	}
	defer lz4Writers[level].Put(w)
	out := sliceWriter{dst}
	w.Reset(&out)
	if _, err := w.Write(src); err != nil {
		return out.b, err
	}
	err := w.Close()
	return out.b, err
}

// lz4Level maps Kafka's 1 to 17 (9 means the fast compressor) onto this library's nine levels.
func lz4Level(level int) lz4.CompressionLevel {
	switch {
	case level == lz4DefaultLevel:
		return lz4.Fast
	case level > lz4DefaultLevel:
		return lz4.Level9
	}
	return lz4.CompressionLevel(1 << (8 + level))
}

func decompressLZ4(dst, src []byte, limit int) ([]byte, error) {
	r := lz4Readers.Get().(*lz4.Reader)
	defer lz4Readers.Put(r)
	r.Reset(bytes.NewReader(src))
	return readBounded(dst, r, limit)
}

func compressZstd(dst, src []byte, level int) ([]byte, error) {
	if level == DefaultLevel {
		level = 3 // zstd's own default
	}
	speed := zstd.EncoderLevelFromZstd(level)
	w, ok := zstdWriters[speed].Get().(*zstd.Encoder)
	if !ok {
		var err error
		w, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
		if err != nil {
			return dst, err
		}
	}
	defer zstdWriters[speed].Put(w)
	return w.EncodeAll(src, dst), nil
}

// decompressStream decompresses a zstd frame that does not say what it holds, as clients write that compress while records come.
func decompressStream(dst, src []byte, limit int) ([]byte, error) {
	r, done, err := Zstd.open(src)
	if err != nil {
		return dst, err
	}
	defer done()
	out := bytes.NewBuffer(dst)
	n, err := out.ReadFrom(io.LimitReader(r, int64(max(limit, 0))+1))
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return dst, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case err != nil:
		return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case n > int64(limit):
		return dst, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return out.Bytes(), nil
}

func decompressZstd(dst, src []byte, limit int) ([]byte, error) {
	// The reader makes room at once for what a frame says that it holds.
	var claim zstd.Header
	if claim.Decode(src) == nil && claim.HasFCS && claim.FrameContentSize > uint64(max(limit, 0)) {
		return dst, fmt.Errorf("%w: a zstd frame says that it holds %d bytes, more than %d", ErrTooLarge, claim.FrameContentSize, limit)
	}
	if !claim.HasFCS {
		return decompressStream(dst, src, limit) // it must not grow beyond the limit before that is noticed
	}
	r, ok := zstdReaders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(MaxDecompressedBytes))
		if err != nil {
			return dst, err
		}
	}
	defer zstdReaders.Put(r)
	start := len(dst)
	out, err := r.DecodeAll(src, dst)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return dst, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case err != nil:
		return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case len(out)-start > limit:
		return dst, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return out, nil
}
