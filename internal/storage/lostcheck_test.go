package storage

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// damagesIn are the damages that a check of a directory tells, one a line.
func damagesIn(t *testing.T, fsys vfs.FS, dir string) string {
	t.Helper()
	var b strings.Builder
	if _, err := CheckDir(CheckOptions{FS: fsys, Dir: dir, Found: func(f Finding) {
		if f.Damage {
			b.WriteString(f.String() + "\n")
		}
	}}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A partition's directory is gone after an orderly stop. The check calls it damage: before the node starts, while it is not
// decided how the log goes on, and when it has gone on behind the loss, through further starts; until retention has passed it.
func TestTheCheckGoesOnTellingOfALostDirectory(t *testing.T) {
	m := closedLog(t, 60)
	if what := damagesIn(t, m, "/d"); what != "" {
		t.Fatal(what)
	}
	mgr := openManager(t, m, newTestClock(), smallConfig())
	if err := errors.Join(mgr.Log(testTP).SetTopicID(testID), mgr.Close(true)); err != nil {
		t.Fatal(err)
	}
	if err := m.RemoveAll("/d/t-0"); err != nil {
		t.Fatal(err)
	}
	if what := damagesIn(t, m, "/d"); !strings.Contains(what, "t-0 was here") || !strings.Contains(what, "offset 60") {
		t.Fatal(what)
	}
	var told atomic.Int64
	mgr = openManager(t, m, newTestClock(), smallConfig(), lossy(&told))
	l, err := mgr.CreateLog(testTP, testID, smallConfig(), [16]byte{})
	if err != nil || l.LostUpTo() != 60 {
		t.Fatal(err)
	}
	if what := damagesIn(t, m.KillClone(), "/d"); !strings.Contains(what, "not decided yet") {
		t.Fatal(what)
	}
	if err := mgr.PassLoss(l); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for range 20 {
			mustAppend(t, l, values(1, "behind the loss, and of some length"))
		}
		l.SetHighWatermark(l.LogEndOffset())
		if err := mgr.Close(true); err != nil {
			t.Fatal(err)
		}
		if what := damagesIn(t, m, "/d"); !strings.Contains(what, "from offset 0 to 59 were lost") {
			t.Fatal(what)
		}
		mgr = openManager(t, m, newTestClock(), smallConfig(), lossy(&told))
		l = mgr.Log(testTP)
		if got := readFrom(t, l, l.LogStartOffset()); len(got) != int(l.LogEndOffset())-60 {
			t.Fatal(len(got), l.LogEndOffset())
		}
	}
	if err := l.AdvanceLogStartOffset(100); err != nil {
		t.Fatal(err)
	}
	if _, err := l.DeleteOldSegments(); err != nil {
		t.Fatal(err)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	if what := damagesIn(t, m, "/d"); what != "" {
		t.Fatal(what)
	}
}

func TestPassedLossesAreNotedInText(t *testing.T) {
	for text, n := range map[string]int{"0\n1\n5 9\n": 1, "0\n2\n0 9\n11 12\n": 2, "0\n1\n9 9\n": -1, "0\n1\n-1 9\n": -1, "0\n1\n9\n": -1, "0\n2\n5 9\n": -1, "": -1, "0\n1\nx 9\n": -1} {
		got, err := parsePassedLosses([]byte(text))
		if err != nil && n >= 0 || err == nil && len(got) != n {
			t.Error(text, got, err)
		}
	}
	m := closedLog(t, 3)
	mgr := openManager(t, m, newTestClock(), smallConfig())
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(testTP)
	for i := range int64(3 * maxPassedLosses) {
		for range 2 { // the same again after a stop in between
			if err := l.notePassedLoss(lossRange{10 * i, 10*i + 5}); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := parsePassedLosses(mustRead(t, m, "/d/t-0/"+passedLossFile))
	if err != nil || len(got) != maxPassedLosses || got[0].from != 0 || got[len(got)-1].upTo != 10*(3*maxPassedLosses-1)+5 {
		t.Fatal(got, err)
	}
}

// The check looks into partitions that lie behind a link, as the node serves them.
func TestTheCheckFollowsLinks(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	fsys := vfs.OS{}
	format(t, fsys, dir)
	mgr := openManager(t, fsys, newTestClock(), smallConfig(), func(o *ManagerOptions) { o.Dirs = []string{dir} })
	mustAppend(t, mustCreate(t, mgr, testTP, 0), values(1, "one"))
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(dir+"/t-0", elsewhere+"/t-0"), os.Symlink(elsewhere+"/t-0", dir+"/t-0")); err != nil {
		t.Skip("no links here:", err)
	}
	if what := damagesIn(t, fsys, dir); what != "" {
		t.Fatal(what)
	}
	name := elsewhere + "/t-0/" + segmentName(0) + logSuffix
	data := mustRead(t, fsys, name)
	data[len(data)-1] ^= 1
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if what := damagesIn(t, fsys, dir); !strings.Contains(what, segmentName(0)+logSuffix) {
		t.Fatal("not seen:", what)
	}
}
