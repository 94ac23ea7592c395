package group

// Config is the part of the broker's configuration that groups obey, each field under its Kafka name.
type Config struct {
	InitialRebalanceDelayMs  int64 // group.initial.rebalance.delay.ms
	MinSessionTimeoutMs      int32 // group.min.session.timeout.ms
	MaxSessionTimeoutMs      int32 // group.max.session.timeout.ms
	MaxSize                  int   // group.max.size
	OffsetMetadataMaxBytes   int   // offset.metadata.max.bytes
	OffsetsRetentionMs       int64 // offsets.retention.minutes
	RetentionCheckIntervalMs int64 // offsets.retention.check.interval.ms
	// MaxGroups bounds what clients can make a shard remember by inventing group ids.
	MaxGroups int
	// MaxPendingOffsets bounds the offsets that open transactions hold in a shard's memory.
	MaxPendingOffsets int
	// MaxPendingMembers bounds, for each classic group, the ids that were handed out and not yet used.
	MaxPendingMembers int
	// MaxFreshMembers bounds, for each classic group, members that were in no generation yet and need no second
	// request to become one: each holds a parked request for up to newMemberJoinTimeoutMs, though its client
	// may be gone. A larger group comes together in several rebalances.
	MaxFreshMembers int
	// MaxMemberBytes bounds what the members of a shard's groups have sent and a shard remembers (weight.go).
	MaxMemberBytes int64
	Consumer       ConsumerConfig
}

// ConsumerConfig is what groups of the consumer protocol obey.
type ConsumerConfig struct {
	Assignors      []string // group.consumer.assignors: the first is the default; never empty
	MaxSize        int      // group.consumer.max.size
	Upgrade        bool     // group.consumer.migration.policy: classic groups may become consumer groups while they run
	Downgrade      bool     // and the other way
	RegexRefreshMs int64    // group.consumer.regex.refresh.interval.ms
}

// GroupSettings is what may be set for a single group, each under its Kafka name.
type GroupSettings struct {
	SessionTimeoutMs     int64 // consumer.session.timeout.ms
	HeartbeatIntervalMs  int32 // consumer.heartbeat.interval.ms
	AssignmentIntervalMs int64 // consumer.assignment.interval.ms
}

// DefaultGroupSettings is Kafka's.
func DefaultGroupSettings() GroupSettings {
	return GroupSettings{SessionTimeoutMs: 45_000, HeartbeatIntervalMs: 5_000, AssignmentIntervalMs: 1_000}
}

// DefaultConfig is Kafka's.
func DefaultConfig() Config {
	return Config{
		InitialRebalanceDelayMs:  3000,
		MinSessionTimeoutMs:      6000,
		MaxSessionTimeoutMs:      1_800_000,
		MaxSize:                  1<<31 - 1,
		OffsetMetadataMaxBytes:   4096,
		OffsetsRetentionMs:       7 * 24 * 3600 * 1000,
		RetentionCheckIntervalMs: 600_000,
		MaxGroups:                1_000_000, // at about 500 bytes each, half a gigabyte
		MaxPendingOffsets:        1_000_000, // at some 200 bytes each, 200 MB
		MaxPendingMembers:        100_000,
		MaxFreshMembers:          10_000,
		MaxMemberBytes:           64 << 20, // some fifty thousand members of the usual size; all of fifty partitions take no more than 3 GiB
		Consumer: ConsumerConfig{
			Assignors: []string{uniformAssignor, rangeAssignor}, MaxSize: 1<<31 - 1, Upgrade: true, Downgrade: true, RegexRefreshMs: 600_000,
		},
	}
}

const (
	// newMemberJoinTimeoutMs is how long a join of a member that has never been in a generation
	// may be parked. Its session time-out cannot be used: it has no id to heartbeat with.
	newMemberJoinTimeoutMs = 5 * 60 * 1000
	// maxIDBytes bounds group ids, instance ids, client ids and protocol names: the records that
	// hold them count lengths in 16 bits, and a member id adds 37 bytes to an instance id or a client id.
	maxIDBytes = maxStringBytes - 64
	// maxTopicBytes is what the name of a topic may take.
	maxTopicBytes = 249
	// A member of a consumer group that waits for the work of others, or gives up what others wait for, is asked to come again after
	// so many milliseconds: nothing else tells it that it can go on. Those of a large group come a little less often.
	minMovingHeartbeatMs, maxMovingHeartbeatMs = 100, 500
	// expiryRetryMs is how soon expiry is tried again after its records could not be written.
	expiryRetryMs = 10_000
)

// movingHeartbeatMs is one for each member, so that a whole group that moves sends some thousand heartbeats a second.
func movingHeartbeatMs(members int) int32 {
	return int32(min(max(members, minMovingHeartbeatMs), maxMovingHeartbeatMs))
}
