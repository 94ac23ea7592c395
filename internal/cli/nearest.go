package cli

import (
	"fmt"

	"github.com/moldau-stream/moldau/internal/config"
)

// nearestLimit is how many letters a name may be off to be taken for a slip.
const nearestLimit = 3

// nearest is the name that was probably meant, or "".
func nearest(name string, names []string) string {
	best, at := "", min(nearestLimit, max(1, len(name)/2))+1
	for _, n := range names {
		if d := config.EditDistance(name, n, at); d < at && n != name {
			best, at = n, d
		}
	}
	return best
}

// hintNearest says which name was probably meant.
func (r *run) hintNearest(what, name string, names []string) {
	if n := nearest(name, names); n != "" {
		r.advice = append(r.advice, fmt.Sprintf("there is no %s %s; did you mean %s?", what, name, n))
	}
}

// configNames are the keys of a kind of resource.
func configNames(scope config.Scope) []string {
	var out []string
	for _, k := range config.Keys(scope) {
		out = append(out, k.Name)
	}
	return out
}

// noTopic is the error of a topic that is not there.
func (t *topicsTool) noTopic() error {
	name := t.p.value("topic")
	if names, err := t.topicNames(t.c, false); err == nil {
		t.hintNearest("topic", name, names)
	}
	return notThere("Topic", name)
}

// hintNearestGroup names the group that was probably meant.
func (g *groupsTool) hintNearestGroup(id string) {
	all, err := g.listGroups(g.c, nil, nil)
	if err != nil {
		return
	}
	var names []string
	for _, rg := range all {
		names = append(names, rg.Group)
	}
	g.hintNearest("group", id, names)
}

// hintNearestKeys names the config keys that were probably meant.
func (t *configsTool) hintNearestKeys(e entity) {
	scopes := map[string]config.Scope{"topics": config.Topic, "brokers": config.Broker, "groups": config.Group, "client-metrics": config.ClientMetrics}
	scope, ok := scopes[e.typ]
	if !ok {
		return
	}
	for _, k := range append(t.add.Keys(), t.del...) {
		if _, known := config.Lookup(scope, k); !known {
			t.hintNearest("config", k, configNames(scope))
		}
	}
}
