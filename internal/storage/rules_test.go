package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// Each rule of Kafka for when a segment ends, what is deleted, and which timestamps are taken. The configuration is that of
// the moment: each is changed while the log is in use.

// rule is a log in which one setting is looked at.
type rule struct {
	t   *testing.T
	m   *vfs.Mem
	clk *clock.Fake
	l   *Log
}

func newRule(t *testing.T, change func(*LogConfig)) *rule {
	r := &rule{t: t, m: vfs.NewMem(), clk: newTestClock()}
	cfg := DefaultLogConfig()
	change(&cfg)
	r.l = testLog(t, r.m, r.clk, cfg)
	return r
}

// set changes the configuration of the log in use.
func (r *rule) set(change func(*LogConfig)) {
	cfg := r.l.Config()
	change(&cfg)
	r.l.SetConfig(cfg)
}

func (r *rule) now() int64 { return r.clk.Now().UnixMilli() }

// put appends a committed record with a timestamp, by default of now.
func (r *rule) put(ts ...int64) {
	r.t.Helper()
	at := r.now()
	if len(ts) > 0 {
		at = ts[0]
	}
	mustAppend(r.t, r.l, values(at, "value"))
	r.l.SetHighWatermark(r.l.LogEndOffset())
}

func (r *rule) segments(want int) {
	r.t.Helper()
	if got := r.l.NumSegments(); got != want {
		r.t.Fatalf("%d segments, want %d", got, want)
	}
}

// deletes applies retention and says from which offset on records are left.
func (r *rule) deletes(start int64) {
	r.t.Helper()
	if _, err := r.l.DeleteOldSegments(); err != nil {
		r.t.Fatal(err)
	}
	if got := r.l.LogStartOffset(); got != start {
		r.t.Fatalf("the log starts at %d, want %d", got, start)
	}
}

func TestRollBySegmentBytes(t *testing.T) {
	size := len(values(1, "value"))
	r := newRule(t, func(c *LogConfig) { c.SegmentBytes = 3 * size })
	for range 3 {
		r.put()
	}
	r.segments(1) // just full
	r.put()
	r.segments(2)
	r.set(func(c *LogConfig) { c.SegmentBytes = size })
	r.put()
	r.put()
	r.segments(4)
	r.set(func(c *LogConfig) { c.SegmentBytes = 1 << 20 })
	for range 10 {
		r.put()
	}
	r.segments(4)
}

// The first batch's timestamp counts against that of the batch that comes, not against the clock.
func TestRollBySegmentMsGoesByTheFirstBatchsTimestamp(t *testing.T) {
	r := newRule(t, func(c *LogConfig) { c.SegmentMs, c.TimestampAfterMaxMs = 1000, math.MaxInt64 })
	r.put(5000)
	r.put(9000) // 4000 later than the first
	r.segments(2)
	r.clk.Advance(time.Hour)
	r.put(10_000) // just 1000 later, whatever the clock says
	r.put(2)      // and older ones never
	r.segments(2)
	r.put(10_001)
	r.segments(3)
	r.set(func(c *LogConfig) { c.SegmentMs = math.MaxInt64 })
	r.put(1 << 50)
	r.segments(3)
	r.set(func(c *LogConfig) { c.SegmentMs = 10 })
	r.put(1 << 51)
	r.segments(4)
}

// After a restart the first batch still tells.
func TestRollBySegmentMsSurvivesARestart(t *testing.T) {
	r := newRule(t, func(c *LogConfig) { c.SegmentMs = 1000 })
	r.put(5000)
	r.put(5500)
	if err := r.l.Close(true); err != nil {
		t.Fatal(err)
	}
	r.l = testLog(t, r.m, r.clk, r.l.Config(), func(o *LogOptions) { o.Clean = true })
	r.put(6000)
	r.segments(1)
	r.put(6001)
	r.segments(2)
}

