package storage

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// format makes a log directory on an empty file system.
func format(t tb, fsys vfs.FS, dirs ...string) {
	t.Helper()
	for i, d := range dirs {
		if err := fsys.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := WriteMetaProperties(fsys, d, MetaProperties{ClusterID: "c", NodeID: 1, DirectoryID: [16]byte{byte(i + 1)}}); err != nil {
			t.Fatal(err)
		}
	}
}

func openManager(t tb, fsys vfs.FS, clk clock.Clock, cfg LogConfig, change ...func(*ManagerOptions)) *Manager {
	t.Helper()
	o := ManagerOptions{FS: fsys, Clock: clk, Logger: quiet(), Dirs: []string{"/d"}, ClusterID: "c", NodeID: 1, DefaultConfig: cfg,
		BootID: "boot", tornTailBytes: 64} // kills and power cuts within one boot, unless a test says otherwise
	for _, f := range change {
		f(&o)
	}
	m, err := OpenManager(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var testID = [16]byte{0xAB, 1}

// modelBatch is a batch as the model remembers it.
type modelBatch struct {
	base   int64
	epoch  int32
	ts     int64
	values []string
}

func (b modelBatch) end() int64 { return b.base + int64(len(b.values)) }

// machine holds a log beside a list of batches. The list also keeps what is below
// the log's start: a power cut may bring deleted segments back.
type machine struct {
	fs      *vfs.Mem
	clk     *clock.Fake
	cfg     LogConfig
	m       *Manager
	l       *Log
	batches []modelBatch
	start   int64
	cut     int64 // start offset as DeleteRecords was acknowledged
	epoch   int32
	serial  int
	trace   []string
}

func (x *machine) open(t tb) {
	x.m = openManager(t, x.fs, x.clk, x.cfg)
	var err error
	if x.l, err = x.m.CreateLog(testTP, testID, x.cfg, [16]byte{}); err != nil {
		t.Fatal(err)
	}
	x.l.SetHighWatermark(x.l.LogEndOffset())
}

func (x *machine) end() int64 {
	if len(x.batches) == 0 {
		return x.start
	}
	return x.batches[len(x.batches)-1].end()
}

func (x *machine) append(t *rapid.T) {
	seq := int32(0)
	for _, p := range x.l.ActiveProducers() {
		seq = record.AddSequence(p.LastSequence, 1)
	}
	x.clk.Advance(time.Duration(rapid.IntRange(0, 5000).Draw(t, "wait")) * time.Millisecond)
	b := modelBatch{base: x.end(), epoch: x.epoch, ts: x.clk.Now().UnixMilli() - int64(rapid.IntRange(0, 3000).Draw(t, "late"))}
	n := rapid.IntRange(1, 4).Draw(t, "records")
	for range n {
		x.serial++
		b.values = append(b.values, fmt.Sprintf("value %d %s", x.serial, bytes.Repeat([]byte("x"), rapid.IntRange(0, 60).Draw(t, "size"))))
	}
	o := record.BuilderOptions{Codec: rapid.SampledFrom([]record.Codec{record.None, record.LZ4}).Draw(t, "codec")}
	if rapid.Bool().Draw(t, "idempotent") {
		o.HasProducer, o.ProducerID, o.BaseSequence = true, 1, seq
		if len(x.l.ActiveProducers()) == 0 && x.end() == 0 {
			o.BaseSequence = 0
		}
	}
	info, err := x.l.AppendAsLeader(batchOf(o, b.ts, b.values...), x.epoch, FromClient)
	if err != nil || info.FirstOffset != b.base || info.LastOffset != b.end()-1 || info.Duplicate {
		x.fatalf(t, "append: %+v %v, expected [%d, %d)", info, err, b.base, b.end())
	}
	x.batches = append(x.batches, b)
	x.l.SetHighWatermark(x.l.LogEndOffset())
}

func (x *machine) flush(t *rapid.T) {
	if err := x.l.Flush(); err != nil || x.l.FlushedOffset() != x.end() {
		t.Fatal(x.l.FlushedOffset(), x.end(), err)
	}
}

func (x *machine) truncate(t *rapid.T) {
	at := rapid.Int64Range(x.start, x.end()).Draw(t, "at")
	if err := x.l.TruncateTo(at); err != nil {
		t.Fatal(err)
	}
	for len(x.batches) > 0 && x.batches[len(x.batches)-1].end() > at && at < x.batches[len(x.batches)-1].end() {
		x.batches = x.batches[:len(x.batches)-1]
	}
	if x.l.LogEndOffset() < x.start {
		x.start = x.l.LogEndOffset()
	}
	x.cut = min(x.cut, x.l.LogEndOffset())
	if len(x.batches) == 0 {
		x.start = x.l.LogStartOffset()
	}
	x.epoch++ // what follows is another leader's
}

func (x *machine) deleteRecords(t *rapid.T) {
	at := rapid.Int64Range(x.start, x.end()).Draw(t, "up to")
	if err := x.l.AdvanceLogStartOffset(at); err != nil {
		t.Fatal(err)
	}
	x.start, x.cut = max(x.start, at), max(x.cut, at)
	if err := x.l.AdvanceLogStartOffset(x.end() + 1); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatal(err)
	}
}

func (x *machine) retain(t *rapid.T) {
	cfg := x.cfg
	cfg.RetentionBytes = int64(rapid.IntRange(0, 3000).Draw(t, "retention bytes"))
	x.l.SetConfig(cfg)
	if _, err := x.l.DeleteOldSegments(); err != nil {
		t.Fatal(err)
	}
	x.l.SetConfig(x.cfg)
	if x.l.LogStartOffset() < x.start {
		x.fatalf(t, "retention moved the start from %d back to %d", x.start, x.l.LogStartOffset())
	}
	x.start = x.l.LogStartOffset()
}

func (x *machine) checkpoint(*rapid.T) {
	x.clk.Advance(61 * time.Second)
}

func (x *machine) restart(t *rapid.T) {
	before := sortedProducers(x.l)
	if err := x.m.Close(true); err != nil {
		t.Fatal(err)
	}
	mustBeSound(t, x.fs)
	x.open(t)
	x.sameProducers(t, before)
}

func (x *machine) kill(t *rapid.T) {
	before := sortedProducers(x.l)
	x.fs = x.fs.KillClone()
	_ = x.m.Close(false)
	mustBeSound(t, x.fs)
	x.open(t)
	x.sameProducers(t, before)
}

func sortedProducers(l *Log) []ProducerState {
	return slices.SortedFunc(slices.Values(l.ActiveProducers()), func(a, b ProducerState) int { return cmp.Compare(a.ProducerID, b.ProducerID) })
}

func (x *machine) sameProducers(t *rapid.T, before []ProducerState) {
	if diff := gocmp.Diff(before, sortedProducers(x.l)); diff != "" {
		x.fatalf(t, "the producer state changed: %s", diff)
	}
}

// powerCut loses what was not synced, or, torn, a part of it.
func (x *machine) powerCut(t *rapid.T) {
	synced := x.l.FlushedOffset()
	if rapid.Bool().Draw(t, "torn") {
		x.fs = x.fs.TornClone(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)))
	} else {
		x.fs = x.fs.CrashClone()
	}
	_ = x.m.Close(false)
	mustBeSound(t, x.fs)
	x.open(t)
	end := x.l.LogEndOffset()
	if end < synced {
		x.fatalf(t, "offsets up to %d were synced, the log ends at %d", synced, end)
	}
	for len(x.batches) > 0 && x.batches[len(x.batches)-1].end() > end {
		x.batches = x.batches[:len(x.batches)-1]
	}
	if x.end() != end && end > x.start {
		x.fatalf(t, "the log ends at %d, batches at %d", end, x.end())
	}
	if s := x.l.LogStartOffset(); s < x.cut {
		x.fatalf(t, "records were deleted up to %d, the log begins at %d again", x.cut, s)
	}
	x.start = x.l.LogStartOffset()
	if x.end() < x.start {
		x.batches = nil // all that was left is lost: the log begins anew where records had been deleted up to
	}
	x.epoch++
}

