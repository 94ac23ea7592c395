package storage

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// The first segments of a log are removed while no node runs. Nothing that is left names them, but the leader epochs do: the loss is
// told by a check and by a start, and the rest is served. What retention removes, or a request, is no loss.
func TestLostFirstSegmentsAreTold(t *testing.T) {
	whole := leftInOrder(t)
	logs := filesOf(t, whole, "/d/t-0", logSuffix)
	for _, lose := range []int{0, 1, len(logs) - 1} {
		m := whole.KillClone()
		for _, name := range logs[:lose] {
			stem := strings.TrimSuffix(name, logSuffix)
			if err := errors.Join(m.Remove(name), removeIfThere(m, stem+indexSuffix), removeIfThere(m, stem+timeIndexSuffix)); err != nil {
				t.Fatal(err)
			}
		}
		if found, sum := checkDir(t, m, true); damagesOf(found) != min(lose, 1) || sum.Repaired != 0 {
			t.Fatal(lose, found)
		}
		for start := range 2 {
			var out logTo
			mgr := openManager(t, m, newTestClock(), smallConfig(), out.option)
			l := mgr.Log(testTP)
			want := int64(4)
			if lose > 0 {
				want = baseOf(t, logs[lose])
			}
			if err := l.Wake(); err != nil || l.LogStartOffset() != want {
				t.Fatal(lose, l.LogStartOffset(), err)
			}
			if got, least := len(readFrom(t, l, want)), 90-int(want); got < least {
				t.Fatalf("%d records of %d are read", got, least)
			}
			if told := strings.Contains(out.String(), "records are lost"); told != (lose > 0) && start == 0 || told && lose == 0 {
				t.Fatal(lose, start, out.String())
			}
			mustAppend(t, l, values(1, "x")) // so that the stop writes down how the log is
			if err := errors.Join(l.TruncateTo(90), mgr.Close(true)); err != nil {
				t.Fatal(err)
			}
			mustBeSound(t, m) // it begins there now
		}
	}
}

// A directory that lies in the place of the producers' state at the beginning of the last segment is set aside before a sync meets it,
// whose failure would cost all logs of the log directory; and one under the name of an index of no segment keeps no log from opening.
func TestADirectoryInPlaceOfASnapshotCostsNoSync(t *testing.T) {
	m := leftInOrder(t)
	logs, snapshots := filesOf(t, m, "/d/t-0", logSuffix), filesOf(t, m, "/d/t-0", snapshotSuffix)
	last := strings.TrimSuffix(logs[len(logs)-1], logSuffix) + snapshotSuffix
	stray := []string{"/d/t-0/" + segmentName(77777) + indexSuffix, "/d/t-0/" + segmentName(1) + snapshotSuffix, "/d/t-0/" + segmentName(99999) + snapshotSuffix}
	if !slices.Contains(snapshots, last) {
		t.Fatal(last, snapshots)
	}
	for _, name := range append(stray, snapshots...) {
		if err := errors.Join(removeIfThere(m, name), m.MkdirAll(name, 0o755), vfs.WriteFileAtomic(m, name+"/x", []byte("kept"))); err != nil {
			t.Fatal(name, err)
		}
	}
	mgr := openManager(t, m, newTestClock(), smallConfig())
	l := mgr.Log(testTP)
	mustAppend(t, l, values(1, "x"))
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	mustBeSound(t, m)
	for _, name := range append(stray, snapshots...) {
		if got := mustRead(t, m, name+".0"+damagedSuffix+"/x"); string(got) != "kept" {
			t.Error(name, string(got))
		}
	}
}
