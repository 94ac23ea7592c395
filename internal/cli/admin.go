package cli

import (
	"errors"
	"io/fs"
	"sort"
	"syscall"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicNames lists the names of all topics that the user may see, sorted.
func (r *run) topicNames(c *client.Client, excludeInternal bool) ([]string, error) {
	md, err := c.Metadata(r.ctx, "listTopics", nil, true)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range md.Topics {
		if t.ErrorCode != 0 || t.Topic == nil || excludeInternal && t.IsInternal {
			continue
		}
		names = append(names, *t.Topic)
	}
	sort.Strings(names)
	return names, nil
}

// Config resource types of the protocol.
const (
	resourceTopic         = kmsg.ConfigResourceTypeTopic
	resourceBroker        = kmsg.ConfigResourceTypeBroker
	resourceBrokerLogger  = kmsg.ConfigResourceTypeBrokerLogger
	resourceClientMetrics = kmsg.ConfigResourceTypeClientMetrics
	resourceGroup         = kmsg.ConfigResourceTypeGroupConfig
)

type configEntry = kmsg.DescribeConfigsResponseResourceConfig

// describeConfigs asks any broker for the configs of resources of one type;
// the answer's order is the request's. Broker resources go to that broker.
func (r *run) describeConfigs(c *client.Client, typ kmsg.ConfigResourceType, names []string, synonyms bool) (map[string][]configEntry, error) {
	if len(names) == 0 {
		return nil, nil
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = synonyms
	for _, n := range names {
		rr := kmsg.NewDescribeConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = typ, n
		req.Resources = append(req.Resources, rr)
	}
	resp, err := r.sendConfigs(c, typ, names, req, "describeConfigs")
	if err != nil {
		return nil, err
	}
	out := make(map[string][]configEntry, len(names))
	for _, res := range resp.(*kmsg.DescribeConfigsResponse).Resources {
		if res.ErrorCode != 0 && res.ErrorMessage != nil { // an empty one is one too
			return nil, &client.KafkaError{Code: res.ErrorCode, Message: *res.ErrorMessage}
		}
		if err := client.CodeError(res.ErrorCode, nil); err != nil {
			return nil, err
		}
		out[res.ResourceName] = res.Configs
	}
	return out, nil
}

// sendConfigs sends a config request where it belongs: what concerns one broker
// goes to that broker, everything else to any.
func (r *run) sendConfigs(c *client.Client, typ kmsg.ConfigResourceType, names []string, req kmsg.Request, call string) (kmsg.Response, error) {
	if (typ != resourceBroker && typ != resourceBrokerLogger) || len(names) != 1 || names[0] == "" {
		return c.Any(r.ctx, call, req)
	}
	id, err := brokerID(names[0])
	if err != nil {
		return nil, err
	}
	if !c.Settings.BootstrapIsQuorum { // controllers are found without it
		if _, err := c.Metadata(r.ctx, call, nil, false); err != nil {
			return nil, err
		}
	}
	return c.OnBroker(r.ctx, call, id, req)
}

// isUnsupported reports whether the cluster does not have the API.
func isUnsupported(err error) bool {
	return client.IsCode(err, client.CodeUnsupportedVersion)
}

// message is what Kafka prints of an error.
func message(err error) string {
	var ee *exitError
	if errors.As(err, &ee) {
		return ""
	}
	return err.Error()
}

// withClass is how Java prints an exception inside another sentence.
func withClass(err error) string {
	if c := client.ClassOf(err); c != "" {
		if err.Error() == "" {
			return c
		}
		return c + ": " + err.Error()
	}
	return err.Error()
}

// withFileClass is withClass where Kafka names the class of a missing file too.
func withFileClass(err error) string {
	if fe := new(client.FileError); errors.As(err, &fe) && errors.Is(fe.Cause, fs.ErrNotExist) {
		return "java.nio.file.NoSuchFileException: " + err.Error()
	}
	if fe := new(client.FileError); errors.As(err, &fe) && errors.Is(fe.Cause, syscall.EISDIR) {
		return "java.io.IOException: " + err.Error()
	}
	return withClass(err)
}

func i32s(m map[int32]bool) []int32 {
	out := make([]int32, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}
