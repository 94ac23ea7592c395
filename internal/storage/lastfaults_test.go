package storage

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A segment that is closed comes to the disk in the background. Soon after that the recovery point says so, so that a kill leaves only
// what came since to be gone over.
func TestTheRecoveryPointFollowsAClosedSegment(t *testing.T) {
	base, clk, cfg := vfs.NewMem(), newTestClock(), smallConfig()
	format(t, base, "/d")
	m := openManager(t, base, clk, cfg, func(o *ManagerOptions) { o.RecoveryPointCheckpointIntervalMs = 1 << 40 })
	l := mustCreate(t, m, testTP, 0)
	for len(l.views()) < 3 {
		mustAppend(t, l, values(1, strings.Repeat("x", 50)))
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	l.flushMu.Lock() // whoever syncs has ended
	at := l.FlushedOffset()
	l.flushMu.Unlock()
	mustAppend(t, l, values(1, "not synced"))
	clk.Advance(notePointsAfter)
	if got, want := content(t, base, "/d/"+recoveryPointFile), fmt.Sprintf("0\n1\nt 0 %d\n", at); got != want {
		t.Fatalf("%q, not %q", got, want)
	}
	for _, left := range []*vfs.Mem{base.KillClone(), base.CrashClone()} {
		again := openManager(t, left, newTestClock(), cfg)
		if l := again.Log(testTP); l.LogEndOffset() < at || len(readFrom(t, l, 0)) != int(l.LogEndOffset()) {
			t.Fatal(l.LogEndOffset(), at)
		}
		_ = again.Close(true)
	}
	_ = m.Close(false)
}

// A log is cut while its points are gathered: what is noted is not above its end.
func TestAPointThatIsNotedSoonIsNoneOfACutLog(t *testing.T) {
	base, clk := vfs.NewMem(), newTestClock()
	format(t, base, "/d")
	m := openManager(t, base, clk, smallConfig())
	l := mustCreate(t, m, testTP, 0)
	for len(l.views()) < 3 {
		mustAppend(t, l, values(1, strings.Repeat("x", 50)))
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := l.TruncateTo(1); err != nil {
		t.Fatal(err)
	}
	clk.Advance(notePointsAfter)
	points, err := ReadOffsetCheckpoint(base, "/d/"+recoveryPointFile)
	if err != nil || points[testTP] > 1 {
		t.Fatal(points, err)
	}
	_ = m.Close(true)
}

// mergedLog is a compacted log that was closed in order, its files before the last cleaning, and how it reads.
func mergedLog(t *testing.T) (m *vfs.Mem, before map[string][]byte, want map[int64]string) {
	t.Helper()
	cfg := compactConfig()
	cfg.IndexIntervalBytes, cfg.SegmentBytes, cfg.IndexBytes = 1, 1<<20, 1<<20
	x := newCompacted(t, cfg)
	for i := range 24 {
		x.put(fmt.Sprintf("once%d=%s", i, strings.Repeat("v", 40)), "again=v")
		if i%4 == 3 {
			x.roll()
		}
	}
	x.put("last=v")
	before = map[string][]byte{}
	for _, name := range filesOf(t, x.fs, "/d/t-0", logSuffix) {
		before[name] = mustRead(t, x.fs, name)
	}
	x.clean()
	want = readFrom(t, x.l, 0)
	if err := x.m.Close(true); err != nil {
		t.Fatal(err)
	}
	return x.fs, before, want
}

// A segment from before a cleaning is put back beside the one that has taken its records over. The older one is set aside, and named.
func TestASegmentFromBeforeACleaningIsSetAside(t *testing.T) {
	m, before, want := mergedLog(t)
	now := filesOf(t, m, "/d/t-0", logSuffix)
	tried := 0
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if slices.Contains(now, name) {
			continue
		}
		tried++
		c := m.KillClone()
		if err := vfs.WriteFileAtomic(c, name, before[name]); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			var out logTo
			mgr := openManager(t, c, newTestClock(), compactConfig(), out.option, func(o *ManagerOptions) { o.VerifyReads = true })
			if got := readFrom(t, mgr.Log(testTP), 0); !maps.Equal(got, want) {
				t.Fatalf("%s: %v, not %v", name, got, want)
			}
			if told := out.String(); strings.Contains(told, name) != (i == 0) || strings.Contains(told, "is damaged") {
				t.Fatal(told)
			}
			if err := mgr.Close(true); err != nil {
				t.Fatal(err)
			}
		}
		if aside := filesOf(t, c, "/d/t-0", damagedSuffix); !slices.Equal(aside, []string{name + damagedSuffix}) {
			t.Fatal(aside)
		}
	}
	if tried == 0 {
		t.Fatal(now)
	}
}

