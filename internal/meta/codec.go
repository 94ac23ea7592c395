package meta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// codec walks the fields of a record in their order on disk, and either writes them or reads them.
// One walk for both directions means that the two cannot differ.
//
// Every record is of Kafka's flexible kind: lengths are unsigned varints of length+1 (0 is null), and
// each structure ends with its tagged fields: count, then for each tag its number, size and bytes.
type codec struct {
	writing bool
	b       []byte // writing: what was written; reading: what is left
	err     error
}

var errShort = errors.New("the record ends in the middle of a field")

func (c *codec) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.b = nil
}

// take reads n bytes, or nil when there are not so many.
func (c *codec) take(n int) []byte {
	if c.err != nil {
		return nil
	}
	if n < 0 || n > len(c.b) {
		c.fail(errShort)
		return nil
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *codec) uvarint(v uint64) uint64 {
	if c.writing {
		c.b = binary.AppendUvarint(c.b, v)
		return v
	}
	if c.err != nil {
		return 0
	}
	v, n := binary.Uvarint(c.b)
	if n <= 0 || v > math.MaxUint32 {
		c.fail(errors.New("a length or tag is not a 32-bit varint"))
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *codec) int8(p *int8) {
	if c.writing {
		c.b = append(c.b, byte(*p))
	} else if b := c.take(1); b != nil {
		*p = int8(b[0])
	}
}

func (c *codec) bool(p *bool) {
	if c.writing {
		var v byte
		if *p {
			v = 1
		}
		c.b = append(c.b, v)
	} else if b := c.take(1); b != nil {
		*p = b[0] != 0
	}
}

func (c *codec) int16(p *int16) {
	if c.writing {
		c.b = binary.BigEndian.AppendUint16(c.b, uint16(*p))
	} else if b := c.take(2); b != nil {
		*p = int16(binary.BigEndian.Uint16(b))
	}
}

func (c *codec) uint16(p *uint16) {
	if c.writing {
		c.b = binary.BigEndian.AppendUint16(c.b, *p)
	} else if b := c.take(2); b != nil {
		*p = binary.BigEndian.Uint16(b)
	}
}

func (c *codec) int32(p *int32) {
	if c.writing {
		c.b = binary.BigEndian.AppendUint32(c.b, uint32(*p))
	} else if b := c.take(4); b != nil {
		*p = int32(binary.BigEndian.Uint32(b))
	}
}

func (c *codec) int64(p *int64) {
	if c.writing {
		c.b = binary.BigEndian.AppendUint64(c.b, uint64(*p))
	} else if b := c.take(8); b != nil {
		*p = int64(binary.BigEndian.Uint64(b))
	}
}

func (c *codec) float64(p *float64) {
	if c.writing {
		c.b = binary.BigEndian.AppendUint64(c.b, math.Float64bits(*p))
	} else if b := c.take(8); b != nil {
		*p = math.Float64frombits(binary.BigEndian.Uint64(b))
	}
}

func (c *codec) uuid(p *UUID) {
	if c.writing {
		c.b = append(c.b, p[:]...)
	} else if b := c.take(16); b != nil {
		copy(p[:], b)
	}
}

func (c *codec) string(p *string) {
	if c.writing {
		c.b = binary.AppendUvarint(c.b, uint64(len(*p))+1)
		c.b = append(c.b, *p...)
		return
	}
	n := c.uvarint(0)
	if n == 0 {
		if c.err == nil {
			c.fail(errors.New("a text that may not be null is null"))
		}
		return
	}
	*p = string(c.take(int(n - 1)))
}

func (c *codec) nullableString(p **string) {
	if c.writing {
		if *p == nil {
			c.b = append(c.b, 0)
		} else {
			c.string(*p)
		}
		return
	}
	n := c.uvarint(0)
	if n == 0 {
		*p = nil
		return
	}
	if b := c.take(int(n - 1)); c.err == nil {
		s := string(b)
		*p = &s
	}
}

func (c *codec) bytes(p *[]byte) {
	if c.writing {
		c.b = binary.AppendUvarint(c.b, uint64(len(*p))+1)
		c.b = append(c.b, *p...)
		return
	}
	n := c.uvarint(0)
	if n == 0 {
		if c.err == nil {
			c.fail(errors.New("bytes that may not be null are null"))
		}
		return
	}
	*p = append([]byte(nil), c.take(int(n-1))...)
}

// array walks a list that may not be null; an empty list is read as nil.
func array[T any](c *codec, s *[]T, elem func(*codec, *T)) {
	if c.writing {
		c.b = binary.AppendUvarint(c.b, uint64(len(*s))+1)
		for i := range *s {
			elem(c, &(*s)[i])
		}
		return
	}
	n := c.uvarint(0)
	if n == 0 {
		if c.err == nil {
			c.fail(errors.New("a list that may not be null is null"))
		}
		return
	}
	*s = nil
	readElems(c, s, int(n-1), elem)
}

// nullableArray walks a list in which nil and empty are two things: "no change" and "now empty".
func nullableArray[T any](c *codec, s *[]T, elem func(*codec, *T)) {
	if c.writing {
		if *s == nil {
			c.b = append(c.b, 0)
		} else {
			array(c, s, elem)
		}
		return
	}
	n := c.uvarint(0)
	if n == 0 {
		*s = nil
		return
	}
	*s = []T{}
	readElems(c, s, int(n-1), elem)
}

func readElems[T any](c *codec, s *[]T, n int, elem func(*codec, *T)) {
	if n > len(c.b) { // each element takes a byte at least: a bound before anything is allocated
		c.fail(errShort)
		return
	}
	if n == 0 {
		return
	}
	*s = make([]T, n)
	for i := range *s {
		if c.err != nil {
			return
		}
		elem(c, &(*s)[i])
	}
}

func (c *codec) int32s(p *[]int32)         { array(c, p, (*codec).int32) }
func (c *codec) nullableInt32s(p *[]int32) { nullableArray(c, p, (*codec).int32) }
func (c *codec) uuids(p *[]UUID)           { array(c, p, (*codec).uuid) }
func (c *codec) nullableUUIDs(p *[]UUID)   { nullableArray(c, p, (*codec).uuid) }

// tag is one known tagged field: written when present, read by walk.
type tag struct {
	id      uint64
	present bool
	walk    func(*codec)
}

// tags walks the tagged fields that close a structure, known ones in rising order. Unknown ones are passed over.
func (c *codec) tags(known ...tag) {
	if c.writing {
		c.writeTags(known)
		return
	}
	count := c.uvarint(0)
	last := -1
	for i := uint64(0); i < count && c.err == nil; i++ {
		id, size := c.uvarint(0), c.uvarint(0)
		body := c.take(int(size))
		if c.err != nil {
			return
		}
		if int(id) <= last {
			c.fail(fmt.Errorf("tagged field %d comes after %d", id, last))
			return
		}
		last = int(id)
		for _, t := range known {
			if t.id == id {
				c.readTag(t, body)
			}
		}
	}
}

func (c *codec) readTag(t tag, body []byte) {
	in := codec{b: body}
	t.walk(&in)
	switch {
	case in.err != nil:
		c.fail(fmt.Errorf("tagged field %d: %w", t.id, in.err))
	case len(in.b) > 0:
		c.fail(fmt.Errorf("tagged field %d has %d bytes too many", t.id, len(in.b)))
	}
}

func (c *codec) writeTags(known []tag) {
	n := 0
	for _, t := range known {
		if t.present {
			n++
		}
	}
	c.b = binary.AppendUvarint(c.b, uint64(n))
	for _, t := range known {
		if !t.present {
			continue
		}
		body := codec{writing: true}
		t.walk(&body)
		c.b = binary.AppendUvarint(c.b, t.id)
		c.b = binary.AppendUvarint(c.b, uint64(len(body.b)))
		c.b = append(c.b, body.b...)
	}
}
