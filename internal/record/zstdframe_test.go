package record

import (
	"bytes"
	"errors"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// frameWithoutSize compresses as a client does that writes while records come: the frame does not say what it holds.
func frameWithoutSize(t *testing.T, windowBytes int, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithWindowSize(windowBytes), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{plain[:len(plain)/2], plain[len(plain)/2:]} {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var h zstd.Header
	if err := h.Decode(out.Bytes()); err != nil || h.HasFCS || h.WindowSize < uint64(windowBytes) {
		t.Fatalf("%+v %v", h, err)
	}
	return out.Bytes()
}

// A zstd frame need not say what it holds: its records are found all the same, and a bomb is refused at the bound, also where the frame asks
// for a window that would take more memory than the records.
func TestAZstdFrameNeedNotSayItsSize(t *testing.T) {
	b := NewBuilder(BuilderOptions{})
	for range 300 {
		b.Append(1, []byte("key"), bytes.Repeat([]byte("value"), 100), nil)
	}
	plain := b.Build()
	for _, window := range []int{1 << 20, 8 << 20, 128 << 20} {
		packed := frameWithoutSize(t, window, plain.RecordsBytes())
		got, err := Zstd.Decompress([]byte("before"), packed, len(plain.RecordsBytes()))
		if err != nil || !bytes.Equal(got, append([]byte("before"), plain.RecordsBytes()...)) {
			t.Fatal(window, err, len(got))
		}
		if got, err := Zstd.Decompress([]byte("before"), packed, len(plain.RecordsBytes())-1); !errors.Is(err, ErrTooLarge) || string(got) != "before" {
			t.Fatal(window, err)
		}
		batch := Batch(append(bytes.Clone(plain[:HeaderBytes]), packed...))
		batch[offAttributes+1] |= byte(Zstd)
		batch[offBatchLength+2], batch[offBatchLength+3] = byte((len(batch)-LengthPrefixBytes)>>8), byte(len(batch)-LengthPrefixBytes)
		batch[offBatchLength], batch[offBatchLength+1] = 0, 0
		batch.UpdateCRC()
		n := 0
		if err := errors.Join(batch.ValidateRecords(), batch.ForEach(func(Record) error { n++; return nil })); err != nil || n != 300 {
			t.Fatal(window, err, n)
		}
		bomb := frameWithoutSize(t, window, make([]byte, 64<<20))
		_, _ = Zstd.Decompress(nil, packed, 1<<20) // what a codec keeps for the next time is there now
		allocated := allocatedBy(func() {
			if _, err := Zstd.Decompress(nil, bomb, 1<<20); !errors.Is(err, ErrTooLarge) {
				t.Error(window, err)
			}
		})
		if allocated > 8*maxWideBytes {
			t.Errorf("window %d: %d bytes were allocated to refuse a bomb", window, allocated)
		}
	}
}
