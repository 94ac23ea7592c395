package server

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// lot is where connections stand that have given up their goroutine: an epoll of our own, beside the runtime's,
// and one goroutine for all that stand there.
type lot struct {
	file *os.File
	raw  syscall.RawConn // of file: the runtime waits for the epoll as for any descriptor

	mu   sync.Mutex
	byID map[uint64]*Conn // guarded by mu; all that have ever stood here and live
}

// lotEvents is taken from the epoll at a time.
const lotEvents = 128

func newLot() (*lot, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make an epoll: %w", err)
	}
	if err := unix.SetNonblock(ep, true); err != nil { // os.File leaves only such to the runtime's poller
		unix.Close(ep)
		return nil, fmt.Errorf("cannot set up an epoll: %w", err)
	}
	l := &lot{file: os.NewFile(uintptr(ep), "epoll"), byID: map[uint64]*Conn{}}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		l.file.Close()
		return nil, fmt.Errorf("cannot set up an epoll: %w", err)
	}
	return l, nil
}

// add has the lot's goroutine wait for what c's peer sends next. The connection is marked as parked already.
func (l *lot) add(c *Conn) error {
	d, ok := c.io.(descriptor)
	if !ok {
		return errors.New("the connection has no descriptor")
	}
	l.mu.Lock()
	_, known := l.byID[c.number]
	l.byID[c.number] = c
	l.mu.Unlock()
	op := unix.EPOLL_CTL_ADD
	if known {
		op = unix.EPOLL_CTL_MOD
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(c.number), Pad: int32(c.number >> 32)}
	var closed, failed error
	err := l.raw.Control(func(ep uintptr) {
		closed = d.control(func(fd uintptr) { failed = unix.EpollCtl(int(ep), op, int(fd), &event) })
	})
	return errors.Join(err, closed, failed)
}

// forget lets go of a connection that has ended; its descriptor's end has taken it off the epoll.
func (l *lot) forget(c *Conn) {
	l.mu.Lock()
	delete(l.byID, c.number)
	l.mu.Unlock()
}

// attend wakes the connections to which something has come, until the lot is closed.
func (l *lot) attend() {
	events := make([]unix.EpollEvent, lotEvents)
	for {
		n := 0
		err := l.raw.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events, 0)
			return n > 0
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			l.wake(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32)
		}
	}
}

func (l *lot) wake(number uint64) {
	l.mu.Lock()
	c := l.byID[number]
	l.mu.Unlock()
	if c != nil && c.claimParked() {
		c.srv.background(c.goOn)
	}
}

func (l *lot) close() { l.file.Close() }
