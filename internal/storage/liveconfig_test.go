package storage

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// Whoever wants to keep what is deleted for ever says so with the largest number there is.
func TestForEverIsNotAtOnce(t *testing.T) {
	m, clk := vfs.NewMem(), newTestClock()
	format(t, m, "/d")
	cfg := smallConfig()
	cfg.FileDeleteDelayMs = math.MaxInt64
	mgr := openManager(t, m, clk, cfg)
	defer func() { _ = mgr.Close(false) }()
	l, err := mgr.CreateLog(testTP, testID, cfg, [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, values(1, "a"))
	if err := l.Roll(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, values(1, "b"))
	l.SetHighWatermark(2)
	if err := l.AdvanceLogStartOffset(1); err != nil {
		t.Fatal(err)
	}
	if n, err := l.DeleteOldSegments(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	clk.Advance(time.Hour)
	if got := files(t, m, "/d/t-0"); !strings.Contains(got, "00000000000000000000.log.deleted") {
		t.Fatalf("the deleted segment is gone:\n%s", got)
	}
	if err := mgr.DeleteLog(testTP); err != nil {
		t.Fatal(err)
	}
	clk.Advance(time.Hour)
	if got := files(t, m, "/d"); !strings.Contains(got, "-delete") {
		t.Fatalf("the deleted log is gone:\n%s", got)
	}
}

// A flush.ms that is set while records wait to be synced counts for them, also when no other record comes.
func TestAFlushMsCountsForWhatIsThere(t *testing.T) {
	m, clk := vfs.NewMem(), newTestClock()
	synced := make(chan struct{}, 1)
	fsys := vfs.NewFault(m, func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, logSuffix) {
			select {
			case synced <- struct{}{}:
			default:
			}
		}
		return nil
	})
	l := testLog(t, fsys, clk, smallConfig())
	defer func() { _ = l.Close(false) }()
	mustAppend(t, l, values(1, "a"))
	cfg := smallConfig()
	cfg.FlushMs = 1000
	l.SetConfig(cfg)
	if clk.Pending() != 1 {
		t.Fatalf("%d timers are armed for the flush that is due", clk.Pending())
	}
	clk.Advance(time.Second)
	<-synced
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	l.SetConfig(cfg)
	if clk.Pending() != 0 {
		t.Fatal("a flush is due where nothing waits for one")
	}
}
