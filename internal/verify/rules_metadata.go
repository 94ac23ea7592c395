package verify

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// notAsked is what authorized operations are where nobody has asked for them.
const notAsked = -2147483648

func metadataRules() []rule {
	one := func(x *exam, name string) *kmsg.MetadataRequest {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
		return req
	}
	return []rule{
		{name: "metadata/topic", key: kmsg.Metadata, says: "A topic is shown with all its partitions; each leader is a replica, and so is each member of the ISR, and all are brokers.", cites: protocolGuide + ", Metadata",
			run: func(x *exam) {
				md := ask[*kmsg.MetadataResponse](x, one(x, x.main.name))
				brokers := map[int32]bool{}
				for _, b := range md.Brokers {
					brokers[b.NodeID] = true
				}
				equal(x, "brokers", len(brokers), len(x.cluster.nodes()))
				if x.version >= 1 {
					x.that(brokers[md.ControllerID], "a controller among the brokers", "%d", md.ControllerID)
				}
				if x.version >= 2 {
					x.that(md.ClusterID != nil && *md.ClusterID == x.cluster.id, "cluster id "+x.cluster.id, "%v", md.ClusterID)
				}
				x.must(len(md.Topics) == 1 && md.Topics[0].ErrorCode == 0, "one topic without an error", "%+v", md.Topics)
				t := md.Topics[0]
				equal(x, "partitions", len(t.Partitions), int(x.main.partitions))
				if x.version >= 10 {
					x.that(t.TopicID != [16]byte{} && t.TopicID == x.main.id, "the topic's id", "%x", t.TopicID)
				}
				for _, p := range t.Partitions {
					x.that(slices.Contains(p.Replicas, p.Leader) && len(p.Replicas) == int(x.replicas()), fmt.Sprintf("%d replicas with the leader among them", x.replicas()), "leader %d of %v", p.Leader, p.Replicas)
					for _, r := range p.ISR {
						x.that(slices.Contains(p.Replicas, r) && brokers[r], "an ISR of replicas that are brokers", "%v of %v", p.ISR, p.Replicas)
					}
				}
			}},
		{name: "metadata/unknown-topic", key: kmsg.Metadata, min: 4, says: "A topic that does not exist, and is not to be created, is UNKNOWN_TOPIC_OR_PARTITION and stays uncreated.", cites: "KIP-204, protocol guide",
			run: func(x *exam) {
				for range 2 {
					md := ask[*kmsg.MetadataResponse](x, one(x, x.prefix+"never"))
					x.count("one topic", len(md.Topics), 1)
					x.code("the topic", md.Topics[0].ErrorCode, codeUnknownTopic)
				}
			}},
		{name: "metadata/bad-name", key: kmsg.Metadata, min: 4, says: "A name that no topic can have is INVALID_TOPIC_EXCEPTION, and is not created.", cites: protocolGuide + ", Metadata",
			run: func(x *exam) {
				req := one(x, "bad name")
				req.AllowAutoTopicCreation = true
				md := ask[*kmsg.MetadataResponse](x, req)
				x.count("one topic", len(md.Topics), 1)
				x.code("the topic", md.Topics[0].ErrorCode, codeInvalidTopic)
			}},
		{name: "metadata/all-or-none", key: kmsg.Metadata, says: "Null asks for all topics and an empty list for none; at version 0 the empty list asks for all.", cites: protocolGuide + ", Metadata",
			run: func(x *exam) {
				all := kmsg.NewPtrMetadataRequest()
				if x.version > 0 {
					none := kmsg.NewPtrMetadataRequest()
					none.Topics = []kmsg.MetadataRequestTopic{}
					equal(x, "topics", len(ask[*kmsg.MetadataResponse](x, none).Topics), 0)
				} else {
					all.Topics = []kmsg.MetadataRequestTopic{}
				}
				// Topics of others may be between two leaders: their errors are not looked at.
				md := ask[*kmsg.MetadataResponse](x, all, passing()...)
				x.that(slices.ContainsFunc(md.Topics, func(t kmsg.MetadataResponseTopic) bool { return t.Topic != nil && *t.Topic == x.main.name }), x.main.name+" among all topics", "it is not")
			}},
		{name: "metadata/by-id", key: kmsg.Metadata, min: 12, says: "A topic may be asked for by its id alone; an id of no topic is UNKNOWN_TOPIC_ID.", cites: "KIP-516",
			run: func(x *exam) {
				req := kmsg.NewPtrMetadataRequest()
				req.Topics = []kmsg.MetadataRequestTopic{{TopicID: x.main.id}, {TopicID: noTopicID}}
				md := ask[*kmsg.MetadataResponse](x, req)
				x.count("two topics", len(md.Topics), 2)
				for _, t := range md.Topics {
					if t.TopicID == x.main.id {
						x.ok("the topic", t.ErrorCode)
						x.that(t.Topic != nil && *t.Topic == x.main.name, "its name", "%v", t.Topic)
						continue
					}
					x.code("the unknown id", t.ErrorCode, codeUnknownTopicID)
				}
			}},
		{name: "metadata/authorized-operations", key: kmsg.Metadata, min: 8, says: "What the client may do to a topic is told where it asks, and is -2147483648 where it does not.", cites: "KIP-430",
			run: func(x *exam) {
				req := one(x, x.main.name)
				t := ask[*kmsg.MetadataResponse](x, req).Topics[0]
				equal(x, "operations", t.AuthorizedOperations, notAsked)
				req = one(x, x.main.name)
				req.IncludeTopicAuthorizedOperations = true
				t = ask[*kmsg.MetadataResponse](x, req).Topics[0]
				x.that(t.AuthorizedOperations != notAsked && t.AuthorizedOperations > 0, "operations", "%d", t.AuthorizedOperations)
			}},
		{name: "metadata/brokers-agree", key: kmsg.Metadata, nodes: 2, says: "All brokers name the same leaders and ids.", cites: "KIP-500",
			run: func(x *exam) {
				t := x.topic(3)
				first := x.metadata(x.any(), t.name)
				for _, id := range x.cluster.nodes() {
					md := x.metadata(id, t.name)
					x.that(md.TopicID == first.TopicID, "the same id", "%x and %x", md.TopicID, first.TopicID)
					x.that(leaders(md) == leaders(first), "leaders "+leaders(first), "%s at broker %d", leaders(md), id)
				}
			}},
	}
}

