package kraft

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/peer"
)

// Options is what the connections to the controllers are made of.
type Options struct {
	ClusterID string
	NodeID    int32
	Network   netx.Network
	Clock     clock.Clock
	Logger    *slog.Logger
	// Fixed are the controllers of controller.quorum.voters, by id.
	Fixed map[int32]string
	// Bootstrap are the addresses of controller.quorum.bootstrap.servers.
	Bootstrap []string
	// RequestTimeout is how long a controller may take to answer before the connection is given up.
	RequestTimeout time.Duration
	// Secure makes a connection to a controller secure; nil = plaintext.
	Secure func(ctx context.Context, c net.Conn) (net.Conn, error)
}

// Directory knows the addresses of the controllers and holds the connections to them.
type Directory struct {
	o Options

	mu     sync.Mutex
	known  map[int32]string        // by node id; learned from the log, over the fixed ones
	conns  map[string]*peer.Client // by purpose and address
	closed bool
}

// NewDirectory begins with what the configuration says.
func NewDirectory(o Options) *Directory {
	return &Directory{o: o, known: map[int32]string{}, conns: map[string]*peer.Client{}}
}

// Learn notes where a controller is.
func (d *Directory) Learn(node int32, host string, port uint16) {
	if host == "" || port == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[node] = net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// learnIfUnknown notes where a controller says that it is, until the log says it.
func (d *Directory) learnIfUnknown(node int32, host string, port uint16) {
	if d.Address(node) == "" {
		d.Learn(node, host, port)
	}
}

// Address is where a controller is, "" when that is not known.
func (d *Directory) Address(node int32) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := d.known[node]; a != "" {
		return a
	}
	return d.o.Fixed[node]
}

// Addresses are all places where a controller may be, each once, in a stable order.
func (d *Directory) Addresses() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	add := func(a string) {
		if a != "" && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	for _, a := range d.o.Bootstrap {
		add(a)
	}
	for _, m := range []map[int32]string{d.o.Fixed, d.known} {
		ids := make([]int32, 0, len(m))
		for id := range m {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		for _, id := range ids {
			add(m[id])
		}
	}
	return out
}

// conn is the connection to an address for a purpose; those of different purposes do not hold each other up. It is made
// when it is first asked for.
func (d *Directory) conn(purpose, address string, timeout time.Duration, lost func(error)) *peer.Client {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := purpose + " " + address
	c := d.conns[key]
	if c == nil {
		if timeout <= 0 {
			timeout = d.o.RequestTimeout
		}
		c = peer.New(peer.Options{
			Network: d.o.Network, Addr: address, ClientID: "node-" + strconv.Itoa(int(d.o.NodeID)) + "-" + purpose, Clock: d.o.Clock, Logger: d.o.Logger,
			RequestTimeout: timeout, SetupTimeout: timeout, OnDisconnect: lost, Secure: d.o.Secure,
		})
		if d.closed {
			c.Close()
		}
		d.conns[key] = c
	}
	return c
}

// Close ends all connections.
func (d *Directory) Close() {
	d.mu.Lock()
	d.closed = true
	conns := make([]*peer.Client, 0, len(d.conns))
	for _, c := range d.conns {
		conns = append(conns, c)
	}
	d.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}
