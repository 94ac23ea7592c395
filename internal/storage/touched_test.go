package storage

import (
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// sameInode is a file system that gives the number of a file that was removed to the next one, as many do.
type sameInode struct{ *vfs.Mem }

func (s sameInode) Identity(name string) (string, error) {
	if ok, err := vfs.Exists(s.Mem, name); err != nil || !ok {
		return s.Mem.Identity(name)
	}
	return "mount:7", nil
}

// A sync fails, and the node is killed. The next run makes the boot file anew, notes of no log that it changes it, and is killed as
// well: the third must not go by what the first has noted.
func TestWhatAnEarlierRunHasNotedOfChangesIsNotBelievedTwoKillsLater(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/a")
	clk := newTestClock()
	open := func(m *vfs.Mem) *Manager {
		mgr := openManager(t, sameInode{m}, clk, smallConfig(), inOneDir)
		mgr.AwaitRecovery()
		return mgr
	}
	mgr := open(m)
	l := mustCreate(t, mgr, testTP, 1)
	mustAppend(t, l, values(1, "of the deleted topic"))
	l.SetHighWatermark(1)
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}

	mgr = open(m)
	mgr.dirs[0].doubtPages()
	m = m.KillClone()
	_ = mgr.Close(false)

	mgr = open(m)
	if err := mgr.DeleteLog(testTP); err != nil {
		t.Fatal(err)
	}
	l, err := mgr.CreateLog(testTP, [16]byte{9, 9}, smallConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mustAppend(t, l, values(1, "of the new topic"))
	}
	m = m.KillClone()
	_ = mgr.Close(false)

	mgr = open(m)
	defer func() { _ = mgr.Close(true) }()
	l = mgr.Log(testTP)
	if err := l.Wake(); err != nil || l.LogEndOffset() != 3 || l.TopicID() != ([16]byte{9, 9}) {
		t.Fatal(err, l.LogEndOffset(), l.TopicID())
	}
	if got := readFrom(t, l, 0); got[2] != "of the new topic" {
		t.Fatal(got)
	}
}
