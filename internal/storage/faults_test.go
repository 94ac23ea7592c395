package storage

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// switchable lets a test put a fault on and off while logs are at work.
type switchable struct {
	hook atomic.Pointer[func(vfs.Op) error]
}

func (s *switchable) set(h func(vfs.Op) error) { s.hook.Store(&h) }

func (s *switchable) ask(op vfs.Op) error {
	if h := s.hook.Load(); h != nil {
		return (*h)(op)
	}
	return nil
}

// logTo has what is logged written where a test can look.
type logTo struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logTo) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logTo) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logTo) option(o *ManagerOptions) { o.Logger = slog.New(slog.NewTextHandler(l, nil)) }

func mustCreate(t tb, m *Manager, tp TopicPartition, dir byte) *Log {
	t.Helper()
	l, err := m.CreateLog(tp, testID, m.opts.DefaultConfig, [16]byte{dir})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wantErr(t tb, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Fatalf("%v is not %v", err, w)
		}
	}
}

// A node with very many partitions starts as fast as one with few: nothing is looked at that nobody asks for.
func TestWhatWasLeftInOrderIsOpenedWhenItIsNeeded(t *testing.T) {
	const logs = 300
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig())
	for i := range logs {
		mustAppend(t, mustCreate(t, mgr, TopicPartition{"t", int32(i)}, 0), values(epochStart.UnixMilli(), "one", "two"))
		mgr.Log(TopicPartition{"t", int32(i)}).SetHighWatermark(2)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	var inside atomic.Int64
	fsys := vfs.NewFault(m, func(op vfs.Op) error {
		if strings.HasPrefix(op.Name, "/d/t-") {
			inside.Add(1)
		}
		return nil
	})
	clk := newTestClock()
	mgr = openManager(t, fsys, clk, smallConfig(), func(o *ManagerOptions) { o.DefaultConfig.RetentionMs = 7 * 86_400_000 })
	defer func() { _ = mgr.Close(true) }()
	for _, l := range mgr.Logs() {
		if l.TopicID() != testID || !l.Dormant() || l.SetTopicID(testID) != nil {
			t.Fatal(l.TopicPartition(), l.TopicID(), l.Dormant())
		}
		if at, err := l.BeginEpoch(3); at != 2 || err != nil {
			t.Fatal(at, err)
		}
	}
	clk.Advance(10 * time.Minute) // retention, checkpoints, expiry, probes
	if n := mgr.files.open; n != 0 {
		t.Fatalf("%d files are open", n)
	}
	for _, l := range mgr.Logs() {
		if l.isOpen() {
			t.Fatal("retention woke a log that it has nothing to do in")
		}
	}
	inside.Store(0)
	l := mgr.Log(TopicPartition{"t", 7})
	if got := readFrom(t, l, 0); len(got) != 2 || l.Dormant() {
		t.Fatal(got)
	}
	if e, ok := l.LatestEpoch(); !ok || e != 3 {
		t.Fatal("the epoch that began while it slept is forgotten", e, ok)
	}
	if n := inside.Load(); n == 0 || n > 60 {
		t.Fatalf("%d operations to open one log", n)
	}
}

