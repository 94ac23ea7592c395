package moldautest

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/moldau-stream/moldau/internal/netx"
)

// gateway is a port of the machine's loopback behind which a broker of the engine's own network is: thus any client reaches the
// broker, and what the engine's network does to it befalls the client.
type gateway struct {
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	done     sync.WaitGroup
	to       func(context.Context) (net.Conn, error)
}

func (g *gateway) open(n *netx.Mem, address string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	g.listener = l
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.to = func(ctx context.Context) (net.Conn, error) { return n.Host(clientHost).Dial(ctx, address) }
	g.done.Go(g.accept)
	return nil
}

func (g *gateway) addr() string { return g.listener.Addr().String() }

func (g *gateway) accept() {
	for {
		c, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.done.Go(func() { g.join(c) })
	}
}

// join copies both ways until one end closes. Where no broker listens the client's connection is reset, since a port that is
// given back could be another's when the broker comes back.
func (g *gateway) join(client net.Conn) {
	defer client.Close()
	broker, err := g.to(g.ctx)
	if err != nil {
		_ = client.(*net.TCPConn).SetLinger(0)
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

func (g *gateway) close() {
	if g.listener == nil {
		return
	}
	g.cancel()
	g.listener.Close()
	g.done.Wait()
}
