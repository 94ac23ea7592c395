package broker

import (
	"regexp"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/wire"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clientSoftware is what a client may call itself and its version (KIP-511).
var clientSoftware = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

// advertised is the list of API keys as ApiVersions gives it.
type advertised []kmsg.ApiVersionsResponseApiKey

func advertise(t *wire.Table) advertised {
	var out advertised
	for _, r := range t.Ranges() {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = r.Key, r.AdvertisedMin, r.Max
		out = append(out, k)
	}
	return out
}

// apiVersions tells what is served and which features are finalized. v0-4; a
// request at a version that we do not know is answered as version 0 with
// UNSUPPORTED_VERSION and the whole table, so that the client can go down.
func (b *Broker) apiVersions(r *server.Request) {
	req := r.Body.(*kmsg.ApiVersionsRequest)
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	resp.ApiKeys = b.table
	switch {
	case r.UnsupportedVersion:
		resp.ErrorCode = kerr.UnsupportedVersion.Code
	case r.Version >= 3 && !(clientSoftware.MatchString(req.ClientSoftwareName) && clientSoftware.MatchString(req.ClientSoftwareVersion)):
		resp.ErrorCode = kerr.InvalidRequest.Code
		resp.ApiKeys = nil
	default:
		b.features(resp)
	}
	r.Reply(resp)
}

// features fills in supported and finalized feature levels, no higher than what is
// served. A feature whose lowest level is 0 is hidden from version 3, whose clients
// cannot read it (KAFKA-17011).
func (b *Broker) features(resp *kmsg.ApiVersionsResponse) {
	img := b.Image()
	resp.FinalizedFeaturesEpoch = img.Offset()
	for _, f := range meta.Features() {
		if f.Min > 0 || resp.Version >= 4 {
			s := kmsg.NewApiVersionsResponseSupportedFeature()
			s.Name, s.MinVersion, s.MaxVersion = f.Name, f.Min, f.Served
			resp.SupportedFeatures = append(resp.SupportedFeatures, s)
		}
		if level := min(img.FeatureLevel(f.Name), f.Served); level > 0 {
			o := kmsg.NewApiVersionsResponseFinalizedFeature()
			o.Name, o.MinVersionLevel, o.MaxVersionLevel = f.Name, level, level
			resp.FinalizedFeatures = append(resp.FinalizedFeatures, o)
		}
	}
}
