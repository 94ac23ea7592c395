package storage

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// sent is a batch as it was appended.
type sent struct {
	base, last    int64
	pid           int64 // -1 for none
	seq           int32
	transactional bool
	control       bool
	commit        bool
	records       []sentRecord
}

type sentRecord struct {
	offset, ts int64
	key, value string // key "" for none
	tombstone  bool
	atMs       int64 // when it was appended
}

// history is all that was appended to a log, whatever became of it there.
type history struct {
	batches []sent
	anew    int64 // the log has begun anew at this offset
	// expired says of producers below which offset what they have sent may be forgotten.
	expired map[int64]int64
}

func (h *history) end() int64 {
	if len(h.batches) == 0 {
		return h.anew
	}
	return max(h.anew, h.batches[len(h.batches)-1].last+1)
}

// cut forgets what a log that ends at an offset cannot hold.
func (h *history) cut(end int64) {
	for len(h.batches) > 0 && h.batches[len(h.batches)-1].last >= end {
		h.batches = h.batches[:len(h.batches)-1]
	}
}

func (h *history) clone() *history {
	c := &history{batches: slices.Clone(h.batches), anew: h.anew, expired: map[int64]int64{}}
	for id, end := range h.expired {
		c.expired[id] = end
	}
	return c
}

// nextSeq is the sequence that a producer has to go on with.
func (h *history) nextSeq(pid int64) int32 {
	for _, b := range slices.Backward(h.batches) {
		if b.pid == pid && !b.control {
			return b.seq + int32(len(b.records))
		}
	}
	return 0
}

// isOpen says whether a producer has a transaction open.
func (h *history) isOpen(pid int64) bool {
	for _, b := range slices.Backward(h.batches) {
		if b.pid == pid {
			return b.transactional && !b.control
		}
	}
	return false
}

type fate int

const (
	committed fate = iota
	aborted
	undecided
)

// fateOf is what became of batch i.
func (h *history) fateOf(i int) fate {
	if !h.batches[i].transactional {
		return committed
	}
	for _, b := range h.batches[i+1:] {
		if b.control && b.pid == h.batches[i].pid {
			if b.commit {
				return committed
			}
			return aborted
		}
	}
	return undecided
}

