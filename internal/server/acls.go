package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What Kafka says of ACLs where no authorizer could keep them, on brokers and on controllers alike. Clients show it.
const (
	noAuthorizer       = "No Authorizer is configured."
	noAuthorizerToList = "No Authorizer is configured on the broker"
)

// ReplyWithoutAuthorizer answers DescribeAcls, CreateAcls and DeleteAcls as a node does that has no authorizer: each ACL that is to
// be created and each filter of those to be deleted is refused, and nothing is listed. Clients such as MirrorMaker know the code
// and go on without ACLs. v1-3.
func ReplyWithoutAuthorizer(r *Request) {
	code, why, noList := kerr.SecurityDisabled.Code, noAuthorizer, noAuthorizerToList
	resp := r.Body.ResponseKind()
	switch resp := resp.(type) {
	case *kmsg.DescribeACLsResponse:
		resp.ErrorCode, resp.ErrorMessage = code, &noList
	case *kmsg.CreateACLsResponse:
		for range r.Body.(*kmsg.CreateACLsRequest).Creations {
			one := kmsg.NewCreateACLsResponseResult()
			one.ErrorCode, one.ErrorMessage = code, &why
			resp.Results = append(resp.Results, one)
		}
	case *kmsg.DeleteACLsResponse:
		for range r.Body.(*kmsg.DeleteACLsRequest).Filters {
			one := kmsg.NewDeleteACLsResponseResult()
			one.ErrorCode, one.ErrorMessage = code, &why
			resp.Results = append(resp.Results, one)
		}
	}
	r.Reply(resp)
}
