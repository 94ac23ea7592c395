package storage

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// txnStory writes to a log as three producers do, two of them in transactions that lie across each other and across
// segments, and leaves it with everything synced. The directory is left in order, or as after a kill.
func txnStory(t testing.TB, clean bool) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	format(t, m, "/a")
	mgr := openManager(t, m, newTestClock(), smallConfig(), inOneDir)
	l := mustCreate(t, mgr, testTP, 1)
	seq := map[int64]int32{}
	put := func(pid int64, i int) {
		o := record.BuilderOptions{HasProducer: true, ProducerID: pid, BaseSequence: seq[pid], Transactional: pid != 3}
		mustAppend(t, l, batchOf(o, epochStart.UnixMilli()+int64(i), fmt.Sprintf("value %d of %d", i, pid)))
		seq[pid]++
	}
	for i := range 48 {
		put(int64(i%3+1), i)
		if i%5 == 4 {
			mustCoordinate(t, l, marker(1, 0, i%2 == 0))
		}
		if i%11 == 10 {
			mustCoordinate(t, l, marker(2, 0, false))
		}
	}
	mustCoordinate(t, l, marker(1, 0, false))
	mustCoordinate(t, l, marker(2, 0, true))
	put(3, 48)
	l.SetHighWatermark(l.LogEndOffset())
	if l.NumSegments() < 5 {
		t.Fatal("too few segments for this story", l.NumSegments())
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := mgr.CheckpointAll(); err != nil {
		t.Fatal(err)
	}
	killed := m.KillClone()
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	if clean {
		return m
	}
	return killed
}

// allDamages has each bit and each length of each file tried, not some.
var allDamages = flag.Bool("damages.all", false, "damage derived files in every way")

func inOneDir(o *ManagerOptions) { o.Dirs = []string{"/a"}; o.VerifyReads = true }

// committedRecords is what a client sees that asks for committed records: it goes by the list that comes with each answer.
func committedRecords(t testing.TB, l *Log, from int64, maxBytes int) map[int64]string {
	t.Helper()
	got := map[int64]string{}
	for at := from; ; {
		s, err := l.Read(at, maxBytes, l.LastStableOffset(), true)
		if err != nil {
			t.Fatal(err)
		}
		if s.Len == 0 {
			return got
		}
		aborted, err := l.AbortedTxns(at, s.NextOffset)
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Bytes()
		s.Release()
		if err != nil {
			t.Fatal(err)
		}
		filterCommitted(t, b, aborted, from, got)
		at = s.NextOffset
	}
}

