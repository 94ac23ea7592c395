package replica

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/storage"
)

// Config is what a Manager is built from.
type Config struct {
	NodeID int32
	Logs   *storage.Manager
	Clock  clock.Clock
	Logger *slog.Logger
	// FlushAcks: a record counts as held by this replica only when it is synced (moldau.flush.acks).
	FlushAcks bool
	// InterBrokerListener is the name of the listener by which brokers reach each other.
	InterBrokerListener string
	// Dial makes a connection to a broker's address; nil where there are no other brokers.
	Dial func(broker int32, address string) Peer
	// Controller takes changes of the in-sync replicas; nil where there are no other brokers.
	Controller Controller
	// BrokerEpoch is that of this broker's registration, -1 before the first: until an image knows of it, the broker
	// takes no role. nil where the metadata names no brokers.
	BrokerEpoch func() int64
	// InTouch says whether the controller has of late called this broker alive; nil: always. It must not block.
	InTouch func() bool
	// Settings of replication; zero means DefaultSettings.
	Settings Settings
	// TopicConfig gives the settings of a topic's logs and its min.insync.replicas, as the image has them.
	TopicConfig func(img *meta.Image, topic string) TopicConfig
	// OnHighWatermark is told of each move of a led partition's high watermark; no lock is held. May be nil.
	OnHighWatermark func(tp storage.TopicPartition, leaderEpoch int32, hw int64)
	// OnRole is told when this broker leads a partition since leaderEpoch, after the partition serves, or that
	// another does since leaderEpoch, which is -1 when the partition is gone. May be nil.
	OnRole func(tp storage.TopicPartition, leaderEpoch int32, leads bool)
	// OnDeleted is told of topics that are gone from the cluster. May be nil.
	OnDeleted func(topics []*meta.Topic)
	// OnPlaced is told of a log that lies in another directory than the metadata says: until the controller knows, the
	// loss of that directory would look like a partition that has yet to be placed, and begin empty. May be nil.
	OnPlaced func(topicID [16]byte, partition int32, dir [16]byte)
	// MoveThreads is how many logs move to other log directories at the same time.
	MoveThreads int
}

// TopicConfig is what a topic's settings mean to its partitions.
type TopicConfig struct {
	Log    storage.LogConfig
	MinISR int
	// LeaderThrottled and FollowerThrottled replicas are subject to the bounds of Settings.
	LeaderThrottled, FollowerThrottled ThrottledReplicas
}

// Manager owns the partitions of a broker.
type Manager struct {
	nodeID          int32
	logs            *storage.Manager
	clock           clock.Clock
	logger          *slog.Logger
	flushAcks       bool
	topicConfig     func(*meta.Image, string) TopicConfig
	onHighWatermark func(storage.TopicPartition, int32, int64)
	onRole          func(storage.TopicPartition, int32, bool)
	onDeleted       func([]*meta.Topic)
	onPlaced        func([16]byte, int32, [16]byte)
	listener        string
	dial            func(int32, string) Peer
	controller      Controller
	brokerEpoch     func() int64
	inTouch         func() bool
	// spawn runs fn beside the caller, and awaitSync is storage's: a simulation has both wait for their turn.
	spawn     func(fn func())
	awaitSync func(log *storage.Log, offset int64, fn func(error))
	flaws     flaws

	settings  atomic.Pointer[Settings]
	isr       *isrChannel
	fetchers  *fetcherSet
	throttles throttles
	counts    counts
	lagTimer  clock.Timer // checks for followers that have fallen behind; guarded by mu

	moves *moves

	mu         sync.RWMutex
	partitions map[storage.TopicPartition]*Partition
	stopped    bool

	image atomic.Pointer[meta.Image] // the one that is, or is being, applied; nil before the first

	applyMu  sync.Mutex // held while partitions take their roles: by an image, or because a log has been recovered
	caughtUp bool       // an image has been applied; only ApplyMetadata's goroutine looks
}

