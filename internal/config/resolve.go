package config

import (
	"maps"
	"slices"
	"strings"
)

// Source is the layer that a value comes from; the numbers are those of DescribeConfigs.
type Source int8

// The sources.
const (
	SourceUnknown              Source = 0
	SourceTopic                Source = 1
	SourceDynamicBroker        Source = 2
	SourceDynamicDefaultBroker Source = 3
	SourceStaticBroker         Source = 4
	SourceDefault              Source = 5
	SourceBrokerLogger         Source = 6
	SourceClientMetrics        Source = 7
	SourceGroup                Source = 8
)

// Synonym is one layer in which a value is set, under the name that it has there.
type Synonym struct {
	Name   string
	Value  *string // nil for a secret
	Source Source
}

// Entry is one configuration entry of a resource, as DescribeConfigs shows it.
type Entry struct {
	Name          string
	Value         *string // nil for null and for a secret
	Source        Source
	ReadOnly      bool
	Sensitive     bool
	Type          Type // 0 for a key that nothing is known of
	Synonyms      []Synonym
	Documentation string
}

// Select keeps the entries with these names; nil keeps all.
func Select(entries []Entry, names []string) []Entry {
	if len(names) == 0 {
		return entries
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return !slices.Contains(names, e.Name) })
}

// DescribeBroker is the configuration of this broker, by name: all public keys of Kafka, and whatever else is set.
func (c *Config) DescribeBroker() []Entry {
	names := make(map[string]bool)
	for i := range brokerKeys {
		if k := &brokerKeys[i]; k.Origin == Defined && !k.Internal {
			names[k.Name] = true
		}
	}
	for name := range c.static {
		names[name] = true
	}
	for name := range c.dynamicDefault {
		names[name] = true
	}
	for name := range c.dynamicBroker {
		names[name] = true
	}
	entries := make([]Entry, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		entries = append(entries, c.brokerEntry(name, c.synonyms(name)))
	}
	return entries
}

// DescribeBrokerDefault is the dynamic default of all brokers: only what is set there.
func (c *Config) DescribeBrokerDefault() []Entry {
	var entries []Entry
	for _, name := range slices.Sorted(maps.Keys(c.dynamicDefault)) {
		text := c.dynamicDefault[name]
		e := c.brokerEntry(name, []Synonym{{Name: name, Value: shown(name, text), Source: SourceDynamicDefaultBroker}})
		e.Value = shown(name, text)
		entries = append(entries, e)
	}
	return entries
}

// brokerEntry shows a key with the layers that set it. A key that nothing is known of may hold a secret, so it is hidden.
func (c *Config) brokerEntry(name string, synonyms []Synonym) Entry {
	e := Entry{Name: name, Source: sourceOf(synonyms), ReadOnly: true, Sensitive: true, Synonyms: synonyms}
	k, known := Lookup(Broker, name)
	if !known {
		return e
	}
	e.Type, e.Sensitive, e.Documentation = k.Type, k.Sensitive(), k.Doc
	e.ReadOnly = k.Mode == ReadOnly || k.Name != name
	if v := c.value(name); !v.null && !e.Sensitive {
		e.Value = &v.text
	}
	return e
}

func sourceOf(synonyms []Synonym) Source {
	if len(synonyms) == 0 {
		return SourceDefault
	}
	return synonyms[0].Source
}

// shown is text, or nil where name is or may be a secret.
func shown(name, text string) *string {
	if k, known := Lookup(Broker, name); !known || k.Sensitive() {
		return nil
	}
	return &text
}

// brokerSynonyms are the broker keys that together make one setting, strongest first.
func brokerSynonyms(name string) []string {
	families := [...][]string{
		{LogRetentionMs, LogRetentionMinutes, LogRetentionHours},
		{LogRollMs, LogRollHours},
		{LogRollJitterMs, LogRollJitterHours},
	}
	for _, family := range families {
		if slices.Contains(family, name) {
			return family
		}
	}
	if name == LogFlushIntervalMs {
		return []string{LogFlushIntervalMs, LogFlushSchedulerIntervalMs}
	}
	if base, ok := withoutListenerPrefix(name); ok {
		return []string{name, base}
	}
	return []string{name}
}

