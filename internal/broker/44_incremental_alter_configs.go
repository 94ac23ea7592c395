package broker

import (
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// incrementalAlterConfigs sets, deletes, appends to and subtracts from single settings (KIP-339). v0-1.
func (b *Broker) incrementalAlterConfigs(r *server.Request) {
	req := r.Body.(*kmsg.IncrementalAlterConfigsRequest)
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	result := func(t kmsg.ConfigResourceType, name string, errorCode int16, why *string) {
		o := kmsg.NewIncrementalAlterConfigsResponseResource()
		o.ResourceType, o.ResourceName, o.ErrorCode, o.ErrorMessage = t, name, errorCode, why
		resp.Resources = append(resp.Resources, o)
	}
	forwarded := *req
	forwarded.Resources = nil
	for _, res := range req.Resources {
		if e, why := b.refuseAlter(r, res.ResourceType, res.ResourceName); e != nil {
			result(res.ResourceType, res.ResourceName, e.Code, text(why))
			continue
		}
		forwarded.Resources = append(forwarded.Resources, res)
	}
	if len(forwarded.Resources) == 0 {
		r.Reply(resp)
		return
	}
	b.forward(r, &forwarded, 0, func(answer kmsg.Response) {
		resp.Resources = append(resp.Resources, answer.(*kmsg.IncrementalAlterConfigsResponse).Resources...)
		r.Reply(resp)
	}, func(e *kerr.Error, why string) {
		for _, res := range forwarded.Resources {
			result(res.ResourceType, res.ResourceName, e.Code, text(why))
		}
		r.Reply(resp)
	})
}