// Records without timestamps leave the clock to go by, from when the segment was made.
func TestRollBySegmentMsWithoutTimestamps(t *testing.T) {
	r := newRule(t, func(c *LogConfig) { c.SegmentMs = 1000 })
	r.put(record.NoTimestamp)
	r.clk.Advance(time.Second)
	r.put(record.NoTimestamp)
	r.segments(1)
	r.clk.Advance(time.Millisecond)
	r.put(record.NoTimestamp)
	r.segments(2)
}

// An empty segment is not followed by another, however old it is.
func TestAnEmptySegmentIsNotRolled(t *testing.T) {
	r := newRule(t, func(c *LogConfig) { c.SegmentMs, c.SegmentBytes = 1, 100 })
	r.clk.Advance(time.Hour)
	r.put()
	r.segments(1)
	if err := r.l.Roll(); err != nil {
		t.Fatal(err)
	}
	if err := r.l.Roll(); err != nil {
		t.Fatal(err)
	}
	r.segments(2)
}

// With segment.jitter.ms segments end earlier, by a part of it that differs between logs, and never more than segment.ms.
func TestRollBySegmentMsWithJitter(t *testing.T) {
	ends := map[int64]bool{}
	for i := range 20 {
		m := vfs.NewMem()
		cfg := DefaultLogConfig()
		cfg.SegmentMs, cfg.SegmentJitterMs = 1000, 400
		l := testLog(t, m, newTestClock(), cfg, func(o *LogOptions) { o.Dir = fmt.Sprintf("/d/t-%d", i) })
		at := int64(0)
		for ; l.NumSegments() == 1; at += 10 {
			mustAppend(t, l, values(5000+at, "v"))
		}
		if at < 600 || at > 1020 {
			t.Fatal("rolled after", at)
		}
		ends[at] = true
	}
	if len(ends) < 5 {
		t.Fatal("all end together", ends)
	}
	r := newRule(t, func(c *LogConfig) { c.SegmentMs, c.SegmentJitterMs = 1000, math.MaxInt64 })
	for range 10 {
		r.put(5000) // a jitter beyond the time itself does not roll at each record
	}
	r.set(func(c *LogConfig) { c.SegmentMs = 1 })
	for range 10 {
		r.put(5000)
	}
	r.segments(1)
}

// segment.index.bytes bounds both indexes, the time index with the entry that comes when its segment ends.
func TestRollByAFullIndex(t *testing.T) {
	r := newRule(t, func(c *LogConfig) { c.IndexIntervalBytes, c.IndexBytes = 0, 10*timeEntryBytes })
	for i := range 300 {
		r.put(int64(5000 + i)) // an entry in each index, but for the first
	}
	if n := r.l.NumSegments(); n < 20 {
		t.Fatalf("%d segments", n)
	}
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		for _, name := range filesOf(t, r.m, "/d/t-0", suffix) {
			b, err := vfs.ReadFile(r.m, name)
			if err != nil || len(b) > 10*timeEntryBytes {
				t.Errorf("%s has %d bytes: %v", name, len(b), err)
			}
		}
	}
	n := r.l.NumSegments()
	r.set(func(c *LogConfig) { c.IndexBytes = 1 << 20 })
	for i := range 300 {
		r.put(int64(9000 + i))
	}
	r.segments(n)
}

// The index tells offsets relative to the segment's in 31 bits.
func TestRollByAnOffsetThatTheIndexCannotTell(t *testing.T) {
	at := func(base int64) record.Batch {
		b := values(5000, "v")
		b.SetBaseOffset(base)
		return b
	}
	r := newRule(t, func(*LogConfig) {})
	for i, step := range []struct {
		batches  []byte
		segments int
		end      int64
	}{
		{at(0), 1, 1},
		{at(math.MaxInt32), 1, 1 + math.MaxInt32},
		{at(1 + math.MaxInt32), 2, 2 + math.MaxInt32},
		// Two that cannot lie in one segment: the first is taken, the second comes with the next fetch.
		{append(at(1<<33), at(1<<34)...), 3, 1<<33 + 1},
		{at(1 << 34), 4, 1<<34 + 1},
	} {
		if _, err := r.l.AppendAsFollower(step.batches, 1); err != nil || r.l.LogEndOffset() != step.end {
			t.Fatal(i, err, r.l.LogEndOffset())
		}
		r.segments(step.segments)
	}
	for _, s := range r.l.segments {
		if s.maxTsOffset-s.base > math.MaxInt32 {
			t.Fatal(s.base, s.maxTsOffset)
		}
	}
}

