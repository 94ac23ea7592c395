package storage

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// Nothing that lies in a directory may stop the process, and what is understood is
// understood the same when it is written again.
func FuzzSmallFiles(f *testing.F) {
	var ps producers
	ps.reset(0)
	_, _, _ = ps.apply(from(5, 1, 0, "a"))
	f.Add(ps.encodeSnapshot())
	f.Add([]byte("0\n1\nt 0 5\n"))
	f.Add([]byte("0\n2\n1 0\n3 7\n"))
	f.Add([]byte("version: 0\ntopic_id: AQAAAAAAAAAAAAAAAAAAAA\n"))
	f.Add([]byte("#\ncluster.id=c\nnode.id=1\nversion=1\ndirectory.id=AQAAAAAAAAAAAAAAAAAAAA\n"))
	f.Add(appendAbortedTxn(nil, AbortedTxn{1, 2, 3, 4}))
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 70, 0, 0, 0, 3, 0, 0, 0, 140})
	f.Add([]byte("0\n1\nt 0 AQAAAAAAAAAAAAAAAAAAAA 5\n"))
	f.Add([]byte("0\n2\n3 7\n9 12\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if ps, err := parseSnapshot(b, 10); err == nil {
			again, err := parseSnapshot(ps.encodeSnapshot(), 10)
			if err != nil || len(again.byID) != len(ps.byID) {
				t.Fatal("a producer snapshot changes when it is written again", err)
			}
		}
		if offsets, err := parseOffsets(b); err == nil {
			m := vfs.NewMem()
			if err := WriteOffsetCheckpoint(m, "x", offsets); err != nil {
				t.Fatal(err)
			}
			if again, err := ReadOffsetCheckpoint(m, "x"); err != nil || !maps.Equal(again, offsets) {
				t.Fatal(err, again, offsets)
			}
		}
		if entries, err := parseEpochs(b); err == nil {
			c := epochCache{entries: entries}
			if again, err := parseEpochs(c.encode()); err != nil || !slices.Equal(again, entries) {
				t.Fatal(err)
			}
		}
		if id, err := parsePartitionMetadata(b); err == nil {
			if again, err := parsePartitionMetadata(encodePartitionMetadata(id)); err != nil || again != id {
				t.Fatal(err)
			}
		}
		if lost, err := parseLost(b); err == nil {
			if again, err := parseLost(encodeLost(lost)); err != nil || !maps.Equal(again, lost) {
				t.Fatal(err, again, lost)
			}
		}
		if ranges, err := parsePassedLosses(b); err == nil && slices.ContainsFunc(ranges, func(r lossRange) bool { return r.from < 0 || r.from >= r.upTo }) {
			t.Fatal(ranges)
		}
		_, _ = parseMetaProperties(b)
		if txns, good := parseTxnIndex(b); good != len(txns)*txnEntryBytes {
			t.Fatal(good)
		}
		for i, e := range parseOffsetIndex(b) {
			if i > 0 && e.pos <= 0 {
				t.Fatal(e)
			}
		}
		_ = parseTimeIndex(b)
	})
}

// A log with any bytes in any of its files opens, as far as it is whole, and goes on.
func FuzzDamagedLog(f *testing.F) {
	names := []string{".log", ".index", ".timeindex", ".txnindex", ".snapshot"}
	for i := range names {
		f.Add(uint8(i), uint16(100), []byte{1, 2, 3}, true)
		f.Add(uint8(i), uint16(0), []byte{}, false)
	}
	whole := vfs.NewMem()
	l := testLog(f, whole, newTestClock(), smallConfig())
	mustAppend(f, l, inTxn(1, 0, 0, "a", "b"))
	mustCoordinate(f, l, marker(1, 0, false))
	for l.NumSegments() < 2 {
		mustAppend(f, l, from(2, 0, 0, "x"))
		l.ExpireProducers(1 << 60)
	}
	if err := l.Close(true); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint16, with []byte, truncate bool) {
		m := whole.KillClone()
		name := "/d/t-0/" + segmentName(0) + names[int(which)%len(names)]
		file, err := m.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if truncate {
			_ = file.Truncate(int64(at))
		}
		_, _ = file.WriteAt(with, int64(at))
		l := testLog(t, m, newTestClock(), smallConfig())
		end := l.LogEndOffset()
		if info := mustAppend(t, l, values(1, "after")); info.FirstOffset != end {
			t.Fatalf("%+v", info)
		}
		if got := readFrom(t, l, end); got[end] != "after" {
			t.Fatal(got)
		}
		before := readFrom(t, l, 0)
		if err := l.Close(true); err != nil {
			t.Fatal(err)
		}
		l = testLog(t, m, newTestClock(), smallConfig(), func(o *LogOptions) { o.Clean = true })
		if diff := cmp.Diff(before, readFrom(t, l, 0)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestParseTopicPartition(t *testing.T) {
	for s, want := range map[string]TopicPartition{"a-0": {"a", 0}, "a-b-12": {"a-b", 12}, "__x-2147483647": {"__x", 2147483647}} {
		if got, err := ParseTopicPartition(s); err != nil || got != want || got.String() != s {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"", "a", "-1", "a-", "a-x", "a-2147483648"} {
		if got, err := ParseTopicPartition(s); err == nil {
			t.Errorf("%s: %v", s, got)
		}
	}
	if !bytes.Contains([]byte(segmentName(7)), []byte("0000007")) || len(segmentName(1<<62)) != 20 {
		t.Error(segmentName(1 << 62))
	}
}
