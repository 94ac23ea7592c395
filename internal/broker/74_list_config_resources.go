package broker

import (
	"slices"
	"strconv"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listConfigResources names what has settings (KIP-1142). v0 knows client metrics only.
func (b *Broker) listConfigResources(r *server.Request) {
	req := r.Body.(*kmsg.ListConfigResourcesRequest)
	resp := req.ResponseKind().(*kmsg.ListConfigResourcesResponse)
	if !b.allowedCluster(r, security.OperationDescribeConfigs) {
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		r.Reply(resp)
		return
	}
	types := req.ResourceTypes
	if r.Version == 0 {
		types = []int8{int8(kmsg.ConfigResourceTypeClientMetrics)}
	}
	served := []int8{
		int8(kmsg.ConfigResourceTypeTopic), int8(kmsg.ConfigResourceTypeBroker), int8(kmsg.ConfigResourceTypeBrokerLogger),
		int8(kmsg.ConfigResourceTypeClientMetrics), int8(kmsg.ConfigResourceTypeGroupConfig),
	}
	if len(types) == 0 {
		types = served
	}
	for _, t := range types {
		if !slices.Contains(served, t) {
			resp.ErrorCode = kerr.UnsupportedVersion.Code
			resp.ConfigResources = nil
			break
		}
		for _, name := range b.resourcesOf(t) {
			o := kmsg.NewListConfigResourcesResponseConfigResource()
			o.Type, o.Name = t, name
			resp.ConfigResources = append(resp.ConfigResources, o)
		}
	}
	r.Reply(resp)
}

// resourcesOf lists every topic and broker, and the groups and metrics subscriptions that have settings.
func (b *Broker) resourcesOf(t int8) []string {
	img := b.Image()
	var names []string
	switch kmsg.ConfigResourceType(t) {
	case kmsg.ConfigResourceTypeTopic:
		img.Topics(func(t *meta.Topic) bool {
			names = append(names, t.Name)
			return true
		})
	case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger:
		for _, n := range img.Brokers() {
			names = append(names, strconv.Itoa(int(n.ID)))
		}
	default:
		for res := range img.Configs() {
			if res.Type == t {
				names = append(names, res.Name)
			}
		}
	}
	return names
}