// What must be compacted in time must be closed in time.
func TestRollByMaxCompactionLag(t *testing.T) {
	r := newRule(t, func(c *LogConfig) { c.Compact, c.Delete, c.MaxCompactionLagMs = true, false, 1000 })
	r.put(5000)
	r.put(6001)
	r.segments(2)
	r.set(func(c *LogConfig) { c.Compact, c.Delete = false, true })
	r.put(9000)
	r.segments(2)
}

// The largest timestamp of a segment counts, wherever in it; a file's own time where records have none.
func TestRetentionByTheLargestTimestamp(t *testing.T) {
	r := newRule(t, func(c *LogConfig) { c.RetentionMs, c.TimestampAfterMaxMs = 10_000, math.MaxInt64 })
	now := r.now()
	r.put(now - 50_000)
	r.put(now - 10_000) // holds its segment
	r.put(now - 90_000)
	_ = r.l.Roll()
	r.put(now - 60_000) // is behind what is held
	_ = r.l.Roll()
	r.put(now)
	r.deletes(0)
	r.clk.Advance(time.Millisecond)
	r.deletes(4)
	r.set(func(c *LogConfig) { c.RetentionMs = -1 })
	r.clk.Advance(1000 * time.Hour)
	r.deletes(4)
	r.set(func(c *LogConfig) { c.RetentionMs = 1 })
	r.deletes(5) // the active segment too: another is begun
	r.segments(1)
	r.put(record.NoTimestamp)
	_ = r.l.Roll()
	r.put(r.now())
	// The files of this file system bear the time of this machine, which is long after the clock's.
	r.deletes(5)
}

// A record that claims to come from the future keeps its segment, and those behind it, until then.
func TestRetentionOfATimestampInTheFuture(t *testing.T) {
	r := newRule(t, func(c *LogConfig) { c.RetentionMs, c.TimestampAfterMaxMs = 10_000, math.MaxInt64 })
	r.put(r.now() + 3_600_000)
	_ = r.l.Roll()
	r.put()
	r.clk.Advance(time.Hour)
	r.deletes(0)
	r.clk.Advance(10*time.Second + time.Millisecond)
	r.deletes(2)
}

// As many segments go as leave no less than retention.bytes.
func TestRetentionByBytes(t *testing.T) {
	size := int64(len(values(1, "value")))
	r := newRule(t, func(c *LogConfig) { c.SegmentBytes = int(2 * size) })
	for range 10 {
		r.put()
	}
	for _, step := range []struct{ bytes, start int64 }{{10 * size, 0}, {8*size + 1, 0}, {8 * size, 2}, {4*size + 1, 4}, {-1, 4}, {3 * size, 6}, {0, 10}} {
		r.set(func(c *LogConfig) { c.RetentionBytes = step.bytes })
		r.deletes(step.start)
	}
}

// Nothing goes that is not committed.
func TestRetentionStopsAtTheHighWatermark(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	cfg := DefaultLogConfig()
	cfg.RetentionBytes, cfg.SegmentBytes = 0, 100
	mgr := openManager(t, m, newTestClock(), cfg)
	defer func() { _ = mgr.Close(true) }()
	l := mustCreate(t, mgr, testTP, 0)
	for range 10 {
		mustAppend(t, l, values(1, "value"))
	}
	l.SetHighWatermark(4)
	if _, err := l.DeleteOldSegments(); err != nil || l.LogStartOffset() != 4 {
		t.Fatal(l.LogStartOffset(), err)
	}
}

