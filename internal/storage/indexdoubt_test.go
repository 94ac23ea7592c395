package storage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// Any bit of the indexes of a closed segment is flipped: everything is read, timestamps are found, retention keeps what
// is young and takes what is old, and the indexes are what they were.
func TestAFlippedBitInAnIndexOfAClosedSegment(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a")
	cfg := smallConfig()
	cfg.RetentionMs = 7 * 24 * 3600 * 1000
	one := func(o *ManagerOptions) { o.Dirs = []string{"/a"} }
	mgr := openManager(t, m, newTestClock(), cfg, one)
	l := mustCreate(t, mgr, testTP, 1)
	for i := range 16 {
		mustAppend(t, l, values(epochStart.UnixMilli()+int64(i), fmt.Sprintf("value %d %s", i, strings.Repeat("v", 40))))
	}
	l.SetHighWatermark(16)
	if l.NumSegments() < 3 {
		t.Fatal(l.NumSegments())
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		name := "/a/t-0/" + segmentName(0) + suffix
		want, err := vfs.ReadFile(m, name)
		if err != nil || len(want) == 0 {
			t.Fatal(err)
		}
		remade := 0
		for bit := range 8 * len(want) {
			c := m.KillClone()
			if err := c.FlipBit(name, bit/8, uint(bit%8)); err != nil {
				t.Fatal(err)
			}
			clk := newTestClock()
			mgr := openManager(t, c, clk, cfg, one)
			l := mgr.Log(testTP)
			if n, err := l.DeleteOldSegments(); n != 0 || err != nil {
				t.Fatalf("%s, bit %d: %d segments went: %v", suffix, bit, n, err)
			}
			for at := range int64(16) {
				s, err := l.Read(at, 150, 16, true)
				if err != nil || s.Len == 0 || s.NextOffset <= at {
					t.Fatalf("%s, bit %d: offset %d: %v", suffix, bit, at, err)
				}
				s.Release()
				found, ok, err := l.OffsetForTimestamp(epochStart.UnixMilli() + at)
				if err != nil || !ok || found.Offset != at {
					t.Fatalf("%s, bit %d: timestamp of %d: %v %v %v", suffix, bit, at, found, ok, err)
				}
			}
			if got := readFrom(t, l, 0); len(got) != 16 {
				t.Fatalf("%s, bit %d: %d records", suffix, bit, len(got))
			}
			doubted := mgr.dirs[0].env.damaged.Load() > 0
			clk.Advance(time.Millisecond)
			for doubted && l.segments[0].indexState.Load() == indexDoubted {
				time.Sleep(time.Millisecond)
			}
			if doubted {
				remade++
				if got, err := vfs.ReadFile(c, name); err != nil || string(got) != string(want) {
					t.Fatalf("%s, bit %d: the index is not what it was: %v", suffix, bit, err)
				}
			}
			old := cfg
			old.RetentionMs = 1
			l.SetConfig(old)
			clk.Advance(time.Second)
			if _, err := l.DeleteOldSegments(); l.LogStartOffset() == 0 || err != nil { // or the manager has done it
				t.Fatalf("%s, bit %d: nothing is too old: %v", suffix, bit, err)
			}
			_ = mgr.Close(false)
		}
		if remade == 0 {
			t.Fatal("no damage was seen in", suffix)
		}
	}
}
