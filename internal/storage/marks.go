package storage

import "sync"

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

// marks remembers places that are likely to be asked for again.
type marks struct {
	mu      sync.Mutex
	appends [appendMarks]mark
	reads   [readMarks]mark
	nextA   int // where the next append goes
	nextR   int
}

// appended notes that the batch that begins at offset lies at pos.
func (m *marks) appended(s *segment, offset, pos int64) {
	m.mu.Lock()
	m.appends[m.nextA] = mark{s, offset, pos}
	m.nextA = (m.nextA + 1) % appendMarks
	m.mu.Unlock()
}

// read notes where the reader that stops before offset will go on.
func (m *marks) read(s *segment, offset, pos int64) {
	m.mu.Lock()
	m.reads[m.nextR] = mark{s, offset, pos}
	m.nextR = (m.nextR + 1) % readMarks
	m.mu.Unlock()
}

// find looks for a place, the latest append first.
func (m *marks) find(s *segment, offset int64) (pos int64, ok bool) {
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

// clear forgets all: the log was cut.
func (m *marks) clear() {
	m.mu.Lock()
	m.appends, m.reads = [appendMarks]mark{}, [readMarks]mark{}
	m.mu.Unlock()
}
