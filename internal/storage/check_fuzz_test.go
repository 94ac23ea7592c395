package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// A directory with any bytes in any of its files can be checked, and repaired without a touch to its records; what
// was repaired is not found again, and a node that starts on it serves.
func FuzzCheckDamagedDirectory(f *testing.F) {
	names := []string{"/d/t-0/00000000000000000000.log", "/d/t-0/00000000000000000000.index", "/d/t-0/00000000000000000000.timeindex", "/d/t-0/00000000000000000000.txnindex",
		"/d/t-0/00000000000000000007.snapshot", "/d/t-0/leader-epoch-checkpoint", "/d/t-0/partition.metadata", "/d/meta.properties", "/d/recovery-point-offset-checkpoint",
		"/d/log-start-offset-checkpoint", "/d/replication-offset-checkpoint", "/d/.kafka_cleanshutdown", "/d/" + cleanStateFile, "/d/cleaner-offset-checkpoint",
		"/d/" + lostFile, "/d/t-0/" + passedLossFile, "/d/" + touchedFile, "/d/" + bootFile}
	for i := range names {
		f.Add(uint8(i), uint16(20), []byte("damage"), false)
		f.Add(uint8(i), uint16(3), []byte{}, true)
	}
	whole := vfs.NewMem()
	format(f, whole, "/d")
	mgr := openManager(f, whole, newTestClock(), smallConfig())
	l, err := mgr.CreateLog(testTP, testID, smallConfig(), [16]byte{})
	if err != nil {
		f.Fatal(err)
	}
	mustAppend(f, l, inTxn(1, 0, 0, "a", "b"))
	mustCoordinate(f, l, marker(1, 0, false))
	for l.NumSegments() < 3 {
		mustAppend(f, l, values(epochStart.UnixMilli(), "x", "y"))
	}
	if err := mgr.Close(true); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint16, with []byte, truncate bool) {
		m := whole.KillClone()
		file, err := m.OpenFile(names[int(which)%len(names)], os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if truncate {
			_ = file.Truncate(int64(at))
		}
		_, _ = file.WriteAt(with, int64(at))
		before := fmt.Sprint(logsOf(t, m))
		first, _ := checkDir(t, m, true)
		if fmt.Sprint(logsOf(t, m)) != before {
			t.Fatal("the check has touched records")
		}
		repaired := map[string]bool{}
		for _, x := range first {
			repaired[x.File] = repaired[x.File] || x.Repaired
		}
		again, _ := checkDir(t, m, false)
		for _, x := range again {
			if x.Derived && repaired[x.File] {
				t.Fatalf("it was repaired and is found again: %v, at first %v", x, first)
			}
		}
		mgr, err := OpenManager(ManagerOptions{FS: m, Clock: newTestClock(), Logger: quiet(), Dirs: []string{"/d"}, ClusterID: "c", NodeID: 1, DefaultConfig: smallConfig()})
		if err != nil {
			return // it says why: meta.properties of another cluster
		}
		_ = mgr.Close(true)
	})
}

// The files of an orderly stop.
func FuzzStopFiles(f *testing.F) {
	f.Add([]byte(`{"version":0,"brokerEpoch":7}`))
	f.Add([]byte(cleanStateMagic + "\n"))
	f.Add([]byte("0\n2147483647\n"))
	f.Add([]byte("0\n-1\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = checkCleanMarker(b)
		_ = parseCleanState(string(b))
		_ = parseCleanList(b)
		_, _ = parseCleaned(string(b))
		_, _ = checkpointLines(b)
	})
}

// A count or a length of 2^31 in a file of a few bytes allocates nothing of the kind, and a batch that unpacks to
// more than any batch may is refused while it is unpacked.
func TestReadersAreBounded(t *testing.T) {
	huge := []byte{0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff}
	allocated := testing.AllocsPerRun(10, func() {
		if _, err := parseSnapshot(huge, 0); err == nil {
			t.Error("a snapshot of 2^31 producers in 10 bytes is read")
		}
		if _, err := parseOffsets([]byte("0\n2147483647\nt 0 1\n")); err == nil {
			t.Error("a checkpoint of 2^31 lines in one is read")
		}
	})
	if allocated > 100 {
		t.Errorf("%.0f allocations", allocated)
	}
	bomb, err := record.Gzip.Compress(nil, bytes.Repeat([]byte{0}, record.MaxDecompressedBytes+1<<20), record.DefaultLevel)
	if err != nil {
		t.Fatal(err)
	}
	b := batchOf(record.BuilderOptions{Codec: record.Gzip}, 1, "x")
	b = append(b[:record.HeaderBytes:record.HeaderBytes], bomb...)
	size := len(b) - record.LengthPrefixBytes
	b[8], b[9], b[10], b[11] = byte(size>>24), byte(size>>16), byte(size>>8), byte(size)
	b.UpdateCRC()
	if err := b.ForEach(func(record.Record) error { return nil }); err == nil || !errors.Is(err, record.ErrCorrupt) && !errors.Is(err, record.ErrTooLarge) {
		t.Fatal(err)
	}
	m := checkedDir(t)
	mustWrite(t, m, "/d/t-1/00000000000000000000.log", b)
	found, sum := checkDir(t, m, false)
	if sum.Damages == 0 {
		t.Fatal("a bomb is not found", found)
	}
}