// verify holds a log against its history. All from untouched on must be there.
func (h *history) verify(l *Log, untouched int64, nowMs, deleteRetentionMs int64) error {
	start, end := l.LogStartOffset(), l.LogEndOffset()
	present := map[int64]bool{}
	var dataBatches []record.Batch
	at := start
	for at < end {
		s, err := l.Read(at, 400, end, true)
		if err != nil {
			return err
		}
		data, err := s.Bytes()
		s.Release()
		if err != nil {
			return err
		}
		if s.Len == 0 {
			return fmt.Errorf("a read at %d gives nothing, the log ends at %d", at, end)
		}
		if s.NextOffset <= at {
			return fmt.Errorf("a read at %d goes on at %d", at, s.NextOffset)
		}
		at = s.NextOffset
		for len(data) > 0 {
			b, rest, err := record.Next(data)
			if err == nil {
				err = b.Validate()
			}
			if err == nil {
				err = h.same(b, present)
			}
			if err != nil {
				return err
			}
			if !b.IsControl() {
				dataBatches = append(dataBatches, b)
			}
			data = rest
		}
	}
	stable := l.LastStableOffset()
	txns, err := l.AbortedTxns(start, stable)
	if err != nil {
		return err
	}
	last := map[string]sentRecord{} // of each key, the last that is committed
	var lastSeq = map[int64]int32{}
	for i, b := range h.batches {
		if b.last >= end {
			break
		}
		if b.pid >= 0 && !b.control {
			delete(lastSeq, b.pid)
		}
		if b.pid >= 0 && !b.control && b.last >= max(start, h.expired[b.pid]) { // what is deleted may be forgotten too
			lastSeq[b.pid] = b.seq + int32(len(b.records)) - 1
		}
		f := h.fateOf(i)
		for _, r := range b.records {
			if r.offset >= untouched && r.offset >= start && !present[r.offset] {
				return fmt.Errorf("offset %d is gone, nothing from %d on may be touched", r.offset, untouched)
			}
			if f == committed && r.key != "" && b.last < stable {
				last[r.key] = r
			}
		}
	}
	// What a consumer of committed records sees.
	visible := map[string][]sentRecord{}
	for _, b := range dataBatches {
		i, _ := slices.BinarySearchFunc(h.batches, b.BaseOffset(), func(s sent, o int64) int { return compareOffsets(s.base, o) })
		hidden := b.LastOffset() >= stable || slices.ContainsFunc(txns, func(t AbortedTxn) bool {
			return b.IsTransactional() && t.ProducerID == b.ProducerID() && t.FirstOffset <= b.BaseOffset() && b.LastOffset() < t.LastOffset
		})
		for _, r := range h.batches[i].records {
			if hidden || !present[r.offset] || r.offset < start {
				continue
			}
			if h.fateOf(i) != committed {
				return fmt.Errorf("offset %d is shown, its transaction was not committed", r.offset)
			}
			if r.key != "" {
				visible[r.key] = append(visible[r.key], r)
			}
		}
	}
	for key, want := range last {
		seen := visible[key]
		if n := len(seen); n > 0 && seen[n-1].offset == want.offset {
			continue
		}
		switch {
		case want.offset < start:
		case !want.tombstone:
			return fmt.Errorf("the last value of %s, at offset %d, is gone; seen are %v", key, want.offset, seen)
		case len(seen) > 0:
			return fmt.Errorf("the tombstone of %s at %d is gone, and %v are there again", key, want.offset, seen)
		case nowMs < want.atMs+deleteRetentionMs:
			return fmt.Errorf("the tombstone of %s at %d is gone too early", key, want.offset)
		}
	}
	known := map[int64]int32{}
	for _, p := range l.ActiveProducers() {
		known[p.ProducerID] = p.LastSequence
	}
	for pid, seq := range lastSeq {
		if got, ok := known[pid]; !ok || got != seq {
			return fmt.Errorf("the last sequence of producer %d is %d, the log knows %d (%v)", pid, seq, got, ok)
		}
	}
	return nil
}

// same compares a batch with what was appended.
func (h *history) same(b record.Batch, present map[int64]bool) error {
	i, ok := slices.BinarySearchFunc(h.batches, b.BaseOffset(), func(s sent, o int64) int { return compareOffsets(s.base, o) })
	if !ok {
		return fmt.Errorf("a batch begins at offset %d, none did", b.BaseOffset())
	}
	was := h.batches[i]
	if b.LastOffset() != was.last || b.ProducerID() != was.pid || b.IsControl() != was.control || b.IsTransactional() != was.transactional ||
		was.pid >= 0 && !was.control && b.BaseSequence() != was.seq {
		return fmt.Errorf("the batch at %d is not the one that was appended: %+v", b.BaseOffset(), was)
	}
	return b.ForEach(func(r record.Record) error {
		if was.control {
			return nil
		}
		x := was.records[r.Offset-was.base]
		if string(r.Key) != x.key || string(r.Value) != x.value || (r.Value == nil) != x.tombstone || r.TimestampMs != x.ts || len(r.Headers) != 1 {
			return fmt.Errorf("offset %d is %q=%q at %d, not %+v", r.Offset, r.Key, r.Value, r.TimestampMs, x)
		}
		present[r.Offset] = true
		return nil
	})
}

// source of the random choices of a compactor.
type chooser interface{ upTo(n int, label string) int }

type rapidChooser struct{ t *rapid.T }

func (c rapidChooser) upTo(n int, label string) int { return rapid.IntRange(0, n).Draw(c.t, label) }

type seededChooser struct{ r *rand.Rand }

func (c seededChooser) upTo(n int, _ string) int { return c.r.IntN(n + 1) }

// compactor does everything to a compacted log that can happen to one, beside its history.
type compactor struct {
	fsys vfs.FS
	dir  string // the log directory, "" for /d
	clk  clock.Clock
	cfg  LogConfig
	m    *Manager
	l    *Log
	h    *history
	hw   int64
	// cleaned is where the last cleaning may have ended.
	cleaned int64
	epoch   int32
	serial  int
	trace   []string
}