// topicPartitionsRules are of DescribeTopicPartitions.
func topicPartitionsRules() []rule {
	return []rule{
		{name: "topic-partitions/pages", key: kmsg.DescribeTopicPartitions, says: "Topics come sorted by name, no more partitions than asked for at once, and a cursor leads to the rest.", cites: "KIP-966",
			run: func(x *exam) {
				a, b := x.topic(3), x.topic(2)
				var got []string
				var cursor *kmsg.DescribeTopicPartitionsRequestCursor
				for range 5 {
					req := kmsg.NewPtrDescribeTopicPartitionsRequest()
					req.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: b.name}, {Topic: a.name}}
					req.ResponsePartitionLimit, req.Cursor = 2, cursor
					resp := ask[*kmsg.DescribeTopicPartitionsResponse](x, req)
					n := 0
					for _, t := range resp.Topics {
						x.ok("topic", t.ErrorCode)
						for _, p := range t.Partitions {
							got = append(got, fmt.Sprintf("%s-%d", *t.Topic, p.Partition))
							n++
						}
					}
					x.that(n <= 2, "two partitions at most", "%d", n)
					if resp.NextCursor == nil {
						break
					}
					cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition}
				}
				want := fmt.Sprint([]string{a.name + "-0", a.name + "-1", a.name + "-2", b.name + "-0", b.name + "-1"})
				equal(x, "partitions", fmt.Sprint(got), want)
			}},
		{name: "topic-partitions/unknown", key: kmsg.DescribeTopicPartitions, says: "A topic that does not exist is UNKNOWN_TOPIC_OR_PARTITION.", cites: "KIP-966",
			run: func(x *exam) {
				req := kmsg.NewPtrDescribeTopicPartitionsRequest()
				req.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: x.prefix + "never"}}
				req.ResponsePartitionLimit = 10
				resp := ask[*kmsg.DescribeTopicPartitionsResponse](x, req)
				x.count("one topic", len(resp.Topics), 1)
				x.code("the topic", resp.Topics[0].ErrorCode, codeUnknownTopic)
			}},
	}
}

