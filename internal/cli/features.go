package cli

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// The feature levels of Kafka 4.3. A release name such as 4.0 stands for the
// last metadata.version of that release.

const (
	metadataVersionFeature = "metadata.version"
	kraftVersionFeature    = "kraft.version"
	kraftVersion           = 1
	latestStableMetadata   = 30
	latestMetadata         = 31 // not finished
	minMetadataVersion     = 7
)

type metadataLevel struct {
	level int16
	name  string
}

// metadataLevels lists the levels that version-mapping knows, oldest first; the
// last one is not stable yet and cannot be formatted with.
func metadataLevels() []metadataLevel {
	names := strings.Fields("3.3-IV3 3.4-IV0 3.5-IV0 3.5-IV1 3.5-IV2 3.6-IV0 3.6-IV1 3.6-IV2 3.7-IV0 3.7-IV1 3.7-IV2 3.7-IV3 3.7-IV4 3.8-IV0 3.9-IV0 4.0-IV0 4.0-IV1 4.0-IV2 4.0-IV3 4.1-IV0 4.1-IV1 4.2-IV0 4.2-IV1 4.3-IV0 4.4-IV0")
	out := make([]metadataLevel, len(names))
	for i, n := range names {
		out[i] = metadataLevel{int16(minMetadataVersion + i), n}
	}
	return out
}

func metadataName(level int16) string {
	for _, l := range metadataLevels() {
		if l.level == level {
			return l.name
		}
	}
	return fmt.Sprint(level)
}

// releaseLevel finds the level of "4.3-IV0" or of "4.3". unstable allows levels
// that are not released yet.
func releaseLevel(version string, unstable bool) (int16, error) {
	var names []string
	found := int16(-1)
	for _, l := range metadataLevels() {
		if l.level > latestStableMetadata && !unstable {
			continue
		}
		names = append(names, l.name)
		release, _, _ := strings.Cut(l.name, "-")
		if version == l.name || version == release || strings.HasPrefix(version, release+".") {
			found = l.level
		}
		if version == l.name {
			break
		}
	}
	if found >= 0 {
		return found, nil
	}
	return 0, fmt.Errorf("Unknown metadata.version '%s'. Supported metadata.version are: %s", version, strings.Join(names, ", "))
}

// featureLevel is a level of a feature: the metadata.version with which it
// becomes the default, and the one that it cannot be without.
type featureLevel struct {
	bootstrap int16
	needs     int16
}

// features lists every feature but metadata.version; index = level. The order
// is that in which Kafka prints them.
func features() []struct {
	name   string
	levels []featureLevel
} {
	type f = struct {
		name   string
		levels []featureLevel
	}
	return []f{
		{kraftVersionFeature, []featureLevel{{7, 0}, {21, 0}}},
		{"transaction.version", []featureLevel{{7, 0}, {24, 0}, {24, 0}}},
		{"group.version", []featureLevel{{7, 0}, {22, 0}}},
		{"eligible.leader.replicas.version", []featureLevel{{7, 0}, {26, 23}}},
		{"share.version", []featureLevel{{7, 0}, {28, 0}}},
		{"streams.version", []featureLevel{{7, 0}, {29, 0}}},
	}
}

// defaultLevel is the highest level that a metadata.version brings with it.
func defaultLevel(levels []featureLevel, metadata int16) int16 {
	best := int16(0)
	for i, l := range levels {
		if l.bootstrap <= metadata {
			best = int16(i)
		}
	}
	return best
}

func featureLevels(name string) ([]featureLevel, bool) {
	for _, f := range features() {
		if f.name == name {
			return f.levels, true
		}
	}
	return nil, false
}

func featureNames() []string {
	var names []string
	for _, f := range features() {
		names = append(names, f.name)
	}
	sort.Strings(names)
	return names
}

// splitFeature reads name=level.
func splitFeature(s string) (name string, level int16, err error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return "", 0, fmt.Errorf("Can't parse feature=level string %s: equals sign not found.", s)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("Can't parse feature=level string %s: unable to parse %s as a short.", s, value)
	}
	return strings.TrimSpace(name), int16(n), nil
}