func (x *compactor) open(t tb) {
	t.Helper()
	x.m = openManager(t, x.fsys, x.clk, x.cfg, func(o *ManagerOptions) {
		o.Cleaner = DefaultCleanerConfig()
		o.Cleaner.DedupeBufferBytes = 24 * keySlotBytes // some passes do not come to the end
		o.Cleaner.IOBufferBytes = 1
		if x.dir != "" {
			o.Dirs = []string{x.dir}
			o.Cleaner.DedupeBufferBytes = 1 << 20 // all in one pass
		}
		// What a log looks like must not depend on knowing at the start that it is compacted.
		o.ConfigFor = func(string) LogConfig { return smallConfig() }
	})
	var err error
	if x.l, err = x.m.CreateLog(testTP, testID, x.cfg, [16]byte{}); err != nil {
		t.Fatal(err)
	}
	x.l.SetConfig(x.cfg)
	x.hw = min(x.hw, x.l.LogEndOffset())
	x.l.SetHighWatermark(x.hw)
	x.hw = x.l.HighWatermark()
}

func (x *compactor) append(t tb, c chooser) {
	nowMs := x.clk.Now().UnixMilli()
	ts := nowMs - int64(c.upTo(3000, "late"))
	s := sent{base: x.h.end(), pid: -1}
	o := record.BuilderOptions{Codec: []record.Codec{record.None, record.None, record.LZ4, record.Zstd}[c.upTo(3, "codec")]}
	if c.upTo(1, "producer") == 1 {
		s.pid = int64(c.upTo(2, "pid"))
		s.seq = x.h.nextSeq(s.pid)
		s.transactional = x.h.isOpen(s.pid) || c.upTo(1, "transactional") == 1
		o.HasProducer, o.ProducerID, o.BaseSequence, o.Transactional = true, s.pid, s.seq, s.transactional
	}
	b := record.NewBuilder(o)
	for i := range 1 + c.upTo(3, "records") {
		x.serial++
		r := sentRecord{offset: s.base + int64(i), ts: ts + int64(i), key: fmt.Sprint("k", c.upTo(9, "key")), atMs: nowMs}
		r.value = fmt.Sprintf("value %d %s", x.serial, strings.Repeat("x", c.upTo(60, "size")))
		switch c.upTo(9, "kind") {
		case 0:
			r.key = ""
		case 1, 2, 3:
			r.value, r.tombstone = "", true
		}
		var key, value []byte
		if r.key != "" {
			key = []byte(r.key)
		}
		if !r.tombstone {
			value = []byte(r.value)
		}
		b.Append(r.ts, key, value, []record.Header{{Key: "h"}})
		s.records = append(s.records, r)
	}
	s.last = s.base + int64(len(s.records)) - 1
	x.h.batches = append(x.h.batches, s) // before: a cut of the power may come while it is appended
	info, err := x.l.AppendAsLeader(b.Build(), x.epoch, FromCoordinator)
	if err != nil || info.FirstOffset != s.base || info.LastOffset != s.last {
		t.Fatalf("append: %+v %v, expected [%d, %d]\n%s\n%s\n%s", info, err, s.base, s.last, strings.Join(x.trace, "\n"), files(t, x.fsys, "/d/t-0"), describe(t, x.l))
	}
}

func (x *compactor) endTxn(t tb, c chooser) {
	pid := int64(c.upTo(2, "pid"))
	if !x.h.isOpen(pid) {
		return
	}
	commit := c.upTo(1, "commit") == 1
	s := sent{base: x.h.end(), last: x.h.end(), pid: pid, transactional: true, control: true, commit: commit}
	x.h.batches = append(x.h.batches, s)
	if _, err := x.l.AppendAsLeader(record.EndTxnBatch(pid, 0, x.clk.Now().UnixMilli(), record.EndTxnMarker{Commit: commit}), x.epoch, FromCoordinator); err != nil {
		t.Fatal(err)
	}
}

func (x *compactor) commit() {
	x.hw = x.l.LogEndOffset()
	x.l.SetHighWatermark(x.hw)
}

func (x *compactor) clean(t tb) {
	to, known := x.m.dirs[0].cleanedTo(testTP)
	d, err := x.l.inspect(to, known, x.m.cleaner.nowMs())
	if err != nil {
		t.Fatal(err)
	}
	if d.dirtyBytes == 0 {
		return
	}
	if d.upper > x.l.HighWatermark() || d.upper > x.l.LastStableOffset() || d.upper > x.l.segments[len(x.l.segments)-1].base {
		t.Fatalf("%d is not decided, or of the active segment", d.upper)
	}
	x.cleaned = max(x.cleaned, d.upper)
	if !x.m.cleaner.cleanLog(0, d) {
		t.Fatalf("cleaning failed: %v", x.m.cleaner.uncleanable[x.l])
	}
}

func (x *compactor) verify() error {
	return x.h.verify(x.l, x.cleaned, x.clk.Now().UnixMilli(), x.cfg.DeleteRetentionMs)
}

func (x *compactor) afterLoss(t tb) {
	end := x.l.LogEndOffset()
	x.h.cut(end)
	if end == x.l.LogStartOffset() && x.h.end() < end {
		x.h.anew = end // what was left lay below the offset up to which records were deleted
	}
	if x.h.end() != end {
		t.Fatalf("the log is [%d, %d), what was appended ends at %d\n%s\n%s\n%s", x.l.LogStartOffset(), end, x.h.end(), strings.Join(x.trace, "\n"), files(t, x.fsys, "/d/t-0"), describe(t, x.l))
	}
	x.epoch++
}

// A compacted log and all that may happen to it: whatever comes in which order, each key's last committed value is there, no
// aborted record is shown, nothing that may not be cleaned is touched, and producers go on where they were.
func TestCompactedLogAgainstItsHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := compactConfig()
		cfg.SegmentBytes = 600
		mem := vfs.NewMem()
		clk := newTestClock()
		x := &compactor{fsys: mem, clk: clk, cfg: cfg, h: &history{expired: map[int64]int64{}}, epoch: 1}
		format(t, mem, "/d")
		x.open(t)
		reopen := func(t *rapid.T, to *vfs.Mem) {
			if to != nil {
				mem, x.fsys = to, to
			}
			_ = x.m.Close(false)
			x.open(t)
		}
		actions := map[string]func(*rapid.T){
			"end":    func(t *rapid.T) { x.endTxn(t, rapidChooser{t}) },
			"end2":   func(t *rapid.T) { x.endTxn(t, rapidChooser{t}) },
			"commit": func(*rapid.T) { x.commit() },
			"roll": func(t *rapid.T) {
				if err := x.l.Roll(); err != nil {
					t.Fatal(err)
				}
			},
			"time": func(t *rapid.T) {
				clk.Advance(time.Duration(rapid.IntRange(0, 90_000).Draw(t, "ms")) * time.Millisecond)
			},
			"flush": func(t *rapid.T) {
				if err := x.l.Flush(); err != nil {
					t.Fatal(err)
				}
			},
			"expire": func(t *rapid.T) {
				if x.l.ExpireProducers(x.clk.Now().UnixMilli()-30_000) == 0 {
					return
				}
				known := map[int64]bool{}
				for _, p := range x.l.ActiveProducers() {
					known[p.ProducerID] = true
				}
				for pid := range int64(3) {
					if !known[pid] {
						x.h.expired[pid] = x.h.end()
					}
				}
			},
			"truncate": func(t *rapid.T) {
				at := rapid.Int64Range(x.hw, x.l.LogEndOffset()).Draw(t, "at")
				if err := x.l.TruncateTo(at); err != nil {
					t.Fatal(err)
				}
				x.afterLoss(t)
			},
			"deleteRecords": func(t *rapid.T) {
				at := rapid.Int64Range(x.l.LogStartOffset(), max(x.hw, x.l.LogStartOffset())).Draw(t, "up to")
				if err := x.l.AdvanceLogStartOffset(at); err != nil {
					t.Fatal(err)
				}
			},
			"retain": func(t *rapid.T) {
				if _, err := x.l.DeleteOldSegments(); err != nil {
					t.Fatal(err)
				}
			},
			"restart": func(t *rapid.T) {
				if err := x.m.Close(true); err != nil {
					t.Fatal(err)
				}
				reopen(t, nil)
			},
			"kill": func(t *rapid.T) { reopen(t, mem.KillClone()) },
			"powerCut": func(t *rapid.T) {
				if rapid.Bool().Draw(t, "torn") {
					reopen(t, mem.TornClone(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))))
				} else {
					reopen(t, mem.CrashClone())
				}
				x.afterLoss(t)
			},
		}
		for i := range 6 {
			actions[fmt.Sprint("append", i)] = func(t *rapid.T) { x.append(t, rapidChooser{t}) }
		}
		for i := range 3 {
			actions[fmt.Sprint("clean", i)] = func(t *rapid.T) { x.clean(t) }
		}
		for name, do := range actions {
			actions[name] = func(t *rapid.T) {
				do(t)
				x.trace = append(x.trace, fmt.Sprintf("%s: [%d, %d) synced %d, high watermark %d, stable %d, cleaned %d", name, x.l.LogStartOffset(), x.l.LogEndOffset(),
					x.l.FlushedOffset(), x.hw, x.l.LastStableOffset(), x.cleaned))
			}
		}
		actions[""] = func(t *rapid.T) {
			if err := x.verify(); err != nil {
				t.Fatalf("%v\n%s\n%s\n%s", err, strings.Join(x.trace, "\n"), files(t, x.fsys, "/d/t-0"), describe(t, x.l))
			}
		}
		t.Repeat(actions)
		_ = x.m.Close(false)
	})
}

