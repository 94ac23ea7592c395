package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/internal/admin"
	"github.com/moldau-stream/moldau/internal/broker"
	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/group"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/netx"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/txn"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// Options is what a node is built from.
type Options struct {
	Settings *config.Config
	// AutoFormat: empty log directories are formatted instead of refused.
	AutoFormat bool
	// ClusterID is used when the node formats itself; empty: a random one.
	ClusterID string

	FS      vfs.FS
	Network netx.Network
	Clock   clock.Clock
	Logger  *slog.Logger
	Version string
	// BootID names the boot of the kernel, "" where it is not known: the files of another boot may have lost what was
	// not synced.
	BootID string
}

// shutdownGrace bounds how long a stopping node waits for requests under way.
const shutdownGrace = 10 * time.Second

// leaveGrace bounds how long a stopping broker waits for others to take over what it leads. What has not moved by then has no
// other replica in sync, and would not move for who knows how long; the requests under way need the rest of shutdownGrace.
const leaveGrace = 5 * time.Second

// Node is one running node.
type Node struct {
	o           Options
	id          int32
	clusterID   string
	directories map[string][16]byte // directory id by path
	failedDirs  failedDirs

	server   *server.Server
	logs     *storage.Manager
	quorum   *quorum.Node // nil on a node that is no controller
	metadata metadataLog
	cluster  *cluster
	replicas *replica.Manager
	// holdsRoles is replicas, for who may ask before there are any.
	holdsRoles atomic.Pointer[replica.Manager]
	groups     *group.Service
	txns       *txn.Service
	peers      *brokerPeers
	broker     *broker.Broker
	registry   *obs.Registry
	metrics    *broker.Metrics
	health     *obs.Health
	admin      *admin.Server
	member     *membership
	beating    atomic.Pointer[membership] // member, once it sends heartbeats
	placements *placements

	foreignEnds foreignEnds

	incarnation [16]byte // of this process

	failOnce sync.Once
	failed   chan struct{} // closed when the node cannot go on; failure says why
	failure  error

	stopOnce sync.Once
	stopErr  error
}

// Start builds a node and returns when it serves. What cannot be built is undone.
//
// The order: addresses are bound first, since a taken address is the commonest
// mistake and must leave no trace; then the disks are locked; then the metadata
// quorum, whose log says what this broker holds; then the broker registers, and
// only when it is unfenced are connections taken.
func Start(ctx context.Context, o Options) (n *Node, err error) {
	n = &Node{o: o, id: o.Settings.NodeNumber(), failed: make(chan struct{}), incarnation: newUUID()}
	defer func() {
		if err != nil {
			n.abandon()
			n = nil
		}
	}()
	labels, err := o.Settings.StaticLabels()
	if err != nil {
		return n, err
	}
	n.registry = obs.NewRegistry(obs.Options{Now: o.Clock.Now, StaticLabels: labels})
	n.metrics = broker.NewMetrics(n.registry)
	n.health = obs.NewHealth(n.registry)
	n.health.SetState(obs.StateStarting)
	handler := &lateHandler{}
	if err := n.bind(handler); err != nil {
		return n, err
	}
	if err := n.bindController(); err != nil {
		return n, err
	}
	if err := n.startAdmin(); err != nil {
		return n, err
	}
	n.health.SetState(obs.StateRecovery)
	if err := n.openDisks(); err != nil {
		return n, err
	}
	if err := n.startDisks(); err != nil {
		return n, err
	}
	if !o.Settings.IsBroker() {
		n.metadata.Subscribe(n.learn)
		n.registry.Register(n)
		n.health.SetState(obs.StateRunning)
		return n, nil
	}
	n.buildBroker()
	handler.set(n.broker)
	if err := n.join(ctx); err != nil {
		return n, err
	}
	n.logs.StartCleaner()
	if err := n.server.Serve(); err != nil {
		return n, err
	}
	n.registry.Register(n)
	n.health.SetState(obs.StateRunning)
	return n, nil
}

