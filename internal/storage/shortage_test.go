package storage

import (
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// The process has no descriptor left for a moment: an append is refused, a sync waits, and nothing goes out of use.
func TestALackOfDescriptorsPasses(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a")
	short := false
	fsys := vfs.NewFault(m, func(op vfs.Op) error {
		if short && (op.Kind == vfs.OpOpen || op.Kind == vfs.OpCreate) {
			return &fs.PathError{Op: "open", Path: op.Name, Err: syscall.EMFILE}
		}
		return nil
	})
	clk := newTestClock()
	mgr := openManager(t, fsys, clk, smallConfig(), func(o *ManagerOptions) { o.Dirs, o.MaxOpenFiles = []string{"/a"}, 1 })
	l := mustCreate(t, mgr, testTP, 1)
	mustAppend(t, l, values(1, "x"))
	other := mustCreate(t, mgr, TopicPartition{"u", 0}, 1)
	use := func() { // takes the only idle descriptor
		if err := other.active().with(kindLog, func(vfs.File) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := other.active().with(kindIndex, func(vfs.File) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	use()
	short = true
	if _, err := l.AppendAsLeader(values(1, "y"), 1, FromClient); !errors.Is(err, syscall.EMFILE) {
		t.Fatal(err)
	}
	if err := l.syncNow(); !errors.Is(err, syscall.EMFILE) || l.FlushedOffset() != 0 {
		t.Fatal(err)
	}
	short = false
	mustAppend(t, l, values(1, "y"))
	if err := l.Flush(); err != nil || mgr.Dirs()[0].Err != nil {
		t.Fatal(err, mgr.Dirs()[0].Err)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
}

// Somebody removes one partition's directory: that partition is offline, the others of the log directory are not.
func TestAMissingPartitionTakesNoOtherAway(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a")
	clk := newTestClock()
	mgr := openManager(t, m, clk, smallConfig(), func(o *ManagerOptions) { o.Dirs, o.MaxOpenFiles = []string{"/a"}, 1 })
	l, other := mustCreate(t, mgr, testTP, 1), mustCreate(t, mgr, TopicPartition{"u", 0}, 1)
	mustAppend(t, l, values(1, "x"))
	mustAppend(t, other, values(1, "x"))
	if err := m.RemoveAll(l.Dir()); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(); err == nil {
		if err = l.Roll(); err == nil {
			t.Fatal("a log without files is well")
		}
	}
	clk.Advance(suspicionDelay)
	mustAppend(t, other, values(1, "y"))
	if err := mgr.Dirs()[0].Err; err != nil {
		t.Fatal(err)
	}
	_ = mgr.Close(false)
}

// A log that begins anew fails between the old segments and the new one: who reads it is told.
func TestAReaderOfALogThatFailedOnTheWayIsTold(t *testing.T) {
	on := false
	fsys := vfs.NewFault(vfs.NewMem(), func(op vfs.Op) error {
		if on && op.Kind == vfs.OpCreate && strings.HasSuffix(op.Name, "10.index") {
			return &fs.PathError{Op: "open", Path: op.Name, Err: syscall.EIO}
		}
		return nil
	})
	l := testLog(t, fsys, newTestClock(), smallConfig())
	mustAppend(t, l, values(1, "x"))
	on = true
	if err := l.TruncateFullyAndStartAt(10); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if _, err := l.Read(0, 1000, 1, true); !errors.Is(err, ErrStorage) {
		t.Fatal(err)
	}
	_, _, err := l.OffsetForTimestamp(0)
	_, _, err2 := l.MaxTimestampOffset()
	_, err3 := l.AbortedTxns(0, 1)
	if errors.Is(errors.Join(err, err2, err3), errGone) {
		t.Fatal(err, err2, err3)
	}
	_ = l.Close(false)
}

// There are no descriptors for a sync. Who flushes, maybe under a lock, is told so at once; who waits for an acknowledgement waits for
// the next try, and gets it.
func TestAFlushWithoutDescriptorsDoesNotWait(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	var short atomic.Bool
	fsys := vfs.NewFault(m, func(op vfs.Op) error {
		if short.Load() && op.Kind == vfs.OpSyncDir {
			return syscall.EMFILE
		}
		return nil
	})
	clk := newTestClock()
	mgr := openManager(t, fsys, clk, smallConfig())
	defer func() { _ = mgr.Close(true) }()
	l := mustCreate(t, mgr, testTP, 0)
	short.Store(true)
	mustAppend(t, l, values(1, "a"))
	acknowledged := make(chan error, 1)
	l.AwaitSync(1, func(err error) { acknowledged <- err })
	err := l.Flush()
	wantErr(t, err, ErrStorage, syscall.EMFILE)
	if l.Err() != nil || len(acknowledged) != 0 {
		t.Fatal(l.Err(), len(acknowledged))
	}
	short.Store(false)
	for l.FlushedOffset() != 1 { // the retry is put on the clock in the background
		clk.Advance(payRetry)
		runtime.Gosched()
	}
	if err := errors.Join(<-acknowledged, l.Flush()); err != nil {
		t.Fatal(err)
	}
}
