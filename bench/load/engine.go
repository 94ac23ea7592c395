package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Source makes the requests of one connection and judges their answers.
type Source interface {
	// Next is the next request, with its length in front. It is sent, or copied, before
	// Next is called again. Nil: there are no more.
	Next() []byte
	// Answer looks at the oldest unanswered request's answer: its first bytes without the
	// length, as many as Head says, and its whole size. It returns how many payload bytes
	// the request has moved and an error for an answer that is not a success.
	Answer(head []byte, size int) (payload int, err error)
	// Head is how much of an answer Answer wants to see; the rest is dropped.
	Head() int
}

const (
	// copyBelowBytes is the largest request that is collected with others into one write.
	copyBelowBytes = 32 << 10
	// readBytes is read at a time where answers are small or wanted whole.
	readBytes = 256 << 10
	// maxEvents is taken from epoll at a time.
	maxEvents = 128
	// idleWaitMs is how long a driver that is not paced waits for an answer before it looks at the clock; a paced
	// one has something to send before.
	idleWaitMs, pacedWaitMs = 100, 1
	// drainTimeout bounds the wait for the last answers of a run.
	drainTimeout = 30 * time.Second
	// maxLatencies bounds what a run remembers of latencies.
	maxLatencies = 4 << 20
)

// Driver drives n connections. Its methods are called from one goroutine.
type Driver struct {
	depth int
	ep    int
	conns map[int32]*conn
	stats Stats
	now   time.Time

	sending bool

	perSecond float64 // of all connections together; 0: as fast as it goes
	issued    int64   // requests of this run
	start     time.Time

	clock *clock // of a driver that has a schedule
}

// Pace has the driver send so many requests a second at most, evenly; 0 as fast as it goes.
func (d *Driver) Pace(perSecond float64) { d.perSecond = perSecond }

// mayIssue says whether the next request is due.
func (d *Driver) mayIssue(c *conn) bool {
	if d.clock != nil {
		return !d.now.Before(c.due)
	}
	return d.perSecond <= 0 || float64(d.issued) <= d.now.Sub(d.start).Seconds()*d.perSecond
}

// issue counts a request as sent: now, or at the instant at which it was due.
func (d *Driver) issue(c *conn) {
	sent := d.now
	if d.clock != nil {
		sent = c.due
		c.due = c.due.Add(d.clock.interval)
	}
	c.sent[(c.first+c.open)%d.depth] = sent
	c.open++
	d.issued++
}

// Stats is what a run has done.
type Stats struct {
	Requests, Bytes int64
	Elapsed         time.Duration
	Latencies       []time.Duration // not sorted
}

type conn struct {
	fd    int
	src   Source
	buf   []byte
	have  int
	skip  int
	sent  []time.Time // ring of depth
	first int
	open  int // unanswered
	out   []byte
	rest  []byte    // of the request that is being sent
	armed bool      // waits for the socket to take more
	done  bool      // its source has no more
	due   time.Time // when its next request is due, with a schedule
}

// Dial opens one connection for each source.
func Dial(addr string, depth int, sources []Source) (*Driver, error) {
	return DialEach(slices.Repeat([]string{addr}, len(sources)), depth, sources)
}

// DialEach opens one connection for each source, each to its own address.
func DialEach(addrs []string, depth int, sources []Source) (*Driver, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make an epoll: %w", err)
	}
	d := &Driver{depth: depth, ep: ep, conns: make(map[int32]*conn)}
	for i, s := range sources {
		fd, err := dial(addrs[i])
		if err == nil {
			err = unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
		}
		if err != nil {
			d.Close()
			return nil, err
		}
		d.conns[int32(fd)] = &conn{fd: fd, src: s, buf: make([]byte, max(readBytes, s.Head()+4)), sent: make([]time.Time, depth)}
	}
	return d, nil
}

func dial(addr string) (int, error) {
	a, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return -1, fmt.Errorf("cannot resolve %s: %w", addr, err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("cannot make a socket: %w", err)
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())})
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("cannot connect to %s: %w", addr, err)
	}
	return fd, nil
}

// Close ends the connections.
func (d *Driver) Close() {
	for _, c := range d.conns {
		unix.Close(c.fd)
	}
	if d.clock != nil {
		unix.Close(d.clock.fd)
	}
	unix.Close(d.ep)
}

// Run sends for so long, or until so many payload bytes have moved (0: no limit), waits
// for the last answers and tells what was done.
func (d *Driver) Run(length time.Duration, maxBytes int64) (Stats, error) {
	d.stats = Stats{Latencies: d.stats.Latencies[:0]}
	d.sending = true
	start := time.Now()
	d.now, d.start, d.issued = start, start, 0
	waitMs := idleWaitMs
	if d.perSecond > 0 {
		waitMs = pacedWaitMs
	}
	if d.clock != nil {
		d.clock.begin(start, d.conns)
	}
	end := start.Add(length)
	if err := d.sendAll(); err != nil {
		return d.stats, err
	}
	events := make([]unix.EpollEvent, maxEvents)
	for d.sending || d.open() > 0 {
		if err := d.clock.arm(d); err != nil {
			return d.stats, err
		}
		n, err := unix.EpollWait(d.ep, events, waitMs)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return d.stats, fmt.Errorf("cannot wait for answers: %w", err)
		}
		d.now = time.Now()
		if d.sending && (d.now.After(end) || maxBytes > 0 && d.stats.Bytes >= maxBytes || d.allDone()) {
			d.sending = false
			end = d.now
		}
		if !d.sending && d.now.Sub(end) > drainTimeout {
			return d.stats, fmt.Errorf("%d requests are unanswered after %s", d.open(), drainTimeout)
		}
		for _, e := range events[:max(n, 0)] {
			if d.conns[e.Fd] == nil { // the clock
				continue
			}
			if err := d.event(d.conns[e.Fd], e.Events); err != nil {
				return d.stats, err
			}
		}
		if d.perSecond > 0 || d.clock != nil {
			if err := d.sendAll(); err != nil {
				return d.stats, err
			}
		}
	}
	d.stats.Elapsed = d.now.Sub(start)
	return d.stats, nil
}

