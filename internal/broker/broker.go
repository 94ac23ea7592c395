package broker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/group"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/txn"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Controller is the link to the active controller.
type Controller interface {
	// Call sends a request in the name of principal and waits for the answer.
	Call(ctx context.Context, principal security.Principal, req kmsg.Request) (kmsg.Response, error)
	// DescribeQuorum is the state of the metadata partition and where the controllers listen.
	DescribeQuorum(ctx context.Context) (kmsg.DescribeQuorumResponseTopicPartition, []kmsg.DescribeQuorumResponseNode, error)
	// KRaftVersion is the level of kraft.version that this node has heard of.
	KRaftVersion() int16
}

// Config is what a Broker is built from.
type Config struct {
	NodeID     int32
	ClusterID  string
	Settings   *config.Config
	Clock      clock.Clock
	Logger     *slog.Logger
	Logs       *storage.Manager
	Replicas   *replica.Manager
	Groups     *group.Service
	Txns       *txn.Service
	Peers      Peers // nil: there are no other brokers
	Controller Controller
	Authorizer security.Authorizer
	Metrics    *Metrics
}

// Broker serves the broker listeners of one node.
type Broker struct {
	nodeID     int32
	clusterID  string
	clock      clock.Clock
	logger     *slog.Logger
	logs       *storage.Manager
	replicas   *replica.Manager
	groups     *group.Service
	txns       *txn.Service
	markers    markerQueues
	turns      turns        // of transactional producers whose partitions are being verified
	unverified atomic.Int64 // partitions that a transaction coordinator did not confirm
	controller Controller
	authorizer security.Authorizer
	open       bool // no authorizer: everybody may do everything
	metrics    *Metrics

	handlers map[int16]func(*Broker, *server.Request)
	image    atomic.Pointer[meta.Image]
	settings atomic.Pointer[config.Config] // static settings under the dynamic ones of the image
	epoch    atomic.Int64                  // broker epoch of this registration
	sessions *fetchSessions
	fetches  fetchPool
	ids      producerIDs
	troubles troubles

	producings sync.Pool // of *producing
}

// New returns a broker that knows no topic yet; SetImage tells it.
func New(c Config) *Broker {
	b := &Broker{
		nodeID: c.NodeID, clusterID: c.ClusterID, clock: c.Clock, logger: c.Logger,
		logs: c.Logs, replicas: c.Replicas, groups: c.Groups, txns: c.Txns, controller: c.Controller, authorizer: c.Authorizer,
		metrics: c.Metrics, handlers: handlers(),
	}
	b.markers.peers = c.Peers
	_, b.open = c.Authorizer.(security.AllowAll)
	b.sessions = newFetchSessions(c.Clock, c.Settings.Int(config.MaxIncrementalFetchSessionCacheSlots))
	b.image.Store(meta.NewImage())
	b.settings.Store(c.Settings)
	b.epoch.Store(-1)
	return b
}

// SetImage makes img the metadata that requests are answered from. The replica
// manager has applied it before, so what it shows can be served.
func (b *Broker) SetImage(img *meta.Image) { b.image.Store(img) }

// SetSettings makes c, which holds the dynamic broker settings of the image, what this broker goes by.
func (b *Broker) SetSettings(c *config.Config) { b.settings.Store(c) }

// Settings is what this broker goes by now.
func (b *Broker) Settings() *config.Config { return b.conf() }

func (b *Broker) conf() *config.Config { return b.settings.Load() }

// Image is the metadata that requests are answered from.
func (b *Broker) Image() *meta.Image { return b.image.Load() }

// SetEpoch notes the broker epoch that the controller gave this registration.
func (b *Broker) SetEpoch(epoch int64) { b.epoch.Store(epoch) }

// Serve answers one request; it is the server's Handler.
func (b *Broker) Serve(r *server.Request) {
	b.handlers[r.Key](b, r)
}
