package broker

import (
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterConfigs replaces all settings of a resource. v0-2; clients use IncrementalAlterConfigs since 2.3.
func (b *Broker) alterConfigs(r *server.Request) {
	req := r.Body.(*kmsg.AlterConfigsRequest)
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	result := func(t kmsg.ConfigResourceType, name string, errorCode int16, why *string) {
		o := kmsg.NewAlterConfigsResponseResource()
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
		resp.Resources = append(resp.Resources, answer.(*kmsg.AlterConfigsResponse).Resources...)
		r.Reply(resp)
	}, func(e *kerr.Error, why string) {
		for _, res := range forwarded.Resources {
			result(res.ResourceType, res.ResourceName, e.Code, text(why))
		}
		r.Reply(resp)
	})
}

// refuseAlter says why a client may not alter the settings of a resource.
func (b *Broker) refuseAlter(r *server.Request, t kmsg.ConfigResourceType, name string) (*kerr.Error, string) {
	action, ok := configAction(security.OperationAlterConfigs, t, name)
	if !ok {
		return kerr.InvalidRequest, "Unknown resource type"
	}
	if t == kmsg.ConfigResourceTypeBrokerLogger {
		return kerr.InvalidRequest, "the levels of single loggers are not served; set moldau.log.level"
	}
	if b.open || security.Allowed(b.authorizer, r.SecurityContext(), action) {
		return b.refuseName(t, name)
	}
	switch t {
	case kmsg.ConfigResourceTypeTopic:
		return kerr.TopicAuthorizationFailed, ""
	case kmsg.ConfigResourceTypeGroupConfig:
		return kerr.GroupAuthorizationFailed, ""
	}
	return kerr.ClusterAuthorizationFailed, ""
}

// refuseName says why a resource cannot be altered here: clients send a broker's settings to that broker.
func (b *Broker) refuseName(t kmsg.ConfigResourceType, name string) (*kerr.Error, string) {
	switch t {
	case kmsg.ConfigResourceTypeTopic:
		if name == "" {
			return nil, "" // the controller has a word for it
		}
		if err := meta.CheckTopicName(name); err != nil {
			return kerr.InvalidTopicException, err.Error()
		}
	case kmsg.ConfigResourceTypeBroker:
		if err := checkBrokerName(b.nodeID, name); err != nil {
			return kerr.InvalidRequest, err.Error()
		}
	}
	return nil, ""
}
