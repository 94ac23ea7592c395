package server

import (
	"fmt"
	"time"
)

// complete records the answer to r and, when nobody else will, sends what has become ready.
func (c *Conn) complete(r *Request, out answer) {
	c.mu.Lock()
	if r.answered {
		c.mu.Unlock()
		c.srv.cfg.Log.Error("a request has been answered twice; the second answer is dropped", "api", r.Key, "version", r.Version, "connection", c.id)
		c.discard(&out)
		return
	}
	r.answered, r.out = true, out
	if !c.active || r.servedAt.Load() != 0 {
		r.answeredAt = c.srv.now()
	} // else Serve has not returned: the end of it, which is near, will do as the time
	if out.close != nil {
		c.draining = true // nothing after this request is served
	}
	if c.closed {
		reason := c.reason
		c.mu.Unlock()
		c.finish(r, new(RequestStats), reason, 0, 0)
		return
	}
	c.readyN++
	c.readyBytes += out.bytes
	write := !c.active && !c.writing && c.queue.peek() == r
	if write {
		c.writing = true
	}
	c.mu.Unlock()
	if write {
		c.writeForeign()
	}
}

func (c *Conn) discard(a *answer) {
	if a.frame != nil {
		c.srv.putSmall(a.frame)
	}
	if a.release != nil {
		a.release()
	}
	*a = answer{}
}

// takeLocked takes the answers at the head of the queue that are ready, as many as go into one
// write. Without any it ends the write: writing is false.
func (c *Conn) takeLocked(o *outbound) bool {
	for {
		r := c.queue.peek()
		if c.closed || r == nil || !r.answered {
			break
		}
		c.queue.pop()
		r.taken = true
		o.reqs = append(o.reqs, r)
		o.bytes += r.out.bytes
		if o.full(r) {
			break
		}
	}
	if len(o.reqs) == 0 {
		c.writing = false
		c.changed.Broadcast()
		return false
	}
	return true
}

// writeForeign sends what is ready from a goroutine that has other things to do: as far
// as the socket takes it at once; the rest is left to a goroutine of its own.
func (c *Conn) writeForeign() {
	o := c.take()
	if o == nil {
		return
	}
	for o != nil {
		err := errWouldBlock
		if o.bytes <= foreignWriteBytes {
			err = c.io.send(c, o, false)
		}
		if err == errWouldBlock {
			c.srv.background(func() { c.write(o) })
			return
		}
		if !c.sent(o, err) {
			return
		}
		o = c.take()
	}
}

// write sends o, if there is one, and then whatever else is ready, from a goroutine that may wait. It
// must own writing.
func (c *Conn) write(o *outbound) {
	if o == nil {
		o = c.take()
	}
	for o != nil && c.sent(o, c.io.send(c, o, true)) {
		o = c.take()
	}
}

func (c *Conn) take() *outbound {
	o := c.srv.getOutbound()
	c.mu.Lock()
	ok := c.takeLocked(o)
	c.mu.Unlock()
	if !ok {
		c.srv.putOutbound(o)
		return nil
	}
	o.lay()
	o.started = c.srv.now()
	c.writingFrom.Store(o.started)
	return o
}

// sent settles the answers in o, which have been sent or, with err, never will be. It
// reports whether there may be more to write; if not, writing is given up.
func (c *Conn) sent(o *outbound, err error) bool {
	c.writingFrom.Store(0)
	if err != nil {
		err = c.sendFailed(err)
	}
	now := c.srv.now()
	closeReason := o.reqs[len(o.reqs)-1].out.close
	for _, r := range o.reqs {
		c.finish(r, &o.stats, err, o.started, now)
	}
	o.stats = RequestStats{}
	if closeReason != nil {
		c.Close(closeReason)
	}
	more := err == nil && closeReason == nil
	c.mu.Lock()
	c.readyN -= len(o.reqs)
	c.readyBytes -= o.bytes
	c.writing = more
	c.changed.Broadcast()
	c.mu.Unlock()
	c.srv.putOutbound(o)
	return more
}

// sendFailed closes the connection for a write that has failed; the cause is the close itself when
// that came first.
func (c *Conn) sendFailed(err error) error {
	if reason := c.closeReason(); reason != nil {
		return reason
	}
	err = fmt.Errorf("cannot send a response: %w", err)
	c.Close(err)
	return err
}

// finish releases what r's answer holds and reports r to the observer. It runs exactly
// once for each request. sendTo is 0 when nothing was sent; s is for the account of it.
func (c *Conn) finish(r *Request, s *RequestStats, err error, sendFrom, sendTo int64) {
	*s = RequestStats{Conn: c, Key: r.Key, Version: r.Version, RequestBytes: r.SizeBytes, ResponseBytes: r.out.bytes, Err: err}
	c.discard(&r.out)
	served, answered := r.times()
	end := answered
	if sendTo != 0 {
		s.ResponseQueueTime = time.Duration(sendFrom - answered)
		s.ResponseSendTime = time.Duration(sendTo - sendFrom)
		end = sendTo
	}
	s.QueueTime = time.Duration(r.startedAt - r.receivedAt)
	s.LocalTime = time.Duration(served - r.startedAt)
	s.RemoteTime = time.Duration(answered - served)
	s.ThrottleTime = r.throttle
	s.TotalTime = time.Duration(end - r.receivedAt)
	c.srv.cfg.Observer.RequestDone(s)
	r.letGo()
}

// times is when Serve returned and when the answer was given, the later of which may stand for both.
func (r *Request) times() (served, answered int64) {
	served, answered = r.servedAt.Load(), r.answeredAt
	if served == 0 {
		served = max(answered, r.startedAt) // Serve is still running
	}
	if answered == 0 {
		answered = served
	}
	return min(served, answered), answered
}

// mute stops the reading of the connection for d.
func (c *Conn) mute(r *Request, d time.Duration) {
	till := c.srv.cfg.Clock.Now().Add(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	r.throttle = d
	if till.After(c.mutedTill) {
		c.mutedTill = till
	}
}