func (d *Driver) sendAll() error {
	for _, c := range d.conns {
		if err := d.send(c); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) open() int {
	n := 0
	for _, c := range d.conns {
		n += c.open
	}
	return n
}

func (d *Driver) allDone() bool {
	for _, c := range d.conns {
		if !c.done {
			return false
		}
	}
	return true
}

func (d *Driver) event(c *conn, events uint32) error {
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		if err := d.receive(c); err != nil {
			return err
		}
	}
	return d.send(c)
}

// send fills the connection up to its depth, as far as the socket takes it.
func (d *Driver) send(c *conn) error {
	for {
		for len(c.rest) == 0 && len(c.out) < copyBelowBytes && d.sending && !c.done && c.open < d.depth && d.mayIssue(c) {
			req := c.src.Next()
			if req == nil {
				c.done = true
				break
			}
			d.issue(c)
			if len(req) > copyBelowBytes {
				c.rest = req
				break
			}
			c.out = append(c.out, req...)
		}
		if len(c.out) == 0 && len(c.rest) == 0 {
			return d.arm(c, false)
		}
		from := &c.out
		if len(c.out) == 0 {
			from = &c.rest
		}
		n, err := unix.Write(c.fd, *from)
		switch {
		case err == unix.EAGAIN:
			return d.arm(c, true)
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("cannot send: %w", err)
		case from == &c.out:
			c.out = append(c.out[:0], c.out[n:]...)
		default:
			c.rest = c.rest[n:]
		}
	}
}

func (d *Driver) arm(c *conn, on bool) error {
	if c.armed == on {
		return nil
	}
	c.armed = on
	want := uint32(unix.EPOLLIN)
	if on {
		want |= unix.EPOLLOUT
	}
	return unix.EpollCtl(d.ep, unix.EPOLL_CTL_MOD, c.fd, &unix.EpollEvent{Events: want, Fd: int32(c.fd)})
}

// receive takes what has arrived.
func (d *Driver) receive(c *conn) error {
	for {
		var n int
		var err error
		asked := 0
		if c.skip > 0 {
			asked = min(c.skip, 1<<20)
			n, _, err = unix.Recvfrom(c.fd, dropInto(c, asked), unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		} else {
			// Where heads are small, little is read beyond them: the rest can be dropped unseen.
			asked = len(c.buf) - c.have
			if head := c.src.Head() + 4; head < smallHeadBytes {
				asked = min(asked, max(head*d.depth, head))
			}
			n, err = unix.Read(c.fd, c.buf[c.have:c.have+asked])
		}
		switch {
		case err == unix.EAGAIN:
			return nil
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("cannot receive: %w", err)
		case n == 0:
			return errors.New("the broker has closed the connection")
		}
		if c.skip > 0 {
			c.skip -= n
		} else {
			c.have += n
			if err := d.answers(c); err != nil {
				return err
			}
		}
		if n < asked {
			return nil
		}
	}
}

// smallHeadBytes tells heads that are read alone.
const smallHeadBytes = 4 << 10

// dropInto is memory that the kernel is told of and, with MSG_TRUNC, does not write to.
func dropInto(c *conn, n int) []byte {
	if cap(c.buf) < n {
		grown := make([]byte, n)
		copy(grown, c.buf[:c.have])
		c.buf = grown
	}
	return c.buf[:n]
}

// answers judges the whole answers, or whole heads of them, in the buffer.
func (d *Driver) answers(c *conn) error {
	at := 0
	for c.have-at >= 4 {
		size := int(binary.BigEndian.Uint32(c.buf[at:]))
		head := min(size, c.src.Head())
		if len(c.buf) < 4+head {
			grown := make([]byte, 4+head)
			c.have = copy(grown, c.buf[at:c.have])
			c.buf, at = grown, 0
		}
		if c.have-at < 4+head {
			break
		}
		payload, err := c.src.Answer(c.buf[at+4:at+4+head], size)
		if err != nil {
			return err
		}
		if c.open == 0 {
			return errors.New("an answer came without a request")
		}
		if len(d.stats.Latencies) < maxLatencies {
			d.stats.Latencies = append(d.stats.Latencies, d.now.Sub(c.sent[c.first]))
		}
		c.first = (c.first + 1) % d.depth
		c.open--
		d.stats.Requests++
		d.stats.Bytes += int64(payload)
		if have := c.have - at; have < 4+size {
			c.skip = 4 + size - have
			at = c.have
			break
		}
		at += 4 + size
	}
	c.have = copy(c.buf, c.buf[at:c.have])
	return nil
}
