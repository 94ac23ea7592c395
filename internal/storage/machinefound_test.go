package storage

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// What the machine has found, each alone.

// Retention takes several segments, and the process dies or the power goes on the way. What a producer had sent is in none of the
// segments that are left, and it is known all the same: at the beginning of each there is the state from before.
func TestADeathWithinRetentionKeepsWhatProducersHadSent(t *testing.T) {
	base := vfs.NewMem()
	format(t, base, "/d")
	w := &watcher{at: func(op vfs.Op) bool { return op.Kind.Mutates() }, deaths: []func() *vfs.Mem{
		base.KillClone, base.CrashClone, func() *vfs.Mem { return base.MixedClone(true, false) },
	}}
	m := openManager(t, w.over(base), newTestClock(), smallConfig())
	l := mustCreate(t, m, testTP, 0)
	mustAppend(t, l, from(7, 3, 0, "early"))
	for range 4 {
		if err := l.Roll(); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, values(epochStart.UnixMilli(), "later"))
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	l.SetHighWatermark(l.LogEndOffset())
	if err := l.AdvanceLogStartOffset(4); err != nil {
		t.Fatal(err)
	}
	left := w.during(func() {
		if n, err := l.DeleteOldSegments(); n != 4 || err != nil {
			t.Fatal(n, err)
		}
	})
	if len(left) < 20 {
		t.Fatalf("only %d disks", len(left))
	}
	for i, fsys := range left {
		again := openManager(t, fsys, newTestClock(), smallConfig())
		known := sortedProducers(again.Log(testTP))
		if len(known) != 1 || known[0].ProducerID != 7 || known[0].ProducerEpoch != 3 || known[0].LastSequence != 0 {
			t.Errorf("disk %d: known are %+v", i, known)
		}
		_ = again.Close(false)
	}
	_ = m.Close(false)
}

// DeleteRecords has taken the record with the largest timestamp, from a batch of which others are left, or from a segment where a
// marker is what is left.
func TestTheLargestTimestampIsOfARecordThatCanBeRead(t *testing.T) {
	l := testLog(t, vfs.NewMem(), newTestClock(), DefaultLogConfig())
	b := record.NewBuilder(record.BuilderOptions{})
	for _, ts := range []int64{900, 100, 300} {
		b.Append(ts, nil, []byte("v"), nil)
	}
	mustAppend(t, l, b.Build())
	l.SetHighWatermark(3)
	if err := l.AdvanceLogStartOffset(1); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := l.MaxTimestampOffset(); err != nil || !ok || got.Offset != 2 || got.TimestampMs != 300 {
		t.Fatal(got, ok, err)
	}
	mustAppend(t, l, batchOf(record.BuilderOptions{HasProducer: true, ProducerID: 1, Transactional: true}, 1, "x"))
	at := mustCoordinate(t, l, record.EndTxnBatch(1, 0, 500, record.EndTxnMarker{})).FirstOffset
	if got, ok, err := l.MaxTimestampOffset(); err != nil || !ok || got.Offset != at || got.TimestampMs != 500 {
		t.Fatal(got, ok, err)
	}
}

