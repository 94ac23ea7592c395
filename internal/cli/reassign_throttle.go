package cli

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Keys that hold back replication while partitions move.
const (
	leaderRateKey       = "leader.replication.throttled.rate"
	followerRateKey     = "follower.replication.throttled.rate"
	dirRateKey          = "replica.alter.log.dirs.io.max.bytes.per.second"
	leaderReplicasKey   = "leader.replication.throttled.replicas"
	followerReplicasKey = "follower.replication.throttled.replicas"
)

func (t *reassignTool) randomStart(n int) int { return rand.IntN(max(n, 1)) }

// setThrottles sets the rates and says which replicas they hold back.
func (t *reassignTool) setThrottles(plan []planMove, current map[topicPartition][]int32) error {
	rate, _ := t.p.number("throttle")
	dirRate, _ := t.p.number("replica-alter-log-dirs-throttle")
	if rate < 0 && dirRate < 0 {
		return nil
	}
	t.println("Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.")
	if rate >= 0 {
		if err := t.throttleReplicas(plan, current, rate); err != nil {
			return err
		}
		t.printf("The inter-broker throttle limit was set to %d B/s\n", rate)
	}
	if dirRate >= 0 {
		brokers := map[int32]bool{}
		for r := range movesOf(plan) {
			brokers[r.broker] = true
		}
		for _, id := range i32s(brokers) {
			if err := t.alter(resourceBroker, strconv.Itoa(int(id)), map[string]string{dirRateKey: strconv.FormatInt(dirRate, 10)}, nil); err != nil {
				return err
			}
		}
		t.printf("The replica-alter-dir throttle limit was set to %d B/s\n", dirRate)
	}
	return nil
}

func (t *reassignTool) throttleReplicas(plan []planMove, current map[topicPartition][]int32, rate int64) error {
	leaders, followers := map[string][]string{}, map[string][]string{}
	brokers := map[int32]bool{}
	for _, m := range plan {
		topic := m.tp.topic
		for _, id := range current[m.tp] {
			leaders[topic] = append(leaders[topic], fmt.Sprintf("%d:%d", m.tp.partition, id))
			brokers[id] = true
		}
		for _, id := range m.replicas {
			if !containsID(current[m.tp], id) {
				followers[topic] = append(followers[topic], fmt.Sprintf("%d:%d", m.tp.partition, id))
				brokers[id] = true
			}
		}
	}
	for _, topic := range planTopics(plan) {
		sort.Strings(leaders[topic])
		sort.Strings(followers[topic])
		set := map[string]string{leaderReplicasKey: strings.Join(leaders[topic], ","), followerReplicasKey: strings.Join(followers[topic], ",")}
		if err := t.alter(resourceTopic, topic, set, nil); err != nil {
			return err
		}
	}
	text := strconv.FormatInt(rate, 10)
	for _, id := range i32s(brokers) {
		if err := t.alter(resourceBroker, strconv.Itoa(int(id)), map[string]string{leaderRateKey: text, followerRateKey: text}, nil); err != nil {
			return err
		}
	}
	return nil
}

// clearThrottles takes every throttle off.
func (t *reassignTool) clearThrottles(brokers []int32, topics []string) error {
	topics = hashMapOrder(topics)
	t.printf("Clearing broker-level throttles on broker%s %s\n", plural(len(brokers)), joinInts(brokers, ","))
	for _, id := range brokers {
		if err := t.alter(resourceBroker, strconv.Itoa(int(id)), nil, []string{leaderRateKey, followerRateKey, dirRateKey}); err != nil {
			return err
		}
	}
	t.printf("Clearing topic-level throttles on topic%s %s\n", plural(len(topics)), strings.Join(topics, ","))
	for _, topic := range topics {
		if err := t.alter(resourceTopic, topic, nil, []string{leaderReplicasKey, followerReplicasKey}); err != nil {
			return err
		}
	}
	return nil
}

func (t *reassignTool) alter(typ kmsg.ConfigResourceType, name string, set map[string]string, del []string) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = typ, name
	for _, k := range sortedKeys(set) {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value, c.Op = k, kmsg.StringPtr(set[k]), kmsg.IncrementalAlterConfigOpSet
		res.Configs = append(res.Configs, c)
	}
	for _, k := range del {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op = k, kmsg.IncrementalAlterConfigOpDelete
		res.Configs = append(res.Configs, c)
	}
	req.Resources = append(req.Resources, res)
	to := typ
	if t.c.Settings.BootstrapIsQuorum {
		to = resourceTopic // controllers take it for any broker
	}
	resp, err := t.sendConfigs(t.c, to, []string{name}, req, "incrementalAlterConfigs")
	if err != nil {
		return err
	}
	for _, rr := range resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		if err := client.CodeError(rr.ErrorCode, rr.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}