func TestStartLooksIntoNoPartition(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig())
	for i := range 20 {
		mustAppend(t, mustCreate(t, mgr, TopicPartition{"t", int32(i)}, 0), values(1, "one"))
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	fsys := vfs.NewFault(m, func(op vfs.Op) error {
		if strings.HasPrefix(op.Name, "/d/t-") {
			t.Errorf("the start does %s on %s", op.Kind, op.Name)
		}
		return nil
	})
	mgr = openManager(t, fsys, newTestClock(), smallConfig())
	for _, l := range mgr.Logs() {
		if l.TopicID() != testID {
			t.Fatal(l.TopicID())
		}
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	// And again: nothing was touched.
	mgr = openManager(t, fsys, newTestClock(), smallConfig())
	if mgr.PreviousBrokerEpoch() != -1 || len(mgr.Logs()) != 20 {
		t.Fatal(len(mgr.Logs()))
	}
	_ = mgr.Close(true)
}

// After a kill the kernel still has everything: logs that nobody changed are as the last orderly stop left them.
func TestAfterAKillOnlyChangedLogsAreChecked(t *testing.T) {
	boot := func(id string) func(*ManagerOptions) { return func(o *ManagerOptions) { o.BootID = id } }
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig(), boot("A"))
	for i := range 10 {
		mustAppend(t, mustCreate(t, mgr, TopicPartition{"t", int32(i)}, 0), values(1, "one"))
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	mgr = openManager(t, m, newTestClock(), smallConfig(), boot("A"))
	mustAppend(t, mgr.Log(TopicPartition{"t", 3}), values(1, "two"))
	mustAppend(t, mustCreate(t, mgr, TopicPartition{"new", 0}, 0), values(1, "one", "two"))
	readFrom(t, mgr.Log(TopicPartition{"t", 4}), 0) // opened, and not changed
	killed := m.KillClone()
	_ = mgr.Close(false)

	for name, c := range map[string]struct {
		boot string
		want int
	}{"the same boot": {"A", 2}, "after a power cut": {"B", 11}, "nobody knows": {"", 11}} {
		t.Run(name, func(t *testing.T) {
			var out logTo
			mgr := openManager(t, killed.KillClone(), newTestClock(), smallConfig(), boot(c.boot), out.option)
			defer func() { _ = mgr.Close(true) }()
			if !strings.Contains(out.String(), fmt.Sprintf("recovering %d logs", c.want)) {
				t.Fatal(out.String())
			}
			for i := range 10 {
				l, want := mgr.Log(TopicPartition{"t", int32(i)}), 1
				if i == 3 {
					want = 2
				}
				if got := readFrom(t, l, 0); len(got) != want || l.TopicID() != testID {
					t.Fatal(i, got)
				}
			}
			if got := readFrom(t, mgr.Log(TopicPartition{"new", 0}), 0); len(got) != 2 {
				t.Fatal(got)
			}
		})
	}
}

// A log serves as soon as it has been checked, whatever the others take.
func TestLogsServeWhileOthersRecover(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig())
	slow, quick := TopicPartition{"slow", 0}, TopicPartition{"quick", 0}
	mustAppend(t, mustCreate(t, mgr, slow, 0), values(1, "one"))
	mustAppend(t, mustCreate(t, mgr, quick, 0), values(1, "one", "two"))
	killed := m.KillClone()
	_ = mgr.Close(false)

	goOn := make(chan struct{})
	fsys := vfs.NewFault(killed, func(op vfs.Op) error {
		if strings.HasPrefix(op.Name, "/d/slow-0/") && op.Kind == vfs.OpRead {
			<-goOn
		}
		return nil
	})
	mgr = openManager(t, fsys, newTestClock(), smallConfig(), func(o *ManagerOptions) { o.BackgroundRecovery, o.RecoveryThreadsPerDir = true, 2 })
	defer func() { _ = mgr.Close(true) }()
	ready := make(chan struct{})
	if l := mgr.Log(quick); l.WhenReady(func() { close(ready) }) {
		<-ready
	}
	if got := readFrom(t, mgr.Log(quick), 0); len(got) != 2 {
		t.Fatal(got)
	}
	l := mgr.Log(slow)
	_, err := l.Read(0, 100, 1, true)
	wantErr(t, err, ErrNotReady)
	if r := mgr.Recovery(); r[0].RemainingLogs != 1 || r[0].TotalLogs != 2 {
		t.Fatal(r)
	}
	done := make(chan struct{})
	if !l.WhenReady(func() { close(done) }) {
		t.Fatal("it is ready")
	}
	close(goOn)
	<-done
	if got := readFrom(t, l, 0); len(got) != 1 {
		t.Fatal(got)
	}
}

