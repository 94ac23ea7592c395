package obs

// Names of metrics, as the exporters in front of Kafka's JMX beans write them and as its dashboards query
// them. A name with _total is a counter, every other a gauge.
const (
	// By topic and, without a label, for all topics together; see TopicMetrics.
	MessagesIn                = "kafka_server_brokertopicmetrics_messagesin_total"
	BytesIn                   = "kafka_server_brokertopicmetrics_bytesin_total"
	BytesOut                  = "kafka_server_brokertopicmetrics_bytesout_total"
	ReplicationBytesIn        = "kafka_server_brokertopicmetrics_replicationbytesin_total"
	ReplicationBytesOut       = "kafka_server_brokertopicmetrics_replicationbytesout_total"
	TotalProduceRequests      = "kafka_server_brokertopicmetrics_totalproducerequests_total"
	TotalFetchRequests        = "kafka_server_brokertopicmetrics_totalfetchrequests_total"
	FailedProduceRequests     = "kafka_server_brokertopicmetrics_failedproducerequests_total"
	FailedFetchRequests       = "kafka_server_brokertopicmetrics_failedfetchrequests_total"
	BytesRejected             = "kafka_server_brokertopicmetrics_bytesrejected_total"
	InvalidMagicNumberRecords = "kafka_server_brokertopicmetrics_invalidmagicnumberrecords_total"
	InvalidMessageCRCRecords  = "kafka_server_brokertopicmetrics_invalidmessagecrcrecords_total"
	InvalidOffsetOrSequence   = "kafka_server_brokertopicmetrics_invalidoffsetorsequencerecords_total"
	NoKeyCompactedTopic       = "kafka_server_brokertopicmetrics_nokeycompactedtopicrecords_total"

	// By request; see RequestMetrics.
	Requests            = "kafka_network_requestmetrics_requests_total"
	RequestErrors       = "kafka_network_requestmetrics_errors_total"
	TotalTimeMs         = "kafka_network_requestmetrics_totaltimems"
	RequestQueueTimeMs  = "kafka_network_requestmetrics_requestqueuetimems"
	LocalTimeMs         = "kafka_network_requestmetrics_localtimems"
	RemoteTimeMs        = "kafka_network_requestmetrics_remotetimems"
	ThrottleTimeMs      = "kafka_network_requestmetrics_throttletimems"
	ResponseQueueTimeMs = "kafka_network_requestmetrics_responsequeuetimems"
	ResponseSendTimeMs  = "kafka_network_requestmetrics_responsesendtimems"
	RequestBytes        = "kafka_network_requestmetrics_requestbytes"
	ResponseBytes       = "kafka_network_requestmetrics_responsebytes"

	// The controller.
	ActiveControllerCount           = "kafka_controller_kafkacontroller_activecontrollercount"
	OfflinePartitionsCount          = "kafka_controller_kafkacontroller_offlinepartitionscount"
	PreferredReplicaImbalanceCount  = "kafka_controller_kafkacontroller_preferredreplicaimbalancecount"
	FencedBrokerCount               = "kafka_controller_kafkacontroller_fencedbrokercount"
	ActiveBrokerCount               = "kafka_controller_kafkacontroller_activebrokercount"
	GlobalTopicCount                = "kafka_controller_kafkacontroller_globaltopiccount"
	GlobalPartitionCount            = "kafka_controller_kafkacontroller_globalpartitioncount"
	LastAppliedRecordOffset         = "kafka_controller_kafkacontroller_lastappliedrecordoffset"
	LastCommittedRecordOffset       = "kafka_controller_kafkacontroller_lastcommittedrecordoffset"
	UncleanLeaderElections          = "kafka_controller_controllerstats_uncleanleaderelections_total"
	ElectionFromEligibleReplicas    = "kafka_controller_controllerstats_electionfromeligibleleaderreplicas_total"
	ControllerEventQueueTimeMs      = "kafka_controller_controllereventmanager_eventqueuetimems"
	ControllerEventProcessingTimeMs = "kafka_controller_controllereventmanager_eventqueueprocessingtimems"

	// Replicas, of the broker and of a partition (labels topic, partition).
	UnderReplicatedPartitions   = "kafka_server_replicamanager_underreplicatedpartitions"
	UnderMinIsrPartitionCount   = "kafka_server_replicamanager_underminisrpartitioncount"
	AtMinIsrPartitionCount      = "kafka_server_replicamanager_atminisrpartitioncount"
	OfflineReplicaCount         = "kafka_server_replicamanager_offlinereplicacount"
	ReassigningPartitions       = "kafka_server_replicamanager_reassigningpartitions"
	LeaderCount                 = "kafka_server_replicamanager_leadercount"
	PartitionCount              = "kafka_server_replicamanager_partitioncount"
	IsrShrinks                  = "kafka_server_replicamanager_isrshrinks_total"
	IsrExpands                  = "kafka_server_replicamanager_isrexpands_total"
	FailedIsrUpdates            = "kafka_server_replicamanager_failedisrupdates_total"
	PartitionUnderMinIsr        = "kafka_cluster_partition_underminisr"
	PartitionAtMinIsr           = "kafka_cluster_partition_atminisr"
	PartitionUnderReplicated    = "kafka_cluster_partition_underreplicated"
	PartitionReplicasCount      = "kafka_cluster_partition_replicascount"
	PartitionInSyncReplicas     = "kafka_cluster_partition_insyncreplicascount"
	PartitionLastStableLag      = "kafka_cluster_partition_laststableoffsetlag"
	ReplicaFetcherMaxLag        = "kafka_server_replicafetchermanager_maxlag"
	FetcherLag                  = "kafka_server_fetcherlagmetrics_consumerlag"
	DelayedOperationPurgatory   = "kafka_server_delayedoperationpurgatory_purgatorysize"
	FetchSessions               = "kafka_server_fetchsessioncache_numincrementalfetchsessions"
	FetchSessionEvictions       = "kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total"
	FetchSessionPartitions      = "kafka_server_fetchsessioncache_numincrementalfetchpartitionscached"
	RequestHandlerIdlePercent   = "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent"
	NetworkProcessorIdlePercent = "kafka_network_socketserver_networkprocessoravgidle_percent"
	RequestQueueSize            = "kafka_network_requestchannel_requestqueuesize"
	ResponseQueueSize           = "kafka_network_requestchannel_responsequeuesize"

	// Connections (labels listener, networkProcessor).
	ConnectionCount            = "kafka_server_socket_server_metrics_connection_count"
	ConnectionCreations        = "kafka_server_socket_server_metrics_connection_creation_total"
	ConnectionCloses           = "kafka_server_socket_server_metrics_connection_close_total"
	FailedAuthentications      = "kafka_server_socket_server_metrics_failed_authentication_total"
	ExpiredConnectionsKilled   = "kafka_server_socket_server_metrics_expired_connections_killed_count"
	BrokerStateMetric          = "kafka_server_kafkaserver_brokerstate"
	LinuxDiskReadBytes         = "kafka_server_kafkaserver_linux_disk_read_bytes"
	LinuxDiskWriteBytes        = "kafka_server_kafkaserver_linux_disk_write_bytes"
	LogSize                    = "kafka_log_log_size"                              // topic, partition
	NumLogSegments             = "kafka_log_log_numlogsegments"                    // topic, partition
	LogStartOffset             = "kafka_log_log_logstartoffset"                    // topic, partition
	LogEndOffset               = "kafka_log_log_logendoffset"                      // topic, partition
	OfflineLogDirectoryCount   = "kafka_log_logmanager_offlinelogdirectorycount"   //
	RemainingLogsToRecover     = "kafka_log_logmanager_remaininglogstorecover"     // dir
	RemainingSegmentsToRecover = "kafka_log_logmanager_remainingsegmentstorecover" // dir, threadNum
	LogFlushTimeMs             = "kafka_log_logflushstats_logflushrateandtimems"   // a histogram

	// The log cleaner.
	CleanerMaxCleanTimeSecs            = "kafka_log_logcleaner_max_clean_time_secs"
	CleanerRecopyPercent               = "kafka_log_logcleaner_cleaner_recopy_percent"
	CleanerMaxBufferUtilizationPercent = "kafka_log_logcleaner_max_buffer_utilization_percent"
	CleanerMaxCompactionDelaySecs      = "kafka_log_logcleaner_max_compaction_delay_secs"
	CleanerDeadThreadCount             = "kafka_log_logcleaner_deadthreadcount"
	CleanerMaxDirtyPercent             = "kafka_log_logcleanermanager_max_dirty_percent"
	CleanerTimeSinceLastRunMs          = "kafka_log_logcleanermanager_time_since_last_run_ms"
	UncleanablePartitionsCount         = "kafka_log_logcleanermanager_uncleanable_partitions_count" // logDirectory
	UncleanableBytes                   = "kafka_log_logcleanermanager_uncleanable_bytes"            // logDirectory

	LogDirFreeBytes             = "moldau_log_dir_free_bytes"  // dir
	LogDirTotalBytes            = "moldau_log_dir_total_bytes" // dir
	MoldauFlushWaiters          = "moldau_flush_waiters"       // produces that wait for a sync
	NumGroups                   = "kafka_coordinator_group_groupmetadatamanager_numgroups"
	NumGroupsPreparingRebalance = "kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance"
	NumGroupsCompleting         = "kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance"
	NumGroupsStable             = "kafka_coordinator_group_groupmetadatamanager_numgroupsstable"
	NumGroupsDead               = "kafka_coordinator_group_groupmetadatamanager_numgroupsdead"
	NumGroupsEmpty              = "kafka_coordinator_group_groupmetadatamanager_numgroupsempty"
	GroupCount                  = "kafka_server_group_coordinator_metrics_group_count"          // protocol
	ConsumerGroupCount          = "kafka_server_group_coordinator_metrics_consumer_group_count" // state
	ConsumerGroupRebalances     = "kafka_server_group_coordinator_metrics_consumer_group_rebalance_count"
	NumOffsets                  = "kafka_coordinator_group_groupmetadatamanager_numoffsets"

	// What a broker knows of the cluster, under the names of the exporter that reads Kafka's API.
	ConsumerGroupLag           = "kafka_consumergroup_lag"            // consumergroup, topic, partition; -1 without a commit
	ConsumerGroupLagSum        = "kafka_consumergroup_lag_sum"        // consumergroup, topic
	ConsumerGroupCurrentOffset = "kafka_consumergroup_current_offset" // consumergroup, topic, partition
	ConsumerGroupMembers       = "kafka_consumergroup_members"        // consumergroup

	// The same under the names of the other exporter that dashboards ask.
	KminionPartitionLag  = "kminion_kafka_consumer_group_topic_partition_lag" // group_id, topic_name, partition_id
	KminionTopicLag      = "kminion_kafka_consumer_group_topic_lag"           // group_id, topic_name
	KminionGroupMembers  = "kminion_kafka_consumer_group_members"             // group_id
	ConsumerLagLeftOut   = "moldau_consumer_lag_left_out"                     // partitions of groups that moldau.metrics.consumer.lag.max has no room for
	OffsetCommits        = "kafka_server_group_coordinator_metrics_offset_commit_count"
	OffsetExpirations    = "kafka_server_group_coordinator_metrics_offset_expiration_count"
	OffsetDeletions      = "kafka_server_group_coordinator_metrics_offset_deletion_count"
	CompletedRebalances  = "kafka_server_group_coordinator_metrics_group_completed_rebalance_count"
	GroupLoadTimeAvg     = "kafka_server_group_coordinator_metrics_partition_load_time_avg"
	GroupLoadTimeMax     = "kafka_server_group_coordinator_metrics_partition_load_time_max"
	GroupPartitionCount  = "kafka_server_group_coordinator_metrics_num_partitions" // state
	Brokers              = "kafka_brokers"
	BrokerInfo           = "kafka_broker_info"                     // id, address
	TopicPartitions      = "kafka_topic_partitions"                // topic
	TopicCurrentOffset   = "kafka_topic_partition_current_offset"  // topic, partition
	TopicOldestOffset    = "kafka_topic_partition_oldest_offset"   // topic, partition
	TopicInSyncReplicas  = "kafka_topic_partition_in_sync_replica" // topic, partition
	TopicLeader          = "kafka_topic_partition_leader"          // topic, partition
	TopicReplicas        = "kafka_topic_partition_replicas"        // topic, partition
	TopicUnderReplicated = "kafka_topic_partition_under_replicated_partition"

	// The metadata quorum, in both spellings that dashboards use: raftmetrics and raft_metrics.
	RaftCurrentLeader = "kafka_server_raftmetrics_current_leader"
	RaftCurrentEpoch  = "kafka_server_raftmetrics_current_epoch"
	RaftHighWatermark = "kafka_server_raftmetrics_high_watermark"
	RaftLogEndOffset  = "kafka_server_raftmetrics_log_end_offset"

	Raft2CurrentLeader = "kafka_server_raft_metrics_current_leader"
	Raft2CurrentEpoch  = "kafka_server_raft_metrics_current_epoch"
	Raft2HighWatermark = "kafka_server_raft_metrics_high_watermark"
	Raft2LogEndOffset  = "kafka_server_raft_metrics_log_end_offset"

	// Transactions.
	TransactionalIDs          = "moldau_transactional_ids"
	TransactionMarkersPending = "moldau_transaction_markers_pending"
	TransactionLoadTimeAvg    = "kafka_server_transaction_coordinator_metrics_partition_load_time_avg"
	TransactionLoadTimeMax    = "kafka_server_transaction_coordinator_metrics_partition_load_time_max"
	VerificationFailures      = "kafka_server_addpartitionstotxnmanager_verificationfailurerate_total"
)
