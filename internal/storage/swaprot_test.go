package storage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// The process dies while a cleaned segment takes the place of three others, and one batch of it has rotted when the node is started
// again. As long as what it was made from is there, nothing is missed; later only that batch is. The log opens in any case.
func TestACleanedSegmentThatRotsBeforeItIsInItsPlace(t *testing.T) {
	for _, header := range []bool{false, true} {
		base := vfs.NewMem()
		format(t, base, "/d")
		cfg := compactConfig()
		clk := newTestClock()
		var killed []*vfs.Mem
		watch := false
		fsys := vfs.NewFault(base, func(op vfs.Op) error {
			if watch && op.Kind.Mutates() {
				killed = append(killed, base.KillClone())
			}
			return nil
		})
		mgr := openManager(t, fsys, clk, cfg)
		l, err := mgr.CreateLog(testTP, testID, cfg, [16]byte{})
		if err != nil {
			t.Fatal(err)
		}
		x := &compacted{t: t, fs: base, clk: clk, m: mgr, l: l}
		for i := range 12 {
			x.put(fmt.Sprintf("once%d=v", i), "again=v")
			if i%4 == 3 {
				x.roll()
			}
		}
		x.put("last=v")
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		want := len(readFrom(t, l, 0))
		watch = true
		x.clean()
		watch = false
		cleaned := len(readFrom(t, l, 0))
		_ = mgr.Close(false)
		if cleaned >= want {
			t.Fatal(cleaned, want)
		}
		swapped, whole := 0, 0
		for i, m := range killed {
			swap := filesOf(t, m, "/d/t-0", logSuffix+swapSuffix)
			if len(swap) == 0 {
				continue
			}
			swapped++
			intact := openManager(t, m.KillClone(), clk, cfg)
			intact.AwaitRecovery()
			kept := readFrom(t, intact.Log(testTP), 0)
			_ = intact.Close(false)
			pos := len(mustRead(t, m, swap[0])) / 2
			if header {
				pos = 16 // the magic of the first batch
			}
			if err := m.FlipBit(swap[0], pos, 3); err != nil {
				t.Fatal(err)
			}
			hadAll := len(filesOf(t, m, "/d/t-0", logSuffix)) == 4 && len(filesOf(t, m, "/d/t-0", indexSuffix+swapSuffix)) == 1 && len(filesOf(t, m, "/d/t-0", txnIndexSuffix+swapSuffix)) == 1
			for range 2 {
				var out logTo
				mgr := openManager(t, m, clk, cfg, out.option)
				mgr.AwaitRecovery()
				l := mgr.Log(testTP)
				if err := l.Wake(); err != nil || l.LogEndOffset() != 25 {
					t.Fatal(i, err, l.LogEndOffset(), out.String())
				}
				if s := files(t, m, "/d/t-0"); strings.Contains(s, swapSuffix) {
					t.Fatal(s)
				}
				if hadAll {
					got := readFrom(t, l, 0)
					for at, v := range kept {
						if got[at] != v {
							t.Fatal(i, at, v, got)
						}
					}
				}
				_ = mgr.Close(true)
			}
			if hadAll {
				whole++
			}
		}
		if swapped < 4 || whole == 0 || whole == swapped {
			t.Fatal(swapped, whole)
		}
	}
}
