package verify

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Operations of IncrementalAlterConfigs.
const (
	opSet      = kmsg.IncrementalAlterConfigOpSet
	opDelete   = kmsg.IncrementalAlterConfigOpDelete
	opAppend   = kmsg.IncrementalAlterConfigOpAppend
	opSubtract = kmsg.IncrementalAlterConfigOpSubtract
)

// Sources of a config's value.
const (
	sourceTopic = kmsg.ConfigSourceDynamicTopicConfig
)

type change struct {
	key   string
	op    kmsg.IncrementalAlterConfigOp
	value *string
}

// alter changes configs of a topic step by step and returns the code.
func (x *exam) alter(name string, validateOnly bool, changes ...change) int16 {
	return x.alterOf(kmsg.ConfigResourceTypeTopic, name, validateOnly, changes...)
}

func (x *exam) alterOf(kind kmsg.ConfigResourceType, name string, validateOnly bool, changes ...change) int16 {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = validateOnly
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, name
	for _, c := range changes {
		r.Configs = append(r.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: c.key, Op: c.op, Value: c.value})
	}
	req.Resources = append(req.Resources, r)
	resp := ask[*kmsg.IncrementalAlterConfigsResponse](x, req)
	x.count("one resource in the answer", len(resp.Resources), 1)
	return resp.Resources[0].ErrorCode
}

// describe tells configs of a topic, all of them when none is named.
func (x *exam) describe(name string, keys ...string) (code int16, out map[string]kmsg.DescribeConfigsResponseResourceConfig) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = true
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, name, keys
	req.Resources = append(req.Resources, r)
	resp := ask[*kmsg.DescribeConfigsResponse](x, req)
	x.count("one resource in the answer", len(resp.Resources), 1)
	out = map[string]kmsg.DescribeConfigsResponseResourceConfig{}
	for _, c := range resp.Resources[0].Configs {
		out[c.Name] = c
	}
	return resp.Resources[0].ErrorCode, out
}

// config is the value of one config of a topic, "" where it has none.
func (x *exam) config(name, key string) (value string, source kmsg.ConfigSource) {
	code, cs := x.describe(name, key)
	x.ok("the configs", code)
	if cs[key].Value != nil {
		value = *cs[key].Value
	}
	return value, cs[key].Source
}

// hasConfig waits until a config of a topic is so: a broker learns of a change from the metadata log.
func (x *exam) hasConfig(name, key, value string, source kmsg.ConfigSource) {
	x.eventually(fmt.Sprintf("%s is %s, of source %d", key, value, source), func() bool {
		v, s := x.config(name, key)
		return v == value && s == source
	})
}

