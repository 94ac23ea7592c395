package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// A closed segment that is damaged from end to end is told a few times, and remembered as one range.
func TestASegmentFullOfDamageIsToldOnce(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	cfg := DefaultLogConfig()
	cfg.SegmentBytes = 24 << 20
	mgr := openManager(t, m, newTestClock(), cfg)
	l := mustCreate(t, mgr, testTP, 0)
	for l.NumSegments() < 2 {
		mustAppend(t, l, values(epochStart.UnixMilli(), strings.Repeat("v", 3000)))
	}
	name := l.segments[0].path(kindLog)
	end := l.segments[1].base
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	size := len(mustRead(t, m, name))
	if err := m.Overwrite(name, 0, make([]byte, size)); err != nil { // as after a misdirected write
		t.Fatal(err)
	}
	var out logTo
	mgr = openManager(t, m, newTestClock(), cfg, out.option, func(o *ManagerOptions) { o.VerifyReads = true })
	defer func() { _ = mgr.Close(true) }()
	l = mgr.Log(testTP)
	if err := l.Wake(); err != nil {
		t.Fatal(err, out.String())
	}
	v := l.views()[0]
	f := mustFile(t, v.seg)
	for chunk := int64(0); chunk*verifyChunkBytes < v.size; chunk++ {
		if err := l.verifyChunk(v, f, chunk); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(out.String(), "a segment is damaged"); n == 0 || n > maxTold {
		t.Fatalf("told %d times", n)
	}
	if n := len(v.seg.verified.bad); n != 1 {
		t.Fatalf("%d ranges", n)
	}
	wantErr(t, readErr(l, 0), ErrCorruptRecord)
	if err := readErr(l, end); err != nil {
		t.Fatal("what lies behind can be read", err)
	}
}

func readErr(l *Log, at int64) error {
	s, err := l.Read(at, 1000, l.LogEndOffset(), true)
	if err == nil {
		s.Release()
	}
	return err
}

// Ranges that are added in any order are the union of them, in order, and none touches another.
func TestDamagedRangesAreMerged(t *testing.T) {
	var v verified
	want := map[int64]bool{}
	for i := range int64(400) {
		from := i * 7919 % 1000
		b := badRange{from: from, to: from + 1 + i%5}
		news := false
		for p := b.from; p < b.to; p++ {
			news = news || !want[p]
			want[p] = true
		}
		if got := v.addLocked(b); got != news {
			t.Fatal(b, got)
		}
		last := int64(-1)
		for _, r := range v.bad {
			if r.from <= last || r.to <= r.from {
				t.Fatal(v.bad)
			}
			last = r.to
		}
		for p := range int64(1010) {
			if _, bad := v.firstBad(p, p+1); bad != want[p] {
				t.Fatal(i, p, v.bad)
			}
		}
	}
	for i := range int64(3 * maxBadRanges) {
		v.addLocked(badRange{from: 10_000 + 3*i, to: 10_001 + 3*i})
	}
	if len(v.bad) > maxBadRanges {
		t.Fatal(len(v.bad))
	}
	if _, bad := v.firstBad(10_000+9*maxBadRanges-9, 10_000+9*maxBadRanges-8); !bad {
		t.Fatal("forgotten")
	}
}

// A damaged length in a large segment is refused without memory for what it says: by recovery, by readers, by lookups, and
// by who reads one batch. A batch that is as large and good is read.
func TestADamagedLengthTakesNoMemory(t *testing.T) {
	const large = 48 << 20
	good := values(epochStart.UnixMilli(), strings.Repeat("v", large))
	for _, damaged := range []bool{true, false} {
		m := vfs.NewMem()
		file, err := m.OpenFile("/log", os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		b := append(record.Batch(nil), good...)
		if damaged {
			b[len(b)-1] ^= 1
		}
		if _, err := file.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		size := int64(len(b))
		tries := map[string]func() error{
			"scan": func() error {
				_, bad, err := scanBatches(file, 0, size, func(record.Batch, int64) error { return nil })
				return errors.Join(bad, err)
			},
			"read":   func() error { _, err := readBatch(file, 0, size); return err },
			"lookup": func() error { _, _, err := findInBatch(file, 0, size, 1<<60, 0); return err },
			"clean": func() error {
				r := cleanReader{buf: make([]byte, 1<<20), limit: maxCleanBatchBytes, took: func(int) error { return nil }}
				return r.each(file, 0, size, func(record.Batch) error { return nil })
			},
		}
		for name, try := range tries {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := try()
			runtime.ReadMemStats(&after)
			if damaged != (err != nil) {
				t.Fatalf("%s of a batch, damaged %v: %v", name, damaged, err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; damaged && took > large/4 {
				t.Errorf("%s has taken %d bytes for a damaged length", name, took)
			}
		}
	}
	h := append(record.Batch(nil), good[:record.HeaderBytes]...)
	binary.BigEndian.PutUint32(h[8:], 1<<31-1)
	m := vfs.NewMem()
	file, err := m.OpenFile("/log", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt(h, 0); err != nil {
		t.Fatal(err)
	}
	w := walkHeaders(file, 1<<40)
	defer w.close()
	_, _, err = w.at(0)
	wantErr(t, err, ErrCorruptRecord)
}

// A closed segment that is cut short under a running node is damage like any other: told a few times, an error for who
// reads there, and no reason to take the directory out of use.
func TestASegmentCutWhileRunningIsDamage(t *testing.T) {
	m := closedLog(t, 60)
	var out logTo
	clk := newTestClock()
	mgr := openManager(t, m, clk, smallConfig(), out.option, func(o *ManagerOptions) { o.ScrubBytesPerSecond, o.VerifyReads = 1<<20, true })
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(testTP)
	l.LogEndOffset()
	v := l.views()[2]
	if err := truncateFile(m, v.seg.path(kindLog), 100); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		clk.Advance(time.Second)
	}
	if n := strings.Count(out.String(), "level=ERROR"); n == 0 || n > 3 {
		t.Fatalf("told %d times: %s", n, out.String())
	}
	if err := mgr.Dirs()[0].Err; err != nil {
		t.Fatal(err)
	}
	wantErr(t, readErr(l, v.end-1), ErrCorruptRecord)
	if err := readErr(l, v.end); err != nil {
		t.Fatal(err)
	}
	// The active one, which this process writes.
	mustAppend(t, l, values(1, "new"))
	last := l.views()[l.NumSegments()-1]
	if err := truncateFile(m, last.seg.path(kindLog), 0); err != nil {
		t.Fatal(err)
	}
	before := strings.Count(out.String(), "level=ERROR")
	for range 100 {
		clk.Advance(time.Second)
	}
	if n := strings.Count(out.String(), "level=ERROR") - before; n == 0 || n > maxTold {
		t.Fatalf("told %d times: %s", n, out.String())
	}
}

// Indexes that a start has made anew are on the disk after it, however the power goes.
func TestIndexesMadeAnewAtAStartAreSynced(t *testing.T) {
	m := closedLog(t, 60)
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		if err := errors.Join(m.Remove("/d/t-0/"+segmentName(0)+suffix), m.SyncDir("/d/t-0")); err != nil {
			t.Fatal(err)
		}
	}
	mgr := openManager(t, m, newTestClock(), smallConfig())
	l := mgr.Log(testTP)
	mustAppend(t, l, values(1, "more"))
	if err := errors.Join(l.Flush(), mgr.Close(true)); err != nil {
		t.Fatal(err)
	}
	after := m.CrashClone()
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		name := "/d/t-0/" + segmentName(0) + suffix
		if got, err := vfs.ReadFile(after, name); err != nil || string(got) != string(mustRead(t, m, name)) || len(got) == 0 {
			t.Fatal(name, len(got), err)
		}
	}
}

// What was kept of one damage is not overwritten by the next, and copies are bounded.
func TestWhatIsKeptAsideStays(t *testing.T) {
	m := vfs.NewMem()
	l := testLog(t, m, newTestClock(), smallConfig())
	defer func() { _ = l.Close(false) }()
	seen := map[string]bool{}
	for i := range 5 {
		name, n, err := l.nameAside("/d/t-0/x.log")
		if err != nil || n != i || seen[name] || !strings.HasSuffix(name, damagedSuffix) {
			t.Fatal(name, n, err)
		}
		seen[name] = true
		if err := vfs.WriteFileAtomic(m, name, []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
}
