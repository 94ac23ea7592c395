package netx

import "syscall"

// Crash ends a host in one moment: its listeners are gone, its connections break, and whoever still holds a Network of
// it from before can neither listen nor dial any more. What it has sent and nobody has read is lost. With reset both ends of a
// connection see it at once, as when a process dies; without, the other end hears nothing more, as when a machine loses
// power. A Network that Host returns from then on is that of the host's next life.
func (m *Mem) Crash(host string, reset bool) {
	m.mu.Lock()
	m.lives[host]++
	var conns []*memConn
	for c := range m.conns {
		if c.out.link.from == host || c.out.link.to == host {
			conns = append(conns, c)
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
