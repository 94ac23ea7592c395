package peer

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// lowWater lets the reader of a long answer sleep until much of it has come: woken for every piece that the other end
// writes, it would spend more on waking than on copying.
type lowWater struct {
	raw syscall.RawConn // nil: not a plain TCP connection
	set int             // what the socket has; 0 and 1 are the same
}

func newLowWater(conn net.Conn) lowWater {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return lowWater{}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return lowWater{}
	}
	return lowWater{raw: raw}
}

// want has the socket readable when so many bytes are there. That it fails is no harm: the reader is woken more often.
func (l *lowWater) want(n int) {
	if l.raw == nil || n == l.set {
		return
	}
	l.set = n
	_ = l.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) })
}
