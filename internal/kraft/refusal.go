package kraft

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// refusal is the answer to a request that was not carried out, in the request's own form.
func refusal(req kmsg.Request, e *kerr.Error) kmsg.Response {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	text := e.Description
	switch r := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		for _, t := range req.(*kmsg.CreateTopicsRequest).Topics {
			out := kmsg.NewCreateTopicsResponseTopic()
			out.Topic, out.ErrorCode, out.ErrorMessage = t.Topic, e.Code, &text
			r.Topics = append(r.Topics, out)
		}
	case *kmsg.DeleteTopicsResponse:
		q := req.(*kmsg.DeleteTopicsRequest)
		for i := range q.Topics {
			out := kmsg.NewDeleteTopicsResponseTopic()
			out.Topic, out.TopicID, out.ErrorCode, out.ErrorMessage = q.Topics[i].Topic, q.Topics[i].TopicID, e.Code, &text
			r.Topics = append(r.Topics, out)
		}
		for i := range q.TopicNames {
			out := kmsg.NewDeleteTopicsResponseTopic()
			out.Topic, out.ErrorCode = &q.TopicNames[i], e.Code
			r.Topics = append(r.Topics, out)
		}
	case *kmsg.CreatePartitionsResponse:
		for _, t := range req.(*kmsg.CreatePartitionsRequest).Topics {
			out := kmsg.NewCreatePartitionsResponseTopic()
			out.Topic, out.ErrorCode, out.ErrorMessage = t.Topic, e.Code, &text
			r.Topics = append(r.Topics, out)
		}
	case *kmsg.AlterConfigsResponse:
		for _, c := range req.(*kmsg.AlterConfigsRequest).Resources {
			out := kmsg.NewAlterConfigsResponseResource()
			out.ResourceType, out.ResourceName, out.ErrorCode, out.ErrorMessage = c.ResourceType, c.ResourceName, e.Code, &text
			r.Resources = append(r.Resources, out)
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		for _, c := range req.(*kmsg.IncrementalAlterConfigsRequest).Resources {
			out := kmsg.NewIncrementalAlterConfigsResponseResource()
			out.ResourceType, out.ResourceName, out.ErrorCode, out.ErrorMessage = c.ResourceType, c.ResourceName, e.Code, &text
			r.Resources = append(r.Resources, out)
		}
	case *kmsg.AlterClientQuotasResponse:
		for _, q := range req.(*kmsg.AlterClientQuotasRequest).Entries {
			out := kmsg.NewAlterClientQuotasResponseEntry()
			out.ErrorCode, out.ErrorMessage = e.Code, &text
			for _, x := range q.Entity {
				en := kmsg.NewAlterClientQuotasResponseEntryEntity()
				en.Type, en.Name = x.Type, x.Name
				out.Entity = append(out.Entity, en)
			}
			r.Entries = append(r.Entries, out)
		}
	case *kmsg.ElectLeadersResponse:
		r.ErrorCode = e.Code
	case *kmsg.AlterPartitionAssignmentsResponse:
		r.ErrorCode, r.ErrorMessage = e.Code, &text
	case *kmsg.ListPartitionReassignmentsResponse:
		r.ErrorCode, r.ErrorMessage = e.Code, &text
	case *kmsg.DescribeQuorumResponse:
		r.ErrorCode, r.ErrorMessage = e.Code, &text
	case *kmsg.AlterPartitionResponse:
		r.ErrorCode = e.Code
	case *kmsg.UpdateFeaturesResponse:
		r.ErrorCode, r.ErrorMessage = e.Code, &text
	case *kmsg.EnvelopeResponse:
		r.ErrorCode = e.Code
	case *kmsg.FetchResponse:
		r.ErrorCode = e.Code
	case *kmsg.FetchSnapshotResponse:
		r.ErrorCode = e.Code
	case *kmsg.BrokerRegistrationResponse:
		r.ErrorCode, r.BrokerEpoch = e.Code, -1
	case *kmsg.BrokerHeartbeatResponse:
		r.ErrorCode, r.IsFenced = e.Code, true
	case *kmsg.UnregisterBrokerResponse:
		r.ErrorCode, r.ErrorMessage = e.Code, &text
	case *kmsg.AllocateProducerIDsResponse:
		r.ErrorCode = e.Code
	case *kmsg.ControllerRegistrationResponse:
		r.ErrorCode, r.ErrorMessage = e.Code, &text
	case *kmsg.AssignReplicasToDirsResponse:
		r.ErrorCode = e.Code
	case *kmsg.AddRaftVoterResponse:
		r.ErrorCode, r.ErrorMessage = e.Code, &text
	case *kmsg.RemoveRaftVoterResponse:
		r.ErrorCode, r.ErrorMessage = e.Code, &text
	case *kmsg.UpdateRaftVoterResponse:
		r.ErrorCode = e.Code
	}
	return resp
}

// notController says that the only fault of an answer is that another controller leads: the sender then asks that one.
func notController(resp kmsg.Response) bool {
	if codeOf(resp) == kerr.NotController.Code {
		return true
	}
	var codes []int16
	switch r := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		for _, t := range r.Topics {
			codes = append(codes, t.ErrorCode)
		}
	case *kmsg.DeleteTopicsResponse:
		for _, t := range r.Topics {
			codes = append(codes, t.ErrorCode)
		}
	case *kmsg.CreatePartitionsResponse:
		for _, t := range r.Topics {
			codes = append(codes, t.ErrorCode)
		}
	case *kmsg.AlterConfigsResponse:
		for _, t := range r.Resources {
			codes = append(codes, t.ErrorCode)
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		for _, t := range r.Resources {
			codes = append(codes, t.ErrorCode)
		}
	case *kmsg.AlterClientQuotasResponse:
		for _, t := range r.Entries {
			codes = append(codes, t.ErrorCode)
		}
	case *kmsg.ListPartitionReassignmentsResponse:
		codes = append(codes, r.ErrorCode)
	}
	for _, c := range codes {
		if c != kerr.NotController.Code {
			return false
		}
	}
	return len(codes) > 0
}
