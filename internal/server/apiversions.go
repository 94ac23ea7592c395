package server

import (
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ReplyApiVersions tells what the listener serves and which features are finalized. v0-4; a request at a version that we do not
// know is answered as version 0 with UNSUPPORTED_VERSION and the versions of ApiVersions itself, so that the client can go down.
// The level of kraft.version stands in the log's control records and not in the image.
func ReplyApiVersions(r *Request, img *meta.Image, kraftVersion int16) {
	req := r.Body.(*kmsg.ApiVersionsRequest)
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	switch {
	case r.UnsupportedVersion:
		resp.ErrorCode, resp.ApiKeys = kerr.UnsupportedVersion.Code, r.Conn.Table().ApiVersionsOnly()
	case r.Version >= 3 && !(ValidSoftware(req.ClientSoftwareName) && ValidSoftware(req.ClientSoftwareVersion)):
		resp.ErrorCode = kerr.InvalidRequest.Code
	default:
		resp.ApiKeys = r.Conn.Table().ApiKeys()
		tellFeatures(resp, img, kraftVersion)
	}
	r.Reply(resp)
}

// tellFeatures fills in supported and finalized feature levels, no higher than what is
// served. A feature whose lowest level is 0 is hidden from version 3, whose clients
// cannot read it (KAFKA-17011).
func tellFeatures(resp *kmsg.ApiVersionsResponse, img *meta.Image, kraftVersion int16) {
	resp.FinalizedFeaturesEpoch = img.Offset()
	for _, f := range meta.Features() {
		if f.Min > 0 || resp.Version >= 4 {
			s := kmsg.NewApiVersionsResponseSupportedFeature()
			s.Name, s.MinVersion, s.MaxVersion = f.Name, f.Min, f.Served
			resp.SupportedFeatures = append(resp.SupportedFeatures, s)
		}
		level := img.FeatureLevel(f.Name)
		if f.Name == meta.FeatureKRaftVersion {
			level = kraftVersion
		}
		if level = min(level, f.Served); level > 0 {
			o := kmsg.NewApiVersionsResponseFinalizedFeature()
			o.Name, o.MinVersionLevel, o.MaxVersionLevel = f.Name, level, level
			resp.FinalizedFeatures = append(resp.FinalizedFeatures, o)
		}
	}
}
