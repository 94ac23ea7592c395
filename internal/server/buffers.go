package server

import (
	"math/bits"
	"sync"
)

const (
	// minBufferBytes is the smallest read buffer: some twenty small requests.
	minBufferBytes = 4 << 10
	// maxPooledBytes is the largest that is kept; larger frames are rare, and so are
	// allocated and left to the garbage collector.
	maxPooledBytes = 16 << 20
	// bufferSlackBytes lies above each power of two, so that a batch of 1 MiB and what Kafka
	// puts around it fit the buffer of 1 MiB.
	bufferSlackBytes = 4 << 10
	// maxRetainedBytes bounds the buffers that lie idle. A hundred busy connections of small
	// requests, or twenty of 1 MiB ones, find theirs here.
	maxRetainedBytes = 32 << 20
)

// buffer is a read buffer on loan from a pool.
type buffer struct {
	b     []byte
	class int // index in bufferPool.free, or -1 for one that is not kept
}

// bufferPool keeps read buffers, by size. Idle connections have none; what a burst
// has left is given up again by trim.
type bufferPool struct {
	mu       sync.Mutex
	free     [13][]*buffer // guarded by mu; class i holds minBufferBytes<<i and the slack
	low      [13]int       // guarded by mu; fewest that lay free since the last trim
	retained int           // guarded by mu; bytes in free
}

func bufferClass(n int) int {
	n -= bufferSlackBytes
	if n <= minBufferBytes {
		return 0
	}
	return bits.Len(uint((n - 1) / minBufferBytes))
}

func classBytes(class int) int { return minBufferBytes<<class + bufferSlackBytes }

// get lends a buffer of at least n bytes.
func (p *bufferPool) get(n int) *buffer {
	class := bufferClass(n)
	if class >= len(p.free) {
		return &buffer{b: make([]byte, n), class: -1}
	}
	p.mu.Lock()
	if last := len(p.free[class]) - 1; last >= 0 {
		b := p.free[class][last]
		p.free[class][last] = nil
		p.free[class] = p.free[class][:last]
		p.low[class] = min(p.low[class], last)
		p.retained -= len(b.b)
		p.mu.Unlock()
		return b
	}
	p.mu.Unlock()
	return &buffer{b: make([]byte, classBytes(class)), class: class}
}

// put takes a buffer back. The borrower must not look at it again.
func (p *bufferPool) put(b *buffer) {
	if b.class < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retained+len(b.b) > maxRetainedBytes {
		return
	}
	p.retained += len(b.b)
	p.free[b.class] = append(p.free[b.class], b)
}

// trim gives up the buffers that nobody has wanted since the last trim.
func (p *bufferPool) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for class := range p.free {
		free := p.free[class]
		keep := len(free) - p.low[class]
		clear(free[keep:])
		p.retained -= p.low[class] * classBytes(class)
		p.free[class] = free[:keep]
		p.low[class] = keep
	}
}

// smallBuf holds an encoded response.
type smallBuf struct{ b []byte }

const (
	// newSmallBytes takes the usual answer to a Produce or Heartbeat.
	newSmallBytes = 512
	// maxSmallBytes is the largest encoding buffer that is kept.
	maxSmallBytes = 64 << 10
)

func (s *Server) getSmall() *smallBuf {
	if b, ok := s.smalls.Get().(*smallBuf); ok {
		return b
	}
	return &smallBuf{b: make([]byte, 0, newSmallBytes)}
}

func (s *Server) putSmall(b *smallBuf) {
	if cap(b.b) <= maxSmallBytes {
		s.smalls.Put(b)
	}
}
