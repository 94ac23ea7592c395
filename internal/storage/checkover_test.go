package storage

import (
	"bytes"
	"encoding/binary"
	"path"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// withABrokenLength is a log directory, closed in order, with one closed segment in whose middle a batch has a length that leads nowhere. lost are
// the offsets of that batch.
func withABrokenLength(t *testing.T) (m *vfs.Mem, segment string, lost map[int64]bool) {
	t.Helper()
	m = vfs.NewMem()
	format(t, m, "/d")
	cfg := smallConfig()
	cfg.SegmentBytes, cfg.IndexBytes, cfg.IndexIntervalBytes = 4000, 1<<20, 1
	mgr := openManager(t, m, newTestClock(), cfg)
	l := mustCreate(t, mgr, testTP, 0)
	for i := range 90 {
		mustAppend(t, l, values(epochStart.UnixMilli()+int64(i), strings.Repeat("v", 30)))
	}
	v := l.views()[1]
	l.SetHighWatermark(90)
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	segment = path.Join("/d/t-0", segmentName(v.seg.base)+logSuffix)
	size := int64(len(values(1, strings.Repeat("v", 30))))
	at := v.size / size / 2 * size
	length := binary.BigEndian.AppendUint32(nil, 1<<20)
	if err := m.Overwrite(segment, int(at)+8, length); err != nil {
		t.Fatal(err)
	}
	return m, segment, map[int64]bool{v.seg.base + at/size: true}
}

// What lies behind a batch whose header leads nowhere is found by the index. The check finds it as a node does: it tells of that batch alone, and a
// repair leaves the index alone, without which nobody would find the way any more.
func TestACheckGoesOnBehindABrokenHeader(t *testing.T) {
	m, segment, lost := withABrokenLength(t)
	index := strings.TrimSuffix(segment, logSuffix) + indexSuffix
	before := mustRead(t, m, index)
	for _, repair := range []bool{false, true} {
		found, sum := checkDir(t, m, repair)
		for _, f := range found {
			if f.File != segment || !f.Damage || f.Repaired {
				t.Errorf("repair=%v: %v", repair, f)
			}
		}
		if len(found) != 1 || sum.Records != 90-int64(len(lost)) {
			t.Errorf("repair=%v: %d findings, %d records were looked at", repair, len(found), sum.Records)
		}
	}
	if !bytes.Equal(mustRead(t, m, index), before) {
		t.Error("the index is another one")
	}
	mgr := openManager(t, m, newTestClock(), smallConfig(), func(o *ManagerOptions) { o.VerifyReads = true })
	defer func() { _ = mgr.Close(false) }()
	l := mgr.Log(testTP)
	for at := range int64(90) {
		s, err := l.Read(at, 1, 90, true)
		if (err != nil) != lost[at] {
			t.Errorf("offset %d: %v", at, err)
		}
		if err == nil {
			s.Release()
		}
	}
}

// Two segments have changed places. The check tells of those two, and not of the one that lies between them.
func TestSegmentsThatHaveChangedPlacesAreTold(t *testing.T) {
	m := leftInOrder(t)
	names := filesOf(t, m, "/d/t-0", logSuffix)
	a, b := mustRead(t, m, names[1]), mustRead(t, m, names[3])
	mustWrite(t, m, names[1], b)
	mustWrite(t, m, names[3], a)
	found, _ := checkDir(t, m, true)
	blamed := map[string]bool{}
	for _, f := range found {
		if f.Damage {
			blamed[f.File] = true
		}
		if f.Repaired {
			t.Errorf("what is derived of records that are elsewhere is made anew: %v", f)
		}
	}
	if len(blamed) != 2 || !blamed[names[1]] || !blamed[names[3]] {
		t.Error(found)
	}
}

// A reader that comes again and again to what cannot be read has it told once.
func TestWhatReadersMeetAgainIsToldOnce(t *testing.T) {
	m, _, lost := withABrokenLength(t)
	mgr := openManager(t, m, newTestClock(), smallConfig())
	defer func() { _ = mgr.Close(false) }()
	l := mgr.Log(testTP)
	told := int64(0)
	for at := range lost {
		for i := range 5 {
			if _, err := l.Read(at, 1, 90, true); err == nil {
				t.Fatal("it is read")
			}
			if i == 0 {
				told = mgr.Damaged()
			}
		}
	}
	if got := mgr.Damaged(); got != told || told == 0 {
		t.Fatalf("%d places are damaged, by what was told first, and %d later", told, got)
	}
}

// Below the recovery point a node goes by the file of leader epochs, also after a kill: what is wrong there is damage, and none that a
// start mends by itself.
func TestWrongLeaderEpochsBelowTheRecoveryPointAreDamage(t *testing.T) {
	m := leftInOrder(t)
	if err := m.Remove("/d/" + cleanShutdownFile); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, m, "/d/t-0/"+leaderEpochFile, []byte("0\n1\n3 4\n"))
	found, _ := checkDir(t, m, false)
	if len(found) != 1 || !found[0].Damage || !found[0].Derived {
		t.Fatal(found)
	}
	if _, sum := checkDir(t, m, true); sum.Repaired != 1 {
		t.Fatal(sum)
	}
	mustBeSound(t, m)
}
