package broker

import (
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What a client may not do is refused in the words of its API, and the same whether the thing exists or not.
func TestRefusals(t *testing.T) {
	r := newRig(t)
	id := r.create("secret", 1)
	r.create(offsetsTopic, 1)
	c := r.dial()
	good := batchOf(record.BuilderOptions{}, "x")
	byID := fetchFrom("", 0, 0)
	byID.TopicID = id
	name := func(s string) *string { return &s }

	metadata := kmsg.NewPtrMetadataRequest()
	metadata.AllowAutoTopicCreation = true
	listOffsets := kmsg.NewPtrListOffsetsRequest()
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = "g", -1
	epochs := kmsg.NewPtrOffsetForLeaderEpochRequest()
	remove := kmsg.NewPtrDeleteRecordsRequest()
	producers := kmsg.NewPtrDescribeProducersRequest()
	partitions := kmsg.NewPtrCreatePartitionsRequest()
	drop := kmsg.NewPtrDeleteTopicsRequest()
	pages := kmsg.NewPtrDescribeTopicPartitionsRequest()
	configs := kmsg.NewPtrDescribeConfigsRequest()
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alterOld := kmsg.NewPtrAlterConfigsRequest()
	forget := kmsg.NewPtrOffsetDeleteRequest()
	forget.Group = "g"
	offsets := kmsg.NewPtrOffsetFetchRequest()
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = "g"
	for _, topic := range []string{"secret", "nowhere"} {
		metadata.Topics = append(metadata.Topics, kmsg.MetadataRequestTopic{Topic: name(topic)})
		listOffsets.Topics = append(listOffsets.Topics, kmsg.ListOffsetsRequestTopic{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: -1}}})
		commit.Topics = append(commit.Topics, kmsg.OffsetCommitRequestTopic{Topic: topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}})
		epochs.Topics = append(epochs.Topics, kmsg.OffsetForLeaderEpochRequestTopic{Topic: topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{}}})
		remove.Topics = append(remove.Topics, kmsg.DeleteRecordsRequestTopic{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{}}})
		producers.Topics = append(producers.Topics, kmsg.DescribeProducersRequestTopic{Topic: topic, Partitions: []int32{0}})
		partitions.Topics = append(partitions.Topics, kmsg.CreatePartitionsRequestTopic{Topic: topic, Count: 3})
		drop.TopicNames = append(drop.TopicNames, topic)
		pages.Topics = append(pages.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: topic})
		configs.Resources = append(configs.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: topic})
		alter.Resources = append(alter.Resources, kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: topic})
		alterOld.Resources = append(alterOld.Resources, kmsg.AlterConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: topic})
		forget.Topics = append(forget.Topics, kmsg.OffsetDeleteRequestTopic{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}})
		group.Topics = append(group.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: topic, Partitions: []int32{0}})
	}
	offsets.Groups = append(offsets.Groups, group)
	creation := kmsg.NewPtrCreateTopicsRequest()
	for _, topic := range []string{"secret", "new"} {
		creation.Topics = append(creation.Topics, kmsg.CreateTopicsRequestTopic{Topic: topic, NumPartitions: 1, ReplicationFactor: 1})
	}
	byIDs := kmsg.NewPtrDeleteTopicsRequest()
	byIDs.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: id}}
	metadataByID := kmsg.NewPtrMetadataRequest()
	metadataByID.Topics = []kmsg.MetadataRequestTopic{{TopicID: id}}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{"g", "h"}
	findTxn := kmsg.NewPtrFindCoordinatorRequest()
	findTxn.CoordinatorType, findTxn.CoordinatorKeys = 1, []string{"x"}
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group = "g"
	syncGroup := kmsg.NewPtrSyncGroupRequest()
	syncGroup.Group = "g"
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group = "g"
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = "g"
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{"g"}
	dropGroups := kmsg.NewPtrDeleteGroupsRequest()
	dropGroups.Groups = []string{"g"}
	brokerConfigs := kmsg.NewPtrDescribeConfigsRequest()
	brokerConfigs.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "1"}}
	groupConfigs := kmsg.NewPtrDescribeConfigsRequest()
	groupConfigs.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeGroupConfig, ResourceName: "g"}}
	transactional := produceRequest(-1, produceTo("secret", 0, batchOf(record.BuilderOptions{HasProducer: true, Transactional: true}, "x")))
	transactional.TransactionID = name("x")
	txnProducer := kmsg.NewPtrInitProducerIDRequest()
	txnProducer.TransactionalID = name("x")
	quorum := kmsg.NewPtrDescribeQuorumRequest()

	const both = "nowhere/0=TOPIC_AUTHORIZATION_FAILED secret/0=TOPIC_AUTHORIZATION_FAILED"
	const topics = "nowhere=TOPIC_AUTHORIZATION_FAILED secret=TOPIC_AUTHORIZATION_FAILED"
	for _, s := range []struct {
		deny    string
		version int16
		req     kmsg.Request
		want    string
	}{
		{"WRITE TOPIC *", 9, produceRequest(-1, produceTo("secret", 0, good), produceTo("nowhere", 0, nil)), both},
		{"WRITE TRANSACTIONAL_ID x", 9, transactional, "secret/0=TRANSACTIONAL_ID_AUTHORIZATION_FAILED"},
		{"READ TOPIC *", 11, fetchRequest(fetchFrom("secret", 0, 0), fetchFrom("nowhere", 0, 0)), "nowhere/0=TOPIC_AUTHORIZATION_FAILED hw -1 secret/0=TOPIC_AUTHORIZATION_FAILED hw -1"},
		{"READ TOPIC *", 13, fetchRequest(byID), "/0=TOPIC_AUTHORIZATION_FAILED hw -1"},
		{"DESCRIBE TOPIC *", 7, listOffsets, both},
		{"DESCRIBE TOPIC *", 9, metadata, "nowhere(0)=TOPIC_AUTHORIZATION_FAILED secret(0)=TOPIC_AUTHORIZATION_FAILED"},
		{"DESCRIBE TOPIC *", 12, metadataByID, "-(0)=TOPIC_AUTHORIZATION_FAILED"},
		{"READ TOPIC *", 8, commit, both},
		{"READ GROUP g", 8, commit, "nowhere/0=GROUP_AUTHORIZATION_FAILED secret/0=GROUP_AUTHORIZATION_FAILED"},
		{"DESCRIBE TOPIC *", 8, offsets, "g=ok " + both},
		{"DESCRIBE GROUP g", 8, offsets, "g=GROUP_AUTHORIZATION_FAILED"},
		{"DESCRIBE GROUP h", 4, find, "g=ok h=GROUP_AUTHORIZATION_FAILED"},
		{"DESCRIBE TRANSACTIONAL_ID x", 4, findTxn, "x=TRANSACTIONAL_ID_AUTHORIZATION_FAILED"},
		{"READ GROUP g", 5, join, "GROUP_AUTHORIZATION_FAILED"},
		{"READ GROUP g", 5, syncGroup, "GROUP_AUTHORIZATION_FAILED"},
		{"READ GROUP g", 4, beat, "GROUP_AUTHORIZATION_FAILED"},
		{"READ GROUP g", 5, leave, "GROUP_AUTHORIZATION_FAILED"},
		{"DESCRIBE GROUP g", 5, describe, "g=GROUP_AUTHORIZATION_FAILED"},
		{"DELETE GROUP g", 2, dropGroups, "g=GROUP_AUTHORIZATION_FAILED"},
		{"DELETE GROUP g", 0, forget, "GROUP_AUTHORIZATION_FAILED"},
		{"WRITE TRANSACTIONAL_ID x", 4, txnProducer, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"},
		{"DELETE TOPIC *", 2, remove, "nowhere/0=TOPIC_AUTHORIZATION_FAILED@-1 secret/0=TOPIC_AUTHORIZATION_FAILED@-1"},
		{"READ TOPIC *", 0, producers, both},
		{"ALTER TOPIC *", 3, partitions, topics},
		{"DELETE TOPIC *", 5, drop, topics},
		{"DELETE TOPIC *", 6, byIDs, "secret=TOPIC_AUTHORIZATION_FAILED"},
		{"DESCRIBE TOPIC *", 0, pages, "nowhere[]=TOPIC_AUTHORIZATION_FAILED secret[]=TOPIC_AUTHORIZATION_FAILED"},
		{"DESCRIBE_CONFIGS TOPIC *", 4, configs, topics},
		{"DESCRIBE_CONFIGS CLUSTER *", 4, brokerConfigs, "1=CLUSTER_AUTHORIZATION_FAILED"},
		{"DESCRIBE_CONFIGS GROUP *", 4, groupConfigs, "g=GROUP_AUTHORIZATION_FAILED"},
		{"ALTER_CONFIGS TOPIC *", 1, alter, topics},
		{"ALTER_CONFIGS TOPIC *", 2, alterOld, topics},
		{"DESCRIBE CLUSTER *", 4, kmsg.NewPtrDescribeLogDirsRequest(), "CLUSTER_AUTHORIZATION_FAILED 0"},
		{"DESCRIBE CLUSTER *", 2, quorum, "CLUSTER_AUTHORIZATION_FAILED 0"},
		{"DESCRIBE CLUSTER *", 0, kmsg.NewPtrListPartitionReassignmentsRequest(), "CLUSTER_AUTHORIZATION_FAILED"},
		{"DESCRIBE_CONFIGS CLUSTER *", 1, kmsg.NewPtrListConfigResourcesRequest(), "CLUSTER_AUTHORIZATION_FAILED"},
	} {
		r.rules.deny(s.deny)
		got := tell(c.call(s.version, s.req))
		for tries := 0; strings.Contains(got, "COORDINATOR_LOAD_IN_PROGRESS") && tries < 1000; tries++ {
			time.Sleep(time.Millisecond)
			got = tell(c.call(s.version, s.req))
		}
		if got != s.want {
			t.Errorf("%s without %s\n got %s\nwant %s", kmsg.NameForKey(s.req.Key()), s.deny, got, s.want)
		}
	}
	r.rules.deny("DESCRIBE TOPIC *", "CLUSTER_ACTION CLUSTER *")
	if got := tell(c.call(4, epochs)); got != both {
		t.Errorf("OffsetForLeaderEpoch: %s", got)
	}
	r.rules.deny("DESCRIBE TOPIC *") // a replica's right
	if got := tell(c.call(4, epochs)); got != "nowhere/0=UNKNOWN_TOPIC_OR_PARTITION secret/0=ok@0" {
		t.Errorf("OffsetForLeaderEpoch of a replica: %s", got)
	}
	r.rules.deny("CREATE CLUSTER *", "CREATE TOPIC *")
	if got := tell(c.call(7, creation)); got != "new=TOPIC_AUTHORIZATION_FAILED secret=TOPIC_AUTHORIZATION_FAILED" {
		t.Errorf("CreateTopics: %s", got)
	}
	r.rules.deny("IDEMPOTENT_WRITE CLUSTER *", "WRITE TOPIC *")
	if got := tell(c.call(4, kmsg.NewPtrInitProducerIDRequest())); got != "CLUSTER_AUTHORIZATION_FAILED" {
		t.Errorf("InitProducerId: %s", got)
	}
	r.rules.deny("DELETE TOPIC *", "DESCRIBE TOPIC *")
	if got := tell(c.call(6, byIDs)); got != "-=TOPIC_AUTHORIZATION_FAILED" {
		t.Errorf("DeleteTopics by id of a topic that may not be seen: %s", got)
	}
	if len(r.called) != 0 {
		t.Errorf("the controller was asked: %q", r.called)
	}
}

// Lists show what may be seen and say nothing of the rest.
func TestListsLeaveOutWhatMayNotBeSeen(t *testing.T) {
	r := newRig(t)
	r.create("open", 1)
	r.create("secret", 1)
	r.rules.deny("DESCRIBE TOPIC secret")
	c := r.dial()
	everything := kmsg.NewPtrMetadataRequest()
	everything.Topics = nil
	if got := tell(c.call(9, everything)); got != "open(1)=ok" {
		t.Fatal(got)
	}
	everything.Topics = []kmsg.MetadataRequestTopic{}
	if got := tell(c.call(0, everything)); got != "open(1)=ok" { // version 0 has no null
		t.Fatal(got)
	}
	pages := kmsg.NewPtrDescribeTopicPartitionsRequest()
	pages.ResponsePartitionLimit = 100
	if got := tell(c.call(0, pages)); got != "open[0]=ok" {
		t.Fatal(got)
	}
}