// A stop while logs are being checked leaves the directory as one that has to be checked.
func TestAStopDuringRecoveryIsNotInOrder(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig())
	mustAppend(t, mustCreate(t, mgr, testTP, 0), values(1, "one"))
	killed := m.KillClone()
	_ = mgr.Close(false)
	reading, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fsys := vfs.NewFault(killed, func(op vfs.Op) error {
		if strings.HasSuffix(op.Name, logSuffix) && op.Kind == vfs.OpRead {
			once.Do(func() { close(reading) })
			<-goOn
		}
		return nil
	})
	mgr = openManager(t, fsys, newTestClock(), smallConfig(), func(o *ManagerOptions) { o.BackgroundRecovery = true })
	<-reading
	mgr.dirs[0].env.stopping.Store(true) // what Close does first
	close(goOn)
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	if ok, _ := vfs.Exists(killed, "/d/"+cleanShutdownFile); ok {
		t.Fatal("the marker says that everything was left in order")
	}
	mgr = openManager(t, killed, newTestClock(), smallConfig())
	if got := readFrom(t, mgr.Log(testTP), 0); len(got) != 1 {
		t.Fatal(got)
	}
	_ = mgr.Close(true)
}

// What cannot be opened is offline with the reason, and takes nothing else with it.
func TestALogThatCannotBeOpenedIsOfflineAlone(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig())
	other := TopicPartition{"other", 0}
	mustAppend(t, mustCreate(t, mgr, testTP, 0), values(1, "one"))
	mustAppend(t, mustCreate(t, mgr, other, 0), values(1, "one"))
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	fsys := vfs.NewFault(m, func(op vfs.Op) error {
		if strings.HasPrefix(op.Name, "/d/t-0/") && op.Kind == vfs.OpRead {
			return syscall.EIO
		}
		return nil
	})
	mgr = openManager(t, fsys, newTestClock(), smallConfig())
	l := mgr.Log(testTP)
	_, err := l.AppendAsLeader(values(1, "x"), 0, FromClient)
	wantErr(t, err, ErrStorage, syscall.EIO)
	wantErr(t, l.Err(), ErrStorage)
	_, err = l.Read(0, 10, 1, true)
	wantErr(t, err, ErrStorage)
	mustAppend(t, mgr.Log(other), values(1, "two"))
	_ = mgr.Close(true)
	mgr = openManager(t, m, newTestClock(), smallConfig())
	if got := readFrom(t, mgr.Log(testTP), 0); len(got) != 1 {
		t.Fatal("an I/O error has cost records", got)
	}
	_ = mgr.Close(true)
}

// As in Kafka, a write or a sync that fails takes the directory out of use, and nothing beside it.
func TestAFailingDirectoryGoesAlone(t *testing.T) {
	for name, fault := range map[string]func(vfs.Op) error{
		"sync": func(op vfs.Op) error {
			if op.Kind == vfs.OpSync && strings.HasPrefix(op.Name, "/a/") {
				return syscall.EIO
			}
			return nil
		},
		"write": func(op vfs.Op) error {
			if op.Kind == vfs.OpWrite && strings.HasPrefix(op.Name, "/a/") {
				return syscall.EIO
			}
			return nil
		},
		"vanished":  vfs.Vanished("/a"),
		"read-only": vfs.ReadOnly("/a"),
	} {
		for _, traffic := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s traffic=%v", name, traffic), func(t *testing.T) {
				m := vfs.NewMem()
				format(t, m, "/a", "/b")
				var s switchable
				clk := newTestClock()
				told := make(chan int, 1)
				mgr := openManager(t, vfs.NewFault(m, s.ask), clk, smallConfig(), func(o *ManagerOptions) {
					o.Dirs = []string{"/a", "/b"}
					o.OnDirFailed = func(d DirInfo, left int) {
						if d.Path == "/a" {
							told <- left
						}
					}
				})
				defer func() { _ = mgr.Close(true) }()
				var in [2]*Log
				for i := range in {
					in[i] = mustCreate(t, mgr, TopicPartition{"t", int32(i)}, byte(i+1))
					mustAppend(t, in[i], values(1, "one"))
				}
				bystander := mustCreate(t, mgr, TopicPartition{"t", 2}, 1)
				s.set(fault)
				if traffic {
					_, err := in[0].AppendAsLeader(values(1, "two"), 0, FromClient)
					if err == nil {
						err = in[0].Flush()
					}
					wantErr(t, err, ErrStorage)
					clk.Advance(0)
				} else {
					clk.Advance(time.Minute) // the probe
				}
				if left := <-told; left != 1 {
					t.Fatal(left)
				}
				wantErr(t, in[0].Err(), ErrStorage)
				wantErr(t, bystander.Err(), ErrStorage)
				if d := mgr.Dirs(); d[0].Err == nil || d[1].Err != nil {
					t.Fatal(d)
				}
				mustAppend(t, in[1], values(1, "two"))
				if err := in[1].Flush(); err != nil {
					t.Fatal(err)
				}
				_, err := mgr.CreateLog(TopicPartition{"n", 0}, testID, smallConfig(), [16]byte{1})
				wantErr(t, err, ErrNoDirectory)
				if l := mustCreate(t, mgr, TopicPartition{"n", 0}, 0); l.LogDir() != "/b" {
					t.Fatal(l.LogDir())
				}
				s.set(func(vfs.Op) error { return nil })
				_, err = in[0].AppendAsLeader(values(1, "three"), 0, FromClient)
				wantErr(t, err, ErrStorage) // what the kernel has dropped does not come back
			})
		}
	}
}

