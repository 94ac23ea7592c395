package broker

import "sync"

// turn lets one goroutine at a time do what takes a while, such as asking the controller; the others wait for theirs, in
// order. A mutex would do the same, but a lock that is held across I/O hides from whoever looks for one that should not be,
// and stops the time of a simulation.
type turn struct {
	mu      sync.Mutex
	taken   bool
	waiting []chan struct{}
}

func (t *turn) take() {
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return
	}
	mine := make(chan struct{})
	t.waiting = append(t.waiting, mine)
	t.mu.Unlock()
	<-mine
}

func (t *turn) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.taken = false
		return
	}
	close(t.waiting[0])
	t.waiting = t.waiting[1:]
}
