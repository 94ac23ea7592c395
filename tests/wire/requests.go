package wire

import "github.com/twmb/franz-go/pkg/kmsg"

// Names of what prepare sets up on the server.
const (
	topic      = "wire-topic"   // 2 partitions, 5 records in partition 0
	compacted  = "wire-compact" // cleanup.policy=compact
	unknown    = "wire-unknown" // never created
	group      = "wire-group"   // has a committed offset, no members
	topicCount = 5
)

// probe is one request of the sweep: sent at each advertised version from min
// to max. The body is the JSON of the codec's struct; $ID stands for the id of
// the topic, $BATCH for a batch of one record.
type probe struct {
	key      kmsg.Key
	name     string
	min, max int16
	body     string
}

// latest is above any version.
const latest = 1 << 14

// probes cover what a broker listener may advertise. An API without a probe is
// asked with an empty request: it must still answer, and readably.
func probes() []probe { return append(usualProbes(), errorProbes()...) }

func usualProbes() []probe {
	return []probe{
		{kmsg.Produce, "one batch", 3, 12, `{"Acks":-1,"TimeoutMillis":5000,"Topics":[{"Topic":"wire-produce","Partitions":[{"Partition":0,"Records":"$BATCH"}]}]}`},
		{kmsg.Produce, "one batch", 13, latest, `{"Acks":-1,"TimeoutMillis":5000,"Topics":[{"TopicID":$PRODUCEID,"Partitions":[{"Partition":0,"Records":"$BATCH"}]}]}`},
		{kmsg.Produce, "unknown topic", 3, 12, `{"Acks":1,"TimeoutMillis":5000,"Topics":[{"Topic":"wire-unknown","Partitions":[{"Partition":0,"Records":"$BATCH"}]}]}`},
		{kmsg.Produce, "unknown topic id", 13, latest, `{"Acks":1,"TimeoutMillis":5000,"Topics":[{"TopicID":$NOID,"Partitions":[{"Partition":0,"Records":"$BATCH"}]}]}`},
		{kmsg.Fetch, "from the start", 4, 12, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"LastFetchedEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576},{"Partition":9,"CurrentLeaderEpoch":-1,"LastFetchedEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`},
		{kmsg.Fetch, "from the start", 13, latest, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"TopicID":$ID,"Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"LastFetchedEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576},{"Partition":9,"CurrentLeaderEpoch":-1,"LastFetchedEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}],"ReplicaState":{"ID":-1,"Epoch":-1}}`},
		{kmsg.Fetch, "unknown topic", 4, 12, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"Topic":"wire-unknown","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"LastFetchedEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`},
		{kmsg.Fetch, "unknown topic id", 13, latest, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"TopicID":$NOID,"Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"LastFetchedEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}],"ReplicaState":{"ID":-1,"Epoch":-1}}`},
		{kmsg.Fetch, "past the end", 4, 12, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"FetchOffset":99,"CurrentLeaderEpoch":-1,"LastFetchedEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`},
		{kmsg.Fetch, "newer leader epoch", 9, 12, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":99,"LastFetchedEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`},
		{kmsg.Fetch, "unknown session", 7, latest, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionID":12345,"SessionEpoch":7,"ReplicaState":{"ID":-1,"Epoch":-1}}`},
		{kmsg.Fetch, "new session", 7, 12, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":0,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"LastFetchedEpoch":-1,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}]}]}`},
		{kmsg.ListOffsets, "latest", 1, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":-1},{"Partition":9,"CurrentLeaderEpoch":-1,"Timestamp":-1}]},{"Topic":"wire-unknown","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":-1}]}]}`},
		{kmsg.ListOffsets, "earliest", 1, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":-2}]}]}`},
		{kmsg.ListOffsets, "max timestamp", 1, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":-3}]}]}`},
		{kmsg.ListOffsets, "earliest local", 7, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":-4}]}]}`},
		{kmsg.ListOffsets, "by time", 1, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":1002}]}]}`},
		{kmsg.ListOffsets, "time in the future", 1, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":99999999999999}]}]}`},
		{kmsg.ListOffsets, "read committed", 2, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"IsolationLevel":1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":-1}]}]}`},
		{kmsg.Metadata, "two topics", 0, latest, `{"Topics":[{"Topic":"wire-topic"},{"Topic":"wire-compact"}],"IncludeClusterAuthorizedOperations":false}`},
		{kmsg.Metadata, "unknown topic, no creation", 4, latest, `{"Topics":[{"Topic":"wire-unknown"}],"AllowAutoTopicCreation":false}`},
		{kmsg.Metadata, "bad name", 4, latest, `{"Topics":[{"Topic":"bad name"}],"AllowAutoTopicCreation":true}`},
		{kmsg.Metadata, "no topics", 1, latest, `{"Topics":[]}`},
		{kmsg.Metadata, "by id", 12, latest, `{"Topics":[{"TopicID":$ID}]}`},
		{kmsg.Metadata, "by unknown id", 12, latest, `{"Topics":[{"TopicID":$NOID}]}`},
		{kmsg.Metadata, "with authorized operations", 8, latest, `{"Topics":[{"Topic":"wire-topic"}],"IncludeTopicAuthorizedOperations":true,"IncludeClusterAuthorizedOperations":true}`},
		{kmsg.OffsetCommit, "simple", 2, 9, `{"Group":"wire-simple","Generation":-1,"RetentionTimeMillis":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":3,"LeaderEpoch":-1,"Timestamp":-1,"Metadata":"note"}]}]}`},
		{kmsg.OffsetCommit, "simple", 10, latest, `{"Group":"wire-simple","Generation":-1,"RetentionTimeMillis":-1,"Topics":[{"TopicID":$ID,"Partitions":[{"Partition":0,"Offset":3,"LeaderEpoch":-1,"Timestamp":-1,"Metadata":"note"}]}]}`},
		{kmsg.OffsetCommit, "unknown member", 2, 9, `{"Group":"wire-simple","Generation":5,"MemberID":"nobody","RetentionTimeMillis":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":3,"LeaderEpoch":-1,"Timestamp":-1}]}]}`},
		{kmsg.OffsetCommit, "unknown topic", 2, 9, `{"Group":"wire-simple","Generation":-1,"RetentionTimeMillis":-1,"Topics":[{"Topic":"wire-unknown","Partitions":[{"Partition":0,"Offset":3,"LeaderEpoch":-1,"Timestamp":-1}]}]}`},
		{kmsg.OffsetFetch, "one group", 1, 7, `{"Group":"wire-group","Topics":[{"Topic":"wire-topic","Partitions":[0,1]}]}`},
		{kmsg.OffsetFetch, "all topics", 2, 7, `{"Group":"wire-group","Topics":null}`},
		{kmsg.OffsetFetch, "unknown group", 1, 7, `{"Group":"wire-no-group","Topics":[{"Topic":"wire-topic","Partitions":[0]}]}`},
		{kmsg.OffsetFetch, "two groups", 8, 9, `{"Groups":[{"Group":"wire-group","MemberEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[0,1]}]},{"Group":"wire-no-group","MemberEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[0]}]}]}`},
		{kmsg.OffsetFetch, "two groups", 10, latest, `{"Groups":[{"Group":"wire-group","MemberEpoch":-1,"Topics":[{"TopicID":$ID,"Partitions":[0,1]}]},{"Group":"wire-no-group","MemberEpoch":-1,"Topics":[{"TopicID":$ID,"Partitions":[0]}]}]}`},
		{kmsg.OffsetFetch, "all topics", 8, latest, `{"Groups":[{"Group":"wire-group","MemberEpoch":-1,"Topics":null}],"RequireStable":true}`},
		{kmsg.FindCoordinator, "group", 0, 3, `{"CoordinatorKey":"wire-group"}`},
		{kmsg.FindCoordinator, "two groups", 4, latest, `{"CoordinatorKeys":["wire-group","wire-no-group"]}`},
		{kmsg.FindCoordinator, "bad type", 1, 3, `{"CoordinatorKey":"wire-group","CoordinatorType":9}`},
		{kmsg.JoinGroup, "bad session timeout", 0, latest, `{"Group":"wire-no-group","SessionTimeoutMillis":1,"RebalanceTimeoutMillis":1,"ProtocolType":"consumer","Protocols":[{"Name":"range","Metadata":""}]}`},
		{kmsg.JoinGroup, "unknown member", 0, latest, `{"Group":"wire-no-group","SessionTimeoutMillis":10000,"RebalanceTimeoutMillis":10000,"MemberID":"nobody","ProtocolType":"consumer","Protocols":[{"Name":"range","Metadata":""}]}`},
		{kmsg.JoinGroup, "empty group id", 0, latest, `{"Group":"","SessionTimeoutMillis":10000,"RebalanceTimeoutMillis":10000,"ProtocolType":"consumer","Protocols":[{"Name":"range","Metadata":""}]}`},
		{kmsg.JoinGroup, "no protocols", 0, latest, `{"Group":"wire-no-group","SessionTimeoutMillis":10000,"RebalanceTimeoutMillis":10000,"ProtocolType":"consumer","Protocols":[]}`},
		{kmsg.Heartbeat, "unknown member", 0, latest, `{"Group":"wire-no-group","Generation":1,"MemberID":"nobody"}`},
		{kmsg.LeaveGroup, "unknown member", 0, 2, `{"Group":"wire-no-group","MemberID":"nobody"}`},
		{kmsg.LeaveGroup, "unknown members", 3, latest, `{"Group":"wire-no-group","Members":[{"MemberID":"nobody"},{"MemberID":"","InstanceID":"static"}]}`},
		{kmsg.LeaveGroup, "unknown members of a known group", 3, latest, `{"Group":"wire-group","Members":[{"MemberID":"nobody"},{"MemberID":"","InstanceID":"static"}]}`},
		{kmsg.SyncGroup, "unknown member", 0, latest, `{"Group":"wire-no-group","Generation":1,"MemberID":"nobody","ProtocolType":"consumer","Protocol":"range"}`},
		{kmsg.DescribeGroups, "known and unknown", 0, latest, `{"Groups":["wire-group","wire-never-group"]}`},
		{kmsg.ListGroups, "by state", 4, latest, `{"StatesFilter":["NoSuchState"]}`},
		{kmsg.SASLHandshake, "on a plaintext listener", 0, latest, `{"Mechanism":"PLAIN"}`},
		{kmsg.SASLAuthenticate, "on a plaintext listener", 0, latest, `{"SASLAuthBytes":""}`},
		{kmsg.ApiVersions, "well named", 0, latest, `{"ClientSoftwareName":"wire","ClientSoftwareVersion":"1"}`},
		{kmsg.ApiVersions, "badly named", 3, latest, `{"ClientSoftwareName":"not good!","ClientSoftwareVersion":""}`},
		{kmsg.CreateTopics, "many ways", 2, latest, `{"TimeoutMillis":5000,"ValidateOnly":true,"Topics":[
			{"Topic":"wire-new","NumPartitions":3,"ReplicationFactor":1,"Configs":[{"Name":"retention.ms","Value":"1000"}]},
			{"Topic":"wire-topic","NumPartitions":1,"ReplicationFactor":1},
			{"Topic":"","NumPartitions":1,"ReplicationFactor":1},{"Topic":".","NumPartitions":1,"ReplicationFactor":1},{"Topic":"..","NumPartitions":1,"ReplicationFactor":1},
			{"Topic":"bad name","NumPartitions":1,"ReplicationFactor":1},
			{"Topic":"wire.topic","NumPartitions":1,"ReplicationFactor":1},
			{"Topic":"$LONG","NumPartitions":1,"ReplicationFactor":1},
			{"Topic":"wire-zero","NumPartitions":0,"ReplicationFactor":1},{"Topic":"wire-rf0","NumPartitions":1,"ReplicationFactor":0},{"Topic":"wire-rf5","NumPartitions":1,"ReplicationFactor":5},
			{"Topic":"wire-badkey","NumPartitions":1,"ReplicationFactor":1,"Configs":[{"Name":"no.such.key","Value":"1"}]},
			{"Topic":"wire-badvalue","NumPartitions":1,"ReplicationFactor":1,"Configs":[{"Name":"retention.ms","Value":"soon"}]},
			{"Topic":"wire-nullvalue","NumPartitions":1,"ReplicationFactor":1,"Configs":[{"Name":"retention.ms","Value":null}]},
			{"Topic":"wire-assigned","NumPartitions":-1,"ReplicationFactor":-1,"ReplicaAssignment":[{"Partition":0,"Replicas":[1]},{"Partition":1,"Replicas":[1]}]},
			{"Topic":"wire-assigned-twice","NumPartitions":2,"ReplicationFactor":1,"ReplicaAssignment":[{"Partition":0,"Replicas":[1]}]},
			{"Topic":"wire-assigned-gap","NumPartitions":-1,"ReplicationFactor":-1,"ReplicaAssignment":[{"Partition":1,"Replicas":[1]}]},
			{"Topic":"wire-assigned-nobody","NumPartitions":-1,"ReplicationFactor":-1,"ReplicaAssignment":[{"Partition":0,"Replicas":[77]}]},
			{"Topic":"wire-assigned-same","NumPartitions":-1,"ReplicationFactor":-1,"ReplicaAssignment":[{"Partition":0,"Replicas":[1,1]}]}]}`},
		{kmsg.CreateTopics, "named twice", 2, latest, `{"TimeoutMillis":5000,"ValidateOnly":true,"Topics":[{"Topic":"wire-twin","NumPartitions":1,"ReplicationFactor":1},{"Topic":"wire-twin","NumPartitions":1,"ReplicationFactor":1}]}`},
		{kmsg.CreateTopics, "defaults", 4, latest, `{"TimeoutMillis":5000,"ValidateOnly":true,"Topics":[{"Topic":"wire-defaults","NumPartitions":-1,"ReplicationFactor":-1}]}`},
		{kmsg.DeleteTopics, "unknown", 1, 5, `{"TimeoutMillis":5000,"TopicNames":["wire-unknown"]}`},
		{kmsg.DeleteTopics, "unknown", 6, latest, `{"TimeoutMillis":5000,"Topics":[{"Topic":"wire-unknown"},{"TopicID":$NOID}]}`},
		{kmsg.DeleteRecords, "nothing, unknown, beyond", 0, latest, `{"TimeoutMillis":5000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":0},{"Partition":1,"Offset":99}]},{"Topic":"wire-unknown","Partitions":[{"Partition":0,"Offset":0}]}]}`},
		{kmsg.InitProducerID, "idempotent", 0, latest, `{"TransactionTimeoutMillis":60000,"ProducerID":-1,"ProducerEpoch":-1}`},
		{kmsg.InitProducerID, "empty transactional id", 0, latest, `{"TransactionalID":"","TransactionTimeoutMillis":60000,"ProducerID":-1,"ProducerEpoch":-1}`},
		{kmsg.OffsetForLeaderEpoch, "epochs 0 and 9", 2, latest, `{"ReplicaID":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"LeaderEpoch":0},{"Partition":1,"CurrentLeaderEpoch":-1,"LeaderEpoch":9}]},{"Topic":"wire-unknown","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"LeaderEpoch":0}]}]}`},
		{kmsg.AddPartitionsToTxn, "unknown id", 0, 3, `{"TransactionalID":"wire-txn","ProducerID":999999,"ProducerEpoch":0,"Topics":[{"Topic":"wire-topic","Partitions":[0]}]}`},
		{kmsg.AddOffsetsToTxn, "unknown id", 0, latest, `{"TransactionalID":"wire-txn","ProducerID":999999,"ProducerEpoch":0,"Group":"wire-group"}`},
		{kmsg.EndTxn, "unknown id", 0, latest, `{"TransactionalID":"wire-txn","ProducerID":999999,"ProducerEpoch":0,"Commit":true}`},
		{kmsg.TxnOffsetCommit, "unknown member", 0, latest, `{"TransactionalID":"wire-txn","Group":"wire-no-group","ProducerID":999999,"ProducerEpoch":0,"Generation":5,"MemberID":"nobody","Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":1,"LeaderEpoch":-1}]}]}`},
		{kmsg.DescribeACLs, "all, without an authorizer", 1, latest, `{"ResourceType":"ANY","ResourcePatternType":"ANY","Operation":"ANY","PermissionType":"ANY"}`},
		{kmsg.CreateACLs, "two, without an authorizer", 1, latest, `{"Creations":[{"ResourceType":"TOPIC","ResourceName":"wire-topic","ResourcePatternType":"LITERAL","Principal":"User:a","Host":"*","Operation":"READ","PermissionType":"ALLOW"},{"ResourceType":"TOPIC","ResourceName":"","ResourcePatternType":"LITERAL","Principal":"a","Host":"*","Operation":"READ","PermissionType":"ALLOW"}]}`},
		{kmsg.DeleteACLs, "two filters, without an authorizer", 1, latest, `{"Filters":[{"ResourceType":"TOPIC","ResourceName":"wire-topic","ResourcePatternType":"LITERAL","Operation":"ANY","PermissionType":"ANY"},{"ResourceType":"ANY","ResourcePatternType":"ANY","Operation":"ANY","PermissionType":"ANY"}]}`},
		{kmsg.DescribeConfigs, "topic and broker", 1, latest, `{"IncludeSynonyms":true,"Resources":[{"ResourceType":"TOPIC","ResourceName":"wire-compact","ConfigNames":["cleanup.policy","retention.ms","max.message.bytes","segment.bytes"]},{"ResourceType":"BROKER","ResourceName":"1","ConfigNames":["num.partitions","node.id"]},{"ResourceType":"TOPIC","ResourceName":"wire-unknown"},{"ResourceType":"BROKER","ResourceName":"99"},{"ResourceType":"TOPIC","ResourceName":"bad name"}]}`},
		{kmsg.AlterConfigs, "many ways", 0, latest, `{"ValidateOnly":true,"Resources":[{"ResourceType":"TOPIC","ResourceName":"wire-topic","Configs":[{"Name":"retention.ms","Value":"1000"}]},{"ResourceType":"TOPIC","ResourceName":"wire-compact","Configs":[{"Name":"no.such.key","Value":"1"}]},{"ResourceType":"TOPIC","ResourceName":"wire-unknown","Configs":[]}]}`},
		{kmsg.IncrementalAlterConfigs, "many ways", 0, latest, `{"ValidateOnly":true,"Resources":[{"ResourceType":"TOPIC","ResourceName":"wire-topic","Configs":[{"Name":"retention.ms","Op":"SET","Value":"1000"}]},{"ResourceType":"TOPIC","ResourceName":"wire-compact","Configs":[{"Name":"retention.ms","Op":"SET","Value":"soon"}]},{"ResourceType":"TOPIC","ResourceName":"wire-produce","Configs":[{"Name":"retention.ms","Op":"APPEND","Value":"1"}]},{"ResourceType":"TOPIC","ResourceName":"wire-unknown","Configs":[{"Name":"retention.ms","Op":"DELETE"}]}]}`},
		{kmsg.IncrementalAlterConfigs, "key named twice", 0, latest, `{"ValidateOnly":true,"Resources":[{"ResourceType":"TOPIC","ResourceName":"wire-topic","Configs":[{"Name":"retention.ms","Op":"SET","Value":"1000"},{"Name":"retention.ms","Op":"SET","Value":"2000"}]}]}`},
		{kmsg.AlterReplicaLogDirs, "unknown", 1, latest, `{"Dirs":[{"Dir":"/no/such/dir","Topics":[{"Topic":"wire-topic","Partitions":[0]}]}]}`},
		{kmsg.DescribeLogDirs, "one topic", 1, latest, `{"Topics":[{"Topic":"wire-topic","Partitions":[0,1]}]}`},
		{kmsg.CreatePartitions, "many ways", 0, latest, `{"TimeoutMillis":5000,"ValidateOnly":true,"Topics":[{"Topic":"wire-topic","Count":4},{"Topic":"wire-compact","Count":1},{"Topic":"wire-produce","Count":0},{"Topic":"wire-unknown","Count":3}]}`},
		{kmsg.DeleteGroups, "unknown", 0, latest, `{"Groups":["wire-never-group"]}`},
		{kmsg.ElectLeaders, "preferred, in place", 0, latest, `{"TimeoutMillis":5000,"Topics":[{"Topic":"wire-topic","Partitions":[0]},{"Topic":"wire-unknown","Partitions":[0]}]}`},
		{kmsg.AlterPartitionAssignments, "unknown", 0, latest, `{"TimeoutMillis":5000,"AllowReplicationFactorChange":true,"Topics":[{"Topic":"wire-unknown","Partitions":[{"Partition":0,"Replicas":[1]}]}]}`},
		{kmsg.ListPartitionReassignments, "all", 0, latest, `{"TimeoutMillis":5000,"Topics":null}`},
		{kmsg.OffsetDelete, "unknown group", 0, latest, `{"Group":"wire-never-group","Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0}]}]}`},
		{kmsg.DescribeClientQuotas, "none", 0, latest, `{"Components":[{"EntityType":"client-id","MatchType":"EXACT","Match":"nobody"}],"Strict":true}`},
		{kmsg.DescribeUserSCRAMCredentials, "unknown", 0, latest, `{"Users":[{"Name":"nobody"}]}`},
		{kmsg.DescribeQuorum, "metadata and another", 0, latest, `{"Topics":[{"Topic":"__cluster_metadata","Partitions":[{"Partition":0}]}]}`},
		{kmsg.UpdateFeatures, "unknown feature", 0, latest, `{"TimeoutMillis":5000,"ValidateOnly":true,"FeatureUpdates":[{"Feature":"no.such.feature","MaxVersionLevel":1,"UpgradeType":1}]}`},
		{kmsg.DescribeCluster, "brokers", 0, latest, `{"EndpointType":1}`},
		{kmsg.DescribeProducers, "a topic and an unknown", 0, latest, `{"Topics":[{"Topic":"wire-topic","Partitions":[1]},{"Topic":"wire-unknown","Partitions":[0]}]}`},
		{kmsg.UnregisterBroker, "unknown", 0, latest, `{"BrokerID":999}`},
		{kmsg.DescribeTransactions, "unknown", 0, latest, `{"TransactionalIDs":["wire-txn"]}`},
		{kmsg.ListTransactions, "none", 0, latest, `{"ProducerIDFilters":[999999],"DurationFilterMillis":-1}`},
		{kmsg.ConsumerGroupHeartbeat, "unknown member", 0, latest, `{"Group":"wire-never-group","MemberID":"nobody","MemberEpoch":5,"RebalanceTimeoutMillis":-1}`},
		{kmsg.ConsumerGroupDescribe, "unknown", 0, latest, `{"Groups":["wire-never-group","wire-group"]}`},
		{kmsg.DescribeTopicPartitions, "known and unknown", 0, latest, `{"Topics":[{"Topic":"wire-topic"},{"Topic":"wire-unknown"}],"ResponsePartitionLimit":100}`},
		{kmsg.DescribeTopicPartitions, "cut", 0, latest, `{"Topics":[{"Topic":"wire-compact"},{"Topic":"wire-topic"}],"ResponsePartitionLimit":2}`},
	}
}
