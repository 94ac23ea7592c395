package config

// The second half of the table of broker keys.
var brokerKeysFromL = [...]Key{
	{
		Name: "listeners", Type: List, Default: "PLAINTEXT://:9092", Check: nonEmptyListOf{}, Importance: High, Mode: PerBroker,
		Doc: "Addresses on which the node listens, each written NAME://host:port; an empty host is all addresses.",
	},
	{
		Name: "log.cleaner.backoff.ms", Type: Long, Default: "15000", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide,
		Doc: "Pause of the log cleaner when nothing is worth cleaning.",
	},
	{
		Name: "log.cleaner.dedupe.buffer.size", Type: Long, Default: "134217728", Importance: Medium, Mode: ClusterWide,
		Doc: "Memory for the key maps of all cleaner threads together.",
	},
	{
		Name: "log.cleaner.delete.retention.ms", Type: Long, Default: "86400000", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide,
		Doc: "Time that a tombstone stays in a compacted topic after its cleaning.",
	},
	{
		Name: "log.cleaner.enable", Type: Boolean, Default: "true", Importance: Medium,
		Doc: "Run the log cleaner.",
	},
	{
		Name: "log.cleaner.io.buffer.load.factor", Type: Double, Default: "0.9", Importance: Medium, Mode: ClusterWide,
		Doc: "How full the cleaner's key map may get before a pass ends.",
	},
	{
		Name: "log.cleaner.io.buffer.size", Type: Int, Default: "524288", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide,
		Doc: "Memory for reading and writing of all cleaner threads together.",
	},
	{
		Name: "log.cleaner.io.max.bytes.per.second", Type: Double, Default: "1.7976931348623157E308", Importance: Medium, Mode: ClusterWide,
		Doc: "Most bytes that the cleaner reads and writes in a second.",
	},
	{
		Name: "log.cleaner.max.compaction.lag.ms", Type: Long, Default: "9223372036854775807", Check: atLeast{1}, Importance: Medium, Mode: ClusterWide,
		Doc: "Time after which a record must have become open to compaction.",
	},
	{
		Name: "log.cleaner.min.cleanable.ratio", Type: Double, Default: "0.5", Check: between{0, 1}, Importance: Medium, Mode: ClusterWide,
		Doc: "Share of a log that must be uncleaned before it is worth cleaning.",
	},
	{
		Name: "log.cleaner.min.compaction.lag.ms", Type: Long, Default: "0", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide,
		Doc: "Time that a record stays safe from compaction.",
	},
	{
		Name: "log.cleaner.threads", Type: Int, Default: "1", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide,
		Doc: "Logs that are cleaned at the same time.",
	},
	{
		Name: "log.cleanup.policy", Type: List, Default: "delete", Check: listOf{"compact", "delete"}, Importance: Medium, Mode: ClusterWide,
		Doc: "What happens to old segments: delete them, compact them, both, or neither.",
	},
	{
		Name: "log.dir", Type: List, Default: "/tmp/kafka-logs", Check: nonEmptyListOf{}, Importance: High,
		Doc: "Directory for data, used when log.dirs is absent.",
	},
	{
		Name: "log.dir.failure.timeout.ms", Type: Long, Default: "30000", Check: atLeast{1}, Importance: Low, NoEffect: staysUp,
		Doc: "How long a broker may fail to report a broken log directory before it stops.",
	},
	{
		Name: "log.dirs", Type: List, Null: true, Check: nonEmptyListOf{}, Importance: High,
		Doc: "Directories for data, separated by commas.",
	},
	{
		Name: "log.flush.interval.messages", Type: Long, Default: "9223372036854775807", Check: atLeast{1}, Importance: High, Mode: ClusterWide,
		Doc: "Messages that a partition may gather before they are forced to disk.",
	},
	{
		Name: "log.flush.interval.ms", Type: Long, Null: true, Importance: High, Mode: ClusterWide,
		Doc: "Time that a message may stay in memory before it is forced to disk.",
	},
	{
		Name: "log.flush.offset.checkpoint.interval.ms", Type: Int, Default: "60000", Check: atLeast{0}, Importance: High,
		Doc: "Time between two writes of the recovery point checkpoint.",
	},
	{
		Name: "log.flush.scheduler.interval.ms", Type: Long, Default: "9223372036854775807", Importance: High,
		Doc: "Time between two searches for logs that are due to be forced to disk.",
	},
	{
		Name: "log.flush.start.offset.checkpoint.interval.ms", Type: Int, Default: "60000", Check: atLeast{0}, Importance: High,
		Doc: "Time between two writes of the log start offset checkpoint.",
	},
	{
		Name: "log.index.interval.bytes", Type: Int, Default: "4096", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide,
		Doc: "Bytes of log between two entries of its offset index.",
	},
	{
		Name: "log.index.size.max.bytes", Type: Int, Default: "10485760", Check: atLeast{4}, Importance: Medium, Mode: ClusterWide,
		Doc: "Largest size of an index file; a full index starts a new segment.",
	},
	{
		Name: "log.initial.task.delay.ms", Type: Long, Default: "30000", Check: atLeast{0}, Importance: Low, Internal: true, NoEffect: kafkaInternal,
		Doc: "Delay before the log's background tasks run for the first time.",
	},
	{
		Name: "log.local.retention.bytes", Type: Long, Default: "-2", Check: atLeast{-2}, Importance: Medium, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "Bytes kept on local disk once a segment is in tiered storage; -2 follows log.retention.bytes.",
	},
	{
		Name: "log.local.retention.ms", Type: Long, Default: "-2", Check: atLeast{-2}, Importance: Medium, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "Time kept on local disk once a segment is in tiered storage; -2 follows log.retention.ms.",
	},
	{
		Name: "log.message.timestamp.after.max.ms", Type: Long, Default: "3600000", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide,
		Doc: "How far ahead of the broker's clock a record's timestamp may lie.",
	},
	{
		Name: "log.message.timestamp.before.max.ms", Type: Long, Default: "9223372036854775807", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide,
		Doc: "How far behind the broker's clock a record's timestamp may lie.",
	},
	{
		Name: "log.message.timestamp.type", Type: String, Default: "CreateTime", Check: oneOf{"CreateTime", "LogAppendTime"}, Importance: Medium, Mode: ClusterWide,
		Doc: "Whether records carry the time of their creation or of their append.",
	},
	{
		Name: "log.preallocate", Type: Boolean, Default: "false", Importance: Medium, Mode: ClusterWide,
		Doc: "Reserve the whole size of a segment file when it is created.",
	},
	{
		Name: "log.retention.bytes", Type: Long, Default: "-1", Importance: High, Mode: ClusterWide,
		Doc: "Size from which on a partition's oldest segments are deleted; -1 is no limit.",
	},
	{
		Name: "log.retention.check.interval.ms", Type: Long, Default: "300000", Check: atLeast{1}, Importance: Medium,
		Doc: "Time between two searches for segments that retention allows to delete.",
	},
	{
		Name: "log.retention.hours", Type: Int, Default: "168", Importance: High,
		Doc: "Hours that a record is kept; log.retention.minutes and log.retention.ms go before it.",
	},
	{
		Name: "log.retention.minutes", Type: Int, Null: true, Importance: High,
		Doc: "Minutes that a record is kept; log.retention.ms goes before it.",
	},
	{
		Name: "log.retention.ms", Type: Long, Null: true, Importance: High, Mode: ClusterWide,
		Doc: "Milliseconds that a record is kept; -1 is for ever.",
	},
	{
		Name: "log.roll.hours", Type: Int, Default: "168", Check: atLeast{1}, Importance: High,
		Doc: "Hours after which a new segment begins although the old one is not full; log.roll.ms goes before it.",
	},
	{
		Name: "log.roll.jitter.hours", Type: Int, Default: "0", Check: atLeast{0}, Importance: High,
		Doc: "Most hours by which rolling is brought forward at random; log.roll.jitter.ms goes before it.",
	},
	{
		Name: "log.roll.jitter.ms", Type: Long, Null: true, Importance: High, Mode: ClusterWide,
		Doc: "Most milliseconds by which rolling is brought forward at random.",
	},
	{
		Name: "log.roll.ms", Type: Long, Null: true, Importance: High, Mode: ClusterWide,
		Doc: "Milliseconds after which a new segment begins although the old one is not full.",
	},
	{
		Name: "log.segment.bytes", Type: Int, Default: "1073741824", Check: atLeast{1048576}, Importance: High, Mode: ClusterWide,
		Doc: "Largest size of one segment file.",
	},
	{
		Name: "log.segment.delete.delay.ms", Type: Long, Default: "60000", Check: atLeast{0}, Importance: High, Mode: ClusterWide,
		Doc: "Time between a segment's deletion and the removal of its file.",
	},
	{
		Name: "max.connection.creation.rate", Type: Int, Default: "2147483647", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide, NoEffect: noQuotas,
		Doc: "Most new connections in a second.",
	},
	{
		Name: "max.connections", Type: Int, Default: "2147483647", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide,
		Doc: "Most open connections of the node.",
	},
	{
		Name: "max.connections.per.ip", Type: Int, Default: "2147483647", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide,
		Doc: "Most open connections from one address.",
	},
	{
		Name: "max.connections.per.ip.overrides", Type: String, Default: "", Importance: Medium, Mode: ClusterWide,
		Doc: "Other limits for single addresses or host names, written host:limit.",
	},
	{
		Name: "max.incremental.fetch.session.cache.slots", Type: Int, Default: "1000", Check: atLeast{0}, Importance: Medium,
		Doc: "Most fetch sessions that the broker remembers.",
	},
	{
		Name: "max.request.partition.size.limit", Type: Int, Default: "2000", Check: atLeast{1}, Importance: Medium,
		Doc: "Most partitions that one DescribeTopicPartitions response holds.",
	},
	{
		Name: "message.max.bytes", Type: Int, Default: "1048588", Check: atLeast{0}, Importance: High, Mode: ClusterWide,
		Doc: "Largest batch of records that is accepted, after compression.",
	},
	{
		Name: "metadata.log.dir", Type: String, Null: true, Importance: High,
		Doc: "Directory of the metadata log; without it, the first of log.dirs.",
	},
	{
		Name: "metadata.log.max.record.bytes.between.snapshots", Type: Long, Default: "20971520", Check: atLeast{1}, Importance: High,
		Doc: "Bytes of new metadata records after which a snapshot is cut.",
	},
	{
		Name: "metadata.log.max.snapshot.interval.ms", Type: Long, Default: "3600000", Check: atLeast{0}, Importance: High,
		Doc: "Time after which a snapshot is cut when there are new records; 0 never.",
	},
	{
		Name: "metadata.log.segment.bytes", Type: Int, Default: "1073741824", Check: atLeast{8388608}, Importance: High,
		Doc: "Largest size of one segment of the metadata log.",
	},
	{
		Name: "metadata.log.segment.ms", Type: Long, Default: "604800000", Importance: High, NoEffect: rollsBySize,
		Doc: "Time after which a new segment of the metadata log begins.",
	},
	{
		Name: "metadata.max.idle.interval.ms", Type: Int, Default: "500", Check: atLeast{0}, Importance: Low, NoEffect: heartbeatsTell,
		Doc: "Time after which an idle active controller writes a record that shows it is alive; 0 never.",
	},
	{
		Name: "metadata.max.retention.bytes", Type: Long, Default: "104857600", Importance: High,
		Doc: "Size of metadata log and snapshots from which on old ones are deleted.",
	},
	{
		Name: "metadata.max.retention.ms", Type: Long, Default: "604800000", Importance: High,
		Doc: "Time that metadata log segments and snapshots are kept.",
	},
	{
		Name: "metric.reporters", Type: List, Default: "org.apache.kafka.common.metrics.JmxReporter", Importance: Low, Mode: ClusterWide, NoEffect: noJavaMetrics,
		Doc: "Java classes that receive every metric.",
	},
	{
		Name: "metrics.num.samples", Type: Int, Default: "2", Check: atLeast{1}, Importance: Low, NoEffect: noJavaMetrics,
		Doc: "Samples that a Java client metric is computed from.",
	},
	{
		Name: "metrics.recording.level", Type: String, Default: "INFO", Importance: Low, NoEffect: noJavaMetrics,
		Doc: "Most detailed level of Java client metrics that is recorded.",
	},
	{
		Name: "metrics.sample.window.ms", Type: Long, Default: "30000", Check: atLeast{1}, Importance: Low, NoEffect: noJavaMetrics,
		Doc: "Length of one sample of a Java client metric.",
	},
	{
		Name: "metrics.static.labels", Type: String, Default: "", Origin: Own, Importance: Low,
		Doc: "Labels that every metric carries, written name=value and separated by commas.",
	},
	{
		Name: "min.insync.replicas", Type: Int, Default: "1", Check: atLeast{1}, Importance: High, Mode: ClusterWide,
		Doc: "Replicas that must be in sync before a produce with acks=all is accepted.",
	},
	{
		Name: "moldau.admin.allow.remote", Type: Boolean, Default: "false", Origin: Own, Importance: Low,
		Doc: "Let the admin listener bind an address that other machines reach; it asks nobody for a password.",
	},
	{
		Name: "moldau.admin.listener", Type: String, Default: "127.0.0.1:9644", Origin: Own, Importance: Medium,
		Doc: "Address of /metrics, health checks and profiles, written host:port; empty turns it off.",
	},
	{
		Name: "moldau.disk.reserve.bytes", Type: Long, Default: "-1", Check: atLeast{-1}, Origin: Own, Importance: Medium,
		Doc: "Refuse records while a log directory's volume has no more free than this, so that retention, group commits and a clean stop still work; -1 takes 1 % of the volume, between 64 MiB and 1 GiB and at most 5 %; 0 refuses nothing.",
	},
	{
		Name: "moldau.flush.acks", Type: Boolean, Default: "false", Origin: Own, Importance: High,
		Doc: "Acknowledge a produce only when its records are synced to disk; one sync serves all who wait.",
	},
	{
		Name: "moldau.group.max.fresh.members", Type: Int, Default: "10000", Check: atLeast{1}, Origin: Own, Importance: Low,
		Doc: "Static members, and those of old clients, that may wait at once for their first generation in a classic group; those beyond are answered with COORDINATOR_NOT_AVAILABLE until it has begun.",
	},
	{
		Name: "moldau.group.max.groups.per.partition", Type: Int, Default: "1000000", Check: atLeast{1}, Origin: Own, Importance: Low,
		Doc: "Groups that each partition of __consumer_offsets may hold; a new one beyond is answered with COORDINATOR_NOT_AVAILABLE.",
	},
	{
		Name: "moldau.group.max.member.bytes.per.partition", Type: Long, Default: "67108864", Check: atLeast{0}, Origin: Own, Importance: Low,
		Doc: "Bytes that the members of all groups of a partition of __consumer_offsets may take in memory, at least four times message.max.bytes; who would take more is answered with COORDINATOR_NOT_AVAILABLE.",
	},
	{
		Name: "moldau.group.max.pending.members", Type: Int, Default: "100000", Check: atLeast{1}, Origin: Own, Importance: Low,
		Doc: "Member ids of a classic group that may be handed out and not yet used; those beyond are answered with COORDINATOR_NOT_AVAILABLE.",
	},
	{
		Name: "moldau.group.max.pending.offsets.per.partition", Type: Int, Default: "1000000", Check: atLeast{1}, Origin: Own, Importance: Low,
		Doc: "Offsets of open transactions that each partition of __consumer_offsets may hold; those beyond are answered with COORDINATOR_NOT_AVAILABLE.",
	},
	{
		Name: "moldau.log.dir.check.interval.ms", Type: Long, Default: "30000", Check: atLeast{-1}, Origin: Own, Importance: Low,
		Doc: "How often each log directory is tried out, so that one that vanished or cannot be written is noticed without traffic; -1 never.",
	},
	{
		Name: "moldau.log.format", Type: String, Default: "text", Check: oneOf{"text", "json"}, Origin: Own, Importance: Low,
		Doc: "Form of the node's own log: text for people, json for machines.",
	},
	{
		Name: "moldau.log.level", Type: String, Default: "info", Check: oneOf{"debug", "info", "warn", "error"}, Origin: Own, Importance: Low,
		Doc: "Least severe level that the node logs: debug, info, warn or error.",
	},
	{
		Name: "moldau.metrics.consumer.lag.max", Type: Int, Default: "20000", Check: atLeast{0}, Origin: Own, Importance: Low,
		Doc: "Partitions of groups whose lag this broker shows in its metrics, those beyond being counted in moldau_consumer_lag_left_out; 0 shows none.",
	},
	{
		Name: "moldau.scrub.bytes.per.second", Type: Long, Default: "4194304", Check: atLeast{0}, Origin: Own, Importance: Low,
		Doc: "How much of the closed segments of each log directory is read each second in search of damaged records; 0 turns the search off.",
	},
	{
		Name: "moldau.strict.records", Type: Boolean, Default: "false", Origin: Own, Importance: Low,
		Doc: "Unpack every record that a client sends and check it, as Kafka does, at several times the cost of an append.",
	},
	{
		Name: "moldau.transaction.max.ids.per.partition", Type: Int, Default: "500000", Check: atLeast{1}, Origin: Own, Importance: Low,
		Doc: "Transactional ids that each partition of __transaction_state may hold; a new one beyond is answered with COORDINATOR_NOT_AVAILABLE.",
	},
	{
		Name: "moldau.verify.reads", Type: Boolean, Default: "true", Origin: Own, Importance: Low,
		Doc: "Check the checksums of records that an earlier run has written, once, before they are first sent to somebody.",
	},
	{
		Name: "node.id", Type: Int, Required: true, Check: atLeast{0}, Importance: High,
		Doc: "Number of this node, unique among brokers and controllers.",
	},
	{
		Name: "num.io.threads", Type: Int, Default: "8", Check: atLeast{1}, Importance: High, Mode: ClusterWide, NoEffect: noThreadPools,
		Doc: "Threads that handle requests.",
	},
	{
		Name: "num.network.threads", Type: Int, Default: "3", Check: atLeast{1}, Importance: High, Mode: ClusterWide, NoEffect: noThreadPools,
		Doc: "Threads that read and write a listener's connections.",
	},
	{
		Name: "num.partitions", Type: Int, Default: "1", Check: atLeast{1}, Importance: Medium,
		Doc: "Partitions of a topic that is created without saying how many.",
	},
	{
		Name: "num.recovery.threads.per.data.dir", Type: Int, Default: "2", Check: atLeast{1}, Importance: High, Mode: ClusterWide,
		Doc: "Logs of one directory that are recovered at the same time when the node starts.",
	},
	{
		Name: "num.replica.alter.log.dirs.threads", Type: Int, Null: true, Importance: High,
		Doc: "Threads that move replicas between log directories.",
	},
	{
		Name: "num.replica.fetchers", Type: Int, Default: "1", Check: atLeast{1}, Importance: High, Mode: ClusterWide,
		Doc: "Parallel fetchers from each leading broker.",
	},
	{
		Name: "offset.metadata.max.bytes", Type: Int, Default: "4096", Importance: High,
		Doc: "Largest note that a client may store with a committed offset.",
	},
	{
		Name: "offsets.commit.timeout.ms", Type: Int, Default: "5000", Check: atLeast{1}, Importance: High,
		Doc: "How long an offset commit waits to be written and replicated.",
	},
	{
		Name: "offsets.load.buffer.size", Type: Int, Default: "5242880", Check: atLeast{1}, Importance: High, NoEffect: readsInPieces,
		Doc: "Bytes read at a time when committed offsets are loaded.",
	},
	{
		Name: "offsets.retention.check.interval.ms", Type: Long, Default: "600000", Check: atLeast{1}, Importance: High,
		Doc: "Time between two searches for committed offsets that have expired.",
	},
	{
		Name: "offsets.retention.minutes", Type: Int, Default: "10080", Check: atLeast{1}, Importance: High,
		Doc: "Minutes that the offsets of a group are kept after it has become empty.",
	},
	{
		Name: "offsets.topic.compression.codec", Type: Int, Default: "0", Importance: High,
		Doc: "Compression codec of the committed offsets, by its number.",
	},
	{
		Name: "offsets.topic.num.partitions", Type: Int, Default: "50", Check: atLeast{1}, Importance: High,
		Doc: "Partitions of the topic of committed offsets; fixed at its creation.",
	},
	{
		Name: "offsets.topic.replication.factor", Type: Short, Default: "3", Check: atLeast{1}, Importance: High,
		Doc: "Replicas of the topic of committed offsets.",
	},
	{
		Name: "offsets.topic.segment.bytes", Type: Int, Default: "104857600", Check: atLeast{1}, Importance: High,
		Doc: "Segment size of the topic of committed offsets.",
	},
	{
		Name: "principal.builder.class", Type: Class, Default: "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder", Importance: Medium, Mode: PerBroker, NoEffect: noJavaClasses,
		Doc: "Java class that turns a certificate or SASL name into a principal.",
	},
	{
		Name: "process.roles", Type: List, Required: true, Check: nonEmptyListOf{"broker", "controller"}, Importance: High,
		Doc: "What this process is: broker, controller, or both.",
	},
	{
		Name: "producer.id.expiration.check.interval.ms", Type: Int, Default: "600000", Check: atLeast{1}, Importance: Low, Internal: true,
		Doc: "Time between two searches for idempotent producers that have gone silent.",
	},
	{
		Name: "producer.id.expiration.ms", Type: Int, Default: "86400000", Check: atLeast{1}, Importance: Low, Mode: ClusterWide,
		Doc: "Silence after which a partition forgets an idempotent producer.",
	},
	{
		Name: "producer.purgatory.purge.interval.requests", Type: Int, Default: "1000", Importance: Medium, NoEffect: noPurgatory,
		Doc: "Waiting Produce requests after which finished ones are swept.",
	},
	{
		Name: "queued.max.request.bytes", Type: Long, Default: "-1", Importance: Medium, NoEffect: noThreadPools,
		Doc: "Bytes of requests that may wait in the queue before reading pauses; -1 is no limit.",
	},
	{
		Name: "queued.max.requests", Type: Int, Default: "500", Check: atLeast{1}, Importance: High, NoEffect: noThreadPools,
		Doc: "Requests that may wait in the queue before reading pauses.",
	},
	{
		Name: "quota.window.num", Type: Int, Default: "11", Check: atLeast{1}, Importance: Low, NoEffect: noQuotas,
		Doc: "How many past windows a client's rate is averaged over.",
	},
	{
		Name: "quota.window.size.seconds", Type: Int, Default: "1", Check: atLeast{1}, Importance: Low, NoEffect: noQuotas,
		Doc: "Length of one window for a client's rate.",
	},
	{
		Name: "remote.fetch.max.wait.ms", Type: Int, Default: "500", Check: atLeast{1}, Importance: Medium, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "How long a fetch waits for data from tiered storage.",
	},
	{
		Name: "remote.list.offsets.request.timeout.ms", Type: Long, Default: "30000", Check: atLeast{1}, Importance: Medium, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "How long a lookup by timestamp waits for tiered storage.",
	},
	{
		Name: "remote.log.index.file.cache.total.size.bytes", Type: Long, Default: "1073741824", Check: atLeast{1}, Importance: Low, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "Disk space for index files fetched from tiered storage.",
	},
	{
		Name: "remote.log.index.file.cache.ttl.ms", Type: Long, Default: "900000", Check: atLeast{-1}, Importance: Low, Internal: true, NoEffect: noTieredStorage,
		Doc: "Time that an unused index file from tiered storage is kept; -1 is for ever.",
	},
	{
		Name: "remote.log.manager.copier.thread.pool.size", Type: Int, Default: "10", Check: atLeast{1}, Importance: Medium, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "Segments that are copied to tiered storage at the same time.",
	},
	{
		Name: "remote.log.manager.copy.max.bytes.per.second", Type: Long, Default: "9223372036854775807", Check: atLeast{1}, Importance: Medium, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "Most bytes in a second that are copied to tiered storage.",
	},
	{
		Name: "remote.log.manager.copy.quota.window.num", Type: Int, Default: "11", Check: atLeast{1}, Importance: Medium, NoEffect: noTieredStorage,
		Doc: "How many past windows the copy rate is averaged over.",
	},
	{
		Name: "remote.log.manager.copy.quota.window.size.seconds", Type: Int, Default: "1", Check: atLeast{1}, Importance: Medium, NoEffect: noTieredStorage,
		Doc: "Length of one window for the copy rate.",
	},
	{
		Name: "remote.log.manager.expiration.thread.pool.size", Type: Int, Default: "10", Check: atLeast{1}, Importance: Medium, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "Partitions whose expired tiered segments are deleted at the same time.",
	},
	{
		Name: "remote.log.manager.fetch.max.bytes.per.second", Type: Long, Default: "9223372036854775807", Check: atLeast{1}, Importance: Medium, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "Most bytes in a second that are fetched from tiered storage.",
	},
	{
		Name: "remote.log.manager.fetch.quota.window.num", Type: Int, Default: "11", Check: atLeast{1}, Importance: Medium, NoEffect: noTieredStorage,
		Doc: "How many past windows the tiered fetch rate is averaged over.",
	},
	{
		Name: "remote.log.manager.fetch.quota.window.size.seconds", Type: Int, Default: "1", Check: atLeast{1}, Importance: Medium, NoEffect: noTieredStorage,
		Doc: "Length of one window for the tiered fetch rate.",
	},
	{
		Name: "remote.log.manager.follower.thread.pool.size", Type: Int, Default: "2", Check: atLeast{1}, Importance: Medium, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "Follower partitions whose tiered state is read at the same time.",
	},
	{
		Name: "remote.log.manager.task.interval.ms", Type: Long, Default: "30000", Check: atLeast{1}, Importance: Low, NoEffect: noTieredStorage,
		Doc: "Time between two rounds of copying to and deleting from tiered storage.",
	},
	{
		Name: "remote.log.manager.task.retry.backoff.max.ms", Type: Long, Default: "30000", Check: atLeast{1}, Importance: Low, Internal: true, NoEffect: noTieredStorage,
		Doc: "Longest pause before failed work on tiered storage is tried again.",
	},
	{
		Name: "remote.log.manager.task.retry.backoff.ms", Type: Long, Default: "500", Check: atLeast{1}, Importance: Low, Internal: true, NoEffect: noTieredStorage,
		Doc: "First pause before failed work on tiered storage is tried again.",
	},
	{
		Name: "remote.log.manager.task.retry.jitter", Type: Double, Default: "0.2", Check: between{0, 0.5}, Importance: Low, Internal: true, NoEffect: noTieredStorage,
		Doc: "Share of the pause by which retries on tiered storage are spread at random.",
	},
	{
		Name: "remote.log.manager.thread.pool.size", Type: Int, Default: "2", Check: atLeast{1}, Importance: Medium, NoEffect: noTieredStorage,
		Doc: "Older size of the pool for work on tiered storage.",
	},
	{
		Name: "remote.log.metadata.custom.metadata.max.bytes", Type: Int, Default: "128", Check: atLeast{0}, Importance: Low, NoEffect: noTieredStorage,
		Doc: "Largest note that a storage plug-in may keep with a tiered segment.",
	},
	{
		Name: "remote.log.metadata.manager.class.name", Type: String, Default: "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", Check: nonEmptyString{}, Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Java class that keeps the list of tiered segments.",
	},
	{
		Name: "remote.log.metadata.manager.class.path", Type: String, Null: true, Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Class path of the Java class that keeps the list of tiered segments.",
	},
	{
		Name: "remote.log.metadata.manager.impl.prefix", Type: String, Default: "rlmm.config.", Check: nonEmptyString{}, Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Prefix of keys that are handed to the class that keeps the list of tiered segments.",
	},
	{
		Name: "remote.log.metadata.manager.listener.name", Type: String, Null: true, Check: nonEmptyString{}, Importance: Medium, NoEffect: noTieredStorage,
		Doc: "Listener through which the list of tiered segments is read and written.",
	},
	{
		Name: "remote.log.reader.max.pending.tasks", Type: Int, Default: "100", Check: atLeast{1}, Importance: Medium, NoEffect: noTieredStorage,
		Doc: "Reads from tiered storage that may wait in the queue.",
	},
	{
		Name: "remote.log.reader.threads", Type: Int, Default: "10", Check: atLeast{1}, Importance: Medium, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "Reads from tiered storage that run at the same time.",
	},
	{
		Name: "remote.log.storage.manager.class.name", Type: String, Null: true, Check: nonEmptyString{}, Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Java class that stores tiered segments.",
	},
	{
		Name: "remote.log.storage.manager.class.path", Type: String, Null: true, Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Class path of the Java class that stores tiered segments.",
	},
	{
		Name: "remote.log.storage.manager.impl.prefix", Type: String, Default: "rsm.config.", Check: nonEmptyString{}, Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Prefix of keys that are handed to the class that stores tiered segments.",
	},
	{
		Name: "remote.log.storage.system.enable", Type: Boolean, Default: "false", Importance: Medium, NoEffect: noTieredStorage,
		Doc: "Turn tiered storage on for the node.",
	},
	{
		Name: "replica.alter.log.dirs.io.max.bytes.per.second", Type: Long, Default: "9223372036854775807", Check: atLeast{0}, Origin: Beside, Importance: Medium, Mode: ClusterWide,
		Doc: "Most bytes in a second for moves between log directories.",
	},
	{
		Name: "replica.fetch.backoff.ms", Type: Int, Default: "1000", Check: atLeast{0}, Importance: Medium,
		Doc: "Pause of a follower after a failed fetch.",
	},
	{
		Name: "replica.fetch.max.bytes", Type: Int, Default: "1048576", Check: atLeast{0}, Importance: Medium,
		Doc: "Bytes that a follower asks for of each partition.",
	},
	{
		Name: "replica.fetch.min.bytes", Type: Int, Default: "1", Importance: High,
		Doc: "Bytes that a follower waits for before its fetch is answered.",
	},
	{
		Name: "replica.fetch.response.max.bytes", Type: Int, Default: "10485760", Check: atLeast{0}, Importance: Medium,
		Doc: "Bytes that a follower asks for in one response.",
	},
	{
		Name: "replica.fetch.wait.max.ms", Type: Int, Default: "500", Importance: High,
		Doc: "How long a follower's fetch may wait for data.",
	},
	{
		Name: "replica.high.watermark.checkpoint.interval.ms", Type: Long, Default: "5000", Importance: High,
		Doc: "Time between two writes of the high watermarks to disk.",
	},
	{
		Name: "replica.lag.time.max.ms", Type: Long, Default: "30000", Importance: High,
		Doc: "Time that a follower may lag before it leaves the in-sync replicas.",
	},
	{
		Name: "replica.selector.class", Type: String, Null: true, Check: oneOf{RackAwareSelector, LeaderSelector}, Importance: Medium,
		Doc: "Which replica a consumer is sent to; by default always the leader.",
	},
	{
		Name: "replica.socket.receive.buffer.bytes", Type: Int, Default: "65536", Importance: High, NoEffect: systemDecides,
		Doc: "Receive buffer of the connections that followers fetch by.",
	},
	{
		Name: "replica.socket.timeout.ms", Type: Int, Default: "30000", Importance: High,
		Doc: "How long a follower waits for an answer from its leader.",
	},
	{
		Name: "replication.quota.window.num", Type: Int, Default: "11", Check: atLeast{1}, Importance: Low,
		Doc: "How many past windows the replication rate is averaged over.",
	},
	{
		Name: "replication.quota.window.size.seconds", Type: Int, Default: "1", Check: atLeast{1}, Importance: Low,
		Doc: "Length of one window for the replication rate.",
	},
	{
		Name: "request.timeout.ms", Type: Int, Default: "30000", Importance: High,
		Doc: "How long the broker waits for answers to its own requests.",
	},
	{
		Name: "sasl.client.callback.handler.class", Type: Class, Null: true, Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Java class that supplies credentials when the broker is a SASL client.",
	},
	{
		Name: "sasl.enabled.mechanisms", Type: List, Default: "GSSAPI", Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "SASL mechanisms that a listener accepts.",
	},
	{
		Name: "sasl.jaas.config", Type: Password, Null: true, Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "Login module and credentials of a listener and mechanism, in JAAS form.",
	},
	{
		Name: "sasl.kerberos.kinit.cmd", Type: String, Default: "/usr/bin/kinit", Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "Path of the kinit command.",
	},
	{
		Name: "sasl.kerberos.min.time.before.relogin", Type: Long, Default: "60000", Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "Shortest time between two Kerberos logins, in milliseconds.",
	},
	{
		Name: "sasl.kerberos.principal.to.local.rules", Type: List, Default: "DEFAULT", Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "Rules that make short names out of Kerberos principals.",
	},
	{
		Name: "sasl.kerberos.service.name", Type: String, Null: true, Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "Kerberos service name of the brokers.",
	},
	{
		Name: "sasl.kerberos.ticket.renew.jitter", Type: Double, Default: "0.05", Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "Share of the renewal time that is added at random.",
	},
	{
		Name: "sasl.kerberos.ticket.renew.window.factor", Type: Double, Default: "0.8", Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "Share of a ticket's life after which it is renewed.",
	},
	{
		Name: "sasl.login.callback.handler.class", Type: Class, Null: true, Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Java class that supplies credentials at login.",
	},
	{
		Name: "sasl.login.class", Type: Class, Null: true, Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Java class that logs in for SASL.",
	},
	{
		Name: "sasl.login.connect.timeout.ms", Type: Int, Null: true, Importance: Low, NoEffect: noSASL,
		Doc: "How long to wait for a connection to the token provider.",
	},
	{
		Name: "sasl.login.read.timeout.ms", Type: Int, Null: true, Importance: Low, NoEffect: noSASL,
		Doc: "How long to wait for an answer from the token provider.",
	},
	{
		Name: "sasl.login.refresh.buffer.seconds", Type: Short, Default: "300", Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "Time before a token's expiry that its refresh must leave free.",
	},
	{
		Name: "sasl.login.refresh.min.period.seconds", Type: Short, Default: "60", Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "Shortest time between two refreshes of a token.",
	},
	{
		Name: "sasl.login.refresh.window.factor", Type: Double, Default: "0.8", Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "Share of a token's life after which it is refreshed.",
	},
	{
		Name: "sasl.login.refresh.window.jitter", Type: Double, Default: "0.05", Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "Share of a token's life by which refreshes are spread at random.",
	},
	{
		Name: "sasl.login.retry.backoff.max.ms", Type: Long, Default: "10000", Importance: Low, NoEffect: noSASL,
		Doc: "Longest pause before a failed login is tried again.",
	},
	{
		Name: "sasl.login.retry.backoff.ms", Type: Long, Default: "100", Importance: Low, NoEffect: noSASL,
		Doc: "First pause before a failed login is tried again.",
	},
	{
		Name: "sasl.mechanism.controller.protocol", Type: String, Default: "GSSAPI", Importance: High, NoEffect: noSASL,
		Doc: "SASL mechanism of connections to controllers.",
	},
	{
		Name: "sasl.mechanism.inter.broker.protocol", Type: String, Default: "GSSAPI", Importance: Medium, Mode: PerBroker, NoEffect: noSASL,
		Doc: "SASL mechanism of connections between brokers.",
	},
	{
		Name: "sasl.oauthbearer.assertion.algorithm", Type: String, Default: "RS256", Check: oneOfFold{"ES256", "RS256"}, Importance: Medium, NoEffect: noSASL,
		Doc: "Signature algorithm of the assertion that asks for a token.",
	},
	{
		Name: "sasl.oauthbearer.assertion.claim.aud", Type: String, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "Audience claim of the assertion.",
	},
	{
		Name: "sasl.oauthbearer.assertion.claim.exp.seconds", Type: Int, Default: "300", Check: between{0, 86400}, Importance: Low, NoEffect: noSASL,
		Doc: "Seconds until the assertion expires.",
	},
	{
		Name: "sasl.oauthbearer.assertion.claim.iss", Type: String, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "Issuer claim of the assertion.",
	},
	{
		Name: "sasl.oauthbearer.assertion.claim.jti.include", Type: Boolean, Default: "false", Importance: Medium, NoEffect: noSASL,
		Doc: "Give each assertion an identifier of its own.",
	},
	{
		Name: "sasl.oauthbearer.assertion.claim.nbf.seconds", Type: Int, Default: "60", Check: between{0, 3600}, Importance: Low, NoEffect: noSASL,
		Doc: "Seconds before now from which the assertion is valid.",
	},
	{
		Name: "sasl.oauthbearer.assertion.claim.sub", Type: String, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "Subject claim of the assertion.",
	},
	{
		Name: "sasl.oauthbearer.assertion.file", Type: String, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "File with an assertion that was signed elsewhere.",
	},
	{
		Name: "sasl.oauthbearer.assertion.private.key.file", Type: String, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "File with the private key that signs assertions.",
	},
	{
		Name: "sasl.oauthbearer.assertion.private.key.passphrase", Type: Password, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "Passphrase of the private key that signs assertions.",
	},
	{
		Name: "sasl.oauthbearer.assertion.template.file", Type: String, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "File with a template of the assertion's header and claims.",
	},
	{
		Name: "sasl.oauthbearer.client.credentials.client.id", Type: String, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "Client id for a token by client credentials.",
	},
	{
		Name: "sasl.oauthbearer.client.credentials.client.secret", Type: Password, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "Client secret for a token by client credentials.",
	},
	{
		Name: "sasl.oauthbearer.clock.skew.seconds", Type: Int, Default: "30", Importance: Low, NoEffect: noSASL,
		Doc: "Difference between clocks that is forgiven when a token is checked.",
	},
	{
		Name: "sasl.oauthbearer.expected.audience", Type: List, Default: "", Importance: High, NoEffect: noSASL,
		Doc: "Audiences of which a token must name one.",
	},
	{
		Name: "sasl.oauthbearer.expected.issuer", Type: String, Null: true, Importance: High, NoEffect: noSASL,
		Doc: "Issuer that a token must name.",
	},
	{
		Name: "sasl.oauthbearer.jwks.endpoint.refresh.ms", Type: Long, Default: "3600000", Importance: Low, NoEffect: noSASL,
		Doc: "Time between two fetches of the token provider's keys.",
	},
	{
		Name: "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Type: Long, Default: "10000", Importance: Low, NoEffect: noSASL,
		Doc: "Longest pause before a failed fetch of keys is tried again.",
	},
	{
		Name: "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Type: Long, Default: "100", Importance: Low, NoEffect: noSASL,
		Doc: "First pause before a failed fetch of keys is tried again.",
	},
	{
		Name: "sasl.oauthbearer.jwks.endpoint.url", Type: String, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "Where the token provider publishes its keys.",
	},
	{
		Name: "sasl.oauthbearer.jwt.retriever.class", Type: Class, Default: "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Java class that gets tokens.",
	},
	{
		Name: "sasl.oauthbearer.jwt.validator.class", Type: Class, Default: "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Java class that checks tokens.",
	},
	{
		Name: "sasl.oauthbearer.scope", Type: String, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "Scope that is asked for with a token.",
	},
	{
		Name: "sasl.oauthbearer.scope.claim.name", Type: String, Default: "scope", Importance: Low, NoEffect: noSASL,
		Doc: "Claim in which a token names its scope.",
	},
	{
		Name: "sasl.oauthbearer.sub.claim.name", Type: String, Default: "sub", Importance: Low, NoEffect: noSASL,
		Doc: "Claim in which a token names its user.",
	},
	{
		Name: "sasl.oauthbearer.token.endpoint.url", Type: String, Null: true, Importance: Medium, NoEffect: noSASL,
		Doc: "Where tokens are asked for.",
	},
	{
		Name: "sasl.server.callback.handler.class", Type: Class, Null: true, Importance: Medium, NoEffect: noJavaClasses,
		Doc: "Java class that checks credentials for a mechanism.",
	},
	{
		Name: "sasl.server.max.receive.size", Type: Int, Default: "524288", Importance: Medium, NoEffect: noSASL,
		Doc: "Largest message that is read before a client has authenticated.",
	},
	{
		Name: "security.inter.broker.protocol", Type: String, Default: "PLAINTEXT", Check: oneOf{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, Importance: Medium,
		Doc: "Security protocol between brokers, used when inter.broker.listener.name is absent.",
	},
	{
		Name: "security.providers", Type: String, Null: true, Importance: Low, NoEffect: noJavaClasses,
		Doc: "Java classes that provide security algorithms.",
	},
	{
		Name: "server.max.startup.time.ms", Type: Long, Default: "9223372036854775807", Check: atLeast{0}, Importance: Medium, Internal: true, NoEffect: kafkaInternal,
		Doc: "Time after which a node that is still starting gives up.",
	},
	{
		Name: "share.coordinator.append.linger.ms", Type: Int, Default: "-1", Check: atLeast{-1}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "How long the share coordinator gathers records before it writes them; -1 adapts to the load.",
	},
	{
		Name: "share.coordinator.cached.buffer.max.bytes", Type: Int, Default: "1048588", Check: atLeast{524288}, Importance: Medium, Mode: ClusterWide, NoEffect: noShareGroups,
		Doc: "Largest write buffer that the share coordinator keeps for the next write.",
	},
	{
		Name: "share.coordinator.cold.partition.snapshot.interval.ms", Type: Int, Default: "300000", Check: atLeast{1}, Importance: Low, Internal: true, NoEffect: noShareGroups,
		Doc: "Time between two snapshots of share partitions that have gone quiet.",
	},
	{
		Name: "share.coordinator.load.buffer.size", Type: Int, Default: "5242880", Check: atLeast{1}, Importance: High, NoEffect: noShareGroups,
		Doc: "Bytes read at a time when share state is loaded.",
	},
	{
		Name: "share.coordinator.snapshot.update.records.per.snapshot", Type: Int, Default: "500", Check: between{0, 500}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Updates that are written between two snapshots of a share partition.",
	},
	{
		Name: "share.coordinator.state.topic.compression.codec", Type: Int, Default: "0", Importance: High, NoEffect: noShareGroups,
		Doc: "Compression codec of the share state topic, by its number.",
	},
	{
		Name: "share.coordinator.state.topic.min.isr", Type: Short, Default: "2", Check: atLeast{1}, Importance: High, NoEffect: noShareGroups,
		Doc: "min.insync.replicas of the share state topic.",
	},
	{
		Name: "share.coordinator.state.topic.num.partitions", Type: Int, Default: "50", Check: atLeast{1}, Importance: High, NoEffect: noShareGroups,
		Doc: "Partitions of the share state topic; fixed at its creation.",
	},
	{
		Name: "share.coordinator.state.topic.prune.interval.ms", Type: Int, Default: "300000", Check: atLeast{1}, Importance: Low, Internal: true, NoEffect: noShareGroups,
		Doc: "Time between two deletions of share state that is no longer needed.",
	},
	{
		Name: "share.coordinator.state.topic.replication.factor", Type: Short, Default: "3", Check: atLeast{1}, Importance: High, NoEffect: noShareGroups,
		Doc: "Replicas of the share state topic.",
	},
	{
		Name: "share.coordinator.state.topic.segment.bytes", Type: Int, Default: "104857600", Check: atLeast{1}, Importance: High, NoEffect: noShareGroups,
		Doc: "Segment size of the share state topic.",
	},
	{
		Name: "share.coordinator.threads", Type: Int, Default: "1", Check: atLeast{1}, Importance: Medium, NoEffect: noThreadPools,
		Doc: "Threads of the share coordinator.",
	},
	{
		Name: "share.coordinator.write.timeout.ms", Type: Int, Default: "5000", Check: atLeast{1}, Importance: High, NoEffect: noShareGroups,
		Doc: "How long a write of share state may take.",
	},
	{
		Name: "share.fetch.purgatory.purge.interval.requests", Type: Int, Default: "1000", Importance: Medium, NoEffect: noPurgatory,
		Doc: "Waiting ShareFetch requests after which finished ones are swept.",
	},
	{
		Name: "socket.connection.setup.timeout.max.ms", Type: Long, Default: "30000", Importance: Medium, NoEffect: oneSetupTimeout,
		Doc: "Longest time to wait for a connection to another node.",
	},
	{
		Name: "socket.connection.setup.timeout.ms", Type: Long, Default: "10000", Importance: Medium,
		Doc: "First time to wait for a connection to another node.",
	},
	{
		Name: "socket.listen.backlog.size", Type: Int, Default: "50", Check: atLeast{1}, Importance: Medium, NoEffect: systemDecides,
		Doc: "Connections that may wait to be accepted.",
	},
	{
		Name: "socket.receive.buffer.bytes", Type: Int, Default: "102400", Importance: High,
		Doc: "Receive buffer of client connections; -1, and so the default, is the system's choice, which grows with what a connection moves.",
	},
	{
		Name: "socket.request.max.bytes", Type: Int, Default: "104857600", Check: atLeast{1}, Importance: High,
		Doc: "Largest request that is read.",
	},
	{
		Name: "socket.send.buffer.bytes", Type: Int, Default: "102400", Importance: High,
		Doc: "Send buffer of client connections, of which a reader far away may want more; -1 is the system's choice.",
	},
	{
		Name: "ssl.allow.dn.changes", Type: Boolean, Default: "false", Importance: Low, NoEffect: noTLS,
		Doc: "Let a new certificate have another distinguished name than the old one.",
	},
	{
		Name: "ssl.allow.san.changes", Type: Boolean, Default: "false", Importance: Low, NoEffect: noTLS,
		Doc: "Let a new certificate lack alternative names of the old one.",
	},
	{
		Name: "ssl.cipher.suites", Type: List, Default: "", Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "Cipher suites that TLS may use; empty is the library's choice.",
	},
	{
		Name: "ssl.client.auth", Type: String, Default: "none", Check: oneOf{"required", "requested", "none"}, Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "Whether clients must, may or need not show a certificate.",
	},
	{
		Name: "ssl.enabled.protocols", Type: List, Default: "TLSv1.2,TLSv1.3", Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "TLS versions that connections may use.",
	},
	{
		Name: "ssl.endpoint.identification.algorithm", Type: String, Default: "https", Importance: Low, Mode: PerBroker, NoEffect: noTLS,
		Doc: "How a server's name is compared with its certificate; empty does not compare.",
	},
	{
		Name: "ssl.engine.factory.class", Type: Class, Null: true, Importance: Low, Mode: PerBroker, NoEffect: noJavaClasses,
		Doc: "Java class that makes TLS engines.",
	},
	{
		Name: "ssl.key.password", Type: Password, Null: true, Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "Password of the private key in the key store.",
	},
	{
		Name: "ssl.keymanager.algorithm", Type: String, Default: "SunX509", Importance: Medium, Mode: PerBroker, NoEffect: noJavaClasses,
		Doc: "Java algorithm of the key manager.",
	},
	{
		Name: "ssl.keystore.certificate.chain", Type: Password, Null: true, Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "Certificate chain as PEM text.",
	},
	{
		Name: "ssl.keystore.key", Type: Password, Null: true, Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "Private key as PEM text.",
	},
	{
		Name: "ssl.keystore.location", Type: String, Null: true, Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "File with the node's private key and certificate.",
	},
	{
		Name: "ssl.keystore.password", Type: Password, Null: true, Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "Password of the key store file.",
	},
	{
		Name: "ssl.keystore.type", Type: String, Default: "JKS", Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "Format of the key store: JKS, PKCS12 or PEM.",
	},
	{
		Name: "ssl.principal.mapping.rules", Type: String, Default: "DEFAULT", Importance: Low, NoEffect: noTLS,
		Doc: "Rules that make short names out of certificate names.",
	},
	{
		Name: "ssl.protocol", Type: String, Default: "TLSv1.3", Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "Newest TLS version to offer.",
	},
	{
		Name: "ssl.provider", Type: String, Null: true, Importance: Medium, Mode: PerBroker, NoEffect: noJavaClasses,
		Doc: "Java security provider for TLS.",
	},
	{
		Name: "ssl.secure.random.implementation", Type: String, Null: true, Importance: Low, Mode: PerBroker, NoEffect: noJavaClasses,
		Doc: "Java random number generator for TLS.",
	},
	{
		Name: "ssl.trustmanager.algorithm", Type: String, Default: "PKIX", Importance: Medium, Mode: PerBroker, NoEffect: noJavaClasses,
		Doc: "Java algorithm of the trust manager.",
	},
	{
		Name: "ssl.truststore.certificates", Type: Password, Null: true, Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "Trusted certificates as PEM text.",
	},
	{
		Name: "ssl.truststore.location", Type: String, Null: true, Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "File with the trusted certificates.",
	},
	{
		Name: "ssl.truststore.password", Type: Password, Null: true, Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "Password of the trust store file.",
	},
	{
		Name: "ssl.truststore.type", Type: String, Default: "JKS", Importance: Medium, Mode: PerBroker, NoEffect: noTLS,
		Doc: "Format of the trust store: JKS, PKCS12 or PEM.",
	},
	{
		Name: "super.users", Type: String, Default: "", Origin: Beside, Importance: Medium, NoEffect: noACLs,
		Doc: "Principals that may do everything, written Type:Name and separated by semicolons.",
	},
	{
		Name: "telemetry.max.bytes", Type: Int, Default: "1048576", Check: atLeast{1}, Importance: Low, NoEffect: noTelemetry,
		Doc: "Largest batch of metrics that a client may push.",
	},
	{
		Name: "transaction.abort.timed.out.transaction.cleanup.interval.ms", Type: Int, Default: "10000", Check: atLeast{1}, Importance: Low,
		Doc: "Time between two searches for transactions that have run out of time.",
	},
	{
		Name: "transaction.max.timeout.ms", Type: Int, Default: "900000", Check: atLeast{1}, Importance: High,
		Doc: "Longest transaction timeout that a producer may ask for.",
	},
	{
		Name: "transaction.partition.verification.enable", Type: Boolean, Default: "true", Importance: Low, Mode: ClusterWide,
		Doc: "Check that a partition belongs to the transaction before it takes its records.",
	},
	{
		Name: "transaction.remove.expired.transaction.cleanup.interval.ms", Type: Int, Default: "3600000", Check: atLeast{1}, Importance: Low,
		Doc: "Time between two searches for transactional ids that have expired.",
	},
	{
		Name: "transaction.state.log.load.buffer.size", Type: Int, Default: "5242880", Check: atLeast{1}, Importance: High, NoEffect: readsInPieces,
		Doc: "Bytes read at a time when transaction state is loaded.",
	},
	{
		Name: "transaction.state.log.min.isr", Type: Int, Default: "2", Check: atLeast{1}, Importance: High,
		Doc: "min.insync.replicas of the transaction state topic.",
	},
	{
		Name: "transaction.state.log.num.partitions", Type: Int, Default: "50", Check: atLeast{1}, Importance: High,
		Doc: "Partitions of the transaction state topic; fixed at its creation.",
	},
	{
		Name: "transaction.state.log.replication.factor", Type: Short, Default: "3", Check: atLeast{1}, Importance: High,
		Doc: "Replicas of the transaction state topic.",
	},
	{
		Name: "transaction.state.log.segment.bytes", Type: Int, Default: "104857600", Check: atLeast{1}, Importance: High,
		Doc: "Segment size of the transaction state topic.",
	},
	{
		Name: "transaction.two.phase.commit.enable", Type: Boolean, Default: "false", Importance: Low, NoEffect: noTwoPhaseCommit,
		Doc: "Allow transactions that an outside coordinator commits in two phases.",
	},
	{
		Name: "transactional.id.expiration.ms", Type: Int, Default: "604800000", Check: atLeast{1}, Importance: High,
		Doc: "Time without use after which a transactional id is forgotten.",
	},
	{
		Name: "unclean.leader.election.enable", Type: Boolean, Default: "false", Importance: High, Mode: ClusterWide,
		Doc: "Let a replica that is not in sync become leader when no other is left, at the price of records.",
	},
	{
		Name: "unclean.leader.election.interval.ms", Type: Long, Default: "300000", Check: atLeast{1}, Importance: Medium, Internal: true, NoEffect: electsAtOnce,
		Doc: "Time between two attempts of unclean election, where it is allowed.",
	},
	{
		Name: "unstable.api.versions.enable", Type: Boolean, Default: "false", Importance: High, Internal: true, NoEffect: kafkaInternal,
		Doc: "Offer API versions that Kafka has not declared stable.",
	},
	{
		Name: "unstable.feature.versions.enable", Type: Boolean, Default: "false", Importance: High, Internal: true, NoEffect: kafkaInternal,
		Doc: "Offer feature levels that Kafka has not declared stable.",
	},
}
