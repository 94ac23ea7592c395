package load

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceVersion is what the newest Java clients send: topics by id.
const produceVersion = 13

// Where things lie in the answer to a produce to one partition, version 13: correlation id 4,
// tags 1, one topic 1, its id 16, one partition 1, its number 4, and then
const (
	produceErrorAt  = 4 + 1 + 1 + 16 + 1 + 4
	produceOffsetAt = produceErrorAt + 2
	produceHead     = produceOffsetAt + 8
)

// Producer sends one batch to one of its partitions after the other.
type Producer struct {
	frames  [][]byte
	payload int
	records int64
	sole    bool
	next    int
	answer  int
	left    int     // requests to go; negative: no end
	offsets []int64 // the next one expected, by frame; -1: unknown

	sequences []*sequenced // of an idempotent one, by frame
}

// NewProducer builds a producer's requests: batch, to each of the partitions in turn. With
// sole nobody else writes to them, and the offsets in the answers must be without gaps.
func NewProducer(topicID [16]byte, partitions []int32, batch []byte, acks int16, sole bool) *Producer {
	p := &Producer{payload: len(batch), records: int64(binary.BigEndian.Uint32(batch[57:])), sole: sole, left: -1}
	for i, part := range partitions {
		p.frames = append(p.frames, Frame(ProduceRequest(topicID, part, batch, acks), int32(i)))
		p.offsets = append(p.offsets, -1)
	}
	return p
}

// ProduceRequest is a produce of one batch.
func ProduceRequest(topicID [16]byte, partition int32, batch []byte, acks int16) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = produceVersion, acks, 30000
	t := kmsg.NewProduceRequestTopic()
	t.TopicID = topicID
	q := kmsg.NewProduceRequestTopicPartition()
	q.Partition, q.Records = partition, batch
	t.Partitions = append(t.Partitions, q)
	req.Topics = append(req.Topics, t)
	return req
}

// Limit ends the source after so many requests.
func (p *Producer) Limit(n int) *Producer {
	p.left = n
	return p
}

// Next implements Source.
func (p *Producer) Next() []byte {
	if p.left == 0 {
		return nil
	}
	p.left--
	f := p.frames[p.next]
	if p.sequences != nil {
		p.sequences[p.next].step()
	}
	p.next = (p.next + 1) % len(p.frames)
	return f
}

// Head implements Source.
func (p *Producer) Head() int { return 256 }

// Answer implements Source.
func (p *Producer) Answer(b []byte, size int) (int, error) {
	i := p.answer
	p.answer = (p.answer + 1) % len(p.frames)
	if size < produceHead || len(b) < produceHead {
		return 0, fmt.Errorf("an answer to a produce has %d bytes", size)
	}
	if got := int(binary.BigEndian.Uint32(b)); got != i {
		return 0, fmt.Errorf("the answer to produce %d has correlation id %d", i, got)
	}
	if b[5] != 2 || b[22] != 2 {
		return 0, errors.New("an answer to a produce does not tell of exactly one partition")
	}
	if code := int16(binary.BigEndian.Uint16(b[produceErrorAt:])); code != 0 {
		return 0, fmt.Errorf("a produce was refused: %w", kerr.ErrorForCode(code))
	}
	offset := int64(binary.BigEndian.Uint64(b[produceOffsetAt:]))
	if p.sole && p.offsets[i] >= 0 && offset != p.offsets[i] {
		return 0, fmt.Errorf("a batch got offset %d and not %d", offset, p.offsets[i])
	}
	p.offsets[i] = offset + p.records
	return p.payload, nil
}

// Plain is a Source against the roofline: the same requests, answers of its own form.
type Plain struct {
	Source
	Payload int
}

// Answer implements Source.
func (p Plain) Answer(_ []byte, _ int) (int, error) { return p.Payload, nil }
