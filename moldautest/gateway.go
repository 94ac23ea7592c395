package moldautest

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/moldau-stream/moldau/internal/netx"
)

// gateway is a port of the machine's loopback behind which a broker of the engine's own network is: thus any client reaches the
// broker, and what the engine's network does to it befalls the client. While no broker runs, connections are refused.
type gateway struct {
	network *netx.Mem
	to      string // the broker's address on network
	addr    string // on loopback; the same each time that it opens

	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

func newGateway(n *netx.Mem, to string) *gateway {
	return &gateway{network: n, to: to, addr: "127.0.0.1:0"}
}

// open begins to listen.
func (g *gateway) open() error {
	l, err := net.Listen("tcp", g.addr)
	if err != nil {
		return err
	}
	g.listener, g.addr = l, l.Addr().String()
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.done.Go(g.accept)
	return nil
}

func (g *gateway) accept() {
	for {
		c, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.done.Go(func() { g.join(c) })
	}
}

// join copies both ways until one end closes.
func (g *gateway) join(client net.Conn) {
	defer client.Close()
	broker, err := g.network.Host(clientHost).Dial(g.ctx, g.to)
	if err != nil {
		return
	}
	defer broker.Close()
	stop := context.AfterFunc(g.ctx, func() { client.Close(); broker.Close() })
	defer stop()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, broker)
		client.Close()
	})
	_, _ = io.Copy(broker, client)
	broker.Close()
	back.Wait()
}

// close ends all connections; nothing listens any more.
func (g *gateway) close() {
	if g == nil || g.listener == nil {
		return
	}
	g.cancel()
	g.listener.Close()
	g.done.Wait()
	g.listener = nil
}
