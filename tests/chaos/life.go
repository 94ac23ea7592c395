package chaos

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// shortestLife and longestLife bound how long a client lives that is to die: some rebalances and transactions long, and short
	// enough that each dies some times in a minute.
	shortestLife, longestLife = 4 * time.Second, 20 * time.Second
)

// life is that of a client which dies as a killed process does, as far as the cluster can see: its connections break in the middle of
// whatever is on them, and nothing ever comes from it again. It says no goodbye to its group and ends no transaction.
type life struct {
	ctx  context.Context // ends with the life
	end  context.CancelFunc
	mu   sync.Mutex
	dead bool
	open map[net.Conn]struct{}
}

func newLife() *life {
	l := &life{open: map[net.Conn]struct{}{}}
	l.ctx, l.end = context.WithCancel(context.Background())
	return l
}

// errDead is what the dead get to hear when they dial: an error that the client does not try again after.
func errDead() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EPERM)}
}

// dial is what the client dials with.
func (l *life) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: askTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		_ = conn.Close() // it was never used
		return nil, errDead()
	}
	l.open[conn] = struct{}{}
	return &livingConn{conn, l}, nil
}

// kill ends it.
func (l *life) kill() {
	l.mu.Lock()
	l.dead = true
	for conn := range l.open {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, and what was not sent is lost
		}
		_ = conn.Close() // it may be closed already
	}
	clear(l.open)
	l.mu.Unlock()
	l.end()
}

// livingConn forgets itself when it is closed.
type livingConn struct {
	net.Conn
	of *life
}

func (c *livingConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c.Conn)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// span is how long a life lasts.
func span(rnd *rand.Rand) time.Duration {
	return shortestLife + time.Duration(rnd.Int64N(int64(longestLife-shortestLife)))
}

// dieAfter kills l when its time has come, unless hurt is over by then: who lives when the faults end lives on. The function
// that it returns calls the death off.
func (l *life) dieAfter(d time.Duration, hurt context.Context, died func()) (calledOff func()) {
	t := time.AfterFunc(d, func() {
		if hurt.Err() == nil {
			l.kill()
			died()
		}
	})
	return func() { t.Stop(); l.end() }
}
