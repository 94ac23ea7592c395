package broker

import (
	"fmt"
	"strconv"

	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeConfigs shows settings with where each comes from. v1-4.
func (b *Broker) describeConfigs(r *server.Request) { b.configView().Describe(r) }

func (b *Broker) configView() ConfigView {
	return ConfigView{NodeID: b.nodeID, Authorizer: b.authorizer, Image: b.Image, Settings: b.conf}
}

// ConfigView answers DescribeConfigs for a node, broker or controller.
type ConfigView struct {
	NodeID     int32
	Authorizer security.Authorizer
	Image      func() *meta.Image
	Settings   func() *config.Config
}

// Describe shows settings with where each comes from.
func (v ConfigView) Describe(r *server.Request) {
	req := r.Body.(*kmsg.DescribeConfigsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	for i := range req.Resources {
		want := &req.Resources[i]
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = want.ResourceType, want.ResourceName
		entries, err := v.describeResource(r, want)
		out.ErrorMessage = new(string) // Kafka's schema: empty, never null
		if err != nil {
			out.ErrorCode, out.ErrorMessage = code(err), message(err)
		}
		if len(want.ConfigNames) > 0 { // to Kafka, none is all
			entries = config.Select(entries, want.ConfigNames)
		}
		for _, e := range entries {
			out.Configs = append(out.Configs, configEntry(req, &e))
		}
		resp.Resources = append(resp.Resources, out)
	}
	r.Reply(resp)
}

// configAction is the permission that the settings of a type of resource need.
func configAction(op security.Operation, t kmsg.ConfigResourceType, name string) (security.Action, bool) {
	switch t {
	case kmsg.ConfigResourceTypeTopic:
		return security.On(op, security.ResourceTopic, name), true
	case kmsg.ConfigResourceTypeGroupConfig:
		return security.On(op, security.ResourceGroup, name), true
	case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger, kmsg.ConfigResourceTypeClientMetrics:
		return security.OnCluster(op), true
	}
	return security.Action{}, false
}

func (v ConfigView) describeResource(r *server.Request, want *kmsg.DescribeConfigsRequestResource) ([]config.Entry, error) {
	action, ok := configAction(security.OperationDescribeConfigs, want.ResourceType, want.ResourceName)
	if !ok {
		return nil, fmt.Errorf("%w: Unsupported resource type: %d", kerr.InvalidRequest, want.ResourceType)
	}
	if !security.Allowed(v.Authorizer, r.SecurityContext(), action) {
		if want.ResourceType == kmsg.ConfigResourceTypeTopic {
			return nil, kerr.TopicAuthorizationFailed
		}
		if want.ResourceType == kmsg.ConfigResourceTypeGroupConfig {
			return nil, kerr.GroupAuthorizationFailed
		}
		return nil, kerr.ClusterAuthorizationFailed
	}
	switch want.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if meta.CheckTopicName(want.ResourceName) != nil {
			return nil, kerr.InvalidTopicException
		}
		if v.Image().Topic(want.ResourceName) == nil {
			return nil, kerr.UnknownTopicOrPartition
		}
	case kmsg.ConfigResourceTypeBroker:
		if err := checkBrokerName(v.NodeID, want.ResourceName); err != nil {
			return nil, err
		}
	case kmsg.ConfigResourceTypeBrokerLogger:
		return nil, fmt.Errorf("%w: the levels of single loggers are not served; set moldau.log.level", kerr.InvalidRequest)
	case kmsg.ConfigResourceTypeGroupConfig, kmsg.ConfigResourceTypeClientMetrics:
		if want.ResourceName == "" {
			return nil, fmt.Errorf("%w: the resource name must not be empty", kerr.InvalidRequest)
		}
	}
	return v.settingsOf(want.ResourceType, want.ResourceName), nil
}

// settingsOf is the configuration of a resource that exists and may be seen.
func (v ConfigView) settingsOf(t kmsg.ConfigResourceType, name string) []config.Entry {
	overrides := v.Image().Config(int8(t), name)
	switch t {
	case kmsg.ConfigResourceTypeTopic:
		return v.Settings().DescribeTopic(overrides)
	case kmsg.ConfigResourceTypeGroupConfig:
		return v.Settings().DescribeGroup(overrides)
	case kmsg.ConfigResourceTypeClientMetrics:
		return v.Settings().DescribeClientMetrics(overrides)
	}
	if name == "" {
		return v.Settings().DescribeBrokerDefault()
	}
	return v.Settings().DescribeBroker()
}

// checkBrokerName: a node describes itself and the cluster-wide default (the empty name).
func checkBrokerName(self int32, name string) error {
	if name == "" {
		return nil
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return fmt.Errorf("%w: Broker id must be an integer, but it is: %s", kerr.InvalidRequest, name)
	}
	if int32(id) != self {
		return fmt.Errorf("%w: Unexpected broker id, expected %d or empty string, but received %s", kerr.InvalidRequest, self, name)
	}
	return nil
}

func configEntry(req *kmsg.DescribeConfigsRequest, e *config.Entry) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value, c.ReadOnly, c.IsSensitive = e.Name, e.Value, e.ReadOnly, e.Sensitive
	c.Source, c.ConfigType = kmsg.ConfigSource(e.Source), kmsg.ConfigType(e.Type)
	if req.IncludeSynonyms {
		for _, s := range e.Synonyms {
			o := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			o.Name, o.Value, o.Source = s.Name, s.Value, kmsg.ConfigSource(s.Source)
			c.ConfigSynonyms = append(c.ConfigSynonyms, o)
		}
	}
	if req.IncludeDocumentation {
		c.Documentation = text(e.Documentation)
	}
	return c
}
