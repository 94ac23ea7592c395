package broker

import (
	"sync"

	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/server"
)

// parkedFetches are the fetches of one connection that wait for data. When the
// connection goes, they go: nobody would read the answers.
type parkedFetches struct {
	mu     sync.Mutex
	closed bool
	all    map[*fetching]*replica.ParkedFetch
}

type parkedKey struct{}

// parkedOf is the set of a connection. A connection's first fetch makes it, on the
// connection's own goroutine.
func parkedOf(c *server.Conn) *parkedFetches {
	if p, ok := c.Value(parkedKey{}).(*parkedFetches); ok {
		return p
	}
	p := &parkedFetches{all: make(map[*fetching]*replica.ParkedFetch)}
	c.SetValue(parkedKey{}, p)
	c.OnClose(p.drop)
	return p
}

// add remembers a fetch that has parked, unless it has been answered meanwhile.
func (p *parkedFetches) add(f *fetching, parked *replica.ParkedFetch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case f.answered:
	case p.closed:
		go parked.Cancel()
	default:
		p.all[f] = parked
	}
}

// remove forgets a fetch whose answer is under way.
func (p *parkedFetches) remove(f *fetching) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.answered = true
	delete(p.all, f)
}

// drop cancels what is parked: the connection has ended.
func (p *parkedFetches) drop() {
	p.mu.Lock()
	all := p.all
	p.all, p.closed = nil, true
	p.mu.Unlock()
	for _, parked := range all {
		parked.Cancel()
	}
}
