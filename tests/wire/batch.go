package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// batch is a record batch whose every part may be wrong on purpose.
type batch struct {
	kmsg.RecordBatch
	records  []kmsg.Record
	codec    int16
	badCRC   bool
	shortBy  int // bytes cut from the end, while the length stays
	claim    int32
	afterLen []byte // bytes after the batch
}

// newBatch is a good batch of one record with a key.
func newBatch() *batch {
	now := time.Now().UnixMilli()
	b := &batch{records: []kmsg.Record{{Key: []byte("k"), Value: []byte("v")}}, claim: -1}
	b.PartitionLeaderEpoch, b.Magic = -1, 2
	b.FirstTimestamp, b.MaxTimestamp = now, now
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = -1, -1, -1
	return b
}

// of makes n records.
func (b *batch) of(n int) *batch {
	b.records = nil
	for i := range n {
		b.records = append(b.records, kmsg.Record{OffsetDelta: int32(i), Key: []byte("k"), Value: []byte("v")})
	}
	return b
}

// from marks the batch as an idempotent producer's.
func (b *batch) from(id int64, epoch int16, sequence int32) *batch {
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = id, epoch, sequence
	return b
}

// headerBytes is the batch header before the records; the CRC covers all from its attributes on.
const (
	headerBytes     = 61
	lengthEnd       = 12
	crcAt           = 17
	crcFrom         = 21
	recordLengthFix = 1 // the zigzag length of a record this small is one byte
)

func (b *batch) bytes() []byte {
	var recs []byte
	for _, r := range b.records {
		raw := r.AppendTo(nil)
		r.Length = int32(len(raw) - recordLengthFix)
		if r.Length >= 64 { // then the length itself takes more bytes
			r.Length = 0
			body := r.AppendTo(nil)[recordLengthFix:]
			recs = binary.AppendVarint(recs, int64(len(body)))
			recs = append(recs, body...)
			continue
		}
		recs = r.AppendTo(recs)
	}
	switch b.codec {
	case 1:
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, _ = w.Write(recs)
		_ = w.Close()
		recs = z.Bytes()
	case 4:
		w, _ := zstd.NewWriter(nil)
		recs = w.EncodeAll(recs, nil)
	}
	b.Attributes |= b.codec
	b.NumRecords = int32(len(b.records))
	if b.claim >= 0 {
		b.NumRecords = b.claim
	}
	if b.LastOffsetDelta == 0 {
		b.LastOffsetDelta = int32(len(b.records)) - 1
	}
	b.Records = recs
	b.Length = int32(headerBytes - lengthEnd + len(recs))
	out := b.RecordBatch.AppendTo(nil)
	crc := crc32.Checksum(out[crcFrom:], crc32.MakeTable(crc32.Castagnoli))
	if b.badCRC {
		crc++
	}
	binary.BigEndian.PutUint32(out[crcAt:], crc)
	return append(out[:len(out)-b.shortBy], b.afterLen...)
}
