package coord

// parkedReply waits for the high watermark to reach offset.
type parkedReply struct {
	offset     int64
	deadlineMs int64
	reply      Reply
}

// parkedQueue is ordered by offset and by deadline at once, since a later reply
// rests on a later or equal offset and every reply waits equally long.
type parkedQueue struct {
	items []parkedReply
	head  int
}

func (q *parkedQueue) len() int { return len(q.items) - q.head }

func (q *parkedQueue) push(p parkedReply) { q.items = append(q.items, p) }

func (q *parkedQueue) first() *parkedReply {
	if q.len() == 0 {
		return nil
	}
	return &q.items[q.head]
}

func (q *parkedQueue) pop() Reply {
	r := q.items[q.head].reply
	q.items[q.head] = parkedReply{}
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head >= compactAt && q.head*2 >= len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return r
}

// committed removes and returns the replies that hw releases.
func (q *parkedQueue) committed(hw int64) []Reply {
	var out []Reply
	for p := q.first(); p != nil && p.offset <= hw; p = q.first() {
		out = append(out, q.pop())
	}
	return out
}

// expired removes and returns the replies that have waited too long.
func (q *parkedQueue) expired(nowMs int64) []Reply {
	var out []Reply
	for p := q.first(); p != nil && p.deadlineMs <= nowMs; p = q.first() {
		out = append(out, q.pop())
	}
	return out
}

// all empties the queue.
func (q *parkedQueue) all() []Reply {
	var out []Reply
	for q.len() > 0 {
		out = append(out, q.pop())
	}
	return out
}

// compactAt keeps the copying in pop rare: below it the dead head costs a few KiB.
const compactAt = 64
