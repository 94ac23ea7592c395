package group

import (
	"regexp"
	"slices"
)

// refreshRegexes matches the patterns of the draft's members against all topics where that is due, with the eyes of the
// client that asks, and forgets those that nobody subscribes to any more. It tells whether what a pattern stands for has changed.
func (d *draft) refreshRegexes(mayDescribe func(string) bool) (changed bool) {
	wanted := map[string]struct{}{}
	for _, m := range d.members() {
		if text := m.regexText(); text != "" {
			wanted[text] = struct{}{}
		}
	}
	if len(wanted) == 0 && len(d.g.regexes) == 0 {
		return false
	}
	out := map[string]resolvedRegex{}
	for _, text := range sortedKeys(d.g.regexes) {
		if _, stays := wanted[text]; stays {
			out[text] = d.g.regexes[text]
			continue
		}
		d.t.Append(consumerTombstone(keyRegex, d.g.id, text))
	}
	for _, text := range sortedKeys(wanted) {
		x, known := out[text]
		if mayDescribe == nil || (known && !d.regexIsDue(x)) {
			continue
		}
		topics := d.matches(text, mayDescribe)
		if known && slices.Equal(topics, x.topics) && d.t.NowMs-x.atMs < d.s.cfg.Consumer.RegexRefreshMs {
			continue
		}
		changed = changed || !known || !slices.Equal(topics, x.topics)
		out[text] = resolvedRegex{topics: topics, version: d.meta.Version(), atMs: d.t.NowMs}
		d.t.Append(d.g.regexRecord(text, out[text]))
	}
	d.regexes = out
	return changed
}

// regexIsDue: the cluster's topics may have changed since, or what the client may see has.
func (d *draft) regexIsDue(x resolvedRegex) bool {
	return d.g.seen != d.meta.Version() || d.t.NowMs-x.atMs >= d.s.cfg.Consumer.RegexRefreshMs
}

// matches is the topics that a pattern matches as a whole.
func (d *draft) matches(text string, mayDescribe func(string) bool) []string {
	re, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		return nil // one from another broker's log, which reads some patterns that we cannot
	}
	var out []string
	d.meta.EachTopic(func(name string) {
		if re.MatchString(name) && mayDescribe(name) {
			out = append(out, name)
		}
	})
	slices.Sort(out)
	return out
}
