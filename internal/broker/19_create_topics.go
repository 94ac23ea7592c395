package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createTopics creates topics, each for itself. v2-7; topic ids and effective
// settings in the answer from 5 and 7. The leaders serve before the answer leaves.
func (b *Broker) createTopics(r *server.Request) {
	req := r.Body.(*kmsg.CreateTopicsRequest)
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	refuse := func(name string, e *kerr.Error, why string) {
		t := newCreateTopicsResult(name, e, why)
		resp.Topics = append(resp.Topics, t)
	}
	onCluster := b.open || b.allowedQuietly(r, security.OperationCreate, security.ResourceCluster, security.ClusterName)
	forwarded := *req
	forwarded.Topics = nil
	times := timesNamed(req)
	for i := range req.Topics {
		t := &req.Topics[i]
		switch {
		case times[t.Topic] > 1:
			if times[t.Topic] != reported {
				refuse(t.Topic, kerr.InvalidRequest, "Duplicate topic name.")
				times[t.Topic] = reported
			}
		case !onCluster && !b.allowedTopic(r, security.OperationCreate, t.Topic):
			refuse(t.Topic, kerr.TopicAuthorizationFailed, "Authorization failed.")
		case t.Topic == "__cluster_metadata":
			refuse(t.Topic, kerr.InvalidRequest, "Creation of internal topic "+t.Topic+" is prohibited.")
		default:
			forwarded.Topics = append(forwarded.Topics, *t)
		}
	}
	if len(forwarded.Topics) == 0 {
		r.Reply(resp)
		return
	}
	b.forward(r, &forwarded, millis(req.TimeoutMillis), func(answer kmsg.Response) {
		for _, t := range answer.(*kmsg.CreateTopicsResponse).Topics {
			b.hideConfigs(r, &t)
			resp.Topics = append(resp.Topics, t)
		}
		r.Reply(resp)
	}, func(e *kerr.Error, why string) {
		for i := range forwarded.Topics {
			refuse(forwarded.Topics[i].Topic, e, why)
		}
		r.Reply(resp)
	})
}

// reported marks a topic named twice whose refusal is already in the answer.
const reported = 1 << 30

func timesNamed(req *kmsg.CreateTopicsRequest) map[string]int {
	times := make(map[string]int, len(req.Topics))
	for i := range req.Topics {
		times[req.Topics[i].Topic]++
	}
	return times
}

func newCreateTopicsResult(name string, e *kerr.Error, why string) kmsg.CreateTopicsResponseTopic {
	t := kmsg.NewCreateTopicsResponseTopic()
	t.Topic, t.ErrorCode, t.ErrorMessage = name, e.Code, text(why)
	t.NumPartitions, t.ReplicationFactor, t.Configs = -1, -1, noConfigs()
	return t
}

// noConfigs is Kafka's default of a list that could be null.
func noConfigs() []kmsg.CreateTopicsResponseTopicConfig {
	return []kmsg.CreateTopicsResponseTopicConfig{}
}

// hideConfigs takes what the topic became out of the answer for those who may not
// describe its settings (KIP-525), and adds the settings for those who may.
func (b *Broker) hideConfigs(r *server.Request, t *kmsg.CreateTopicsResponseTopic) {
	if t.ErrorCode != 0 || r.Version < 5 {
		t.Configs = noConfigs()
		return
	}
	if !b.allowedTopic(r, security.OperationDescribeConfigs, t.Topic) {
		t.ConfigErrorCode = kerr.TopicAuthorizationFailed.Code
		t.NumPartitions, t.ReplicationFactor, t.Configs = -1, -1, noConfigs()
		return
	}
	if t.Configs != nil {
		return
	}
	for _, e := range b.configView().settingsOf(kmsg.ConfigResourceTypeTopic, t.Topic) {
		c := kmsg.NewCreateTopicsResponseTopicConfig()
		c.Name, c.Value, c.ReadOnly, c.Source, c.IsSensitive = e.Name, e.Value, e.ReadOnly, int8(e.Source), e.Sensitive
		t.Configs = append(t.Configs, c)
	}
}
