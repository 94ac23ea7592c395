package storage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// readable reads a log from each of its offsets and tells which values there are; what is damaged is passed over.
func readable(t *testing.T, l *Log) map[int64]string {
	t.Helper()
	got := map[int64]string{}
	for at := int64(0); at < l.LogEndOffset(); at++ {
		s, err := l.Read(at, 1, l.LogEndOffset(), true)
		if err != nil {
			wantErr(t, err, ErrCorruptRecord)
			continue
		}
		b, err := s.Bytes()
		s.Release()
		if err != nil {
			t.Fatal(err)
		}
		got[at] = string(b)
	}
	return got
}

// One batch of an old segment has rotted, and a small derived file is damaged as well: nothing but that batch is missed, also when
// the power is cut after that start, and again.
func TestARottenBatchCostsItselfWhateverDerivedFileIsDamaged(t *testing.T) {
	intact := txnStory(t, true)
	logs := filesOf(t, intact, "/a/t-0", logSuffix)
	mgr := openManager(t, intact.KillClone(), newTestClock(), smallConfig(), inOneDir)
	want := readable(t, mgr.Log(testTP))
	_ = mgr.Close(false)
	derived := []string{"", "/a/t-0/" + leaderEpochFile, "/a/" + highWatermarkFile, "/a/" + cleanStateFile}
	for _, suffix := range []string{indexSuffix, timeIndexSuffix, txnIndexSuffix, snapshotSuffix} {
		derived = append(derived, filesOf(t, intact, "/a/t-0", suffix)...)
	}
	for _, rotten := range []int{0, 1, len(logs) - 2} {
		for i, name := range append(derived, derived...) {
			pointless := i >= len(derived) // the file of the recovery points is damaged as well
			t.Run(fmt.Sprintf("segment %d and %s, pointless %v", rotten, name, pointless), func(t *testing.T) {
				m := intact.KillClone()
				if pointless {
					overwrite(t, m, "/a/"+recoveryPointFile, []byte("0\n1\nt 0"))
				}
				data := mustRead(t, m, logs[rotten])
				if err := m.FlipBit(logs[rotten], len(data)-3, 1); err != nil {
					t.Fatal(err)
				}
				if name != "" {
					if n := len(mustRead(t, m, name)); n > 0 {
						if err := m.FlipBit(name, n-1, 3); err != nil {
							t.Fatal(err)
						}
					}
				}
				for range 3 {
					mgr := openManager(t, m, newTestClock(), smallConfig(), inOneDir)
					mgr.AwaitRecovery()
					l := mgr.Log(testTP)
					if err := l.Wake(); err != nil {
						t.Fatal(err)
					}
					got := readable(t, l)
					if l.LogEndOffset() != int64(len(want)) || len(got) < len(want)-1 || l.NumSegments() != len(logs) {
						t.Fatalf("%d of %d batches are read, the log ends at %d and has %d segments", len(got), len(want), l.LogEndOffset(), l.NumSegments())
					}
					for at, v := range got {
						if want[at] != v {
							t.Fatalf("at offset %d is %q, not %q", at, v, want[at])
						}
					}
					if e, ok := l.LatestEpoch(); !ok || e != 1 {
						t.Fatal(e, ok)
					}
					if aside := filesOf(t, m, "/a/t-0", damagedSuffix); len(aside) > 0 {
						t.Fatal(aside)
					}
					cut := m.CrashClone()
					_ = mgr.Close(false)
					m = cut
				}
			})
		}
	}
}

// The offset of a batch is not under its checksum. One that says it lies behind the next segment takes nothing with it.
func TestABatchThatSaysItLiesInALaterSegmentTakesNothingWithIt(t *testing.T) {
	m := txnStory(t, true)
	logs := filesOf(t, m, "/a/t-0", logSuffix)
	if err := m.FlipBit(logs[1], 6, 2); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, m, "/a/t-0/"+leaderEpochFile, []byte("garbage"))
	var out logTo
	mgr := openManager(t, m, newTestClock(), smallConfig(), inOneDir, out.option)
	defer func() { _ = mgr.Close(false) }()
	l := mgr.Log(testTP)
	if err := l.Wake(); err != nil {
		t.Fatal(err)
	}
	if l.NumSegments() != len(logs) || !strings.Contains(out.String(), "keeping its bytes") || len(filesOf(t, m, "/a/t-0", damagedSuffix)) > 0 {
		t.Fatal(l.NumSegments(), len(logs), out.String())
	}
	if ok, err := vfs.Exists(m, logs[2]); err != nil || !ok {
		t.Fatal(err)
	}
}
