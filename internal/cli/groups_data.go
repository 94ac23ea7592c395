package cli

import (
	"sort"
	"sync"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupInfo is what the cluster says of one consumer group, of whichever protocol.
type groupInfo struct {
	id          string
	state       string
	strategy    string
	consumer    bool // of the consumer (KIP-848) protocol
	coordinator kmsg.FindCoordinatorResponseCoordinator
	groupEpoch  int32
	targetEpoch int32
	members     []groupMember
	err         error
}

type groupMember struct {
	id, clientID, host string
	instance           string
	epoch              int32
	assigned, target   []topicPartition
	classic            bool // speaks the classic protocol in a group of the consumer protocol
}

// eachCoordinator groups ids by the broker that serves them and calls fn for
// every broker, several at a time. Ids whose coordinator cannot be had go to lost.
func (g *groupsTool) eachCoordinator(call string, ids []string, lost func(string, error), fn func(node kmsg.FindCoordinatorResponseCoordinator, ids []string) error) error {
	found, err := g.c.Coordinators(g.ctx, call, ids)
	if err != nil {
		return err
	}
	nodes := map[int32]kmsg.FindCoordinatorResponseCoordinator{}
	byNode := map[int32][]string{}
	for _, f := range found {
		if err := client.CodeError(f.ErrorCode, nil); err != nil {
			lost(f.Key, coordinatorError(f))
			continue
		}
		nodes[f.NodeID] = f
		byNode[f.NodeID] = append(byNode[f.NodeID], f.Key)
	}
	if len(byNode) == 0 {
		return nil
	}
	if err := g.learnBrokers(call); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(byNode))
	i := 0
	for node, keys := range byNode {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			sort.Strings(keys)
			errs[i] = fn(nodes[node], keys)
		}(i)
		i++
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// coordinatorError words a refused look-up as Kafka's admin client does.
func coordinatorError(f kmsg.FindCoordinatorResponseCoordinator) error {
	e := &client.KafkaError{Code: f.ErrorCode, Message: client.CodeText(f.ErrorCode)}
	if f.ErrorCode == client.CodeGroupAuthFailed {
		e.Message = "FindCoordinator request for groupId `CoordinatorKey(idValue='" + f.Key + "', type=GROUP)` failed due to authorization failure"
	}
	return e
}

// learnBrokers asks for metadata once, so that brokers can be reached by id.
func (g *groupsTool) learnBrokers(call string) error {
	if g.brokersKnown {
		return nil
	}
	_, err := g.c.Metadata(g.ctx, call, nil, false)
	g.brokersKnown = err == nil
	return err
}

// describe asks for groups: first as groups of the consumer protocol, then, for
// those that are not, as classic ones.
func (g *groupsTool) describeGroups(ids []string) (map[string]*groupInfo, error) {
	out := make(map[string]*groupInfo, len(ids))
	var mu sync.Mutex
	put := func(info *groupInfo) { mu.Lock(); out[info.id] = info; mu.Unlock() }
	lost := func(id string, err error) { put(&groupInfo{id: id, err: err}) }
	err := g.eachCoordinator("describeConsumerGroups(api=FIND_COORDINATOR)", ids, lost, func(node kmsg.FindCoordinatorResponseCoordinator, ids []string) error {
		classic, err := g.describeConsumer(node, ids, put)
		if err != nil || len(classic) == 0 {
			return err
		}
		return g.describeClassic(node, classic, put)
	})
	return out, err
}

func (g *groupsTool) describeConsumer(node kmsg.FindCoordinatorResponseCoordinator, ids []string, put func(*groupInfo)) (classic []string, err error) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = ids
	resp, err := g.c.OnBroker(g.ctx, "describeConsumerGroups(api=CONSUMER_GROUP_DESCRIBE)", node.NodeID, req)
	if isUnsupported(err) {
		return ids, nil
	}
	if err != nil {
		return nil, err
	}
	for _, rg := range resp.(*kmsg.ConsumerGroupDescribeResponse).Groups {
		switch rg.ErrorCode {
		case client.CodeGroupIDNotFound, client.CodeUnsupportedVersion:
			classic = append(classic, rg.Group)
			continue
		}
		info := &groupInfo{id: rg.Group, state: rg.State, strategy: rg.AssignorName, consumer: true, coordinator: node, groupEpoch: rg.Epoch, targetEpoch: rg.AssignmentEpoch}
		info.err = client.CodeError(rg.ErrorCode, rg.ErrorMessage)
		for _, m := range rg.Members {
			gm := groupMember{id: m.MemberID, clientID: m.ClientID, host: m.ClientHost, epoch: m.MemberEpoch, classic: m.MemberType == 0}
			if m.InstanceID != nil {
				gm.instance = *m.InstanceID
			}
			for _, t := range m.Assignment.TopicPartitions {
				gm.assigned = appendPartitions(gm.assigned, t.Topic, t.Partitions)
			}
			for _, t := range m.TargetAssignment.TopicPartitions {
				gm.target = appendPartitions(gm.target, t.Topic, t.Partitions)
			}
			info.members = append(info.members, gm)
		}
		put(info)
	}
	return classic, nil
}

