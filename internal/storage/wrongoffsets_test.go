package storage

import (
	"bytes"
	"math"
	"strconv"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// leftInOrder is a log directory with a log of 90 records, closed in order.
func leftInOrder(t tb) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig())
	l := mustCreate(t, mgr, testTP, 0)
	for range 30 {
		mustAppend(t, l, values(1, "a", "b", "c"))
	}
	l.SetHighWatermark(90)
	if err := l.AdvanceLogStartOffset(4); err != nil {
		t.Fatal(err)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	return m
}

// A log that was left in order does not start behind its end. A checkpoint that says so is damaged, and costs no record; nor when
// the node is killed before it has written the next.
func TestADamagedStartOffsetCostsNoRecords(t *testing.T) {
	m, clk := leftInOrder(t), newTestClock()
	if err := WriteOffsetCheckpoint(m, "/d/"+logStartFile, map[TopicPartition]int64{testTP: 4000}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		mgr := openManager(t, m, clk, smallConfig())
		l := mgr.Log(testTP)
		if err := l.Wake(); err != nil || l.LogStartOffset() != 0 || l.LogEndOffset() != 90 || l.HighWatermark() != 90 {
			t.Fatal(err, l.LogStartOffset(), l.LogEndOffset(), l.HighWatermark())
		}
		if got := len(readFrom(t, l, 0)); got != 90 {
			t.Fatalf("%d records are left", got)
		}
		m = m.KillClone()
		_ = mgr.Close(false)
	}
}

// An offset that no log can have reached is damage wherever a file tells it: a log that went on there would have none for the next record.
func TestAnOffsetThatCannotBeIsDamage(t *testing.T) {
	for _, name := range []string{recoveryPointFile, logStartFile, highWatermarkFile, cleanerFile} {
		for _, at := range []int64{math.MaxInt64, math.MaxInt64 - 1, maxOffset + 1} {
			t.Run(name+" "+strconv.FormatInt(at, 10), func(t *testing.T) {
				m := leftInOrder(t)
				if err := WriteOffsetCheckpoint(m, "/d/"+name, map[TopicPartition]int64{testTP: at}); err != nil {
					t.Fatal(err)
				}
				mgr := openManager(t, m, newTestClock(), smallConfig(), func(o *ManagerOptions) { o.OnDiffers = func(TopicPartition) {} })
				defer func() { _ = mgr.Close(false) }()
				l := mgr.Log(testTP)
				if err := l.Wake(); err != nil || l.LogEndOffset() != 90 || l.LostUpTo() != 0 {
					t.Fatal(err, l.LogEndOffset(), l.LostUpTo())
				}
				mustAppend(t, l, values(1, "d"))
			})
		}
	}
}

// Where the offsets end, records are refused, and the process goes on.
func TestALogWithoutOffsetsLeftTakesNoRecords(t *testing.T) {
	m := vfs.NewMem()
	l := testLog(t, m, newTestClock(), smallConfig())
	defer func() { _ = l.Close(false) }()
	if err := l.TruncateFullyAndStartAt(math.MaxInt64 - 1); err != nil {
		t.Fatal(err)
	}
	_, err := l.AppendAsLeader(bytes.Clone(values(1, "a", "b")), 1, FromClient)
	wantErr(t, err, ErrStorage)
	copied := values(1, "a", "b")
	copied.SetBaseOffset(math.MaxInt64 - 1)
	_, err = l.AppendAsFollower(copied, 1)
	wantErr(t, err, ErrOffsetOutOfRange)
	if l.LogEndOffset() != math.MaxInt64-1 || l.Err() != nil {
		t.Fatal(l.LogEndOffset(), l.Err())
	}
	mustAppend(t, l, values(1, "the last one"))
}
