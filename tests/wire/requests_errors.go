package wire

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchOf is the body of a Fetch of parts of the known topic, by name.
func fetchOf(isolation int, parts ...string) string {
	return fmt.Sprintf(`{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"IsolationLevel":%d,"SessionEpoch":-1,"ReplicaState":{"ID":-1,"Epoch":-1},"Topics":[{"Topic":"wire-topic","Partitions":[%s]}]}`,
		isolation, strings.Join(parts, ","))
}

// fetchPart is one partition of it.
func fetchPart(partition, offset, currentEpoch, lastFetchedEpoch int) string {
	return fmt.Sprintf(`{"Partition":%d,"FetchOffset":%d,"CurrentLeaderEpoch":%d,"LastFetchedEpoch":%d,"LogStartOffset":-1,"HighWatermark":9223372036854775807,"PartitionMaxBytes":1048576}`,
		partition, offset, currentEpoch, lastFetchedEpoch)
}

// errorProbes are the corners of the APIs, where servers differ most easily.
func errorProbes() []probe {
	all := dataErrorProbes()
	all = append(all, groupErrorProbes()...)
	return append(all, adminErrorProbes()...)
}

func dataErrorProbes() []probe {
	return []probe{
		{kmsg.Fetch, "read committed", 4, 12, fetchOf(1, fetchPart(0, 0, -1, -1), fetchPart(1, 0, -1, -1))},
		{kmsg.Fetch, "read committed, past the end", 4, 12, fetchOf(1, fetchPart(0, 99, -1, -1))},
		{kmsg.Fetch, "read committed, unknown partition", 4, 12, fetchOf(1, fetchPart(7, 0, -1, -1))},
		{kmsg.Fetch, "a log that leaves the leader's", 12, 12, fetchOf(0, fetchPart(0, 99, -1, 0))},
		{kmsg.Fetch, "a log that leaves the leader's, read committed", 12, 12, fetchOf(1, fetchPart(0, 99, -1, 0))},
		{kmsg.Fetch, "an epoch that the leader never had", 12, 12, fetchOf(0, fetchPart(0, 3, -1, 5))},
		{kmsg.Fetch, "one partition twice", 11, 12, fetchOf(0, fetchPart(0, 0, -1, -1), fetchPart(0, 3, -1, -1))},
		{kmsg.Fetch, "max bytes 0", 11, 12, strings.Replace(fetchOf(0, fetchPart(0, 0, -1, -1)), `"MaxBytes":1048576`, `"MaxBytes":0`, 1)},
		{kmsg.Fetch, "no partitions", 7, 12, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionEpoch":-1,"Topics":[]}`},
		{kmsg.Fetch, "session epoch of nobody", 7, 12, `{"ReplicaID":-1,"MaxWaitMillis":50,"MinBytes":1,"MaxBytes":1048576,"SessionID":0,"SessionEpoch":3,"Topics":[]}`},
		{kmsg.ListOffsets, "latest tiered", 9, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":-5}]}]}`},
		{kmsg.ListOffsets, "earliest pending upload", 11, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":-6}]}]}`},
		{kmsg.ListOffsets, "special times too old a version", 1, 10, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":-6},{"Partition":1,"CurrentLeaderEpoch":-1,"Timestamp":-9}]}]}`},
		{kmsg.ListOffsets, "an empty partition", 1, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":1,"CurrentLeaderEpoch":-1,"Timestamp":-1}]}]}`},
		{kmsg.ListOffsets, "max timestamp of an empty partition", 7, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":1,"CurrentLeaderEpoch":-1,"Timestamp":-3}]}]}`},
		{kmsg.ListOffsets, "newer leader epoch", 4, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":99,"Timestamp":-1}]}]}`},
		{kmsg.ListOffsets, "one partition twice", 1, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":-1},{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":-2}]}]}`},
		{kmsg.ListOffsets, "read committed by time", 2, latest, `{"ReplicaID":-1,"TimeoutMillis":1000,"IsolationLevel":1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":-1,"Timestamp":1004},{"Partition":1,"CurrentLeaderEpoch":-1,"Timestamp":1}]}]}`},
		{kmsg.OffsetForLeaderEpoch, "newer leader epoch, unknown partition, no epoch", 2, latest, `{"ReplicaID":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"CurrentLeaderEpoch":99,"LeaderEpoch":0},{"Partition":8,"CurrentLeaderEpoch":-1,"LeaderEpoch":0},{"Partition":1,"CurrentLeaderEpoch":-1,"LeaderEpoch":-1}]}]}`},
		{kmsg.DeleteRecords, "compacted, negative, unknown partition", 0, latest, `{"TimeoutMillis":5000,"Topics":[{"Topic":"wire-compact","Partitions":[{"Partition":0,"Offset":0}]},{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":-5},{"Partition":7,"Offset":0},{"Partition":1,"Offset":-1}]},{"Topic":"__consumer_offsets","Partitions":[{"Partition":0,"Offset":0}]}]}`},
		{kmsg.DescribeProducers, "unknown partition", 0, latest, `{"Topics":[{"Topic":"wire-topic","Partitions":[9]},{"Topic":"bad name","Partitions":[0]}]}`},
		{kmsg.Metadata, "one topic twice, and bad names", 4, latest, `{"Topics":[{"Topic":"wire-topic"},{"Topic":"wire-topic"},{"Topic":"$LONG"},{"Topic":"."}],"AllowAutoTopicCreation":false}`},
		{kmsg.Metadata, "all topics", 1, latest, `{"Topics":null}`},
		{kmsg.Metadata, "no topics by an empty list", 0, 0, `{"Topics":[]}`},
		{kmsg.Metadata, "name and id", 12, latest, `{"Topics":[{"Topic":"wire-topic","TopicID":$NOID},{"Topic":"wire-topic","TopicID":$ID}]}`},
		{kmsg.Metadata, "cluster operations", 8, 10, `{"Topics":[],"IncludeClusterAuthorizedOperations":true}`},
		{kmsg.DescribeTopicPartitions, "all", 0, latest, `{"ResponsePartitionLimit":2000}`},
		{kmsg.DescribeTopicPartitions, "from a cursor", 0, latest, `{"Topics":[{"Topic":"wire-compact"},{"Topic":"wire-topic"}],"ResponsePartitionLimit":100,"Cursor":{"Topic":"wire-topic","Partition":1}}`},
		{kmsg.DescribeTopicPartitions, "from a cursor past the partitions", 0, latest, `{"Topics":[{"Topic":"wire-compact"},{"Topic":"wire-topic"}],"ResponsePartitionLimit":100,"Cursor":{"Topic":"wire-topic","Partition":7}}`},
		{kmsg.DescribeTopicPartitions, "from a cursor at no topic", 0, latest, `{"Topics":[{"Topic":"wire-compact"},{"Topic":"wire-topic"}],"ResponsePartitionLimit":100,"Cursor":{"Topic":"wire-m","Partition":1}}`},
		{kmsg.DescribeTopicPartitions, "from a negative cursor", 0, latest, `{"Topics":[{"Topic":"wire-topic"}],"ResponsePartitionLimit":100,"Cursor":{"Topic":"wire-topic","Partition":-3}}`},
		{kmsg.DescribeTopicPartitions, "limit 0", 0, latest, `{"Topics":[{"Topic":"wire-compact"},{"Topic":"wire-topic"}],"ResponsePartitionLimit":0}`},
		{kmsg.DescribeTopicPartitions, "a bad name", 0, latest, `{"Topics":[{"Topic":"bad name"},{"Topic":"wire-compact"}],"ResponsePartitionLimit":100}`},
		{kmsg.DescribeTopicPartitions, "an empty name", 0, latest, `{"Topics":[{"Topic":""},{"Topic":"wire-compact"}],"ResponsePartitionLimit":100}`},
		{kmsg.DescribeTopicPartitions, "one topic twice", 0, latest, `{"Topics":[{"Topic":"wire-compact"},{"Topic":"wire-compact"}],"ResponsePartitionLimit":100}`},
		{kmsg.DescribeTopicPartitions, "all, from a cursor at no topic", 0, latest, `{"ResponsePartitionLimit":100,"Cursor":{"Topic":"wire-m","Partition":1}}`},
		{kmsg.DescribeTopicPartitions, "all, from a negative cursor", 0, latest, `{"ResponsePartitionLimit":100,"Cursor":{"Topic":"wire-m","Partition":-1}}`},
	}
}

func groupErrorProbes() []probe {
	return []probe{
		{kmsg.FindCoordinator, "no keys", 4, latest, `{"CoordinatorKeys":[]}`},
		{kmsg.FindCoordinator, "empty key", 0, 3, `{"CoordinatorKey":""}`},
		{kmsg.FindCoordinator, "empty key", 4, latest, `{"CoordinatorKeys":["","wire-group","wire-group"]}`},
		{kmsg.FindCoordinator, "bad type", 4, latest, `{"CoordinatorKeys":["wire-group"],"CoordinatorType":9}`},
		{kmsg.FindCoordinator, "a share partition that is none", 6, latest, `{"CoordinatorKeys":["wire-group"],"CoordinatorType":2}`},
		{kmsg.OffsetCommit, "empty group id", 2, 9, `{"Group":"","Generation":-1,"RetentionTimeMillis":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":3,"LeaderEpoch":-1,"Timestamp":-1}]}]}`},
		{kmsg.OffsetCommit, "negative offset, unknown partition", 2, 9, `{"Group":"wire-odd","Generation":-1,"RetentionTimeMillis":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":-3,"LeaderEpoch":-1,"Timestamp":-1},{"Partition":8,"Offset":3,"LeaderEpoch":-1,"Timestamp":-1}]}]}`},
		{kmsg.OffsetCommit, "generation without a member", 2, 9, `{"Group":"wire-odd","Generation":5,"RetentionTimeMillis":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":3,"LeaderEpoch":-1,"Timestamp":-1}]}]}`},
		{kmsg.OffsetCommit, "generation in an unknown group", 2, 9, `{"Group":"wire-never-group","Generation":5,"MemberID":"m","RetentionTimeMillis":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":3,"LeaderEpoch":-1,"Timestamp":-1}]}]}`},
		{kmsg.OffsetCommit, "instance without a member", 7, 9, `{"Group":"wire-odd","Generation":-1,"InstanceID":"i","RetentionTimeMillis":-1,"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0,"Offset":3,"LeaderEpoch":-1,"Timestamp":-1}]}]}`},
		{kmsg.OffsetCommit, "unknown topic id", 10, latest, `{"Group":"wire-odd","Generation":-1,"RetentionTimeMillis":-1,"Topics":[{"TopicID":$NOID,"Partitions":[{"Partition":0,"Offset":3,"LeaderEpoch":-1,"Timestamp":-1}]}]}`},
		{kmsg.OffsetFetch, "empty group id", 1, 7, `{"Group":"","Topics":[{"Topic":"wire-topic","Partitions":[0]}]}`},
		{kmsg.OffsetFetch, "unknown topic and partition", 1, 7, `{"Group":"wire-group","Topics":[{"Topic":"wire-unknown","Partitions":[0]},{"Topic":"wire-topic","Partitions":[8]}]}`},
		{kmsg.OffsetFetch, "no topics", 1, 7, `{"Group":"wire-group","Topics":[]}`},
		{kmsg.OffsetFetch, "empty group id", 8, 9, `{"Groups":[{"Group":"","MemberEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[0]}]}]}`},
		{kmsg.OffsetFetch, "with a member epoch", 9, 9, `{"Groups":[{"Group":"wire-group","MemberID":"nobody","MemberEpoch":4,"Topics":[{"Topic":"wire-topic","Partitions":[0]}]}]}`},
		{kmsg.OffsetFetch, "unknown topic id", 10, latest, `{"Groups":[{"Group":"wire-group","MemberEpoch":-1,"Topics":[{"TopicID":$NOID,"Partitions":[0]},{"TopicID":$ID,"Partitions":[0,8]}]}]}`},
		{kmsg.OffsetFetch, "one group twice", 8, 9, `{"Groups":[{"Group":"wire-group","MemberEpoch":-1,"Topics":[{"Topic":"wire-topic","Partitions":[0]}]},{"Group":"wire-group","MemberEpoch":-1,"Topics":null}]}`},
		{kmsg.JoinGroup, "static member with an unknown id", 5, latest, `{"Group":"wire-no-group","SessionTimeoutMillis":10000,"RebalanceTimeoutMillis":10000,"MemberID":"nobody","InstanceID":"i","ProtocolType":"consumer","Protocols":[{"Name":"range","Metadata":""}]}`},
		{kmsg.JoinGroup, "too long a session timeout", 0, latest, `{"Group":"wire-no-group","SessionTimeoutMillis":99000000,"RebalanceTimeoutMillis":10000,"ProtocolType":"consumer","Protocols":[{"Name":"range","Metadata":""}]}`},
		{kmsg.JoinGroup, "empty protocol type", 0, latest, `{"Group":"wire-no-group","SessionTimeoutMillis":10000,"RebalanceTimeoutMillis":10000,"ProtocolType":"","Protocols":[{"Name":"range","Metadata":""}]}`},
		{kmsg.Heartbeat, "empty group id", 0, latest, `{"Group":"","Generation":1,"MemberID":"nobody"}`},
		{kmsg.Heartbeat, "of a group without members", 0, latest, `{"Group":"wire-group","Generation":1,"MemberID":"nobody"}`},
		{kmsg.SyncGroup, "empty group id", 0, latest, `{"Group":"","Generation":1,"MemberID":"nobody","ProtocolType":"consumer","Protocol":"range"}`},
		{kmsg.SyncGroup, "of a group without members", 0, latest, `{"Group":"wire-group","Generation":1,"MemberID":"nobody","ProtocolType":"consumer","Protocol":"range"}`},
		{kmsg.SyncGroup, "without a protocol", 5, latest, `{"Group":"wire-group","Generation":1,"MemberID":"nobody"}`},
		{kmsg.LeaveGroup, "empty group id", 0, 2, `{"Group":"","MemberID":"nobody"}`},
		{kmsg.LeaveGroup, "empty group id", 3, latest, `{"Group":"","Members":[{"MemberID":"nobody"}]}`},
		{kmsg.LeaveGroup, "no members", 3, latest, `{"Group":"wire-group","Members":[]}`},
		{kmsg.DescribeGroups, "empty id and one twice", 0, latest, `{"Groups":["","wire-group","wire-group"]}`},
		{kmsg.DescribeGroups, "with authorized operations", 3, latest, `{"Groups":["wire-group","wire-never-group"],"IncludeAuthorizedOperations":true}`},
		{kmsg.DescribeGroups, "none", 0, latest, `{"Groups":[]}`},
		{kmsg.DeleteGroups, "empty id and one twice", 0, latest, `{"Groups":["","wire-never-group","wire-never-group"]}`},
		{kmsg.ListGroups, "of an unknown type", 5, latest, `{"TypesFilter":["nosuchtype"]}`},
		{kmsg.ListGroups, "of one type and state", 5, latest, `{"TypesFilter":["CONSUMER"],"StatesFilter":["stable"]}`},
		{kmsg.OffsetDelete, "empty group id", 0, latest, `{"Group":"","Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0}]}]}`},
		{kmsg.OffsetDelete, "no topics", 0, latest, `{"Group":"wire-group","Topics":[]}`},
		{kmsg.OffsetDelete, "unknown topic", 0, latest, `{"Group":"wire-group","Topics":[{"Topic":"wire-unknown","Partitions":[{"Partition":0}]},{"Topic":"wire-topic","Partitions":[{"Partition":8}]}]}`},
	}
}

func adminErrorProbes() []probe {
	return []probe{
		{kmsg.CreateTopics, "internal and contradictory", 2, latest, `{"TimeoutMillis":5000,"ValidateOnly":true,"Topics":[
			{"Topic":"__cluster_metadata","NumPartitions":1,"ReplicationFactor":1},{"Topic":"__consumer_offsets","NumPartitions":1,"ReplicationFactor":1},{"Topic":"__transaction_state","NumPartitions":1,"ReplicationFactor":1},
			{"Topic":"wire_topic","NumPartitions":1,"ReplicationFactor":1},
			{"Topic":"wire-negative","NumPartitions":-5,"ReplicationFactor":1},{"Topic":"wire-rf-negative","NumPartitions":1,"ReplicationFactor":-5},
			{"Topic":"wire-both","NumPartitions":1,"ReplicationFactor":-1,"ReplicaAssignment":[{"Partition":0,"Replicas":[1]}]},
			{"Topic":"wire-none","NumPartitions":-1,"ReplicationFactor":-1,"ReplicaAssignment":[{"Partition":0,"Replicas":[]}]},
			{"Topic":"wire-uneven","NumPartitions":-1,"ReplicationFactor":-1,"ReplicaAssignment":[{"Partition":0,"Replicas":[1]},{"Partition":0,"Replicas":[1]}]},
			{"Topic":"wire-key-twice","NumPartitions":1,"ReplicationFactor":1,"Configs":[{"Name":"retention.ms","Value":"1"},{"Name":"retention.ms","Value":"2"}]},
			{"Topic":"wire-policy","NumPartitions":1,"ReplicationFactor":1,"Configs":[{"Name":"cleanup.policy","Value":"compact,delete"}]},
			{"Topic":"wire-policy-bad","NumPartitions":1,"ReplicationFactor":1,"Configs":[{"Name":"cleanup.policy","Value":"shred"}]},
			{"Topic":"wire-isr","NumPartitions":1,"ReplicationFactor":1,"Configs":[{"Name":"min.insync.replicas","Value":"0"}]},
			{"Topic":"wire-tiered","NumPartitions":1,"ReplicationFactor":1,"Configs":[{"Name":"remote.storage.enable","Value":"true"}]}]}`},
		{kmsg.CreateTopics, "no topics", 2, latest, `{"TimeoutMillis":5000,"Topics":[]}`},
		{kmsg.DeleteTopics, "bad names and one twice", 1, 5, `{"TimeoutMillis":5000,"TopicNames":["bad name","","wire-unknown","wire-unknown"]}`},
		{kmsg.DeleteTopics, "name and id, neither, one twice", 6, latest, `{"TimeoutMillis":5000,"Topics":[{"Topic":"wire-unknown","TopicID":$NOID},{},{"TopicID":$NOID},{"TopicID":$NOID},{"Topic":"wire-never"},{"Topic":"wire-never"}]}`},
		{kmsg.DeleteTopics, "one topic by name and by id", 6, latest, `{"TimeoutMillis":5000,"Topics":[{"Topic":"wire-topic"},{"TopicID":$ID}]}`},
		{kmsg.CreatePartitions, "assignments and repeated names", 0, latest, `{"TimeoutMillis":5000,"ValidateOnly":true,"Topics":[{"Topic":"wire-topic","Count":2},{"Topic":"wire-compact","Count":3,"Assignment":[{"Replicas":[1]}]},{"Topic":"wire-produce","Count":2,"Assignment":[{"Replicas":[77]}]},{"Topic":"wire-txn-topic","Count":2},{"Topic":"wire-txn-topic","Count":3},{"Topic":"bad name","Count":3}]}`},
		{kmsg.CreatePartitions, "more assignments", 0, latest, `{"TimeoutMillis":5000,"ValidateOnly":true,"Topics":[{"Topic":"wire-topic","Count":3,"Assignment":[{"Replicas":[1]}]},{"Topic":"wire-compact","Count":2,"Assignment":[{"Replicas":[]}]},{"Topic":"wire-produce","Count":2,"Assignment":[{"Replicas":[1,1]}]},{"Topic":"wire-txn-topic","Count":-1}]}`},
		{kmsg.DescribeConfigs, "a whole topic", 1, latest, `{"IncludeSynonyms":true,"Resources":[{"ResourceType":"TOPIC","ResourceName":"wire-compact","ConfigNames":null}]}`},
		{kmsg.DescribeConfigs, "no names, unknown names, twice", 1, latest, `{"Resources":[{"ResourceType":"TOPIC","ResourceName":"wire-compact","ConfigNames":[]},{"ResourceType":"TOPIC","ResourceName":"wire-topic","ConfigNames":["no.such.key","retention.ms","retention.ms"]},{"ResourceType":"TOPIC","ResourceName":"wire-produce","ConfigNames":["retention.bytes"]},{"ResourceType":"TOPIC","ResourceName":"wire-produce","ConfigNames":["retention.bytes"]}]}`},
		{kmsg.DescribeConfigs, "a whole group and a whole client metrics subscription", 1, latest, `{"IncludeSynonyms":true,"Resources":[{"ResourceType":"GROUP_CONFIG","ResourceName":"wire-group","ConfigNames":null},{"ResourceType":"CLIENT_METRICS","ResourceName":"wire-metrics","ConfigNames":null}]}`},
		{kmsg.DescribeConfigs, "odd names", 1, latest, `{"Resources":[{"ResourceType":"BROKER","ResourceName":"one","ConfigNames":["node.id"]},{"ResourceType":"BROKER","ResourceName":"","ConfigNames":["node.id","num.partitions"]},{"ResourceType":"TOPIC","ResourceName":""},{"ResourceType":"GROUP_CONFIG","ResourceName":""},{"ResourceType":"CLIENT_METRICS","ResourceName":""},{"ResourceType":"BROKER_LOGGER","ResourceName":"99"}]}`},
		{kmsg.AlterConfigs, "more ways", 0, latest, `{"ValidateOnly":true,"Resources":[{"ResourceType":"TOPIC","ResourceName":"wire-topic","Configs":[{"Name":"retention.ms","Value":null}]},{"ResourceType":"TOPIC","ResourceName":"bad name","Configs":[{"Name":"retention.ms","Value":"1"}]},{"ResourceType":"BROKER","ResourceName":"1","Configs":[{"Name":"log.retention.ms","Value":"soon"}]},{"ResourceType":"BROKER","ResourceName":"99","Configs":[{"Name":"log.retention.ms","Value":"5"}]},{"ResourceType":"GROUP_CONFIG","ResourceName":"","Configs":[]}]}`},
		{kmsg.AlterConfigs, "one resource twice", 0, latest, `{"ValidateOnly":true,"Resources":[{"ResourceType":"TOPIC","ResourceName":"wire-topic","Configs":[{"Name":"retention.ms","Value":"5"}]},{"ResourceType":"TOPIC","ResourceName":"wire-topic","Configs":[{"Name":"retention.ms","Value":"6"}]}]}`},
		{kmsg.IncrementalAlterConfigs, "more ways", 0, latest, `{"ValidateOnly":true,"Resources":[
			{"ResourceType":"TOPIC","ResourceName":"wire-topic","Configs":[{"Name":"cleanup.policy","Op":"APPEND","Value":"compact"}]},
			{"ResourceType":"TOPIC","ResourceName":"wire-compact","Configs":[{"Name":"cleanup.policy","Op":"SUBTRACT","Value":"delete"},{"Name":"retention.ms","Op":"SET","Value":null}]},
			{"ResourceType":"TOPIC","ResourceName":"wire-produce","Configs":[{"Name":"no.such.key","Op":"SET","Value":"1"}]},
			{"ResourceType":"TOPIC","ResourceName":"wire-txn-topic","Configs":[{"Name":"no.such.key","Op":"DELETE"}]},
			{"ResourceType":"TOPIC","ResourceName":"bad name","Configs":[{"Name":"retention.ms","Op":"SET","Value":"1"}]},
			{"ResourceType":"BROKER","ResourceName":"1","Configs":[{"Name":"node.id","Op":"SET","Value":"7"}]},
			{"ResourceType":"BROKER","ResourceName":"","Configs":[{"Name":"log.cleaner.threads","Op":"SET","Value":"2"}]},
			{"ResourceType":"BROKER","ResourceName":"99","Configs":[{"Name":"log.cleaner.threads","Op":"SET","Value":"2"}]},
			{"ResourceType":"BROKER","ResourceName":"one","Configs":[{"Name":"log.cleaner.threads","Op":"SET","Value":"2"}]},
			{"ResourceType":"GROUP_CONFIG","ResourceName":"wire-group","Configs":[{"Name":"consumer.session.timeout.ms","Op":"SET","Value":"1"}]},
			{"ResourceType":"CLIENT_METRICS","ResourceName":"wire-metrics","Configs":[{"Name":"interval.ms","Op":"SET","Value":"5"}]}]}`},
		{kmsg.IncrementalAlterConfigs, "one resource twice", 0, latest, `{"ValidateOnly":true,"Resources":[{"ResourceType":"TOPIC","ResourceName":"wire-topic","Configs":[{"Name":"retention.ms","Op":"SET","Value":"5"}]},{"ResourceType":"TOPIC","ResourceName":"wire-topic","Configs":[{"Name":"segment.ms","Op":"SET","Value":"6"}]},{"ResourceType":"TOPIC","ResourceName":"wire-compact","Configs":[]}]}`},
		{kmsg.DescribeLogDirs, "all and unknown", 1, latest, `{"Topics":[{"Topic":"wire-unknown","Partitions":[0]},{"Topic":"wire-topic","Partitions":[8]}]}`},
		{kmsg.DescribeLogDirs, "none", 1, latest, `{"Topics":[]}`},
		{kmsg.ListPartitionReassignments, "unknown", 0, latest, `{"TimeoutMillis":5000,"Topics":[{"Topic":"wire-unknown","Partitions":[0]},{"Topic":"wire-topic","Partitions":[0,9]}]}`},
		{kmsg.DescribeQuorum, "another topic", 0, latest, `{"Topics":[{"Topic":"wire-topic","Partitions":[{"Partition":0}]}]}`},
		{kmsg.DescribeQuorum, "another partition", 0, latest, `{"Topics":[{"Topic":"__cluster_metadata","Partitions":[{"Partition":1}]}]}`},
		{kmsg.DescribeQuorum, "nothing", 0, latest, `{"Topics":[]}`},
		{kmsg.DescribeCluster, "controllers, and no such thing", 1, latest, `{"EndpointType":2}`},
		{kmsg.DescribeCluster, "endpoints of no kind", 1, latest, `{"EndpointType":7}`},
		{kmsg.DescribeCluster, "with authorized operations", 0, latest, `{"EndpointType":1,"IncludeClusterAuthorizedOperations":true}`},
		{kmsg.DescribeCluster, "with fenced brokers", 2, latest, `{"EndpointType":1,"IncludeFencedBrokers":true}`},
		{kmsg.IncrementalAlterConfigs, "a topic without a name", 0, latest, `{"ValidateOnly":true,"Resources":[{"ResourceType":"TOPIC","ResourceName":"","Configs":[{"Name":"retention.ms","Op":"SET","Value":"1"}]}]}`},
		{kmsg.ListConfigResources, "empty request", 0, latest, ""},
		{kmsg.ListConfigResources, "client metrics", 0, latest, `{"ResourceTypes":[16]}`},
		{kmsg.ListConfigResources, "topics and brokers", 1, latest, `{"ResourceTypes":[2,4]}`},
		{kmsg.ListConfigResources, "no such type", 1, latest, `{"ResourceTypes":[99]}`},
	}
}
