package load

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/moldau-stream/moldau/internal/record"
)

// BatchShape says what a batch holds.
type BatchShape struct {
	Records     int
	RecordBytes int // of each value
	Codec       record.Codec
	// Repeat is how many bytes of each value repeat what came before, of 100: what a codec can win.
	Repeat int
	// Keys, when positive, gives each record a key out of so many.
	Keys int
}

// Batch builds one.
func Batch(s BatchShape, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := record.NewBuilder(record.BuilderOptions{Codec: s.Codec, Level: record.DefaultLevel, BaseSequence: -1})
	phrase := make([]byte, 64)
	for i := range phrase {
		phrase[i] = 'a' + byte(r.IntN(26))
	}
	value := make([]byte, s.RecordBytes)
	timestampMs := time.Now().UnixMilli()
	for range s.Records {
		fill(r, value, phrase, s.Repeat)
		var key []byte
		if s.Keys > 0 {
			key = fmt.Appendf(nil, "key-%012d", r.IntN(s.Keys))
		}
		b.Append(timestampMs, key, value, nil)
	}
	return append([]byte(nil), b.Build()...)
}

func fill(r *rand.Rand, value, phrase []byte, repeat int) {
	for i := 0; i < len(value); i += 16 {
		end := min(i+16, len(value))
		if r.IntN(100) < repeat {
			copy(value[i:end], phrase[i%48:])
			continue
		}
		for j := i; j < end; j++ {
			value[j] = byte(r.Uint32())
		}
	}
}

// BatchOfSize builds a batch of nearly, and not more than, so many bytes with records of so many.
func BatchOfSize(bytes, recordBytes int, codec record.Codec, repeat int, seed uint64) ([]byte, int) {
	fits := func(n int) []byte {
		b := Batch(BatchShape{Records: n, RecordBytes: recordBytes, Codec: codec, Repeat: repeat}, seed)
		if len(b) > bytes {
			return nil
		}
		return b
	}
	low, high := 1, 2
	for fits(high) != nil {
		low, high = high, 2*high
	}
	for high-low > 1 {
		if mid := (low + high) / 2; fits(mid) != nil {
			low = mid
		} else {
			high = mid
		}
	}
	return fits(low), low
}
