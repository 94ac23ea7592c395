package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

// maxElements bounds the structs and strings in the arrays of one request. A
// follower of a million partitions, the largest honest asker, spreads them over
// many brokers and sessions; a million elements cost kmsg some 100 MB at worst.
const maxElements = 1 << 20

// maxUnknownTags bounds the tagged fields of one request that this version of Kafka's
// schemas does not know. kmsg keeps each in a map of its own, some 300 bytes for the three
// that it takes on the wire; a client of a later Kafka sends a handful.
const maxUnknownTags = 10_000

// maxStringBytes is Kafka's own bound of a string, at any version.
const maxStringBytes = math.MaxInt16

type opKind uint8

const (
	opFixed  opKind = iota // n bytes
	opString               // int16 or compact length, bytes
	opBytes                // int32 or compact length, bytes
	opArray                // int32 or compact count, elements
	opStruct               // fields; a nullable one has a presence byte before them
	opTags                 // tagged fields
)

// op is one step of a walk over a body. Neighbouring fields of fixed size are one step.
type op struct {
	kind     opKind
	nullable bool
	compact  bool
	name     string // the field, for the error
	n        int    // opFixed: bytes; opArray: the fewest bytes that an element takes
	fields   []op   // opArray: an element's; opStruct: its own
	known    []knownTag
}

type knownTag struct {
	tag    uint32
	fields []op
}

// walker walks one body. It allocates nothing unless it fails.
type walker struct {
	buf      []byte
	pos      int
	elements int
	unknown  int  // tagged fields
	aliases  bool // the decoded request will hold slices of buf
}

func (w *walker) run(ops []op) error {
	for i := range ops {
		if err := w.step(&ops[i]); err != nil {
			if ops[i].name == "" {
				return err
			}
			return fmt.Errorf("%s: %w", ops[i].name, err)
		}
	}
	return nil
}

func (w *walker) step(o *op) error {
	switch o.kind {
	case opFixed:
		return w.skip(o.n)
	case opString, opBytes:
		return w.blob(o)
	case opArray:
		return w.array(o)
	case opStruct:
		return w.structure(o)
	default:
		return w.tags(o.known)
	}
}

func (w *walker) blob(o *op) error {
	n, err := w.length(o)
	if err != nil {
		return err
	}
	if n < 0 {
		return nullable(o)
	}
	if o.kind == opBytes {
		w.aliases = w.aliases || n > 0
	} else if n > maxStringBytes {
		return fmt.Errorf("%w: a string of %d bytes, at most %d are allowed", ErrLength, n, maxStringBytes)
	}
	return w.skip(n)
}

func (w *walker) array(o *op) error {
	n, err := w.length(o)
	if err != nil {
		return err
	}
	if n < 0 {
		return nullable(o)
	}
	if rest := len(w.buf) - w.pos; n > rest/o.n {
		return fmt.Errorf("%w: %d elements of at least %d bytes in the %d bytes left", ErrTruncated, n, o.n, rest)
	}
	fixed := len(o.fields) == 1 && o.fields[0].kind == opFixed
	if fixed && o.fields[0].name == "" {
		return w.skip(n * o.n) // plain numbers or ids: kmsg's slice is as large as their bytes
	}
	if w.elements += n; w.elements > maxElements {
		return fmt.Errorf("%w: more than %d in one request", ErrTooManyElements, maxElements)
	}
	if fixed {
		return w.skip(n * o.n)
	}
	for i := range n {
		if err := w.run(o.fields); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

func (w *walker) structure(o *op) error {
	if o.nullable {
		if w.pos >= len(w.buf) {
			return ErrTruncated
		}
		present := int8(w.buf[w.pos])
		w.pos++
		if present < 0 {
			return nil
		}
	}
	return w.run(o.fields)
}

// tags walks tagged fields. Kafka writes them in order of their tags; like Kafka,
// readers here do not insist.
func (w *walker) tags(known []knownTag) error {
	n, err := w.uvarint()
	if err != nil {
		return err
	}
	for range n { // each takes two bytes at least, so a bomb runs out of frame
		tag, err := w.uvarint()
		if err != nil {
			return fmt.Errorf("tagged fields: %w", err)
		}
		size, err := w.uvarint()
		if err == nil {
			err = w.tag(known, tag, size)
		}
		if err != nil {
			return fmt.Errorf("tagged field %d: %w", tag, err)
		}
	}
	return nil
}

func (w *walker) tag(known []knownTag, tag, size uint32) error {
	if int64(size) > int64(len(w.buf)-w.pos) {
		return ErrTruncated
	}
	end := w.pos + int(size)
	for i := range known {
		if known[i].tag != tag {
			continue
		}
		inner := *w
		inner.buf = w.buf[:end]
		if err := inner.run(known[i].fields); err != nil {
			return err
		}
		if inner.pos != end {
			return fmt.Errorf("%w: %d of them", ErrTrailingBytes, end-inner.pos)
		}
		inner.buf = w.buf
		*w = inner
		return nil
	}
	if w.unknown++; w.unknown > maxUnknownTags {
		return fmt.Errorf("%w: more than %d unknown ones in one request", ErrTooManyElements, maxUnknownTags)
	}
	w.aliases = true // kmsg keeps unknown tags as slices
	w.pos = end
	return nil
}

func nullable(o *op) error {
	if o.nullable {
		return nil
	}
	return ErrNull
}

// length reads the length of o; any negative one is null, as Kafka has it.
func (w *walker) length(o *op) (int, error) {
	switch {
	case o.compact:
		n, err := w.uvarint()
		if n > math.MaxInt32 {
			return 0, fmt.Errorf("%w: %d", ErrLength, n)
		}
		return int(n) - 1, err
	case o.kind == opString:
		return w.int16Length()
	default:
		if len(w.buf)-w.pos < 4 {
			return 0, ErrTruncated
		}
		n := int32(binary.BigEndian.Uint32(w.buf[w.pos:]))
		w.pos += 4
		return int(n), nil
	}
}

func (w *walker) int16Length() (int, error) {
	if len(w.buf)-w.pos < 2 {
		return 0, ErrTruncated
	}
	n := int16(binary.BigEndian.Uint16(w.buf[w.pos:]))
	w.pos += 2
	return int(n), nil
}

func (w *walker) skip(n int) error {
	if n > len(w.buf)-w.pos {
		return ErrTruncated
	}
	w.pos += n
	return nil
}

// uvarint reads 32 bits in at most five bytes of seven bits each, low bits first.
func (w *walker) uvarint() (uint32, error) {
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		if w.pos >= len(w.buf) {
			return 0, ErrTruncated
		}
		b := w.buf[w.pos]
		w.pos++
		if shift == 28 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%w: a number of more than 32 bits", ErrLength)
}
