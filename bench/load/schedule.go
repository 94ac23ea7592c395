package load

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// clock wakes a driver when a request is due: epoll's own patience is counted in milliseconds.
type clock struct {
	fd       int
	interval time.Duration // between two requests of a connection
}

// Schedule has the connections send so many requests a second together, each by a schedule of its own. A latency then counts from
// the instant at which its request was due: a broker that stalls is charged with all that were due meanwhile.
func (d *Driver) Schedule(perSecond float64) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("cannot make a timer: %w", err)
	}
	if err := unix.EpollCtl(d.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		unix.Close(fd)
		return fmt.Errorf("cannot wait for a timer: %w", err)
	}
	d.clock = &clock{fd: fd, interval: time.Duration(float64(len(d.conns)) / perSecond * float64(time.Second))}
	return nil
}

// begin spreads the connections' first requests over one interval.
func (k *clock) begin(start time.Time, conns map[int32]*conn) {
	i := 0
	for _, c := range conns {
		c.due = start.Add(k.interval * time.Duration(i) / time.Duration(len(conns)))
		i++
	}
}

// arm sets the timer to the next request that is due on a connection with room for it, and unsets one that has fired. Without a
// clock it does nothing.
func (k *clock) arm(d *Driver) error {
	if k == nil {
		return nil
	}
	var wait time.Duration // 0 is never: an answer comes first
	if next := d.nextDue(); !next.IsZero() {
		wait = max(time.Until(next), time.Nanosecond)
	}
	if err := unix.TimerfdSettime(k.fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(wait.Nanoseconds())}, nil); err != nil {
		return fmt.Errorf("cannot set a timer: %w", err)
	}
	return nil
}

func (d *Driver) nextDue() (next time.Time) {
	for _, c := range d.conns {
		idle := len(c.out) == 0 && len(c.rest) == 0 // else the socket comes first
		if d.sending && !c.done && idle && c.open < d.depth && (next.IsZero() || c.due.Before(next)) {
			next = c.due
		}
	}
	return next
}
