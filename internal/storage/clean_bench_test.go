package storage

import (
	"fmt"
	"testing"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// BenchmarkCleaning cleans a partition of some 60 MB: each key comes several times, or, in "unique", once, so that all stays.
// MB/s are of the log that is cleaned, which is read twice and written once.
func BenchmarkCleaning(b *testing.B) {
	for _, codec := range []record.Codec{record.None, record.LZ4, record.Zstd} {
		for _, keys := range []int{10_000, 1 << 30} {
			name := fmt.Sprintf("%v/updates", codec)
			if keys == 1<<30 {
				name = fmt.Sprintf("%v/unique", codec)
			}
			b.Run(name, func(b *testing.B) { benchmarkCleaning(b, codec, keys) })
		}
	}
}

func benchmarkCleaning(b *testing.B, codec record.Codec, keys int) {
	const batches, perBatch = 2000, 100
	value := make([]byte, 300)
	for i := range value {
		value[i] = byte(i * i / 7)
	}
	cfg := compactConfig()
	cfg.SegmentBytes, cfg.IndexIntervalBytes, cfg.IndexBytes = 16<<20, 4096, 10<<20
	b.ReportAllocs()
	for range b.N {
		b.StopTimer()
		dir := b.TempDir()
		format(b, vfs.OS{}, dir)
		m := openManager(b, vfs.OS{}, clock.Real{}, cfg, func(o *ManagerOptions) { o.Dirs = []string{dir} })
		l, err := m.CreateLog(testTP, testID, cfg, [16]byte{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for range batches {
			batch := record.NewBuilder(record.BuilderOptions{Codec: codec})
			for range perBatch {
				batch.Append(1, fmt.Appendf(nil, "key-%012d", n*7919%keys), value, nil)
				n++
			}
			if _, err := l.AppendAsLeader(batch.Build(), 1, FromCoordinator); err != nil {
				b.Fatal(err)
			}
		}
		l.SetHighWatermark(l.LogEndOffset())
		if err := l.Roll(); err != nil {
			b.Fatal(err)
		}
		if err := l.Flush(); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(l.Size())
		b.StartTimer()
		if !cleanNow(b, m, l) {
			b.Fatal("not cleaned")
		}
		b.StopTimer()
		if err := m.Close(false); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
