package storage

import (
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A topic was deleted and made anew under its name after an orderly stop: what the stop noted of the old one is not believed of the new.
func TestATopicMadeAnewSurvivesAKill(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a")
	clk := newTestClock()
	mgr := openManager(t, m, clk, smallConfig(), inOneDir)
	mustAppend(t, mustCreate(t, mgr, testTP, 1), values(1, "a"))
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	mgr = openManager(t, m, clk, smallConfig(), inOneDir)
	if err := mgr.DeleteLog(testTP); err != nil {
		t.Fatal(err)
	}
	anew := [16]byte{9, 9}
	l, err := mgr.CreateLog(testTP, anew, smallConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, values(1, "b", "c"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	for name, disk := range map[string]*vfs.Mem{"kill": m.KillClone(), "power": m.CrashClone()} {
		again := openManager(t, disk, clk, smallConfig(), inOneDir)
		l := again.Log(testTP)
		if err := l.Wake(); err != nil || l.LogEndOffset() != 2 || l.TopicID() != anew {
			t.Errorf("%s: the log ends at %d, its topic is %x, %v", name, l.LogEndOffset(), l.TopicID(), err)
		}
		_ = again.Close(false)
	}
	_ = mgr.Close(false)
}