// clusterRules are of DescribeCluster.
func clusterRules() []rule {
	return []rule{
		{name: "cluster/describe", key: kmsg.DescribeCluster, says: "DescribeCluster and Metadata name the same cluster and brokers.", cites: "KIP-700",
			run: func(x *exam) {
				resp := ask[*kmsg.DescribeClusterResponse](x, kmsg.NewPtrDescribeClusterRequest())
				x.ok("the answer", resp.ErrorCode)
				equal(x, "cluster", resp.ClusterID, x.cluster.id)
				var ids []int32
				for _, b := range resp.Brokers {
					ids = append(ids, b.NodeID)
					equal(x, fmt.Sprintf("address of broker %d", b.NodeID), hostPort(b.Host, b.Port), x.cluster.addr(b.NodeID))
				}
				slices.Sort(ids)
				equal(x, "brokers", words(ids), words(x.cluster.nodes()))
				equal(x, "operations", resp.ClusterAuthorizedOperations, notAsked)
			}},
		{name: "cluster/endpoints", key: kmsg.DescribeCluster, min: 1, says: "A broker tells of brokers only: controllers are MISMATCHED_ENDPOINT_TYPE, and endpoints of no kind UNSUPPORTED_ENDPOINT_TYPE.", cites: "KIP-919",
			run: func(x *exam) {
				req := kmsg.NewPtrDescribeClusterRequest()
				req.EndpointType = 2
				x.code("controllers", ask[*kmsg.DescribeClusterResponse](x, req).ErrorCode, codeMismatchedEndpoint)
				req = kmsg.NewPtrDescribeClusterRequest()
				req.EndpointType = 7
				x.code("endpoints of no kind", ask[*kmsg.DescribeClusterResponse](x, req).ErrorCode, codeUnsupportedEndpoint)
			}},
	}
}

// coordinatorRules are about who coordinates what.
func coordinatorRules() []rule {
	return []rule{
		{name: "coordinator/same-everywhere", key: kmsg.FindCoordinator, says: "Every broker names the same coordinator, and it is a broker.", cites: protocolGuide + ", FindCoordinator",
			run: func(x *exam) {
				key := x.name("group")
				var first *int32
				for _, id := range x.cluster.nodes() {
					node := x.found(id, coordinatorGroup, key)
					x.that(slices.Contains(x.cluster.nodes(), node), "a broker", "%d", node)
					if first == nil {
						first = &node
					}
					equal(x, "coordinator", node, *first)
				}
			}},
		{name: "coordinator/bad-type", key: kmsg.FindCoordinator, min: 1, says: "A coordinator of no known type is INVALID_REQUEST.", cites: "KIP-98",
			run: func(x *exam) {
				req := x.findRequest(9, "x")
				resp := ask[*kmsg.FindCoordinatorResponse](x, req)
				c := resp.ErrorCode
				if len(resp.Coordinators) == 1 {
					c = resp.Coordinators[0].ErrorCode
				}
				x.code("the answer", c, codeInvalidRequest)
			}},
		{name: "coordinator/batch", key: kmsg.FindCoordinator, min: 4, says: "From version 4 several keys are asked for at once, and each is answered by name.", cites: "KIP-699",
			run: func(x *exam) {
				req := kmsg.NewPtrFindCoordinatorRequest()
				req.CoordinatorKeys = []string{x.prefix + "a", x.prefix + "b", x.prefix + "c"}
				resp := ask[*kmsg.FindCoordinatorResponse](x, req)
				x.count("three coordinators", len(resp.Coordinators), 3)
				for _, c := range resp.Coordinators {
					x.ok(c.Key, c.ErrorCode)
					x.that(slices.Contains(req.CoordinatorKeys, c.Key), "a key that was asked for", "%s", c.Key)
				}
			}},
		{name: "coordinator/wrong-broker", key: kmsg.Heartbeat, nodes: 2, says: "A broker that is not a group's coordinator says NOT_COORDINATOR.", cites: protocolGuide + ", error codes",
			run: func(x *exam) {
				g := x.name("group")
				req := kmsg.NewPtrHeartbeatRequest()
				req.Group, req.MemberID = g, "nobody"
				wrong := x.other(x.coordinator(coordinatorGroup, g))
				resp := once[*kmsg.HeartbeatResponse](x, wrong, req)
				x.code("the answer", resp.ErrorCode, codeNotCoordinator)
			}},
	}
}

// noTopicID is an id that no topic has.
var noTopicID = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

func leaders(t kmsg.MetadataResponseTopic) string {
	by := map[int32]int32{}
	for _, p := range t.Partitions {
		by[p.Partition] = p.Leader
	}
	return fmt.Sprint(by)
}

// findRequest asks for one coordinator in the way of the version.
func (x *exam) findRequest(kind int8, key string) *kmsg.FindCoordinatorRequest {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorType = kind
	if x.version >= 4 {
		req.CoordinatorKeys = []string{key}
	} else {
		req.CoordinatorKey = key
	}
	return req
}

// found is the coordinator that one broker names, at the version under examination.
func (x *exam) found(broker int32, kind int8, key string) int32 {
	resp := askAt[*kmsg.FindCoordinatorResponse](x, broker, x.findRequest(kind, key))
	if x.version < 4 {
		x.ok("a coordinator:", resp.ErrorCode)
		return resp.NodeID
	}
	x.count("one coordinator", len(resp.Coordinators), 1)
	x.ok("a coordinator:", resp.Coordinators[0].ErrorCode)
	return resp.Coordinators[0].NodeID
}