// One bad sector is no reason to take all partitions away.
func TestAReadThatFailsCostsOnlyItself(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	var s switchable
	clk := newTestClock()
	mgr := openManager(t, vfs.NewFault(m, s.ask), clk, smallConfig())
	defer func() { _ = mgr.Close(true) }()
	l := mustCreate(t, mgr, testTP, 0)
	for range 40 {
		mustAppend(t, l, values(1, strings.Repeat("v", 40)))
	}
	s.set(func(op vfs.Op) error {
		if op.Kind == vfs.OpRead && strings.HasSuffix(op.Name, segmentName(0)+logSuffix) {
			return syscall.EIO
		}
		return nil
	})
	slice, err := l.Read(1, 1000, 40, true)
	if err == nil {
		_, err = slice.Bytes()
		slice.Release()
	}
	wantErr(t, err, syscall.EIO)
	clk.Advance(time.Minute)
	mustAppend(t, l, values(1, "on"))
	if mgr.Dirs()[0].Err != nil || l.Err() != nil {
		t.Fatal(mgr.Dirs()[0].Err, l.Err())
	}
}

// Records are refused while there is still space for what would make more; then they are taken again.
func TestRecordsAreRefusedBeforeTheDiskIsFull(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	m.SetQuota(64 << 10)
	clk := newTestClock()
	cfg := smallConfig()
	cfg.FileDeleteDelayMs = 0
	var out logTo
	mgr := openManager(t, m, clk, cfg, out.option, func(o *ManagerOptions) { o.ReserveBytes = 16 << 10 })
	l := mustCreate(t, mgr, testTP, 0)
	var err error
	n := 0
	for ; err == nil && n < 10_000; n++ {
		_, err = l.AppendAsLeader(values(1, strings.Repeat("v", 100)), 0, FromClient)
	}
	n--
	wantErr(t, err, ErrStorage, ErrDiskFull)
	if l.Err() != nil || mgr.Dirs()[0].Err != nil {
		t.Fatal("a full disk is no broken one", l.Err(), mgr.Dirs()[0].Err)
	}
	if _, free, _ := m.Usage("/d"); free < 14<<10 || n < 100 {
		t.Fatalf("%d appends leave %d bytes", n, free)
	}
	mustCoordinate(t, l, values(1, "a commit"))
	if got := readFrom(t, l, 0); len(got) != n+1 {
		t.Fatal(len(got), n)
	}
	l.SetHighWatermark(int64(n))
	if err := errors.Join(l.AdvanceLogStartOffset(int64(n/2)), mgr.CheckpointAll()); err != nil {
		t.Fatal(err)
	}
	if gone, err := l.DeleteOldSegments(); gone == 0 || err != nil {
		t.Fatal(gone, err)
	}
	clk.Advance(time.Second)
	mustAppend(t, l, values(1, "again"))
	if s := out.String(); !strings.Contains(s, "almost full") || !strings.Contains(s, "space on the disk again") {
		t.Fatal(s)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
}

// closedLog is a directory with a log of n batches in several segments that was closed in order.
func closedLog(t tb, n int) *vfs.Mem {
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig())
	l := mustCreate(t, mgr, testTP, 0)
	for i := range n {
		mustAppend(t, l, values(epochStart.UnixMilli(), fmt.Sprintf("value %03d %s", i, strings.Repeat("v", 30))))
	}
	l.SetHighWatermark(int64(n))
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	return m
}

