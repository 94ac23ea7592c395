package storage

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// An entry of the transaction index that finds no room waits in memory: readers know of the aborted transaction, the
// log goes on, and the entry is written before the marker counts as being on the disk.
func TestAFullDiskKeepsAbortedTransactionsWaiting(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	var s switchable
	clk := newTestClock()
	mgr := openManager(t, vfs.NewFault(m, s.ask), clk, DefaultLogConfig())
	l := mustCreate(t, mgr, testTP, 0)
	abort := func(seq int32) {
		t.Helper()
		mustAppend(t, l, inTxn(1, 0, seq, "never"))
		mustCoordinate(t, l, marker(1, 0, false))
		l.SetHighWatermark(l.LogEndOffset())
	}
	abort(0)
	s.set(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, txnIndexSuffix) {
			return syscall.ENOSPC
		}
		return nil
	})
	abort(1)
	abort(2)
	if txns, err := l.AbortedTxns(0, 100); len(txns) != 3 || err != nil || l.Err() != nil {
		t.Fatal(txns, err, l.Err())
	}
	end := l.LogEndOffset()
	done := make(chan error, 1)
	l.AwaitSync(end, func(err error) { done <- err })
	if l.FlushedOffset() >= end {
		t.Fatal("it counts as synced without the index")
	}
	s.set(func(vfs.Op) error { return nil })
	for waiting := true; waiting; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			waiting = false
		default:
			clk.Advance(time.Second)
		}
	}
	cut := m.CrashClone()
	_ = mgr.Close(false)
	mgr = openManager(t, cut, newTestClock(), DefaultLogConfig())
	defer func() { _ = mgr.Close(true) }()
	if txns, err := mgr.Log(testTP).AbortedTxns(0, 100); len(txns) != 3 || err != nil {
		t.Fatal(txns, err)
	}
}
