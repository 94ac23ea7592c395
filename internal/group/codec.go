package group

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errShort is all that can be wrong with bytes of Kafka's serialisation.
var errShort = errors.New("the bytes end too early")

// reader takes primitives of Kafka's serialisation off b. After the first error
// every read gives zero values, so a sequence of reads needs one check.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		if r.err == nil {
			r.err = errShort
		}
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) uvarint() int {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<31 {
		r.err = errShort
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

// length reads how long a string or byte array is; -1 is null. wide is for byte arrays.
func (r *reader) length(compact, wide bool) int {
	switch {
	case compact:
		return r.uvarint() - 1
	case wide:
		return int(r.int32())
	default:
		return int(r.int16())
	}
}

func (r *reader) nullableString(compact bool) *string {
	n := r.length(compact, false)
	if n == -1 && r.err == nil {
		return nil
	}
	s := string(r.take(n))
	return &s
}

func (r *reader) string(compact bool) string {
	if s := r.nullableString(compact); s != nil {
		return *s
	}
	if r.err == nil {
		r.err = errors.New("a string that must not be null is null")
	}
	return ""
}

// bytes gives a copy; null reads as nil.
func (r *reader) bytes(compact bool) []byte {
	n := r.length(compact, true)
	if n == -1 && r.err == nil {
		return nil
	}
	return append([]byte{}, r.take(n)...)
}

// arrayLen reads the length of an array whose elements take at least minBytes each,
// so that a length that the bytes cannot hold reserves no memory.
func (r *reader) arrayLen(compact bool, minBytes int) int {
	n := r.length(compact, true)
	if n < 0 || r.err != nil {
		return 0
	}
	if n*minBytes > len(r.b) {
		r.err = errShort
		return 0
	}
	return n
}

// tags reads tagged fields; fn sees each and may ignore it.
func (r *reader) tags(fn func(tag int, value *reader)) {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		tag := r.uvarint()
		value := &reader{b: r.take(r.uvarint())}
		if fn != nil && r.err == nil {
			fn(tag, value)
			if value.err != nil {
				r.err = value.err
			}
		}
	}
}

func (r *reader) finish(what string) error {
	if r.err != nil {
		return fmt.Errorf("cannot read %s: %w", what, r.err)
	}
	return nil
}

// maxStringBytes is what a string may take in a record: lengths have 16 bits, of which one is the
// sign, and Kafka refuses longer ones in the compact form too.
const maxStringBytes = 1<<15 - 1

// checkString stops a record whose length would wrap around: whoever made it has checked too little.
func checkString(s string) {
	if len(s) > maxStringBytes {
		panic(fmt.Errorf("a string of %d bytes does not fit into a group record, which holds %d", len(s), maxStringBytes)) // condemns the shard, not the node
	}
}

func appendString(b []byte, s string) []byte {
	checkString(s)
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

func appendNullableString(b []byte, s *string) []byte {
	if s == nil {
		return binary.BigEndian.AppendUint16(b, 0xffff)
	}
	return appendString(b, *s)
}

func appendCompactString(b []byte, s string) []byte {
	checkString(s)
	b = binary.AppendUvarint(b, uint64(len(s))+1)
	return append(b, s...)
}

func appendBytes(b, v []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

func appendInt16(b []byte, v int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }
func appendInt32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }
func appendInt64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }
