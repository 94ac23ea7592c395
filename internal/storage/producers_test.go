package storage

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// Each story appends in order; a step says what is expected of it.
func TestIdempotence(t *testing.T) {
	type step struct {
		batch record.Batch
		want  error // nil: appended
		dup   int64 // when not 0: recognised, with this first offset
	}
	ok := func(b record.Batch) step { return step{batch: b} }
	no := func(b record.Batch, err error) step { return step{batch: b, want: err} }
	again := func(b record.Batch, at int64) step { return step{batch: b, dup: at} }
	first := ok(values(1, "first")) // so that the log is not empty and no offset is 0
	for name, story := range map[string][]step{
		"in order": {first, ok(from(1, 0, 0, "a", "b")), ok(from(1, 0, 2, "c")), ok(from(1, 0, 3, "d"))},
		"a gap is refused": {first, ok(from(1, 0, 0, "a")), no(from(1, 0, 2, "c"), ErrOutOfOrderSequence),
			no(from(1, 0, 0, "a", "b"), ErrOutOfOrderSequence), ok(from(1, 0, 1, "b"))},
		"the last five are recognised": {first, ok(from(1, 0, 0, "0")), ok(from(1, 0, 1, "1")), ok(from(1, 0, 2, "2")), ok(from(1, 0, 3, "3")),
			again(from(1, 0, 0, "0"), 1), ok(from(1, 0, 4, "4")), again(from(1, 0, 0, "0"), 1), ok(from(1, 0, 5, "5")),
			no(from(1, 0, 0, "0"), ErrOutOfOrderSequence), again(from(1, 0, 1, "1"), 2), again(from(1, 0, 5, "5"), 6)},
		"an unknown producer begins anywhere": {first, ok(from(1, 3, 17, "a")), ok(from(1, 3, 18, "b"))},
		"but not in an empty log":             {no(from(1, 0, 1, "b"), ErrOutOfOrderSequence), ok(from(1, 0, 0, "a")), ok(from(1, 0, 1, "b"))},
		"a new epoch begins with 0": {first, ok(from(1, 0, 0, "a")), no(from(1, 1, 1, "b"), ErrOutOfOrderSequence), ok(from(1, 1, 0, "b")),
			no(from(1, 0, 1, "c"), ErrInvalidProducerEpoch), again(from(1, 1, 0, "b"), 2)},
		"sequences wrap": {first, ok(from(1, 0, math.MaxInt32-1, "a", "b", "c")), again(from(1, 0, math.MaxInt32-1, "a", "b", "c"), 1),
			no(from(1, 0, 0, "d"), ErrOutOfOrderSequence), ok(from(1, 0, 1, "d"))},
		"ends at the largest":       {first, ok(from(1, 0, math.MaxInt32, "a")), ok(from(1, 0, 0, "b"))},
		"producers are apart":       {first, ok(from(1, 0, 0, "a")), ok(from(2, 0, 0, "b")), ok(from(1, 0, 1, "c")), again(from(2, 0, 0, "b"), 2)},
		"no transaction in between": {first, ok(inTxn(1, 0, 0, "a")), no(from(1, 0, 1, "b"), ErrInvalidTxnState), ok(inTxn(1, 0, 1, "b"))},
	} {
		t.Run(name, func(t *testing.T) {
			l := testLog(t, vfs.NewMem(), newTestClock(), DefaultLogConfig())
			for i, s := range story {
				end := l.LogEndOffset()
				info, err := l.AppendAsLeader(bytes.Clone(s.batch), 1, FromClient)
				switch {
				case !errors.Is(err, s.want) || s.want == nil && err != nil:
					t.Fatalf("step %d: %v, want %v", i, err, s.want)
				case s.want != nil || s.dup != 0:
					if l.LogEndOffset() != end || s.dup != 0 && (!info.Duplicate || info.FirstOffset != s.dup || info.LastOffset != s.dup+int64(s.batch.LastOffsetDelta())) {
						t.Fatalf("step %d: %+v, log moved from %d to %d", i, info, end, l.LogEndOffset())
					}
				case info.Duplicate || l.LogEndOffset() != end+int64(s.batch.NumRecords()):
					t.Fatalf("step %d: %+v", i, info)
				}
			}
		})
	}
}

func TestProducerStateSurvives(t *testing.T) {
	m := vfs.NewMem()
	cfg := smallConfig()
	l := testLog(t, m, newTestClock(), cfg)
	for i := range int32(40) {
		mustAppend(t, l, from(7, 2, i, "some value"))
	}
	mustAppend(t, l, from(8, 0, 0, "x"))
	if l.NumSegments() < 3 {
		t.Fatal(l.NumSegments())
	}
	killed := m.KillClone()
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	for name, fsys := range map[string]*vfs.Mem{"closed": m, "killed": killed} {
		l := testLog(t, fsys, newTestClock(), cfg, func(o *LogOptions) { o.Clean = name == "closed" })
		info, err := l.AppendAsLeader(from(7, 2, 39, "some value"), 1, FromClient)
		if err != nil || !info.Duplicate || info.FirstOffset != 39 {
			t.Fatalf("%s: %+v %v", name, info, err)
		}
		if _, err := l.AppendAsLeader(from(7, 2, 41, "v"), 1, FromClient); !errors.Is(err, ErrOutOfOrderSequence) {
			t.Fatalf("%s: %v", name, err)
		}
		mustAppend(t, l, from(7, 2, 40, "v"))
		if n := l.ExpireProducers(epochStart.UnixMilli() + 1); n != 2 || len(l.ActiveProducers()) != 0 {
			t.Fatalf("%s: %d expired", name, n)
		}
	}
}

func TestTransactionsAreTracked(t *testing.T) {
	m := vfs.NewMem()
	cfg := smallConfig()
	l := testLog(t, m, newTestClock(), cfg)
	pad := func() {
		for range 8 {
			mustAppend(t, l, values(1, "padding that fills segments"))
		}
	}
	mustAppend(t, l, inTxn(1, 0, 0, "a", "b")) // 0 1
	mustAppend(t, l, inTxn(2, 0, 0, "c"))      // 2
	pad()                                      // 3..10
	mustAppend(t, l, inTxn(1, 0, 2, "d"))      // 11
	mustCoordinate(t, l, marker(1, 0, false))  // 12: aborts 0..12
	mustCoordinate(t, l, marker(9, 0, false))  // 13: of a transaction with nothing here
	check := func(l *Log, stable int64, aborted ...AbortedTxn) {
		t.Helper()
		l.SetHighWatermark(l.LogEndOffset())
		if got := l.LastStableOffset(); got != stable {
			t.Fatalf("last stable offset %d, want %d", got, stable)
		}
		got, err := l.AbortedTxns(0, l.LogEndOffset())
		if diff := cmp.Diff(aborted, got); diff != "" || err != nil {
			t.Fatal(diff, err)
		}
	}
	one := AbortedTxn{ProducerID: 1, FirstOffset: 0, LastOffset: 12, LastStableOffset: 2}
	check(l, 2, one)
	l.SetHighWatermark(12) // the marker is not committed yet
	if l.LastStableOffset() != 2 {
		t.Fatal(l.LastStableOffset())
	}
	pad()                                    // 14..21
	mustCoordinate(t, l, marker(2, 0, true)) // 22: commits 2
	check(l, 23, one)
	mustAppend(t, l, inTxn(2, 0, 1, "e"))     // 23
	pad()                                     // 24..31
	mustCoordinate(t, l, marker(2, 1, false)) // 32: aborts 23..32, by a bumped epoch
	two := AbortedTxn{ProducerID: 2, FirstOffset: 23, LastOffset: 32, LastStableOffset: 33}
	check(l, 33, one, two)
	mustAppend(t, l, inTxn(1, 0, 3, "f")) // 33 stays open
	check(l, 33, one, two)
	if _, err := l.AppendAsLeader(marker(2, 0, true), 1, FromCoordinator); !errors.Is(err, ErrInvalidProducerEpoch) {
		t.Fatal(err)
	}
	if got, err := l.AbortedTxns(13, 23); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
	if got, err := l.AbortedTxns(12, 24); err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	killed := m.KillClone()
	check(testLog(t, killed, newTestClock(), cfg), 33, one, two)
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	for _, clean := range []bool{true, false} {
		l := testLog(t, m.CrashClone(), newTestClock(), cfg, func(o *LogOptions) { o.Clean = clean })
		check(l, 33, one, two)
		if err := l.TruncateTo(32); err != nil { // takes the second marker away
			t.Fatal(err)
		}
		check(l, 23, one)
		if err := l.TruncateTo(12); err != nil {
			t.Fatal(err)
		}
		check(l, 0)
	}
}

func TestStaleMarkersAreRefused(t *testing.T) {
	l := testLog(t, vfs.NewMem(), newTestClock(), DefaultLogConfig())
	mark := func(epoch int16, coordinator int32) error {
		_, err := l.AppendAsLeader(record.EndTxnBatch(1, epoch, 1, record.EndTxnMarker{Commit: true, CoordinatorEpoch: coordinator}), 1, FromCoordinator)
		return err
	}
	mustAppend(t, l, inTxn(1, 5, 0, "a"))
	if err := mark(5, 3); err != nil {
		t.Fatal(err)
	}
	if err := mark(4, 3); !errors.Is(err, ErrInvalidProducerEpoch) {
		t.Fatal(err)
	}
	if err := mark(5, 2); !errors.Is(err, ErrCoordinatorFenced) {
		t.Fatal(err)
	}
	if err := mark(6, 4); err != nil {
		t.Fatal(err)
	}
	if p := l.ActiveProducers(); len(p) != 1 || p[0] != (ProducerState{ProducerID: 1, ProducerEpoch: 6, LastSequence: -1, LastTimestampMs: 1, CoordinatorEpoch: 4, CurrentTxnStartOffset: -1}) {
		t.Fatalf("%+v", p)
	}
}

// A producer has several batches in flight when the leader dies, and sends them again in order to a broker that was
// stopped and started meanwhile: all of them are known there.
func TestBatchesInFlightAreRecognisedAfterAnOrderlyRestart(t *testing.T) {
	m := vfs.NewMem()
	l := testLog(t, m, newTestClock(), DefaultLogConfig())
	sent := []record.Batch{from(1, 0, 0, "a"), from(1, 0, 1, "b", "c"), from(1, 0, 3, "d"), from(1, 0, 4, "e"), from(1, 0, 5, "f"), from(1, 0, 6, "g")}
	for _, b := range sent {
		mustAppend(t, l, bytes.Clone(b))
	}
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	l = testLog(t, m, newTestClock(), DefaultLogConfig())
	for i, b := range sent[1:] {
		info, err := l.AppendAsLeader(bytes.Clone(b), 2, FromClient)
		if err != nil || !info.Duplicate || info.FirstOffset != int64(b.BaseSequence()) {
			t.Errorf("batch %d: %+v %v", i+1, info, err)
		}
	}
	mustAppend(t, l, from(1, 0, 7, "h"))
}

func TestSnapshotRoundTrip(t *testing.T) {
	var ps producers
	ps.reset(0)
	for _, b := range []record.Batch{from(5, 1, 0, "a"), from(5, 1, 1, "b", "c"), inTxn(6, 0, 9, "d"), marker(7, 2, true)} {
		b.SetBaseOffset(ps.end)
		if _, _, err := ps.apply(b); err != nil {
			t.Fatal(err)
		}
	}
	data := ps.encodeSnapshot()
	got, err := parseSnapshot(data, ps.end)
	if err != nil || len(got.byID) != 3 || got.byID[5].lastSeq() != 2 || got.byID[5].n != 2 || got.byID[5].batches[0].lastOffset != 0 || got.byID[6].txnFirstOffset != 3 || got.firstUnstable() != 3 || got.byID[7].n != 0 {
		t.Fatalf("%+v %v", got, err)
	}
	for at := range data {
		broken := bytes.Clone(data)
		broken[at] ^= 1
		if _, err := parseSnapshot(broken, ps.end); err == nil {
			t.Fatalf("a flipped bit at %d went unnoticed", at)
		}
	}
}

func TestProducerExpirationChangesAtRunTime(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	clk := newTestClock()
	mgr := openManager(t, m, clk, DefaultLogConfig(), func(o *ManagerOptions) {
		o.ProducerIDExpirationMs, o.ProducerIDExpirationCheckMs = 3_600_000, 60_000
	})
	defer func() { _ = mgr.Close(false) }()
	l, err := mgr.CreateLog(testTP, testID, DefaultLogConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, from(1, 0, 0, "a"))
	clk.Advance(10 * time.Minute)
	if n := len(l.ActiveProducers()); n != 1 {
		t.Fatalf("%d producers after ten minutes of an hour", n)
	}
	mgr.SetProducerIDExpirationMs(5 * 60_000)
	clk.Advance(time.Minute)
	if n := len(l.ActiveProducers()); n != 0 {
		t.Fatalf("%d producers after eleven minutes of five", n)
	}
}
