package config

import "slices"

// The broker keys: Kafka's own, those that Kafka reads beside its definition, and Moldau's, in the order of their names; never written.
var brokerKeys = slices.Concat(brokerKeysToL[:], brokerKeysFromL[:])

// The first half of the table; the second is in table_broker2.go.
var brokerKeysToL = [...]Key{
	{
		Name: "add.partitions.to.txn.retry.backoff.max.ms", Type: Int, Default: "100", Check: atLeast{0}, Importance: High,
		Doc: "Longest pause between the broker's own attempts to add a partition to a transaction.",
	},
	{
		Name: "add.partitions.to.txn.retry.backoff.ms", Type: Int, Default: "20", Check: atLeast{1}, Importance: High,
		Doc: "First pause between the broker's own attempts to add a partition to a transaction.",
	},
	{
		Name: "advertised.listeners", Type: List, Null: true, Check: nonEmptyListOf{}, Importance: High,
		Doc: "Addresses that clients and other brokers are told to connect to; without it, the values of listeners.",
	},
	{
		Name: "allow.everyone.if.no.acl.found", Type: Boolean, Default: "false", Origin: Beside, Importance: Medium, NoEffect: noACLs,
		Doc: "Allow what no ACL speaks of.",
	},
	{
		Name: "alter.config.policy.class.name", Type: Class, Null: true, Importance: Low, NoEffect: noJavaClasses,
		Doc: "Java class that may veto a change of configuration.",
	},
	{
		Name: "alter.log.dirs.replication.quota.window.num", Type: Int, Default: "11", Check: atLeast{1}, Importance: Low,
		Doc: "How many past windows the rate of moves between log directories is averaged over.",
	},
	{
		Name: "alter.log.dirs.replication.quota.window.size.seconds", Type: Int, Default: "1", Check: atLeast{1}, Importance: Low,
		Doc: "Length of one window for the rate of moves between log directories.",
	},
	{
		Name: "authorizer.class.name", Type: String, Default: "", Importance: Low, NoEffect: noACLs,
		Doc: "Name of the authorizer; empty lets everybody do everything.",
	},
	{
		Name: "auto.create.topics.enable", Type: Boolean, Default: "true", Importance: High,
		Doc: "Create a topic when a client asks for one that does not exist.",
	},
	{
		Name: "auto.leader.rebalance.enable", Type: Boolean, Default: "true", Importance: High,
		Doc: "Move leadership back to preferred replicas in the background.",
	},
	{
		Name: "background.threads", Type: Int, Default: "10", Check: atLeast{1}, Importance: High, Mode: ClusterWide, NoEffect: noThreadPools,
		Doc: "Number of threads for background work.",
	},
	{
		Name: "broker.heartbeat.interval.ms", Type: Int, Default: "2000", Importance: Medium,
		Doc: "Time between two heartbeats of a broker to the controller.",
	},
	{
		Name: "broker.id", Type: Int, Default: "-1", Importance: High,
		Doc: "Older name of node.id; where both are given they must agree.",
	},
	{
		Name: "broker.rack", Type: String, Null: true, Importance: Medium,
		Doc: "Rack, zone or other place of failure in which this broker stands.",
	},
	{
		Name: "broker.session.timeout.ms", Type: Int, Default: "9000", Importance: Medium,
		Doc: "Silence after which the controller takes a broker for dead and moves its leaders.",
	},
	{
		Name: "client.quota.callback.class", Type: Class, Null: true, Importance: Low, NoEffect: noJavaClasses,
		Doc: "Java class that decides client quotas instead of the built-in rules.",
	},
	{
		Name: "compression.gzip.level", Type: Int, Default: "-1", Check: gzipLevel{}, Importance: Medium, Mode: ClusterWide,
		Doc: "Level used when the broker itself compresses with gzip; -1 is the library's choice.",
	},
	{
		Name: "compression.lz4.level", Type: Int, Default: "9", Check: between{1, 17}, Importance: Medium, Mode: ClusterWide,
		Doc: "Level used when the broker itself compresses with lz4.",
	},
	{
		Name: "compression.type", Type: String, Default: "producer", Check: oneOf{"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"}, Importance: High, Mode: ClusterWide,
		Doc: "Codec in which batches are stored; producer keeps the one they came in.",
	},
	{
		Name: "compression.zstd.level", Type: Int, Default: "3", Check: between{-131072, 22}, Importance: Medium, Mode: ClusterWide,
		Doc: "Level used when the broker itself compresses with zstd.",
	},
	{
		Name: "config.providers", Type: List, Default: "", Importance: Low, Mode: ClusterWide, NoEffect: noJavaClasses,
		Doc: "Java classes that fetch configuration values from elsewhere.",
	},
	{
		Name: "connection.failed.authentication.delay.ms", Type: Int, Default: "100", Check: atLeast{0}, Importance: Low, NoEffect: noSASL,
		Doc: "Pause before a connection that failed to authenticate is closed.",
	},
	{
		Name: "connections.max.idle.ms", Type: Long, Default: "600000", Importance: Medium,
		Doc: "Time without a request after which a connection is closed.",
	},
	{
		Name: "connections.max.reauth.ms", Type: Long, Default: "0", Importance: Medium, NoEffect: noSASL,
		Doc: "Longest life of an authenticated session before the client must authenticate anew; 0 is for ever.",
	},
	{
		Name: "controlled.shutdown.enable", Type: Boolean, Default: "true", Importance: Medium,
		Doc: "Hand leadership over to other brokers before stopping.",
	},
	{
		Name: "controller.listener.names", Type: List, Required: true, Check: nonEmptyListOf{}, Importance: High,
		Doc: "Names of the listeners that controllers use, the first being preferred.",
	},
	{
		Name: "controller.performance.always.log.threshold.ms", Type: Long, Default: "2000", Check: atLeast{0}, Importance: Medium, Internal: true, NoEffect: kafkaInternal,
		Doc: "Time from which on a slow controller event is always logged.",
	},
	{
		Name: "controller.performance.sample.period.ms", Type: Long, Default: "60000", Check: atLeast{100}, Importance: Medium, Internal: true, NoEffect: kafkaInternal,
		Doc: "Period at which the timing of controller events is logged.",
	},
	{
		Name: "controller.quorum.append.linger.ms", Type: Int, Default: "25", Check: atLeast{0}, Importance: Medium, NoEffect: gathersBySync,
		Doc: "How long the active controller gathers records before it writes them.",
	},
	{
		Name: "controller.quorum.auto.join.enable", Type: Boolean, Default: "false", Importance: Low,
		Doc: "Let a controller add itself to the voters when it starts.",
	},
	{
		Name: "controller.quorum.bootstrap.servers", Type: List, Default: "", Importance: High,
		Doc: "Addresses through which a node finds the controller quorum.",
	},
	{
		Name: "controller.quorum.election.backoff.max.ms", Type: Int, Default: "1000", Check: atLeast{0}, Importance: High, NoEffect: electionsByTimeout,
		Doc: "Longest pause after an election that nobody won.",
	},
	{
		Name: "controller.quorum.election.timeout.ms", Type: Int, Default: "1000", Check: atLeast{0}, Importance: High,
		Doc: "How long a voter waits for the outcome of an election that it stood in.",
	},
	{
		Name: "controller.quorum.fetch.max.bytes", Type: Int, Default: "1048576", Check: atLeast{1}, Importance: Low,
		Doc: "Most bytes of the metadata log that one fetch returns.",
	},
	{
		Name: "controller.quorum.fetch.snapshot.max.bytes", Type: Int, Default: "1048576", Check: atLeast{1}, Importance: Low,
		Doc: "Most bytes of a metadata snapshot that one fetch returns.",
	},
	{
		Name: "controller.quorum.fetch.timeout.ms", Type: Int, Default: "2000", Check: atLeast{0}, Importance: High,
		Doc: "Time without a successful fetch after which a voter stands for election.",
	},
	{
		Name: "controller.quorum.request.timeout.ms", Type: Int, Default: "2000", Check: atLeast{0}, Importance: Medium,
		Doc: "How long a request between controllers may take.",
	},
	{
		Name: "controller.quorum.retry.backoff.ms", Type: Int, Default: "20", Check: atLeast{0}, Importance: Low, NoEffect: pausesGrow,
		Doc: "Pause before a failed request between controllers is sent again.",
	},
	{
		Name: "controller.quorum.voters", Type: List, Default: "", Importance: High,
		Doc: "The fixed set of controllers, each written id@host:port.",
	},
	{
		Name: "controller.quota.window.num", Type: Int, Default: "11", Check: atLeast{1}, Importance: Low, NoEffect: noQuotas,
		Doc: "How many past windows the rate of controller mutations is averaged over.",
	},
	{
		Name: "controller.quota.window.size.seconds", Type: Int, Default: "1", Check: atLeast{1}, Importance: Low, NoEffect: noQuotas,
		Doc: "Length of one window for the rate of controller mutations.",
	},
	{
		Name: "controller.socket.timeout.ms", Type: Int, Default: "30000", Importance: Medium, NoEffect: quorumTimeout,
		Doc: "How long the broker waits for an answer from the controller.",
	},
	{
		Name: "cordoned.log.dirs", Type: List, Default: "", Importance: Medium, Mode: PerBroker,
		Doc: "Log directories that take no new replicas; * is all of them.",
	},
	{
		Name: "create.topic.policy.class.name", Type: Class, Null: true, Importance: Low, NoEffect: noJavaClasses,
		Doc: "Java class that may veto the creation of a topic.",
	},
	{
		Name: "default.replication.factor", Type: Int, Default: "1", Importance: Medium,
		Doc: "Replicas of a topic that is created without saying how many.",
	},
	{
		Name: "delegation.token.expiry.check.interval.ms", Type: Long, Default: "3600000", Check: atLeast{1}, Importance: Low, NoEffect: noDelegationTokens,
		Doc: "Time between two searches for expired delegation tokens.",
	},
	{
		Name: "delegation.token.expiry.time.ms", Type: Long, Default: "86400000", Check: atLeast{1}, Importance: Medium, NoEffect: noDelegationTokens,
		Doc: "Time that a delegation token is valid before it must be renewed.",
	},
	{
		Name: "delegation.token.max.lifetime.ms", Type: Long, Default: "604800000", Check: atLeast{1}, Importance: Medium, NoEffect: noDelegationTokens,
		Doc: "Time after which a delegation token cannot be renewed any more.",
	},
	{
		Name: "delegation.token.secret.key", Type: Password, Null: true, Importance: Medium, NoEffect: noDelegationTokens,
		Doc: "Secret with which delegation tokens are signed; the same on every node.",
	},
	{
		Name: "delete.records.purgatory.purge.interval.requests", Type: Int, Default: "1", Importance: Medium, NoEffect: noPurgatory,
		Doc: "Waiting DeleteRecords requests after which finished ones are swept.",
	},
	{
		Name: "delete.topic.enable", Type: Boolean, Default: "true", Importance: High,
		Doc: "Allow topics to be deleted.",
	},
	{
		Name: "early.start.listeners", Type: List, Null: true, Check: nonEmptyListOf{}, Importance: High, NoEffect: allAtOnce,
		Doc: "Listeners that open before the node is ready to serve, so that authorizers can be reached.",
	},
	{
		Name: "fetch.max.bytes", Type: Int, Default: "57671680", Check: atLeast{1024}, Importance: Medium,
		Doc: "Most bytes that one fetch response carries, whatever the client asks for.",
	},
	{
		Name: "fetch.purgatory.purge.interval.requests", Type: Int, Default: "1000", Importance: Medium, NoEffect: noPurgatory,
		Doc: "Waiting Fetch requests after which finished ones are swept.",
	},
	{
		Name: "follower.fetch.last.tiered.offset.enable", Type: Boolean, Default: "false", Importance: Medium, Mode: ClusterWide, NoEffect: noTieredStorage,
		Doc: "Let a new follower begin at the last offset in tiered storage instead of copying all local data.",
	},
	{
		Name: "follower.replication.throttled.rate", Type: Long, Default: "9223372036854775807", Check: atLeast{0}, Origin: Beside, Importance: Medium, Mode: ClusterWide,
		Doc: "Most bytes in a second that this broker receives for throttled replicas.",
	},
	{
		Name: "group.consumer.assignment.interval.ms", Type: Int, Default: "1000", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide, NoEffect: noConsumerProtocol,
		Doc: "Shortest time between two assignments of one consumer group.",
	},
	{
		Name: "group.consumer.assignors", Type: List, Default: "uniform,range", Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Assignors that the broker offers to consumer groups, the first being the default.",
	},
	{
		Name: "group.consumer.heartbeat.interval.ms", Type: Int, Default: "5000", Check: atLeast{1}, Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Time between two heartbeats of a consumer group member.",
	},
	{
		Name: "group.consumer.max.assignment.interval.ms", Type: Int, Default: "15000", Check: atLeast{0}, Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Upper bound for a group's own assignment interval.",
	},
	{
		Name: "group.consumer.max.heartbeat.interval.ms", Type: Int, Default: "15000", Check: atLeast{1}, Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Upper bound for a group's own heartbeat interval.",
	},
	{
		Name: "group.consumer.max.session.timeout.ms", Type: Int, Default: "60000", Check: atLeast{1}, Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Upper bound for a group's own session timeout.",
	},
	{
		Name: "group.consumer.max.size", Type: Int, Default: "2147483647", Check: atLeast{1}, Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Most members of one consumer group.",
	},
	{
		Name: "group.consumer.migration.policy", Type: String, Default: "bidirectional", Check: oneOfFold{"DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"}, Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Which way a group may change between the classic and the consumer protocol while it runs.",
	},
	{
		Name: "group.consumer.min.assignment.interval.ms", Type: Int, Default: "0", Check: atLeast{0}, Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Lower bound for a group's own assignment interval.",
	},
	{
		Name: "group.consumer.min.heartbeat.interval.ms", Type: Int, Default: "5000", Check: atLeast{1}, Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Lower bound for a group's own heartbeat interval.",
	},
	{
		Name: "group.consumer.min.session.timeout.ms", Type: Int, Default: "45000", Check: atLeast{1}, Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Lower bound for a group's own session timeout.",
	},
	{
		Name: "group.consumer.regex.refresh.interval.ms", Type: Int, Default: "600000", Check: atLeast{10000}, Importance: Medium, Internal: true, NoEffect: noConsumerProtocol,
		Doc: "Time between two evaluations of the patterns that groups subscribe to.",
	},
	{
		Name: "group.consumer.session.timeout.ms", Type: Int, Default: "45000", Check: atLeast{1}, Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Silence after which a consumer group member is put out of its group.",
	},
	{
		Name: "group.coordinator.append.linger.ms", Type: Int, Default: "-1", Check: atLeast{-1}, Importance: Medium, NoEffect: kafkaInternal,
		Doc: "How long the group coordinator gathers records before it writes them; -1 adapts to the load.",
	},
	{
		Name: "group.coordinator.background.threads", Type: Int, Default: "2", Check: atLeast{1}, Importance: High, NoEffect: noThreadPools,
		Doc: "Threads for the group coordinator's longer work.",
	},
	{
		Name: "group.coordinator.cached.buffer.max.bytes", Type: Int, Default: "1048588", Check: atLeast{524288}, Importance: Medium, Mode: ClusterWide, NoEffect: kafkaInternal,
		Doc: "Largest write buffer that the group coordinator keeps for the next write.",
	},
	{
		Name: "group.coordinator.rebalance.protocols", Type: List, Default: "classic,consumer,streams", Check: listOf{"consumer", "classic", "share", "streams"}, Importance: Medium, NoEffect: noConsumerProtocol,
		Doc: "Group protocols that the broker offers.",
	},
	{
		Name: "group.coordinator.threads", Type: Int, Default: "4", Check: atLeast{1}, Importance: High, NoEffect: noThreadPools,
		Doc: "Threads of the group coordinator.",
	},
	{
		Name: "group.initial.rebalance.delay.ms", Type: Int, Default: "3000", Importance: Medium,
		Doc: "How long a new classic group waits for more members before its first rebalance.",
	},
	{
		Name: "group.max.session.timeout.ms", Type: Int, Default: "1800000", Importance: Medium,
		Doc: "Longest session timeout that a classic group member may ask for.",
	},
	{
		Name: "group.max.size", Type: Int, Default: "2147483647", Check: atLeast{1}, Importance: Medium,
		Doc: "Most members of one classic group.",
	},
	{
		Name: "group.min.session.timeout.ms", Type: Int, Default: "6000", Importance: Medium,
		Doc: "Shortest session timeout that a classic group member may ask for.",
	},
	{
		Name: "group.share.assignment.interval.ms", Type: Int, Default: "1000", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide, NoEffect: noShareGroups,
		Doc: "Shortest time between two assignments of one share group.",
	},
	{
		Name: "group.share.assignors", Type: List, Default: "simple", Importance: Medium, NoEffect: noShareGroups,
		Doc: "Assignors that the broker offers to share groups.",
	},
	{
		Name: "group.share.delivery.count.limit", Type: Int, Default: "5", Check: between{2, 10}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "How often a record is delivered to a share group before it is given up.",
	},
	{
		Name: "group.share.heartbeat.interval.ms", Type: Int, Default: "5000", Check: atLeast{1}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Time between two heartbeats of a share group member.",
	},
	{
		Name: "group.share.initialize.retry.interval.ms", Type: Int, Default: "30000", Check: atLeast{1}, Importance: Low, Internal: true, NoEffect: noShareGroups,
		Doc: "Pause before the state of a share group's partition is initialised again.",
	},
	{
		Name: "group.share.max.assignment.interval.ms", Type: Int, Default: "15000", Check: atLeast{0}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Upper bound for a share group's own assignment interval.",
	},
	{
		Name: "group.share.max.delivery.count.limit", Type: Int, Default: "10", Check: between{5, 25}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Upper bound for a share group's own delivery count limit.",
	},
	{
		Name: "group.share.max.heartbeat.interval.ms", Type: Int, Default: "15000", Check: atLeast{1}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Upper bound for a share group's own heartbeat interval.",
	},
	{
		Name: "group.share.max.partition.max.record.locks", Type: Int, Default: "4000", Check: between{2000, 10000}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Upper bound for a share group's own number of locked records.",
	},
	{
		Name: "group.share.max.record.lock.duration.ms", Type: Int, Default: "60000", Check: between{30000, 3600000}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Upper bound for a share group's own lock duration.",
	},
	{
		Name: "group.share.max.session.timeout.ms", Type: Int, Default: "60000", Check: atLeast{1}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Upper bound for a share group's own session timeout.",
	},
	{
		Name: "group.share.max.share.sessions", Type: Int, Default: "2000", Check: atLeast{1}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Most share sessions that a broker keeps.",
	},
	{
		Name: "group.share.max.size", Type: Int, Default: "200", Check: between{1, 1000}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Most members of one share group.",
	},
	{
		Name: "group.share.min.assignment.interval.ms", Type: Int, Default: "0", Check: atLeast{0}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Lower bound for a share group's own assignment interval.",
	},
	{
		Name: "group.share.min.delivery.count.limit", Type: Int, Default: "2", Check: between{2, 5}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Lower bound for a share group's own delivery count limit.",
	},
	{
		Name: "group.share.min.heartbeat.interval.ms", Type: Int, Default: "5000", Check: atLeast{1}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Lower bound for a share group's own heartbeat interval.",
	},
	{
		Name: "group.share.min.partition.max.record.locks", Type: Int, Default: "100", Check: between{100, 2000}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Lower bound for a share group's own number of locked records.",
	},
	{
		Name: "group.share.min.record.lock.duration.ms", Type: Int, Default: "15000", Check: between{1000, 30000}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Lower bound for a share group's own lock duration.",
	},
	{
		Name: "group.share.min.session.timeout.ms", Type: Int, Default: "45000", Check: atLeast{1}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Lower bound for a share group's own session timeout.",
	},
	{
		Name: "group.share.partition.max.record.locks", Type: Int, Default: "2000", Check: between{100, 10000}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Most records of one partition that a share group may have out for delivery.",
	},
	{
		Name: "group.share.persister.class.name", Type: String, Default: "org.apache.kafka.server.share.persister.DefaultStatePersister", Importance: Medium, Internal: true, NoEffect: noJavaClasses,
		Doc: "Java class that keeps the state of share groups.",
	},
	{
		Name: "group.share.record.lock.duration.ms", Type: Int, Default: "30000", Check: between{1000, 3600000}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Time that a member has a record of a share group for itself.",
	},
	{
		Name: "group.share.session.timeout.ms", Type: Int, Default: "45000", Check: atLeast{1}, Importance: Medium, NoEffect: noShareGroups,
		Doc: "Silence after which a share group member is put out of its group.",
	},
	{
		Name: "group.streams.assignment.interval.ms", Type: Int, Default: "1000", Check: atLeast{0}, Importance: Medium, Mode: ClusterWide, NoEffect: noStreamsGroups,
		Doc: "Shortest time between two assignments of one streams group.",
	},
	{
		Name: "group.streams.heartbeat.interval.ms", Type: Int, Default: "5000", Check: atLeast{1}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "Time between two heartbeats of a streams group member.",
	},
	{
		Name: "group.streams.initial.rebalance.delay.ms", Type: Int, Default: "3000", Check: atLeast{0}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "How long a new streams group waits for more members before its first assignment.",
	},
	{
		Name: "group.streams.max.assignment.interval.ms", Type: Int, Default: "15000", Check: atLeast{0}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "Upper bound for a streams group's own assignment interval.",
	},
	{
		Name: "group.streams.max.heartbeat.interval.ms", Type: Int, Default: "15000", Check: atLeast{1}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "Upper bound for a streams group's own heartbeat interval.",
	},
	{
		Name: "group.streams.max.session.timeout.ms", Type: Int, Default: "60000", Check: atLeast{1}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "Upper bound for a streams group's own session timeout.",
	},
	{
		Name: "group.streams.max.size", Type: Int, Default: "2147483647", Check: atLeast{1}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "Most members of one streams group.",
	},
	{
		Name: "group.streams.max.standby.replicas", Type: Int, Default: "2", Check: atLeast{0}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "Upper bound for a streams group's own number of standby replicas.",
	},
	{
		Name: "group.streams.min.assignment.interval.ms", Type: Int, Default: "0", Check: atLeast{0}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "Lower bound for a streams group's own assignment interval.",
	},
	{
		Name: "group.streams.min.heartbeat.interval.ms", Type: Int, Default: "5000", Check: atLeast{1}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "Lower bound for a streams group's own heartbeat interval.",
	},
	{
		Name: "group.streams.min.session.timeout.ms", Type: Int, Default: "45000", Check: atLeast{1}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "Lower bound for a streams group's own session timeout.",
	},
	{
		Name: "group.streams.num.standby.replicas", Type: Int, Default: "0", Check: atLeast{0}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "Standby copies of each stateful task.",
	},
	{
		Name: "group.streams.session.timeout.ms", Type: Int, Default: "45000", Check: atLeast{1}, Importance: Medium, NoEffect: noStreamsGroups,
		Doc: "Silence after which a streams group member is put out of its group.",
	},
	{
		Name: "initial.broker.registration.timeout.ms", Type: Int, Default: "60000", Importance: Medium,
		Doc: "How long a starting broker tries to register with the controller before it gives up.",
	},
	{
		Name: "inter.broker.listener.name", Type: String, Null: true, Importance: Medium,
		Doc: "Name of the listener through which brokers talk to each other.",
	},
	{
		Name: "internal.metadata.delete.delay.millis", Type: Long, Default: "60000", Importance: Low, Internal: true, NoEffect: kafkaInternal,
		Doc: "Time before a deleted file of the metadata log leaves the disk.",
	},
	{
		Name: "internal.metadata.log.segment.bytes", Type: Int, Null: true, Importance: Low, Internal: true, NoEffect: kafkaInternal,
		Doc: "Segment size of the metadata log, for tests.",
	},
	{
		Name: "internal.metadata.max.batch.size.in.bytes", Type: Int, Default: "8388608", Importance: Low, Internal: true, NoEffect: kafkaInternal,
		Doc: "Largest batch written to the metadata log.",
	},
	{
		Name: "kafka.metrics.polling.interval.secs", Type: Int, Default: "10", Check: atLeast{1}, Importance: Low, NoEffect: noJavaMetrics,
		Doc: "Period at which Java metrics reporters of the older kind are asked.",
	},
	{
		Name: "kafka.metrics.reporters", Type: List, Default: "", Importance: Low, NoEffect: noJavaMetrics,
		Doc: "Java metrics reporters of the older kind.",
	},
	{
		Name: "leader.imbalance.check.interval.seconds", Type: Long, Default: "300", Check: atLeast{1}, Importance: High,
		Doc: "Time between two checks for leaders that are not on their preferred replica.",
	},
	{
		Name: "leader.replication.throttled.rate", Type: Long, Default: "9223372036854775807", Check: atLeast{0}, Origin: Beside, Importance: Medium, Mode: ClusterWide,
		Doc: "Most bytes in a second that this broker sends for throttled replicas.",
	},
	{
		Name: "listener.security.protocol.map", Type: String, Default: "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Importance: Low, Mode: PerBroker,
		Doc: "Which security protocol each listener name stands for.",
	},
}
