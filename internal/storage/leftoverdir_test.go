package storage

import (
	"testing"
)

// A directory with the name of something that a stop leaves is none of ours: it stays, and keeps no log from opening.
func TestADirectoryNamedLikeALeftoverStays(t *testing.T) {
	m := leftInOrder(t)
	var dirs []string
	for _, suffix := range []string{logSuffix + deletedSuffix, logSuffix + cleanedSuffix, logSuffix + swapSuffix, ".tmp"} {
		dir := "/d/t-0/" + segmentName(0) + suffix
		if err := m.MkdirAll(dir+"/in it", 0o755); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	mustBeSound(t, m)
	mgr := openManager(t, m, newTestClock(), smallConfig())
	defer func() { _ = mgr.Close(false) }()
	if got := len(readFrom(t, mgr.Log(testTP), mgr.Log(testTP).LogStartOffset())); got < 86 {
		t.Fatalf("%d records are read", got)
	}
	for _, dir := range dirs {
		if _, err := m.Stat(dir + "/in it"); err != nil {
			t.Error(err)
		}
	}
}
