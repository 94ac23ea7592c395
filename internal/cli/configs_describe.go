package cli

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func (t *configsTool) describe() error {
	e := t.entities[0]
	if e.typ == "brokers" && e.named && e.name == "" {
		e = entity{typ: e.typ, isDefault: true}
	}
	switch e.typ {
	case "users", "clients", "ips":
		return t.describeQuotas()
	}
	if t.c.Settings.BootstrapIsQuorum && e.typ != "brokers" {
		return &client.KafkaError{Code: 115, Message: "This Admin API is not yet supported when communicating directly with the controller quorum."}
	}
	if e.named && (e.name != "" || e.typ == "topics" || e.typ == "groups" || e.typ == "client-metrics") {
		exists, err := t.p.has("all"), error(nil) // then all is asked for, of whatever it is
		if !exists {
			exists, err = t.exists(e)
		}
		if err != nil {
			return err
		}
		if !exists {
			t.hintNearestEntity(e)
			t.fail(0)
			t.report("The %s '%s' doesn't exist and doesn't have dynamic config.\n", e.singular(), e.name)
			return nil
		}
		return t.describeOne(e)
	}
	if e.isDefault {
		return t.describeOne(e)
	}
	names, err := t.entityNames(e.typ)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := t.describeOne(entity{typ: e.typ, name: n, named: true}); err != nil {
			return err
		}
	}
	if e.typ == "brokers" {
		return t.describeOne(entity{typ: e.typ, isDefault: true})
	}
	return nil
}

// exists reports whether the entity is there or has configs of its own, which
// may be set before or outlive it.
func (t *configsTool) exists(e entity) (bool, error) {
	switch e.typ {
	case "topics":
		md, err := t.c.Metadata(t.ctx, "listTopics", []string{e.name}, false)
		if err != nil {
			return false, err
		}
		for _, mt := range md.Topics {
			if mt.ErrorCode != client.CodeUnknownTopicOrPartition && mt.ErrorCode != client.CodeTopicAuthFailed && mt.ErrorCode != 17 {
				return true, nil
			}
		}
		return false, nil
	case "brokers", "broker-loggers":
		ids, err := t.nodeIDs()
		if err != nil {
			return false, err
		}
		if contains(ids, e.name) {
			return true, nil
		}
		if e.typ == "broker-loggers" {
			return false, nil
		}
	case "groups":
		groups, err := t.listGroups(t.c, nil, nil)
		if err != nil {
			return false, err
		}
		for _, g := range groups {
			if g.Group == e.name {
				return true, nil
			}
		}
	}
	names, err := t.configured(e.typ)
	return contains(names, e.name), err
}

// entityNames lists what --describe shows when no name is given.
func (t *configsTool) entityNames(typ string) ([]string, error) {
	switch typ {
	case "topics":
		return t.topicNames(t.c, false)
	case "brokers", "broker-loggers":
		return t.nodeIDs()
	case "groups":
		groups, err := t.listGroups(t.c, nil, nil)
		if err != nil {
			return nil, err
		}
		set := map[string]bool{}
		for _, g := range groups {
			set[g.Group] = true
		}
		more, err := t.configured(typ)
		for _, n := range more {
			set[n] = true
		}
		return sortedKeys(set), err
	}
	return t.configured(typ)
}

// nodeIDs are those of the brokers, or of the controllers if it is those that are asked.
func (t *configsTool) nodeIDs() ([]string, error) {
	set := map[int32]bool{}
	if t.c.Settings.BootstrapIsQuorum {
		dr, err := t.describeCluster(t.c, false)
		if err != nil {
			return nil, err
		}
		for _, n := range dr.Brokers {
			set[n.NodeID] = true
		}
	} else {
		md, err := t.c.Metadata(t.ctx, "listNodes", nil, false)
		if err != nil {
			return nil, err
		}
		set = brokerSet(md)
	}
	var out []string
	for _, id := range i32s(set) {
		out = append(out, strconv.Itoa(int(id)))
	}
	return out, nil
}

