package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Sources are where a node's configuration is read from. A later one wins: defaults,
// file, environment, overrides.
type Sources struct {
	FileName  string   // as messages name it
	File      []byte   // the properties file; nil when there is none
	Environ   []string // NAME=value; variables that do not begin with KAFKA_ do not count
	Overrides []string // key=value, from --override
}

// Load reads a configuration and checks it whole. The Config is nil when the report has problems.
func Load(src Sources) (*Config, Report) {
	var r Report
	static := gather(src, &r)
	dropRemoved(static, &r)
	if src.File == nil {
		static = withoutFile(static)
	}
	complete(static, &r)
	checkEach(static, &r)
	if len(r.Problems) > 0 {
		return nil, r // what depends on several values is judged only when each is sound
	}
	c := newConfig(static)
	checkTogether(c, &r)
	if len(r.Problems) > 0 {
		return nil, r
	}
	return c, r
}

// Check is Load for who wants only the report.
func Check(src Sources) Report {
	_, r := Load(src)
	return r
}

// gather merges the sources into one setting for each key.
func gather(src Sources, r *Report) map[string]setting {
	static := make(map[string]setting)
	properties, err := ParseProperties(src.File)
	if err != nil {
		r.problem(Problem{Message: fmt.Sprintf("cannot read %s: %v", src.FileName, err)})
	}
	for _, p := range properties {
		at := Place{File: src.FileName, Line: p.Line}
		if at.File == "" {
			at.File = "properties"
		}
		if old, twice := static[p.Key]; twice {
			r.note(Duplicate, p.Key, at, "%s is set again: this value counts, the one in line %d does not", p.Key, old.place.Line)
		}
		static[p.Key] = setting{text: p.Value, place: at}
	}
	for _, e := range fromEnvironment(src.Environ) {
		static[e.name] = e.setting
	}
	for _, o := range src.Overrides {
		key, val, ok := strings.Cut(o, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			r.problem(Problem{Place: Place{Flag: true}, Message: fmt.Sprintf("%q is not of the form key=value", o)})
			continue
		}
		static[key] = setting{text: strings.TrimSpace(val), place: Place{Flag: true}}
	}
	return static
}

// inOrder gives the names of static as they stand in the file, then those from elsewhere by name.
func inOrder(static map[string]setting) []string {
	names := make([]string, 0, len(static))
	for name := range static {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := static[a].place, static[b].place
		if byFile := cmp.Compare(y.File, x.File); byFile != 0 {
			return byFile // an empty file name comes last
		}
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(a, b))
	})
	return names
}

// checkEach looks at every setting alone, and for those that must be there.
func checkEach(static map[string]setting, r *Report) {
	for i := range brokerKeys {
		if k := &brokerKeys[i]; k.Required && !setAny(static, k.Name) {
			r.problem(missing(k.Name))
		}
	}
	for _, name := range inOrder(static) {
		s := static[name]
		k, known := Lookup(Broker, name)
		if !known {
			noteUnknown(name, s, r)
			continue
		}
		if _, no := k.parse(s.text); no != nil {
			r.problem(badValue(k, name, s, no))
			continue
		}
		if k.Name != name && !perListener(k.Name) {
			r.note(Unknown, name, s.place, "%s is ignored: %s cannot be set for one listener alone", name, k.Name)
			continue
		}
		if k.NoEffect != "" && s.place != (Place{}) { // a default needs no apology
			r.note(NoEffect, name, s.place, "%s", k.NoEffect)
		}
	}
}

func badValue(k *Key, name string, s setting, no *refusal) Problem {
	p := Problem{Key: name, Value: s.text, Place: s.place, Message: no.sentence(name)}
	if k.Sensitive() {
		p.Value = ""
	}
	if k.Check != nil {
		p.Allowed = k.Check.String()
	}
	return p
}

func noteUnknown(name string, s setting, r *Report) {
	if isForeign(name) {
		r.note(NoEffect, name, s.place, "it is not a key of Kafka")
		return
	}
	if broker, ok := topicKeyOf(name); ok {
		r.note(Unknown, name, s.place, "%s is a topic key, not a broker key, and is ignored: the default of all topics is %s", name, broker)
		return
	}
	if near := nearest(name); near != "" {
		r.note(Unknown, name, s.place, "%s is not known and is ignored: did you mean %s?", name, near)
		return
	}
	r.note(Unknown, name, s.place, "%s is not known and is ignored", name)
}

// dropRemoved takes keys of older Kafkas out, after what they say about addresses has been kept.
func dropRemoved(static map[string]setting, r *Report) {
	keepOldAddresses(static, r)
	for _, name := range inOrder(static) {
		i, removed := slices.BinarySearchFunc(removedKeys[:], name, func(k removedKey, name string) int { return compare(k.name, name) })
		if !removed {
			continue
		}
		r.note(Removed, name, static[name].place, "%s was removed from Kafka: %s", name, removedKeys[i].instead)
		if name != zookeeperConnect {
			delete(static, name)
		}
	}
}

// keepOldAddresses writes listeners and advertised.listeners from the keys that came before them.
func keepOldAddresses(static map[string]setting, r *Report) {
	pairs := []struct{ key, host, port string }{
		{Listeners, "host.name", "port"},
		{AdvertisedListeners, "advertised.host.name", "advertised.port"},
	}
	for _, p := range pairs {
		_, present := static[p.key]
		host, hasHost := static[p.host]
		port, hasPort := static[p.port]
		if present || !hasHost && !hasPort {
			continue
		}
		at := host.place
		if !hasHost {
			at = port.place
		}
		if !hasPort {
			port.text = "9092"
		}
		address := "PLAINTEXT://" + strings.TrimSpace(host.text) + ":" + strings.TrimSpace(port.text)
		static[p.key] = setting{text: address, place: at}
		r.note(Understood, p.key, at, "%s is taken to be %s", p.key, address)
	}
}
