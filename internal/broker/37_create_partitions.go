package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createPartitions adds partitions to topics (KIP-195). v0-3.
func (b *Broker) createPartitions(r *server.Request) {
	req := r.Body.(*kmsg.CreatePartitionsRequest)
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	refuse := func(name string, e *kerr.Error, why string) {
		o := kmsg.NewCreatePartitionsResponseTopic()
		o.Topic, o.ErrorCode, o.ErrorMessage = name, e.Code, text(why)
		resp.Topics = append(resp.Topics, o)
	}
	times := make(map[string]int)
	for i := range req.Topics {
		times[req.Topics[i].Topic]++
	}
	forwarded := *req
	forwarded.Topics = nil
	for _, t := range req.Topics {
		switch {
		case times[t.Topic] > 1:
			if times[t.Topic] != reported {
				refuse(t.Topic, kerr.InvalidRequest, "Duplicate topic in request.")
				times[t.Topic] = reported
			}
		case !b.allowedTopic(r, security.OperationAlter, t.Topic):
			refuse(t.Topic, kerr.TopicAuthorizationFailed, "The topic authorization is failed.")
		default:
			forwarded.Topics = append(forwarded.Topics, t)
		}
	}
	if len(forwarded.Topics) == 0 {
		r.Reply(resp)
		return
	}
	b.forward(r, &forwarded, millis(req.TimeoutMillis), func(answer kmsg.Response) {
		resp.Topics = append(resp.Topics, answer.(*kmsg.CreatePartitionsResponse).Topics...)
		r.Reply(resp)
	}, func(e *kerr.Error, why string) {
		for _, t := range forwarded.Topics {
			refuse(t.Topic, e, why)
		}
		r.Reply(resp)
	})
}
