package netx

import (
	"syscall"
	"time"
)

// sentAgain is the pause after which what has not arrived is sent again.
const sentAgain = 200 * time.Millisecond

// Crash ends a host in one moment: its listeners are gone, its connections break, and whoever still holds a Network of
// it from before can neither listen nor dial any more. What it has sent and nobody has read is lost. With reset both ends of a
// connection see it at once, as when a process dies; without, the other end hears nothing more, as when a machine loses
// power. A Network that Host returns from then on is that of the host's next life, which knows nothing of those connections: who has sent
// on one of them, or sends, is told so by a reset.
func (m *Mem) Crash(host string, reset bool) {
	m.mu.Lock()
	m.lives[host]++
	var conns []*memConn
	for c := range m.conns {
		if c.out.link.from == host || c.out.link.to == host {
			conns = append(conns, c)
			if !reset {
				m.orphans[host] = append(m.orphans[host], c)
			}
		}
	}
	var listeners []*memListener
	for _, l := range m.listeners {
		if l.host == host {
			listeners = append(listeners, l)
		}
	}
	m.mu.Unlock()
	for _, c := range conns {
		if reset {
			c.reset(syscall.ECONNRESET)
			continue
		}
		c.in.vanish()
		c.out.vanish()
	}
	for _, l := range listeners {
		_ = l.Close() // its owner may have been first
	}
}

// deadLocked says that a Network is that of a host's former life.
func (h memHost) deadLocked() bool { return h.m.lives[h.name] != h.life }

// errDead is what a host that has crashed is told: it has no network.
const errDead = syscall.ENETDOWN

// towards is what is sent to a host.
func (c *memConn) towards(host string) *stream {
	if c.out.link.to == host {
		return c.out
	}
	return c.in
}

// reborn notes that the host where the stream ends has come back, and knows nothing of c. What is on its way is sent again.
func (s *stream) reborn(c *memConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orphan = c
	if s.bytes > 0 {
		s.knockLocked()
	}
}

// knockLocked has what is on its way arrive at a host that answers with a reset, once, and as soon as both ways are open.
func (s *stream) knockLocked() {
	c, there, back := s.orphan, s.m.state(s.link), s.m.state(link{s.link.to, s.link.from})
	if c == nil || s.writeErr != nil {
		return
	}
	if !there.blocked && !back.blocked {
		s.orphan = nil
		s.m.clock.AfterFunc(there.delay+back.delay, func() { c.reset(syscall.ECONNRESET) })
		return
	}
	if s.knocks {
		return
	}
	s.knocks = true
	s.m.clock.AfterFunc(sentAgain, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.knocks = false
		s.knockLocked()
	})
}