// NewManager returns a manager without partitions; ApplyMetadata gives it some.
func NewManager(c Config) *Manager {
	m := &Manager{
		nodeID: c.NodeID, logs: c.Logs, clock: c.Clock, logger: c.Logger, flushAcks: c.FlushAcks,
		topicConfig: c.TopicConfig, onHighWatermark: c.OnHighWatermark, onRole: c.OnRole, onDeleted: c.OnDeleted, onPlaced: c.OnPlaced,
		listener: c.InterBrokerListener, dial: c.Dial, controller: c.Controller, brokerEpoch: c.BrokerEpoch, inTouch: c.InTouch,
		partitions: make(map[storage.TopicPartition]*Partition),
		spawn:      func(fn func()) { go fn() },
		awaitSync:  func(log *storage.Log, offset int64, fn func(error)) { log.AwaitSync(offset, fn) },
	}
	m.moves = newMoves(m, c.MoveThreads)
	if c.Settings == (Settings{}) {
		c.Settings = DefaultSettings()
	}
	m.settings.Store(&c.Settings)
	m.isr, m.fetchers, m.throttles.m = newIsrChannel(m), newFetcherSet(m), m
	if m.controller != nil {
		m.armLagTimer()
	}
	return m
}

// SetSettings changes the settings of replication.
func (m *Manager) SetSettings(s Settings) {
	old := m.settings.Swap(&s)
	if old.NumFetchers != s.NumFetchers {
		m.fetchers.rearrange()
	}
}

// RackAware says whether consumers are to be sent to replicas of their rack.
func (m *Manager) RackAware() bool { return m.conf().RackAware }

// epochNow is the broker epoch for those who ask by it.
func (m *Manager) epochNow() int64 {
	if m.brokerEpoch == nil {
		return -1
	}
	return m.brokerEpoch()
}

func (m *Manager) conf() *Settings { return m.settings.Load() }

// armLagTimer has the followers looked at twice in replica.lag.time.max.ms, so that one that has fallen behind is
// noticed at the latest after one and a half of it.
func (m *Manager) armLagTimer() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.stopped {
		m.lagTimer = m.clock.AfterFunc(max(m.conf().LagTimeMax/2, time.Millisecond), m.checkLag)
	}
}

func (m *Manager) checkLag() {
	now, maxLag := m.clock.Now(), m.conf().LagTimeMax
	m.Each(func(p *Partition) bool {
		p.maybeShrink(now, maxLag)
		p.lookAtWatches()
		return true
	})
	m.armLagTimer()
}

// Partition is the local replica of tp; ErrNotLeader when other brokers hold it, or this one is about
// to, and ErrUnknownTopicOrPartition when nobody does.
func (m *Manager) Partition(tp storage.TopicPartition) (*Partition, error) {
	m.mu.RLock()
	p, stopped := m.partitions[tp], m.stopped
	m.mu.RUnlock()
	switch {
	case stopped:
		return nil, ErrShuttingDown
	case p != nil:
		return p, nil
	}
	if img := m.image.Load(); img != nil && img.Partition(tp.Topic, tp.Partition) != nil {
		return nil, ErrNotLeader
	}
	return nil, ErrUnknownTopicOrPartition
}

// Each calls fn for every partition until it returns false; the order is that of a map.
func (m *Manager) Each(fn func(*Partition) bool) {
	m.mu.RLock()
	all := make([]*Partition, 0, len(m.partitions))
	for _, p := range m.partitions {
		all = append(all, p)
	}
	m.mu.RUnlock()
	for _, p := range all {
		if !fn(p) {
			return
		}
	}
}

// Counts are the figures that dashboards ask of a replica manager.
type Counts struct {
	Partitions, Leaders, Offline, UnderReplicated, UnderMinISR, AtMinISR int
}

// Counts walks the partitions and counts them.
func (m *Manager) Counts() Counts {
	var c Counts
	m.Each(func(p *Partition) bool {
		s := p.roleState()
		c.Partitions++
		switch s.Role {
		case Offline:
			c.Offline++
		case Leader:
			c.Leaders++
			if len(s.ISR) < len(s.Replicas) {
				c.UnderReplicated++
			}
			switch {
			case len(s.ISR) < s.MinISR:
				c.UnderMinISR++
			case len(s.ISR) == s.MinISR:
				c.AtMinISR++
			}
		}
		return true
	})
	return c
}

// Stop answers everybody who waits with ErrNotLeader and refuses all that comes after.
func (m *Manager) Stop() {
	m.mu.Lock()
	m.stopped = true
	if m.lagTimer != nil {
		m.lagTimer.Stop()
	}
	m.mu.Unlock()
	m.moves.stop()
	m.isr.stop()
	m.fetchers.stop()
	m.Each(func(p *Partition) bool {
		p.end(ErrShuttingDown, ErrNotLeader)
		return true
	})
}
