package storage

import (
	"errors"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// A log that waits for its recovery to note its topic's id is deleted, and a topic of the same name gets its directory: the id of the
// one before must not be written into it.
func TestADeletedLogNotesNoTopicID(t *testing.T) {
	m, clk := vfs.NewMem(), newTestClock()
	format(t, m, "/d")
	mgr := openManager(t, m, clk, smallConfig())
	defer func() { _ = mgr.Close(false) }()
	old, err := mgr.CreateLog(testTP, [16]byte{}, smallConfig(), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	if err := mgr.DeleteLog(testTP); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, mgr, testTP, 0)
	if err := old.noteTopicID([16]byte{9}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if id, _, err := readPartitionMetadata(m, "/d/t-0"); err != nil || id != testID {
		t.Error(id, err)
	}
}
