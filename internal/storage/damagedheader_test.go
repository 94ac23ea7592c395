package storage

import (
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// oneSegmentAndMore is a closed log of 64 records, each a batch, whose first segment has many, and where its batches lie.
func oneSegmentAndMore(t *testing.T) (m *vfs.Mem, cfg LogConfig, at []int) {
	t.Helper()
	m = vfs.NewMem()
	format(t, m, "/a")
	cfg = smallConfig()
	cfg.SegmentBytes = 4000
	mgr := openManager(t, m, newTestClock(), cfg, inOneDir)
	l := mustCreate(t, mgr, testTP, 1)
	for i := range 64 {
		mustAppend(t, l, values(epochStart.UnixMilli()+int64(i), fmt.Sprintf("value %d %s", i, strings.Repeat("v", 40))))
	}
	l.SetHighWatermark(64)
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	data := mustRead(t, m, "/a/t-0/"+segmentName(0)+logSuffix)
	for pos := 0; pos < len(data); pos += 12 + int(binary.BigEndian.Uint32(data[pos+8:])) {
		at = append(at, pos)
	}
	return m, cfg, at
}

// oneByOne asks for each offset, and says of which a reader is given something else than the batch, and of which an error.
func oneByOne(t *testing.T, l *Log, maxBytes int) (skipped, failed []int64) {
	t.Helper()
	for at := range int64(64) {
		s, err := l.Read(at, maxBytes, 64, true)
		if err != nil {
			failed = append(failed, at)
			continue
		}
		b, err := s.Bytes()
		s.Release()
		if err != nil || len(b) < 8 || int64(binary.BigEndian.Uint64(b)) != at {
			skipped = append(skipped, at)
		}
	}
	return skipped, failed
}

func awaitIndexes(l *Log, clk interface{ Advance(time.Duration) }) {
	for range 2000 {
		clk.Advance(payRetry)
		if l.segments[0].indexState.Load() == indexBelieved {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// The header of any batch of a closed segment is damaged. Whatever a reader takes at once, what lies before the batch is
// served, also by a read that would end behind it, and what an index entry leads to behind it; the batch itself is told.
func TestADamagedHeaderCostsItsBatch(t *testing.T) {
	m, cfg, at := oneSegmentAndMore(t)
	for i, pos := range at {
		c := m.KillClone()
		if err := c.FlipBit("/a/t-0/"+segmentName(0)+logSuffix, pos+16, 4); err != nil {
			t.Fatal(err)
		}
		clk := newTestClock()
		mgr := openManager(t, c, clk, cfg, inOneDir, func(o *ManagerOptions) { o.VerifyReads = true })
		l := mgr.Log(testTP)
		for _, maxBytes := range []int{150, 300, 1000, 1 << 20} {
			oneByOne(t, l, maxBytes)
		}
		awaitIndexes(l, clk)
		for _, maxBytes := range []int{150, 300, 1000, 1 << 20} {
			skipped, failed := oneByOne(t, l, maxBytes)
			// Up to the next entry of the index nobody knows where a batch begins.
			if len(skipped) > 0 || len(failed) == 0 || failed[0] != int64(i) || len(failed) > 3 && i < len(at)-3 {
				t.Fatalf("batch %d is damaged, reads of %d bytes: skipped %v, failed %v", i, maxBytes, skipped, failed)
			}
			for upTo := int64(1); upTo <= int64(i); upTo++ {
				s, err := l.Read(0, maxBytes, upTo, true)
				if err != nil || s.Len == 0 || s.NextOffset > upTo {
					t.Fatal(i, upTo, err)
				}
				s.Release()
			}
			if i > 0 { // a reader of committed records stops in the middle of what is damaged
				s, err := l.Read(int64(i)-1, maxBytes, int64(i)+2, true)
				if err != nil || s.Len == 0 || s.NextOffset != int64(i) {
					t.Fatal(i, err)
				}
				s.Release()
			}
		}
		_ = mgr.Close(false)
	}
}

// Any bit of an index is flipped, the disk is full when the index is to be made anew, and, in half of the cases, a batch of the
// segment has a damaged header besides. No reader is ever led past a record, and when there is space everything is read.
func TestAnIndexThatCannotBeMadeAnewLeadsNobodyAstray(t *testing.T) {
	m, cfg, at := oneSegmentAndMore(t)
	name := "/a/t-0/" + segmentName(0) + indexSuffix
	want := mustRead(t, m, name)
	last := int64(len(at) - 1)
	for _, damaged := range []bool{false, true} {
		for bit := range 8 * len(want) {
			c := m.KillClone()
			if err := c.FlipBit(name, bit/8, uint(bit%8)); err != nil {
				t.Fatal(err)
			}
			if damaged {
				if err := c.FlipBit("/a/t-0/"+segmentName(0)+logSuffix, at[last]+16, 4); err != nil {
					t.Fatal(err)
				}
			}
			var s switchable
			s.set(func(op vfs.Op) error {
				if op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, indexSuffix) {
					return syscall.ENOSPC
				}
				return nil
			})
			clk := newTestClock()
			mgr := openManager(t, vfs.NewFault(c, s.ask), clk, cfg, inOneDir, func(o *ManagerOptions) { o.VerifyReads = true })
			l := mgr.Log(testTP)
			for range 3 {
				skipped, failed := oneByOne(t, l, 150)
				for _, at := range failed {
					if !damaged || at > last {
						t.Fatalf("bit %d, full: offset %d failed", bit, at)
					}
				}
				if len(skipped) > 0 {
					t.Fatalf("bit %d, full: readers are led past %v", bit, skipped)
				}
				clk.Advance(time.Millisecond)
				for l.segments[0].indexState.Load() == indexDoubted {
					time.Sleep(100 * time.Microsecond)
				}
			}
			s.set(func(vfs.Op) error { return nil })
			awaitIndexes(l, clk)
			skipped, failed := oneByOne(t, l, 150)
			if len(skipped) > 0 || !damaged && len(failed) > 0 || damaged && (len(failed) != 1 || failed[0] != last) {
				t.Fatalf("bit %d, damaged %v, space again: skipped %v, failed %v", bit, damaged, skipped, failed)
			}
			if got := mustRead(t, c, name); !damaged && l.segments[0].indexState.Load() == indexBelieved && string(got) != string(want) && mgr.dirs[0].env.damaged.Load() > 0 {
				t.Fatalf("bit %d: the index is not what it was", bit)
			}
			_ = mgr.Close(false)
		}
	}
}
