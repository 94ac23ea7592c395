package node

import (
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/peer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// brokerPeers are the connections of the transaction coordinator to other brokers, one to each; see broker.Peers.
type brokerPeers struct {
	n *Node

	mu     sync.Mutex
	conns  map[int32]*peer.Client
	closed bool
}

func newBrokerPeers(n *Node) *brokerPeers { return &brokerPeers{n: n, conns: map[int32]*peer.Client{}} }

// Do sends a request to where a broker is registered now.
func (p *brokerPeers) Do(broker int32, req kmsg.Request, done func(kmsg.Response, error)) {
	c, err := p.conn(broker)
	if err != nil {
		go done(nil, err)
		return
	}
	c.Do(req, done)
}

func (p *brokerPeers) conn(broker int32) (*peer.Client, error) {
	listener := p.n.o.Settings.InterBrokerListener()
	b := p.n.broker.Image().Broker(broker)
	if b == nil {
		return nil, fmt.Errorf("broker %d is not registered", broker)
	}
	e, ok := b.Listener(listener)
	if !ok {
		return nil, fmt.Errorf("broker %d has no listener %s", broker, listener)
	}
	address := net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, peer.ErrClosed
	}
	old := p.conns[broker]
	if old != nil && old.Addr() == address {
		return old, nil
	}
	if old != nil {
		go old.Close() // it waits for goroutines that may want to send through us
	}
	c := peer.New(peer.Options{
		Network: p.n.o.Network, Addr: address, ClientID: "broker-" + strconv.Itoa(int(p.n.id)) + "-txn", Clock: p.n.o.Clock, Logger: p.n.o.Logger,
		RequestTimeout: p.n.o.Settings.Duration(config.RequestTimeoutMs),
	})
	p.conns[broker] = c
	return c, nil
}

// close ends all connections; requests under way are answered with an error.
func (p *brokerPeers) close() {
	p.mu.Lock()
	p.closed = true
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}
