package record

import "encoding/binary"

// Rewrite is what compaction changes in a batch when it removes some of its records: offsets, sequences, producer
// and leader epoch stay, so that producers and readers find their place.
type Rewrite struct {
	Count        int
	MaxTimestamp int64
	// DeleteHorizonMs, when it is not negative, becomes the base timestamp, with its flag: the records
	// must be relative to it.
	DeleteHorizonMs int64
}

// Finish makes a batch of dst, which begins with the header of another batch and goes on with the
// records that are left of that one, compressed as its header says.
func (r Rewrite) Finish(dst []byte) Batch {
	b, be := Batch(dst), binary.BigEndian
	be.PutUint32(b[offBatchLength:], uint32(len(b)-LengthPrefixBytes))
	be.PutUint64(b[offMaxTimestamp:], uint64(r.MaxTimestamp))
	be.PutUint32(b[offCount:], uint32(r.Count))
	if r.DeleteHorizonMs >= 0 {
		be.PutUint16(b[offAttributes:], uint16(b.Attributes()|attrDeleteHorizon))
		be.PutUint64(b[offBaseTimestamp:], uint64(r.DeleteHorizonMs))
	}
	b.UpdateCRC()
	return b
}

// AppendEmpty appends what compaction leaves of a batch that it may empty but not remove: the header, which tells
// its offsets and its producer's last sequence.
func (b Batch) AppendEmpty(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, b[:HeaderBytes]...)
	e, be := Batch(dst[at:]), binary.BigEndian
	be.PutUint32(e[offBatchLength:], HeaderBytes-LengthPrefixBytes)
	be.PutUint16(e[offAttributes:], uint16(b.Attributes()&(attrLogAppendTime|attrTransactional|attrControl)))
	be.PutUint64(e[offBaseTimestamp:], uint64(0xffffffffffffffff)) // NoTimestamp
	be.PutUint32(e[offCount:], 0)
	e.UpdateCRC()
	return dst
}