func appendPartitions(dst []topicPartition, topic string, partitions []int32) []topicPartition {
	for _, p := range partitions {
		dst = append(dst, topicPartition{topic, p})
	}
	return dst
}

func (g *groupsTool) describeClassic(node kmsg.FindCoordinatorResponseCoordinator, ids []string, put func(*groupInfo)) error {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = ids
	resp, err := g.c.OnBroker(g.ctx, "describeConsumerGroups(api=DESCRIBE_GROUPS)", node.NodeID, req)
	if err != nil {
		return err
	}
	for _, rg := range resp.(*kmsg.DescribeGroupsResponse).Groups {
		info := &groupInfo{id: rg.Group, state: rg.State, strategy: rg.Protocol, coordinator: node}
		info.err = client.CodeError(rg.ErrorCode, rg.ErrorMessage)
		if info.err == nil && rg.State == "Dead" {
			// Brokers before version 6 of the API say it like this.
			info.err = &client.KafkaError{Code: client.CodeGroupIDNotFound, Message: "Group " + rg.Group + " not found."}
		}
		for _, m := range rg.Members {
			gm := groupMember{id: m.MemberID, clientID: m.ClientID, host: m.ClientHost}
			if m.InstanceID != nil {
				gm.instance = *m.InstanceID
			}
			var a kmsg.ConsumerMemberAssignment
			if rg.ProtocolType == "consumer" && a.ReadFrom(m.MemberAssignment) == nil {
				for _, t := range a.Topics {
					gm.assigned = appendPartitions(gm.assigned, t.Topic, t.Partitions)
				}
			}
			info.members = append(info.members, gm)
		}
		put(info)
	}
	return nil
}

// committed is a group's committed offset of a partition.
type committed struct {
	offset      int64
	leaderEpoch int32
}

// committedOffsets asks for all committed offsets of each group.
func (g *groupsTool) committedOffsets(ids []string) (map[string]map[topicPartition]committed, error) {
	return g.offsetsOf("listConsumerGroupOffsets(api=FIND_COORDINATOR)", ids, g.fetchCommitted)
}

// offsetsOf asks each group's coordinator by fetch, and returns what was told also when something was not.
func (g *groupsTool) offsetsOf(call string, ids []string, fetch func(kmsg.FindCoordinatorResponseCoordinator, string) (map[topicPartition]committed, error)) (map[string]map[topicPartition]committed, error) {
	out := map[string]map[topicPartition]committed{}
	var mu sync.Mutex
	var firstErr error
	lost := func(_ string, err error) { firstErr = err }
	err := g.eachCoordinator(call, ids, lost, func(node kmsg.FindCoordinatorResponseCoordinator, ids []string) error {
		for _, id := range ids {
			offsets, err := fetch(node, id)
			if err != nil {
				return err
			}
			mu.Lock()
			out[id] = offsets
			mu.Unlock()
		}
		return nil
	})
	if err == nil {
		err = firstErr
	}
	return out, err
}