// Power is cut, and the process killed, at each operation of a workload that appends and cleans. Each time
// the log opens, twice the same, with all that was synced and is not replaced, and can be cleaned on.
func TestAMomentOfDeathAtEachStepOfACleaning(t *testing.T) {
	seeds := 3
	if testing.Short() {
		seeds = 1
	}
	cuts := 0
	for seed := range seeds {
		cuts += dieWhileCleaning(t, uint64(seed))
	}
	t.Logf("%d moments", cuts)
}

func dieWhileCleaning(t *testing.T, seed uint64) (cuts int) {
	type moment struct {
		op      vfs.Op
		fs      []*vfs.Mem
		h       *history
		synced  int64
		cleaned int64
		now     time.Time
	}
	base := vfs.NewMem()
	format(t, base, "/d")
	cfg := compactConfig()
	cfg.SegmentBytes = 600
	var mu sync.Mutex // guards moments and n; the syncer works in the background
	var moments []moment
	n := uint64(0)
	clk := newTestClock()
	x := &compactor{clk: clk, cfg: cfg, h: &history{expired: map[int64]int64{}}, epoch: 1}
	x.fsys = vfs.NewFault(base, func(op vfs.Op) error {
		if !op.Kind.Mutates() {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		n++
		synced := int64(0)
		if x.l != nil {
			synced = x.l.FlushedOffset()
		}
		moments = append(moments, moment{op: op, h: x.h.clone(), synced: synced, cleaned: x.cleaned, now: x.clk.Now(),
			fs: []*vfs.Mem{base.CrashClone(), base.KillClone(), base.TornClone(rand.New(rand.NewPCG(n, seed)))}})
		return nil
	})
	x.open(t)
	c := seededChooser{rand.New(rand.NewPCG(seed, 9))}
	step := func(do func()) {
		do()
		// The syncer looks at the history by the hook; it must be at rest when that changes.
		if err := x.l.Flush(); err != nil {
			t.Fatal(err)
		}
		x.m.dirs[0].env.syncer.mu.Lock()
		for x.m.dirs[0].env.syncer.workers > 0 {
			x.m.dirs[0].env.syncer.idle.Wait()
		}
		x.m.dirs[0].env.syncer.mu.Unlock()
	}
	for range 4 {
		for range 6 {
			step(func() { x.append(t, c) })
			if c.upTo(2, "end") == 0 {
				step(func() { x.endTxn(t, c) })
			}
		}
		for range 3 {
			step(func() { x.endTxn(t, c) })
		}
		x.commit()
		step(func() {
			if err := x.l.Roll(); err != nil {
				t.Fatal(err)
			}
		})
		clk.Advance(40 * time.Second)
		x.clean(t)
		x.clean(t)
		if err := x.verify(); err != nil {
			t.Fatal(err)
		}
	}
	_ = x.m.Close(false)
	for i, m := range moments {
		for k, fsys := range m.fs {
			cuts++
			name := fmt.Sprintf("seed %d, op %d (%s %s), %s", seed, i, m.op.Kind, m.op.Name, []string{"power cut", "kill", "torn"}[k])
			clk := clock.NewFake(m.now)
			var first string
			for range 2 {
				y := &compactor{fsys: fsys, clk: clk, cfg: cfg, h: m.h.clone(), epoch: 9, cleaned: m.cleaned, hw: 1 << 60}
				y.open(t)
				y.commit()
				if end := y.l.LogEndOffset(); end < m.synced {
					t.Fatalf("%s: the log ends at %d, %d was synced", name, end, m.synced)
				}
				y.h.cut(y.l.LogEndOffset())
				if err := y.verify(); err != nil {
					t.Fatalf("%s: %v\n%s\n%s", name, err, files(t, fsys, "/d/t-0"), describe(t, y.l))
				}
				found := describe(t, y.l) + fmt.Sprint(y.l.NumSegments())
				if first == "" {
					first = found
				} else if found != first {
					t.Fatalf("%s: the first start finds\n%s\nthe second\n%s", name, first, found)
				}
				if f := files(t, fsys, "/d/t-0"); strings.Contains(f, swapSuffix) || strings.Contains(f, cleanedSuffix) {
					t.Fatalf("%s: leftovers in\n%s", name, f)
				}
				_ = y.m.Close(false)
			}
			y := &compactor{fsys: fsys, clk: clk, cfg: cfg, h: m.h.clone(), epoch: 9, cleaned: m.cleaned, hw: 1 << 60}
			y.open(t)
			y.commit()
			y.h.cut(y.l.LogEndOffset())
			y.clean(t)
			if err := y.verify(); err != nil {
				t.Fatalf("%s, cleaned on: %v", name, err)
			}
			_ = y.m.Close(false)
		}
	}
	return cuts
}

// A full disk ends a cleaning without a trace, and another goes through.
func TestAFullDiskEndsACleaning(t *testing.T) {
	for nth := int64(1); ; nth++ {
		base := vfs.NewMem()
		format(t, base, "/d")
		var full atomic.Bool
		var seen atomic.Int64
		fault := vfs.NewFault(base, func(op vfs.Op) error {
			if !full.Load() || op.Kind != vfs.OpWrite && op.Kind != vfs.OpCreate {
				return nil
			}
			if seen.Add(1) == nth {
				return fmt.Errorf("no room: %w", syscall.ENOSPC)
			}
			return nil
		})
		x := &compactor{fsys: fault, clk: newTestClock(), cfg: compactConfig(), h: &history{expired: map[int64]int64{}}, epoch: 1}
		x.open(t)
		c := seededChooser{rand.New(rand.NewPCG(4, 9))}
		for range 12 {
			x.append(t, c)
		}
		for range 3 {
			x.endTxn(t, c)
		}
		for pid := range int64(3) {
			for x.h.isOpen(pid) {
				x.endTxn(t, c)
			}
		}
		x.commit()
		if err := x.l.Roll(); err != nil {
			t.Fatal(err)
		}
		if err := x.l.Flush(); err != nil {
			t.Fatal(err)
		}
		d, err := x.l.inspect(0, false, x.m.cleaner.nowMs())
		if err != nil {
			t.Fatal(err)
		}
		x.cleaned = d.upper
		full.Store(true)
		cleaned := x.m.cleaner.cleanLog(0, d)
		full.Store(false)
		if err := x.verify(); err != nil {
			t.Fatalf("write %d: %v", nth, err)
		}
		if x.l.Err() != nil || x.m.cleaner.uncleanable[x.l] != nil {
			t.Fatalf("write %d: %v %v", nth, x.l.Err(), x.m.cleaner.uncleanable[x.l])
		}
		if f := files(t, base, "/d/t-0"); strings.Contains(f, cleanedSuffix) || strings.Contains(f, swapSuffix) {
			t.Fatalf("write %d leaves\n%s", nth, f)
		}
		x.clean(t)
		if err := x.verify(); err != nil {
			t.Fatalf("write %d: %v", nth, err)
		}
		_ = x.m.Close(false)
		if cleaned && seen.Load() < nth {
			if nth < 5 {
				t.Fatalf("only %d writes", nth)
			}
			return
		}
	}
}

// The cleaner works while others append, read and look up; the race detector looks on.
func TestTheCleanerAmongReadersAndWriters(t *testing.T) {
	dir := t.TempDir()
	format(t, vfs.OS{}, dir)
	cfg := compactConfig()
	cfg.SegmentBytes = 4000
	m := openManager(t, vfs.OS{}, clock.Real{}, cfg, func(o *ManagerOptions) {
		o.Dirs, o.MaxOpenFiles = []string{dir}, 4
		o.Cleaner = DefaultCleanerConfig()
		o.Cleaner.BackoffMs, o.Cleaner.Threads = 1, 2
	})
	l, err := m.CreateLog(testTP, testID, cfg, [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	m.StartCleaner()
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for at := int64(0); ; {
				select {
				case <-done:
					return
				default:
				}
				s, err := l.Read(max(at, l.LogStartOffset()), 1000, l.LogEndOffset(), true)
				if err != nil {
					t.Error(err)
					return
				}
				data, err := s.Bytes()
				s.Release()
				if err != nil {
					t.Error(err)
					return
				}
				eachBatch(t, data, func(record.Batch) {})
				if at = s.NextOffset; s.Len == 0 {
					at = 0
				}
				if _, _, err := l.OffsetForTimestamp(at); err != nil {
					t.Error(err)
				}
				if _, err := l.AbortedTxns(0, at); err != nil {
					t.Error(err)
				}
			}
		})
	}
	const keys, rounds = 20, 150
	for i := range rounds {
		for k := range keys {
			o := record.BuilderOptions{HasProducer: true, ProducerID: int64(k % 3), Transactional: true, BaseSequence: record.NoSequence}
			if _, err := l.AppendAsLeader(keyed(o, int64(i), fmt.Sprintf("k%d=%d", k, i)), 1, FromCoordinator); err != nil {
				t.Fatal(err)
			}
			if k%5 == 4 {
				for pid := range int64(3) {
					if _, err := l.AppendAsLeader(record.EndTxnBatch(pid, 0, int64(i), record.EndTxnMarker{Commit: true}), 1, FromCoordinator); err != nil {
						t.Fatal(err)
					}
				}
			}
			l.SetHighWatermark(l.LogEndOffset())
		}
	}
	close(done)
	wg.Wait()
	m.cleaner.stop()
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	m = openManager(t, vfs.OS{}, clock.Real{}, cfg, func(o *ManagerOptions) { o.Dirs = []string{dir} })
	last := map[string]string{}
	for _, v := range readKeys(t, m.Log(testTP)) {
		k, val, _ := strings.Cut(v, "=")
		last[k] = val
	}
	for k := range keys {
		if got := last[fmt.Sprint("k", k)]; got != fmt.Sprint(rounds-1) {
			t.Errorf("k%d is %q", k, got)
		}
	}
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir + "/" + cleanerFile); err != nil {
		t.Error("nothing was cleaned:", err)
	}
}

// readKeys lists all records as "key=value", in order.
func readKeys(t tb, l *Log) (out []string) {
	t.Helper()
	for line := range strings.Lines(describe(t, l)) {
		for _, f := range strings.Fields(line) {
			if _, kv, ok := strings.Cut(f, ":"); ok {
				out = append(out, kv)
			}
		}
	}
	return out
}