// check compares everything that can be asked.
func (x *machine) check(t *rapid.T) {
	if x.l.LogStartOffset() != x.start || x.l.LogEndOffset() != x.end() {
		x.fatalf(t, "log has [%d, %d), model [%d, %d)", x.l.LogStartOffset(), x.l.LogEndOffset(), x.start, x.end())
	}
	at := rapid.Int64Range(x.start, x.end()).Draw(t, "read at")
	got := readFrom(t, x.l, at)
	for _, b := range x.batches {
		for i, v := range b.values {
			if off := b.base + int64(i); off >= at && got[off] != v {
				x.fatalf(t, "offset %d is %q, not %q", off, got[off], v)
			}
		}
		if e, ok := x.l.EpochForOffset(b.base); b.base >= x.start && (!ok || e != b.epoch) {
			x.fatalf(t, "offset %d is of epoch %d, the log says %d", b.base, b.epoch, e)
		}
	}
	x.readSome(t, at, rapid.IntRange(1, 2000).Draw(t, "read bytes"))
	for off := range got {
		if off >= x.end() {
			x.fatalf(t, "offset %d should not be there", off)
		}
	}
	if len(x.batches) > 0 {
		ts := rapid.SampledFrom(x.batches).Draw(t, "timestamp").ts
		want, ok := x.firstAt(ts)
		found, fok, err := x.l.OffsetForTimestamp(ts)
		if err != nil || fok != ok || ok && found.Offset != want {
			x.fatalf(t, "timestamp %d: %+v %v %v, want %d %v", ts, found, fok, err, want, ok)
		}
	}
}

