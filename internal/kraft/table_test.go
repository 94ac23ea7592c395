package kraft

import (
	"testing"

	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTablesAreKafkas(t *testing.T) {
	Table()
	forwardable()
}

// Whatever is served can be refused in its own form: nobody is left to guess from silence.
func TestEveryRequestCanBeRefused(t *testing.T) {
	for _, r := range rows() {
		if r.serve == nil || r.key == 18 || r.key >= 29 && r.key <= 32 || r.key == 60 || r.key >= 1000 {
			continue
		}
		req := kmsg.RequestForKey(r.key)
		switch q := req.(type) {
		case *kmsg.CreateTopicsRequest:
			q.Topics = append(q.Topics, kmsg.NewCreateTopicsRequestTopic())
		case *kmsg.DeleteTopicsRequest:
			q.Topics = append(q.Topics, kmsg.NewDeleteTopicsRequestTopic())
		case *kmsg.CreatePartitionsRequest:
			q.Topics = append(q.Topics, kmsg.NewCreatePartitionsRequestTopic())
		case *kmsg.AlterConfigsRequest:
			q.Resources = append(q.Resources, kmsg.NewAlterConfigsRequestResource())
		case *kmsg.IncrementalAlterConfigsRequest:
			q.Resources = append(q.Resources, kmsg.NewIncrementalAlterConfigsRequestResource())
		case *kmsg.AlterClientQuotasRequest:
			q.Entries = append(q.Entries, kmsg.NewAlterClientQuotasRequestEntry())
		}
		resp := refusal(req, kerr.NotController)
		switch x := resp.(type) {
		case *kmsg.FetchResponse:
			if x.ErrorCode != kerr.NotController.Code {
				t.Errorf("%s looks like a success", kmsg.NameForKey(r.key))
			}
		case *kmsg.FetchSnapshotResponse:
			if x.ErrorCode != kerr.NotController.Code {
				t.Errorf("%s looks like a success", kmsg.NameForKey(r.key))
			}
		case *kmsg.EnvelopeResponse:
			if x.ErrorCode != kerr.NotController.Code {
				t.Errorf("%s looks like a success", kmsg.NameForKey(r.key))
			}
		case *kmsg.UpdateRaftVoterResponse:
			if x.ErrorCode != kerr.NotController.Code {
				t.Errorf("%s looks like a success", kmsg.NameForKey(r.key))
			}
		default:
			if !notController(resp) {
				t.Errorf("%s looks like a success", kmsg.NameForKey(r.key))
			}
		}
	}
}

func TestEnvelopes(t *testing.T) {
	h := &Handler{forwarded: forwardable()}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(7)
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic = "colours"
	req.Topics = append(req.Topics, topic)
	try := controller.Try{Request: [16]byte{1, 2, 3}, Number: 7}
	sealed, err := seal(security.Principal{Type: "User", Name: "alice"}, nil, req, try)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Table().Lookup(sealed.Key(), sealed.Version)
	if err != nil {
		t.Fatal(err)
	}
	body, err := v.Decode(sealed.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	env := body.(*kmsg.EnvelopeRequest)
	if got := tryOf(env); got != try {
		t.Fatalf("%+v", got)
	}
	p, got, bad := h.unseal(env)
	if bad != nil || p.String() != "User:alice" || got.(*kmsg.CreateTopicsRequest).Topics[0].Topic != "colours" {
		t.Fatalf("%v %v %v", p, got, bad)
	}
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	resp.SetVersion(7)
	out := kmsg.NewCreateTopicsResponseTopic()
	out.Topic = "colours"
	resp.Topics = append(resp.Topics, out)
	again, err := open(reseal(resp), req)
	if err != nil || again.(*kmsg.CreateTopicsResponse).Topics[0].Topic != "colours" {
		t.Fatal(again, err)
	}
	for i := range env.RequestData {
		cut := *env
		cut.RequestData = env.RequestData[:i]
		if _, _, bad := h.unseal(&cut); bad == nil {
			t.Fatalf("%d bytes were taken for a whole request", i)
		}
	}
	env.RequestPrincipal = []byte{0}
	if _, _, bad := h.unseal(env); bad != kerr.PrincipalDeserializationFailure {
		t.Fatal(bad)
	}
}