// Segments below the log's start go whatever the policy is; the segment that holds it stays.
func TestRetentionByLogStart(t *testing.T) {
	for _, compact := range []bool{false, true} {
		size := len(values(1, "value"))
		r := newRule(t, func(c *LogConfig) { c.SegmentBytes, c.Compact, c.Delete, c.RetentionMs = 2*size, compact, !compact, -1 })
		for range 10 {
			r.put()
		}
		if err := r.l.AdvanceLogStartOffset(5); err != nil {
			t.Fatal(err)
		}
		r.deletes(5)
		r.segments(3)
		if err := r.l.AdvanceLogStartOffset(10); err != nil {
			t.Fatal(err)
		}
		r.deletes(10)
		r.segments(1)
		r.put()
		if got := readFrom(t, r.l, 10); len(got) != 1 {
			t.Fatal(got)
		}
	}
}

// cleanup.policy=compact keeps what retention would delete; with delete beside it, both hold.
func TestRetentionByPolicy(t *testing.T) {
	size := int64(len(values(1, "value")))
	r := newRule(t, func(c *LogConfig) {
		c.SegmentBytes, c.Compact, c.Delete, c.RetentionMs, c.RetentionBytes = int(2*size), true, false, 1000, 4*size
	})
	for range 10 {
		r.put()
	}
	r.clk.Advance(time.Hour)
	r.deletes(0)
	r.set(func(c *LogConfig) { c.Delete, c.RetentionMs = true, -1 })
	r.deletes(6)
	r.set(func(c *LogConfig) { c.RetentionMs = 1000 })
	r.deletes(10)
}

// Deleted segments stay on the disk, under another name, for file.delete.delay.ms.
func TestFileDeleteDelay(t *testing.T) {
	r := newRule(t, func(c *LogConfig) { c.SegmentBytes, c.FileDeleteDelayMs, c.RetentionBytes = 100, 5000, 0 })
	gone := func(want bool) {
		t.Helper()
		if has := strings.Contains(files(t, r.m, "/d/t-0"), deletedSuffix); has == want {
			t.Fatal(files(t, r.m, "/d/t-0"))
		}
	}
	r.put()
	r.deletes(1)
	gone(false)
	r.clk.Advance(4999 * time.Millisecond)
	gone(false)
	r.clk.Advance(time.Millisecond)
	gone(true)
	r.set(func(c *LogConfig) { c.FileDeleteDelayMs = 0 })
	r.put()
	r.deletes(2)
	r.clk.Advance(0)
	gone(true)
}

// Timestamps too far from now are refused, on either side; where the broker stamps records the client's do not count.
func TestTimestampLimits(t *testing.T) {
	r := newRule(t, func(c *LogConfig) { c.TimestampBeforeMaxMs, c.TimestampAfterMaxMs = 1000, 2000 })
	try := func(delta int64, want error) {
		t.Helper()
		_, err := r.l.AppendAsLeader(values(r.now()+delta, "v"), 1, FromClient)
		if !errors.Is(err, want) {
			t.Errorf("%d ms from now: %v, want %v", delta, err, want)
		}
		if want != nil {
			var refused *InvalidRecordError
			if !errors.As(err, &refused) || len(refused.RecordErrors) != 1 || !strings.Contains(refused.RecordErrors[0].Message, "out of range") {
				t.Errorf("%d ms from now: %+v", delta, err)
			}
		}
	}
	try(-1000, nil)
	try(-1001, ErrInvalidTimestamp)
	try(2000, nil)
	try(2001, ErrInvalidTimestamp)
	r.set(func(c *LogConfig) { c.TimestampBeforeMaxMs = math.MaxInt64 })
	try(-1_000_000, nil)
	r.set(func(c *LogConfig) { c.TimestampAfterMaxMs = 0 })
	try(1, ErrInvalidTimestamp)
	try(0, nil)
	r.set(func(c *LogConfig) { c.TimestampAfterMaxMs = math.MaxInt64 })
	try(1<<50, nil)
	r.set(func(c *LogConfig) {
		c.TimestampType, c.TimestampBeforeMaxMs, c.TimestampAfterMaxMs = record.LogAppendTime, 0, 0
	})
	try(-1_000_000, nil)
	if _, err := r.l.AppendAsLeader(values(record.NoTimestamp, "v"), 1, FromClient); err != nil {
		t.Error("a record without a timestamp", err)
	}
}

