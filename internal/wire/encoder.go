package wire

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// encoder writes Kafka's primitive types.
type encoder struct {
	dst      []byte
	flexible bool
}

func (e *encoder) int16(v int16)    { e.dst = binary.BigEndian.AppendUint16(e.dst, uint16(v)) }
func (e *encoder) int32(v int32)    { e.dst = binary.BigEndian.AppendUint32(e.dst, uint32(v)) }
func (e *encoder) int64(v int64)    { e.dst = binary.BigEndian.AppendUint64(e.dst, uint64(v)) }
func (e *encoder) uvarint(v uint32) { e.dst = binary.AppendUvarint(e.dst, uint64(v)) }
func (e *encoder) noTags()          { e.dst = append(e.dst, 0) }

func (e *encoder) tag(tag uint32, size int) {
	e.uvarint(tag)
	e.uvarint(uint32(size))
}

func (e *encoder) arrayLen(n int) { e.bytesLen(n) }

func (e *encoder) nullArray() {
	if e.flexible {
		e.uvarint(0)
	} else {
		e.int32(-1)
	}
}

func (e *encoder) bytesLen(n int) {
	if e.flexible {
		e.uvarint(uint32(n) + 1)
	} else {
		e.int32(int32(n))
	}
}

func (e *encoder) nullableBytes(b []byte) {
	if b == nil {
		e.nullArray() // null is written alike for both
		return
	}
	e.bytesLen(len(b))
	e.dst = append(e.dst, b...)
}

func (e *encoder) string(s string) {
	if e.flexible {
		e.uvarint(uint32(len(s)) + 1)
	} else {
		e.int16(int16(len(s)))
	}
	e.dst = append(e.dst, s...)
}

func (e *encoder) nullableString(s *string) {
	switch {
	case s != nil:
		e.string(*s)
	case e.flexible:
		e.uvarint(0)
	default:
		e.int16(-1)
	}
}

func (e *encoder) tags(t *kmsg.Tags) {
	if !e.flexible {
		return
	}
	if t.Len() == 0 {
		e.noTags()
		return
	}
	e.uvarint(uint32(t.Len()))
	e.dst = t.AppendEach(e.dst)
}

// appendBrokers writes the endpoints of new leaders, which is the one tagged field of a response itself (KIP-951).
func appendBrokers[B kmsg.FetchResponseBroker | kmsg.ProduceResponseBroker](e *encoder, brokers []B, rest *kmsg.Tags) {
	if len(brokers) == 0 {
		e.tags(rest)
		return
	}
	e.uvarint(uint32(1 + rest.Len()))
	inner := encoder{flexible: true}
	inner.arrayLen(len(brokers))
	for i := range brokers {
		b := kmsg.FetchResponseBroker(brokers[i])
		inner.int32(b.NodeID)
		inner.string(b.Host)
		inner.int32(b.Port)
		inner.nullableString(b.Rack)
		inner.tags(&b.UnknownTags)
	}
	e.tag(0, len(inner.dst))
	e.dst = append(e.dst, inner.dst...)
	e.dst = rest.AppendEach(e.dst)
}