// effectiveFeatures settles the levels to format with: what was asked for, and
// for the rest what the metadata.version brings.
func effectiveFeatures(metadata int16, asked map[string]int16) (map[string]int16, error) {
	for name := range asked {
		if _, ok := featureLevels(name); !ok {
			return nil, fmt.Errorf("Unsupported feature: %s. Supported features are: %s", name, strings.Join(featureNames(), ", "))
		}
	}
	out := map[string]int16{}
	for _, f := range features() {
		level, set := asked[f.name]
		if !set {
			level = defaultLevel(f.levels, metadata)
		}
		if level < 0 || int(level) >= len(f.levels) {
			return nil, fmt.Errorf("No feature:%s with feature level %d", f.name, level)
		}
		if need := f.levels[level].needs; level > 0 && metadata < need {
			return nil, fmt.Errorf("%s could not be set to %d because it depends on metadata.version level %d", f.name, level, need)
		}
		out[f.name] = level
	}
	return out, nil
}

func runVersionMapping(r *run, a *subArgs) int {
	level := int16(latestStableMetadata)
	shown := metadataName(level)
	if a.has("release-version") {
		shown = a.value("release-version")
		var err error
		if level, err = releaseLevel(shown, true); err != nil {
			return r.failln(err.Error(), 1)
		}
	}
	if r.json {
		r.row("feature", metadataVersionFeature, "level", level, "version", shown)
	} else {
		r.printf("metadata.version=%d (%s)\n", level, shown)
	}
	for _, f := range features() {
		if r.json {
			r.row("feature", f.name, "level", defaultLevel(f.levels, level), "version", nil)
			continue
		}
		r.printf("%s=%d\n", f.name, defaultLevel(f.levels, level))
	}
	return 0
}

func runFeatureDependencies(r *run, a *subArgs) int {
	for _, s := range a.all("feature") {
		name, level, err := splitFeature(s)
		if !strings.Contains(s, "=") && r.tool == "storage" {
			err = fmt.Errorf("Invalid feature format: %s. Expected format: 'feature=version' (e.g. 'group.version=1')", s)
		}
		if name, value, ok := strings.Cut(s, "="); err != nil && ok && r.tool == "storage" {
			err = fmt.Errorf("Invalid version format: %s for feature %s", value, name)
		}
		if err != nil {
			return r.failln(err.Error(), 1)
		}
		if name == metadataVersionFeature {
			if level < minMetadataVersion || level > latestStableMetadata+1 {
				return r.failln(fmt.Sprintf("Unknown metadata.version %d", level), 1)
			}
			r.dependency(name, level, metadataName(level), 0)
			continue
		}
		levels, ok := featureLevels(name)
		switch {
		case !ok:
			return r.failln("Unknown feature: "+name, 1)
		case level < 0 || int(level) >= len(levels):
			if r.tool == "features" {
				return r.failln(fmt.Sprintf("No feature:%s with feature level %d", name, level), 1)
			}
			return r.failln(fmt.Sprintf("Feature level %d is not supported for feature %s", level, name), 1)
		}
		r.dependency(name, level, "", levels[level].needs)
	}
	return 0
}

// dependency prints which metadata.version a feature's level needs, 0 for none; version is the level's own name if it has one.
func (r *run) dependency(feature string, level int16, version string, needs int16) {
	title := fmt.Sprintf("%s=%d", feature, level)
	if version != "" {
		title += " (" + version + ")"
	}
	switch {
	case r.json && needs == 0:
		r.row("feature", feature, "level", level, "requiredMetadataVersion", nil)
	case r.json:
		r.row("feature", feature, "level", level, "requiredMetadataVersion", needs)
	case needs == 0:
		r.printf("%s has no dependencies.\n", title)
	default:
		r.printf("%s requires:\n    metadata.version=%d (%s)\n", title, needs, metadataName(needs))
	}
}
