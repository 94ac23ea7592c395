package broker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// scene is one request and what must come of it, in words. The scenes of this file need two topics,
// "one" and "two", of two partitions each, empty but for three records in one-0, and nothing denied; so they can be
// played to Apache Kafka as well.
type scene struct {
	name    string
	version int16
	req     kmsg.Request
	want    string
}

func play(t *testing.T, c *caller, scenes []scene) {
	t.Helper()
	for _, s := range scenes {
		if got := tell(c.call(s.version, s.req)); got != s.want {
			t.Errorf("%s\n got %s\nwant %s", s.name, got, s.want)
		}
	}
}

func TestScenes(t *testing.T) {
	r := newRig(t)
	one := r.create("one", 2)
	r.create("two", 2)
	r.create(offsetsTopic, 1)
	c := r.dial()
	setScene(t, c)
	play(t, c, scenes(one))
}

func setScene(t *testing.T, c *caller) {
	t.Helper()
	req := produceRequest(-1, produceTo("one", 0, batchOf(record.BuilderOptions{}, "a", "b", "c")))
	if got := tell(c.call(9, req)); got != "one/0=ok@0" {
		t.Fatal(got)
	}
}

func scenes(one [16]byte) []scene {
	all := produceScenes(one)
	for _, more := range [][]scene{listOffsetsScenes(), fetchScenes(one), metadataScenes(one), describeScenes(), groupScenes(), alterScenes()} {
		all = append(all, more...)
	}
	return all
}

func produceScenes(one [16]byte) []scene {
	good := func() []byte { return batchOf(record.BuilderOptions{}, "x") }
	oldMagic := good()
	oldMagic[magicAt] = 1
	corrupt := good()
	corrupt[len(corrupt)-1]++
	transactional := batchOf(record.BuilderOptions{HasProducer: true, Transactional: true}, "x")
	at := func(b []byte) *kmsg.ProduceRequest { return produceRequest(1, produceTo("two", 0, b)) }
	byID := kmsg.NewProduceRequestTopic()
	byID.TopicID = one
	byID.Partitions = produceTo("", 1, good()).Partitions
	nobody := byID
	nobody.TopicID = [16]byte{99, 1}
	return []scene{
		{"no batch", 9, at(nil), "two/0=INVALID_RECORD"},
		{"two batches", 9, at(append(good(), good()...)), "two/0=INVALID_RECORD"},
		{"an old format", 9, at(oldMagic), "two/0=INVALID_RECORD"},
		{"a batch that is cut short", 9, at(good()[:65]), "two/0=INVALID_RECORD"},
		{"a wrong checksum", 9, at(corrupt), "two/0=CORRUPT_MESSAGE"},
		{"zstd from a client that does not know it", 6, at(batchOf(record.BuilderOptions{Codec: record.Zstd}, "x")), "two/0=UNSUPPORTED_COMPRESSION_TYPE"},
		{"zstd", 7, produceRequest(1, produceTo("two", 1, batchOf(record.BuilderOptions{Codec: record.Zstd}, "x"))), "two/1=ok@0"},
		{"transactional records without a transactional id", 9, at(transactional), "two/0=TRANSACTIONAL_ID_AUTHORIZATION_FAILED"},
		{"no such topic, whatever the records", 9, produceRequest(1, produceTo("nowhere", 0, nil)), "nowhere/0=UNKNOWN_TOPIC_OR_PARTITION"},
		{"no such partition", 9, produceRequest(1, produceTo("two", 7, good()), produceTo("one", -1, good())), "one/-1=UNKNOWN_TOPIC_OR_PARTITION two/7=UNKNOWN_TOPIC_OR_PARTITION"},
		{"strange acks", 9, produceRequest(5, produceTo("two", 0, good()), produceTo("nowhere", 0, good())), "nowhere/0=UNKNOWN_TOPIC_OR_PARTITION two/0=INVALID_REQUIRED_ACKS"},
		{"an internal topic", 9, produceRequest(1, produceTo(offsetsTopic, 0, good())), "__consumer_offsets/0=INVALID_TOPIC_EXCEPTION"},
		{"by id", 13, produceRequest(-1, byID), "/1=ok@0"},
		{"by an id that nobody has", 13, produceRequest(-1, nobody), "/1=UNKNOWN_TOPIC_ID"},
	}
}

