package storage

import (
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A sync fails while another of the same log waits for its turn. What was to be synced is no longer marked as such, so that the
// second round would find nothing to do and call all durable, if it did not see at once that the first has failed.
func TestARoundBehindAFailedSyncAcknowledgesNothing(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	var fault switchable
	mgr := openManager(t, vfs.NewFault(m, fault.ask), newTestClock(), DefaultLogConfig())
	l := mustCreate(t, mgr, testTP, 0)
	var syncing, release = make(chan struct{}), make(chan struct{})
	var once sync.Once
	var answered atomic.Int32
	fault.set(func(op vfs.Op) error {
		switch {
		case op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, logSuffix):
			once.Do(func() { close(syncing) })
			<-release
			return syscall.EIO
		case op.Kind == vfs.OpRemove && strings.HasSuffix(op.Name, bootFile): // between the failure and what follows from it
			for i := 0; i < 50 && answered.Load() == 0; i++ {
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	})
	for range 2 {
		if _, err := l.AppendAsLeader(values(1, "x"), 0, FromClient); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan error, 2)
	tell := func(err error) {
		answered.Add(1)
		got <- err
	}
	l.AwaitSync(1, tell)
	<-syncing // it has taken both records on itself
	l.AwaitSync(2, tell)
	for range 10 { // and the second round waits for it
		time.Sleep(time.Millisecond)
	}
	close(release)
	for range 2 {
		if err := <-got; err == nil {
			t.Error("acknowledged, though the sync has failed")
		}
	}
	if l.FlushedOffset() != 0 || l.Err() == nil {
		t.Error(l.FlushedOffset(), l.Err())
	}
	fault.set(func(vfs.Op) error { return nil })
	_ = mgr.Close(false)
}
