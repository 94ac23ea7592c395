package storage

import (
	"errors"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A directory with something in it lies where a derived file belongs. The check calls it damage once, and a repair sets it aside and
// makes the file anew; a node that starts does as well, after an orderly stop as after a kill, and serves everything.
func TestADirectoryWhereADerivedFileBelongs(t *testing.T) {
	whole := checkedDir(t)
	first, last := "", ""
	for _, name := range filesOf(t, whole, "/d/t-0", logSuffix) {
		if first == "" {
			first = strings.TrimSuffix(name, logSuffix)
		}
		last = strings.TrimSuffix(name, logSuffix)
	}
	txnIndexes, snapshots := filesOf(t, whole, "/d/t-0", txnIndexSuffix), filesOf(t, whole, "/d/t-0", snapshotSuffix)
	mgr := openManager(t, whole.KillClone(), newTestClock(), smallConfig())
	want := readFrom(t, mgr.Log(testTP), 0)
	_ = mgr.Close(false)
	for _, name := range []string{first + indexSuffix, first + timeIndexSuffix, last + indexSuffix, last + timeIndexSuffix, txnIndexes[0], txnIndexes[len(txnIndexes)-1],
		snapshots[0], snapshots[len(snapshots)-1], "/d/t-0/" + leaderEpochFile, "/d/" + recoveryPointFile, "/d/" + highWatermarkFile, "/d/" + cleanerFile} {
		broken := func() *vfs.Mem {
			m := whole.KillClone()
			if ok, err := vfs.Exists(m, name); err == nil && ok {
				if err := m.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(m.MkdirAll(name, 0o755), m.SyncDir("/d"), m.SyncDir("/d/t-0"), vfs.WriteFileAtomic(m, name+"/x", []byte("kept"))); err != nil {
				t.Fatal(name, err)
			}
			return m
		}
		m := broken()
		if found, _ := checkDir(t, m, false); damagesOf(found) != 1 {
			t.Fatal(name, found)
		}
		if found, sum := checkDir(t, m, true); damagesOf(found) != 1 || sum.Repaired != 1 {
			t.Fatal(name, found, sum)
		}
		mustBeSound(t, m)
		if got := mustRead(t, m, name+".0"+damagedSuffix+"/x"); string(got) != "kept" {
			t.Fatal(name, string(got))
		}
		for _, clean := range []bool{true, false} {
			m := broken()
			if !clean {
				if err := m.Remove("/d/" + cleanShutdownFile); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				clk := newTestClock()
				mgr := openManager(t, m, clk, smallConfig())
				l := mgr.Log(testTP)
				got := readFrom(t, l, 0)
				for at, v := range want {
					if got[at] != v {
						t.Fatal(name, clean, at, l.Err())
					}
				}
				if _, err := l.AbortedTxns(0, l.LogEndOffset()); err != nil {
					t.Fatal(name, clean, err)
				}
				if _, ok, err := l.OffsetForTimestamp(epochStart.UnixMilli()); !ok || err != nil {
					t.Fatal(name, clean, err)
				}
				if _, err := l.AppendAsLeader(values(epochStart.UnixMilli(), "on"), 9, FromClient); err != nil {
					t.Fatal(name, clean, err)
				}
				l.SetHighWatermark(l.LogEndOffset())
				awaitIndexes(l, clk)
				if err := mgr.Close(true); err != nil {
					t.Fatal(name, clean, err)
				}
			}
			// An older snapshot nobody has looked at.
			if found, _ := checkDir(t, m, false); damagesOf(found) != 0 && name != snapshots[0] {
				t.Fatal(name, clean, found)
			}
		}
	}
}

func damagesOf(found []Finding) (n int) {
	for _, f := range found {
		if f.Damage {
			n++
		}
	}
	return n
}
