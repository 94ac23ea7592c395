package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// Where the fields of a batch lie; the drawing is in doc.go.
const (
	offBaseOffset      = 0
	offBatchLength     = 8
	offLeaderEpoch     = 12
	offMagic           = 16
	offCRC             = 17
	offAttributes      = 21
	offLastOffsetDelta = 23
	offBaseTimestamp   = 27
	offMaxTimestamp    = 35
	offProducerID      = 43
	offProducerEpoch   = 51
	offBaseSequence    = 53
	offCount           = 57

	// HeaderBytes is the size of a batch's header: the smallest batch there can be.
	HeaderBytes = 61
	// LengthPrefixBytes is what comes before the bytes that batchLength counts.
	LengthPrefixBytes = 12
	// Magic is the only message format there is.
	Magic = 2
)

// What the fields hold when there is nothing to say.
const (
	NoTimestamp     int64 = -1
	NoProducerID    int64 = -1
	NoProducerEpoch int16 = -1
	NoSequence      int32 = -1
	NoLeaderEpoch   int32 = -1
)

const (
	attrCodecMask     = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40
)

var (
	// ErrTruncated says that the bytes end before the batch does.
	ErrTruncated = errors.New("record batch is cut short")
	// ErrCorrupt says that the bytes cannot be a batch, or not an unharmed one.
	ErrCorrupt = errors.New("record batch is corrupt")
	// ErrUnsupportedMagic says that the batch is of another message format than v2.
	ErrUnsupportedMagic = errors.New("message format is not supported")
	// ErrUnsupportedCodec says that the batch is compressed in a way that is not known.
	ErrUnsupportedCodec = errors.New("compression codec is not supported")
	// ErrTooLarge says that the records are larger, decompressed, than MaxDecompressedBytes.
	ErrTooLarge = errors.New("decompressed records are too large")
)

// castagnoli is only ever read.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// TimestampType says who stamped the records.
type TimestampType int8

// The two clocks a record's timestamp can come from.
const (
	CreateTime    TimestampType = 0
	LogAppendTime TimestampType = 1
)

func (t TimestampType) String() string {
	if t == LogAppendTime {
		return "LogAppendTime"
	}
	return "CreateTime"
}

// Batch is one whole batch. The accessors read the header in place and need a
// batch that Next returned or Builder made: at least HeaderBytes long.
type Batch []byte

// Next splits the first batch from b. It checks what can be told from the length
// and the magic byte and no more; Validate does the rest. ErrTruncated means that
// b ends inside the batch.
func Next(b []byte) (batch Batch, rest []byte, err error) {
	if len(b) < LengthPrefixBytes {
		return nil, b, fmt.Errorf("%w: %d bytes are no header", ErrTruncated, len(b))
	}
	length := int64(int32(binary.BigEndian.Uint32(b[offBatchLength:])))
	if length < HeaderBytes-LengthPrefixBytes {
		if len(b) > offMagic && length >= 14-LengthPrefixBytes && b[offMagic] < Magic {
			return nil, b, fmt.Errorf("%w: magic %d", ErrUnsupportedMagic, b[offMagic])
		}
		return nil, b, fmt.Errorf("%w: its length field is %d, the smallest is %d", ErrCorrupt, length, HeaderBytes-LengthPrefixBytes)
	}
	if len(b) <= offMagic {
		return nil, b, fmt.Errorf("%w: %d bytes are no header", ErrTruncated, len(b))
	}
	if b[offMagic] != Magic {
		return nil, b, fmt.Errorf("%w: magic %d", ErrUnsupportedMagic, int8(b[offMagic]))
	}
	size := length + LengthPrefixBytes
	if size > int64(len(b)) {
		return nil, b, fmt.Errorf("%w: it has %d of %d bytes", ErrTruncated, len(b), size)
	}
	return Batch(b[:size:size]), b[size:], nil
}

// Peek reads a batch's header from bytes that may end before the batch does: header has
// HeaderBytes bytes, whose accessors work but not those that look at the records, and
// size is that of the whole batch.
func Peek(b []byte) (header Batch, size int64, err error) {
	if len(b) < HeaderBytes {
		return nil, 0, fmt.Errorf("%w: %d bytes are no header", ErrTruncated, len(b))
	}
	length := int64(int32(binary.BigEndian.Uint32(b[offBatchLength:])))
	if length < HeaderBytes-LengthPrefixBytes {
		return nil, 0, fmt.Errorf("%w: its length field is %d, the smallest is %d", ErrCorrupt, length, HeaderBytes-LengthPrefixBytes)
	}
	if b[offMagic] != Magic {
		return nil, 0, fmt.Errorf("%w: magic %d", ErrUnsupportedMagic, int8(b[offMagic]))
	}
	return Batch(b[:HeaderBytes:HeaderBytes]), length + LengthPrefixBytes, nil
}

// Validate checks sizes, magic and checksum.
func (b Batch) Validate() error {
	batch, rest, err := Next(b)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: %d bytes follow it", ErrCorrupt, len(rest))
	}
	if got, want := batch.ComputeCRC(), batch.CRC(); got != want {
		return fmt.Errorf("%w: its checksum is %08x, its header says %08x", ErrCorrupt, got, want)
	}
	return nil
}

// CRC checks a batch that comes in pieces, so that a large one need not be in memory. The zero value is ready.
type CRC struct {
	header []byte
	sum    uint32
}

// Write takes the next piece.
func (c *CRC) Write(b []byte) {
	if missing := HeaderBytes - len(c.header); missing > 0 {
		n := min(missing, len(b))
		c.header = append(c.header, b[:n]...)
		if b = b[n:]; n < missing {
			return
		}
		c.sum = crc32.Checksum(c.header[offAttributes:], castagnoli)
	}
	c.sum = crc32.Update(c.sum, castagnoli, b)
}

