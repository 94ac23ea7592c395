package server

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/wire"
)

// ListenerConfig is one listener.
type ListenerConfig struct {
	Name    string                // Kafka's name of it, such as PLAINTEXT or CONTROLLER
	Address string                // host:port; an empty host is every address, port 0 any free one
	Auth    security.ListenerAuth // nil is security.PlaintextAuth
	Table   *wire.Table           // what is served here
	Handler Handler

	MaxConnections int // listener.name.X.max.connections; 0 is no bound of its own
}

// Limits may change while the server runs.
type Limits struct {
	// MaxConnections is max.connections; 0 is no bound.
	MaxConnections int
	// MaxConnectionsPerIP is max.connections.per.ip. As Kafka allows 0 only beside overrides, where it
	// shuts out every other address, 0 without overrides is no bound.
	MaxConnectionsPerIP int
	// MaxConnectionsPerIPOverrides is max.connections.per.ip.overrides, by IP address.
	MaxConnectionsPerIPOverrides map[string]int
}

// Config is what a server is built from. Zero values take Kafka's defaults.
type Config struct {
	Listeners []ListenerConfig
	Network   netx.Network
	Clock     clock.Clock
	Log       *slog.Logger
	Observer  Observer

	// SocketRequestMaxBytes is socket.request.max.bytes.
	SocketRequestMaxBytes int
	// ConnectionsMaxIdle is connections.max.idle.ms; negative closes none.
	ConnectionsMaxIdle time.Duration
	// SocketSendBufferBytes and SocketReceiveBufferBytes are socket.*.buffer.bytes; 0 or -1
	// leave the operating system's, which grow with need.
	SocketSendBufferBytes    int
	SocketReceiveBufferBytes int
	// InterBrokerListener names the listener whose connections max.connections protects:
	// a new one of these closes the longest quiet connection of another listener.
	InterBrokerListener string
	Limits              Limits

	// MaxInFlight is how many requests of one connection may wait for their answers
	// before it is no longer read. Zero is DefaultMaxInFlight.
	MaxInFlight int
	// StuckWriteTimeout closes a connection whose peer has taken no byte of a response
	// for so long. Zero is DefaultStuckWriteTimeout.
	StuckWriteTimeout time.Duration
}

const (
	// defaultSocketRequestMaxBytes is Kafka's socket.request.max.bytes.
	defaultSocketRequestMaxBytes = 100 << 20
	// defaultConnectionsMaxIdle is Kafka's connections.max.idle.ms.
	defaultConnectionsMaxIdle = 10 * time.Minute
	// DefaultMaxInFlight is far above the 5 that clients use, so that only a driver that never
	// reads is stopped, and small enough that its parked requests cost little.
	DefaultMaxInFlight = 128
	// DefaultStuckWriteTimeout is longer than any pause of a live client, and shorter than
	// its patience: a client gives a request up after 30 s.
	DefaultStuckWriteTimeout = 60 * time.Second
	// authTimeout bounds the time from accept to an authenticated connection.
	authTimeout = 30 * time.Second
	// maxReadyBytes bounds the responses of one connection that wait for a slow reader
	// before its requests are no longer read: one large fetch may always be ahead.
	maxReadyBytes = 8 << 20
	// holdBytes and holdResponses bound how much is held back while more requests are
	// already buffered: enough for one write to carry many small answers, little enough
	// that the first does not wait long.
	holdBytes     = 64 << 10
	holdResponses = 64
	// foreignWriteBytes bounds what a goroutine that is not the connection's own sends for
	// it, which is time taken from whatever it was doing.
	foreignWriteBytes = 256 << 10
)

func (c *Config) withDefaults() (Config, error) {
	out := *c
	if out.Network == nil {
		out.Network = netx.TCP{}
	}
	if out.Clock == nil {
		out.Clock = clock.Real{}
	}
	if out.Log == nil {
		out.Log = slog.New(slog.DiscardHandler)
	}
	if out.Observer == nil {
		out.Observer = silent{}
	}
	orDefault(&out.SocketRequestMaxBytes, defaultSocketRequestMaxBytes)
	orDefault(&out.ConnectionsMaxIdle, defaultConnectionsMaxIdle)
	orDefault(&out.MaxInFlight, DefaultMaxInFlight)
	orDefault(&out.StuckWriteTimeout, DefaultStuckWriteTimeout)
	out.Listeners = slices.Clone(out.Listeners)
	seen := map[string]bool{}
	for i := range out.Listeners {
		if err := out.Listeners[i].check(); err != nil {
			return out, fmt.Errorf("cannot set up listener %q: %w", out.Listeners[i].Name, err)
		}
		if name := out.Listeners[i].Name; seen[name] {
			return out, fmt.Errorf("cannot set up listener %q: there are two of that name", name)
		}
		seen[out.Listeners[i].Name] = true
	}
	return out, nil
}

func (l *ListenerConfig) check() error {
	switch {
	case l.Name == "":
		return errors.New("it has no name")
	case l.Table == nil || l.Handler == nil:
		return errors.New("it has no API table or no handler")
	}
	if l.Auth == nil {
		l.Auth = security.PlaintextAuth{}
	}
	return nil
}

func orDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}