// reserving is a file system that notes what is preallocated.
type reserving struct {
	vfs.FS
	sizes map[string]int64
	err   error
}

type reservingFile struct {
	vfs.File
	fs *reserving
}

func (r *reserving) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := r.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &reservingFile{f, r}, nil
}

func (f *reservingFile) Preallocate(size int64) error {
	if f.fs.err == nil {
		f.fs.sizes[f.Name()] = size
	}
	return f.fs.err
}

func (f *reservingFile) Truncate(size int64) error {
	delete(f.fs.sizes, f.Name())
	return f.File.Truncate(size)
}

// preallocate reserves a segment's whole room when it begins, and gives back what is left when it ends or the log closes.
func TestPreallocate(t *testing.T) {
	fsys := &reserving{FS: vfs.NewMem(), sizes: map[string]int64{}}
	cfg := DefaultLogConfig()
	cfg.SegmentBytes, cfg.Preallocate = 1000, true
	l := testLog(t, fsys, newTestClock(), cfg)
	want := func(base int64, others int) {
		t.Helper()
		if fsys.sizes[l.dir+"/"+segmentName(base)+logSuffix] != 1000 || len(fsys.sizes) != others+1 {
			t.Fatal(fsys.sizes)
		}
	}
	want(0, 0)
	mustAppend(t, l, values(1, "v"))
	if err := l.Roll(); err != nil {
		t.Fatal(err)
	}
	want(1, 0)
	mustAppend(t, l, values(1, "v"))
	if err := l.Close(true); err != nil || len(fsys.sizes) != 0 {
		t.Fatal(err, fsys.sizes)
	}
	cfg.Preallocate = false
	l = testLog(t, fsys, newTestClock(), cfg, func(o *LogOptions) { o.Clean = true })
	_ = l.Roll()
	if len(fsys.sizes) != 0 || len(readFrom(t, l, 0)) != 2 {
		t.Fatal(fsys.sizes)
	}
	cfg.Preallocate = true
	l.SetConfig(cfg)
	fsys.err = errors.New("no room for it")
	mustAppend(t, l, values(1, "v"))
	if err := l.Roll(); err != nil {
		t.Fatal("without the room the file grows as it is written", err)
	}
}

// Kafka's preallocated segments seem whole until they are closed in order: after a kill zeros follow the records.
func TestZerosBehindTheRecordsAreCutOff(t *testing.T) {
	for _, empty := range []bool{false, true} {
		m := vfs.NewMem()
		l := testLog(t, m, newTestClock(), DefaultLogConfig())
		n := 0
		if !empty {
			for ; n < 10; n++ {
				mustAppend(t, l, values(1, "value"))
			}
		}
		if err := l.Close(false); err != nil {
			t.Fatal(err)
		}
		f, err := m.OpenFile("/d/t-0/"+segmentName(0)+logSuffix, 2, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Truncate(5<<20), f.Close()); err != nil {
			t.Fatal(err)
		}
		l = testLog(t, m, newTestClock(), DefaultLogConfig())
		if got := readFrom(t, l, 0); len(got) != n || l.LogEndOffset() != int64(n) || strings.Contains(files(t, m, "/d/t-0"), damagedSuffix) {
			t.Fatal(len(got), l.LogEndOffset(), files(t, m, "/d/t-0"))
		}
		mustAppend(t, l, values(1, "on"))
		if got := readFrom(t, l, 0); len(got) != n+1 {
			t.Fatal(len(got))
		}
	}
}