// A closed segment of a compacted log is exchanged for a shorter one. Nothing in it is damaged, and the node says that it is not the
// one that was there.
func TestAShorterCopyOfACompactedSegmentIsTold(t *testing.T) {
	m, _, want := mergedLog(t)
	name := filesOf(t, m, "/d/t-0", logSuffix)[0]
	data := mustRead(t, m, name)
	end := 12 + int(data[8])<<24 + int(data[9])<<16 + int(data[10])<<8 + int(data[11]) // of its first batch
	overwrite(t, m, name, data[:end])
	var out logTo
	mgr := openManager(t, m, newTestClock(), compactConfig(), out.option)
	defer func() { _ = mgr.Close(true) }()
	if got := readFrom(t, mgr.Log(testTP), 0); len(got) >= len(want) {
		t.Fatal(got)
	}
	if told := out.String(); !strings.Contains(told, "records may be lost") || !strings.Contains(told, name) {
		t.Fatal(told)
	}
}

// Where nothing but the batches tells that two segments overlap, the error names both and blames neither.
func TestOverlappingSegmentsAreNotCalledDamaged(t *testing.T) {
	m, cfg, at := oneSegmentAndMore(t)
	first := "/a/t-0/" + segmentName(0) + logSuffix
	n := len(at) / 2
	if err := vfs.WriteFileAtomic(m, "/a/t-0/"+segmentName(int64(n))+logSuffix, mustRead(t, m, first)[at[n]:]); err != nil {
		t.Fatal(err)
	}
	var out logTo
	mgr := openManager(t, m, newTestClock(), cfg, inOneDir, out.option, func(o *ManagerOptions) { o.VerifyReads = true })
	defer func() { _ = mgr.Close(true) }()
	if got := readFrom(t, mgr.Log(testTP), 0); len(got) != 64 {
		t.Fatal(len(got), out.String())
	}
	if told := out.String(); !strings.Contains(told, "with which the next segment begins") {
		t.Fatal(told)
	}
}

// The time index of the active segment is damaged while the node is down. Whatever it says, what is looked up is right, and after the
// next orderly stop the file is.
func TestADamagedTimeIndexOfTheActiveSegmentIsMadeAnew(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	cfg := smallConfig()
	cfg.SegmentBytes, cfg.IndexBytes = 1<<20, 1<<20
	mgr := openManager(t, m, newTestClock(), cfg)
	l := mustCreate(t, mgr, testTP, 0)
	const first = int64(1_700_000_000_000)
	for i := range int64(40) {
		mustAppend(t, l, values(first+100*i, strings.Repeat("x", 60)))
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	name := filesOf(t, m, "/d/t-0", timeIndexSuffix)[0]
	whole := mustRead(t, m, name)
	damages := map[string][]byte{"empty": {}, "zeros": make([]byte, len(whole))}
	for i := range len(whole) / timeEntryBytes {
		for _, bit := range []int{3, 30, 60, 90} { // of the timestamp and of the offset
			b := slices.Clone(whole)
			b[i*timeEntryBytes+bit/8] ^= 1 << (bit % 8)
			damages[fmt.Sprintf("entry %d, bit %d", i, bit)] = b
		}
	}
	for how, damaged := range damages {
		c := m.KillClone()
		overwrite(t, c, name, damaged)
		clk := newTestClock()
		mgr := openManager(t, c, clk, cfg, func(o *ManagerOptions) { o.ScrubBytesPerSecond = 1 << 20 })
		l := mgr.Log(testTP)
		if err := l.Wake(); err != nil {
			t.Fatal(err)
		}
		for i := range int64(40) {
			found, ok, err := l.OffsetForTimestamp(first + 100*i - 50)
			if err != nil || !ok || found.Offset != i {
				t.Fatalf("%s: the record of %d is found at %v, %v, %v", how, i, found, ok, err)
			}
		}
		if found, ok, err := l.MaxTimestampOffset(); err != nil || !ok || found.Offset != 39 {
			t.Fatal(how, found, ok, err)
		}
		for range 4 {
			clk.Advance(scrubEvery)
		}
		if err := mgr.Close(true); err != nil {
			t.Fatal(err)
		}
		mustBeSound(t, c)
	}
}

// At a start that makes indexes anew, a batch whose header is damaged hides nothing behind it, as long as an entry of the old index
// leads on.
func TestIndexesAreMadeAroundADamagedHeaderAtAStart(t *testing.T) {
	m, cfg, at := oneSegmentAndMore(t)
	stem := "/a/t-0/" + segmentName(0)
	if err := m.FlipBit(stem+logSuffix, at[3]+16, 4); err != nil {
		t.Fatal(err)
	}
	if err := m.Remove(stem + timeIndexSuffix); err != nil {
		t.Fatal(err)
	}
	var out logTo
	mgr := openManager(t, m, newTestClock(), cfg, inOneDir, out.option)
	defer func() { _ = mgr.Close(true) }()
	skipped, failed := oneByOne(t, mgr.Log(testTP), 1)
	if len(skipped) > 0 || len(failed) > 2 {
		t.Fatal(skipped, failed, out.String())
	}
}
