package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"github.com/klauspost/compress/snappy"
)

// A snappy block says how long it unpacks to before it says anything else: one that
// makes that up gets no memory for it.
func TestASnappyBlockIsNotTrustedWithItsLength(t *testing.T) {
	claim := append(binary.AppendUvarint(nil, MaxDecompressedBytes-1), 0, 'x')
	xerial := append([]byte(xerialMagic), 0, 0, 0, 1, 0, 0, 0, 1)
	xerial = append(binary.BigEndian.AppendUint32(xerial, uint32(len(claim))), claim...)
	for name, src := range map[string][]byte{"raw": claim, "xerial": xerial} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Snappy.Decompress(nil, src, MaxDecompressedBytes)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, ErrCorrupt) || got > 1<<20 {
			t.Errorf("%s: %d bytes took %d MiB: %v", name, len(src), got>>20, err)
		}
	}
}

// What is as compressible as can be is unpacked all the same.
func TestSnappyUnpacksTheBestRatio(t *testing.T) {
	for _, n := range []int{0, 1, 5, 100, 1 << 20} {
		src := make([]byte, n)
		if got, err := Snappy.Decompress(nil, snappy.Encode(nil, src), n); err != nil || !bytes.Equal(got, src) {
			t.Errorf("raw, %d zeros: %v", n, err)
		}
		xerial, err := Snappy.Compress(nil, src, DefaultLevel)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Snappy.Decompress(nil, xerial, n); err != nil || !bytes.Equal(got, src) {
			t.Errorf("xerial, %d zeros: %v", n, err)
		}
	}
}
