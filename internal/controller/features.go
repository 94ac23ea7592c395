package controller

import (
	"fmt"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Ways of UpdateFeatures.
const (
	upgrade         int8 = 1
	safeDowngrade   int8 = 2
	unsafeDowngrade int8 = 3
)

// updateFeatures changes all the levels that were asked for, or none.
func (b *batch) updateFeatures(req *kmsg.UpdateFeaturesRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.UpdateFeaturesResponse)
	var records []meta.Record
	seen := map[string]bool{}
	for _, u := range req.FeatureUpdates {
		way := u.UpgradeType
		if req.Version == 0 {
			way = upgrade
			if u.AllowDowngrade {
				way = safeDowngrade
			}
		}
		var err *Error
		if seen[u.Feature] {
			err = refuse(kerr.InvalidRequest, "Feature %s is listed more than once.", u.Feature)
		} else {
			err = b.checkFeature(u.Feature, u.MaxVersionLevel, way)
		}
		seen[u.Feature] = true
		if err != nil {
			return refuseFeatures(resp, err)
		}
		if u.MaxVersionLevel != b.img.FeatureLevel(u.Feature) && u.Feature != meta.FeatureKRaftVersion {
			records = append(records, &meta.FeatureLevelRecord{Name: u.Feature, FeatureLevel: u.MaxVersionLevel})
			if u.Feature == meta.FeatureELR {
				records = append(records, b.switchELR(u.MaxVersionLevel)...)
			}
		}
	}
	b.add(records...)
	if req.ValidateOnly {
		b.dry()
	}
	if req.Version >= 2 { // since then the answer is one for all
		return resp
	}
	for _, u := range req.FeatureUpdates {
		r := kmsg.NewUpdateFeaturesResponseResult()
		r.Feature = u.Feature
		resp.Results = append(resp.Results, r)
	}
	return resp
}

// refuseFeatures refuses them all: the fault stands at the top of the answer, and no version of it lists features then.
func refuseFeatures(resp *kmsg.UpdateFeaturesResponse, err *Error) kmsg.Response {
	text := "The update failed for all features since the following feature had an error: " + err.Message
	resp.ErrorCode, resp.ErrorMessage = err.Code, &text
	return resp
}

func (b *batch) checkFeature(name string, level int16, way int8) *Error {
	bad := func(why string, args ...any) *Error {
		return refuse(kerr.InvalidUpdateVersion, "Invalid update version %d for feature %s. %s", level, name, fmt.Sprintf(why, args...))
	}
	f, known := meta.FeatureNamed(name)
	now := b.img.FeatureLevel(name)
	if name == meta.FeatureKRaftVersion {
		now = b.KRaftVersion
	}
	switch {
	case way != upgrade && way != safeDowngrade && way != unsafeDowngrade:
		return bad("The controller does not support the given upgrade type.")
	case level < 0:
		return bad("A feature version cannot be less than 0.")
	case !known:
		return bad("Local controller %d does not support this feature.", b.cfg.NodeID)
	case level != 0 && (level < f.Min || level > f.Max) || level == 0 && f.Min > 0:
		return bad("Local controller %d only supports versions %d-%d", b.cfg.NodeID, f.Min, f.Max)
	}
	if err := b.checkNodes(name, level, bad); err != nil {
		return err
	}
	switch {
	case level < now && way == upgrade:
		return bad("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.")
	case level > now && way != upgrade:
		return bad("Can't downgrade to a newer version.")
	case name == meta.FeatureMetadataVersion && level < now && way == unsafeDowngrade:
		return refuse(kerr.InvalidUpdateVersion, "Unsupported metadata.version downgrade from %d to %d. Unsafe metadata downgrade is not supported in this version.", now, level)
	case name == meta.FeatureMetadataVersion && level < now:
		return refuse(kerr.InvalidUpdateVersion, "Unsupported metadata.version downgrade from %d to %d. Refusing to perform the requested downgrade because it might delete metadata information.", now, level)
	case name == meta.FeatureKRaftVersion && level < now:
		return bad("Can't downgrade the version of this feature.")
	case name == meta.FeatureKRaftVersion && level > now:
		return bad("The voters of this quorum are configured statically.")
	}
	return nil
}

// checkNodes asks whether every registered node serves the level.
func (b *batch) checkNodes(name string, level int16, bad func(string, ...any) *Error) *Error {
	if level == 0 {
		return nil
	}
	check := func(what string, id int32, ranges []meta.FeatureRange) *Error {
		for _, r := range ranges {
			if r.Name == name {
				if level < r.MinSupportedVersion || level > r.MaxSupportedVersion {
					return bad("%s %d only supports versions %d-%d", what, id, r.MinSupportedVersion, r.MaxSupportedVersion)
				}
				return nil
			}
		}
		return bad("%s %d does not support this feature.", what, id)
	}
	for _, br := range b.img.Brokers() {
		if err := check("Broker", br.ID, br.Features); err != nil {
			return err
		}
	}
	for _, c := range b.img.Controllers() {
		if err := check("Controller", c.ID, c.Features); err != nil {
			return err
		}
	}
	return nil
}

// switchELR writes what goes with the start or the end of eligible leader replicas.
func (b *batch) switchELR(level int16) []meta.Record {
	if level == 0 {
		return []meta.Record{&meta.ClearELRRecord{}}
	}
	if _, ok := b.img.Config(meta.ResourceBroker, "")[minInsyncReplicas]; ok {
		return nil
	}
	v := itoa(int32(b.cfg.MinInsyncReplicas))
	records := []meta.Record{&meta.ConfigRecord{ResourceType: meta.ResourceBroker, Name: minInsyncReplicas, Value: &v}}
	for res, values := range b.img.Configs() { // from now on one minimum holds for all brokers
		if _, ok := values[minInsyncReplicas]; ok && res.Type == meta.ResourceBroker && res.Name != "" {
			records = append(records, &meta.ConfigRecord{ResourceType: res.Type, ResourceName: res.Name, Name: minInsyncReplicas})
		}
	}
	return records
}
