package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/moldau-stream/moldau/internal/record"
)

// whileTheyCome compresses a batch as a client does that writes records into the frame while they come, and does not know how many there will be.
func whileTheyCome(t *testing.T, plain record.Batch) record.Batch {
	t.Helper()
	out := bytes.NewBuffer(bytes.Clone(plain[:record.HeaderBytes]))
	w, err := zstd.NewWriter(out, zstd.WithWindowSize(8<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range plain.RecordsBytes() {
		if _, err := w.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var h zstd.Header
	if err := h.Decode(out.Bytes()[record.HeaderBytes:]); err != nil || h.HasFCS {
		t.Fatalf("%+v %v", h, err)
	}
	batch := record.Batch(out.Bytes())
	binary.BigEndian.PutUint32(batch[8:], uint32(len(batch)-record.LengthPrefixBytes))
	batch[22] |= byte(record.Zstd)
	batch.UpdateCRC()
	return batch
}

// Records in zstd frames that do not say what they hold are taken, given back as they were sent, and compacted.
func TestZstdFramesWithoutASizeAreTakenAndCompacted(t *testing.T) {
	cfg := compactConfig()
	cfg.SegmentBytes = 1 << 20
	x := newCompacted(t, cfg)
	var sent []record.Batch
	for i := range 3 {
		var records []string
		for k := range 50 {
			records = append(records, fmt.Sprintf("k%d=%d %s", k*(i+1), i, bytes.Repeat([]byte("v"), 50)))
		}
		b := whileTheyCome(t, keyed(record.BuilderOptions{}, x.clk.Now().UnixMilli(), records...))
		sent = append(sent, bytes.Clone(b))
		x.append(b)
	}
	s, err := x.l.Read(0, 1<<20, 150, true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Bytes()
	s.Release()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	eachBatch(t, got, func(b record.Batch) {
		if n >= len(sent) || !bytes.Equal(b.RecordsBytes(), sent[n].RecordsBytes()) {
			t.Fatalf("batch %d is not the one that was sent", n)
		}
		n++
	})
	want := map[string]string{}
	for at := range int64(150) {
		i, k := at/50, at%50
		want[fmt.Sprint("k", k*(i+1))] = fmt.Sprint(at)
	}
	x.roll()
	if !cleanNow(t, x.m, x.l) {
		t.Fatal("it is not cleaned")
	}
	left := map[string]string{}
	s, err = x.l.Read(0, 1<<20, 150, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	if got, err = s.Bytes(); err != nil {
		t.Fatal(err)
	}
	eachBatch(t, got, func(b record.Batch) {
		if err := b.ForEach(func(r record.Record) error { left[string(r.Key)] += fmt.Sprint(r.Offset); return nil }); err != nil || b.Codec() != record.Zstd {
			t.Fatal(b.Codec(), err)
		}
	})
	if fmt.Sprint(left) != fmt.Sprint(want) {
		t.Fatalf("%v is left, not %v", left, want)
	}
}
