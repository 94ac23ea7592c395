package wire

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Produce request is read here and not by kmsg, so that one that is used again takes no new memory: a client
// that sends single records sends a hundred thousand of them a second.

// DecodeProduce is Decode of a Produce request into one that may have served before, whose memory it uses
// again. The records are slices of the body. Tags that nobody here knows are checked and left out.
func (v *Version) DecodeProduce(body []byte, req *kmsg.ProduceRequest) error {
	if v.Key != int16(kmsg.Produce) {
		return fmt.Errorf("cannot decode %s as a Produce request", v.Name)
	}
	if _, err := v.walk(body); err != nil {
		return err
	}
	r := checkedReader{b: body, flexible: v.Flexible}
	req.Version = v.Version
	req.TransactionID = r.nullableString()
	req.Acks = int16(r.uint16())
	req.TimeoutMillis = int32(r.uint32())
	n := max(r.length(4), 0)
	req.Topics = slices.Grow(req.Topics[:0], n)[:n]
	for i := range req.Topics {
		r.produceTopic(&req.Topics[i], v.Version)
	}
	return nil
}

func (r *checkedReader) produceTopic(t *kmsg.ProduceRequestTopic, version int16) {
	t.Topic, t.TopicID = "", [16]byte{}
	if version >= 13 {
		copy(t.TopicID[:], r.take(16))
	} else if n := r.length(2); n > 0 {
		t.Topic = string(r.take(n))
	}
	n := max(r.length(4), 0)
	t.Partitions = slices.Grow(t.Partitions[:0], n)[:n]
	for j := range t.Partitions {
		p := &t.Partitions[j]
		p.Partition, p.Records = int32(r.uint32()), nil
		if n := r.length(4); n >= 0 {
			p.Records = r.take(n)
		}
		r.tags()
	}
	r.tags()
}

// What is kept of a request is bounded: most name a partition or two of each of a few topics.
const (
	maxKeptTopics     = 16
	maxKeptPartitions = 1024
)

// ForgetProduce lets go of what a request holds of its body, and keeps its own memory for the next one. It says
// false for one that has been so large that it is not worth keeping.
func ForgetProduce(req *kmsg.ProduceRequest) bool {
	req.TransactionID = nil
	partitions := 0
	for i := range req.Topics {
		t := &req.Topics[i]
		t.Topic = ""
		clear(t.Partitions)
		partitions += cap(t.Partitions)
		t.Partitions = t.Partitions[:0]
	}
	topics := cap(req.Topics)
	req.Topics = req.Topics[:0]
	return topics <= maxKeptTopics && partitions <= maxKeptPartitions
}

// checkedReader reads what a walk has found to be whole.
type checkedReader struct {
	b        []byte
	flexible bool
}

func (r *checkedReader) take(n int) []byte {
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *checkedReader) uint16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *checkedReader) uint32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }

func (r *checkedReader) uvarint() int {
	v, n := binary.Uvarint(r.b)
	r.b = r.b[n:]
	return int(v)
}

// length is that of a string, of bytes or of an array, -1 for null; in versions that are not flexible it stands
// in so many bytes.
func (r *checkedReader) length(bytes int) int {
	switch {
	case r.flexible:
		return r.uvarint() - 1
	case bytes == 2:
		return int(int16(r.uint16()))
	}
	return int(int32(r.uint32()))
}

func (r *checkedReader) nullableString() *string {
	n := r.length(2)
	if n < 0 {
		return nil
	}
	s := string(r.take(n))
	return &s
}

// tags passes over tagged fields.
func (r *checkedReader) tags() {
	if !r.flexible {
		return
	}
	for n := r.uvarint(); n > 0; n-- {
		r.uvarint()
		r.take(r.uvarint())
	}
}