func configRules() []rule {
	return []rule{
		{name: "configs/describe", key: kmsg.DescribeConfigs, says: "A config tells its value and where it is from; with synonyms also what else could have decided it.", cites: "KIP-226",
			run: func(x *exam) {
				t := x.topic(1, "retention.ms=123456789")
				code, all := x.describe(t.name)
				x.ok("the topic", code)
				x.that(len(all) > 20, "all configs of a topic", "%d", len(all))
				code, cs := x.describe(t.name, "retention.ms", "segment.bytes")
				x.ok("the topic", code)
				equal(x, "configs that were asked for", len(cs), 2)
				r := cs["retention.ms"]
				x.that(r.Value != nil && *r.Value == "123456789" && r.Source == sourceTopic, "retention.ms=123456789 of the topic's own", "%v from %d", r.Value, r.Source)
				x.that(len(r.ConfigSynonyms) > 0 && r.ConfigSynonyms[0].Source == sourceTopic, "synonyms, the topic's first", "%+v", r.ConfigSynonyms)
				x.that(cs["segment.bytes"].Source != sourceTopic, "segment.bytes from elsewhere", "of the topic's own")
			}},
		{name: "configs/describe-unknown", key: kmsg.DescribeConfigs, says: "Configs of a topic that does not exist are UNKNOWN_TOPIC_OR_PARTITION.", cites: protocolGuide,
			run: func(x *exam) {
				code, _ := x.describe(x.prefix + "never")
				x.code("the topic", code, codeUnknownTopic)
			}},
		{name: "configs/incremental", key: kmsg.IncrementalAlterConfigs, says: "SET, DELETE, APPEND and SUBTRACT change one config each and leave the others.", cites: "KIP-339",
			run: func(x *exam) {
				t := x.topic(1, "segment.bytes=2097152")
				x.ok("SET", x.alter(t.name, false, change{"retention.ms", opSet, ptr("1234567")}))
				x.hasConfig(t.name, "retention.ms", "1234567", sourceTopic)
				x.ok("APPEND", x.alter(t.name, false, change{"cleanup.policy", opAppend, ptr("compact")}))
				x.hasConfig(t.name, "cleanup.policy", "delete,compact", sourceTopic)
				x.ok("SUBTRACT", x.alter(t.name, false, change{"cleanup.policy", opSubtract, ptr("delete")}))
				x.hasConfig(t.name, "cleanup.policy", "compact", sourceTopic)
				x.ok("DELETE", x.alter(t.name, false, change{"retention.ms", opDelete, nil}))
				x.eventually("retention.ms is no longer the topic's own", func() bool { _, s := x.config(t.name, "retention.ms"); return s != sourceTopic })
				x.hasConfig(t.name, "segment.bytes", "2097152", sourceTopic)
			}},
		{name: "configs/incremental-refused", key: kmsg.IncrementalAlterConfigs, says: "What cannot be is refused whole: unknown configs and bad values are INVALID_CONFIG, a topic that does not exist is UNKNOWN_TOPIC_OR_PARTITION.", cites: "KIP-339",
			run: func(x *exam) {
				t := x.topic(1)
				x.code("an unknown config", x.alter(t.name, false, change{"no.such.key", opSet, ptr("1")}), codeInvalidConfig)
				x.code("one good and one bad", x.alter(t.name, false, change{"segment.bytes", opSet, ptr("2097152")}, change{"retention.ms", opSet, ptr("soon")}), codeInvalidConfig)
				x.code("an unknown topic", x.alter(x.prefix+"never", false, change{"retention.ms", opSet, ptr("1")}), codeUnknownTopic)
				_, s := x.config(t.name, "segment.bytes")
				x.that(s != sourceTopic, "segment.bytes unchanged", "changed")
			}},
		{name: "configs/validate-only", key: kmsg.IncrementalAlterConfigs, says: "With validateOnly nothing is changed.", cites: "KIP-339",
			run: func(x *exam) {
				t := x.topic(1)
				x.ok("SET", x.alter(t.name, true, change{"retention.ms", opSet, ptr("1234567")}))
				_, s := x.config(t.name, "retention.ms")
				x.that(s != sourceTopic, "retention.ms unchanged", "changed")
			}},
		{name: "configs/alter", key: kmsg.AlterConfigs, says: "AlterConfigs replaces all configs of a topic.", cites: "KIP-133",
			run: func(x *exam) {
				t := x.topic(1, "retention.ms=1234567")
				req := kmsg.NewPtrAlterConfigsRequest()
				r := kmsg.NewAlterConfigsRequestResource()
				r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, t.name
				r.Configs = []kmsg.AlterConfigsRequestResourceConfig{{Name: "segment.bytes", Value: ptr("2097152")}}
				req.Resources = append(req.Resources, r)
				resp := ask[*kmsg.AlterConfigsResponse](x, req)
				x.count("one resource in the answer", len(resp.Resources), 1)
				x.ok("the topic", resp.Resources[0].ErrorCode)
				x.hasConfig(t.name, "segment.bytes", "2097152", sourceTopic)
				_, s := x.config(t.name, "retention.ms")
				x.that(s != sourceTopic, "retention.ms no longer the topic's own", "still there")
			}},
		{name: "configs/resources", key: kmsg.ListConfigResources, min: 1, says: "Resources of a type are listed; a type that cannot be listed is UNSUPPORTED_VERSION.", cites: "KIP-1142",
			run: func(x *exam) {
				req := kmsg.NewPtrListConfigResourcesRequest()
				req.ResourceTypes = []int8{int8(kmsg.ConfigResourceTypeTopic)}
				resp := ask[*kmsg.ListConfigResourcesResponse](x, req)
				x.ok("the answer", resp.ErrorCode)
				found := false
				for _, r := range resp.ConfigResources {
					found = found || r.Name == x.main.name
					equal(x, "type of "+r.Name, r.Type, int8(kmsg.ConfigResourceTypeTopic))
				}
				x.that(found, x.main.name+" among the topics", "it is not")
				req = kmsg.NewPtrListConfigResourcesRequest()
				req.ResourceTypes = []int8{99}
				x.code("type 99", ask[*kmsg.ListConfigResourcesResponse](x, req).ErrorCode, codeUnsupportedVersion)
			}},
		{name: "configs/client-metrics-resources", key: kmsg.ListConfigResources, max: versionZero, says: "At version 0 only subscriptions of client metrics are listed.", cites: "KIP-714, KIP-1142",
			run: func(x *exam) {
				resp := ask[*kmsg.ListConfigResourcesResponse](x, kmsg.NewPtrListConfigResourcesRequest())
				x.ok("the answer", resp.ErrorCode)
				for _, r := range resp.ConfigResources {
					x.that(r.Name != x.main.name, "no topics", "%s", r.Name)
				}
			}},
	}
}
