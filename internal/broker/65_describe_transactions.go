package broker

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeTransactions shows transactional ids and what their transactions have written to (KIP-664). v0.
func (b *Broker) describeTransactions(r *server.Request) {
	req := r.Body.(*kmsg.DescribeTransactionsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
	resp.TransactionStates = make([]kmsg.DescribeTransactionsResponseTransactionState, len(req.TransactionalIDs))
	gather := coord.NewGather(len(req.TransactionalIDs), func() { r.Reply(resp) })
	for i, id := range req.TransactionalIDs {
		put := func(s kmsg.DescribeTransactionsResponseTransactionState) {
			s.Topics = slices.DeleteFunc(s.Topics, func(t kmsg.DescribeTransactionsResponseTransactionStateTopic) bool {
				return !b.allowedTopic(r, security.OperationDescribe, t.Topic)
			})
			gather.Done(func() { resp.TransactionStates[i] = s })
		}
		if !b.allowed(r, security.OperationDescribe, security.ResourceTransactionalID, id) {
			s := kmsg.NewDescribeTransactionsResponseTransactionState()
			s.TransactionalID, s.ErrorCode = id, kerr.TransactionalIDAuthorizationFailed.Code
			put(s)
			continue
		}
		b.txns.Describe(id, put)
	}
}
