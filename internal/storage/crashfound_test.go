package storage

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// What the cuts of the power have found, each by itself.

// The state of producers whose batches retention takes is on the disk before they go.
func TestRetentionKeepsWhatProducersHadSent(t *testing.T) {
	m := vfs.NewMem()
	cfg := smallConfig()
	l := testLog(t, m, newTestClock(), cfg)
	mustAppend(t, l, inTxn(50, 0, 0, "begun"))
	mustAppend(t, l, from(51, 0, 0, "once", "twice"))
	mustCoordinate(t, l, marker(50, 0, true))
	if err := l.Roll(); err != nil {
		t.Fatal(err)
	}
	base := l.LogEndOffset()
	mustAppend(t, l, from(52, 0, 0, "stays"))
	l.SetHighWatermark(l.LogEndOffset())
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	// As after a power cut, when nobody had synced it yet.
	if err := m.Remove(l.snapshotPath(base)); err != nil {
		t.Fatal(err)
	}
	cfg.RetentionBytes = 1
	l.SetConfig(cfg)
	if n, err := l.DeleteOldSegments(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	again := testLog(t, m.CrashClone(), newTestClock(), cfg)
	for _, p := range sortedProducers(again) {
		if p.CurrentTxnStartOffset >= 0 || p.ProducerID == 51 && p.LastSequence != 1 {
			t.Errorf("%+v", p)
		}
	}
	if n := len(again.ActiveProducers()); n != 3 || again.LogStartOffset() != base {
		t.Fatal(n, again.LogStartOffset())
	}
}

// A log that has lost more than was deleted begins anew without the transactions of what it lost: they would stay open for ever.
func TestALogThatBeginsAnewForgetsItsProducers(t *testing.T) {
	m := vfs.NewMem()
	l := testLog(t, m, newTestClock(), smallConfig())
	mustAppend(t, l, inTxn(50, 0, 0, "begun"))
	if err := l.Roll(); err != nil { // which takes a snapshot
		t.Fatal(err)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	_ = l.Close(false)
	again := testLog(t, m, newTestClock(), smallConfig(), func(o *LogOptions) { o.LogStartOffset, o.RecoveryPoint = 7, 1 })
	if again.LogStartOffset() != 7 || again.LogEndOffset() != 7 || len(again.ActiveProducers()) != 0 {
		t.Fatal(again.LogStartOffset(), again.LogEndOffset(), again.ActiveProducers())
	}
	mustAppend(t, again, values(1, "next"))
	again.SetHighWatermark(8)
	if again.LastStableOffset() != 8 {
		t.Fatal("readers of what is committed are held at", again.LastStableOffset())
	}
}

// dieAt runs change on a log directory until an operation, and returns what the death of the process leaves.
func dieAt(t *testing.T, base *vfs.Mem, is func(vfs.Op) bool, change func(*Log)) *vfs.Mem {
	t.Helper()
	var left *vfs.Mem
	m, err := openCutOn(vfs.NewFault(base, func(op vfs.Op) error {
		if left == nil && is(op) {
			left = base.KillClone()
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close(false) }()
	l, err := m.CreateLog(testTP, testID, smallConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	change(l)
	if left == nil {
		t.Fatal("that operation did not come")
	}
	return left
}

func openCutOn(fsys vfs.FS) (*Manager, error) {
	return OpenManager(ManagerOptions{FS: fsys, Clock: newTestClock(), Dirs: []string{"/d"}, ClusterID: "c", NodeID: 1, DefaultConfig: smallConfig(), BootID: "boot"})
}

// A process that dies within a truncation leaves index entries of what was cut; after a kill nothing else looks at them.
func TestADeathWithinATruncationLeavesNoAbortedTransaction(t *testing.T) {
	base := vfs.NewMem()
	format(t, base, "/d")
	left := dieAt(t, base, func(op vfs.Op) bool { return op.Kind == vfs.OpTruncate && strings.HasSuffix(op.Name, txnIndexSuffix) }, func(l *Log) {
		mustAppend(t, l, values(epochStart.UnixMilli(), "before"))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, inTxn(9, 0, 0, "aborted"))
		mustCoordinate(t, l, marker(9, 0, false))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		l.env.syncer.close()
		if err := l.TruncateTo(1); err != nil {
			t.Fatal(err)
		}
	})
	// The checkpoint says what the cut has noted before it began.
	if err := WriteOffsetCheckpoint(left, "/d/"+recoveryPointFile, map[TopicPartition]int64{testTP: 1}); err != nil {
		t.Fatal(err)
	}
	m, err := openCutOn(left)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close(false) }()
	l := m.Log(testTP)
	mustAppend(t, l, inTxn(9, 0, 0, "committed"))
	mustCoordinate(t, l, marker(9, 0, true))
	if txns, err := l.AbortedTxns(0, l.LogEndOffset()); len(txns) != 0 || err != nil {
		t.Fatal("a committed transaction is hidden by", txns, err)
	}
}

// Of an entry of the time index that was torn, the timestamp is believed only if a batch has it.
func TestHalfATimeIndexEntryIsNotBelieved(t *testing.T) {
	m := vfs.NewMem()
	cfg := smallConfig()
	cfg.IndexIntervalBytes = 1
	l := testLog(t, m, newTestClock(), cfg)
	for i := range 4 {
		mustAppend(t, l, values(int64(100*i), "some value"))
	}
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	name := "/d/t-0/" + segmentName(0) + timeIndexSuffix
	f, err := m.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	entry := encodeTimeIndex([]timeEntry{{ts: 900, rel: 1}})
	if _, err := f.WriteAt(entry, 0); err != nil {
		t.Fatal(err)
	}
	again := testLog(t, m, newTestClock(), cfg, func(o *LogOptions) { o.RecoveryPoint = 4 })
	if found, ok, err := again.MaxTimestampOffset(); err != nil || !ok || found.TimestampMs != 300 {
		t.Fatal(found, ok, err)
	}
}

// A producer snapshot that the power has cut short goes at the next start, also where a newer one is good.
func TestATornSnapshotBelowAGoodOneGoes(t *testing.T) {
	m := vfs.NewMem()
	l := testLog(t, m, newTestClock(), smallConfig())
	mustAppend(t, l, from(1, 0, 0, "a"))
	if err := l.Roll(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, from(1, 0, 1, "b"))
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	name := l.snapshotPath(1)
	b, err := vfs.ReadFile(m, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Overwrite(name, len(b)-4, []byte{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	_ = testLog(t, m, newTestClock(), smallConfig(), func(o *LogOptions) { o.RecoveryPoint = 2 })
	if data, err := vfs.ReadFile(m, name); err == nil {
		if _, err = parseSnapshot(data, 1); err != nil {
			t.Fatal("it is still there:", err)
		}
	}
}

// A death while a log is thrown away, to begin anew elsewhere, leaves no segment at all; nothing was lost by that.
func TestADeathWhileALogBeginsAnewIsNoLoss(t *testing.T) {
	base := vfs.NewMem()
	format(t, base, "/d")
	begun := false
	left := dieAt(t, base, func(op vfs.Op) bool {
		return begun && op.Kind == vfs.OpCreate && strings.Contains(op.Name, segmentName(100))
	}, func(l *Log) {
		mustAppend(t, l, values(1, "a", "b", "c"))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		begun = true
		if err := l.TruncateFullyAndStartAt(100); err != nil {
			t.Fatal(err)
		}
	})
	mustBeSound(t, left)
	var told bytes.Buffer
	m, err := OpenManager(ManagerOptions{FS: left, Clock: newTestClock(), Dirs: []string{"/d"}, ClusterID: "c", NodeID: 1, DefaultConfig: smallConfig(),
		Logger: slog.New(slog.NewTextHandler(&told, nil))})
	if err != nil {
		t.Fatal(err)
	}
	_ = m.Close(false)
	if strings.Contains(told.String(), "lost") {
		t.Error(told.String())
	}
}

// A recovery leaves the index entries below the recovery point where they are: were they written anew, a second cut of the power
// could take those of the time index and leave those of the other, which the next start would believe.
func TestARecoveryLeavesDurableIndexEntriesAlone(t *testing.T) {
	m := vfs.NewMem()
	cfg := smallConfig()
	cfg.IndexIntervalBytes, cfg.SegmentBytes = 1, 1<<20
	l := testLog(t, m, newTestClock(), cfg)
	mustAppend(t, l, values(1, "the first"))
	mustAppend(t, l, values(900, "the latest"))
	for i := range 4 {
		mustAppend(t, l, values(int64(100*i), "some value"))
	}
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	// The moments of the recovery at which the time index is written to: is the entry of the latest record there?
	fault := vfs.NewFault(m, func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, timeIndexSuffix) {
			b, err := vfs.ReadFile(m.KillClone(), op.Name)
			if times := parseTimeIndex(b); err != nil || len(times) == 0 || times[len(times)-1].ts != 900 {
				t.Error(times, err)
			}
		}
		return nil
	})
	l = testLog(t, fault, newTestClock(), cfg, func(o *LogOptions) { o.RecoveryPoint = 6 })
	mustAppend(t, l, values(1000, "the very latest"))
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	if b, err := vfs.ReadFile(m, "/d/t-0/"+segmentName(0)+timeIndexSuffix); err != nil || len(parseTimeIndex(b)) < 2 {
		t.Fatal("nothing was written", parseTimeIndex(b), err)
	}
}