func listOffsetsScenes() []scene {
	ask := func(topic string, timestamps ...int64) *kmsg.ListOffsetsRequest {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for _, ts := range timestamps {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Timestamp, p.CurrentLeaderEpoch = ts, -1
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
		return req
	}
	fenced := ask("one", -1)
	fenced.Topics[0].Partitions[0].CurrentLeaderEpoch = 9
	return []scene{
		{"latest", 7, ask("one", -1), "one/0=ok@3"},
		{"earliest", 1, ask("one", -2), "one/0=ok@0"},
		{"the largest timestamp", 7, ask("two", -3), "two/0=ok@-1"},
		{"the largest timestamp, of a version before it", 6, ask("one", -3), "one/0=UNSUPPORTED_VERSION"},
		{"earliest local", 8, ask("one", -4), "one/0=ok@0"},
		{"latest tiered", 9, ask("one", -5), "one/0=ok@-1"},
		{"earliest pending upload", 11, ask("one", -6), "one/0=ok@-1"},
		{"no such special timestamp", 11, ask("one", -7), "one/0=UNSUPPORTED_VERSION"},
		{"a time to come", 7, ask("one", 1<<52), "one/0=ok@-1"},
		{"a partition twice", 7, ask("one", -1, -2), "one/0=INVALID_REQUEST"},
		{"a newer epoch", 7, fenced, "one/0=UNKNOWN_LEADER_EPOCH"},
		{"no such topic", 7, ask("nowhere", -1), "nowhere/0=UNKNOWN_TOPIC_OR_PARTITION"},
	}
}

func fetchScenes(one [16]byte) []scene {
	unknownSession := fetchRequest(fetchFrom("one", 0, 0))
	unknownSession.SessionID, unknownSession.SessionEpoch = 77, 3
	epoch := fetchFrom("one", 0, 0)
	epoch.Partitions[0].CurrentLeaderEpoch = 5
	twice := fetchFrom("one", 0, 0)
	twice.Partitions = append(twice.Partitions, fetchFrom("one", 0, 1).Partitions...)
	byID, nobody := fetchFrom("", 0, 0), fetchFrom("", 0, 0)
	byID.TopicID, nobody.TopicID = one, [16]byte{99, 1}
	return []scene{
		{"from the start", 4, fetchRequest(fetchFrom("one", 0, 0)), "one/0=ok records"},
		{"at the end", 11, fetchRequest(fetchFrom("one", 0, 3)), "one/0=ok"},
		{"beyond the end", 11, fetchRequest(fetchFrom("one", 0, 4)), "one/0=OFFSET_OUT_OF_RANGE hw -1"},
		{"no such topic", 11, fetchRequest(fetchFrom("nowhere", 0, 0)), "nowhere/0=UNKNOWN_TOPIC_OR_PARTITION hw -1"},
		{"no such partition", 11, fetchRequest(fetchFrom("one", 9, 0)), "one/9=UNKNOWN_TOPIC_OR_PARTITION hw -1"},
		{"a newer epoch", 11, fetchRequest(epoch), "one/0=UNKNOWN_LEADER_EPOCH hw -1"},
		{"a partition twice", 11, fetchRequest(twice), "one/0=ok records"},
		{"by id", 13, fetchRequest(byID), "/0=ok records"},
		{"by an id that nobody has", 13, fetchRequest(nobody), "/0=UNKNOWN_TOPIC_ID hw -1"},
		{"a session that there is not", 11, unknownSession, "FETCH_SESSION_ID_NOT_FOUND"},
	}
}

func metadataScenes(one [16]byte) []scene {
	ask := func(topics ...string) *kmsg.MetadataRequest {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{}
		for _, name := range topics {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = &name
			req.Topics = append(req.Topics, t)
		}
		return req
	}
	id := func(ids ...[16]byte) *kmsg.MetadataRequest {
		req := ask()
		for _, id := range ids {
			t := kmsg.NewMetadataRequestTopic()
			t.TopicID = id
			req.Topics = append(req.Topics, t)
		}
		return req
	}
	mixed := id(one)
	mixed.Topics = append(mixed.Topics, ask("two").Topics...)
	return []scene{
		{"by name", 9, ask("one"), "one(2)=ok"},
		{"a name twice", 9, ask("two", "two"), "two(2)=ok"},
		{"no topics", 9, ask(), ""},
		{"no such topic", 9, ask("nowhere"), "nowhere(0)=UNKNOWN_TOPIC_OR_PARTITION"},
		{"a name that cannot be", 9, ask("no/where"), "no/where(0)=INVALID_TOPIC_EXCEPTION"},
		{"by id", 12, id(one), "one(2)=ok"},
		{"by an id that nobody has", 12, id([16]byte{99, 1}), "-(0)=UNKNOWN_TOPIC_ID"},
		{"by id before it is allowed", 10, id(one), "(0)=INVALID_REQUEST"},
		{"ids beside names", 12, mixed, "one(2)=ok"},
	}
}

func describeScenes() []scene {
	page := func(limit int32, cursor string, partition int32, topics ...string) *kmsg.DescribeTopicPartitionsRequest {
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		req.ResponsePartitionLimit = limit
		for _, name := range topics {
			t := kmsg.NewDescribeTopicPartitionsRequestTopic()
			t.Topic = name
			req.Topics = append(req.Topics, t)
		}
		if cursor != "" {
			c := kmsg.NewDescribeTopicPartitionsRequestCursor()
			c.Topic, c.Partition = cursor, partition
			req.Cursor = &c
		}
		return req
	}
	configs := func(t kmsg.ConfigResourceType, name string, keys []string) *kmsg.DescribeConfigsRequest {
		req := kmsg.NewPtrDescribeConfigsRequest()
		res := kmsg.NewDescribeConfigsRequestResource()
		res.ResourceType, res.ResourceName, res.ConfigNames = t, name, keys
		req.Resources = append(req.Resources, res)
		return req
	}
	cluster := func(endpoints int8) *kmsg.DescribeClusterRequest {
		req := kmsg.NewPtrDescribeClusterRequest()
		req.EndpointType = endpoints
		return req
	}
	return []scene{
		{"a page", 0, page(3, "", 0, "two", "one"), "one[0 1]=ok two[0]=ok next two/1"},
		{"the next page", 0, page(3, "two", 1, "two", "one"), "two[1]=ok"},
		{"a page that ends with a topic", 0, page(2, "", 0, "two", "one"), "one[0 1]=ok next two/0"},
		{"a page before what does not exist", 0, page(2, "", 0, "one", "zero"), "one[0 1]=ok next zero/0"},
		{"what does not exist", 0, page(10, "", 0, "zero", "ze/ro"), "ze/ro[]=INVALID_TOPIC_EXCEPTION zero[]=UNKNOWN_TOPIC_OR_PARTITION"},
		{"a cursor past the last partition", 0, page(10, "one", 9, "two", "one"), "one[]=ok two[0 1]=ok"},
		{"a cursor that cannot be", 0, page(10, "one", -1, "one"), "one[]=INVALID_REQUEST"},
		{"no limit is one", 0, page(0, "", 0, "one"), "one[0]=ok next one/1"},
		{"one setting", 4, configs(kmsg.ConfigResourceTypeTopic, "one", []string{"retention.ms", "no.such.key"}), "one=ok retention.ms"},
		{"an empty list of settings", 4, configs(kmsg.ConfigResourceTypeTopic, "one", []string{}), "one=ok all"},
		{"settings of no topic", 4, configs(kmsg.ConfigResourceTypeTopic, "nowhere", nil), "nowhere=UNKNOWN_TOPIC_OR_PARTITION"},
		{"settings of a name that cannot be", 4, configs(kmsg.ConfigResourceTypeTopic, "no/where", nil), "no/where=INVALID_TOPIC_EXCEPTION"},
		{"settings of another broker", 4, configs(kmsg.ConfigResourceTypeBroker, "77", nil), "77=INVALID_REQUEST"},
		{"settings of no broker", 4, configs(kmsg.ConfigResourceTypeBroker, "x", nil), "x=INVALID_REQUEST"},
		{"controllers, asked of a broker", 1, cluster(2), "MISMATCHED_ENDPOINT_TYPE"},
		{"endpoints of no type", 1, cluster(9), "UNSUPPORTED_ENDPOINT_TYPE"},
		{"brokers", 1, cluster(1), "ok 1"},
	}
}

func groupScenes() []scene {
	find := func(kind int8, keys ...string) *kmsg.FindCoordinatorRequest {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorType, req.CoordinatorKeys = kind, keys
		if len(keys) > 0 {
			req.CoordinatorKey = keys[0]
		}
		return req
	}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = "g", -1
	for _, name := range []string{"one", "nowhere"} {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = name
		for _, i := range []int32{0, 7} {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch = i, 2, -1
			t.Partitions = append(t.Partitions, p)
		}
		commit.Topics = append(commit.Topics, t)
	}
	producer := func(id int64, epoch int16) *kmsg.InitProducerIDRequest {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.ProducerID, req.ProducerEpoch = id, epoch
		return req
	}
	return []scene{
		{"one coordinator", 3, find(0, "g"), "g=ok"},
		{"several coordinators", 4, find(0, "g", "h"), "g=ok h=ok"},
		{"no keys", 4, find(0), ""},
		{"a commit of which a part cannot be", 8, commit, "nowhere/0=UNKNOWN_TOPIC_OR_PARTITION nowhere/7=UNKNOWN_TOPIC_OR_PARTITION one/0=ok one/7=UNKNOWN_TOPIC_OR_PARTITION"},
		{"a fresh producer", 3, producer(-1, -1), "ok"},
		{"a producer with half an identity", 3, producer(5, -1), "INVALID_REQUEST"},
	}
}

func alterScenes() []scene {
	epoch := func(topic string, partition, current, epoch int32) *kmsg.OffsetForLeaderEpochRequest {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		t := kmsg.NewOffsetForLeaderEpochRequestTopic()
		t.Topic = topic
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = partition, current, epoch
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
	remove := func(topic string, partition int32, offset int64) *kmsg.DeleteRecordsRequest {
		req := kmsg.NewPtrDeleteRecordsRequest()
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic = topic
		p := kmsg.NewDeleteRecordsRequestTopicPartition()
		p.Partition, p.Offset = partition, offset
		t.Partitions = append(t.Partitions, p)
		req.Topics, req.TimeoutMillis = append(req.Topics, t), 5000
		return req
	}
	create := func(names ...string) *kmsg.CreateTopicsRequest {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.TimeoutMillis = 5000
		for _, name := range names {
			t := kmsg.NewCreateTopicsRequestTopic()
			t.Topic, t.NumPartitions, t.ReplicationFactor = name, 1, 1
			req.Topics = append(req.Topics, t)
		}
		return req
	}
	noID := kmsg.NewPtrDeleteTopicsRequest()
	noID.TimeoutMillis = 5000
	unknown := kmsg.NewDeleteTopicsRequestTopic()
	unknown.TopicID = [16]byte{99, 1}
	noID.Topics = append(noID.Topics, unknown)
	producers := kmsg.NewPtrDescribeProducersRequest()
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic, t.Partitions = "one", []int32{0, 9}
	producers.Topics = append(producers.Topics, t)
	return []scene{
		{"where the epoch ends", 4, epoch("one", 0, -1, 0), "one/0=ok@3"},
		{"where an epoch to come ends", 4, epoch("one", 0, -1, 5), "one/0=ok@-1"},
		{"an epoch of no topic", 4, epoch("nowhere", 0, -1, 0), "nowhere/0=UNKNOWN_TOPIC_OR_PARTITION"},
		{"a leader that is not known yet", 4, epoch("one", 0, 3, 0), "one/0=UNKNOWN_LEADER_EPOCH"},
		{"producers", 0, producers, "one/0=ok one/9=UNKNOWN_TOPIC_OR_PARTITION"},
		{"records of no topic", 2, remove("nowhere", 0, 1), "nowhere/0=UNKNOWN_TOPIC_OR_PARTITION@-1"},
		{"records of an internal topic", 2, remove(offsetsTopic, 0, 0), "__consumer_offsets/0=INVALID_TOPIC_EXCEPTION@-1"},
		{"more records than there are", 2, remove("one", 0, 99), "one/0=OFFSET_OUT_OF_RANGE@-1"},
		{"a negative offset", 2, remove("one", 0, -2), "one/0=OFFSET_OUT_OF_RANGE@-1"},
		{"two records", 2, remove("one", 0, 2), "one/0=ok@2"},
		{"all records", 2, remove("one", 0, -1), "one/0=ok@3"},
		{"a topic twice", 5, create("three", "twice", "twice"), "three=ok twice=INVALID_REQUEST"},
		{"the metadata topic", 5, create("__cluster_metadata"), "__cluster_metadata=INVALID_REQUEST"},
		{"deletion by an id that nobody has", 6, noID, "-=UNKNOWN_TOPIC_ID"},
	}
}

func produceRequest(acks int16, topics ...kmsg.ProduceRequestTopic) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis, req.Topics = acks, 5000, topics
	return req
}

func produceTo(topic string, partition int32, records []byte) kmsg.ProduceRequestTopic {
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, append([]byte{}, records...)
	t.Partitions = append(t.Partitions, p)
	return t
}

func fetchRequest(topics ...kmsg.FetchRequestTopic) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = -1, 10, 1, 1<<20
	req.SessionEpoch, req.Topics = -1, topics
	return req
}

func fetchFrom(topic string, partition int32, offset int64) kmsg.FetchRequestTopic {
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch, p.LastFetchedEpoch = partition, offset, 1<<20, -1, -1
	t.Partitions = append(t.Partitions, p)
	return t
}

// join sorts words, since Kafka answers many things in no order, and puts them in a line.
func join(words []string) string { return strings.Join(sorted(words), " ") }

func at(topic string, partition int32, code int16) string {
	return fmt.Sprintf("%s/%d=%s", topic, partition, word(code))
}
