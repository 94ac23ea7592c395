package broker

import (
	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// firstDeletionDisabled is the first version whose clients know TOPIC_DELETION_DISABLED (KIP-322).
const firstDeletionDisabled = 3

// deleteTopics deletes topics by name, from version 6 also by id (KIP-516). v1-6.
func (b *Broker) deleteTopics(r *server.Request) {
	req := r.Body.(*kmsg.DeleteTopicsRequest)
	d := &deleting{b: b, r: r, resp: req.ResponseKind().(*kmsg.DeleteTopicsResponse)}
	d.sort(deletions(req))
	if len(d.accepted) == 0 {
		r.Reply(d.resp)
		return
	}
	forwarded := *req
	forwarded.Version, forwarded.TopicNames, forwarded.Topics = 6, nil, d.accepted
	b.forward(r, &forwarded, millis(req.TimeoutMillis), func(answer kmsg.Response) {
		for _, t := range answer.(*kmsg.DeleteTopicsResponse).Topics {
			if t.ErrorCode == kerr.TopicDeletionDisabled.Code && r.Version < firstDeletionDisabled {
				t.ErrorCode = kerr.InvalidRequest.Code
			}
			d.resp.Topics = append(d.resp.Topics, t)
		}
		r.Reply(d.resp)
	}, func(e *kerr.Error, why string) {
		for _, t := range d.accepted {
			d.refuse(t.Topic, t.TopicID, e, why)
		}
		r.Reply(d.resp)
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

// deleting sorts what is asked for into what goes to the controller and what is refused here.
type deleting struct {
	b        *Broker
	r        *server.Request
	resp     *kmsg.DeleteTopicsResponse
	accepted []kmsg.DeleteTopicsRequestTopic
}

func (d *deleting) refuse(name *string, id [16]byte, e *kerr.Error, why string) {
	o := kmsg.NewDeleteTopicsResponseTopic()
	o.Topic, o.TopicID, o.ErrorCode, o.ErrorMessage = name, id, e.Code, text(why)
	d.resp.Topics = append(d.resp.Topics, o)
}

// sort refuses what is named twice, once: a client that says "delete" twice may have meant something else.
func (d *deleting) sort(asked []kmsg.DeleteTopicsRequestTopic) {
	var noID [16]byte
	names, ids := make(map[string]int), make(map[[16]byte]int)
	for _, t := range asked {
		switch {
		case t.Topic != nil && t.TopicID != noID:
			d.refuse(t.Topic, t.TopicID, kerr.InvalidRequest, "You may not specify both topic name and topic id.")
		case t.Topic == nil && t.TopicID == noID:
			d.refuse(nil, noID, kerr.InvalidRequest, "Neither topic name nor id were specified.")
		case t.Topic != nil:
			if names[*t.Topic]++; names[*t.Topic] == 2 {
				d.refuse(t.Topic, noID, kerr.InvalidRequest, "Duplicate topic name.")
			}
		default:
			if ids[t.TopicID]++; ids[t.TopicID] == 2 {
				d.refuse(nil, t.TopicID, kerr.InvalidRequest, "Duplicate topic id.")
			}
		}
	}
	for _, t := range asked { // names first: one of them may mean what an id means
		if t.Topic != nil && t.TopicID == noID && names[*t.Topic] == 1 {
			d.byName(t, ids)
		}
	}
	for _, t := range asked {
		if t.Topic == nil && ids[t.TopicID] == 1 {
			d.byID(t)
		}
	}
}

// byName takes an id that means the same topic out of ids.
func (d *deleting) byName(t kmsg.DeleteTopicsRequestTopic, ids map[[16]byte]int) {
	if !d.b.allowedTopic(d.r, security.OperationDelete, *t.Topic) {
		d.refuse(t.Topic, [16]byte{}, kerr.TopicAuthorizationFailed, "")
		return
	}
	known := d.b.Image().Topic(*t.Topic)
	if known != nil && ids[known.ID] > 0 {
		delete(ids, known.ID)
		d.refuse(t.Topic, known.ID, kerr.InvalidRequest, "The topic is named here by its name and by its id.")
		return
	}
	if known != nil {
		controller.ExpectTopic(&t, known.ID)
	}
	d.accepted = append(d.accepted, t)
}

// byID does not tell more than the client may know.
func (d *deleting) byID(t kmsg.DeleteTopicsRequestTopic) {
	known := d.b.Image().TopicByID(t.TopicID)
	switch {
	case known == nil:
		d.refuse(nil, t.TopicID, kerr.UnknownTopicID, "No topic has this id.")
	case d.b.allowedTopic(d.r, security.OperationDelete, known.Name):
		d.accepted = append(d.accepted, t)
	case d.b.allowedQuietly(d.r, security.OperationDescribe, security.ResourceTopic, known.Name):
		d.refuse(&known.Name, t.TopicID, kerr.TopicAuthorizationFailed, "")
	default:
		d.refuse(nil, t.TopicID, kerr.TopicAuthorizationFailed, "")
	}
}
