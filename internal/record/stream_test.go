package record

import (
	"bytes"
	"errors"
	"runtime"
	"testing"
)

// What a batch unpacks to must not have to fit into memory: a walk over many large,
// very compressible records needs room for one.
func TestWalkOfABombNeedsRoomForOneRecord(t *testing.T) {
	value := bytes.Repeat([]byte{'x'}, 1<<20)
	for _, codec := range []Codec{Gzip, LZ4, Zstd} {
		b := NewBuilder(BuilderOptions{Codec: codec})
		for range 100 {
			b.Append(1, []byte("k"), value, nil)
		}
		batch := b.Build()
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n := 0
		if err := batch.ForEachKey(func(r Record) error { n += len(r.Value); return nil }); err != nil {
			t.Fatalf("%v: %v", codec, err)
		}
		runtime.ReadMemStats(&after)
		if n != 100<<20 {
			t.Fatalf("%v: %d bytes of values", codec, n)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 32<<20 {
			t.Errorf("%v: the walk allocated %d MiB for %d MiB of records", codec, got>>20, n>>20)
		}
	}
}

func TestWalkRefusesARecordThatIsTooLarge(t *testing.T) {
	b := NewBuilder(BuilderOptions{Codec: Gzip})
	b.Append(1, nil, make([]byte, maxRecordBytes+1), nil)
	if err := b.Build().ValidateRecords(); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("a record of more than %d bytes: %v", maxRecordBytes, err)
	}
}