// A bit that a disk has turned over is found, told with its place, and never given out; what is around it is.
func TestADamagedBatchIsNeverGivenOut(t *testing.T) {
	verify := func(o *ManagerOptions) { o.VerifyReads = true }
	intact := closedLog(t, 60)
	mgr := openManager(t, intact.KillClone(), newTestClock(), smallConfig(), verify)
	l := mgr.Log(testTP)
	if got := readFrom(t, l, 0); len(got) != 60 {
		t.Fatal(len(got))
	}
	v := l.views()[1] // a closed one
	second := v.seg.base + 1
	pos, err := v.seg.log.locate(v, mustFile(t, v.seg), second)
	if err != nil {
		t.Fatal(err)
	}
	name := v.seg.path(kindLog)
	_ = mgr.Close(true)

	for what, damage := range map[string]func(m *vfs.Mem) error{
		"a bit of a record":     func(m *vfs.Mem) error { return m.FlipBit(name, int(pos)+70, 3) },
		"a bit of the checksum": func(m *vfs.Mem) error { return m.FlipBit(name, int(pos)+18, 3) },
		"a batch of elsewhere": func(m *vfs.Mem) error {
			b, err := vfs.ReadFile(m, name)
			if err != nil {
				return err
			}
			return m.Overwrite(name, int(pos), b[:pos]) // the one before, as if written twice
		},
	} {
		t.Run(what, func(t *testing.T) {
			m := intact.KillClone()
			if err := damage(m); err != nil {
				t.Fatal(err)
			}
			var out logTo
			mgr := openManager(t, m, newTestClock(), smallConfig(), verify, out.option)
			defer func() { _ = mgr.Close(true) }()
			l := mgr.Log(testTP)
			_, err := l.Read(second, 1000, 60, true)
			var c *CorruptError
			if !errors.As(err, &c) || c.File != name || c.Position != pos || !errors.Is(err, ErrCorruptRecord) {
				t.Fatalf("%v: not told at %s %d", err, name, pos)
			}
			for _, at := range []int64{0, second - 1, second + 1, 59} {
				s, err := l.Read(at, 10_000, 60, true)
				if err != nil {
					t.Fatal(at, err)
				}
				b, err := s.Bytes()
				if err != nil || s.Len == 0 {
					t.Fatal(at, s.Len, err)
				}
				if at < second && s.NextOffset > second {
					t.Fatalf("offset %d gives bytes up to %d", at, s.NextOffset)
				}
				if at == second-1 && s.NextOffset != second {
					t.Fatal(s.NextOffset)
				}
				_ = b
				s.Release()
			}
			if !strings.Contains(out.String(), "is damaged") || !strings.Contains(out.String(), name) || mgr.Damaged() != 1 {
				t.Fatal(out.String())
			}
		})
	}
}

func mustFile(t tb, s *segment) vfs.File {
	t.Helper()
	f, err := s.acquire(kindLog)
	if err != nil {
		t.Fatal(err)
	}
	s.release(kindLog)
	return f
}

// The search looks at a few active segments at a time, since each may have to be opened, and comes to all of them.
func TestTheSearchOpensFewFilesAtATime(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig())
	defer func() { _ = mgr.Close(true) }()
	for i := range int32(10) {
		mustCreate(t, mgr, TopicPartition{Topic: "t", Partition: i}, 0).LogEndOffset()
	}
	d := mgr.dirs[0]
	d.scrub(1) // a round begins
	for left := 10; left > 0; left -= 2 {
		if len(d.scrubber.logs) != left {
			t.Fatalf("%d logs are left to be looked at, and not %d", len(d.scrubber.logs), left)
		}
		d.scrub(2 * activeLookBytes)
	}
}

