package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// An append costs no allocation by batch or record: the bytes pass through.
func TestAppendAndReadHardlyAllocate(t *testing.T) {
	cfg := DefaultLogConfig()
	l := testLog(t, vfs.OS{}, clock.Real{}, cfg, func(o *LogOptions) { o.Dir = t.TempDir() + "/t-0" })
	defer func() { _ = l.Close(false) }()
	b := values(1, "some value", "another value", "and a third")
	allocs := testing.AllocsPerRun(2000, func() {
		b.SetBaseOffset(0)
		if _, err := l.AppendAsLeader(b, 1, FromClient); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 1 {
		t.Errorf("an append allocates %v times", allocs)
	}
	idempotent := from(1, 0, 0, "x")
	seq := int32(0)
	allocs = testing.AllocsPerRun(2000, func() {
		idempotent.SetBaseOffset(0)
		putSequence(idempotent, seq)
		seq++
		if _, err := l.AppendAsLeader(idempotent, 1, FromClient); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 1 {
		t.Errorf("an idempotent append allocates %v times", allocs)
	}
	end := l.LogEndOffset()
	allocs = testing.AllocsPerRun(2000, func() {
		s, err := l.Read(end-1, 1<<20, end, true)
		if err != nil || s.Len == 0 {
			t.Fatal(err)
		}
		s.Release()
	})
	if allocs > 3 {
		t.Errorf("a read at the end allocates %v times", allocs)
	}
}

func putSequence(b record.Batch, seq int32) {
	for i := range 4 {
		b[53+i] = byte(seq >> (24 - 8*i))
	}
	b.UpdateCRC()
}

// Writers, readers, retention, truncation of nothing, lookups and syncs at once; run it with -race.
func TestEverythingAtOnce(t *testing.T) {
	m := vfs.NewMem()
	cfg := smallConfig()
	cfg.RetentionBytes, cfg.FileDeleteDelayMs = 4000, 0
	l := testLog(t, m, clock.Real{}, cfg)
	stop := make(chan struct{})
	var writers, others sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for i := range 300 {
				info := mustAppendValue(t, l, fmt.Sprintf("%d from %d", i, w))
				l.SetHighWatermark(info.LastOffset + 1)
				if i%7 == 0 {
					l.AwaitSync(info.LastOffset+1, func(err error) {
						if err != nil {
							t.Error(err)
						}
					})
				}
			}
		})
	}
	loop := func(fn func()) {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					fn()
				}
			}
		})
	}
	loop(func() {
		if _, err := l.DeleteOldSegments(); err != nil {
			t.Error(err)
		}
	})
	loop(func() { _ = l.ActiveProducers(); _ = l.Size(); _, _ = l.LatestEpoch() })
	loop(func() {
		if _, _, err := l.OffsetForTimestamp(1); err != nil {
			t.Error(err)
		}
		if _, _, err := l.MaxTimestampOffset(); err != nil {
			t.Error(err)
		}
	})
	for r := range 2 {
		rng := rand.New(rand.NewPCG(uint64(r), 1))
		loop(func() {
			start, end := l.LogStartOffset(), l.LogEndOffset()
			if end <= start {
				return
			}
			at := start + rng.Int64N(end-start)
			s, err := l.Read(at, 500, end, true)
			if errors.Is(err, ErrOffsetOutOfRange) {
				return // retention
			}
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Release()
			b, err := s.Bytes()
			if err != nil {
				t.Error(err)
				return
			}
			for next := at; len(b) > 0; {
				batch, rest, err := record.Next(b)
				if err != nil || batch.Validate() != nil || batch.LastOffset() < next || batch.BaseOffset() > next {
					t.Errorf("a read at %d: %v", at, err)
					return
				}
				next, b = batch.NextOffset(), rest
			}
		})
	}
	writers.Wait()
	close(stop)
	others.Wait()
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	if l.LogEndOffset() != 900 {
		t.Fatal(l.LogEndOffset())
	}
}

func mustAppendValue(t *testing.T, l *Log, v string) AppendInfo {
	info, err := l.AppendAsLeader(values(1, v), 1, FromClient)
	if err != nil {
		t.Error(err)
	}
	return info
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			cfg := DefaultLogConfig()
			cfg.MaxMessageBytes = 2 << 20
			l := testLog(b, vfs.OS{}, clock.Real{}, cfg, func(o *LogOptions) { o.Dir = b.TempDir() + "/t-0" })
			defer func() { _ = l.Close(false) }()
			batch := values(1, string(make([]byte, size)))
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				batch.SetBaseOffset(0)
				if _, err := l.AppendAsLeader(batch, 1, FromClient); err != nil {
					b.Fatal(err)
				}
				if l.NumSegments() > 2 { // do not fill the disk
					b.StopTimer()
					l.SetHighWatermark(l.LogEndOffset())
					cfg.RetentionBytes, cfg.FileDeleteDelayMs = 0, 0
					l.SetConfig(cfg)
					_, _ = l.DeleteOldSegments()
					b.StartTimer()
				}
			}
		})
	}
}
