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
func (b *Broker) describeConfigs(r *server.Request) {
	req := r.Body.(*kmsg.DescribeConfigsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	for i := range req.Resources {
		want := &req.Resources[i]
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = want.ResourceType, want.ResourceName
		entries, err := b.describeResource(r, want)
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

func (b *Broker) describeResource(r *server.Request, want *kmsg.DescribeConfigsRequestResource) ([]config.Entry, error) {
	action, ok := configAction(security.OperationDescribeConfigs, want.ResourceType, want.ResourceName)
	if !ok {
		return nil, fmt.Errorf("%w: Unsupported resource type: %d", kerr.InvalidRequest, want.ResourceType)
	}
	if !b.open && !security.Allowed(b.authorizer, r.SecurityContext(), action) {
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
		if b.Image().Topic(want.ResourceName) == nil {
			return nil, kerr.UnknownTopicOrPartition
		}
	case kmsg.ConfigResourceTypeBroker:
		if err := b.checkBrokerName(want.ResourceName); err != nil {
			return nil, err
		}
	case kmsg.ConfigResourceTypeBrokerLogger:
		return nil, fmt.Errorf("%w: the levels of single loggers are not served; set moldau.log.level", kerr.InvalidRequest)
	case kmsg.ConfigResourceTypeGroupConfig, kmsg.ConfigResourceTypeClientMetrics:
		if want.ResourceName == "" {
			return nil, fmt.Errorf("%w: the resource name must not be empty", kerr.InvalidRequest)
		}
	}
	return b.settingsOf(want.ResourceType, want.ResourceName), nil
}

// settingsOf is the configuration of a resource that exists and may be seen.
func (b *Broker) settingsOf(t kmsg.ConfigResourceType, name string) []config.Entry {
	overrides := b.Image().Config(int8(t), name)
	switch t {
	case kmsg.ConfigResourceTypeTopic:
		return b.conf().DescribeTopic(overrides)
	case kmsg.ConfigResourceTypeGroupConfig:
		return b.conf().DescribeGroup(overrides)
	case kmsg.ConfigResourceTypeClientMetrics:
		return b.conf().DescribeClientMetrics(overrides)
	}
	if name == "" {
		return b.conf().DescribeBrokerDefault()
	}
	return b.conf().DescribeBroker()
}

// checkBrokerName: a broker describes itself and the cluster-wide default (the empty name).
func (b *Broker) checkBrokerName(name string) error {
	if name == "" {
		return nil
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return fmt.Errorf("%w: Broker id must be an integer, but it is: %s", kerr.InvalidRequest, name)
	}
	if int32(id) != b.nodeID {
		return fmt.Errorf("%w: Unexpected broker id, expected %d or empty string, but received %s", kerr.InvalidRequest, b.nodeID, name)
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