// Damage that nobody reads is found by the search in the background.
func TestClosedSegmentsAreSearchedForDamage(t *testing.T) {
	m := closedLog(t, 60)
	var out logTo
	clk := newTestClock()
	mgr := openManager(t, m, clk, smallConfig(), out.option, func(o *ManagerOptions) { o.ScrubBytesPerSecond = 1000 })
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(testTP)
	clk.Advance(time.Minute)
	if l.isOpen() {
		t.Fatal("the search has woken a log")
	}
	l.LogEndOffset()
	for range 60 {
		clk.Advance(time.Second)
	}
	if mgr.Damaged() != 0 {
		t.Fatal(out.String())
	}
	if err := m.FlipBit(l.segments[2].path(kindLog), 80, 1); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		clk.Advance(time.Second)
	}
	if mgr.Damaged() != 1 || !strings.Contains(out.String(), l.segments[2].path(kindLog)) {
		t.Fatal(mgr.Damaged(), out.String())
	}
	clk.Advance(time.Minute)
	if mgr.Damaged() != 1 {
		t.Fatal("the same damage is counted again")
	}
}

// Records that recovery must take out of the log are kept beside it.
func TestWhatRecoveryCutsOffIsKept(t *testing.T) {
	m := closedLog(t, 60)
	if err := m.Remove("/d/" + cleanShutdownFile); err != nil {
		t.Fatal(err)
	}
	if err := m.Remove("/d/" + recoveryPointFile); err != nil {
		t.Fatal(err)
	}
	names := filesOf(t, m, "/d/t-0", logSuffix)
	if err := m.FlipBit(names[1], 80, 1); err != nil {
		t.Fatal(err)
	}
	var before []byte
	for _, n := range names {
		b, err := vfs.ReadFile(m, n)
		if err != nil {
			t.Fatal(err)
		}
		before = append(before, b...)
	}
	var out logTo
	mgr := openManager(t, m, newTestClock(), smallConfig(), out.option)
	l := mgr.Log(testTP)
	if got := readFrom(t, l, 0); int64(len(got)) != l.LogEndOffset() || len(got) == 0 || len(got) > 20 {
		t.Fatal(len(got))
	}
	var after int
	for _, n := range append(filesOf(t, m, "/d/t-0", logSuffix), filesOf(t, m, "/d/t-0", damagedSuffix)...) {
		b, err := vfs.ReadFile(m, n)
		if err != nil {
			t.Fatal(err)
		}
		after += len(b)
	}
	if after != len(before) || len(filesOf(t, m, "/d/t-0", damagedSuffix)) != len(names)-1 || !strings.Contains(out.String(), "aside") {
		t.Fatalf("%d bytes were there, %d are: %s\n%s", len(before), after, files(t, m, "/d/t-0"), out.String())
	}
	mustAppend(t, l, values(1, "on"))
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	mgr = openManager(t, m, newTestClock(), smallConfig())
	if n := mgr.Log(testTP).LogEndOffset(); n != l.LogEndOffset() {
		t.Fatal("the files set aside have come back", n)
	}
	_ = mgr.Close(true)
}

// A power cut between a truncation and what follows once looked like the loss of synced records.
func TestATruncationIsNoLoss(t *testing.T) {
	for _, to := range []int64{31, 12, 0} {
		m := closedLog(t, 60)
		var clones []*vfs.Mem
		recording := atomic.Bool{}
		fsys := vfs.NewFault(m, func(op vfs.Op) error {
			if recording.Load() && op.Kind.Mutates() {
				clones = append(clones, m.CrashClone(), m.KillClone())
			}
			return nil
		})
		mgr := openManager(t, fsys, newTestClock(), smallConfig())
		l := mgr.Log(testTP)
		l.LogEndOffset()
		recording.Store(true)
		if err := l.TruncateTo(to); err != nil {
			t.Fatal(err)
		}
		recording.Store(false)
		_ = mgr.Close(false)
		for i, c := range append(clones, m.CrashClone()) {
			var out logTo
			mgr := openManager(t, c, newTestClock(), smallConfig(), out.option)
			end := mgr.Log(testTP).LogEndOffset()
			if s := out.String(); strings.Contains(s, "are lost") || end < to || end > 60 {
				t.Fatalf("cut %d of a truncation to %d leaves a log that ends at %d: %s", i, to, end, s)
			}
			_ = mgr.Close(false)
		}
		if len(clones) < 6 {
			t.Fatalf("only %d cuts", len(clones))
		}
	}
}
