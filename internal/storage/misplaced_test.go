package storage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// twoAlike makes the directories of two partitions whose closed segments begin at the same offsets. The second one's leader is of another
// epoch, if that is wanted, and its records have other lengths, or other numbers.
func twoAlike(t *testing.T, epochB int32, perBatchB int) (m *vfs.Mem, a, b string) {
	t.Helper()
	m = vfs.NewMem()
	format(t, m, "/d")
	cfg := smallConfig()
	mgr := openManager(t, m, newTestClock(), cfg)
	for i, topic := range []string{"a", "b"} {
		l, err := mgr.CreateLog(TopicPartition{topic, 0}, [16]byte{byte(i + 1)}, cfg, [16]byte{})
		if err != nil {
			t.Fatal(err)
		}
		epoch, n := int32(1), 2
		if topic == "b" {
			epoch, n = epochB, perBatchB
		}
		for k := range 8 {
			var vs []string
			for j := range n {
				vs = append(vs, fmt.Sprint(topic, k, j, strings.Repeat("v", 20+k)))
			}
			if _, err := l.AppendAsLeader(values(epochStart.UnixMilli()+int64(k), vs...), epoch, FromClient); err != nil {
				t.Fatal(err)
			}
			if k == 3 {
				if err := l.Roll(); err != nil {
					t.Fatal(err)
				}
			}
		}
		l.SetHighWatermark(l.LogEndOffset())
	}
	if err := mgr.Close(true); err != nil {
		t.Fatal(err)
	}
	return m, "/d/a-0/" + segmentName(0), "/d/b-0/" + segmentName(0)
}

// put writes a file anew.
func put(t *testing.T, m *vfs.Mem, name string, data []byte) {
	t.Helper()
	if err := vfs.WriteFileAtomic(m, name, data); err != nil {
		t.Fatal(err)
	}
}

func toldDamage(t *testing.T, m *vfs.Mem) (told []string) {
	t.Helper()
	found, _ := checkDir(t, m, false)
	for _, f := range found {
		if f.Damage {
			told = append(told, fmt.Sprint(f))
		}
	}
	return told
}

// A segment of another partition under this one's name holds good batches, which do not say whose they are: the check tells it by what
// does not fit, a leader epoch that is not the log's or an end that is not where the next segment begins. See docs/formats/log.md for
// what nobody can tell.
func TestASegmentOfAnotherPartitionIsToldWhereItDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		name  string
		epoch int32
		per   int
	}{{"another epoch", 2, 2}, {"another end", 1, 3}} {
		t.Run(c.name, func(t *testing.T) {
			m, a, b := twoAlike(t, c.epoch, c.per)
			for _, suffix := range []string{logSuffix, ".index", ".timeindex"} {
				ours, theirs := mustRead(t, m, a+suffix), mustRead(t, m, b+suffix)
				put(t, m, a+suffix, theirs)
				put(t, m, b+suffix, ours)
			}
			told := toldDamage(t, m)
			for _, dir := range []string{"/d/a-0", "/d/b-0"} {
				if !strings.Contains(strings.Join(told, "\n"), dir) {
					t.Errorf("nothing is told of %s: %q", dir, told)
				}
			}
		})
	}
}

// The disk puts a write into the middle of another partition's file: what it has hit is told and not served, and none of the other
// partition's records are given out as this one's. The rest is.
func TestAWriteThatGoesAstrayIsToldAndNotServed(t *testing.T) {
	m, a, b := twoAlike(t, 1, 2)
	ours, theirs := mustRead(t, m, a+logSuffix), mustRead(t, m, b+logSuffix)
	at := len(ours)/2 - 7
	if err := m.Overwrite(a+logSuffix, at, theirs[:len(ours)/4]); err != nil {
		t.Fatal(err)
	}
	if told := strings.Join(toldDamage(t, m), "\n"); !strings.Contains(told, a+logSuffix) || strings.Contains(told, "/d/b-0") {
		t.Errorf("told is %q", told)
	}
	mgr := openManager(t, m, newTestClock(), smallConfig(), func(o *ManagerOptions) { o.VerifyReads = true })
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(TopicPartition{"a", 0})
	if err := l.Wake(); err != nil {
		t.Fatal(err)
	}
	bad, good := 0, 0
	for at := l.LogStartOffset(); at < l.LogEndOffset(); at++ {
		s, err := l.Read(at, 1, l.LogEndOffset(), true)
		if err != nil {
			wantErr(t, err, ErrCorruptRecord)
			bad++
			continue
		}
		data, err := s.Bytes()
		s.Release()
		if err != nil || strings.Contains(string(data), "b0") || strings.Contains(string(data), "b1") {
			t.Fatalf("offset %d: %q %v", at, data, err)
		}
		good++
	}
	if bad == 0 || bad > 6 || good < 10 {
		t.Errorf("%d offsets are refused, %d served", bad, good)
	}
}
