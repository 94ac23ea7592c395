package storage

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// pointsDir is two logs that end at 120 and 60, left in order, killed, and without power: what their files say is in doubt in turn.
func pointsDir(t tb) map[string]*vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	format(t, m, "/d")
	mgr := openManager(t, m, newTestClock(), smallConfig())
	for p, n := range []int{60, 30} {
		l := mustCreate(t, mgr, TopicPartition{"t", int32(p)}, 0)
		for range n {
			mustAppend(t, l, values(epochStart.UnixMilli(), "one", "two"))
		}
		l.SetHighWatermark(l.LogEndOffset())
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := mgr.CheckpointAll(); err != nil {
		t.Fatal(err)
	}
	states := map[string]*vfs.Mem{"killed": m.KillClone(), "without power": m.CrashClone()}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	states["left in order"] = m
	return states
}

// Each digit of the recovery points and of the high watermarks becomes each other one: nothing is called lost, no log goes on behind an
// offset that it has never had, the files say again what they said, and that is told once. A check tells the same, and mends it.
func TestAFlippedDigitInACheckpointLosesNothing(t *testing.T) {
	for what, state := range pointsDir(t) {
		for _, name := range summed {
			intact, err := vfs.ReadFile(state, "/d/"+name)
			if err != nil || !bytes.Contains(intact, []byte("t 0 120\n")) {
				t.Fatal(what, name, string(intact), err)
			}
			for at, was := range intact {
				for digit := byte('0'); digit <= '9'; digit++ {
					if was < '0' || was > '9' || digit == was {
						continue
					}
					m := state.KillClone()
					if err := m.Overwrite("/d/"+name, at, []byte{digit}); err != nil {
						t.Fatal(err)
					}
					heedsNothing(t, fmt.Sprintf("%s, digit %d of %s made %c", what, at, name, digit), m, "/d/"+name, intact)
				}
			}
		}
	}
}

func heedsNothing(t *testing.T, what string, m *vfs.Mem, name string, intact []byte) {
	t.Helper()
	changed, _ := vfs.ReadFile(m, name)
	raised := isRaised(changed, intact)
	repaired := m.KillClone()
	sum, err := CheckDir(CheckOptions{FS: repaired, Dir: "/d", Repair: true, BootID: "boot", Found: func(f Finding) {
		if strings.Contains(f.Problem, "records are lost") {
			t.Errorf("%s: a check says %v", what, f)
		}
	}})
	if got, _ := vfs.ReadFile(repaired, name); err != nil || raised && (sum.Repaired != 1 || !bytes.Equal(got, intact)) {
		t.Fatalf("%s: a check repairs %d, the file says %q, %v", what, sum.Repaired, got, err)
	}
	var told logTo
	var differ atomic.Int64
	mgr := openManager(t, m, newTestClock(), smallConfig(), told.option, lossy(&differ))
	mgr.AwaitRecovery()
	for p, end := range []int64{120, 60} {
		l := mgr.Log(TopicPartition{"t", int32(p)})
		if l == nil || l.Wake() != nil || l.LogEndOffset() != end || l.LostUpTo() != 0 || l.HighWatermark() > end {
			t.Fatalf("%s: %v", what, l)
		}
	}
	if log := told.String(); strings.Contains(log, "records are lost") || raised && strings.Count(log, "a digit of a checkpoint") != 1 {
		t.Fatalf("%s: %s", what, log)
	}
	if differ.Load() > 0 && raised {
		t.Fatalf("%s: a log is said to end elsewhere", what)
	}
	if got, _ := vfs.ReadFile(m, name); raised && !bytes.Equal(got, intact) {
		t.Fatalf("%s: the file says %q", what, got)
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	mustBeSound(t, m)
}

// Kafka was here since: what it has written is believed, also where it is one digit away from what this program had written, and no file
// vouches for it until the next checkpoint.
func TestWhatKafkaHasWrittenSinceIsBelieved(t *testing.T) {
	m := pointsDir(t)["left in order"]
	intact, err := vfs.ReadFile(m, "/d/"+highWatermarkFile)
	if err != nil {
		t.Fatal(err)
	}
	lower := bytes.Replace(intact, []byte("t 0 120"), []byte("t 0 119"), 1)
	plant(t, m, "/d/"+highWatermarkFile, lower)
	mgr := openManager(t, m, newTestClock(), smallConfig())
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	plant(t, m, "/d/"+highWatermarkFile, intact)
	plant(t, m, "/d/"+cleanShutdownFile, []byte(`{"version":0,"brokerEpoch":4711}`))
	var told logTo
	mgr = openManager(t, m, newTestClock(), smallConfig(), told.option)
	defer func() { _ = mgr.Close(true) }()
	if hw := mgr.Log(testTP).HighWatermark(); hw != 120 || strings.Contains(told.String(), "digit") {
		t.Fatal(hw, told.String())
	}
}

// Without the file that vouches for it, a high watermark above the end of a log that was left in order is damaged all the same.
func TestAHighWatermarkAboveAnOrderlyEndIsNoLoss(t *testing.T) {
	m := pointsDir(t)["left in order"]
	if err := m.Remove("/d/" + sumsFile); err != nil {
		t.Fatal(err)
	}
	plant(t, m, "/d/"+highWatermarkFile, []byte("0\n2\nt 0 920\nt 1 60\n"))
	var told logTo
	var differ atomic.Int64
	mgr := openManager(t, m, newTestClock(), smallConfig(), told.option, lossy(&differ))
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(testTP)
	if l.LogEndOffset() != 120 || l.HighWatermark() != 120 || l.LostUpTo() != 0 || differ.Load() != 0 {
		t.Fatal(l.LogEndOffset(), l.HighWatermark(), l.LostUpTo(), differ.Load())
	}
	if log := told.String(); strings.Contains(log, "records are lost") || !strings.Contains(log, "checkpoint of high watermarks is damaged") {
		t.Fatal(log)
	}
}

// The file is read back as it was written, at any of its contents, and is as good as none once a byte of it is another.
func TestTheSumsAreReadBack(t *testing.T) {
	s := checkpointSums{marker: noMarker, of: map[string][]contentSum{recoveryPointFile: nil}}
	for i := range maxSums {
		s.of[highWatermarkFile] = append(s.of[highWatermarkFile], contentSum{1<<28 - i, 1<<64 - 1 - uint64(i)})
		s.of[recoveryPointFile] = append(s.of[recoveryPointFile], contentSum{i, uint64(i)})
	}
	data := s.encode()
	if len(data) != sumsBytes {
		t.Fatal(len(data))
	}
	if got := parseSums(data); fmt.Sprint(got) != fmt.Sprint(s) {
		t.Fatalf("%+v and not %+v", got, s)
	}
	for i := range data {
		bad := bytes.Clone(data)
		if bad[i] ^= 1; parseSums(bad).of != nil {
			t.Fatalf("byte %d is another one", i)
		}
	}
}

// changedByte finds any single bit and any digit, wherever it stands.
func TestAChangedByteIsFound(t *testing.T) {
	data := encodeOffsets(map[TopicPartition]int64{testTP: 1234567890, {"other", 3}: 42})
	for at := range data {
		for bits := 1; bits < 256; bits++ {
			if bits > 15 && bits&(bits-1) != 0 {
				continue
			}
			bad := bytes.Clone(data)
			bad[at] ^= byte(bits)
			gotAt, got, ok := changedByte(len(data), sumOf(data).crc^sumOf(bad).crc)
			if !ok || gotAt != at || got != byte(bits) {
				t.Fatalf("bits %b at %d: %b at %d, %v", bits, at, got, gotAt, ok)
			}
		}
	}
}
