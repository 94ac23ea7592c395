package netx

import (
	"context"
	"net"
)

// Network opens and accepts connections.
type Network interface {
	// Listen binds a "host:port"; an empty host means all addresses, port 0 any free one.
	Listen(address string) (net.Listener, error)
	// Dial connects to a "host:port" or fails when ctx ends.
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// TCP is the machine's network.
type TCP struct{}

// Listen binds address.
func (TCP) Listen(address string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(context.Background(), "tcp", address)
}

// Dial connects to address.
func (TCP) Dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}
