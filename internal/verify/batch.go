package verify

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bits of a batch's attributes.
const (
	codecGzip         = 1
	codecZstd         = 4
	bitLogAppendTime  = 1 << 3
	bitTransactional  = 1 << 4
	bitControl        = 1 << 5
	bitsCodec         = 0x07
	batchHeaderBytes  = 61
	batchLengthEnd    = 12 // the batch's length counts from here
	batchCRCAt        = 17
	batchCRCFrom      = 21 // the CRC covers all from the attributes on
	noProducer        = -1
	anyLeaderEpoch    = -1
	recordBatchFormat = 2
)

// batch is a record batch every part of which may be wrong on purpose.
type batch struct {
	kmsg.RecordBatch
	records []kmsg.Record
	badCRC  bool
	shortBy int   // bytes cut from the end while the length stays
	claim   int32 // the number of records that the header claims, when not negative
	delta   int32 // the last offset delta, when not negative
}

// newBatch is a good batch of n records, each with a key.
func newBatch(n int) *batch {
	now := time.Now().UnixMilli()
	b := &batch{claim: -1, delta: -1}
	for i := range n {
		b.records = append(b.records, kmsg.Record{OffsetDelta: int32(i), Key: []byte("k"), Value: []byte("v")})
	}
	b.PartitionLeaderEpoch, b.Magic = anyLeaderEpoch, recordBatchFormat
	b.FirstTimestamp, b.MaxTimestamp = now, now
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = noProducer, -1, -1
	return b
}

// from marks the batch as an idempotent producer's.
func (b *batch) from(p producer, sequence int32) *batch {
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = p.id, p.epoch, sequence
	return b
}

// with sets bits of the attributes.
func (b *batch) with(bits int16) *batch {
	b.Attributes |= bits
	return b
}

func (b *batch) at(timestamp int64) *batch {
	b.FirstTimestamp, b.MaxTimestamp = timestamp, timestamp
	return b
}

// bytes is the batch as it travels.
func (b *batch) bytes() []byte {
	var recs []byte
	for _, r := range b.records {
		r.Length = 0
		body := r.AppendTo(nil)[1:] // a length of 0 is one byte
		recs = binary.AppendVarint(recs, int64(len(body)))
		recs = append(recs, body...)
	}
	b.Records = compress(recs, b.Attributes&bitsCodec)
	b.NumRecords, b.LastOffsetDelta = int32(len(b.records)), int32(len(b.records))-1
	if b.claim >= 0 {
		b.NumRecords = b.claim
	}
	if b.delta >= 0 {
		b.LastOffsetDelta = b.delta
	}
	b.Length = int32(batchHeaderBytes - batchLengthEnd + len(b.Records))
	out := b.RecordBatch.AppendTo(nil)
	crc := crc32.Checksum(out[batchCRCFrom:], crc32.MakeTable(crc32.Castagnoli))
	if b.badCRC {
		crc++
	}
	binary.BigEndian.PutUint32(out[batchCRCAt:], crc)
	return out[:len(out)-b.shortBy]
}
