package group

import (
	"log/slog"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/coord"
)

// Topic is where groups are stored.
const Topic = "__consumer_offsets"

// Topics resolves topics as the metadata image has them now.
type Topics interface {
	TopicName(id [16]byte) (string, bool)
	TopicID(name string) ([16]byte, bool)
}

// Options is what a Service is made of.
type Options struct {
	Config Config
	Writer coord.Writer
	Loader coord.Loader
	Clock  clock.Clock
	Log    *slog.Logger // nil: silent
	Topics Topics
	// NumPartitions is the number of partitions of Topic, 0 while it does not exist.
	NumPartitions func() int32
	// NewID returns a text that no other call will ever return, a random UUID in Kafka.
	NewID func() string

	// Metadata is the cluster's topics now, for groups of the consumer protocol; nil: none.
	Metadata func() Metadata
	// GroupSettings is what is set for a group; nil: Kafka's defaults.
	GroupSettings func(group string) GroupSettings

	CommitTimeoutMs int64 // offsets.commit.timeout.ms; 0: Kafka's default
	MaxBatchBytes   int   // max.message.bytes of Topic; 0: Kafka's default
}

// RequestContext is who asks.
type RequestContext struct {
	ClientID   string
	ClientHost string // as Kafka shows it: "/127.0.0.1"
}

// Service is the group coordinator of a broker. Each request has its method, which calls reply
// exactly once, now or later, on whatever goroutine. Byte slices and arrays of a request may be
// reused by the caller as soon as the method returns; strings must stay as they are.
// Authorization is the caller's.
type Service struct {
	o      Options
	counts *Counters
	rt     *coord.Runtime[*Shard]
}

// New returns a coordinator that leads nothing yet. All of o but Log must be set.
func New(o Options) *Service {
	if o.Config.RetentionCheckIntervalMs <= 0 {
		o.Config.RetentionCheckIntervalMs = DefaultConfig().RetentionCheckIntervalMs // 0 would be a loop without end
	}
	if len(o.Config.Consumer.Assignors) == 0 {
		o.Config.Consumer.Assignors = DefaultConfig().Consumer.Assignors
	}
	if o.MaxBatchBytes <= 0 {
		o.MaxBatchBytes = coord.DefaultMaxBatchBytes
	}
	s := &Service{o: o, counts: &Counters{}}
	s.rt = coord.New(coord.Config[*Shard]{
		Name:   Topic,
		Writer: o.Writer,
		Loader: o.Loader,
		Clock:  o.Clock,
		Log:    o.Log,
		NewMachine: func(int32) *Shard {
			sh := NewShard(&s.o.Config, s.counts)
			sh.maxHeld = s.o.Config.maxHeld(s.o.MaxBatchBytes)
			if s.o.Metadata != nil {
				sh.metadata = s.o.Metadata
			}
			if s.o.GroupSettings != nil {
				sh.settings = s.o.GroupSettings
			}
			return sh
		},
		CommitTimeoutMs: o.CommitTimeoutMs,
		MaxBatchBytes:   o.MaxBatchBytes,
	})
	return s
}

// Elect says that this broker leads partition p of Topic since leaderEpoch.
func (s *Service) Elect(p, leaderEpoch int32) { s.rt.Elect(p, leaderEpoch) }

// Resign says that this broker does not lead p any more: another does since leaderEpoch, or,
// if that is -1, nobody will.
func (s *Service) Resign(p, leaderEpoch int32) { s.rt.Resign(p, leaderEpoch) }

// HighWatermark says how far p is committed.
func (s *Service) HighWatermark(p int32, hw int64) { s.rt.HighWatermark(p, hw) }

// Close answers everything that is parked and gives up all partitions.
func (s *Service) Close() { s.rt.Close() }

// PartitionFor is the partition of Topic that holds groupID; false while Topic does not exist.
func (s *Service) PartitionFor(groupID string) (int32, bool) {
	n := s.o.NumPartitions()
	if n <= 0 {
		return 0, false
	}
	return PartitionFor(groupID, n), true
}

// do runs op on the shard of groupID.
func (s *Service) do(groupID string, op func(*Shard, *coord.Turn), refuse func(error)) {
	p, ok := s.PartitionFor(groupID)
	if !ok {
		refuse(coord.ErrUnavailable)
		return
	}
	s.rt.Do(p, op, refuse)
}

// checkGroupID is the code for an id that cannot be a group's. Requests about offsets have
// always been allowed to use the empty id.
func checkGroupID(id string, emptyAllowed bool) int16 {
	if (id == "" && !emptyAllowed) || len(id) > maxIDBytes {
		return codeInvalidGroupID
	}
	return codeNone
}

// Metrics are the figures of this broker's groups.
type Metrics struct {
	GroupsByState map[string]int // classic groups: "Empty", "Stable", ...
	// ConsumerGroupsByState are groups of the consumer protocol: "Assigning", "Reconciling", ...
	ConsumerGroupsByState map[string]int
	LoadAvgMs, LoadMaxMs  float64        // of the last half minute's loads
	GroupsByType          map[string]int // "classic", "consumer", "share", "streams"
	Offsets               int
	OffsetCommits         int64
	OffsetExpirations     int64
	OffsetDeletions       int64
	CompletedRebalances   int64
	ConsumerRebalances    int64 // epochs that consumer groups have begun
	Partitions            coord.Counts
}

// Metrics takes a snapshot. It waits for the turns that run now.
func (s *Service) Metrics() Metrics {
	m := Metrics{
		GroupsByState:       map[string]int{},
		GroupsByType:        map[string]int{classicType: 0, consumerType: 0},
		OffsetCommits:       s.counts.OffsetCommits.Load(),
		OffsetExpirations:   s.counts.OffsetExpirations.Load(),
		OffsetDeletions:     s.counts.OffsetDeletions.Load(),
		CompletedRebalances: s.counts.CompletedRebalances.Load(),
		ConsumerRebalances:  s.counts.ConsumerRebalances.Load(),
		Partitions:          s.rt.Counts(),
	}
	m.LoadAvgMs, m.LoadMaxMs = s.rt.LoadTimes()
	m.ConsumerGroupsByState = map[string]int{}
	for _, name := range []string{Empty.String(), stateAssigning, stateReconciling, Stable.String(), deadState} {
		m.ConsumerGroupsByState[name] = 0
	}
	for st := Empty; st < numStates; st++ {
		m.GroupsByState[st.String()] = 0
	}
	partitions := s.rt.Partitions()
	done := make(chan struct{})
	g := coord.NewGather(len(partitions), func() { close(done) })
	for _, p := range partitions {
		s.rt.Do(p, func(sh *Shard, _ *coord.Turn) {
			g.Done(func() { sh.measure(&m) })
		}, func(error) { g.Done(func() {}) })
	}
	<-done
	return m
}

func (s *Shard) measure(m *Metrics) {
	for _, g := range s.groups {
		m.GroupsByState[g.state.String()]++
	}
	m.GroupsByType[classicType] += len(s.groups)
	for _, g := range s.consumers {
		m.GroupsByType[consumerType]++
		m.ConsumerGroupsByState[g.state()]++
	}
	for _, f := range s.foreign {
		m.GroupsByType[f.typeName()]++
	}
	m.Offsets += s.offsets.count
}
