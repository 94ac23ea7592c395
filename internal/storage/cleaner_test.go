package storage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// compactConfig rolls often and asks for compaction at every chance.
func compactConfig() LogConfig {
	c := smallConfig()
	c.Delete, c.Compact = false, true
	c.MinCleanableDirtyRatio = 0
	c.DeleteRetentionMs = 60_000
	return c
}

// compacted is a compacted partition in a manager.
type compacted struct {
	t   tb
	fs  *vfs.Mem
	clk *clock.Fake
	m   *Manager
	l   *Log
}

func newCompacted(t tb, cfg LogConfig, change ...func(*ManagerOptions)) *compacted {
	t.Helper()
	x := &compacted{t: t, fs: vfs.NewMem(), clk: newTestClock()}
	format(t, x.fs, "/d")
	x.m = openManager(t, x.fs, x.clk, cfg, change...)
	var err error
	if x.l, err = x.m.CreateLog(testTP, testID, cfg, [16]byte{}); err != nil {
		t.Fatal(err)
	}
	return x
}

// batch makes a batch of "key=value" records, "key" for a tombstone, "=value" for one without a key.
func keyed(o record.BuilderOptions, ts int64, records ...string) record.Batch {
	b := record.NewBuilder(o)
	for i, r := range records {
		k, v, ok := strings.Cut(r, "=")
		key, value := []byte(k), []byte(v)
		if k == "" {
			key = nil
		}
		if !ok {
			value = nil
		}
		b.Append(ts+int64(i), key, value, []record.Header{{Key: "h", Value: []byte("of " + r)}})
	}
	return b.Build()
}

func (x *compacted) append(b record.Batch) {
	x.t.Helper()
	if _, err := x.l.AppendAsLeader(b, 1, FromCoordinator); err != nil {
		x.t.Fatal(err)
	}
	x.l.SetHighWatermark(x.l.LogEndOffset())
}

func (x *compacted) put(records ...string) {
	x.t.Helper()
	x.append(keyed(record.BuilderOptions{}, x.clk.Now().UnixMilli(), records...))
}

func (x *compacted) putAs(o record.BuilderOptions, records ...string) {
	x.t.Helper()
	o.HasProducer = true
	x.append(keyed(o, x.clk.Now().UnixMilli(), records...))
}

func (x *compacted) end(pid int64, commit bool) {
	x.t.Helper()
	x.append(record.EndTxnBatch(pid, 0, x.clk.Now().UnixMilli(), record.EndTxnMarker{Commit: commit}))
}

func (x *compacted) roll() {
	x.t.Helper()
	if err := x.l.Roll(); err != nil {
		x.t.Fatal(err)
	}
}

// clean cleans everything that is closed, whatever the ratio.
func (x *compacted) clean() {
	x.t.Helper()
	if !cleanNow(x.t, x.m, x.l) {
		x.t.Fatal("the log was not cleaned:", x.m.cleaner.uncleanable[x.l])
	}
}

func cleanNow(t tb, m *Manager, l *Log) bool {
	t.Helper()
	to, known := m.dirOf(l).cleanedTo(l.tp)
	d, err := l.inspect(to, known, m.cleaner.nowMs())
	if err != nil {
		t.Fatal(err)
	}
	return m.cleaner.cleanLog(0, d)
}

// batches tells what is in the log: a line a batch.
func (x *compacted) batches() string { return describe(x.t, x.l) }

