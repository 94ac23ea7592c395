package replica

import (
	"log/slog"
	"sync"
	"sync/atomic"

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
		partitions: make(map[storage.TopicPartition]*Partition),
	}
	m.moves = newMoves(m, c.MoveThreads)
	return m
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
	m.mu.Unlock()
	m.moves.stop()
	m.Each(func(p *Partition) bool {
		p.end(ErrShuttingDown, ErrNotLeader)
		return true
	})
}
