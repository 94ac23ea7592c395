package storage

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// fullFor is a file system without space for one kind of operation on files of one suffix, while full.
func fullFor(under vfs.FS, full *atomic.Bool, kind vfs.OpKind, suffix string) vfs.FS {
	return vfs.NewFault(under, func(op vfs.Op) error {
		if full.Load() && op.Kind == kind && strings.HasSuffix(op.Name, suffix) {
			return syscall.ENOSPC
		}
		return nil
	})
}

// The disk is full when a segment is to begin: the append is refused, nothing has
// changed, retention goes on and makes room, and with room all goes on.
func TestAFullDiskAtARollIsSurvived(t *testing.T) {
	for _, c := range []struct {
		kind   vfs.OpKind
		suffix string
	}{
		{vfs.OpCreate, snapshotSuffix}, {vfs.OpWrite, snapshotSuffix}, {vfs.OpWrite, indexSuffix}, {vfs.OpWrite, timeIndexSuffix},
		{vfs.OpCreate, timeIndexSuffix}, {vfs.OpCreate, logSuffix}, {vfs.OpCreate, ""}, {vfs.OpWrite, ""},
	} {
		t.Run(fmt.Sprint(c.kind, c.suffix), func(t *testing.T) {
			m := vfs.NewMem()
			var full atomic.Bool
			clk := newTestClock()
			l := testLog(t, fullFor(m, &full, c.kind, c.suffix), clk, smallConfig())
			seq := int32(0)
			next := func() error {
				_, err := l.AppendAsLeader(from(1, 0, seq, "a value that takes some room in the segment"), 1, FromClient)
				if err == nil {
					seq++
					l.SetHighWatermark(int64(seq))
				}
				return err
			}
			for l.NumSegments() < 3 {
				if err := next(); err != nil {
					t.Fatal(err)
				}
			}
			for l.active().size+l.segments[0].size/l.segments[1].base <= int64(smallConfig().SegmentBytes) {
				if err := next(); err != nil {
					t.Fatal(err)
				}
			}
			full.Store(true)
			for range 2 {
				if err := next(); !errors.Is(err, ErrStorage) || !errors.Is(err, syscall.ENOSPC) || l.Err() != nil {
					t.Fatalf("%v, and the log says %v", err, l.Err())
				}
			}
			if got := readFrom(t, l, 0); l.LogEndOffset() != int64(seq) || len(got) != int(seq) || l.NumSegments() != 3 {
				t.Fatalf("the log ends at %d of %d, with %d segments and %v", l.LogEndOffset(), seq, l.NumSegments(), got)
			}
			if stray, err := vfs.Exists(m, path.Join(l.dir, segmentName(int64(seq))+logSuffix)); stray || err != nil {
				t.Fatal("a segment is there that the log does not have", err)
			}
			for _, clean := range []bool{false, true} { // so it would open
				again := testLog(t, m.KillClone(), clk, smallConfig(), func(o *LogOptions) { o.Clean = clean })
				if again.LogEndOffset() != int64(seq) || len(again.ActiveProducers()) != 1 {
					t.Fatalf("clean %v: it would open with the end %d of %d", clean, again.LogEndOffset(), seq)
				}
			}
			cfg := smallConfig()
			cfg.RetentionBytes = 0
			l.SetConfig(cfg) // all may go, but the active segment can not be followed by another
			if n, err := l.DeleteOldSegments(); n != 2 || err != nil {
				t.Fatal(n, err)
			}
			l.SetConfig(smallConfig())
			full.Store(false)
			for range 30 {
				if err := next(); err != nil {
					t.Fatal(err)
				}
			}
			start := l.LogStartOffset()
			if err := l.Close(true); err != nil {
				t.Fatal(err)
			}
			l = testLog(t, m, clk, smallConfig(), func(o *LogOptions) { o.Clean = true })
			if got := readFrom(t, l, start); l.LogEndOffset() != int64(seq) || len(got) != int(seq)-int(start) || l.LogStartOffset() != start {
				t.Fatalf("the log has [%d, %d), want [%d, %d)", l.LogStartOffset(), l.LogEndOffset(), start, seq)
			}
		})
	}
}

// Index entries are not worth an append: without space they wait in memory.
func TestAFullDiskKeepsIndexEntriesWaiting(t *testing.T) {
	m := vfs.NewMem()
	var full atomic.Bool
	cfg := DefaultLogConfig()
	cfg.IndexIntervalBytes = 0
	l := testLog(t, fullFor(m, &full, vfs.OpWrite, indexSuffix), newTestClock(), cfg)
	full.Store(true)
	for range 2 * indexFlushEntries {
		mustAppend(t, l, values(1, "x"))
	}
	full.Store(false)
	mustAppend(t, l, values(1, "x"))
	if s := l.active(); s.offsetsWritten != len(s.offsets) || len(s.offsets) < indexFlushEntries {
		t.Fatalf("%d of %d index entries are written", s.offsetsWritten, len(s.offsets))
	}
	if got := readFrom(t, l, 0); len(got) != 2*indexFlushEntries+1 {
		t.Fatal(len(got))
	}
}
