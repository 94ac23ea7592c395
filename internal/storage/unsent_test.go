package storage

import (
	"errors"
	"io/fs"
	"maps"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
)

// badDisk is a file system of which some bytes of one file cannot be read.
type badDisk struct {
	vfs.FS
	name     string
	from, to int64
	on       *atomic.Bool
}

type badFile struct {
	vfs.File
	d badDisk
}

func (d badDisk) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := d.FS.OpenFile(name, flag, perm)
	if err == nil && name == d.name {
		f = badFile{f, d}
	}
	return f, err
}

func (f badFile) ReadAt(b []byte, at int64) (int, error) {
	if f.d.on.Load() && at < f.d.to && at+int64(len(b)) > f.d.from {
		n, _ := f.File.ReadAt(b[:max(0, f.d.from-at)], at)
		return n, syscall.EIO
	}
	return f.File.ReadAt(b, at)
}

// A sector in the middle of a closed segment cannot be read. The reader of it is told so, whatever was to be sent with it; a connection
// ends for it once, when the answer had begun to leave.
func TestABadSectorIsToldToWhoReadsIt(t *testing.T) {
	m, cfg, at := oneSegmentAndMore(t)
	name := "/a/t-0/" + segmentName(0) + logSuffix
	bad := len(at) / 2
	disk := badDisk{FS: m, name: name, from: int64(at[bad]) + 70, to: int64(at[bad]) + 71, on: new(atomic.Bool)}
	mgr := openManager(t, disk, newTestClock(), cfg, inOneDir)
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(testTP)
	want := readFrom(t, l, 0)
	disk.on.Store(true)
	l.env.small.held.Store(heldReadBytes) // so that even this small range is left to be sent from its file
	s, err := l.Read(0, 1<<20, 64, true)  // one range with the sector in its middle
	if err != nil || s.Len <= int64(at[bad]) {
		t.Fatal(s, err)
	}
	s.Unreadable(syscall.EIO) // says who has sent the half of it
	s.Release()
	got, failed := map[int64]string{}, []int64(nil)
	for offset := int64(0); offset < 64; {
		s, err := l.Read(offset, 1<<20, 64, true)
		if errors.Is(err, syscall.EIO) {
			failed = append(failed, offset)
			offset++
			continue
		}
		if err != nil || s.Len == 0 {
			t.Fatal(offset, err)
		}
		if _, err := s.Bytes(); err != nil {
			t.Fatal(offset, err)
		}
		for at := offset; at < s.NextOffset; at++ {
			got[at] = want[at]
		}
		offset = s.NextOffset
		s.Release()
	}
	if len(failed) != 1 || failed[0] != int64(bad) || len(got) != 63 || !maps.Equal(map[int64]string{0: want[0]}, map[int64]string{0: got[0]}) {
		t.Fatal(failed, len(got))
	}
}

// In a range that is read at once the sector is met before the answer begins: what lies before it is given out.
func TestABadSectorInASmallRangeEndsNoConnection(t *testing.T) {
	m, cfg, at := oneSegmentAndMore(t)
	bad := len(at) / 2
	disk := badDisk{FS: m, name: "/a/t-0/" + segmentName(0) + logSuffix, from: int64(at[bad]) + 70, to: int64(at[bad]) + 71, on: new(atomic.Bool)}
	mgr := openManager(t, disk, newTestClock(), cfg, inOneDir)
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(testTP)
	readFrom(t, l, 0) // so that it is verified
	disk.on.Store(true)
	s, err := l.Read(0, 1<<20, 64, true)
	if err != nil || s.NextOffset != int64(bad) {
		t.Fatal(s, err)
	}
	if _, err := s.Bytes(); err != nil {
		t.Fatal(err)
	}
	s.Release()
	if _, err := l.Read(int64(bad), 1<<20, 64, true); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
}

// A disk that is gone is noticed before an answer begins.
func TestADiskThatIsGoneIsNoticedBeforeAnAnswerBegins(t *testing.T) {
	m, cfg, _ := oneSegmentAndMore(t)
	disk := badDisk{FS: m, name: "/a/t-0/" + segmentName(0) + logSuffix, to: 1 << 40, on: new(atomic.Bool)}
	mgr := openManager(t, disk, newTestClock(), cfg, inOneDir)
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(testTP)
	s, err := l.Read(0, 1<<20, 64, true) // remembers where readers go on
	if err != nil {
		t.Fatal(err)
	}
	s.Release()
	disk.on.Store(true)
	if _, err := l.Read(0, 1<<20, 64, true); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
}
