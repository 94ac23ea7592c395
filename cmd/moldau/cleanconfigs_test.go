//go:build realkafka

package main

import (
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// configsOfNames deletes the configs of groups and of client metrics, which need not be those of anything that is there.
func (c *cleaner) configsOfNames() {
	list := kmsg.NewPtrListConfigResourcesRequest()
	list.ResourceTypes = []int8{int8(kmsg.ConfigResourceTypeClientMetrics), int8(kmsg.ConfigResourceTypeGroupConfig)}
	for _, r := range ask[*kmsg.ListConfigResourcesResponse](c, list).ConfigResources {
		c.deleteConfigs(kmsg.ConfigResourceType(r.Type), r.Name, kmsg.ConfigSourceClientMetricsConfig, kmsg.ConfigSourceGroupConfig)
	}
}

// configsOfNodes puts back the configs of each node and of all, and the levels of loggers.
func (c *cleaner) configsOfNodes() {
	for _, node := range append(c.nodes(), "") {
		c.restore(kmsg.ConfigResourceTypeBroker, node, c.ofBroker(node), c.w.first.brokers[node])
		if node != "" {
			c.restore(kmsg.ConfigResourceTypeBrokerLogger, node, c.levels(node), c.loggersAtFirst(node))
		}
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

// deleteConfigs deletes those that come from one of sources.
func (c *cleaner) deleteConfigs(kind kmsg.ConfigResourceType, name string, sources ...kmsg.ConfigSource) {
	now := map[string]string{}
	for _, cfg := range c.describe(kind, name) {
		if slices.Contains(sources, cfg.Source) {
			now[cfg.Name] = ""
		}
	}
	c.restore(kind, name, now, nil)
}

// ofBroker are the configs that a node's users gave it, or all nodes if it is "". Some clusters have such a one from the beginning.
func (c *cleaner) ofBroker(node string) map[string]string {
	from, out := kmsg.ConfigSourceDynamicBrokerConfig, map[string]string{}
	if node == "" {
		from = kmsg.ConfigSourceDynamicDefaultBrokerConfig
	}
	for _, cfg := range c.describe(kmsg.ConfigResourceTypeBroker, node) {
		if cfg.Source == from {
			out[cfg.Name] = ""
			if cfg.Value != nil {
				out[cfg.Name] = *cfg.Value
			}
		}
	}
	return out
}

// restore makes what is there what was there.
func (c *cleaner) restore(kind kmsg.ConfigResourceType, name string, now, first map[string]string) {
	var changes []kmsg.IncrementalAlterConfigsRequestResourceConfig
	for key, value := range now {
		want, known := first[key]
		if known && want == value {
			continue
		}
		c.has("config "+key+" of", name)
		change := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		change.Name, change.Op = key, kmsg.IncrementalAlterConfigOpDelete
		if known {
			change.Op, change.Value = kmsg.IncrementalAlterConfigOpSet, &want
		}
		changes = append(changes, change)
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
	out := &atFirst{brokers: map[string]map[string]string{"": c.ofBroker("")}, loggers: map[string]map[string]string{}, features: c.features()}
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

// loggersAtFirst gives those that came later the root's level.
func (c *cleaner) loggersAtFirst(node string) map[string]string {
	out := maps.Clone(c.w.first.loggers[node])
	for name := range c.levels(node) {
		if _, known := out[name]; !known {
			out[name] = out["root"]
		}
	}
	return out
}
