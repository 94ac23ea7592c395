package config

// Why a key of Kafka changes nothing here. Each is the end of the sentence "KEY has no effect: ...".
const (
	noThreadPools      = "each connection has its own goroutine, so there is no pool or queue to size"
	noJavaClasses      = "it names something of Java, and Moldau runs no Java"
	noPurgatory        = "a parked request is woken by what it waits for and leaves nothing to sweep"
	noJavaMetrics      = "metrics are read from the admin listener, not pushed by Java classes"
	kafkaInternal      = "it tunes an inner part of Kafka that Moldau does not have"
	systemDecides      = "the operating system's own limit is used"
	allAtOnce          = "all listeners open when the node is ready to serve"
	filesGrow          = "segment files grow as they are written"
	oneVoter           = "the controller quorum has one voter, which waits for nobody"
	rollsBySize        = "segments of the metadata log roll by size, and snapshots bound them"
	readsInPieces      = "logs are read in pieces of 1 MiB"
	noTLS              = "TLS listeners are not served yet"
	noSASL             = "SASL listeners are not served yet"
	noACLs             = "ACLs are not served yet"
	noDelegationTokens = "delegation tokens are not served yet"
	noTieredStorage    = "tiered storage is not served yet: all data stays on local disks"
	noShareGroups      = "share groups are not served yet"
	noStreamsGroups    = "streams groups are not served yet"
	noConsumerProtocol = "the consumer group protocol is not served yet: groups use the classic one"
	noTwoPhaseCommit   = "the requests with which clients ask for it are not final in Kafka, and neither it nor Moldau takes them"
	noReplication      = "replication between brokers is not served yet: the cluster has one node"
	noQuotas           = "quotas are not served yet"
	noMoveWindows      = "the rate of moves between log directories is held without sample windows"
	noTelemetry        = "client telemetry is not served yet"
)
