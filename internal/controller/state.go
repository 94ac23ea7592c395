package controller

import (
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Defaults and bounds, Kafka's where it has them.
const (
	defaultSessionTimeout = 9 * time.Second // broker.session.timeout.ms
	// MaxPartitionsPerRequest bounds the records of one request, and with it the size of one entry of the log.
	MaxPartitionsPerRequest = 10_000
	// producerIDBlock is how many producer ids a broker gets at once.
	producerIDBlock = 1000
	// uncleanElectionInterval is how often leaderless partitions are looked through for one that may be led uncleanly.
	uncleanElectionInterval = 5 * time.Minute
	// reconnectGrace is how long a broker whose connection broke has to come again before it counts as dead. A process
	// that lives does so within a few milliseconds; one that died does not, and its partitions wait for new leaders.
	reconnectGrace = 150 * time.Millisecond
	// firstWord is how long after it has become active a controller waits for the first heartbeat of a broker before it
	// believes a new process that the old one is gone. A process that lives turns to a new controller within milliseconds.
	firstWord = 300 * time.Millisecond
	// maxElectionsPerTick bounds the records of one tick; the rest follows at the next.
	maxElectionsPerTick = 1000
)

// Config is what the controller's node was configured with.
type Config struct {
	ClusterID string
	NodeID    int32
	// LocalBroker says that broker NodeID runs in this process. When it registers anew its former incarnation is
	// known to be gone: the lock on the data directory says so, and nobody need wait for a session to run out.
	LocalBroker bool

	DefaultPartitions        int32         // num.partitions
	DefaultReplicationFactor int16         // default.replication.factor
	DeleteTopicEnable        bool          // delete.topic.enable
	SessionTimeout           time.Duration // broker.session.timeout.ms, 0 = 9 s
	MinInsyncReplicas        int           // min.insync.replicas, 0 = 1
	UncleanLeaderElection    bool          // unclean.leader.election.enable
	// LeaderImbalanceCheckInterval is leader.imbalance.check.interval.seconds; 0 = no leader is moved back to its
	// preferred replica (auto.leader.rebalance.enable=false).
	LeaderImbalanceCheckInterval time.Duration

	// Configs knows the config keys; nil accepts every key with every value.
	Configs ConfigSchema
	// Random gives topic ids and shuffles brokers. It must not be nil.
	Random Random
}

// Random is the source of chance.
type Random interface {
	UUID() meta.UUID
	// IntN is a number from 0 to n-1.
	IntN(n int) int
}

// ConfigSchema is what the controller must know of config keys.
type ConfigSchema interface {
	// Validate checks all values of a resource as they would be after a change. Its error is shown to the user as it is;
	// an *Error brings its own code, any other means INVALID_CONFIG.
	Validate(res meta.ConfigResource, values map[string]string) error
	// IsList says that a key holds a list, so that APPEND and SUBTRACT may change it.
	IsList(resourceType int8, key string) bool
	// Default is what a key holds where it is not set; false when there is no such key.
	Default(resourceType int8, key string) (string, bool)
	// EffectiveTopic is every topic config as a topic with these configs has it, for the answer to CreateTopics;
	// clusterDefaults are the dynamic configs of all brokers.
	EffectiveTopic(topic, clusterDefaults map[string]string) []kmsg.CreateTopicsResponseTopicConfig
}

// State is the controller. Its methods must be called by one goroutine.
type State struct {
	cfg     Config
	img     *meta.Image
	brokers map[int32]*contact

	activated                  time.Time // when this node became the leader
	lastRebalance, lastUnclean time.Time
}

// contact is what is known of a registered broker besides its registration.
type contact struct {
	last           time.Time // of its last heartbeat or registration
	lost           time.Time // when the connection by which it sent heartbeats broke, and none has come since; zero: it stands
	heard          bool      // that heartbeat or registration came to this controller, and not to the one before
	metadataOffset int64     // up to where it has read the metadata log
	// shutdownOffset is the offset from which on the metadata says that it shuts down; -1 when it does not.
	shutdownOffset int64
}

// New is the controller of a node. It follows from img on.
func New(cfg Config, img *meta.Image) *State {
	if cfg.SessionTimeout <= 0 {
		cfg.SessionTimeout = defaultSessionTimeout
	}
	if cfg.MinInsyncReplicas <= 0 {
		cfg.MinInsyncReplicas = 1
	}
	if cfg.DefaultPartitions <= 0 {
		cfg.DefaultPartitions = 1
	}
	if cfg.DefaultReplicationFactor <= 0 {
		cfg.DefaultReplicationFactor = 1
	}
	return &State{cfg: cfg, img: img, brokers: map[int32]*contact{}}
}

// Image is the newest image, on which the next request is decided.
func (s *State) Image() *meta.Image { return s.img }

// Advance hands over the image after records were proposed or replayed.
func (s *State) Advance(img *meta.Image) { s.img = img }

// Activate makes this node the leader: every registered broker has from now on a whole session to be heard of.
func (s *State) Activate(now time.Time) {
	s.brokers = map[int32]*contact{}
	for _, b := range s.img.Brokers() {
		s.contactOf(b.ID, now)
	}
	s.activated, s.lastRebalance, s.lastUnclean = now, now, now
}

// contactOf finds what is known of a broker; one that was never heard of counts as heard of now.
func (s *State) contactOf(id int32, now time.Time) *contact {
	c := s.brokers[id]
	if c == nil {
		c = &contact{last: now, metadataOffset: -1, shutdownOffset: -1}
		s.brokers[id] = c
	}
	return c
}

// Disconnected notes that a broker's connection broke.
func (s *State) Disconnected(now time.Time, id int32) {
	if br := s.img.Broker(id); br != nil && !br.Fenced && !(s.cfg.LocalBroker && id == s.cfg.NodeID) {
		if c := s.contactOf(id, now); c.lost.IsZero() { // told again and again, it is still as long ago
			c.lost = now
		}
	}
}

// fenceAt is when an unfenced broker counts as dead if nothing more is heard of it.
func (s *State) fenceAt(id int32, now time.Time) time.Time {
	c := s.contactOf(id, now)
	at := c.last.Add(s.cfg.SessionTimeout)
	if grace := c.lost.Add(reconnectGrace); !c.lost.IsZero() && grace.Before(at) {
		return grace
	}
	return at
}

// Call is one request's surroundings.
type Call struct {
	Now time.Time
	// NextOffset is where the first record of the answer will stand in the metadata log.
	NextOffset int64
	// Local says that the request came from this process itself, and not by the network.
	Local bool
	// KRaftVersion is the level of kraft.version, which stands in a control record and not in the image.
	KRaftVersion int16
	// Try is the sending of the request, if it says so.
	Try Try
}

// Answer is what a request comes to: records to write, none or all of them, and the reply for when they are committed.
type Answer struct {
	Records  []meta.Record
	Response kmsg.Response
}

// Handle decides one request. false means that the controller does not serve the kind of request.
func (s *State) Handle(c Call, req kmsg.Request) (Answer, bool) {
	b := s.begin(c)
	var resp kmsg.Response
	switch r := req.(type) {
	case *kmsg.CreateTopicsRequest:
		resp = b.createTopics(r)
	case *kmsg.DeleteTopicsRequest:
		resp = b.deleteTopics(r)
	case *kmsg.CreatePartitionsRequest:
		resp = b.createPartitions(r)
	case *kmsg.AlterConfigsRequest:
		resp = b.alterConfigs(r)
	case *kmsg.IncrementalAlterConfigsRequest:
		resp = b.incrementalAlterConfigs(r)
	case *kmsg.BrokerRegistrationRequest:
		resp = b.registerBroker(r)
	case *kmsg.BrokerHeartbeatRequest:
		resp = b.heartbeat(r)
	case *kmsg.UnregisterBrokerRequest:
		resp = b.unregisterBroker(r)
	case *kmsg.ControllerRegistrationRequest:
		resp = b.registerController(r)
	case *kmsg.AlterPartitionRequest:
		resp = b.alterPartition(r)
	case *kmsg.ElectLeadersRequest:
		resp = b.electLeaders(r)
	case *kmsg.AlterPartitionAssignmentsRequest:
		resp = b.alterReassignments(r)
	case *kmsg.ListPartitionReassignmentsRequest:
		resp = b.listReassignments(r)
	case *kmsg.AllocateProducerIDsRequest:
		resp = b.allocateProducerIDs(r)
	case *kmsg.UpdateFeaturesRequest:
		resp = b.updateFeatures(r)
	case *kmsg.AlterClientQuotasRequest:
		resp = b.alterClientQuotas(r)
	case *kmsg.AssignReplicasToDirsRequest:
		resp = b.assignReplicasToDirs(r)
	default:
		return Answer{}, false
	}
	return Answer{Records: b.records, Response: resp}, true
}

// Serves says whether Handle knows the kind of request.
func Serves(req kmsg.Request) bool {
	switch req.(type) {
	case *kmsg.CreateTopicsRequest, *kmsg.DeleteTopicsRequest, *kmsg.CreatePartitionsRequest, *kmsg.AlterConfigsRequest,
		*kmsg.IncrementalAlterConfigsRequest, *kmsg.BrokerRegistrationRequest, *kmsg.BrokerHeartbeatRequest, *kmsg.UnregisterBrokerRequest,
		*kmsg.ControllerRegistrationRequest, *kmsg.AlterPartitionRequest, *kmsg.ElectLeadersRequest, *kmsg.AllocateProducerIDsRequest,
		*kmsg.UpdateFeaturesRequest, *kmsg.AlterClientQuotasRequest, *kmsg.AssignReplicasToDirsRequest,
		*kmsg.AlterPartitionAssignmentsRequest, *kmsg.ListPartitionReassignmentsRequest:
		return true
	}
	return false
}

// batch is one request in the making: it sees the image as its own records so far have made it.
type batch struct {
	*State
	Call
	img     *meta.Image // hides State.img
	records []meta.Record
}

func (s *State) begin(c Call) *batch { return &batch{State: s, Call: c, img: s.img} }

// add takes records that belong together. They fit the image by construction, so an error is a fault of this package.
func (b *batch) add(records ...meta.Record) {
	if len(records) == 0 {
		return
	}
	img, _, err := b.img.Apply(records, b.nextOffset()+int64(len(records))-1, b.img.Epoch(), b.Now.UnixMilli())
	if err != nil {
		panic("controller: records do not fit the image they were made for: " + err.Error())
	}
	b.img = img
	b.records = append(b.records, records...)
}

// nextOffset is where the next record will stand.
func (b *batch) nextOffset() int64 { return b.NextOffset + int64(len(b.records)) }

// dry forgets the records: the request only asked what would be.
func (b *batch) dry() { b.records = nil }
