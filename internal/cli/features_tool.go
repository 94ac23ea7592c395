package cli

import (
	"errors"
	"fmt"
	"sort"
	"strconv"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func featuresTool() *subTool {
	release := subOption{long: "release-version", metavar: "RELEASE_VERSION", doc: "A release such as 4.3, or a metadata.version such as 4.3-IV0: every feature goes to the level that belongs to it."}
	metadata := subOption{long: "metadata", metavar: "METADATA", deprecated: true, doc: "The metadata.version to go to."}
	feature := subOption{long: "feature", metavar: "FEATURE", doc: "A feature's level, as name=level; may be repeated."}
	unsafe := subOption{long: "unsafe", doc: "Allow a downgrade that may lose metadata."}
	dryRun := subOption{long: "dry-run", doc: "Let the controller check it without doing it."}
	disabled := feature
	disabled.doc = "A feature's name; may be repeated."
	needed := feature
	needed.required = true
	return &subTool{
		name: "kafka-features", oneOf: "", purpose: "Shows and changes the feature levels of a cluster.",
		usage:    "usage: kafka-features [-h] [--command-config COMMAND_CONFIG]\n                      [--bootstrap-server BOOTSTRAP_SERVER |\n                      --bootstrap-controller BOOTSTRAP_CONTROLLER]\n                      {describe,upgrade,downgrade,disable,version-mapping,feature-dependencies}\n                      ...",
		options:  bootstrapSubOptions(),
		complain: func(r *run, message string) int { return r.featuresComplaint(message) },
		commands: []subcommand{
			{name: "describe", run: runFeaturesDescribe, doc: "Show the levels that are set and those that are supported.",
				usage:   "usage: kafka-features describe [-h] [--node-id NODE_ID]",
				options: listing(subOption{long: "node-id", metavar: "NODE_ID", kind: "Integer", doc: "The node to ask."})},
			{name: "upgrade", run: runFeaturesUpgrade, doc: "Raise the level of features.",
				usage:   "usage: kafka-features upgrade [-h] [--metadata METADATA]\n                      [--release-version RELEASE_VERSION]\n                      [--feature FEATURE] [--dry-run]",
				options: []subOption{metadata, release, feature, dryRun}},
			{name: "downgrade", run: runFeaturesDowngrade, doc: "Lower the level of features.",
				usage:   "usage: kafka-features downgrade [-h] [--metadata METADATA]\n                      [--release-version RELEASE_VERSION]\n                      [--feature FEATURE] [--unsafe] [--dry-run]",
				options: []subOption{metadata, release, feature, unsafe, dryRun}},
			{name: "disable", run: runFeaturesDisable, doc: "Set features to level 0.",
				usage:   "usage: kafka-features disable [-h] [--feature FEATURE] [--unsafe]\n                      [--dry-run]",
				options: []subOption{disabled, unsafe, dryRun}},
			{name: "version-mapping", run: runVersionMapping, doc: "Show which feature levels belong to a release.",
				usage: "usage: kafka-features version-mapping [-h]\n                      [--release-version RELEASE_VERSION]", options: listing(release)},
			{name: "feature-dependencies", run: runFeatureDependencies, doc: "Show what a feature's level needs.",
				usage: "usage: kafka-features feature-dependencies [-h] --feature FEATURE", options: listing(needed)},
		},
	}
}

func runFeatures(r *run, args []string) int { return r.runSubTool(featuresTool(), args) }

// featuresComplaint has no line end behind it, like Kafka's.
func (r *run) featuresComplaint(message string) int {
	r.errorf("Command line error: %s. Type --help for help.", message)
	return r.fail(1)
}

// onFeatures runs fn with a client.
func (r *run) onFeatures(a *subArgs, fn func(*client.Client) error) int {
	if !a.has("bootstrap-server") && !a.has("bootstrap-controller") {
		return r.featuresComplaint("You must specify either --bootstrap-controller or --bootstrap-server.")
	}
	c, err := r.openSub(a)
	return r.onSub(c, err, fn)
}

func runFeaturesDescribe(r *run, a *subArgs) int {
	return r.onFeatures(a, func(c *client.Client) error {
		resp, err := r.askFeatures(c, a)
		if err != nil {
			return err
		}
		r.printFeatures(resp)
		return nil
	})
}

func (r *run) askFeatures(c *client.Client, a *subArgs) (*kmsg.ApiVersionsResponse, error) {
	const call = "describeFeatures"
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "moldau", "1"
	var resp kmsg.Response
	var err error
	if a.has("node-id") {
		if id := a.number("node-id"); id < 0 {
			return nil, fmt.Errorf("Invalid node id %d: must be non-negative.", id)
		}
		if !c.Settings.BootstrapIsQuorum { // controllers are found without it
			if _, err = c.Metadata(r.ctx, call, nil, false); err != nil {
				return nil, err
			}
		}
		resp, err = c.OnBroker(r.ctx, call, int32(a.number("node-id")), req)
	} else {
		resp, err = c.Any(r.ctx, call, req)
	}
	if err != nil {
		return nil, err
	}
	ar := resp.(*kmsg.ApiVersionsResponse)
	return ar, client.CodeError(ar.ErrorCode, nil)
}

func (r *run) printFeatures(resp *kmsg.ApiVersionsResponse) {
	finalized := map[string]int16{}
	for _, f := range resp.FinalizedFeatures {
		finalized[f.Name] = f.MaxVersionLevel
	}
	supported := append([]kmsg.ApiVersionsResponseSupportedFeature(nil), resp.SupportedFeatures...)
	sort.Slice(supported, func(i, j int) bool { return supported[i].Name < supported[j].Name })
	level := func(name string, n int16) string {
		if name == metadataVersionFeature {
			return metadataName(n)
		}
		return strconv.Itoa(int(n))
	}
	for _, f := range supported {
		set, ok := finalized[f.Name]
		shown := level(f.Name, set)
		if !ok {
			shown = "0"
		}
		epoch := "-"
		if resp.FinalizedFeaturesEpoch >= 0 {
			epoch = strconv.FormatInt(resp.FinalizedFeaturesEpoch, 10)
		}
		if r.json {
			r.row("feature", f.Name, "supportedMinVersion", f.MinVersion, "supportedMaxVersion", f.MaxVersion, "finalizedVersionLevel", set, "epoch", resp.FinalizedFeaturesEpoch)
			continue
		}
		r.printf("Feature: %-42sSupportedMinVersion: %-17sSupportedMaxVersion: %-17sFinalizedVersionLevel: %-17sEpoch: %s\n",
			f.Name, level(f.Name, f.MinVersion), level(f.Name, f.MaxVersion), shown, epoch)
	}
}

// Kinds of an update of a feature's level.
const (
	featureUpgrade         = 1
	featureSafeDowngrade   = 2
	featureUnsafeDowngrade = 3
)

func runFeaturesUpgrade(r *run, a *subArgs) int {
	return r.changeFeatures(a, "upgrade", featureUpgrade)
}

func runFeaturesDowngrade(r *run, a *subArgs) int {
	return r.changeFeatures(a, "downgrade", downgradeKind(a))
}

func runFeaturesDisable(r *run, a *subArgs) int {
	return r.changeFeatures(a, "disable", downgradeKind(a))
}

func downgradeKind(a *subArgs) int8 {
	if a.has("unsafe") {
		return featureUnsafeDowngrade
	}
	return featureSafeDowngrade
}

func (r *run) changeFeatures(a *subArgs, op string, kind int8) int {
	return r.onFeatures(a, func(c *client.Client) error {
		levels, err := r.wantedLevels(a, op)
		if err != nil {
			return err
		}
		if err := checkLevels(levels, kind); err != nil {
			return err
		}
		for _, name := range sortedKeys(levels) {
			r.hintNearest("feature", name, append(featureNames(), "metadata.version"))
		}
		if failed := r.updateFeatures(c, levels, op, kind, a.has("dry-run")); failed > 0 {
			return fmt.Errorf("%d out of %d operation(s) failed.", failed, len(levels))
		}
		return nil
	})
}

// checkLevels refuses what no request can be made of.
func checkLevels(levels map[string]int16, kind int8) error {
	for _, name := range sortedKeys(levels) {
		switch level := levels[name]; {
		case level < 0:
			return errors.New("Cannot specify a negative version level.")
		case level < 1 && kind == featureUpgrade:
			return fmt.Errorf("The upgradeType flag should be set to SAFE_DOWNGRADE or UNSAFE_DOWNGRADE when the provided maxVersionLevel:%d is < 1.", level)
		}
	}
	if _, nameless := levels[""]; nameless {
		return errors.New("Provided feature can not be empty.")
	}
	return nil
}

// wantedLevels reads which features are to have which levels.
func (r *run) wantedLevels(a *subArgs, op string) (map[string]int16, error) {
	levels := map[string]int16{}
	add := func(name string, level int16) error {
		if _, twice := levels[name]; twice {
			return fmt.Errorf("Feature %s was specified more than once.", name)
		}
		levels[name] = level
		return nil
	}
	if a.has("release-version") {
		if a.has("metadata") || a.has("feature") {
			return nil, fmt.Errorf("Can not specify `release-version` with other feature flags.")
		}
		level, err := releaseLevel(a.value("release-version"), true)
		if err != nil {
			return nil, err
		}
		levels[metadataVersionFeature] = level
		for _, f := range features() {
			if l := defaultLevel(f.levels, level); l > 0 || op != "upgrade" { // nothing is raised to 0
				levels[f.name] = l
			}
		}
		return levels, nil
	}
	if a.has("metadata") {
		r.println(" `metadata` flag is deprecated and may be removed in a future release.")
		level, err := releaseLevel(a.value("metadata"), true)
		if err != nil {
			return nil, err
		}
		levels[metadataVersionFeature] = level
	}
	for _, s := range a.all("feature") {
		name, level := s, int16(0)
		if op != "disable" {
			var err error
			if name, level, err = splitFeature(s); err != nil {
				return nil, err
			}
		}
		if err := add(name, level); err != nil {
			return nil, err
		}
	}
	if len(levels) == 0 {
		return nil, fmt.Errorf("You must specify at least one feature to %s", op)
	}
	return levels, nil
}

// updateFeatures asks for the change and prints what became of each feature.
func (r *run) updateFeatures(c *client.Client, levels map[string]int16, op string, kind int8, dryRun bool) (failed int) {
	req := kmsg.NewPtrUpdateFeaturesRequest()
	req.ValidateOnly = dryRun
	req.TimeoutMillis = int32(c.Settings.RequestTimeout.Milliseconds())
	names := sortedKeys(levels)
	for _, name := range names {
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType, u.AllowDowngrade = name, levels[name], kind, kind != featureUpgrade
		req.FeatureUpdates = append(req.FeatureUpdates, u)
	}
	results := map[string]error{}
	resp, whole := c.Any(r.ctx, "updateFeatures", req)
	if whole == nil {
		ur := resp.(*kmsg.UpdateFeaturesResponse)
		for _, f := range ur.Results {
			results[f.Feature] = client.CodeError(f.ErrorCode, f.ErrorMessage)
		}
		whole = client.CodeError(ur.ErrorCode, ur.ErrorMessage)
	}
	for _, name := range names {
		what := name
		if op != "disable" {
			what = fmt.Sprintf("%s to %d", name, levels[name])
		}
		fail := results[name]
		if fail == nil {
			fail = whole
		}
		if fail != nil {
			failed++
			r.printf("%s not %s %s. %s\n", map[bool]string{true: "Can", false: "Could"}[dryRun], op, what, fail)
			continue
		}
		subject := map[bool]string{true: "can be", false: "was"}[dryRun]
		verb := op + "d"
		if op == "upgrade" || op == "downgrade" {
			r.printf("%s %s %s to %d.\n", name, subject, verb, levels[name])
		} else {
			r.printf("%s %s %s.\n", name, subject, verb)
		}
	}
	return failed
}
