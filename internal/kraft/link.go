package kraft

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/moldau-stream/moldau/internal/controller"
	"github.com/moldau-stream/moldau/internal/peer"
	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// linkRetry is the pause before a controller is asked again: the time in which a cluster without a leader finds one is longer.
const linkRetry = 10 * time.Millisecond

// Leadership says who leads the quorum, as far as this node knows: -1 when it does not.
type Leadership interface {
	Leader() (id, epoch int32)
}

// Link sends requests to the active controller, wherever it is.
type Link struct {
	d     *Directory
	who   Leadership
	local *Handler // of the controller of this process; nil on a node that is none
	// running ends with Close: nobody waits for a controller any more.
	running context.Context
	end     context.CancelFunc
}

// NewLink returns a link; local is the handler of this process' controller, or nil.
func NewLink(d *Directory, who Leadership, local *Handler) *Link {
	running, end := context.WithCancel(context.Background())
	return &Link{d: d, who: who, local: local, running: running, end: end}
}

// Close ends all calls, those that come later too: the node stops, and requests that wait for a controller would hold it up.
func (l *Link) Close() { l.end() }

// errNotController is what a controller that does not lead answers.
var errNotController = errors.New("the controller that was asked does not lead")

// Call sends a request of this broker's own, until the active controller has answered or ctx ends. purpose names the
// connection: requests of one purpose do not wait for those of another.
func (l *Link) Call(ctx context.Context, purpose string, req kmsg.Request) (kmsg.Response, error) {
	return l.retry(ctx, func(ctx context.Context) (kmsg.Response, error) {
		if l.leads() {
			req.SetVersion(req.MaxVersion()) // as a connection would
			return l.local.here(ctx, quorum.RequestContext{Principal: "User:broker", Local: true}, req)
		}
		resp, err := l.remote(ctx, purpose, req)
		if err == nil && codeOf(resp) == kerr.NotController.Code {
			return nil, errNotController
		}
		return resp, err
	})
}

// Forward sends a client's request in the name of who sent it. It may be sent more than once, and carried out more than once: topics
// that are created or deleted, and partitions that are added, each sending after the first finds as the one before has left them
// (controller.Try).
func (l *Link) Forward(ctx context.Context, p security.Principal, clientHost []byte, req kmsg.Request) (kmsg.Response, error) {
	var try controller.Try
	_, _ = rand.Read(try.Request[:])
	return l.retry(ctx, func(ctx context.Context) (kmsg.Response, error) {
		try.Number++
		if l.leads() {
			return l.local.here(ctx, quorum.RequestContext{Principal: p.String(), Try: try}, req)
		}
		env, err := seal(p, clientHost, req, try)
		if err != nil {
			return nil, err
		}
		resp, err := l.remote(ctx, "forward", env)
		if err != nil {
			return nil, err
		}
		return open(resp.(*kmsg.EnvelopeResponse), req)
	})
}

func (l *Link) leads() bool {
	if l.local == nil {
		return false
	}
	id, _ := l.local.o.Quorum.Leader()
	return id == l.d.o.NodeID
}

// remote asks the controller that leads.
func (l *Link) remote(ctx context.Context, purpose string, req kmsg.Request) (kmsg.Response, error) {
	id, _ := l.who.Leader()
	if id < 0 || id == l.d.o.NodeID {
		return nil, errNotController
	}
	address := l.d.Address(id)
	if address == "" {
		return nil, fmt.Errorf("where controller %d listens is not known yet: %w", id, errNotController)
	}
	return l.d.conn(purpose, address, 0, nil).Call(ctx, req)
}

// retry asks until there is an answer that is not "ask another".
func (l *Link) retry(ctx context.Context, ask func(context.Context) (kmsg.Response, error)) (kmsg.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.running, cancel)()
	for {
		resp, err := ask(ctx)
		if err == nil {
			return resp, nil
		}
		var not *quorum.NotLeaderError
		switch {
		case errors.Is(err, quorum.ErrClosed), errors.Is(err, quorum.ErrUnknownRequest), errors.Is(err, quorum.ErrBusy), errors.Is(err, peer.ErrClosed):
			return nil, err
		case errors.Is(err, errNotController), errors.As(err, &not), l.local == nil || !l.leads():
			// another leads, or the connection failed: try again
		default:
			return nil, err
		}
		if !pause(ctx, l.d, linkRetry) {
			return nil, fmt.Errorf("no controller has answered: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// pause waits; false when ctx has ended.
func pause(ctx context.Context, d *Directory, t time.Duration) bool {
	elapsed := make(chan struct{})
	timer := d.o.Clock.AfterFunc(t, func() { close(elapsed) })
	defer timer.Stop()
	select {
	case <-elapsed:
		return true
	case <-ctx.Done():
		return false
	}
}

// codeOf is the top-level error of the answers that brokers get from controllers.
func codeOf(resp kmsg.Response) int16 {
	switch r := resp.(type) {
	case *kmsg.BrokerRegistrationResponse:
		return r.ErrorCode
	case *kmsg.BrokerHeartbeatResponse:
		return r.ErrorCode
	case *kmsg.AlterPartitionResponse:
		return r.ErrorCode
	case *kmsg.AllocateProducerIDsResponse:
		return r.ErrorCode
	case *kmsg.AssignReplicasToDirsResponse:
		return r.ErrorCode
	case *kmsg.ControllerRegistrationResponse:
		return r.ErrorCode
	case *kmsg.UnregisterBrokerResponse:
		return r.ErrorCode
	case *kmsg.UpdateFeaturesResponse:
		return r.ErrorCode
	case *kmsg.ElectLeadersResponse:
		return r.ErrorCode
	case *kmsg.AlterPartitionAssignmentsResponse:
		return r.ErrorCode
	case *kmsg.AddRaftVoterResponse:
		return r.ErrorCode
	case *kmsg.RemoveRaftVoterResponse:
		return r.ErrorCode
	case *kmsg.UpdateRaftVoterResponse:
		return r.ErrorCode
	case *kmsg.DescribeQuorumResponse:
		if len(r.Topics) == 1 && len(r.Topics[0].Partitions) == 1 && r.ErrorCode == 0 &&
			r.Topics[0].Partitions[0].ErrorCode == kerr.NotLeaderForPartition.Code {
			return kerr.NotController.Code
		}
		return r.ErrorCode
	}
	return 0
}

// here carries a request out in this process, which leads.
func (h *Handler) here(ctx context.Context, rc quorum.RequestContext, req kmsg.Request) (kmsg.Response, error) {
	var resp kmsg.Response
	switch r := req.(type) {
	case *kmsg.DescribeQuorumRequest:
		resp = h.quorumState(r)
	case *kmsg.AddRaftVoterRequest, *kmsg.RemoveRaftVoterRequest, *kmsg.UpdateRaftVoterRequest:
		resp = h.changeVoters(req)
	default:
		return h.o.Quorum.Call(ctx, rc, req)
	}
	if notController(resp) {
		return nil, errNotController
	}
	return resp, nil
}
