package node

import (
	"testing"

	"github.com/moldau-stream/moldau/internal/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A node without an authorizer says so, with one refusal for each ACL and each filter: MirrorMaker then goes on without ACLs,
// where it complains again and again of an API that is not there. The sentences are Kafka's, which its tools print.
func TestACLsAreSaidToBeDisabled(t *testing.T) {
	start(t, vfs.NewMem()).aclsAreDisabled("localhost:9092", "localhost:9093")
}

func (r *rig) aclsAreDisabled(listeners ...string) {
	r.t.Helper()
	creation, filter := kmsg.NewCreateACLsRequestCreation(), kmsg.NewDeleteACLsRequestFilter()
	creation.ResourceType, creation.ResourceName, creation.Principal = kmsg.ACLResourceTypeTopic, "orders", "User:a"
	for _, at := range listeners {
		ask := r.asks(at)
		told := func(what string, code int16, why *string, want string) {
			if code != kerr.SecurityDisabled.Code || why == nil || *why != want {
				r.t.Errorf("%s at %s: %s, %v", what, at, kerr.ErrorForCode(code), why)
			}
		}
		listed := ask(kmsg.NewPtrDescribeACLsRequest()).(*kmsg.DescribeACLsResponse)
		told("list", listed.ErrorCode, listed.ErrorMessage, "No Authorizer is configured on the broker")
		create, remove := kmsg.NewPtrCreateACLsRequest(), kmsg.NewPtrDeleteACLsRequest()
		create.Creations = []kmsg.CreateACLsRequestCreation{creation, creation}
		remove.Filters = []kmsg.DeleteACLsRequestFilter{filter, filter}
		created, removed := ask(create).(*kmsg.CreateACLsResponse), ask(remove).(*kmsg.DeleteACLsResponse)
		if len(created.Results) != 2 || len(removed.Results) != 2 {
			r.t.Fatalf("%+v, %+v", created, removed)
		}
		for i := range 2 {
			told("create", created.Results[i].ErrorCode, created.Results[i].ErrorMessage, "No Authorizer is configured.")
			told("delete", removed.Results[i].ErrorCode, removed.Results[i].ErrorMessage, "No Authorizer is configured.")
		}
	}
}
