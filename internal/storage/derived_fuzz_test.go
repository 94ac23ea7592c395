package storage

import (
	"bytes"
	"os"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// Any bytes in any file beside the records of any segment, before a start or under the running node, change no answer.
func FuzzDerivedFiles(f *testing.F) {
	base := txnStory(f, true)
	mgr := openManager(f, base.KillClone(), newTestClock(), smallConfig(), inOneDir)
	want := answersOf(f, mgr.Log(testTP))
	_ = mgr.Close(false)
	var names []string
	for _, suffix := range []string{indexSuffix, timeIndexSuffix, txnIndexSuffix, snapshotSuffix} {
		names = append(names, filesOfDir(f, base, "/a/t-0", suffix)...)
	}
	for i := range names {
		f.Add(uint8(i), uint16(8), []byte{0, 0, 0, 1}, i%2 == 0, i%3 == 0)
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint16, with []byte, truncate, running bool) {
		m := base.KillClone()
		name := names[int(which)%len(names)]
		damage := func() {
			file, err := m.OpenFile(name, os.O_RDWR, 0)
			if err != nil {
				return // the start has removed it
			}
			size, _ := file.Size()
			if int64(at) > size {
				at = uint16(size)
			}
			if truncate {
				_ = file.Truncate(int64(at))
			}
			_, _ = file.WriteAt(with, int64(at))
			_ = file.Close()
		}
		if !running {
			damage()
		}
		mgr := openManager(t, m, newTestClock(), smallConfig(), inOneDir)
		defer func() { _ = mgr.Close(true) }()
		l := mgr.Log(testTP)
		if running {
			damage()
		}
		if diff := gocmp.Diff(want, answersOf(t, l)); diff != "" {
			t.Fatal(name, diff)
		}
	})
}

// What is read as batches from any bytes: the readers of recovery, of the cleaner, of consumers and of headers come by the
// same batches, as far as all are good, and none panics at what lies in them.
func FuzzBatchReaders(f *testing.F) {
	f.Add([]byte(values(1, "a", "b")), true)
	f.Add(append([]byte(marker(1, 0, true)), inTxn(1, 0, 0, "x")...), true)
	f.Add([]byte(batchOf(record.BuilderOptions{Codec: record.Zstd}, 1, "x", "y")), false)
	f.Fuzz(func(t *testing.T, b []byte, sound bool) {
		if sound { // else hardly anything gets by the checksum
			for rest := b; ; {
				batch, next, err := record.Next(rest)
				if err != nil {
					break
				}
				batch.UpdateCRC()
				rest = next
			}
		}
		m := vfs.NewMem()
		file, err := m.OpenFile("/log", os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		size := int64(len(b))
		var scanned, cleaned [][]byte
		stopped, _, err := scanBatches(file, 0, size, func(b record.Batch, _ int64) error {
			scanned = append(scanned, bytes.Clone(b))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		r := cleanReader{buf: make([]byte, minCleanBufferBytes), limit: maxCleanBatchBytes, took: func(int) error { return nil }}
		_ = r.each(file, 0, size, func(b record.Batch) error { cleaned = append(cleaned, bytes.Clone(b)); return nil })
		for i, c := range cleaned { // it also refuses counts below zero
			if !bytes.Equal(c, scanned[i]) {
				t.Fatal("the cleaner reads another batch")
			}
		}
		h := walkHeaders(file, size)
		defer h.close()
		at := int64(0)
		for _, want := range scanned {
			got, n, err := h.at(at)
			if err != nil || n != int64(len(want)) || !bytes.Equal(got, want[:record.HeaderBytes]) {
				t.Fatal("the headers tell of another batch", err)
			}
			if err := checkBatchAt(file, at, n); err != nil {
				t.Fatal(err)
			}
			_, _, _ = findInBatch(file, at, n, 1, 0)
			_, _, _ = endTxnMarker(record.Batch(want))
			if raw, err := record.Batch(want).Codec().Decompress(nil, record.Batch(want).RecordsBytes(), 1<<20); err == nil {
				var rec rawRecord
				w := walkRaw(want, raw)
				for range min(record.Batch(want).NumRecords(), 1000) {
					if w.next(&rec) != nil {
						break
					}
				}
			}
			at += n
		}
		if at != stopped {
			t.Fatal(at, stopped)
		}
	})
}

// Any bytes in our own files of a stop: the node starts, and has what was synced.
func FuzzOwnFilesOfAStop(f *testing.F) {
	base := txnStory(f, false)
	names := []string{touchedFile, cleanStateFile, bootFile, cleanerFile, recoveryPointFile, highWatermarkFile, logStartFile, cleanShutdownFile, lostFile, "t-0/" + passedLossFile, sumsFile}
	for i := range names {
		f.Add(uint8(i), uint16(20), []byte("t 0\nt 1"), true)
	}
	f.Fuzz(func(t *testing.T, which uint8, keep uint16, with []byte, sound bool) {
		m := base.KillClone()
		name := "/a/" + names[int(which)%len(names)]
		was, _ := vfs.ReadFile(m, name)
		b := append(was[:min(int(keep), len(was)):min(int(keep), len(was))], with...)
		if !sound {
			b = with
		}
		if err := vfs.WriteFileAtomic(m, name, b); err != nil {
			t.Fatal(err)
		}
		mgr := openManager(t, m, newTestClock(), smallConfig(), inOneDir)
		defer func() { _ = mgr.Close(true) }()
		l := mgr.Log(testTP)
		waitReady(l)
		if l.Wake() == nil && l.LogStartOffset() == 0 && l.LogEndOffset() < 64 {
			t.Fatal("what was synced is gone", l.LogEndOffset())
		}
	})
}
