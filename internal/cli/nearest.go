package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"
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

// meant asks whether another name was meant, for the end of a complaint.
func meant(name string, names []string) string {
	if n := nearest(name, names); n != "" {
		return "; did you mean " + n + "?"
	}
	return ""
}

// inPackage are classes by their whole names.
func inPackage(pkg string, classes []string) []string {
	var out []string
	for _, c := range classes {
		out = append(out, pkg+c)
	}
	return out
}

// hintNearestWord is hintNearest where capital letters do not matter.
func (r *run) hintNearestWord(what, word string, words []string) {
	var lower []string
	for _, w := range words {
		lower = append(lower, strings.ToLower(w))
	}
	if i := slices.Index(lower, nearest(strings.ToLower(word), lower)); i >= 0 && !slices.Contains(lower, strings.ToLower(word)) {
		r.advice = append(r.advice, fmt.Sprintf("there is no %s %s; did you mean %s?", what, word, words[i]))
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
	t.hintNearestTopics(t.c, name)
	return notThere("Topic", name)
}

// hintNearestTopics names, for those of the topics that are not there, the ones that were probably meant.
func (r *run) hintNearestTopics(c *client.Client, topics ...string) {
	names, err := r.topicNames(c, false)
	if err != nil {
		return
	}
	for _, t := range topics {
		if !slices.Contains(names, t) {
			r.hintNearest("topic", t, names)
		}
	}
}

// hintNearestGroup names the group that was probably meant.
func (r *run) hintNearestGroup(c *client.Client, id string) {
	all, err := r.listGroups(c, nil, nil)
	if err != nil {
		return
	}
	var names []string
	for _, rg := range all {
		names = append(names, rg.Group)
	}
	if !slices.Contains(names, id) {
		r.hintNearest("group", id, names)
	}
}

// hintNearestEntity names the topic or group that was probably meant.
func (t *configsTool) hintNearestEntity(e entity) {
	switch e.typ {
	case "topics":
		t.hintNearestTopics(t.c, e.name)
	case "groups":
		t.hintNearestGroup(t.c, e.name)
	}
}

// hintNearestKeys names the config keys that were probably meant.
func (t *configsTool) hintNearestKeys(e entity) {
	scopes := map[string]config.Scope{"topics": config.Topic, "brokers": config.Broker, "groups": config.Group, "client-metrics": config.ClientMetrics}
	scope, ok := scopes[e.typ]
	if !ok {
		return
	}
	t.hintUnknownKeys(scope, append(t.add.Keys(), t.del...))
}

// hintUnknownKeys names, for those of the keys that there are not, the ones that were probably meant.
func (r *run) hintUnknownKeys(scope config.Scope, keys []string) {
	for _, k := range keys {
		if _, known := config.Lookup(scope, k); !known {
			r.hintNearest("config", k, configNames(scope))
		}
	}
}
