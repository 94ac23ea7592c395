package load

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// Where things lie in a batch, and from where on its CRC counts.
const (
	batchCRCAt      = 17
	batchCoveredAt  = 21
	batchProducerAt = 43
	batchEpochAt    = 51
	batchSequenceAt = 53
)

// sequenceMask keeps the sequence of a batch: after the highest comes 0.
const sequenceMask = 1<<31 - 1

// sequenced is a batch of an idempotent producer inside a request. Each request has another sequence and therefore another CRC, which
// is not computed anew: CRCs of equally long texts differ by what differs, whatever else is in them.
type sequenced struct {
	batch   []byte
	zero    uint32     // CRC with sequence 0
	bits    [31]uint32 // what each bit of the sequence changes in it
	next    uint32
	records uint32
}

// newSequenced finds the batch in the request and gives it a producer.
func newSequenced(frame, batch []byte, producerID int64, epoch int16) *sequenced {
	at := bytes.Index(frame, batch)
	s := &sequenced{batch: frame[at : at+len(batch)], records: binary.BigEndian.Uint32(batch[57:])}
	binary.BigEndian.PutUint64(s.batch[batchProducerAt:], uint64(producerID))
	binary.BigEndian.PutUint16(s.batch[batchEpochAt:], uint16(epoch))
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	with := func(sequence uint32) uint32 {
		binary.BigEndian.PutUint32(s.batch[batchSequenceAt:], sequence)
		return crc32.Checksum(s.batch[batchCoveredAt:], castagnoli)
	}
	s.zero = with(0)
	for i := range s.bits {
		s.bits[i] = with(1<<i) ^ s.zero
	}
	return s
}

// step makes it the next batch of its partition.
func (s *sequenced) step() {
	crc := s.zero
	for i, change := range s.bits {
		if s.next>>i&1 != 0 {
			crc ^= change
		}
	}
	binary.BigEndian.PutUint32(s.batch[batchCRCAt:], crc)
	binary.BigEndian.PutUint32(s.batch[batchSequenceAt:], s.next)
	s.next = (s.next + s.records) & sequenceMask
}

// NewIdempotentProducer is like NewProducer with acks=all, and its batches are those of an idempotent producer.
func NewIdempotentProducer(topicID [16]byte, partitions []int32, batch []byte, producerID int64, epoch int16) *Producer {
	p := NewProducer(topicID, partitions, batch, -1, true)
	for _, frame := range p.frames {
		p.sequences = append(p.sequences, newSequenced(frame, batch, producerID, epoch))
	}
	return p
}
