package load

import (
	"encoding/binary"
	"testing"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A broker that looks closely finds each batch whole, of one producer, and in sequence.
func TestIdempotentBatchesAreInSequence(t *testing.T) {
	batch, n := BatchOfSize(16<<10, 1024, record.None, 0, 1)
	p := NewIdempotentProducer([16]byte{1}, []int32{4, 7}, batch, 1<<40+5, 3)
	for i := range 200 {
		var req kmsg.ProduceRequest
		req.Version = produceVersion
		frame := p.Next()
		// The length, the header up to the client id, the client id, no tags.
		body := frame[4+2+2+4+2+len(clientID)+1:]
		if err := req.ReadFrom(body); err != nil {
			t.Fatal(err)
		}
		part := req.Topics[0].Partitions[0]
		if want := []int32{4, 7}[i%2]; part.Partition != want || req.Acks != -1 {
			t.Fatalf("request %d goes to partition %d with acks=%d", i, part.Partition, req.Acks)
		}
		v := whole(t, part.Records)
		if want := int32(i / 2 * n); v.BaseSequence() != want || v.ProducerID() != 1<<40+5 || v.ProducerEpoch() != 3 {
			t.Fatalf("request %d has sequence %d of producer %d, epoch %d; wanted sequence %d", i, v.BaseSequence(), v.ProducerID(), v.ProducerEpoch(), want)
		}
	}
}

// After the highest sequence comes the lowest, and the CRC of each bit is right.
func TestSequencesWrap(t *testing.T) {
	batch, n := BatchOfSize(2000, 100, record.None, 0, 1)
	p := NewIdempotentProducer([16]byte{1}, []int32{0}, batch, 1, 0)
	s := p.sequences[0]
	s.next = sequenceMask - uint32(n) + 3
	for range 2 {
		s.step()
		whole(t, s.batch)
	}
	if got := binary.BigEndian.Uint32(s.batch[batchSequenceAt:]); got != 2 {
		t.Fatalf("after the wrap the sequence is %d, not 2", got)
	}
}

func whole(t *testing.T, b []byte) record.Batch {
	t.Helper()
	v, rest, err := record.Next(b)
	if err == nil {
		err = v.Validate()
	}
	if err != nil || len(rest) != 0 {
		t.Fatalf("the batch is followed by %d bytes: %v", len(rest), err)
	}
	if v.CRC() != v.ComputeCRC() {
		t.Fatalf("sequence %d has CRC %08x, not %08x", v.BaseSequence(), v.CRC(), v.ComputeCRC())
	}
	return v
}