func (g *groupsTool) fetchCommitted(node kmsg.FindCoordinatorResponseCoordinator, id string) (map[topicPartition]committed, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = id
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group, rg.MemberEpoch = id, -1
	req.Groups = append(req.Groups, rg)
	resp, err := g.c.OnBroker(g.ctx, "listConsumerGroupOffsets(api=OFFSET_FETCH)", node.NodeID, req)
	if err != nil {
		return nil, err
	}
	of := resp.(*kmsg.OffsetFetchResponse)
	out := map[topicPartition]committed{}
	if of.Version < 8 {
		for _, t := range of.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 && p.Offset >= 0 {
					out[topicPartition{t.Topic, p.Partition}] = committed{p.Offset, p.LeaderEpoch}
				}
			}
		}
		return out, client.CodeError(of.ErrorCode, nil)
	}
	for _, rg := range of.Groups {
		if err := client.CodeError(rg.ErrorCode, nil); err != nil && rg.ErrorCode != client.CodeGroupIDNotFound {
			return nil, err
		}
		for _, t := range rg.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 && p.Offset >= 0 {
					out[topicPartition{t.Topic, p.Partition}] = committed{p.Offset, p.LeaderEpoch}
				}
			}
		}
	}
	return out, nil
}

// offsetResult is an answer of ListOffsets for one partition.
type offsetResult struct {
	offset    int64
	timestamp int64
	err       error
}

// Special timestamps of ListOffsets.
const (
	latestOffset   = -1
	earliestOffset = -2
)

// listOffsets asks the leaders for an offset of each partition.
func (r *run) listOffsets(c *client.Client, at map[topicPartition]int64, readCommitted bool) map[topicPartition]offsetResult {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	if readCommitted {
		req.IsolationLevel = 1
	}
	byTopic := map[string][]kmsg.ListOffsetsRequestTopicPartition{}
	for tp, ts := range at {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = tp.partition, ts
		byTopic[tp.topic] = append(byTopic[tp.topic], rp)
	}
	for _, topic := range sortedKeys(byTopic) {
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic, rt.Partitions = topic, byTopic[topic]
		req.Topics = append(req.Topics, rt)
	}
	out := make(map[topicPartition]offsetResult, len(at))
	if len(at) == 0 {
		return out
	}
	for _, shard := range c.Shards(r.ctx, req) {
		if shard.Err != nil {
			for _, t := range shard.Req.(*kmsg.ListOffsetsRequest).Topics {
				for _, p := range t.Partitions {
					out[topicPartition{t.Topic, p.Partition}] = offsetResult{offset: -1, err: c.Final(r.ctx, "listOffsets", shard.Err)}
				}
			}
			continue
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				res := offsetResult{p.Offset, p.Timestamp, client.CodeError(p.ErrorCode, nil)}
				if len(p.OldStyleOffsets) > 0 {
					res.offset = p.OldStyleOffsets[0]
				}
				out[topicPartition{t.Topic, p.Partition}] = res
			}
		}
	}
	return out
}

func sortPartitions(tps []topicPartition) {
	sort.Slice(tps, func(i, j int) bool {
		if tps[i].topic != tps[j].topic {
			return tps[i].topic < tps[j].topic
		}
		return tps[i].partition < tps[j].partition
	})
}

// listGroups asks every broker for its groups.
func (r *run) listGroups(c *client.Client, states, types []string) ([]kmsg.ListGroupsResponseGroup, error) {
	if _, err := c.Metadata(r.ctx, "listGroups", nil, false); err != nil {
		if _, ok := err.(*client.TimeoutError); ok {
			return nil, &javaError{text: "java.util.concurrent.ExecutionException: org.apache.kafka.common.KafkaException: Failed to find brokers to send ListGroups", plain: "Failed to find brokers to send ListGroups"}
		}
		return nil, err
	}
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter, req.TypesFilter = states, types
	var out []kmsg.ListGroupsResponseGroup
	for _, shard := range c.Shards(r.ctx, req) {
		if shard.Err != nil {
			return nil, c.Final(r.ctx, "listGroups", shard.Err)
		}
		resp := shard.Resp.(*kmsg.ListGroupsResponse)
		if err := client.CodeError(resp.ErrorCode, nil); err != nil {
			return nil, err
		}
		out = append(out, resp.Groups...)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Group < out[j].Group })
	return out, nil
}

// javaError is an error whose text on standard output names Java classes, and
// whose text on standard error does not.
type javaError struct {
	text, plain string
	cause       error
}

func (e *javaError) Error() string { return e.plain }
func (e *javaError) Unwrap() error { return e.cause }
