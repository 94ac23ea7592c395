package storage

import (
	"errors"
	"slices"
	"testing"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// epochDir is a log of four leader epochs over several segments, whose start lies within a batch of the first: left in order, killed, and without power.
func epochDir(t tb) (states map[string]*vfs.Mem, want []epochEntry) {
	t.Helper()
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig())
	l := mustCreate(t, mgr, testTP, 0)
	for i, n := range []int{3, 20, 1, 14, 9} {
		for range n {
			if _, err := l.AppendAsLeader(values(epochStart.UnixMilli(), "one", "two", "three"), int32(1+3*i), FromClient); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.SetHighWatermark(l.LogEndOffset())
	if err := errors.Join(l.AdvanceLogStartOffset(13), l.Flush(), mgr.CheckpointAll()); err != nil {
		t.Fatal(err)
	}
	states = map[string]*vfs.Mem{"killed": m.KillClone(), "without power": m.CrashClone()}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	states["left in order"] = m
	return states, slices.Clone(l.epochs.entries)
}

// epochsFrom is what the file of leader epochs says from a log's start on.
func epochsFrom(t tb, fsys vfs.FS, start int64) []epochEntry {
	t.Helper()
	data, err := vfs.ReadFile(fsys, "/d/t-0/"+leaderEpochFile)
	var c epochCache
	if err == nil {
		c.entries, err = parseEpochs(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.truncateFromStart(start)
	return c.entries
}

// Each digit of the file of leader epochs becomes each other one: no epoch begins or ends elsewhere than without that, the next start
// finds the file as it ought to be, and nobody has read the log for it.
func TestAFlippedDigitInTheLeaderEpochsIsMended(t *testing.T) {
	const name = "/d/t-0/" + leaderEpochFile
	states, want := epochDir(t)
	if len(want) != 4 || want[0].start != 13 {
		t.Fatal(want)
	}
	for what, state := range states {
		intact, err := vfs.ReadFile(state, name)
		if err != nil {
			t.Fatal(err)
		}
		for at, was := range intact {
			for digit := byte('0'); digit <= '9'; digit++ {
				if was < '0' || was > '9' || digit == was {
					continue
				}
				m := state.KillClone()
				if err := m.Overwrite(name, at, []byte{digit}); err != nil {
					t.Fatal(err)
				}
				m = m.KillClone()
				mgr := openManager(t, m, newTestClock(), smallConfig())
				mgr.AwaitRecovery()
				l := mgr.Log(testTP)
				if err := l.Wake(); err != nil || l.LogStartOffset() != 13 || l.LogEndOffset() != 141 {
					t.Fatal(what, at, string(digit), err, l.LogStartOffset(), l.LogEndOffset())
				}
				if got := l.epochs.entries; !slices.Equal(got, want) {
					t.Fatalf("%s, digit %d made %c: %v, and not %v", what, at, digit, got, want)
				}
				if got := epochsFrom(t, m, 13); what == "left in order" && !slices.Equal(got, want) {
					t.Fatalf("%s, digit %d made %c: the file says %v", what, at, digit, got)
				}
				if err := mgr.Close(true); err != nil {
					t.Fatal(err)
				}
				if got := epochsFrom(t, m, 13); !slices.Equal(got, want) {
					t.Fatalf("%s, digit %d made %c: the file says %v", what, at, digit, got)
				}
				mustBeSound(t, m)
			}
		}
	}
}

// Epochs of which the cleaner has left no batch are not doubted, and a batch whose own epoch is damaged, which is under no checksum, does not
// make the file say the same.
func TestLeaderEpochsWithoutBatchesStay(t *testing.T) {
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), DefaultLogConfig())
	l := mustCreate(t, mgr, testTP, 0)
	place := int64(-1)
	for epoch := range int32(4) {
		for i := range 3 {
			b := values(epochStart.UnixMilli(), "one", "two")
			at := 10*int64(epoch) + 2*int64(i)
			b.SetBaseOffset(at)
			b.SetPartitionLeaderEpoch(epoch)
			if epoch == 2 { // what the cleaner takes: a follower gets the rest
				l.AssignEpochStart(epoch, at-at%10)
				continue
			}
			if epoch == 1 && i == 1 {
				place = l.Size()
			}
			if _, err := l.AppendAsFollower(b, epoch); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := slices.Clone(l.epochs.entries)
	if err := mgr.Close(true); err != nil || len(want) != 4 || l.NumSegments() != 1 {
		t.Fatal(err, want, l.NumSegments())
	}
	for _, damaged := range []bool{false, true} {
		if damaged {
			f, err := m.OpenFile("/d/t-0/"+segmentName(0)+logSuffix, 2, 0)
			if err != nil {
				t.Fatal(err)
			}
			b := make(record.Batch, record.HeaderBytes)
			if _, err := f.ReadAt(b, place); err != nil {
				t.Fatal(err)
			}
			b.SetPartitionLeaderEpoch(77)
			if _, err := f.WriteAt(b, place); err != nil {
				t.Fatal(err)
			}
			// and the file, so that there is something to be asked
			c := epochCache{entries: append(slices.Clone(want[:3]), epochEntry{3, 32})}
			plant(t, m, "/d/t-0/"+leaderEpochFile, c.encode())
			want = c.entries
		}
		mgr := openManager(t, m, newTestClock(), DefaultLogConfig())
		l := mgr.Log(testTP)
		if got := l.LogEndOffset(); got != 36 || !slices.Equal(l.epochs.entries, want) {
			t.Fatal(damaged, got, l.epochs.entries, want)
		}
		if err := mgr.Close(true); err != nil {
			t.Fatal(err)
		}
	}
}
