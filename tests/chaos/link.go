package chaos

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// pieceBytes is what a link carries at once.
	pieceBytes = 64 << 10
	// nameBytes bounds the client id of a request, by which a link knows who speaks.
	nameBytes = 256
	// helloTimeout is how long a link waits for the first request of a connection.
	helloTimeout = 30 * time.Second
)

// network is all links between nodes. A node reaches another only through them.
type network struct {
	mu  sync.Mutex
	cut map[[2]int]bool // from node to node: bytes in that direction wait
	// changed is closed when cut changes, for those who wait.
	changed chan struct{}
	all     map[net.Conn]bool
	closers []net.Listener
	ended   bool
}

func newNetwork() *network {
	return &network{cut: map[[2]int]bool{}, changed: make(chan struct{}), all: map[net.Conn]bool{}}
}

// set cuts or heals the way from one node to another. What is on its way waits, as it would for TCP's retransmission.
func (n *network) set(from, to int, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]int{from, to}] = cut
	close(n.changed)
	n.changed = make(chan struct{})
}

// heal opens all ways.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	close(n.changed)
	n.changed = make(chan struct{})
}

// pass waits until bytes may go from a node to another; false when the network is closed.
func (n *network) pass(from, to int) bool {
	for {
		n.mu.Lock()
		open, changed, ended := !n.cut[[2]int{from, to}], n.changed, n.ended
		n.mu.Unlock()
		if ended {
			return false
		}
		if open {
			return true
		}
		<-changed
	}
}

// front serves an address in a node's name and carries what comes to where the node listens.
func (n *network) front(node int, address, behind string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.closers = append(n.closers, l)
	n.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.carry(c, node, behind)
		}
	}()
	return nil
}

// carry joins a connection with the node behind. Either side's end, or breakdown, is passed on to the other.
func (n *network) carry(c net.Conn, node int, behind string) {
	defer n.forget(c)
	if !n.remember(c) {
		return
	}
	from, hello, err := whoSpeaks(c)
	if err != nil || !n.pass(from, node) {
		return
	}
	server, err := net.DialTimeout("tcp", behind, helloTimeout)
	if err != nil {
		return
	}
	defer n.forget(server)
	if !n.remember(server) {
		return
	}
	if _, err := server.Write(hello); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	go func() { n.copy(server, c, from, node); done <- struct{}{} }()
	go func() { n.copy(c, server, node, from); done <- struct{}{} }()
	<-done
}

func (n *network) copy(to, from net.Conn, source, target int) {
	buf := make([]byte, pieceBytes)
	for {
		k, err := from.Read(buf)
		// The end of a connection is cut off like its bytes.
		if !n.pass(source, target) {
			return
		}
		if k > 0 {
			if _, err := to.Write(buf[:k]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (n *network) remember(c net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ended {
		n.all[c] = true
	}
	return !n.ended
}

func (n *network) forget(c net.Conn) {
	c.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.all, c)
}

// close ends all links.
func (n *network) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	close(n.changed)
	n.changed = make(chan struct{})
	for _, l := range n.closers {
		l.Close()
	}
	for c := range n.all {
		c.Close()
	}
}

// whoSpeaks reads the head of the first request: nodes give their id in the client id. 0 is somebody else.
func whoSpeaks(c net.Conn) (node int, read []byte, err error) {
	_ = c.SetReadDeadline(time.Now().Add(helloTimeout))
	defer c.SetReadDeadline(time.Time{})
	head := make([]byte, 14) // size, API key and version, correlation id, length of the client id
	if _, err := io.ReadFull(c, head); err != nil {
		return 0, nil, err
	}
	length := int(int16(binary.BigEndian.Uint16(head[12:])))
	if length <= 0 || length > nameBytes {
		return 0, head, nil
	}
	name := make([]byte, length)
	if _, err := io.ReadFull(c, name); err != nil {
		return 0, nil, err
	}
	return number(string(name)), append(head, name...), nil
}

// number is the first number in a name such as broker-2-fetcher.
func number(name string) int {
	id, found := 0, false
	for _, r := range name {
		if r >= '0' && r <= '9' {
			id, found = id*10+int(r-'0'), true
		} else if found {
			break
		}
	}
	return id
}
