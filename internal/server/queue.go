package server

// queue holds the requests of a connection in the order of their arrival until their
// answers are taken to be sent.
type queue struct {
	ring []*Request // a power of two, or nil
	head int
	n    int
}

// idleRingSlots is the ring that an idle connection may keep.
const idleRingSlots = 8

func (q *queue) push(r *Request) {
	if q.n == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = r
	q.n++
}

func (q *queue) grow() {
	ring := make([]*Request, max(idleRingSlots, 2*len(q.ring)))
	for i := range q.n {
		ring[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
	}
	q.ring, q.head = ring, 0
}

// peek is the oldest request, or nil.
func (q *queue) peek() *Request {
	if q.n == 0 {
		return nil
	}
	return q.ring[q.head]
}

func (q *queue) pop() *Request {
	r := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	if q.n == 0 && len(q.ring) > idleRingSlots {
		q.ring, q.head = nil, 0
	}
	return r
}