// readSome is one read of any size: whole batches, the first of which holds the offset, no more bytes than asked for but for that one.
func (x *machine) readSome(t *rapid.T, at int64, maxBytes int) {
	s, err := x.l.Read(at, maxBytes, x.l.LogEndOffset(), true)
	if err != nil {
		x.fatalf(t, "a read of %d bytes at %d: %v", maxBytes, at, err)
	}
	defer s.Release()
	b, err := s.Bytes()
	if err != nil {
		x.fatalf(t, "a read of %d bytes at %d: %v", maxBytes, at, err)
	}
	n, next := 0, at
	eachBatch(t, b, func(batch record.Batch) {
		if batch.LastOffset() < at || n > 0 && batch.BaseOffset() != next {
			x.fatalf(t, "a read at %d has the batch [%d, %d] where %d is next", at, batch.BaseOffset(), batch.LastOffset(), next)
		}
		n, next = n+1, batch.NextOffset()
	})
	if n > 1 && len(b) > maxBytes || n == 0 && at < x.end() || n > 0 && s.NextOffset != next {
		x.fatalf(t, "a read of %d bytes at %d has %d batches of %d bytes, and goes on at %d", maxBytes, at, n, len(b), s.NextOffset)
	}
}

func (x *machine) firstAt(ts int64) (int64, bool) {
	for _, b := range x.batches {
		for i := range b.values {
			if off := b.base + int64(i); off >= x.start && b.ts+int64(i) >= ts {
				return off, true
			}
		}
	}
	return 0, false
}

func TestLogAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := smallConfig()
		cfg.SegmentMs = 60_000
		x := &machine{fs: vfs.NewMem(), clk: newTestClock(), cfg: cfg, epoch: 1}
		format(t, x.fs, "/d")
		x.open(t)
		actions := map[string]func(*rapid.T){
			"append": x.append, "append2": x.append, "append3": x.append, "append4": x.append, "append5": x.append,
			"flush": x.flush, "truncate": x.truncate, "deleteRecords": x.deleteRecords, "retain": x.retain,
			"checkpoint": x.checkpoint, "restart": x.restart, "kill": x.kill, "powerCut": x.powerCut,
		}
		for name, do := range actions {
			actions[name] = func(t *rapid.T) {
				do(t)
				x.trace = append(x.trace, fmt.Sprintf("%s [%d, %d) synced %d epochs %v", name, x.l.LogStartOffset(), x.l.LogEndOffset(), x.l.FlushedOffset(), x.l.epochs.entries))
			}
		}
		actions[""] = x.check
		t.Repeat(actions)
		_ = x.m.Close(false)
	})
}

// fatalf ends the test with all that happened before.
func (x *machine) fatalf(t *rapid.T, format string, args ...any) {
	trace := slices.Clone(x.trace)
	for _, s := range x.l.segments {
		trace = append(trace, fmt.Sprintf("segment %d: %d bytes, index %v, time index %v, in memory %v", s.base, s.size, s.offsets, s.times, s.inMemory))
	}
	t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(trace, "\n"))
}
