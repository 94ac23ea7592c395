package storage

import (
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// Kafka makes its checkpoint files empty, and one of a node that was killed soon after its first start still is: it has no
// entries, and is no damage.
func TestAnEmptyCheckpointHasNoEntries(t *testing.T) {
	fsys := vfs.NewMem()
	if err := fsys.MkdirAll("logs", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFileAtomic(fsys, "logs/"+recoveryPointFile, nil); err != nil {
		t.Fatal(err)
	}
	offsets, err := ReadOffsetCheckpoint(fsys, "logs/"+recoveryPointFile)
	if err != nil || len(offsets) != 0 {
		t.Fatalf("%v, %v", offsets, err)
	}
}