// synonyms lists the layers of a broker key: dynamic, static, default. Kafka drops what comes
// before the first entry that has the asked-for name itself, and so must we: tools show this list.
func (c *Config) synonyms(name string) []Synonym {
	family := brokerSynonyms(name)
	var all []Synonym
	add := func(source Source, get func(string) (string, bool)) {
		for _, member := range family {
			if text, ok := get(member); ok {
				all = append(all, Synonym{Name: member, Value: shown(member, text), Source: source})
			}
		}
	}
	add(SourceDynamicBroker, func(n string) (string, bool) { s, ok := c.dynamicBroker[n]; return s, ok })
	add(SourceDynamicDefaultBroker, func(n string) (string, bool) { s, ok := c.dynamicDefault[n]; return s, ok })
	add(SourceStaticBroker, func(n string) (string, bool) { s, ok := c.static[n]; return strings.TrimSpace(s.text), ok })
	add(SourceDefault, func(n string) (string, bool) {
		k, known := lookupExact(Broker, n)
		if !known || k.Null || k.Required || k.Origin == Beside {
			return "", false
		}
		return k.fallback().text, true
	})
	first := slices.IndexFunc(all, func(s Synonym) bool { return s.Name == name })
	if first < 0 {
		return nil
	}
	return all[first:]
}

// DescribeTopic is the configuration of a topic with these overrides.
func (c *Config) DescribeTopic(overrides map[string]string) []Entry {
	values, _ := c.topicValues(overrides)
	return c.describe(Topic, SourceTopic, overrides, values)
}

// DescribeGroup is the configuration of a group with these overrides.
func (c *Config) DescribeGroup(overrides map[string]string) []Entry {
	return c.describe(Group, SourceGroup, overrides, c.groupValues(overrides))
}

// DescribeClientMetrics is the configuration of a client metrics subscription.
func (c *Config) DescribeClientMetrics(overrides map[string]string) []Entry {
	values := make(map[string]value, len(clientMetricsKeys))
	for i := range clientMetricsKeys {
		k := &clientMetricsKeys[i]
		values[k.Name] = overridden(k, overrides, k.fallback())
	}
	return c.describe(ClientMetrics, SourceClientMetrics, overrides, values)
}

func (c *Config) groupValues(overrides map[string]string) map[string]value {
	values := make(map[string]value, len(groupKeys))
	for i := range groupKeys {
		k := &groupKeys[i]
		base := k.fallback()
		if len(k.Synonyms) > 0 {
			base = c.value(k.Synonyms[0])
		}
		values[k.Name] = overridden(k, overrides, base)
	}
	return values
}

// overridden is the override of a key where there is one that can be, or else base.
func overridden(k *Key, overrides map[string]string, base value) value {
	if text, ok := overrides[k.Name]; ok {
		if v, no := k.parse(text); no == nil {
			return v
		}
	}
	return base
}

// GroupInt is an INT setting of a group: its override, or what the broker says.
func (c *Config) GroupInt(name string, overrides map[string]string) int {
	k, ok := lookupExact(Group, name)
	if !ok || k.Type != Int {
		panic("config: " + name + " is not an INT key of a group")
	}
	return int(c.groupValues(overrides)[name].num)
}

// describe shows the public keys of a scope, and the internal ones that are set.
func (c *Config) describe(scope Scope, source Source, overrides map[string]string, values map[string]value) []Entry {
	keys := Keys(scope)
	entries := make([]Entry, 0, len(keys))
	for i := range keys {
		k := &keys[i]
		_, set := overrides[k.Name]
		if k.Internal && !set {
			continue
		}
		e := Entry{Name: k.Name, Type: k.Type, Documentation: k.Doc}
		if v := values[k.Name]; !v.null {
			e.Value = &v.text
		}
		if set {
			e.Synonyms = []Synonym{{Name: k.Name, Value: e.Value, Source: source}}
		}
		e.Synonyms = append(e.Synonyms, c.lowerLayers(scope, k)...)
		e.Source = sourceOf(e.Synonyms)
		entries = append(entries, e)
	}
	return entries
}

// lowerLayers are the synonyms of a key below its own resource.
func (c *Config) lowerLayers(scope Scope, k *Key) []Synonym {
	switch {
	case len(k.Synonyms) > 0:
		return c.synonyms(k.Synonyms[0])
	case scope == Group:
		text := k.Default
		return []Synonym{{Name: k.Name, Value: &text, Source: SourceDefault}}
	}
	return nil
}