func describe(t tb, l *Log) string {
	t.Helper()
	var out []string
	for at := l.LogStartOffset(); at < l.LogEndOffset(); {
		s, err := l.Read(at, 1<<20, l.LogEndOffset(), true)
		if err != nil {
			t.Fatal(err)
		}
		data, err := s.Bytes()
		s.Release()
		if err != nil {
			t.Fatal(err)
		}
		if s.Len == 0 {
			break
		}
		at = s.NextOffset
		eachBatch(t, data, func(b record.Batch) {
			line := fmt.Sprintf("%d-%d", b.BaseOffset(), b.LastOffset())
			if b.IsControl() {
				line += " marker"
			}
			if h, ok := b.DeleteHorizonMs(); ok {
				line += fmt.Sprintf(" until +%ds", (h-epochStart.UnixMilli())/1000)
			}
			n := 0
			err := b.ForEach(func(r record.Record) error {
				n++
				if b.IsControl() {
					return nil
				}
				if r.Value == nil {
					line += fmt.Sprintf(" %d:%s", r.Offset, r.Key)
				} else {
					line += fmt.Sprintf(" %d:%s=%s", r.Offset, r.Key, r.Value)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				line += " empty"
			}
			out = append(out, line)
		})
	}
	return strings.Join(out, "\n")
}

func (x *compacted) expect(when string, lines ...string) {
	x.t.Helper()
	if got, want := x.batches(), strings.Join(lines, "\n"); got != want {
		x.t.Fatalf("%s:\n%s\nnot\n%s", when, got, want)
	}
}

func TestTheLastValueOfEachKeyStays(t *testing.T) {
	for _, codec := range []record.Codec{record.None, record.Gzip, record.Snappy, record.LZ4, record.Zstd} {
		x := newCompacted(t, compactConfig())
		put := func(records ...string) {
			x.append(keyed(record.BuilderOptions{Codec: codec}, x.clk.Now().UnixMilli(), records...))
		}
		put("a=1", "b=1", "c=1")
		put("a=2", "d=1")
		x.roll()
		put("b=2", "a=3")
		put("e=1")
		x.roll()
		put("a=4")
		before := x.l.NumSegments()
		x.clean()
		x.expect(codec.String(), "0-2 2:c=1", "3-4 4:d=1", "5-6 5:b=2 6:a=3", "7-7 7:e=1", "8-8 8:a=4")
		if x.l.NumSegments() >= before {
			t.Errorf("%d segments of %d are left", x.l.NumSegments(), before)
		}
		if to, _ := x.m.dirs[0].cleanedTo(testTP); to != 8 {
			t.Errorf("the checkpoint says %d", to)
		}
		x.roll()
		x.clean()
		x.expect("again", "0-2 2:c=1", "3-4 4:d=1", "5-6 5:b=2", "7-7 7:e=1", "8-8 8:a=4")
	}
}

func TestATombstoneStaysUntilItsHorizon(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.put("a=1", "b=1")
	x.put("a", "c=1")
	x.put("d=1")
	x.roll()
	x.clean()
	x.expect("the first pass stamps", "0-1 1:b=1", "2-3 until +60s 2:a 3:c=1", "4-4 4:d=1")
	x.clk.Advance(59 * time.Second)
	x.put("d=2")
	x.roll()
	x.clean()
	x.expect("before the horizon", "0-1 1:b=1", "2-3 until +60s 2:a 3:c=1", "5-5 5:d=2")
	x.clk.Advance(time.Second)
	x.put("d=3")
	x.roll()
	x.clean()
	x.expect("after it", "0-1 1:b=1", "2-3 until +60s 3:c=1", "6-6 6:d=3")
	got := map[int64]int64{}
	s, err := x.l.Read(0, 1<<20, x.l.LogEndOffset(), true)
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.Bytes()
	s.Release()
	if err != nil {
		t.Fatal(err)
	}
	eachBatch(t, data, func(b record.Batch) {
		_ = b.ForEach(func(r record.Record) error {
			got[r.Offset] = r.TimestampMs - epochStart.UnixMilli()
			if want := "of " + string(r.Key) + "=" + string(r.Value); len(r.Headers) != 1 || string(r.Headers[0].Value) != want {
				t.Errorf("offset %d has headers %v", r.Offset, r.Headers)
			}
			return nil
		})
	})
	if got[1] != 1 || got[3] != 1 || got[6] != 60_000 {
		t.Errorf("timestamps have changed: %v", got)
	}
}

func TestTransactionsLeaveNothingButWhatWasCommitted(t *testing.T) {
	x := newCompacted(t, compactConfig())
	txn := func(pid int64, seq int32, records ...string) {
		x.putAs(record.BuilderOptions{ProducerID: pid, BaseSequence: seq, Transactional: true}, records...)
	}
	txn(1, 0, "a=committed") // 0
	txn(2, 0, "a=aborted")   // 1
	x.end(2, false)          // 2
	x.end(1, true)           // 3
	txn(2, 1, "b=aborted")   // 4
	x.end(2, false)          // 5
	txn(1, 1, "c=1")         // 6
	x.end(1, true)           // 7
	txn(3, 0, "z=1")         // 8
	x.end(3, true)           // 9
	x.roll()
	x.put("y=1")
	x.clean()
	// 4 holds the last sequence of producer 2, and ends as an empty batch.
	x.expect("first pass", "0-0 0:a=committed", "2-2 marker", "3-3 marker", "4-4 empty", "5-5 marker", "6-6 6:c=1", "7-7 marker", "8-8 8:z=1", "9-9 marker", "10-10 10:y=1")
	if txns, err := x.l.AbortedTxns(0, 100); err != nil || len(txns) != 2 {
		t.Fatal(txns, err)
	}
	x.put("a=2", "c=2", "z=2")
	x.roll()
	x.put("x=1")
	x.clean()
	x.expect("second pass", "2-2 marker until +60s", "3-3 marker", "4-4 empty", "5-5 marker", "6-6 empty", "7-7 marker", "8-8 empty", "9-9 marker",
		"10-10 10:y=1", "11-13 11:a=2 12:c=2 13:z=2", "14-14 14:x=1")
	if txns, err := x.l.AbortedTxns(0, 100); err != nil || len(txns) != 1 {
		t.Fatal(txns, err)
	}
	x.l.ExpireProducers(1 << 62) // now their last sequences are of no use
	x.clk.Advance(time.Minute)
	x.roll()
	x.clean()
	x.expect("third pass", "3-3 marker until +120s", "5-5 marker", "7-7 marker", "9-9 marker", "10-10 10:y=1", "11-13 11:a=2 12:c=2 13:z=2", "14-14 14:x=1")
	x.put("w=1")
	x.roll()
	x.clk.Advance(time.Minute)
	x.clean()
	x.put("v=1")
	x.roll()
	x.clk.Advance(time.Minute)
	x.clean()
	x.expect("at last", "10-10 10:y=1", "11-13 11:a=2 12:c=2 13:z=2", "14-14 14:x=1", "15-15 15:w=1", "16-16 16:v=1")
	if txns, err := x.l.AbortedTxns(0, 100); err != nil || len(txns) != 0 {
		t.Fatal(txns, err)
	}
}

func TestWhatIsNotDecidedIsNotTouched(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.put("a=1")
	x.put("a=2")
	x.roll()
	x.putAs(record.BuilderOptions{ProducerID: 1, Transactional: true}, "a=perhaps")
	x.put("b=1")
	x.put("b=2")
	x.roll()
	x.put("b=3")
	x.roll()
	x.put("b=4")
	x.clean()
	x.expect("", "1-1 1:a=2", "2-2 2:a=perhaps", "3-3 3:b=1", "4-4 4:b=2", "5-5 5:b=3", "6-6 6:b=4")
	x.end(1, false)
	x.roll()
	x.clean()
	x.expect("", "1-1 1:a=2", "2-2 empty", "6-6 6:b=4", "7-7 marker")
}

func TestNothingAboveTheHighWatermarkIsCleaned(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.put("a=1")
	x.put("a=2")
	x.roll()
	x.put("a=3")
	x.put("a=4")
	x.roll()
	x.put("a=5")
	x.l.SetHighWatermark(3)
	x.clean()
	x.expect("", "1-1 1:a=2", "2-2 2:a=3", "3-3 3:a=4", "4-4 4:a=5")
}

func TestRecordsWithoutAKeyGo(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.put("=old", "a=1")
	x.put("=old")
	x.put("b=1")
	x.roll()
	x.clean()
	x.expect("", "0-1 1:a=1", "3-3 3:b=1")
}

func TestTheLastSequenceOfAProducerStays(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.putAs(record.BuilderOptions{ProducerID: 1, BaseSequence: 0}, "a=1", "b=1")
	x.putAs(record.BuilderOptions{ProducerID: 1, BaseSequence: 2}, "a=2", "b=2")
	x.put("a=3", "b=3")
	x.roll()
	x.clean()
	x.expect("", "2-3 empty", "4-5 4:a=3 5:b=3")
	if err := x.m.Close(true); err != nil {
		t.Fatal(err)
	}
	// Even without any snapshot the producer goes on with its next sequence.
	for _, f := range strings.Fields(files(t, x.fs, "/d/t-0")) {
		if strings.HasSuffix(f, snapshotSuffix) {
			if err := x.fs.Remove("/d/t-0/" + f); err != nil {
				t.Fatal(err)
			}
		}
	}
	x.m = openManager(t, x.fs, x.clk, compactConfig())
	x.l = x.m.Log(testTP)
	if _, err := x.l.AppendAsLeader(keyed(record.BuilderOptions{HasProducer: true, ProducerID: 1, BaseSequence: 3}, 1, "a=9"), 1, FromClient); err == nil {
		t.Fatal("a sequence that was not expected is taken")
	}
	info, err := x.l.AppendAsLeader(keyed(record.BuilderOptions{HasProducer: true, ProducerID: 1, BaseSequence: 2}, 1, "a=2", "b=2"), 1, FromClient)
	if err != nil || !info.Duplicate || info.FirstOffset != 2 {
		t.Fatalf("a batch that came again: %+v %v", info, err)
	}
}

func TestAMapThatIsFullEndsThePassEarly(t *testing.T) {
	x := newCompacted(t, compactConfig(), func(o *ManagerOptions) {
		o.Cleaner = DefaultCleanerConfig()
		o.Cleaner.DedupeBufferBytes = 20 * keySlotBytes
		o.Cleaner.IOBufferLoadFactor = 0.5
	})
	for i := range 25 {
		x.put(fmt.Sprintf("k%d=1", i), fmt.Sprintf("k%d=2", i))
	}
	x.roll()
	passes := 0
	for to := int64(0); to < 50; passes++ {
		x.clean()
		now, _ := x.m.dirs[0].cleanedTo(testTP)
		if now <= to {
			t.Fatalf("pass %d ends at %d after %d", passes, now, to)
		}
		to = now
	}
	if passes != 3 {
		t.Errorf("%d passes", passes)
	}
	if got := readFrom(t, x.l, 0); len(got) != 25 {
		t.Fatal(got)
	}
}

func TestWhatIsTooYoungWaits(t *testing.T) {
	cfg := compactConfig()
	cfg.MinCompactionLagMs = 10_000
	x := newCompacted(t, cfg)
	x.put("a=1", "a=2")
	x.roll()
	x.clk.Advance(5 * time.Second)
	x.put("a=3", "a=4")
	x.roll()
	x.clk.Advance(6 * time.Second)
	x.clean()
	x.expect("", "0-1 1:a=2", "2-3 2:a=3 3:a=4")
}

func TestTheDirtiestLogIsNext(t *testing.T) {
	cfg := compactConfig()
	cfg.MinCleanableDirtyRatio = 0.5
	x := newCompacted(t, cfg)
	other, err := x.m.CreateLog(TopicPartition{"u", 0}, [16]byte{2}, cfg, [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	third, err := x.m.CreateLog(TopicPartition{"v", 0}, [16]byte{3}, DefaultLogConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	fill := func(l *Log, n int) {
		for i := range n {
			if _, err := l.AppendAsLeader(keyed(record.BuilderOptions{}, 1, fmt.Sprintf("k%d=1", i)), 1, FromClient); err != nil {
				t.Fatal(err)
			}
		}
		l.SetHighWatermark(l.LogEndOffset())
		if err := l.Roll(); err != nil {
			t.Fatal(err)
		}
	}
	fill(third, 10) // is not compacted
	fill(other, 10)
	cleanNow(t, x.m, other)
	fill(other, 2) // a small part is dirty
	if d, ok := x.m.cleaner.filthiest(); ok {
		t.Fatalf("%s is not worth it, ratio %v", d.l.tp, d.ratio())
	}
	fill(x.l, 10)
	if d, ok := x.m.cleaner.filthiest(); !ok || d.l != x.l || d.ratio() != 1 {
		t.Fatalf("%+v %v", d, ok)
	}
	if d, ok := x.m.cleaner.filthiest(); ok {
		t.Fatalf("%s is taken, the other is in work", d.l.tp)
	}
	cfg.MaxCompactionLagMs = 1000
	other.SetConfig(cfg) // its records were stamped long ago
	if d, ok := x.m.cleaner.filthiest(); !ok || d.l != other || d.delayMs <= 0 {
		t.Fatalf("%+v %v", d, ok)
	}
	if m := x.m.CleanerMetrics(); m.MaxCompactionDelaySecs <= 0 {
		t.Errorf("%+v", m)
	}
}

func TestTheCleanerWorksByItself(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.put("a=1")
	x.put("a=2")
	x.roll()
	x.clk.Advance(time.Minute)
	x.expect("nobody has started it", "0-0 0:a=1", "1-1 1:a=2")
	x.m.StartCleaner()
	x.clk.Advance(16 * time.Second)
	x.expect("", "1-1 1:a=2")
	if m := x.m.CleanerMetrics(); m.RecopyPercent <= 0 || m.RecopyPercent >= 100 || m.Uncleanable["/d"].Partitions != 0 {
		t.Errorf("%+v", m)
	}
	cfg := DefaultCleanerConfig()
	cfg.Threads, cfg.BackoffMs = 0, 100
	x.m.SetCleanerConfig(cfg)
	x.put("a=3")
	x.roll()
	x.clk.Advance(time.Minute)
	x.expect("without a thread", "1-1 1:a=2", "2-2 2:a=3")
	cfg.Threads = 2
	x.m.SetCleanerConfig(cfg)
	x.clk.Advance(time.Second)
	x.expect("with two", "2-2 2:a=3")
	if err := x.m.Close(true); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedLogIsLeftAlone(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.put("a=1", "b=1")
	x.put("a=2")
	x.roll()
	x.put("c=1")
	s, err := x.l.Read(0, 1, 2, true)
	if err != nil {
		t.Fatal(err)
	}
	var one [1]byte
	if _, err := s.File.ReadAt(one[:], s.Pos+70); err != nil {
		t.Fatal(err)
	}
	one[0] ^= 1
	if _, err := s.File.WriteAt(one[:], s.Pos+70); err != nil {
		t.Fatal(err)
	}
	s.Release()
	before := x.l.Size()
	if cleanNow(t, x.m, x.l) {
		t.Fatal("a damaged batch was cleaned")
	}
	if _, ok := x.m.cleaner.filthiest(); ok {
		t.Fatal("it is tried again")
	}
	if err := x.m.cleaner.uncleanable[x.l]; err == nil || !strings.Contains(err.Error(), "00000000000000000000.log at 0") {
		t.Fatal(err)
	}
	if u := x.m.CleanerMetrics().Uncleanable["/d"]; u.Partitions != 1 || u.Bytes == 0 {
		t.Errorf("%+v", u)
	}
	if f := files(t, x.fs, "/d/t-0"); x.l.Size() != before || strings.Contains(f, cleanedSuffix) {
		t.Errorf("the log had %d bytes, has %d, and its files are\n%s", before, x.l.Size(), f)
	}
}

func TestTheCheckpointFollowsTheLog(t *testing.T) {
	x := newCompacted(t, compactConfig())
	for range 3 {
		x.put("a=1", "b=1")
		x.put("a=2")
		x.roll()
	}
	x.clean()
	note := func() int64 {
		offsets, err := ReadOffsetCheckpoint(x.fs, "/d/"+cleanerFile)
		if err != nil {
			t.Fatal(err)
		}
		to, ok := offsets[testTP]
		if !ok {
			return -1
		}
		return to
	}
	if note() != 9 {
		t.Fatal(note())
	}
	if err := x.l.TruncateTo(7); err != nil {
		t.Fatal(err)
	}
	end := x.l.LogEndOffset()
	if note() != end || end > 7 {
		t.Fatal(note(), end)
	}
	if err := x.m.Close(true); err != nil {
		t.Fatal(err)
	}
	x.m = openManager(t, x.fs, x.clk, compactConfig())
	x.l = x.m.Log(testTP)
	if x.l.LogEndOffset() != end {
		t.Fatalf("the log ended at %d and ends at %d", end, x.l.LogEndOffset())
	}
	if to, known := x.m.dirs[0].cleanedTo(testTP); !known || to != end {
		t.Fatal(to, known)
	}
	if err := x.m.DeleteLog(testTP); err != nil {
		t.Fatal(err)
	}
	if _, err := x.m.CreateLog(testTP, [16]byte{9}, compactConfig(), [16]byte{}); err != nil {
		t.Fatal(err)
	}
	if note() != -1 {
		t.Fatal("a new log inherits the offset of a deleted one:", note())
	}
}

func TestABrokenLineOfTheCheckpointIsPassedOver(t *testing.T) {
	offsets, broken := parseCleaned("0\n4\nt 0 7\nt x 8\nu 1\nt 1 -3\n")
	if len(offsets) != 1 || offsets[testTP] != 7 || broken != 3 {
		t.Fatal(offsets, broken)
	}
	if offsets, _ := parseCleaned("7\n"); len(offsets) != 0 {
		t.Fatal(offsets)
	}
	if offsets, _ := parseCleaned(""); len(offsets) != 0 {
		t.Fatal(offsets)
	}
}

func TestAnOffsetThatTheLogDoesNotHaveIsCorrected(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.put("a=1")
	x.put("a=2")
	x.roll()
	if err := x.m.dirs[0].noteCleaned(x.l, 99, 0); err != nil {
		t.Fatal(err)
	}
	d, ok := x.m.cleaner.filthiest()
	if !ok || d.first != 0 {
		t.Fatalf("%+v %v", d, ok)
	}
	if to, _ := x.m.dirs[0].cleanedTo(testTP); to != 0 {
		t.Fatal(to)
	}
}

func TestACutDuringACleaningEndsIt(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.put("a=1")
	x.put("a=2")
	x.roll()
	x.put("a=3")
	x.roll()
	d, err := x.l.inspect(0, false, x.m.cleaner.nowMs())
	if err != nil {
		t.Fatal(err)
	}
	if err := x.l.TruncateTo(2); err != nil {
		t.Fatal(err)
	}
	if x.m.cleaner.cleanLog(0, d) || x.m.cleaner.uncleanable[x.l] != nil {
		t.Fatal("it went on", x.m.cleaner.uncleanable[x.l])
	}
	x.expect("", "0-0 0:a=1", "1-1 1:a=2")
	if f := files(t, x.fs, "/d/t-0"); strings.Contains(f, cleanedSuffix) {
		t.Fatal(f)
	}
}

func TestReadersMeetTheCleaner(t *testing.T) {
	x := newCompacted(t, compactConfig())
	for i := range 40 {
		x.put(fmt.Sprintf("k%d=%d", i%5, i))
	}
	x.roll()
	slice, err := x.l.Read(0, 1<<20, x.l.LogEndOffset(), true) // of a segment that is about to go
	if err != nil {
		t.Fatal(err)
	}
	x.clean()
	data, err := slice.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	eachBatch(t, data, func(record.Batch) {})
	slice.Release()
	for at := range x.l.LogEndOffset() {
		got := readFrom(t, x.l, at)
		for off := range got {
			if off < at {
				t.Fatalf("a read at %d gives %d", at, off)
			}
		}
		if len(got) != int(min(5, 40-at)) {
			t.Fatalf("a read at %d gives %v", at, got)
		}
	}
	found, ok, err := x.l.OffsetForTimestamp(0)
	if err != nil || !ok || found.Offset != 35 {
		t.Fatal(found, ok, err)
	}
}

func TestTheLargestTimestampOfAnEmptyBatchIsNotARecord(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.append(keyed(record.BuilderOptions{HasProducer: true, ProducerID: 1}, 5000, "a=1"))
	x.append(keyed(record.BuilderOptions{}, 1000, "a=2"))
	x.append(keyed(record.BuilderOptions{}, 900, "b=2"))
	x.roll()
	x.clean()
	x.expect("", "0-0 empty", "1-1 1:a=2", "2-2 2:b=2")
	found, ok, err := x.l.MaxTimestampOffset()
	if err != nil || !ok || found.Offset != 1 || found.TimestampMs != 1000 {
		t.Fatal(found, ok, err)
	}
	if found, ok, err := x.l.OffsetForTimestamp(2000); ok || err != nil {
		t.Fatal(found, ok, err)
	}
}

func TestTheModificationTimeStays(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.put("a=1")
	x.put("a=2")
	x.roll()
	long := epochStart.Add(-time.Hour)
	if err := x.fs.SetModTime("/d/t-0/"+segmentName(0)+".log", long); err != nil {
		t.Fatal(err)
	}
	x.clean()
	info, err := x.fs.Stat("/d/t-0/" + segmentName(0) + ".log")
	if err != nil || !info.ModTime().Equal(long) {
		t.Fatal(info.ModTime(), err)
	}
}

func TestALargeBatchMakesTheBufferGrow(t *testing.T) {
	cfg := compactConfig()
	cfg.SegmentBytes = 1 << 20
	x := newCompacted(t, cfg, func(o *ManagerOptions) {
		o.Cleaner = DefaultCleanerConfig()
		o.Cleaner.IOBufferBytes = 1
	})
	big := strings.Repeat("x", 100_000)
	x.put("a="+big, "b=1", "c="+big)
	x.put("a=1")
	x.roll()
	x.clean()
	x.expect("", "0-2 1:b=1 2:c="+big, "3-3 3:a=1")
}

func TestTheThrottleCountsAllBytes(t *testing.T) {
	clk := newTestClock()
	th := &throttle{clock: clk}
	th.setRate(1000)
	if w := th.pause(100); w != 0 {
		t.Fatal(w)
	}
	if w := th.pause(900); w != time.Second {
		t.Fatal(w)
	}
	clk.Advance(time.Second)
	if w := th.pause(100); w != 0 {
		t.Fatal(w)
	}
	clk.Advance(2 * time.Second)
	if w := th.pause(1000); w != 0 {
		t.Fatal(w)
	}
	stop := make(chan struct{})
	close(stop)
	th.took(1<<30, stop, nil) // ends at once
}

func TestATransactionIsUndecidedWhileItsMarkerCanBeCutOff(t *testing.T) {
	for _, stop := range []string{"orderly", "kill", "cut"} {
		x := newCompacted(t, compactConfig())
		x.put("a=1")
		x.putAs(record.BuilderOptions{ProducerID: 1, Transactional: true}, "a=perhaps")
		x.roll()
		x.end(1, false)
		x.roll() // a snapshot that knows of the end
		x.put("b=1")
		x.l.hw.Store(2) // as a follower knows it
		hw := map[TopicPartition]int64{testTP: 2}
		switch stop {
		case "orderly":
			if err := x.m.Close(true); err != nil {
				t.Fatal(err)
			}
			if err := WriteOffsetCheckpoint(x.fs, "/d/"+highWatermarkFile, hw); err != nil {
				t.Fatal(err)
			}
			x.m = openManager(t, x.fs, x.clk, compactConfig())
		case "kill":
			if err := WriteOffsetCheckpoint(x.fs, "/d/"+highWatermarkFile, hw); err != nil {
				t.Fatal(err)
			}
			x.m = openManager(t, x.fs.KillClone(), x.clk, compactConfig())
		case "cut":
			if err := x.l.TruncateTo(3); err != nil {
				t.Fatal(err)
			}
		}
		x.l = x.m.Log(testTP)
		if hw, stable := x.l.HighWatermark(), x.l.LastStableOffset(); hw != 2 || stable != 1 {
			t.Errorf("%s: the high watermark is %d, stable is %d", stop, hw, stable)
		}
		x.l.SetHighWatermark(x.l.LogEndOffset())
		if stable := x.l.LastStableOffset(); stable != x.l.LogEndOffset() {
			t.Errorf("%s: stable is %d of %d", stop, stable, x.l.LogEndOffset())
		}
	}
}
