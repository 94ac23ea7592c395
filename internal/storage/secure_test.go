package storage

import (
	"testing"

	"github.com/moldau-stream/moldau/internal/record"
)

// A log is cut between the moment at which the cleaner has chosen what to clean and that at which it secures it. Nothing is kept then
// of producers behind the new end: their next records are not those that were cut off.
func TestTheCleanerKeepsNoStateBehindACut(t *testing.T) {
	x := newCompacted(t, compactConfig())
	for i := range int32(30) {
		x.putAs(record.BuilderOptions{ProducerID: 7, BaseSequence: i}, "k=v")
	}
	x.roll()
	to, known := x.m.dirOf(x.l).cleanedTo(testTP)
	d, err := x.l.inspect(to, known, x.m.cleaner.nowMs())
	if err != nil || d.upper < 20 {
		t.Fatal(d.upper, err)
	}
	if err := x.l.TruncateTo(10); err != nil {
		t.Fatal(err)
	}
	wantErr(t, x.m.dirOf(x.l).secure(x.l, d.upper, d.decided, d.cuts), errCleaningAborted)
	snapshots, err := x.l.snapshotOffsets()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range snapshots {
		if at > x.l.LogEndOffset() {
			t.Errorf("there is a snapshot at offset %d of a log that ends at %d", at, x.l.LogEndOffset())
		}
	}
}
