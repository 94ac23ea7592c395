package record

import (
	"encoding/binary"
	"fmt"
)

// BuilderOptions say what goes into the header of a batch.
type BuilderOptions struct {
	Codec         Codec
	Level         int // compression level, DefaultLevel for the codec's own
	TimestampType TimestampType
	// HasProducer says that the three producer fields below count; without it
	// the batch is not idempotent and they are written as none.
	HasProducer          bool
	ProducerID           int64
	ProducerEpoch        int16
	BaseSequence         int32 // NoSequence for coordinators and markers
	PartitionLeaderEpoch int32
	BaseOffset           int64
	Transactional        bool
	Control              bool
	// LogAppendTimeMs stamps the whole batch when TimestampType is LogAppendTime.
	LogAppendTimeMs int64
	// DeleteHorizonMs, when positive, is written as the base timestamp with its flag.
	DeleteHorizonMs int64
}

// Builder makes one batch. It is not safe for concurrent use.
type Builder struct {
	opts   BuilderOptions
	buf    []byte // header, then the records uncompressed
	baseTs int64
	maxTs  int64
	count  int32
	last   int32 // offset delta of the last record
}

// NewBuilder starts a batch.
func NewBuilder(opts BuilderOptions) *Builder {
	b := &Builder{}
	b.Reset(opts)
	return b
}

// Reset starts another batch, in new memory: a batch that was built stays whole.
func (b *Builder) Reset(opts BuilderOptions) {
	*b = Builder{opts: opts, buf: make([]byte, HeaderBytes, 512), maxTs: NoTimestamp, last: -1}
}

// NumRecords is how many records have been appended.
func (b *Builder) NumRecords() int { return int(b.count) }

// SizeInBytes is the size of the batch so far, before compression.
func (b *Builder) SizeInBytes() int { return len(b.buf) }

// Append adds a record with the next offset. Nil means null, for key, value and header values.
func (b *Builder) Append(timestampMs int64, key, value []byte, headers []Header) {
	b.AppendAt(b.last+1, timestampMs, key, value, headers)
}

// AppendAt adds a record at a distance from the base offset; compaction leaves gaps so.
func (b *Builder) AppendAt(offsetDelta int32, timestampMs int64, key, value []byte, headers []Header) {
	if b.count == 0 {
		b.baseTs, b.maxTs = timestampMs, timestampMs
		if b.opts.DeleteHorizonMs > 0 {
			b.baseTs = b.opts.DeleteHorizonMs
		}
	}
	b.maxTs = max(b.maxTs, timestampMs)
	b.last = offsetDelta
	b.count++
	tsDelta := timestampMs - b.baseTs
	b.buf = binary.AppendVarint(b.buf, int64(bodySize(tsDelta, offsetDelta, key, value, headers)))
	b.buf = append(b.buf, 0)
	b.buf = binary.AppendVarint(b.buf, tsDelta)
	b.buf = binary.AppendVarint(b.buf, int64(offsetDelta))
	b.buf = appendVarbytes(b.buf, key)
	b.buf = appendVarbytes(b.buf, value)
	b.buf = binary.AppendVarint(b.buf, int64(len(headers)))
	for _, h := range headers {
		b.buf = binary.AppendVarint(b.buf, int64(len(h.Key)))
		b.buf = append(b.buf, h.Key...)
		b.buf = appendVarbytes(b.buf, h.Value)
	}
}

// SetLastOffsetDelta makes the batch end at a later offset than its last record, as compaction needs.
func (b *Builder) SetLastOffsetDelta(delta int32) { b.last = delta }

// Build finishes the batch. The builder must be Reset before it is used again.
func (b *Builder) Build() Batch {
	batch, err := b.TryBuild()
	if err != nil {
		// The codec and its level come from validated configuration and memory cannot fail to be written.
		panic("cannot build a record batch: " + err.Error())
	}
	return batch
}

// TryBuild is Build for callers whose codec or level has not been checked.
func (b *Builder) TryBuild() (Batch, error) {
	out := b.buf
	if b.opts.Codec != None && b.count > 0 {
		var err error
		out = make([]byte, HeaderBytes, HeaderBytes+(len(b.buf)-HeaderBytes)/2+64)
		if out, err = b.opts.Codec.Compress(out, b.buf[HeaderBytes:], b.opts.Level); err != nil {
			return nil, fmt.Errorf("cannot compress %d records with %v: %w", b.count, b.opts.Codec, err)
		}
	}
	b.writeHeader(out)
	batch := Batch(out)
	batch.UpdateCRC()
	return batch, nil
}

func (b *Builder) writeHeader(out []byte) {
	o := &b.opts
	pid, epoch, seq := NoProducerID, NoProducerEpoch, NoSequence
	if o.HasProducer {
		pid, epoch, seq = o.ProducerID, o.ProducerEpoch, o.BaseSequence
	}
	maxTs := b.maxTs
	if o.TimestampType == LogAppendTime {
		maxTs = o.LogAppendTimeMs
	}
	be := binary.BigEndian
	be.PutUint64(out[offBaseOffset:], uint64(o.BaseOffset))
	be.PutUint32(out[offBatchLength:], uint32(len(out)-LengthPrefixBytes))
	be.PutUint32(out[offLeaderEpoch:], uint32(o.PartitionLeaderEpoch))
	out[offMagic] = Magic
	be.PutUint16(out[offAttributes:], uint16(o.attributes()))
	be.PutUint32(out[offLastOffsetDelta:], uint32(b.last))
	be.PutUint64(out[offBaseTimestamp:], uint64(b.baseTs))
	be.PutUint64(out[offMaxTimestamp:], uint64(maxTs))
	be.PutUint64(out[offProducerID:], uint64(pid))
	be.PutUint16(out[offProducerEpoch:], uint16(epoch))
	be.PutUint32(out[offBaseSequence:], uint32(seq))
	be.PutUint32(out[offCount:], uint32(b.count))
}

func (o *BuilderOptions) attributes() int16 {
	a := int16(o.Codec) & attrCodecMask
	if o.TimestampType == LogAppendTime {
		a |= attrLogAppendTime
	}
	if o.Transactional {
		a |= attrTransactional
	}
	if o.Control {
		a |= attrControl
	}
	if o.DeleteHorizonMs > 0 {
		a |= attrDeleteHorizon
	}
	return a
}

func bodySize(tsDelta int64, offsetDelta int32, key, value []byte, headers []Header) int {
	n := 1 + varintSize(tsDelta) + varintSize(int64(offsetDelta)) + varbytesSize(key) + varbytesSize(value) + varintSize(int64(len(headers)))
	for _, h := range headers {
		n += varintSize(int64(len(h.Key))) + len(h.Key) + varbytesSize(h.Value)
	}
	return n
}

func varintSize(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	n := 1
	for u >= 0x80 {
		u >>= 7
		n++
	}
	return n
}

func varbytesSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(int64(len(b))) + len(b)
}

func appendVarbytes(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	dst = binary.AppendVarint(dst, int64(len(b)))
	return append(dst, b...)
}
