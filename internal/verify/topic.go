package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// topic is one that the probe has made.
type topic struct {
	name       string
	id         [16]byte
	partitions int32
}

// usualReplicas is how many replicas a topic of the probe has where there are as many brokers.
const usualReplicas = 3

func (x *exam) replicas() int16 { return int16(min(usualReplicas, len(x.cluster.nodes()))) }

// topic makes a topic of the exam's own, with configs as "key=value".
func (x *exam) topic(partitions int32, configs ...string) *topic {
	return x.newTopic(x.name("t"), partitions, configs...)
}

// newTopic makes a topic and waits until every broker knows its leaders and they serve it.
func (x *exam) newTopic(name string, partitions int32, configs ...string) *topic {
	if !strings.HasPrefix(name, x.prefix) {
		name = x.prefix + name
	}
	said := x.request
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = x.cluster.highest(req.Key()), requestTimeoutMs
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, x.replicas()
	for _, c := range configs {
		key, value, _ := strings.Cut(c, "=")
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: key, Value: &value})
	}
	req.Topics = append(req.Topics, t)
	resp := ask[*kmsg.CreateTopicsResponse](x, req)
	x.count("one topic in the answer", len(resp.Topics), 1)
	if c := resp.Topics[0].ErrorCode; c != 0 && c != codeTopicExists { // an answer that was lost is asked for again
		x.ok("topic "+name, c)
	}
	out := &topic{name: name, partitions: partitions}
	x.await(out)
	x.request = said
	return out
}

// requestTimeoutMs is the timeout inside of requests that have one.
const requestTimeoutMs = 10_000

// await waits until every broker tells of the topic, with leaders, and the leaders serve it.
func (x *exam) await(t *topic) {
	for _, id := range x.cluster.nodes() {
		x.eventually("every broker knows topic "+t.name+" and its leaders", func() bool {
			md := x.metadata(id, t.name)
			if md.ErrorCode != 0 || int32(len(md.Partitions)) != t.partitions {
				return false
			}
			t.id = md.TopicID
			return !slices.ContainsFunc(md.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.ErrorCode != 0 || p.Leader < 0 })
		})
	}
	for p := range t.partitions {
		x.eventually(fmt.Sprintf("partition %d of topic %s is served", p, t.name), func() bool {
			return x.listOne(t, p, listLatest, 0).ErrorCode == 0
		})
	}
}

// eventually waits for something that must come about by itself.
func (x *exam) eventually(what string, fn func() bool) {
	until := time.Now().Add(x.options.Patience)
	before := x.checks
	for !fn() {
		err := pause(x.ctx, retryPause)
		x.must(err == nil && time.Now().Before(until), "in the end, "+what, "it did not come about in %v", x.options.Patience)
	}
	x.checks = before + 1 // however often it was looked at
}

// metadata is what one broker says of a topic.
func (x *exam) metadata(broker int32, name string) kmsg.MetadataResponseTopic {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = x.cluster.highest(req.Key())
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	md := once[*kmsg.MetadataResponse](x, broker, req)
	x.count("one topic in the answer", len(md.Topics), 1)
	return md.Topics[0]
}

// leader finds the leader of a partition.
func (x *exam) leader(t *topic, partition int32) int32 {
	said := x.request
	defer func() { x.request = said }()
	var leader int32
	x.eventually(fmt.Sprintf("partition %d of topic %s has a leader", partition, t.name), func() bool {
		md := x.metadata(x.any(), t.name)
		for _, p := range md.Partitions {
			if p.Partition == partition && p.Leader >= 0 {
				leader = p.Leader
				return true
			}
		}
		return false
	})
	return leader
}

// follower is a broker with a copy of partition 0 that does not lead it.
func (x *exam) follower(t *topic) int32 { return x.other(x.leader(t, 0)) }

// Special times of ListOffsets.
const (
	listLatest   = -1
	listEarliest = -2
	listMaxTime  = -3
)

// listOne asks once for an offset of a partition, at the leader.
func (x *exam) listOne(t *topic, partition int32, timestamp int64, isolation int8) kmsg.ListOffsetsResponseTopicPartition {
	said := x.request
	defer func() { x.request = said }()
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version = min(x.cluster.highest(req.Key()), 9)
	req.IsolationLevel = isolation
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = partition, timestamp
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: t.name, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	lo := once[*kmsg.ListOffsetsResponse](x, x.leader(t, partition), req)
	x.must(len(lo.Topics) == 1 && len(lo.Topics[0].Partitions) == 1, "one partition in the answer", "%+v", lo.Topics)
	return lo.Topics[0].Partitions[0]
}

// end is the end of partition 0: its high watermark, or with isolation 1 its last stable offset.
func (x *exam) end(t *topic, isolation int8) int64 {
	p := x.listOne(t, 0, listLatest, isolation)
	x.ok("the end of "+t.name, p.ErrorCode)
	return p.Offset
}
