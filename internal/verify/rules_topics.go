package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// newTopicRequest is a topic of a CreateTopics request.
func newTopicRequest(name string, partitions int32, replicas int16, configs ...string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, replicas
	for _, c := range configs {
		key, value, _ := strings.Cut(c, "=")
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: key, Value: &value})
	}
	return t
}

// assigned is a topic with the replicas of each partition given.
func assigned(name string, of map[int32][]int32) kmsg.CreateTopicsRequestTopic {
	t := newTopicRequest(name, -1, -1)
	for p, rs := range of {
		t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: p, Replicas: rs})
	}
	return t
}

// creates sends topics and returns the answer for each by name.
func (x *exam) creates(validateOnly bool, ts ...kmsg.CreateTopicsRequestTopic) map[string]kmsg.CreateTopicsResponseTopic {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis, req.ValidateOnly, req.Topics = requestTimeoutMs, validateOnly, ts
	out := map[string]kmsg.CreateTopicsResponseTopic{}
	for _, t := range ask[*kmsg.CreateTopicsResponse](x, req).Topics {
		out[t.Topic] = t
	}
	return out
}

func topicRules() []rule {
	create := func(name, says, cites string, run func(x *exam)) rule {
		return rule{name: "create-topics/" + name, key: kmsg.CreateTopics, says: says, cites: cites, run: run}
	}
	// refused checks one code for topics that are each wrong in a way.
	refused := func(x *exam, code int16, ts ...kmsg.CreateTopicsRequestTopic) {
		got := x.creates(false, ts...)
		for _, t := range ts {
			x.code(fmt.Sprintf("topic %q", t.Topic), got[t.Topic].ErrorCode, code)
			x.message(fmt.Sprintf("the refusal of topic %q", t.Topic), got[t.Topic].ErrorMessage)
		}
	}
	return []rule{
		create("life", "A topic is created once: then it is TOPIC_ALREADY_EXISTS, and from version 7 the answer tells its id and shape.", "KIP-525, KIP-516", func(x *exam) {
			name := x.name("t")
			t := x.creates(false, newTopicRequest(name, 2, 1))[name]
			x.ok("the topic", t.ErrorCode)
			if x.version >= 5 {
				equal(x, "partitions", t.NumPartitions, 2)
				equal(x, "replicas", t.ReplicationFactor, 1)
				x.that(len(t.Configs) > 0, "the topic's configs", "none")
			}
			x.eventually("the topic is shown", func() bool { return x.metadata(x.any(), name).ErrorCode == 0 })
			if x.version >= 7 {
				md := x.metadata(x.any(), name)
				x.that(md.TopicID == t.TopicID, "the id that Metadata tells", "%x", t.TopicID)
			}
			x.code("the topic again", x.creates(false, newTopicRequest(name, 2, 1))[name].ErrorCode, codeTopicExists)
		}),
		create("names", "A name is of 1 to 249 letters, digits, dots, dashes and underscores, and neither . nor ..; others are INVALID_TOPIC_EXCEPTION.", "Kafka documentation, topics", func(x *exam) {
			refused(x, codeInvalidTopic, newTopicRequest("", 1, 1), newTopicRequest(".", 1, 1), newTopicRequest("..", 1, 1), newTopicRequest(x.prefix+"bad name", 1, 1), newTopicRequest(x.prefix+strings.Repeat("x", 250), 1, 1))
		}),
		create("collision", "Names that differ only in dots and underscores are refused, since metrics cannot tell them apart.", "KAFKA-2337", func(x *exam) {
			name := x.name("t")
			x.creates(false, newTopicRequest(name+".x", 1, 1))
			refused(x, codeInvalidTopic, newTopicRequest(name+"_x", 1, 1))
		}),
		create("partitions", "No partitions are INVALID_PARTITIONS.", protocolGuide+", CreateTopics", func(x *exam) {
			refused(x, codeInvalidPartitions, newTopicRequest(x.name("t"), 0, 1), newTopicRequest(x.name("t"), -5, 1))
		}),
		create("replication-factor", "No replicas, or more than there are brokers, are INVALID_REPLICATION_FACTOR.", protocolGuide+", CreateTopics", func(x *exam) {
			refused(x, codeInvalidReplicationFactor, newTopicRequest(x.name("t"), 1, 0), newTopicRequest(x.name("t"), 1, int16(len(x.cluster.nodes())+1)))
		}),
		create("assignment", "A given assignment must name partitions from 0 on without a gap, brokers that exist, and none twice: INVALID_REPLICA_ASSIGNMENT.", protocolGuide+", CreateTopics", func(x *exam) {
			b := x.any()
			refused(x, codeInvalidAssignment, assigned(x.name("t"), map[int32][]int32{1: {b}}), assigned(x.name("t"), map[int32][]int32{0: {b, b}}), assigned(x.name("t"), map[int32][]int32{0: {2147483}}), assigned(x.name("t"), map[int32][]int32{0: {}}))
			both := assigned(x.name("t"), map[int32][]int32{0: {b}})
			both.NumPartitions = 2
			refused(x, codeInvalidRequest, both)
		}),
		create("assigned", "A given assignment is followed.", protocolGuide+", CreateTopics", func(x *exam) {
			name, b := x.name("t"), x.cluster.nodes()[len(x.cluster.nodes())-1]
			t := x.creates(false, assigned(name, map[int32][]int32{0: {b}, 1: {b}}))[name]
			x.ok("the topic", t.ErrorCode)
			x.eventually("the topic is shown", func() bool { return len(x.metadata(x.any(), name).Partitions) == 2 })
			for _, p := range x.metadata(x.any(), name).Partitions {
				equal(x, "replicas", words(p.Replicas), fmt.Sprint(b))
			}
		}),
		create("configs", "A config that does not exist, or a value that it cannot have, is INVALID_CONFIG.", protocolGuide+", CreateTopics", func(x *exam) {
			refused(x, codeInvalidConfig, newTopicRequest(x.name("t"), 1, 1, "no.such.key=1"), newTopicRequest(x.name("t"), 1, 1, "retention.ms=soon"), newTopicRequest(x.name("t"), 1, 1, "cleanup.policy=shred"), newTopicRequest(x.name("t"), 1, 1, "min.insync.replicas=0"))
		}),
		create("twice", "A topic that is named twice in a request is INVALID_REQUEST, and is not created.", protocolGuide+", CreateTopics", func(x *exam) {
			name := x.name("t")
			got := x.creates(false, newTopicRequest(name, 1, 1), newTopicRequest(name, 1, 1))
			x.code("the topic", got[name].ErrorCode, codeInvalidRequest)
			x.code("it", x.metadata(x.any(), name).ErrorCode, codeUnknownTopic)
		}),
		create("each-on-its-own", "What is wrong with one topic of a request does not keep the others from being created.", protocolGuide+", CreateTopics", func(x *exam) {
			good, bad := x.name("t"), x.name("t")
			got := x.creates(false, newTopicRequest(good, 1, 1), newTopicRequest(bad, 0, 1))
			x.code("the good topic", got[good].ErrorCode, 0)
			x.code("the bad topic", got[bad].ErrorCode, codeInvalidPartitions)
		}),
		create("validate-only", "With validateOnly everything is checked and nothing is created.", "KIP-4", func(x *exam) {
			good, bad := x.name("t"), x.name("t")
			got := x.creates(true, newTopicRequest(good, 1, 1), newTopicRequest(bad, 1, 0))
			x.code("the good topic", got[good].ErrorCode, 0)
			x.code("the bad topic", got[bad].ErrorCode, codeInvalidReplicationFactor)
			x.code("the topic", x.metadata(x.any(), good).ErrorCode, codeUnknownTopic)
		}),
		{name: "create-topics/defaults", key: kmsg.CreateTopics, min: 4, says: "-1 partitions and replicas stand for the cluster's defaults.", cites: "KIP-464", run: func(x *exam) {
			name := x.name("t")
			x.ok("the topic", x.creates(true, newTopicRequest(name, -1, -1))[name].ErrorCode)
		}},
		{name: "delete-topics/life", key: kmsg.DeleteTopics, says: "A topic is deleted once: then it is UNKNOWN_TOPIC_OR_PARTITION, or by id UNKNOWN_TOPIC_ID.", cites: "KIP-4, KIP-516", run: func(x *exam) {
			t := x.topic(1)
			x.code("the topic", x.deletes(t, false), 0)
			x.eventually("the topic is gone everywhere", func() bool {
				return !slices.ContainsFunc(x.cluster.nodes(), func(b int32) bool { return x.metadata(b, t.name).ErrorCode != codeUnknownTopic })
			})
			x.code("the topic again", x.deletes(t, false), codeUnknownTopic)
			if x.version >= 6 {
				x.code("the topic again, by id", x.deletes(t, true), codeUnknownTopicID)
				by := x.topic(1)
				x.code("a topic by id", x.deletes(by, true), 0)
			}
		}},
		{name: "create-partitions/grow", key: kmsg.CreatePartitions, says: "A topic grows; as many partitions as it has, or fewer, are INVALID_PARTITIONS, and an unknown topic is UNKNOWN_TOPIC_OR_PARTITION.", cites: "KIP-195", run: func(x *exam) {
			t := x.topic(2)
			never := &topic{name: x.prefix + "never"}
			x.code("3 partitions, validated only", x.grow(t, 3, true), 0)
			x.code("2 partitions", x.grow(t, 2, false), codeInvalidPartitions)
			x.code("1 partition", x.grow(t, 1, false), codeInvalidPartitions)
			x.code("an unknown topic", x.grow(never, 3, false), codeUnknownTopic)
			x.code("4 partitions", x.grow(t, 4, false), 0)
			t.partitions = 4
			x.await(t)
		}},
	}
}

// deletes deletes one topic and returns its code.
func (x *exam) deletes(t *topic, byID bool) int16 {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis, req.TopicNames = requestTimeoutMs, []string{t.name}
	req.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &t.name}}
	if byID {
		req.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: t.id}}
	}
	resp := ask[*kmsg.DeleteTopicsResponse](x, req)
	x.count("one topic in the answer", len(resp.Topics), 1)
	return resp.Topics[0].ErrorCode
}

func (x *exam) grow(t *topic, count int32, validateOnly bool) int16 {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis, req.ValidateOnly = requestTimeoutMs, validateOnly
	req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: t.name, Count: count}}
	resp := ask[*kmsg.CreatePartitionsResponse](x, req)
	x.count("one topic in the answer", len(resp.Topics), 1)
	return resp.Topics[0].ErrorCode
}
