package storage

import (
	"sync"
	"sync/atomic"
)

const (
	// appendMarks is how many appends are remembered: high watermark and consumers at
	// the end of the log are within the last few.
	appendMarks = 64
	// readMarks is how many readers' places are remembered: as many consumers can
	// read through closed segments without searching an index.
	readMarks = 16
)

// mark says that the first batch that ends at or after offset begins at pos of seg.
type mark struct {
	seg         *segment
	offset, pos int64
}

// marks remembers places that are likely to be asked for again. The table is made when there is one: a log that
// nobody uses needs none.
type marks struct{ table atomic.Pointer[markTable] }

func (m *marks) get() *markTable {
	if t := m.table.Load(); t != nil {
		return t
	}
	m.table.CompareAndSwap(nil, new(markTable))
	return m.table.Load()
}

// appended notes that the batch that begins at offset lies at pos.
func (m *marks) appended(s *segment, offset, pos int64) { m.get().appended(s, offset, pos) }

// read notes where the reader that stops before offset will go on.
func (m *marks) read(s *segment, offset, pos int64) { m.get().read(s, offset, pos) }

// find looks for a place, the latest append first.
func (m *marks) find(s *segment, offset int64) (pos int64, ok bool) {
	t := m.table.Load()
	if t == nil {
		return 0, false
	}
	return t.find(s, offset)
}

// clear forgets all: the log was cut.
func (m *marks) clear() {
	if t := m.table.Load(); t != nil {
		t.clear()
	}
}

type markTable struct {
	mu      sync.Mutex
	appends [appendMarks]mark
	reads   [readMarks]mark
	nextA   int // where the next append goes
	nextR   int
}

func (m *markTable) appended(s *segment, offset, pos int64) {
	m.mu.Lock()
	m.appends[m.nextA] = mark{s, offset, pos}
	m.nextA = (m.nextA + 1) % appendMarks
	m.mu.Unlock()
}

func (m *markTable) read(s *segment, offset, pos int64) {
	m.mu.Lock()
	m.reads[m.nextR] = mark{s, offset, pos}
	m.nextR = (m.nextR + 1) % readMarks
	m.mu.Unlock()
}

func (m *markTable) find(s *segment, offset int64) (pos int64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := 1; i <= appendMarks; i++ {
		if x := &m.appends[(m.nextA-i+appendMarks)%appendMarks]; x.seg == s && x.offset == offset {
			return x.pos, true
		}
	}
	for i := range m.reads {
		if x := &m.reads[i]; x.seg == s && x.offset == offset {
			return x.pos, true
		}
	}
	return 0, false
}

func (m *markTable) clear() {
	m.mu.Lock()
	m.appends, m.reads = [appendMarks]mark{}, [readMarks]mark{}
	m.mu.Unlock()
}
