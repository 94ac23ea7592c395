package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// workload does a little of everything on one partition, and notes what it was promised.
type workload struct {
	mu      sync.Mutex
	written map[int64]map[string]bool // each value that was ever written at an offset
	current map[int64]string          // and the latest
	acked   atomic.Int64              // everything below was synced
	deleted atomic.Int64              // DeleteRecords was acknowledged up to here
}

func (w *workload) append(t tb, l *Log, gen int, n int) {
	end := l.LogEndOffset()
	var vs []string
	w.mu.Lock()
	for i := range n {
		v := fmt.Sprintf("%d of %d", end+int64(i), gen)
		vs = append(vs, v)
		if w.written[end+int64(i)] == nil {
			w.written[end+int64(i)] = map[string]bool{}
		}
		w.written[end+int64(i)][v], w.current[end+int64(i)] = true, v
	}
	w.mu.Unlock()
	if _, err := l.AppendAsLeader(values(epochStart.UnixMilli(), vs...), int32(gen), FromClient); err != nil {
		t.Fatal(err)
	}
	l.SetHighWatermark(l.LogEndOffset())
}

func (w *workload) sync(t tb, l *Log) {
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	w.acked.Store(l.FlushedOffset())
}

func (w *workload) run(t tb, fsys vfs.FS) {
	clk := newTestClock()
	m := openManager(t, fsys, clk, smallConfig())
	l, err := m.CreateLog(testTP, testID, smallConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		w.append(t, l, 1, 3)
		if i%2 == 1 {
			w.sync(t, l)
		}
	}
	clk.Advance(time.Minute) // checkpoints
	for range 8 {
		w.append(t, l, 1, 2)
	}
	w.acked.Store(min(w.acked.Load(), 15))
	if err := l.TruncateTo(15); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		w.append(t, l, 2, 3)
	}
	w.sync(t, l)
	if err := l.AdvanceLogStartOffset(7); err != nil {
		t.Fatal(err)
	}
	w.deleted.Store(7)
	cfg := smallConfig()
	cfg.RetentionBytes = 1000
	l.SetConfig(cfg)
	m.ApplyRetention()
	w.append(t, l, 2, 1)
	w.sync(t, l)
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	m = openManager(t, fsys, clk, smallConfig())
	l = m.Log(testTP)
	w.append(t, l, 2, 2)
	w.sync(t, l)
	_ = m.Close(false)
}

// moment is what the disk could hold at one moment, with what had been promised then.
type moment struct {
	op             vfs.Op
	fs             []*vfs.Mem
	acked, deleted int64
	current        map[int64]string
}

