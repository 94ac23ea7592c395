package config

// The topic keys, in the order of their names; never written.
var topicKeys = [...]Key{
	{
		Name: "cleanup.policy", Type: List, Default: "delete", Check: listOf{"compact", "delete"}, Importance: Medium, Synonyms: []string{"log.cleanup.policy"},
		Doc: "What happens to old segments: delete them, compact them, both, or neither.",
	},
	{
		Name: "compression.gzip.level", Type: Int, Default: "-1", Check: gzipLevel{}, Importance: Medium, Synonyms: []string{"compression.gzip.level"},
		Doc: "Level used when the broker itself compresses with gzip; -1 is the library's choice.",
	},
	{
		Name: "compression.lz4.level", Type: Int, Default: "9", Check: between{1, 17}, Importance: Medium, Synonyms: []string{"compression.lz4.level"},
		Doc: "Level used when the broker itself compresses with lz4.",
	},
	{
		Name: "compression.type", Type: String, Default: "producer", Check: oneOf{"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"}, Importance: Medium, Synonyms: []string{"compression.type"},
		Doc: "Codec in which batches are stored; producer keeps the one they came in.",
	},
	{
		Name: "compression.zstd.level", Type: Int, Default: "3", Check: between{-131072, 22}, Importance: Medium, Synonyms: []string{"compression.zstd.level"},
		Doc: "Level used when the broker itself compresses with zstd.",
	},
	{
		Name: "delete.retention.ms", Type: Long, Default: "86400000", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"log.cleaner.delete.retention.ms"},
		Doc: "Time that a tombstone stays after its cleaning, for readers that begin at the start.",
	},
	{
		Name: "file.delete.delay.ms", Type: Long, Default: "60000", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"log.segment.delete.delay.ms"},
		Doc: "Time between a segment's deletion and the removal of its file.",
	},
	{
		Name: "flush.messages", Type: Long, Default: "9223372036854775807", Check: atLeast{1}, Importance: Medium, Synonyms: []string{"log.flush.interval.messages"},
		Doc: "Messages that a partition may gather before they are forced to disk.",
	},
	{
		Name: "flush.ms", Type: Long, Default: "9223372036854775807", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"log.flush.interval.ms", "log.flush.scheduler.interval.ms"},
		Doc: "Time that a message may stay in memory before it is forced to disk.",
	},
	{
		Name: "follower.replication.throttled.replicas", Type: List, Default: "", Check: throttledReplicas{}, Importance: Medium,
		Doc: "Replicas whose fetching is throttled, written partition:broker; * is all.",
	},
	{
		Name: "index.interval.bytes", Type: Int, Default: "4096", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"log.index.interval.bytes"},
		Doc: "Bytes of log between two entries of its offset index.",
	},
	{
		Name: "internal.segment.bytes", Type: Int, Null: true, Importance: Medium, Internal: true, NoEffect: kafkaInternal,
		Doc: "Segment size, for tests.",
	},
	{
		Name: "leader.replication.throttled.replicas", Type: List, Default: "", Check: throttledReplicas{}, Importance: Medium,
		Doc: "Replicas whose serving to followers is throttled, written partition:broker; * is all.",
	},
	{
		Name: "local.retention.bytes", Type: Long, Default: "-2", Check: atLeast{-2}, Importance: Medium, Synonyms: []string{"log.local.retention.bytes"}, NoEffect: noTieredStorage,
		Doc: "Bytes kept on local disk once a segment is in tiered storage; -2 follows retention.bytes.",
	},
	{
		Name: "local.retention.ms", Type: Long, Default: "-2", Check: atLeast{-2}, Importance: Medium, Synonyms: []string{"log.local.retention.ms"}, NoEffect: noTieredStorage,
		Doc: "Time kept on local disk once a segment is in tiered storage; -2 follows retention.ms.",
	},
	{
		Name: "max.compaction.lag.ms", Type: Long, Default: "9223372036854775807", Check: atLeast{1}, Importance: Medium, Synonyms: []string{"log.cleaner.max.compaction.lag.ms"},
		Doc: "Time after which a record must have become open to compaction.",
	},
	{
		Name: "max.message.bytes", Type: Int, Default: "1048588", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"message.max.bytes"},
		Doc: "Largest batch of records that is accepted, after compression.",
	},
	{
		Name: "message.timestamp.after.max.ms", Type: Long, Default: "3600000", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"log.message.timestamp.after.max.ms"},
		Doc: "How far ahead of the broker's clock a record's timestamp may lie.",
	},
	{
		Name: "message.timestamp.before.max.ms", Type: Long, Default: "9223372036854775807", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"log.message.timestamp.before.max.ms"},
		Doc: "How far behind the broker's clock a record's timestamp may lie.",
	},
	{
		Name: "message.timestamp.type", Type: String, Default: "CreateTime", Check: oneOf{"CreateTime", "LogAppendTime"}, Importance: Medium, Synonyms: []string{"log.message.timestamp.type"},
		Doc: "Whether records carry the time of their creation or of their append.",
	},
	{
		Name: "min.cleanable.dirty.ratio", Type: Double, Default: "0.5", Check: between{0, 1}, Importance: Medium, Synonyms: []string{"log.cleaner.min.cleanable.ratio"},
		Doc: "Share of a log that must be uncleaned before it is worth cleaning.",
	},
	{
		Name: "min.compaction.lag.ms", Type: Long, Default: "0", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"log.cleaner.min.compaction.lag.ms"},
		Doc: "Time that a record stays safe from compaction.",
	},
	{
		Name: "min.insync.replicas", Type: Int, Default: "1", Check: atLeast{1}, Importance: Medium, Synonyms: []string{"min.insync.replicas"},
		Doc: "Replicas that must be in sync before a produce with acks=all is accepted.",
	},
	{
		Name: "preallocate", Type: Boolean, Default: "false", Importance: Medium, Synonyms: []string{"log.preallocate"},
		Doc: "Reserve the whole size of a segment file when it is created.",
	},
	{
		Name: "remote.log.copy.disable", Type: Boolean, Default: "false", Importance: Medium, NoEffect: noTieredStorage,
		Doc: "Stop copying to tiered storage while what is there stays readable.",
	},
	{
		Name: "remote.log.delete.on.disable", Type: Boolean, Default: "false", Importance: Medium, NoEffect: noTieredStorage,
		Doc: "Delete the topic's tiered segments when tiered storage is turned off for it.",
	},
	{
		Name: "remote.storage.enable", Type: Boolean, Default: "false", Importance: Medium, NoEffect: noTieredStorage,
		Doc: "Keep old segments of the topic in tiered storage.",
	},
	{
		Name: "retention.bytes", Type: Long, Default: "-1", Importance: Medium, Synonyms: []string{"log.retention.bytes"},
		Doc: "Size from which on a partition's oldest segments are deleted; -1 is no limit.",
	},
	{
		Name: "retention.ms", Type: Long, Default: "604800000", Check: atLeast{-1}, Importance: Medium, Synonyms: []string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"},
		Doc: "Time that a record is kept; -1 is for ever.",
	},
	{
		Name: "segment.bytes", Type: Int, Default: "1073741824", Check: atLeast{1048576}, Importance: Medium, Synonyms: []string{"log.segment.bytes"},
		Doc: "Largest size of one segment file.",
	},
	{
		Name: "segment.index.bytes", Type: Int, Default: "10485760", Check: atLeast{4}, Importance: Medium, Synonyms: []string{"log.index.size.max.bytes"},
		Doc: "Largest size of an index file; a full index starts a new segment.",
	},
	{
		Name: "segment.jitter.ms", Type: Long, Default: "0", Check: atLeast{0}, Importance: Medium, Synonyms: []string{"log.roll.jitter.ms", "log.roll.jitter.hours"},
		Doc: "Most time by which rolling is brought forward at random, so that partitions do not roll together.",
	},
	{
		Name: "segment.ms", Type: Long, Default: "604800000", Check: atLeast{1}, Importance: Medium, Synonyms: []string{"log.roll.ms", "log.roll.hours"},
		Doc: "Time after which a new segment begins although the old one is not full.",
	},
	{
		Name: "unclean.leader.election.enable", Type: Boolean, Default: "false", Importance: Medium, Synonyms: []string{"unclean.leader.election.enable"},
		Doc: "Let a replica that is not in sync become leader when no other is left, at the price of records.",
	},
}