// configured lists the entities that have configs of their own.
func (t *configsTool) configured(typ string) ([]string, error) {
	codes := map[string]int8{"topics": 2, "brokers": 4, "client-metrics": 16, "groups": 32}
	req := kmsg.NewPtrListConfigResourcesRequest()
	req.ResourceTypes = []int8{codes[typ]}
	resp, err := t.c.Any(t.ctx, "listConfigResources", req)
	if isUnsupported(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lr := resp.(*kmsg.ListConfigResourcesResponse)
	var names []string
	for _, res := range lr.ConfigResources {
		names = append(names, res.Name)
	}
	if typ != "client-metrics" { // Kafka's tools leave these as they come
		sort.Strings(names)
	}
	return names, client.CodeError(lr.ErrorCode, nil)
}

func (t *configsTool) describeOne(e entity) error {
	switch all := t.p.has("all"); {
	case t.json:
	case e.isDefault || e.name == "":
		t.printf("Default configs for %s in the cluster are:\n", e.typ)
	case all:
		t.printf("All configs for %s %s are:\n", e.singular(), e.name)
	default:
		t.printf("Dynamic configs for %s %s are:\n", e.singular(), e.name)
	}
	if e.typ == "topics" {
		if err := checkTopicName(e.name); err != nil {
			return illegal("%s", err)
		}
	}
	configs, err := t.describeConfigs(t.c, t.resourceType(), []string{e.name}, true)
	if err != nil {
		return err
	}
	entries := configs[e.name]
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name < entries[j].Name })
	for _, c := range entries {
		if t.p.has("all") || c.Source == dynamicSource(e) {
			if t.json {
				t.row("entityType", e.typ, "entityName", entityName(e), "name", c.Name, "value", c.Value, "source", sourceName(c.Source), "sensitive", c.IsSensitive, "readOnly", c.ReadOnly)
				continue
			}
			t.println("  " + configLine(c))
		}
	}
	return nil
}

// entityName is an entity's name, null for the default.
func entityName(e entity) any {
	if e.isDefault || e.name == "" {
		return nil
	}
	return e.name
}

func dynamicSource(e entity) kmsg.ConfigSource {
	switch {
	case e.typ == "topics":
		return kmsg.ConfigSourceDynamicTopicConfig
	case e.typ == "brokers" && e.name == "":
		return kmsg.ConfigSourceDynamicDefaultBrokerConfig
	case e.typ == "brokers":
		return kmsg.ConfigSourceDynamicBrokerConfig
	case e.typ == "broker-loggers":
		return kmsg.ConfigSourceDynamicBrokerLoggerConfig
	case e.typ == "client-metrics":
		return kmsg.ConfigSourceClientMetricsConfig
	}
	return kmsg.ConfigSourceGroupConfig
}

func configLine(c configEntry) string {
	var synonyms []string
	for _, s := range c.ConfigSynonyms {
		synonyms = append(synonyms, fmt.Sprintf("%s:%s=%s", sourceName(s.Source), s.Name, orNull(s.Value)))
	}
	return fmt.Sprintf("%s=%s sensitive=%t synonyms={%s}", c.Name, orNull(c.Value), c.IsSensitive, strings.Join(synonyms, ", "))
}

func orNull(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

func sourceName(s kmsg.ConfigSource) string {
	names := map[kmsg.ConfigSource]string{
		1: "DYNAMIC_TOPIC_CONFIG", 2: "DYNAMIC_BROKER_CONFIG", 3: "DYNAMIC_DEFAULT_BROKER_CONFIG", 4: "STATIC_BROKER_CONFIG",
		5: "DEFAULT_CONFIG", 6: "DYNAMIC_BROKER_LOGGER_CONFIG", 7: "DYNAMIC_CLIENT_METRICS_CONFIG", 8: "DYNAMIC_GROUP_CONFIG",
	}
	if n, ok := names[s]; ok {
		return n
	}
	return "UNKNOWN"
}