// filterCommitted does what clients do with an answer.
func filterCommitted(t testing.TB, b []byte, aborted []AbortedTxn, from int64, got map[int64]string) {
	t.Helper()
	slices.SortFunc(aborted, func(a, b AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	hidden := map[int64]bool{}
	for len(b) > 0 {
		batch, rest, err := record.Next(b)
		if err != nil {
			t.Fatal(err)
		}
		b = rest
		for len(aborted) > 0 && aborted[0].FirstOffset <= batch.LastOffset() {
			hidden[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		if batch.IsControl() {
			if m, ok, err := endTxnMarker(batch); err != nil || !ok || !m.Commit {
				delete(hidden, batch.ProducerID())
			}
			continue
		}
		if batch.IsTransactional() && hidden[batch.ProducerID()] {
			continue
		}
		if err := batch.ForEach(func(r record.Record) error {
			if r.Offset >= from {
				got[r.Offset] = string(r.Value)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// answersOf is everything that a log can be asked.
func answersOf(t testing.TB, l *Log) string {
	t.Helper()
	var out strings.Builder
	end := l.LogEndOffset()
	fmt.Fprintln(&out, l.LogStartOffset(), end, l.HighWatermark(), l.LastStableOffset())
	fmt.Fprintln(&out, "uncommitted", readFrom(t, l, 0))
	for _, from := range []int64{17, 0} {
		fmt.Fprintln(&out, "committed", from, committedRecords(t, l, from, 200))
	}
	for ts := range int64(50) {
		found, ok, err := l.OffsetForTimestamp(epochStart.UnixMilli() + ts)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, "timestamp", ts, found, ok)
	}
	largest, ok, err := l.MaxTimestampOffset()
	fmt.Fprintln(&out, "largest", largest, ok, err)
	ps := l.ActiveProducers()
	slices.SortFunc(ps, func(a, b ProducerState) int { return cmp.Compare(a.ProducerID, b.ProducerID) })
	fmt.Fprintln(&out, "producers", ps)
	return out.String()
}

// retained is where the log begins when all is gone that is older than the record with a number.
func retained(t testing.TB, clk interface{ Advance(time.Duration) }, l *Log, i int64) int64 {
	t.Helper()
	cfg := smallConfig()
	cfg.RetentionMs = 1000 - i
	l.SetConfig(cfg)
	clk.Advance(time.Second)
	if _, err := l.DeleteOldSegments(); err != nil {
		t.Fatal(err)
	}
	return l.LogStartOffset()
}

// derivedFiles are those beside the records of a closed segment.
func derivedFiles(t testing.TB, m *vfs.Mem, base int64) (names []string) {
	t.Helper()
	for _, suffix := range []string{indexSuffix, timeIndexSuffix, txnIndexSuffix, snapshotSuffix} {
		name := path.Join("/a/t-0", segmentName(base)+suffix)
		if ok, err := vfs.Exists(m, name); err != nil || !ok {
			t.Fatal(name, err)
		}
		names = append(names, name)
	}
	return names
}

// damages are the ways in which a file is changed: each bit, each length, zeros, nothing.
func damages(t testing.TB, m *vfs.Mem, name string) map[string]func(*vfs.Mem) error {
	t.Helper()
	whole, err := vfs.ReadFile(m, name)
	if err != nil || len(whole) == 0 {
		t.Fatal(name, err)
	}
	out := map[string]func(*vfs.Mem) error{
		"removed": func(m *vfs.Mem) error { return m.Remove(name) },
		"zeroed":  func(m *vfs.Mem) error { return m.Overwrite(name, 0, make([]byte, len(whole))) },
		"garbage": func(m *vfs.Mem) error {
			return m.Overwrite(name, 0, bytes.Repeat([]byte{0xb7, 0x3a, 0x11}, len(whole))[:len(whole)])
		},
	}
	step := 17
	if *allDamages {
		step = 1
	}
	for bit := 0; bit < 8*len(whole); bit += step {
		out[fmt.Sprintf("bit %d", bit)] = func(m *vfs.Mem) error { return m.FlipBit(name, bit/8, uint(bit%8)) }
	}
	for n := 0; n < len(whole); n += step {
		out[fmt.Sprintf("cut to %d", n)] = func(m *vfs.Mem) error { return truncateFile(m, name, int64(n)) }
	}
	return out
}

func truncateFile(m vfs.FS, name string, size int64) error {
	f, err := m.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Truncate(size)
}

// Whatever happens to a file that is derived from the records of a closed segment, before a start or under the running node:
// readers of all and of committed records, lookups by time, retention and producers are answered as if nothing had.
func TestNothingIsLostWithADerivedFile(t *testing.T) {
	for _, clean := range []bool{true, false} {
		base := txnStory(t, clean)
		open := func(m *vfs.Mem) (*Manager, *Log, interface{ Advance(time.Duration) }) {
			clk := newTestClock()
			mgr := openManager(t, m, clk, smallConfig(), inOneDir)
			l := mgr.Log(testTP)
			waitReady(l)
			return mgr, l, clk
		}
		mgr, l, clk := open(base.KillClone())
		want := answersOf(t, l)
		if !strings.Contains(want, "value 48 of 3") || strings.Count(want, "committed") != 3 {
			t.Fatal(want)
		}
		var middle int64
		for _, x := range l.segments[2 : len(l.segments)-1] {
			if len(x.aborted) > 0 {
				middle = x.base
			}
		}
		wantStart := retained(t, clk, l, 20)
		_ = mgr.Close(false)
		if wantStart == 0 {
			t.Fatal("nothing is too old in this story")
		}
		n := 0
		for _, name := range derivedFiles(t, base, middle) {
			for what, damage := range damages(t, base, name) {
				for _, running := range []bool{false, true} {
					n++
					where := fmt.Sprintf("%s %s, left in order: %v, while running: %v", name, what, clean, running)
					m := base.KillClone()
					if !running {
						if err := damage(m); err != nil {
							t.Fatal(where, err)
						}
					}
					mgr, l, clk := open(m)
					if running {
						if err := damage(m); err != nil {
							if _, serr := m.Stat(name); serr != nil {
								_ = mgr.Close(false)
								continue // a start has removed what a recovery makes anew
							}
						}
					}
					if got := answersOf(t, l); got != want {
						t.Fatalf("%s:\n%s", where, gocmp.Diff(want, got))
					}
					if got := retained(t, clk, l, 20); got != wantStart {
						t.Fatalf("%s: the log begins at %d, want %d", where, got, wantStart)
					}
					if err := mgr.Close(true); err != nil {
						t.Fatal(where, err)
					}
				}
			}
		}
		t.Logf("%d damages", n)
	}
}

func waitReady(l *Log) {
	done := make(chan struct{})
	if l.WhenReady(func() { close(done) }) {
		_ = l.Wake()
		<-done
	}
}

// What was made anew is on the disk: a power cut right after an orderly stop finds it, and so does a check.
func TestATransactionIndexMadeAnewStays(t *testing.T) {
	base := txnStory(t, true)
	names := filesOfDir(t, base, "/a/t-0", txnIndexSuffix)
	for _, name := range names {
		want := mustRead(t, base, name)
		m := base.KillClone()
		if err := m.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := m.SyncDir("/a/t-0"); err != nil {
			t.Fatal(err)
		}
		mgr := openManager(t, m, newTestClock(), smallConfig(), inOneDir)
		_ = committedRecords(t, mgr.Log(testTP), 0, 1000)
		if got := mgr.Damaged(); got != 1 {
			t.Fatal(name, got)
		}
		if err := mgr.Close(true); err != nil {
			t.Fatal(err)
		}
		after := m.CrashClone()
		if got, err := vfs.ReadFile(after, name); err != nil || !bytes.Equal(got, want) {
			t.Fatal(name, err, got, want)
		}
		if _, err := CheckDir(CheckOptions{FS: after, Dir: "/a", Found: func(f Finding) {
			if f.Damage {
				t.Fatal(f)
			}
		}}); err != nil {
			t.Fatal(err)
		}
	}
}

func filesOfDir(t testing.TB, m *vfs.Mem, dir, suffix string) (names []string) {
	t.Helper()
	entries, err := m.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	return names
}

// An index that the disk will not read is made anew; one that it will not write either stays in memory, and nobody misses it.
func TestIndexesThatCannotBeReadAreMadeAnew(t *testing.T) {
	for _, suffix := range []string{indexSuffix, timeIndexSuffix, txnIndexSuffix} {
		for _, writes := range []bool{true, false} {
			for _, active := range []bool{false, true} {
				base := txnStory(t, true)
				logs := filesOfDir(t, base, "/a/t-0", logSuffix)
				of := strings.TrimSuffix(logs[1], logSuffix)
				if active {
					of = strings.TrimSuffix(logs[len(logs)-1], logSuffix)
				}
				var mgr *Manager
				mgr = openManager(t, base, newTestClock(), smallConfig(), inOneDir)
				want := answersOf(t, mgr.Log(testTP))
				if err := mgr.Close(true); err != nil {
					t.Fatal(err)
				}
				old := true
				fsys := vfs.NewFault(base, func(op vfs.Op) error {
					if op.Name != of+suffix || !old {
						return nil
					}
					if op.Kind == vfs.OpRemove && writes {
						old = false // another file, elsewhere on the disk
					}
					if op.Kind == vfs.OpRead || op.Kind == vfs.OpCreate || !writes && op.Kind.Mutates() {
						return &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: fs.ErrPermission}
					}
					return nil
				})
				if active && !writes {
					continue // a log that cannot write beside its records takes no more of them
				}
				mgr = openManager(t, fsys, newTestClock(), smallConfig(), inOneDir)
				if got := answersOf(t, mgr.Log(testTP)); got != want {
					t.Fatalf("%s, can be written %v, active %v:\n%s\nwant\n%s", suffix, writes, active, got, want)
				}
				if err := mgr.Dirs()[0].Err; err != nil {
					t.Fatal(suffix, writes, active, err)
				}
				_ = mgr.Close(false)
			}
		}
	}
}
