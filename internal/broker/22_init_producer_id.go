package broker

import (
	"context"
	"fmt"
	"sync"

	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// initProducerID gives an idempotent producer its id, a fresh one with epoch 0, and makes a
// transactional producer the only one of its transactional id. v0-5.
func (b *Broker) initProducerID(r *server.Request) {
	req := r.Body.(*kmsg.InitProducerIDRequest)
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if e := b.refuseProducer(r, req); e != nil {
		resp.ErrorCode = e.Code
		r.Reply(resp)
		return
	}
	if req.TransactionalID != nil {
		b.txns.InitProducerID(r.Version, req, func(resp *kmsg.InitProducerIDResponse) { r.Reply(resp) })
		return
	}
	if id, ok := b.ids.next(); ok {
		resp.ProducerID, resp.ProducerEpoch = id, 0
		r.Reply(resp)
		return
	}
	go func() { // a new block waits for the controller
		id, err := b.ids.nextFrom(b.allocateIDs)
		if err != nil {
			b.logger.Warn("cannot get producer ids from the controller", "cause", err)
			resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code // retried by every client
		} else {
			resp.ProducerID, resp.ProducerEpoch = id, 0
		}
		r.Reply(resp)
	}()
}

// What a producer says that has no id yet.
const (
	noProducerID    = -1
	noProducerEpoch = -1
)

func (b *Broker) refuseProducer(r *server.Request, req *kmsg.InitProducerIDRequest) *kerr.Error {
	inconsistent := (req.ProducerID == noProducerID) != (req.ProducerEpoch == noProducerEpoch)
	if id := req.TransactionalID; id != nil {
		switch {
		case !b.allowed(r, security.OperationWrite, security.ResourceTransactionalID, *id):
			return kerr.TransactionalIDAuthorizationFailed
		case *id == "" || inconsistent:
			return kerr.InvalidRequest
		}
		return nil
	}
	if b.open || b.allowedQuietly(r, security.OperationIdempotentWrite, security.ResourceCluster, security.ClusterName) ||
		b.authorizer.AuthorizeByResourceType(r.SecurityContext(), security.OperationWrite, security.ResourceTopic) {
		if inconsistent {
			return kerr.InvalidRequest
		}
		return nil
	}
	return kerr.ClusterAuthorizationFailed
}

// allocateIDs asks the controller for a block of producer ids that nobody else gets.
func (b *Broker) allocateIDs() (first int64, n int32, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), b.patience())
	defer cancel()
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = b.nodeID, b.epoch.Load()
	resp, err := b.controller.Call(ctx, security.Principal{Type: security.UserType, Name: "broker"}, req)
	if err != nil {
		return 0, 0, err
	}
	a := resp.(*kmsg.AllocateProducerIDsResponse)
	if a.ErrorCode != 0 {
		return 0, 0, fmt.Errorf("the controller refused a block of producer ids: %w", kerr.ErrorForCode(a.ErrorCode))
	}
	return a.ProducerIDStart, a.ProducerIDLen, nil
}

// producerIDs hands out ids from blocks of the controller.
type producerIDs struct {
	mu        sync.Mutex
	from, end int64
	fetching  turn // one request for a block at a time
}

// next is an id of the present block; false when it is used up.
func (p *producerIDs) next() (int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from >= p.end {
		return 0, false
	}
	p.from++
	return p.from - 1, true
}

// ensure gets a new block from allocate if the present one is used up.
func (p *producerIDs) ensure(allocate func() (int64, int32, error)) error {
	p.fetching.take()
	defer p.fetching.pass()
	if p.left() {
		return nil
	}
	first, n, err := allocate()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from, p.end = first, first+int64(n)
	return nil
}

func (p *producerIDs) left() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.from < p.end
}

// NextProducerID is an id that nobody else gets, if one is at hand.
func (b *Broker) NextProducerID() (int64, bool) { return b.ids.next() }

// FetchProducerIDs sees to it that NextProducerID has one, and then calls done.
func (b *Broker) FetchProducerIDs(done func(error)) {
	go func() { // a new block waits for the controller
		err := b.ids.ensure(b.allocateIDs)
		if err != nil {
			b.logger.Warn("cannot get producer ids from the controller", "cause", err)
		}
		done(err)
	}()
}

// nextFrom is next, with a new block from allocate when the present one is used up.
func (p *producerIDs) nextFrom(allocate func() (int64, int32, error)) (int64, error) {
	p.fetching.take()
	defer p.fetching.pass()
	if id, ok := p.next(); ok {
		return id, nil
	}
	first, n, err := allocate()
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from, p.end = first+1, first+int64(n)
	return first, nil
}
