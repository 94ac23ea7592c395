package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"testing"
)

// allocatedBy is how many bytes do allocates.
func allocatedBy(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Of a bomb no more is unpacked than the bound allows, whatever codec it was packed with.
func TestABombOfEachCodecIsRefused(t *testing.T) {
	const bombBytes, limit = 64 << 20, 1 << 20
	plain := make([]byte, bombBytes)
	for _, c := range allCodecs {
		if c == None {
			continue
		}
		packed, err := c.Compress(nil, plain, DefaultLevel)
		if err != nil {
			t.Fatal(c, err)
		}
		_, _ = c.Decompress(nil, packed[:len(packed)/2], limit) // what a codec keeps for the next time is there now
		n := allocatedBy(func() {
			if _, err := c.Decompress(nil, packed, limit); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: %d bytes that unpack to %d: %v", c, len(packed), bombBytes, err)
			}
		})
		if n > bombBytes/8 {
			t.Errorf("%s: %d bytes were allocated to refuse a bomb", c, n)
		}
	}
}

// A count or a length of 2^31 - 1 in a few bytes is refused, and nothing is allocated for it, wherever in a batch it stands.
func TestCountsThatCannotBeTrueAllocateNothing(t *testing.T) {
	huge := binary.AppendVarint(nil, math.MaxInt32)
	record := func(fields ...[]byte) []byte {
		body := bytes.Join(fields, nil)
		return append(binary.AppendVarint(nil, int64(len(body))), body...)
	}
	zero, null := []byte{0}, []byte{1} // varints are zigzag: 1 is -1
	for name, records := range map[string][]byte{
		"the length of a record":         append(bytes.Clone(huge), 0, 0, 0, 1, 1, 0),
		"the length of a key":            record(zero, zero, zero, huge, null, zero),
		"the length of a value":          record(zero, zero, zero, null, huge, zero),
		"the number of headers":          record(zero, zero, zero, null, null, huge),
		"the length of a header's key":   record(zero, zero, zero, null, null, []byte{2}, huge),
		"the length of a header's value": record(zero, zero, zero, null, null, []byte{2}, []byte{2, 'h'}, huge),
	} {
		refuseWithin(t, name, withRecords(records, 1))
	}
	refuseWithin(t, "the number of records", withRecords(record(zero, zero, zero, null, null, zero), math.MaxInt32))
	refuseWithin(t, "a negative number of records", withRecords(record(zero, zero, zero, null, null, zero), math.MinInt32))
	b := withRecords(record(zero, zero, zero, null, null, zero), 1)
	binary.BigEndian.PutUint32(b[8:], math.MaxInt32)
	if _, _, err := Next(b); err == nil {
		t.Error("a batch of 2^31 bytes is found in a few")
	}
}

// withRecords is a sound batch but for what it says of its records.
func withRecords(records []byte, count int32) Batch {
	bld := NewBuilder(BuilderOptions{})
	bld.Append(1, nil, nil, nil)
	b := append(bytes.Clone(bld.Build()[:HeaderBytes]), records...)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-LengthPrefixBytes))
	binary.BigEndian.PutUint32(b[57:], uint32(count))
	Batch(b).UpdateCRC()
	return b
}

func refuseWithin(t *testing.T, what string, b Batch) {
	t.Helper()
	const enough = 1 << 20
	readers := map[string]func() error{
		"ForEach":         func() error { return b.ForEach(func(Record) error { return nil }) },
		"ForEachKey":      func() error { return b.ForEachKey(func(Record) error { return nil }) },
		"ValidateRecords": b.ValidateRecords,
	}
	for name, read := range readers {
		if n := allocatedBy(func() {
			if err := read(); err == nil && name != "ForEachKey" { // which reads no further than it must
				t.Errorf("%s: %s is 2^31, and that is taken", name, what)
			}
		}); n > enough {
			t.Errorf("%s: for %s of 2^31 %d bytes were allocated", name, what, n)
		}
	}
}
