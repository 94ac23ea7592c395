package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteTopics deletes topics by name, from version 6 also by id (KIP-516). v1-6.
func (b *Broker) deleteTopics(r *server.Request) {
	req := r.Body.(*kmsg.DeleteTopicsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	refuse := func(t kmsg.DeleteTopicsRequestTopic, e *kerr.Error, why string) {
		o := kmsg.NewDeleteTopicsResponseTopic()
		o.Topic, o.TopicID, o.ErrorCode, o.ErrorMessage = t.Topic, t.TopicID, e.Code, text(why)
		resp.Topics = append(resp.Topics, o)
	}
	forwarded := *req
	forwarded.Version, forwarded.TopicNames, forwarded.Topics = 6, nil, nil
	for _, t := range deletions(req) {
		if e, why := b.refuseDeletion(r, &t); e != nil {
			refuse(t, e, why)
			continue
		}
		forwarded.Topics = append(forwarded.Topics, t)
	}
	if len(forwarded.Topics) == 0 {
		r.Reply(resp)
		return
	}
	b.forward(r, &forwarded, millis(req.TimeoutMillis), func(answer kmsg.Response) {
		resp.Topics = append(resp.Topics, answer.(*kmsg.DeleteTopicsResponse).Topics...)
		r.Reply(resp)
	}, func(e *kerr.Error, why string) {
		for _, t := range forwarded.Topics {
			refuse(t, e, why)
		}
		r.Reply(resp)
	})
}

// deletions is what the request names, whichever way its version does.
func deletions(req *kmsg.DeleteTopicsRequest) []kmsg.DeleteTopicsRequestTopic {
	if req.Version >= 6 {
		return req.Topics
	}
	var all []kmsg.DeleteTopicsRequestTopic
	for i := range req.TopicNames {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &req.TopicNames[i]
		all = append(all, t)
	}
	return all
}

// refuseDeletion says why a topic may not be deleted by this client, without telling more than it may know.
func (b *Broker) refuseDeletion(r *server.Request, t *kmsg.DeleteTopicsRequestTopic) (*kerr.Error, string) {
	named, byID := t.Topic != nil, t.TopicID != [16]byte{}
	if named == byID {
		return kerr.InvalidRequest, "Topic name and topic id can not both be specified or both be missing."
	}
	if named {
		if b.allowedTopic(r, security.OperationDelete, *t.Topic) {
			return nil, ""
		}
		return kerr.TopicAuthorizationFailed, ""
	}
	known := b.Image().TopicByID(t.TopicID)
	switch {
	case known == nil, !b.allowedTopic(r, security.OperationDescribe, known.Name):
		return kerr.UnknownTopicID, "No topic has this id."
	case !b.allowedTopic(r, security.OperationDelete, known.Name):
		return kerr.TopicAuthorizationFailed, ""
	}
	return nil, ""
}