// Check says whether what has come is a batch with the checksum that its header says.
func (c *CRC) Check() error {
	h, _, err := Peek(c.header)
	if err != nil {
		return err
	}
	if want := h.CRC(); c.sum != want {
		return fmt.Errorf("%w: its checksum is %08x, its header says %08x", ErrCorrupt, c.sum, want)
	}
	return nil
}

func (b Batch) i64(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
func (b Batch) i32(at int) int32 { return int32(binary.BigEndian.Uint32(b[at:])) }
func (b Batch) i16(at int) int16 { return int16(binary.BigEndian.Uint16(b[at:])) }

// BaseOffset is the offset of the first record (before compaction).
func (b Batch) BaseOffset() int64 { return b.i64(offBaseOffset) }

// LastOffset is the offset of the last record (before compaction).
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset is the offset after the batch.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// LastOffsetDelta is the distance of the last record's offset from the first's.
func (b Batch) LastOffsetDelta() int32 { return b.i32(offLastOffsetDelta) }

// NumRecords is the header's count of records.
func (b Batch) NumRecords() int { return int(b.i32(offCount)) }

// SizeInBytes is the size of the whole batch.
func (b Batch) SizeInBytes() int { return len(b) }

// PartitionLeaderEpoch is the epoch of the leader that appended the batch.
func (b Batch) PartitionLeaderEpoch() int32 { return b.i32(offLeaderEpoch) }

// Magic is the message format's version.
func (b Batch) Magic() int8 { return int8(b[offMagic]) }

// CRC is the checksum in the header.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[offCRC:]) }

// ComputeCRC is the checksum that the header ought to hold.
func (b Batch) ComputeCRC() uint32 { return crc32.Checksum(b[offAttributes:], castagnoli) }

// Attributes are the flag bits.
func (b Batch) Attributes() int16 { return b.i16(offAttributes) }

// Codec is how the records are compressed. It may be one that does not exist: see Codec.Known.
func (b Batch) Codec() Codec { return Codec(b.Attributes() & attrCodecMask) }

// TimestampType says who stamped the records.
func (b Batch) TimestampType() TimestampType {
	if b.Attributes()&attrLogAppendTime != 0 {
		return LogAppendTime
	}
	return CreateTime
}

// IsTransactional says whether the batch belongs to a transaction.
func (b Batch) IsTransactional() bool { return b.Attributes()&attrTransactional != 0 }

// IsControl says whether the batch holds a control record instead of data.
func (b Batch) IsControl() bool { return b.Attributes()&attrControl != 0 }

// BaseTimestamp is what the records' timestamps are relative to.
func (b Batch) BaseTimestamp() int64 { return b.i64(offBaseTimestamp) }

// MaxTimestamp is the largest timestamp of the batch.
func (b Batch) MaxTimestamp() int64 { return b.i64(offMaxTimestamp) }

// DeleteHorizonMs is when compaction may drop the batch's tombstones, once it has decided so.
func (b Batch) DeleteHorizonMs() (int64, bool) {
	return b.BaseTimestamp(), b.Attributes()&attrDeleteHorizon != 0
}

// ProducerID is the idempotent producer's id or NoProducerID.
func (b Batch) ProducerID() int64 { return b.i64(offProducerID) }

// HasProducerID says whether an idempotent producer wrote the batch.
func (b Batch) HasProducerID() bool { return b.ProducerID() > NoProducerID }

// ProducerEpoch is the idempotent producer's epoch.
func (b Batch) ProducerEpoch() int16 { return b.i16(offProducerEpoch) }

// BaseSequence is the first record's sequence number or NoSequence.
func (b Batch) BaseSequence() int32 { return b.i32(offBaseSequence) }

// LastSequence is the last record's sequence number or NoSequence.
func (b Batch) LastSequence() int32 {
	base := b.BaseSequence()
	if base == NoSequence {
		return NoSequence
	}
	return AddSequence(base, b.LastOffsetDelta())
}

// AddSequence adds to a sequence number, which wraps from 2^31-1 to 0.
func AddSequence(seq, delta int32) int32 {
	if seq > math.MaxInt32-delta {
		return delta - (math.MaxInt32 - seq) - 1
	}
	return seq + delta
}

// RecordsBytes is the part after the header, compressed as it lies.
func (b Batch) RecordsBytes() []byte { return b[HeaderBytes:] }

// SetBaseOffset assigns the first record's offset; the checksum does not cover it.
func (b Batch) SetBaseOffset(v int64) { binary.BigEndian.PutUint64(b[offBaseOffset:], uint64(v)) }

// SetPartitionLeaderEpoch assigns the leader epoch; the checksum does not cover it.
func (b Batch) SetPartitionLeaderEpoch(v int32) {
	binary.BigEndian.PutUint32(b[offLeaderEpoch:], uint32(v))
}

// SetLogAppendTime stamps the batch with the broker's time and computes the checksum anew.
func (b Batch) SetLogAppendTime(nowMs int64) {
	binary.BigEndian.PutUint16(b[offAttributes:], uint16(b.Attributes()|attrLogAppendTime))
	binary.BigEndian.PutUint64(b[offMaxTimestamp:], uint64(nowMs))
	b.UpdateCRC()
}

// UpdateCRC writes the checksum that the bytes have now.
func (b Batch) UpdateCRC() { binary.BigEndian.PutUint32(b[offCRC:], b.ComputeCRC()) }