// lateHandler lets the server be built, and its addresses bound, before the broker is there.
type lateHandler struct{ server.Handler }

func (h *lateHandler) set(b *broker.Broker) { h.Handler = b }

// bind takes the listeners' addresses.
func (n *Node) bind(h server.Handler) error {
	s := n.o.Settings
	if !s.IsBroker() {
		return nil
	}
	cfg := server.Config{
		Network: n.o.Network, Clock: n.o.Clock, Log: n.o.Logger, Observer: newObserver(n.registry),
		SocketRequestMaxBytes:    s.Int(config.SocketRequestMaxBytes),
		ConnectionsMaxIdle:       s.Duration(config.ConnectionsMaxIdleMs),
		SocketSendBufferBytes:    s.Int(config.SocketSendBufferBytes),
		SocketReceiveBufferBytes: receiveBuffer(s.Int(config.SocketReceiveBufferBytes)),
		InterBrokerListener:      s.InterBrokerListener(),
		Limits:                   limits(s),
	}
	for _, l := range s.BrokerListeners() {
		auth, err := security.NewListenerAuth(security.Protocol(l.SecurityProtocol))
		if err != nil {
			return fmt.Errorf("cannot set up listener %s: %w", l.Name, err)
		}
		cfg.Listeners = append(cfg.Listeners, server.ListenerConfig{
			Name: l.Name, Address: l.Address(), Auth: auth, Table: broker.Table(), Handler: h,
		})
	}
	srv, err := server.New(cfg)
	if err != nil {
		return err
	}
	if err := srv.Listen(); err != nil {
		return explainListen(err)
	}
	n.server = srv
	return nil
}

// buildBroker joins replica manager, group coordinator and handlers.
func (n *Node) buildBroker() {
	s := n.o.Settings
	n.placements = newPlacements()
	n.replicas = replica.NewManager(n.replicaConfig())
	n.holdsRoles.Store(n.replicas)
	n.groups = n.buildGroups()
	n.peers = newBrokerPeers(n)
	n.txns = n.buildTxns()
	n.broker = broker.New(broker.Config{
		NodeID: n.id, ClusterID: n.clusterID, Settings: s, Clock: n.o.Clock, Logger: n.o.Logger,
		Logs: n.logs, Replicas: n.replicas, Groups: n.groups, Txns: n.txns, Peers: n.peers, Controller: controllerLink{n},
		Authorizer: security.AllowAll{}, Metrics: n.metrics,
	})
}

// join follows the metadata log and registers the broker; it returns when the broker is unfenced.
func (n *Node) join(ctx context.Context) error {
	if err := n.knowMetadata(ctx); err != nil {
		return err
	}
	// before the first image: a broker takes no role before the metadata knows of its registration
	n.member = newMembership(n)
	n.beating.Store(n.member)
	n.metadata.Subscribe(n.publish)
	n.failedDirs.whenMore(func() {
		n.replicas.LogsFailed()
		n.member.hasten()
	})
	return n.member.join(ctx)
}

// publish applies an image to this broker and then shows it to requests.
func (n *Node) publish(img *meta.Image, delta *meta.Delta) {
	n.learn(img, delta)
	settings := n.settings(img)
	n.replicas.SetSettings(replicationSettings(settings))
	n.replicas.ApplyMetadata(img, delta)
	n.server.SetLimits(limits(settings))
	n.logs.SetCordoned(settings.List(config.CordonedLogDirs))
	n.replicas.SetMoveLimit(moveLimit(settings))
	n.logs.SetProducerIDExpirationMs(settings.Long(config.ProducerIDExpirationMs))
	n.logs.SetCleanerConfig(cleanerConfig(settings))
	n.logs.SetTransactionVerification(settings.Bool(config.TransactionPartitionVerificationEnable))
	n.broker.SetSettings(settings)
	n.broker.SetImage(img)
	if n.member != nil && delta != nil {
		n.member.tellOfOthers(img, delta)
	}
}

