package broker

import "sync"

// turns keeps the produce requests of one producer in their order while the first of them waits for a
// transaction's coordinator: a client sends several without waiting for answers, and the sequences of the later
// ones follow those of the first. (Apache Kafka reads nothing more from the connection until it has answered.)
type turns struct {
	mu      sync.Mutex
	waiting map[int64][]func() // by producer id; an entry for each whose turn is under way
}

// enter says whether it is the caller's turn. If not, park is called and then, when its turn has come, run.
func (t *turns) enter(producerID int64, park, run func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	queue, busy := t.waiting[producerID]
	if !busy {
		if t.waiting == nil {
			t.waiting = map[int64][]func(){}
		}
		t.waiting[producerID] = nil
		return true
	}
	park()
	t.waiting[producerID] = append(queue, run)
	return false
}

// leave ends a turn and begins the next one, on the caller's goroutine.
func (t *turns) leave(producerID int64) {
	t.mu.Lock()
	queue := t.waiting[producerID]
	if len(queue) == 0 {
		delete(t.waiting, producerID)
		t.mu.Unlock()
		return
	}
	next := queue[0]
	t.waiting[producerID] = queue[1:]
	t.mu.Unlock()
	next()
}
