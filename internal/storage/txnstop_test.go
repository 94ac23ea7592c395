package storage

import (
	"strings"
	"testing"
)

// A reader of committed records has a transaction before it that was never ended, over many batches: who stops the node does not
// wait for the walk over them.
func TestAStopEndsTheCheckOfALongTransaction(t *testing.T) {
	m := closedLog(t, 0)
	mgr := openManager(t, m, newTestClock(), smallConfig())
	l := mgr.Log(testTP)
	for i := range int32(40) {
		mustAppend(t, l, inTxn(7, 0, i, strings.Repeat("v", 50)))
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	mgr = openManager(t, m, newTestClock(), smallConfig())
	defer func() { _ = mgr.Close(false) }()
	l = mgr.Log(testTP)
	if err := l.Wake(); err != nil {
		t.Fatal(err)
	}
	l.env.stopping.Store(true)
	_, err := l.AbortedTxns(0, 40)
	wantErr(t, err, ErrClosed)
	l.env.stopping.Store(false)
	if txns, err := l.AbortedTxns(0, 40); err != nil || len(txns) != 0 {
		t.Fatal(txns, err)
	}
}