// Whatever is on the disk when the power goes or the process dies, what was synced
// is there, once and in order, and nothing is there that was never written.
func TestAMomentOfDeathAtEachOperation(t *testing.T) {
	base := vfs.NewMem()
	format(t, base, "/d")
	w := &workload{written: map[int64]map[string]bool{}, current: map[int64]string{}}
	var moments []moment
	var mu sync.Mutex
	n := uint64(0)
	fault := vfs.NewFault(base, func(op vfs.Op) error {
		if !op.Kind.Mutates() {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		n++
		m := moment{op: op, acked: w.acked.Load(), deleted: w.deleted.Load(), current: map[int64]string{}}
		w.mu.Lock()
		for off, v := range w.current {
			if off < m.acked {
				m.current[off] = v
			}
		}
		w.mu.Unlock()
		m.fs = []*vfs.Mem{base.CrashClone(), base.KillClone(), base.TornClone(rand.New(rand.NewPCG(n, 7)))}
		moments = append(moments, m)
		return nil
	})
	w.run(t, fault)
	if len(moments) < 100 {
		t.Fatalf("only %d operations", len(moments))
	}
	for i, m := range moments {
		for k, fsys := range m.fs {
			name := fmt.Sprintf("op %d (%s %s), %s", i, m.op.Kind, m.op.Name, []string{"power cut", "kill", "torn"}[k])
			first := w.verify(t, name, fsys, m)
			if again := w.verify(t, name+", again", fsys, m); first != again {
				t.Fatalf("%s: the first start finds %s, the second %s", name, first, again)
			}
		}
	}
}

func (w *workload) verify(t *testing.T, name string, fsys *vfs.Mem, m moment) string {
	mustBeSound(t, fsys)
	mgr, err := OpenManager(ManagerOptions{FS: fsys, Clock: newTestClock(), Dirs: []string{"/d"}, ClusterID: "c", NodeID: 1, DefaultConfig: smallConfig(),
		BootID: "boot", tornTailBytes: 64})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer func() { _ = mgr.Close(false) }()
	l := mgr.Log(testTP)
	if l == nil {
		if m.acked > 0 {
			t.Fatalf("%s: the log is gone", name)
		}
		return "no log"
	}
	if l.LogEndOffset() < m.acked || l.LogStartOffset() < m.deleted {
		t.Fatalf("%s: log has [%d, %d), synced was %d, deleted %d", name, l.LogStartOffset(), l.LogEndOffset(), m.acked, m.deleted)
	}
	got := readFrom(t, l, l.LogStartOffset())
	for off := l.LogStartOffset(); off < l.LogEndOffset(); off++ {
		v, ok := got[off]
		if !ok || !w.written[off][v] {
			t.Fatalf("%s: offset %d is %q (%v)", name, off, v, ok)
		}
		if want, ok := m.current[off]; ok && v != want {
			t.Fatalf("%s: offset %d is %q, %q was synced", name, off, v, want)
		}
	}
	return fmt.Sprint(l.LogStartOffset(), l.LogEndOffset(), l.epochs.entries, l.NumSegments())
}

// A damaged byte anywhere in the part that is checked costs what comes after it and no more.
func TestDamageIsCutOff(t *testing.T) {
	m := vfs.NewMem()
	l := testLog(t, m, newTestClock(), smallConfig())
	var ends []int64 // of each batch in the first segment
	for l.NumSegments() < 2 {
		ends = append(ends, mustAppend(t, l, values(1, "some value", "another")).LastOffset+1)
	}
	ends = ends[:len(ends)-1]
	size := l.segments[0].size
	each := size / int64(len(ends))
	for at := range size {
		if in := at % each; in < 8 || in >= 12 && in < 16 {
			continue // neither offset nor epoch is covered by the checksum
		}
		c := m.KillClone()
		f, err := c.OpenFile("/d/t-0/"+segmentName(0)+".log", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 0x40
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		damaged := testLog(t, c, newTestClock(), smallConfig())
		want := int64(0)
		if i := at / each; i > 0 {
			want = ends[i-1]
		}
		if damaged.LogEndOffset() != want {
			t.Fatalf("byte %d: log ends at %d, want %d", at, damaged.LogEndOffset(), want)
		}
	}
}

func TestAFailedSyncSticks(t *testing.T) {
	boom := errors.New("the disk is broken")
	m := vfs.NewMem()
	var failing atomic.Bool
	f := vfs.NewFault(m, func(op vfs.Op) error {
		if failing.Load() && op.Kind == vfs.OpSync {
			return boom
		}
		return nil
	})
	l := testLog(t, f, newTestClock(), DefaultLogConfig())
	mustAppend(t, l, values(1, "a"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, values(1, "b"))
	failing.Store(true)
	if err := l.Flush(); !errors.Is(err, ErrStorage) || !errors.Is(err, boom) {
		t.Fatal(err)
	}
	failing.Store(false)
	done := make(chan error, 1)
	l.AwaitSync(2, func(err error) { done <- err })
	if err := <-done; !errors.Is(err, ErrStorage) {
		t.Fatalf("after a failed sync another says %v", err)
	}
	l.AwaitSync(1, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatalf("what was synced before is still synced: %v", err)
	}
	if _, err := l.AppendAsLeader(values(1, "c"), 1, FromClient); !errors.Is(err, ErrStorage) {
		t.Fatal(err)
	}
	if got := readFrom(t, l, 0); len(got) != 2 {
		t.Fatal("reads go on:", got)
	}
}

func TestAFullDiskIsSurvived(t *testing.T) {
	m := vfs.NewMem()
	var full atomic.Bool
	f := vfs.NewFault(m, func(op vfs.Op) error {
		if full.Load() && op.Kind == vfs.OpWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	l := testLog(t, f, newTestClock(), DefaultLogConfig())
	mustAppend(t, l, from(1, 0, 0, "a"))
	full.Store(true)
	if _, err := l.AppendAsLeader(from(1, 0, 1, "b"), 1, FromClient); !errors.Is(err, ErrStorage) || l.Err() != nil {
		t.Fatal(err, l.Err())
	}
	full.Store(false)
	if info := mustAppend(t, l, from(1, 0, 1, "b")); info.Duplicate || info.FirstOffset != 1 {
		t.Fatalf("a batch that was not written counts as sent: %+v", info)
	}
	if got := readFrom(t, l, 0); len(got) != 2 {
		t.Fatal(got)
	}
}

func TestWaitersLearnOfATruncation(t *testing.T) {
	m := vfs.NewMem()
	hold := make(chan struct{})
	var holding atomic.Bool
	f := vfs.NewFault(m, func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && holding.Load() && bytes.HasSuffix([]byte(op.Name), []byte(".log")) {
			<-hold
		}
		return nil
	})
	l := testLog(t, f, newTestClock(), DefaultLogConfig())
	mustAppend(t, l, values(1, "a"))
	mustAppend(t, l, values(1, "b"))
	holding.Store(true)
	errs := make(chan error, 2)
	l.AwaitSync(1, func(err error) { errs <- err })
	l.AwaitSync(2, func(err error) { errs <- err })
	holding.Store(false)
	if err := l.TruncateTo(1); err != nil {
		t.Fatal(err)
	}
	close(hold)
	a, b := <-errs, <-errs
	if a != nil {
		a, b = b, a
	}
	// The sync may have passed before the truncation: then both were durable.
	if a != nil || b != nil && !errors.Is(b, ErrTruncated) {
		t.Fatal(a, b)
	}
}

func TestOneSyncServesManyWaiters(t *testing.T) {
	m := vfs.NewMem()
	var syncs atomic.Int64
	gate := make(chan struct{})
	f := vfs.NewFault(m, func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && bytes.HasSuffix([]byte(op.Name), []byte(".log")) {
			syncs.Add(1)
			<-gate
		}
		return nil
	})
	l := testLog(t, f, newTestClock(), DefaultLogConfig())
	var wg sync.WaitGroup
	for i := range 100 {
		mustAppend(t, l, values(1, "x"))
		wg.Add(1)
		l.AwaitSync(int64(i+1), func(err error) {
			if err != nil {
				t.Error(err)
			}
			wg.Done()
		})
	}
	close(gate)
	wg.Wait()
	if n := syncs.Load(); n > 2 {
		t.Fatalf("%d syncs for 100 waiters", n)
	}
}
