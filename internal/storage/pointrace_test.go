package storage

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A follower is cut and given the records of a newer leader while a checkpoint is made: what the checkpoint has saved of the log is what
// was there before. It must not be noted as what lies below the point that the log has reached since.
func TestAPointIsNoneOfALogThatIsCutWhileItIsNoted(t *testing.T) {
	base, clk := vfs.NewMem(), newTestClock()
	format(t, base, "/d")
	var during atomic.Pointer[func()]
	fsys := vfs.NewFault(base, func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, timeIndexSuffix) {
			if fn := during.Swap(nil); fn != nil {
				(*fn)()
			}
		}
		return nil
	})
	cfg := smallConfig()
	cfg.SegmentBytes, cfg.IndexBytes = 1<<20, 1<<20
	m := openManager(t, fsys, clk, cfg)
	l := mustCreate(t, m, testTP, 0)
	grow := func(to int64, epoch int32) {
		for l.LogEndOffset() < to {
			if _, err := l.AppendAsLeader(bytes.Clone(values(l.LogEndOffset(), strings.Repeat("v", 50))), epoch, FromClient); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	grow(30, 1)
	cut := func() {
		if err := l.TruncateTo(10); err != nil {
			t.Fatal(err)
		}
		grow(40, 2)
	}
	during.Store(&cut)
	if err := m.checkpointRecoveryPoints(m.dirs[0]); err != nil {
		t.Fatal(err)
	}
	if during.Load() != nil {
		t.Fatal("nothing was cut meanwhile")
	}
	after := base.CrashClone()
	_ = m.Close(false)
	m = openManager(t, after, clk, cfg)
	defer func() { _ = m.Close(false) }()
	l = m.Log(testTP)
	for at, want := range map[int64]int32{9: 1, 10: 2, 20: 2, 39: 2} {
		if got, ok := l.EpochForOffset(at); !ok || got != want {
			t.Errorf("the record at offset %d is of epoch %d by the log, it was written in %d", at, got, want)
		}
	}
	if got := len(readFrom(t, l, 0)); got != 40 {
		t.Errorf("%d records are left", got)
	}
}