// A power cut takes records that were committed, and others, of a new leader, get their offsets. The high watermark that was noted is
// not theirs: after a kill before the next checkpoint, none of them is committed.
func TestAnOldHighWatermarkCommitsNoNewRecords(t *testing.T) {
	disk := vfs.NewMem()
	format(t, disk, "/d")
	m := openManager(t, disk, newTestClock(), smallConfig())
	l := mustCreate(t, m, testTP, 0)
	mustAppend(t, l, values(1, "a", "b", "c"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, values(2, "d", "e", "f"))
	l.SetHighWatermark(6)
	if err := m.CheckpointAll(); err != nil {
		t.Fatal(err)
	}
	disk = disk.CrashClone()
	_ = m.Close(false)

	m = openManager(t, disk, newTestClock(), smallConfig())
	if l = m.Log(testTP); l.LogEndOffset() != 3 || l.HighWatermark() != 3 {
		t.Fatal(l.LogEndOffset(), l.HighWatermark())
	}
	if _, err := l.AppendAsLeader(values(3, "x", "y", "z"), 8, FromClient); err != nil {
		t.Fatal(err)
	}
	disk = disk.KillClone()
	_ = m.Close(false)

	m = openManager(t, disk, newTestClock(), smallConfig())
	defer func() { _ = m.Close(false) }()
	if l = m.Log(testTP); l.LogEndOffset() != 6 || l.HighWatermark() != 3 {
		t.Fatalf("the log ends at %d, and up to %d it is committed", l.LogEndOffset(), l.HighWatermark())
	}
}

// A new replica begins where its leader's log does, and says that it is on the disk up to there. A power cut does not take that
// back, with the name of its directory.
func TestALogThatBeginsAnewIsOnTheDisk(t *testing.T) {
	disk := vfs.NewMem()
	format(t, disk, "/d")
	if err := disk.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	m := openManager(t, disk, newTestClock(), smallConfig())
	l := mustCreate(t, m, testTP, 0)
	if err := l.TruncateFullyAndStartAt(41); err != nil {
		t.Fatal(err)
	}
	if at := l.FlushedOffset(); at != 41 {
		t.Fatal(at)
	}
	disk = disk.CrashClone()
	_ = m.Close(false)

	m = openManager(t, disk, newTestClock(), smallConfig())
	defer func() { _ = m.Close(false) }()
	l = m.Log(testTP)
	if l == nil || l.LogStartOffset() != 41 || l.LogEndOffset() != 41 {
		t.Fatal("the log has gone back")
	}
}

// DeleteRecords sets the log's start to where a leader epoch begins, and the cleaner takes the first record of it, but not the batch
// before, which is in the same file. The check of the directory asks no epoch of an offset at which nothing is.
func TestTheCheckAsksNoEpochWhereTheCleanerWas(t *testing.T) {
	x := newCompacted(t, compactConfig())
	x.put("old=1", "older=1")
	for _, kv := range []string{"k=1", "k=2", "z=1"} {
		if _, err := x.l.AppendAsLeader(keyed(record.BuilderOptions{}, 1, kv), 2, FromClient); err != nil {
			t.Fatal(err)
		}
	}
	x.roll()
	x.l.SetHighWatermark(5)
	if err := x.l.AdvanceLogStartOffset(2); err != nil {
		t.Fatal(err)
	}
	x.clean()
	if got := readFrom(t, x.l, 2); len(got) != 2 {
		t.Fatal(got)
	}
	if err := x.m.Close(true); err != nil {
		t.Fatal(err)
	}
	mustBeSound(t, x.fs)
	found, _ := checkDir(t, x.fs, false)
	for _, f := range found {
		t.Error(f)
	}
}

// A follower begins anew, and dies on the way. As long as records are left, what producers had sent before them is known.
func TestADeathWithinABeginningAnewKeepsWhatProducersHadSent(t *testing.T) {
	disk := vfs.NewMem()
	format(t, disk, "/d")
	w := &watcher{at: func(op vfs.Op) bool { return op.Kind.Mutates() }, deaths: []func() *vfs.Mem{
		disk.KillClone, disk.CrashClone, func() *vfs.Mem { return disk.MixedClone(true, false) }, func() *vfs.Mem { return disk.MixedClone(false, true) },
	}}
	m := openManager(t, w.over(disk), newTestClock(), smallConfig())
	l := mustCreate(t, m, testTP, 0)
	mustAppend(t, l, from(7, 3, 0, "early"))
	for range 3 {
		if err := l.Roll(); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, values(epochStart.UnixMilli(), "later"))
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	l.SetHighWatermark(4)
	if err := l.AdvanceLogStartOffset(1); err != nil {
		t.Fatal(err)
	}
	if n, err := l.DeleteOldSegments(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	left := w.during(func() {
		if err := l.TruncateFullyAndStartAt(50); err != nil {
			t.Fatal(err)
		}
	})
	if known := sortedProducers(l); len(known) != 0 {
		t.Fatal(known)
	}
	with, without := 0, 0
	for i, fsys := range left {
		again := openManager(t, fsys, newTestClock(), smallConfig())
		l := again.Log(testTP)
		switch known := sortedProducers(l); {
		case l.LogEndOffset() > l.LogStartOffset():
			if with++; len(known) != 1 || known[0].ProducerEpoch != 3 || known[0].LastSequence != 0 {
				t.Errorf("disk %d: the log is [%d, %d), known are %+v", i, l.LogStartOffset(), l.LogEndOffset(), known)
			}
		case l.LogEndOffset() == 50:
			if without++; len(known) != 0 {
				t.Errorf("disk %d: known are %+v", i, known)
			}
		}
		_ = again.Close(false)
	}
	if with == 0 || without == 0 {
		t.Fatal("disks with and without records:", with, without)
	}
	_ = m.Close(false)
}

// What producers had sent below the log's start moves with the log: their epochs fence, a batch that comes again is known, and a
// transaction that began there is open from there on, also when the copy begins within a batch, or the log is started again.
func TestAMoveTakesAlongWhatProducersHadSent(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	clk := newTestClock()
	mgr := openManager(t, m, clk, smallConfig(), twoDirs)
	l := mustCreate(t, mgr, testTP, 1)
	mustAppend(t, l, from(7, 3, 0, "a", "b"))  // 0
	mustAppend(t, l, inTxn(8, 0, 0, "c"))      // 2
	mustAppend(t, l, inTxn(9, 0, 0, "d"))      // 3
	mustAppend(t, l, values(1, "e", "f", "g")) // 4
	mustAppend(t, l, values(1, "h"))           // 7
	mustCoordinate(t, l, marker(9, 0, false))  // 8
	l.SetHighWatermark(l.LogEndOffset())
	if err := l.AdvanceLogStartOffset(5); err != nil {
		t.Fatal(err)
	}
	f, err := mgr.BeginMove(testTP, "/b")
	if err != nil {
		t.Fatal(err)
	}
	copyAll(t, f)
	if l, err = f.Swap(); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		if got, err := l.AbortedTxns(5, 9); err != nil || len(got) != 1 || got[0] != (AbortedTxn{9, 3, 8, 2}) {
			t.Error(got, err)
		}
		if err := l.TruncateTo(8); err != nil { // as a follower: the producers' state is read again
			t.Fatal(err)
		}
		known := sortedProducers(l)
		if len(known) != 3 || known[0].ProducerEpoch != 3 || known[0].LastSequence != 1 || known[1].CurrentTxnStartOffset != 2 || known[2].CurrentTxnStartOffset != 3 {
			t.Errorf("known are %+v", known)
		}
		if _, err := l.AppendAsLeader(from(7, 2, 0, "from before"), 8, FromClient); !errors.Is(err, ErrInvalidProducerEpoch) {
			t.Error(err)
		}
		if info, err := l.AppendAsLeader(from(7, 3, 0, "a", "b"), 8, FromClient); err != nil || !info.Duplicate || info.FirstOffset != 0 {
			t.Error(info, err)
		}
		mustCoordinate(t, l, marker(9, 0, false))
		l.SetHighWatermark(9)
	}
	check()
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	mgr = openManager(t, m, clk, smallConfig(), twoDirs)
	l = mgr.Log(testTP)
	check()
	m = m.KillClone()
	_ = mgr.Close(false)
	mgr = openManager(t, m, clk, smallConfig(), twoDirs)
	defer func() { _ = mgr.Close(false) }()
	l = mgr.Log(testTP)
	check()
}

// The cleaner has taken batches that tell what producers had sent. The log remembers it all the same, and so does the copy of it.
func TestAMoveOfACleanedLogTakesAlongWhatProducersHadSent(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a", "/b")
	mgr := openManager(t, m, newTestClock(), compactConfig(), twoDirs)
	l, err := mgr.CreateLog(testTP, testID, compactConfig(), [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		mustAppend(t, l, keyed(record.BuilderOptions{HasProducer: true, ProducerID: 7, BaseSequence: int32(i)}, int64(i), "k=old"))
	}
	mustAppend(t, l, keyed(record.BuilderOptions{}, 3, "k=new"))
	if err := l.Roll(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, keyed(record.BuilderOptions{}, 4, "other=1"))
	l.SetHighWatermark(5)
	if !cleanNow(t, mgr, l) {
		t.Fatal("not cleaned")
	}
	want := *l.producers.byID[7]
	f, err := mgr.BeginMove(testTP, "/b")
	if err != nil {
		t.Fatal(err)
	}
	copyAll(t, f)
	if l, err = f.Swap(); err != nil {
		t.Fatal(err)
	}
	if got := l.producers.byID[7]; got == nil || *got != want || want.n != 3 {
		t.Fatalf("the copy knows %+v, the log %+v", got, want)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
}

// A producer was forgotten and began with the same sequence again, and a start that replays the log knows of both. The batch that comes
// again is the newer.
func TestABatchThatComesAgainIsTheNewest(t *testing.T) {
	disk := vfs.NewMem()
	format(t, disk, "/d")
	m := openManager(t, disk, newTestClock(), smallConfig())
	l := mustCreate(t, m, testTP, 0)
	mustAppend(t, l, from(7, 0, 0, "a"))
	l.ExpireProducers(epochStart.UnixMilli() * 2)
	mustAppend(t, l, from(7, 0, 0, "b"))
	disk = disk.KillClone()
	_ = m.Close(false)
	m = openManager(t, disk, newTestClock(), smallConfig())
	defer func() { _ = m.Close(false) }()
	info, err := m.Log(testTP).AppendAsLeader(from(7, 0, 0, "b"), 8, FromClient)
	if err != nil || !info.Duplicate || info.FirstOffset != 1 {
		t.Fatal(info, err)
	}
}

// diesAt calls do, and returns the disk as a kill leaves it before the first operation of a kind on a name.
func diesAt(t *testing.T, disk *vfs.Mem, cfg LogConfig, kind vfs.OpKind, name string, prepare, do func(*Log)) *vfs.Mem {
	t.Helper()
	w := &watcher{at: func(op vfs.Op) bool { return op.Kind == kind && op.Name == name }, deaths: []func() *vfs.Mem{disk.KillClone}}
	m := openManager(t, w.over(disk), newTestClock(), cfg)
	l := mustCreate(t, m, testTP, 0)
	prepare(l)
	if err := m.CheckpointAll(); err != nil {
		t.Fatal(err)
	}
	left := w.during(func() { do(l) })
	if len(left) == 0 {
		t.Fatalf("no %s of %s", kind, name)
	}
	return left[0]
}

// watcher keeps what a death would leave of a disk before each operation of some kind.
type watcher struct {
	at     func(vfs.Op) bool
	deaths []func() *vfs.Mem // each way to die

	mu   sync.Mutex
	on   bool
	left []*vfs.Mem
}

func (w *watcher) over(disk *vfs.Mem) vfs.FS {
	return vfs.NewFault(disk, func(op vfs.Op) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.on && w.at(op) {
			for _, die := range w.deaths {
				w.left = append(w.left, die())
			}
		}
		return nil
	})
}

// during watches while do runs, and returns the disks.
func (w *watcher) during(do func()) []*vfs.Mem {
	w.mu.Lock()
	w.on = true
	w.mu.Unlock()
	do()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = false
	return w.left
}

// A process dies after it has removed a segment that is cut off, and before the name's going is on the disk. The next one appends, and
// the records are synced. Then the power is cut, and does not bring the old segment back, in front of them.
func TestACutThatAProcessDiesInIsOver(t *testing.T) {
	disk := vfs.NewMem()
	format(t, disk, "/d")
	left := diesAt(t, disk, smallConfig(), vfs.OpSyncDir, "/d/t-0", func(l *Log) {
		mustAppend(t, l, values(1, "a", "b", "c"))
		for _, old := range []string{"old", "older"} {
			if err := l.Roll(); err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, values(1, old))
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}, func(l *Log) {
		if err := l.TruncateTo(3); err != nil {
			t.Fatal(err)
		}
	})
	m := openManager(t, left, newTestClock(), smallConfig())
	l := m.Log(testTP)
	if l.LogEndOffset() != 4 {
		t.Fatal(l.LogEndOffset())
	}
	if _, err := l.AppendAsLeader(values(2, "new", "newer"), 9, FromClient); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := m.CheckpointAll(); err != nil {
		t.Fatal(err)
	}
	left = left.CrashClone()
	_ = m.Close(false)
	m = openManager(t, left, newTestClock(), smallConfig())
	defer func() { _ = m.Close(false) }()
	got := readFrom(t, m.Log(testTP), 0)
	if len(got) != 6 || got[4] != "new" || got[5] != "newer" {
		t.Fatal(got)
	}
}

// A process dies when DeleteRecords has given the file of start offsets its name, which is not on the disk yet. The client asks the next
// one again, for which nothing is left to do, and is told that the records are deleted. So they are, also after a cut of the power.
func TestACheckpointThatAKillHasLeftCounts(t *testing.T) {
	disk := vfs.NewMem()
	format(t, disk, "/d")
	left := diesAt(t, disk, smallConfig(), vfs.OpSyncDir, "/d", func(l *Log) {
		mustAppend(t, l, values(1, "a", "b", "c"))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		l.SetHighWatermark(3)
	}, func(l *Log) {
		if err := l.AdvanceLogStartOffset(2); err != nil {
			t.Fatal(err)
		}
	})
	m := openManager(t, left, newTestClock(), smallConfig())
	l := m.Log(testTP)
	if l.LogStartOffset() != 2 {
		t.Fatal(l.LogStartOffset())
	}
	if err := l.AdvanceLogStartOffset(2); err != nil {
		t.Fatal(err)
	}
	left = left.CrashClone()
	_ = m.Close(false)
	m = openManager(t, left, newTestClock(), smallConfig())
	defer func() { _ = m.Close(false) }()
	if at := m.Log(testTP).LogStartOffset(); at != 2 {
		t.Fatal("deleted records are there again, from offset", at)
	}
}

// A start makes a producer snapshot that is missing. The power does not leave a broken one in its place.
func TestASnapshotThatAStartMakesIsWhole(t *testing.T) {
	disk := vfs.NewMem()
	format(t, disk, "/d")
	m := openManager(t, disk, newTestClock(), smallConfig())
	l := mustCreate(t, m, testTP, 0)
	for i := range 3 {
		mustAppend(t, l, from(7, 0, int32(i), "v"))
		if err := l.Roll(); err != nil {
			t.Fatal(err)
		}
	}
	name := l.snapshotPath(1)
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{1, 2, 3} {
		if err := removeIfThere(disk, l.snapshotPath(at)); err != nil {
			t.Fatal(err)
		}
	}
	m = openManager(t, disk, newTestClock(), smallConfig())
	if err := m.Log(testTP).Wake(); err != nil {
		t.Fatal(err)
	}
	for i, left := range []*vfs.Mem{disk.CrashClone(), disk.MixedClone(true, false), disk.MixedClone(false, true)} {
		b, err := vfs.ReadFile(left, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			_, err = parseSnapshot(b, 1)
		}
		if err != nil {
			t.Errorf("disk %d: %v", i, err)
		}
	}
	_ = m.Close(false)
}

// A new follower's log rolls, and the power takes the name of its first segment and leaves that of the second. It does not begin there: it
// would never copy from its leader what is below.
func TestARollLeavesNoSegmentAlone(t *testing.T) {
	disk := vfs.NewMem()
	format(t, disk, "/d")
	var left []*vfs.Mem
	var mu sync.Mutex
	m := openManager(t, vfs.NewFault(disk, func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind.Mutates() {
			for seed := range uint64(8) {
				left = append(left, disk.TornClone(rand.New(rand.NewPCG(seed, 1))))
			}
		}
		return nil
	}), newTestClock(), smallConfig())
	l := mustCreate(t, m, testTP, 0)
	mustAppend(t, l, values(1, "a", "b", "c"))
	if err := l.Roll(); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	disks := left
	mu.Unlock()
	for i, left := range disks {
		again := openManager(t, left, newTestClock(), smallConfig())
		if l := again.Log(testTP); l != nil && l.LogStartOffset() > 0 {
			t.Errorf("disk %d: the log is [%d, %d)", i, l.LogStartOffset(), l.LogEndOffset())
		}
		_ = again.Close(false)
	}
	_ = m.Close(false)
}

// All records that a file of leader epochs tells of are gone, and it is older than the last of them: retention has deleted them, or the
// power took what lay below the start that DeleteRecords had set. The newest epoch that it names does not reach to where the log goes on.
func TestAnOldFileOfEpochsTellsNothingOfLostRecords(t *testing.T) {
	for _, retention := range []bool{true, false} {
		disk := vfs.NewMem()
		format(t, disk, "/d")
		m := openManager(t, disk, newTestClock(), smallConfig())
		l := mustCreate(t, m, testTP, 0)
		for epoch := range int32(2) {
			if _, err := l.AppendAsLeader(values(1, "a", "b"), epoch+1, FromClient); err != nil {
				t.Fatal(err)
			}
			if epoch > 0 {
				break
			}
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
			if err := m.CheckpointAll(); err != nil {
				t.Fatal(err)
			}
		}
		l.SetHighWatermark(4)
		if retention {
			cfg := smallConfig()
			cfg.RetentionMs = 0
			l.SetConfig(cfg)
			if n, err := l.DeleteOldSegments(); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		} else if err := l.AdvanceLogStartOffset(4); err != nil {
			t.Fatal(err)
		}
		disk = disk.CrashClone()
		_ = m.Close(false)
		for range 2 {
			m = openManager(t, disk, newTestClock(), smallConfig())
			l = m.Log(testTP)
			if l.LogStartOffset() != 4 || l.LogEndOffset() != 4 {
				t.Fatal(l.LogStartOffset(), l.LogEndOffset())
			}
			if epoch, ok := l.LatestEpoch(); ok && epoch != 2 {
				t.Errorf("retention %v: the log ends in epoch %d", retention, epoch)
			}
			disk = disk.KillClone()
			_ = m.Close(false)
		}
	}
}

// The power leaves zeros where the entry of an aborted transaction was written, whose marker is lost. They are no entry.
func TestZerosAreNoAbortedTransaction(t *testing.T) {
	disk := vfs.NewMem()
	format(t, disk, "/d")
	m := openManager(t, disk, newTestClock(), smallConfig())
	l := mustCreate(t, m, testTP, 0)
	mustAppend(t, l, values(1, "a", "b"))
	if err := l.Roll(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, values(1, "c"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := m.CheckpointAll(); err != nil {
		t.Fatal(err)
	}
	name := l.segments[1].path(kindTxnIndex)
	disk = disk.KillClone()
	_ = m.Close(false)
	if err := writeFile(disk, name, make([]byte, txnEntryBytes), true); err != nil {
		t.Fatal(err)
	}
	m = openManager(t, disk, newTestClock(), smallConfig(), func(o *ManagerOptions) { o.BootID = "another" })
	if err := m.Log(testTP).Wake(); err != nil {
		t.Fatal(err)
	}
	b, err := vfs.ReadFile(disk, name)
	if err != nil || len(b) != 0 {
		t.Fatal(b, err)
	}
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	mustBeSound(t, disk)
}

// A process dies right after it has sealed a segment and begun the next. All of the log is on the disk, and the next process has nothing
// to check. The sealed segment's index is, too, when records are synced that come after it.
func TestASegmentThatWasSealedBeforeAKillIsSynced(t *testing.T) {
	disk := vfs.NewMem()
	format(t, disk, "/d")
	cfg := smallConfig()
	cfg.IndexIntervalBytes = 0
	early := func(o *ManagerOptions) { o.BootID = "early" }
	m := openManager(t, disk, newTestClock(), cfg, early)
	l := mustCreate(t, m, testTP, 0)
	mustAppend(t, l, values(1, "a"))
	mustAppend(t, l, values(1, "b"))
	if err := m.Close(true); err != nil {
		t.Fatal(err)
	}
	m = openManager(t, disk, newTestClock(), cfg, early)
	disk = disk.CrashClone() // the next start makes the end of the index anew
	_ = m.Close(false)
	left := diesAt(t, disk, cfg, vfs.OpSync, "/d/t-0/00000000000000000000.log", func(l *Log) {
		if err := l.Wake(); err != nil {
			t.Fatal(err)
		}
	}, func(l *Log) {
		if err := l.Roll(); err != nil {
			t.Fatal(err)
		}
		e := l.env.syncer // the roll has asked for a sync
		e.mu.Lock()
		for e.workers > 0 {
			e.idle.Wait()
		}
		e.mu.Unlock()
	})
	m = openManager(t, left, newTestClock(), cfg)
	l = m.Log(testTP)
	if l.NumSegments() != 2 || l.LogEndOffset() != 2 || l.FlushedOffset() != 2 {
		t.Fatal(l.NumSegments(), l.LogEndOffset(), l.FlushedOffset())
	}
	mustAppend(t, l, values(1, "c"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	name := l.segments[0].path(kindIndex)
	b, err := vfs.ReadFile(left.CrashClone(), name)
	if err != nil || len(b) != offsetEntryBytes {
		t.Fatal(b, err)
	}
	_ = m.Close(false)
}
