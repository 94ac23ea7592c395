package storage

import (
	"bytes"
	"testing"
)

// What a small slice has in memory is what its file has, at each place and for each limit, and its memory comes back.
func TestASmallRangeInMemoryIsThatOfItsFile(t *testing.T) {
	m, cfg, at := oneSegmentAndMore(t)
	mgr := openManager(t, m, newTestClock(), cfg, inOneDir)
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(testTP)
	for from := range int64(len(at)) {
		for _, maxBytes := range []int{1, 100, 500, 5000, smallReadBytes + 1} {
			s, err := l.Read(from, maxBytes, 64, true)
			if err != nil {
				t.Fatal(err)
			}
			file := make([]byte, s.Len)
			if _, err := s.File.ReadAt(file, s.Pos); err != nil {
				t.Fatal(err)
			}
			if data := s.Data(); data != nil && !bytes.Equal(data, file) {
				t.Errorf("from %d, at most %d: memory has %x, the file %x", from, maxBytes, data, file)
			} else if data == nil && s.Len <= int64(maxBytes) {
				t.Errorf("from %d, at most %d: %d bytes were left in the file", from, maxBytes, s.Len)
			}
			s.Release()
			s.Release()
		}
	}
	if held := l.env.small.held.Load(); held != 0 {
		t.Errorf("%d bytes are still lent", held)
	}
}

// When slow readers hold all the memory that there is for small ranges, others are sent from their files.
func TestSlowReadersLeaveSmallRangesInTheirFiles(t *testing.T) {
	m, cfg, _ := oneSegmentAndMore(t)
	mgr := openManager(t, m, newTestClock(), cfg, inOneDir)
	defer func() { _ = mgr.Close(true) }()
	l := mgr.Log(testTP)
	var lent []*[]byte
	for {
		b := l.env.small.lend(smallReadBytes)
		if b == nil {
			break
		}
		lent = append(lent, b)
	}
	if len(lent) != heldReadBytes/smallReadBytes {
		t.Errorf("%d ranges were lent", len(lent))
	}
	s, err := l.Read(0, 1000, 64, true)
	if err != nil || s.Len == 0 || s.Data() != nil {
		t.Fatal(s, err)
	}
	s.Release()
	l.env.small.takeBack(lent[0])
	if s, err = l.Read(0, 1000, 64, true); err != nil || s.Data() == nil {
		t.Fatal(s, err)
	}
	s.Release()
}
