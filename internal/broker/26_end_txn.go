package broker

import (
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// endTxn commits or aborts a transaction. v0-5; from 5 on every transaction has an epoch of its own,
// and the answer carries the next (KIP-890).
func (b *Broker) endTxn(r *server.Request) {
	req := r.Body.(*kmsg.EndTxnRequest)
	if !b.allowed(r, security.OperationWrite, security.ResourceTransactionalID, req.TransactionalID) {
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = kerr.TransactionalIDAuthorizationFailed.Code, noProducerID, noProducerEpoch
		r.Reply(resp)
		return
	}
	b.txns.EndTxn(r.Version, req, func(resp *kmsg.EndTxnResponse) { r.Reply(resp) })
}
