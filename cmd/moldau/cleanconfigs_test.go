//go:build realkafka

package main

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// configsOfNames deletes the configs of groups and of client metrics, which need not be those of anything that is there.
func (c *cleaner) configsOfNames() {
	list := kmsg.NewPtrListConfigResourcesRequest()
	list.ResourceTypes = []int8{int8(kmsg.ConfigResourceTypeClientMetrics), int8(kmsg.ConfigResourceTypeGroupConfig)}
	for _, r := range ask[*kmsg.ListConfigResourcesResponse](c, list).ConfigResources {
		kind := kmsg.ConfigResourceType(r.Type)
		c.restore(kind, r.Name, c.ownConfigs(kind, r.Name, kmsg.ConfigSourceClientMetricsConfig, kmsg.ConfigSourceGroupConfig), nil)
	}
}

// configsOfNodes puts back the configs of each node and of all, and the levels of loggers.
func (c *cleaner) configsOfNodes() {
	for _, node := range append(c.nodes(), "") {
		c.restore(kmsg.ConfigResourceTypeBroker, node, c.ofBroker(node), c.first.brokers[node])
		if node != "" {
			c.restore(kmsg.ConfigResourceTypeBrokerLogger, node, c.levels(node), c.loggersAtFirst(node))
		}
	}
	for topic, first := range c.first.topics {
		c.restore(kmsg.ConfigResourceTypeTopic, topic, c.ownConfigs(kmsg.ConfigResourceTypeTopic, topic, kmsg.ConfigSourceDynamicTopicConfig), first)
	}
}

func (c *cleaner) nodes() []string {
	none := kmsg.NewPtrMetadataRequest()
	none.Topics = []kmsg.MetadataRequestTopic{}
	var out []string
	for _, b := range ask[*kmsg.MetadataResponse](c, none).Brokers {
		out = append(out, strconv.Itoa(int(b.NodeID)))
	}
	return out
}

func (c *cleaner) describe(kind kmsg.ConfigResourceType, name string) []kmsg.DescribeConfigsResponseResourceConfig {
	one := kmsg.NewDescribeConfigsRequestResource()
	one.ResourceType, one.ResourceName, one.ConfigNames = kind, name, nil
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = append(req.Resources, one)
	var out []kmsg.DescribeConfigsResponseResourceConfig
	for _, r := range ask[*kmsg.DescribeConfigsResponse](c, req).Resources {
		out = append(out, r.Configs...)
	}
	return out
}

// ofBroker are the configs that a node's users gave it, or all nodes if it is "". Some clusters have such a one from the beginning.
func (c *cleaner) ofBroker(node string) map[string]string {
	from := kmsg.ConfigSourceDynamicBrokerConfig
	if node == "" {
		from = kmsg.ConfigSourceDynamicDefaultBrokerConfig
	}
	return c.ownConfigs(kmsg.ConfigResourceTypeBroker, node, from)
}

// ownConfigs are those that come from one of sources.
func (c *cleaner) ownConfigs(kind kmsg.ConfigResourceType, name string, sources ...kmsg.ConfigSource) map[string]string {
	out := map[string]string{}
	for _, cfg := range c.describe(kind, name) {
		if !slices.Contains(sources, cfg.Source) {
			continue
		}
		out[cfg.Name] = ""
		if cfg.Value != nil {
			out[cfg.Name] = *cfg.Value
		}
	}
	return out
}

// restore makes the configs that are there now those that were there at first.
func (c *cleaner) restore(kind kmsg.ConfigResourceType, name string, now, first map[string]string) {
	var changes []kmsg.IncrementalAlterConfigsRequestResourceConfig
	change := func(key string, op kmsg.IncrementalAlterConfigOp, value *string) {
		c.has("config "+key+" of", name)
		one := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		one.Name, one.Op, one.Value = key, op, value
		changes = append(changes, one)
	}
	for key := range now {
		if _, known := first[key]; !known {
			change(key, kmsg.IncrementalAlterConfigOpDelete, nil)
		}
	}
	for key, value := range first {
		if is, there := now[key]; !there || is != value {
			change(key, kmsg.IncrementalAlterConfigOpSet, &value)
		}
	}
	c.change(kind, name, changes)
}

func (c *cleaner) change(kind kmsg.ConfigResourceType, name string, changes []kmsg.IncrementalAlterConfigsRequestResourceConfig) {
	if len(changes) == 0 {
		return
	}
	one := kmsg.NewIncrementalAlterConfigsRequestResource()
	one.ResourceType, one.ResourceName, one.Configs = kind, name, changes
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = append(req.Resources, one)
	ask[*kmsg.IncrementalAlterConfigsResponse](c, req)
}

// atFirst are the configs and levels of every node, before a section changes them.
func (c *cleaner) atFirst() *atFirst {
	out := &atFirst{brokers: map[string]map[string]string{"": c.ofBroker("")}, loggers: map[string]map[string]string{}, topics: map[string]map[string]string{}, features: c.features()}
	for _, topic := range c.topics(true) {
		out.topics[topic] = c.ownConfigs(kmsg.ConfigResourceTypeTopic, topic, kmsg.ConfigSourceDynamicTopicConfig)
	}
	for _, node := range c.nodes() {
		out.brokers[node], out.loggers[node] = c.ofBroker(node), c.levels(node)
	}
	return out
}

func (c *cleaner) levels(node string) map[string]string {
	out := map[string]string{}
	for _, l := range c.describe(kmsg.ConfigResourceTypeBrokerLogger, node) {
		if l.Value != nil {
			out[l.Name] = *l.Value
		}
	}
	return out
}

// loggersAtFirst are those that are there now: one that came later has the root's level.
func (c *cleaner) loggersAtFirst(node string) map[string]string {
	out, first := map[string]string{}, c.first.loggers[node]
	for name := range c.levels(node) {
		out[name] = first["root"]
		if level, known := first[name]; known {
			out[name] = level
		}
	}
	return out
}
