package storage

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// Ten thousand topics that were deleted together once took a thread of the process each.
func TestDeletedLogsLeaveTheDiskAFewAtATime(t *testing.T) {
	const logs = 50
	m := vfs.NewMem()
	format(t, m, "/d")
	var now, most, done atomic.Int32
	f := vfs.NewFault(m, func(op vfs.Op) error {
		if op.Kind != vfs.OpRemove || !strings.HasSuffix(op.Name, deleteDirSuffix) {
			return nil
		}
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(time.Millisecond) // the disk is slow
		now.Add(-1)
		done.Add(1)
		return nil
	})
	cfg := smallConfig()
	cfg.FileDeleteDelayMs = 1
	mgr := openManager(t, f, clock.Real{}, cfg)
	for i := range int32(logs) {
		if _, err := mgr.CreateLog(TopicPartition{"t", i}, testID, cfg, [16]byte{}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range int32(logs) {
		if err := mgr.DeleteLog(TopicPartition{"t", i}); err != nil {
			t.Fatal(err)
		}
	}
	for range 5000 {
		if done.Load() == logs {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	if done.Load() != logs || most.Load() > maxParallelRemovals {
		t.Fatalf("%d of %d removed, %d at once", done.Load(), logs, most.Load())
	}
}
