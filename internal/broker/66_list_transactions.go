package broker

import (
	"slices"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listTransactions lists the transactional ids that this broker coordinates (KIP-664). v0-2: by duration
// from 1, by pattern from 2.
func (b *Broker) listTransactions(r *server.Request) {
	b.txns.List(r.Version, r.Body.(*kmsg.ListTransactionsRequest), func(resp *kmsg.ListTransactionsResponse) {
		resp.TransactionStates = slices.DeleteFunc(resp.TransactionStates, func(s kmsg.ListTransactionsResponseTransactionState) bool {
			return !b.allowedQuietly(r, security.OperationDescribe, security.ResourceTransactionalID, s.TransactionalID)
		})
		r.Reply(resp)
	})
}