// limits are the bounds on connections, which may change while the node runs.
func limits(s *config.Config) server.Limits {
	return server.Limits{
		MaxConnections: s.Int(config.MaxConnections), MaxConnectionsPerIP: s.Int(config.MaxConnectionsPerIP),
		MaxConnectionsPerIPOverrides: s.IPOverrides(),
	}
}

// Failed is closed when the node cannot go on; Err says why.
func (n *Node) Failed() <-chan struct{} { return n.failed }

// Err is why the node cannot go on. It may be asked when Failed is closed.
func (n *Node) Err() error { return n.failure }

// Addr is the address that a listener is bound to.
func (n *Node) Addr(listener string) net.Addr {
	if n.server != nil {
		if a := n.server.Addr(listener); a != nil {
			return a
		}
	}
	if n.cluster != nil && n.cluster.server != nil {
		return n.cluster.server.Addr(listener)
	}
	return nil
}

// ClusterID names the cluster.
func (n *Node) ClusterID() string { return n.clusterID }

// AdminAddr is where metrics and health are served; nil when they are not.
func (n *Node) AdminAddr() net.Addr {
	if n.admin == nil {
		return nil
	}
	return n.admin.Addr()
}

// Stop ends the node in order: the controller is told, no new connections, requests
// under way are answered, coordinators and the metadata log close, the logs are
// synced and marked as cleanly shut down.
func (n *Node) Stop() error {
	n.stopOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
		defer cancel()
		n.health.SetState(obs.StatePendingShutdown)
		var errs []error
		if n.o.Settings.IsBroker() {
			errs = append(errs, n.stopBroker(ctx))
		}
		n.health.SetState(obs.StateShuttingDown)
		if n.admin != nil {
			errs = append(errs, n.admin.Close(ctx))
		}
		n.resign(ctx)
		errs = append(errs, n.closeMetadata(ctx), n.logs.Close(true))
		n.stopErr = errors.Join(errs...)
	})
	return n.stopErr
}

// stopBroker takes leave of the cluster and ends what serves clients.
func (n *Node) stopBroker(ctx context.Context) error {
	if !closed(n.failed) && n.o.Settings.Bool(config.ControlledShutdownEnable) { // a controller that has failed consents to nothing
		leave, cancel := context.WithTimeout(ctx, leaveGrace)
		if n.member.leave(leave) {
			n.farewell(leave)
		}
		cancel()
	}
	n.member.stop()
	n.cluster.link.Close()
	n.health.SetState(obs.StateShuttingDown)
	n.replicas.Stop()
	n.txns.Close()
	n.peers.close()
	n.groups.Close()
	return n.server.Shutdown(ctx)
}

// abandon undoes a start that has failed half-way.
func (n *Node) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if n.member != nil {
		n.member.stop()
	}
	if n.server != nil {
		_ = n.server.Shutdown(ctx)
	}
	if n.admin != nil {
		_ = n.admin.Close(ctx)
	}
	if n.replicas != nil {
		n.replicas.Stop()
	}
	if n.txns != nil {
		n.txns.Close()
		n.peers.close()
	}
	if n.groups != nil {
		n.groups.Close()
	}
	if n.cluster != nil && n.cluster.link != nil {
		n.cluster.link.Close() // nobody waits for a controller any more
	}
	if n.cluster != nil && n.cluster.directory != nil {
		n.cluster.directory.Close() // nobody is asked for anything any more
	}
	_ = n.closeMetadata(ctx)
	if n.logs != nil {
		_ = n.logs.Close(true)
	}
}

// newUUID is a random id that is none of Kafka's reserved ones.
func newUUID() [16]byte {
	for {
		var u [16]byte
		_, _ = rand.Read(u[:])
		u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
		if !meta.ReservedUUID(u) && meta.FormatUUID(u)[0] != '-' {
			return u
		}
	}
}
