package kraft

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/security"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/moldau-stream/moldau/internal/wire"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// HandlerOptions is what a controller listener is built from.
type HandlerOptions struct {
	ClusterID  string
	NodeID     int32
	Quorum     *quorum.Node
	Directory  *Directory
	Authorizer security.Authorizer
	Clock      clock.Clock
	Logger     *slog.Logger
	// FetchMaxBytes and SnapshotMaxBytes bound one answer (controller.quorum.fetch.max.bytes, ...fetch.snapshot.max.bytes).
	FetchMaxBytes, SnapshotMaxBytes int
	// RequestTimeout bounds what names no time of its own.
	RequestTimeout time.Duration
	// DescribeConfigs answers that request, and authorizes it by resource.
	DescribeConfigs func(*server.Request)
}

// Handler serves the controller listener.
type Handler struct {
	o         HandlerOptions
	serve     map[int16]func(*Handler, *server.Request)
	forwarded *wire.Table // what may come in an envelope

	mu      sync.Mutex
	told    map[int32]bool // nodes of other clusters that were complained of
	joining map[int32]bool // nodes whose wish to follow is being carried out
}

// row is one served API.
type row struct {
	key, min, max int16
	serve         func(*Handler, *server.Request)
	// op is what the caller must be allowed to do to the cluster; 0: whoever may connect.
	op security.Operation
}

// rows is the one list of what a controller listener serves. What comes from clients directly needs ALTER on the
// cluster; what brokers forward was authorized by them, resource by resource.
func rows() []row {
	const broker, admin = security.OperationClusterAction, security.OperationAlter
	return []row{
		{1, 17, 18, (*Handler).fetch, broker},
		{17, 0, 1, nil, 0},
		{18, 0, 4, (*Handler).apiVersions, 0},
		{19, 2, 7, (*Handler).submit, admin},
		{20, 1, 6, (*Handler).submit, admin},
		{29, 1, 3, (*Handler).acls, 0},
		{30, 1, 3, (*Handler).acls, 0},
		{31, 1, 3, (*Handler).acls, 0},
		{32, 1, 4, (*Handler).describeConfigs, 0},
		{33, 0, 2, (*Handler).submit, admin},
		{36, 0, 2, nil, 0},
		{37, 0, 3, (*Handler).submit, admin},
		{43, 0, 2, (*Handler).submit, admin},
		{44, 0, 1, (*Handler).submit, admin},
		{45, 0, 1, (*Handler).submit, admin},
		{46, 0, 0, (*Handler).submit, security.OperationDescribe},
		{49, 0, 1, (*Handler).submit, admin},
		{55, 0, 2, (*Handler).describeQuorum, security.OperationDescribe},
		{56, 2, 3, (*Handler).submit, broker},
		{57, 0, 2, (*Handler).submit, admin},
		{58, 0, 0, (*Handler).envelope, broker},
		{59, 0, 1, (*Handler).fetchSnapshot, broker},
		{60, 0, 2, (*Handler).describeCluster, 0},
		{62, 0, 4, (*Handler).broker, broker},
		{63, 0, 2, (*Handler).broker, broker},
		{64, 0, 0, (*Handler).submit, admin},
		{67, 0, 0, (*Handler).submit, broker},
		{70, 0, 0, (*Handler).submit, broker},
		{73, 0, 0, (*Handler).submit, broker},
		{80, 0, 1, (*Handler).voters, admin},
		{81, 0, 0, (*Handler).voters, admin},
		{82, 0, 0, (*Handler).voters, broker},
		{wire.RaftKey, 0, 0, (*Handler).serveRaft, broker},
	}
}

// Table is what a controller listener serves.
func Table() *wire.Table {
	var ranges []wire.Range
	for _, r := range rows() {
		ranges = append(ranges, wire.Range{Key: r.key, Min: r.min, Max: r.max, AdvertisedMin: r.min})
	}
	t, err := wire.NewTable(wire.Controller, ranges)
	if err != nil {
		panic(err) // the list above is a constant of this program, and a test builds it
	}
	return t
}

// forwardable is what may stand in an envelope, at any version that brokers serve.
func forwardable() *wire.Table {
	var ranges []wire.Range
	for _, r := range wire.KafkaRanges(wire.Controller) {
		if slices.Contains([]int16{19, 20, 33, 37, 43, 44, 45, 46, 49, 55, 57, 64, 80, 81}, r.Key) {
			ranges = append(ranges, r)
		}
	}
	t, err := wire.NewTable(wire.Controller, ranges)
	if err != nil {
		panic(err) // as above
	}
	return t
}

// NewHandler returns a controller listener's handler.
func NewHandler(o HandlerOptions) *Handler {
	h := &Handler{o: o, serve: map[int16]func(*Handler, *server.Request){}, forwarded: forwardable(), told: map[int32]bool{}, joining: map[int32]bool{}}
	for _, r := range rows() {
		h.serve[r.key] = r.guarded()
	}
	return h
}

// guarded asks the authorizer first.
func (row row) guarded() func(*Handler, *server.Request) {
	return func(h *Handler, r *server.Request) {
		if row.op != 0 && !security.Allowed(h.o.Authorizer, r.SecurityContext(), security.OnCluster(row.op)) {
			r.ReplyAndClose(refusal(r.Body, kerr.ClusterAuthorizationFailed), errNotAllowed)
			return
		}
		row.serve(h, r)
	}
}

var errNotAllowed = errors.New("a request to the controller was not authorized")

// Serve answers one request; it is the server's Handler.
func (h *Handler) Serve(r *server.Request) { h.serve[r.Key](h, r) }

func (h *Handler) serveRaft(r *server.Request) {
	req := r.Body.(*wire.RaftRequest)
	resp := h.raft(req)
	if req.Join && resp.ErrorCode == 0 {
		h.join(req)
	}
	r.Reply(resp)
}

func (h *Handler) describeConfigs(r *server.Request) { h.o.DescribeConfigs(r) }

// acls answers what is asked of ACLs: there is no authorizer that could keep them.
func (*Handler) acls(r *server.Request) { server.ReplyWithoutAuthorizer(r) }

// submit hands a request to the controller and answers when it is committed.
func (h *Handler) submit(r *server.Request) {
	h.decide(quorum.RequestContext{Principal: r.Conn.Principal().String(), ClientID: r.ClientID}, r.Body, r.Reply)
}

// decide carries a request out, and gives its answer, or a refusal in the request's own form, to reply.
func (h *Handler) decide(rc quorum.RequestContext, req kmsg.Request, reply func(kmsg.Response)) {
	h.o.Quorum.Submit(rc, req, func(resp kmsg.Response, err error) {
		if err != nil {
			h.o.Logger.Debug("a request to the controller was refused", "request", kmsg.NameForKey(req.Key()), "cause", err)
			reply(refusal(req, h.reason(err)))
			return
		}
		reply(resp)
	})
}

// reason is Kafka's code for why the controller did not decide.
func (h *Handler) reason(err error) *kerr.Error {
	var not *quorum.NotLeaderError
	switch {
	case errors.As(err, &not), errors.Is(err, quorum.ErrClosed):
		return kerr.NotController
	case errors.Is(err, quorum.ErrBusy):
		return kerr.RequestTimedOut
	}
	h.o.Logger.Error("the controller cannot answer", "cause", err)
	return kerr.UnknownServerError
}

// envelope carries out what a broker forwards for a client (KIP-590).
func (h *Handler) envelope(r *server.Request) {
	env := r.Body.(*kmsg.EnvelopeRequest)
	p, req, bad := h.unseal(env)
	fail := func(e *kerr.Error) {
		resp := kmsg.NewPtrEnvelopeResponse()
		resp.ErrorCode = e.Code
		r.Reply(resp)
	}
	if bad != nil {
		fail(bad)
		return
	}
	if id, _ := h.o.Quorum.Leader(); id != h.o.NodeID {
		fail(kerr.NotController)
		return
	}
	reply := func(resp kmsg.Response) {
		resp.SetVersion(req.GetVersion())
		if notController(resp) {
			fail(kerr.NotController)
			return
		}
		r.Reply(reseal(resp))
	}
	switch q := req.(type) {
	case *kmsg.DescribeQuorumRequest:
		go func() { reply(h.quorumState(q)) }()
	case *kmsg.AddRaftVoterRequest, *kmsg.RemoveRaftVoterRequest:
		go func() { reply(h.changeVoters(req)) }()
	default:
		h.decide(quorum.RequestContext{Principal: p.String(), ClientID: r.ClientID, Try: tryOf(env)}, req, reply)
	}
}

// broker takes a broker's registration or heartbeat, and watches the connection that it comes by: a process that has
// died takes its connections with it, at once.
func (h *Handler) broker(r *server.Request) {
	switch req := r.Body.(type) {
	case *kmsg.BrokerHeartbeatRequest:
		h.watch(r.Conn, req.BrokerID)
	case *kmsg.BrokerRegistrationRequest:
		h.watch(r.Conn, req.BrokerID)
	}
	h.submit(r)
}

// watchedBroker is the key of the broker that a connection stands for.
type watchedBroker struct{}

func (h *Handler) watch(c *server.Conn, id int32) {
	if c.Value(watchedBroker{}) != nil {
		return
	}
	c.SetValue(watchedBroker{}, id)
	c.OnClose(func() { h.o.Quorum.BrokerDisconnected(id) })
}

// apiVersions tells what is served here and which features are finalized.
func (h *Handler) apiVersions(r *server.Request) {
	server.ReplyApiVersions(r, h.o.Quorum.Image(), h.o.Quorum.Members().KRaftVersion)
}

// The types of endpoints (KIP-919).
const endpointsOfControllers = 2

// describeCluster names the controllers.
func (h *Handler) describeCluster(r *server.Request) {
	req := r.Body.(*kmsg.DescribeClusterRequest)
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	resp.ControllerID, resp.EndpointType, resp.ClusterID = -1, endpointsOfControllers, h.o.ClusterID
	if r.Version < 1 || req.EndpointType != endpointsOfControllers {
		why := "this listener serves controllers; brokers are asked on theirs"
		resp.ErrorCode, resp.ErrorMessage = kerr.MismatchedEndpointType.Code, &why
		r.Reply(resp)
		return
	}
	resp.ControllerID, _ = h.o.Quorum.Leader()
	for _, n := range h.nodes(r.Conn.Listener()) {
		out := kmsg.NewDescribeClusterResponseBroker()
		out.NodeID, out.Host, out.Port = n.id, n.host, int32(n.port)
		resp.Brokers = append(resp.Brokers, out)
	}
	r.Reply(resp)
}

// strange complains, once for each node, of a controller that belongs to another cluster.
func (h *Handler) strange(req *wire.RaftRequest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.told[req.From] {
		return
	}
	h.told[req.From] = true
	h.o.Logger.Error("a controller of another cluster speaks to this one: correct controller.quorum.voters of one of them, or the cluster id that its directories were formatted with",
		"from", req.From, "itsCluster", req.ClusterID, "ownCluster", h.o.ClusterID)
}

// join lets a controller follow, beside the request: it takes a commit.
func (h *Handler) join(req *wire.RaftRequest) {
	h.mu.Lock()
	busy := h.joining[req.From]
	h.joining[req.From] = true
	h.mu.Unlock()
	if busy {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), h.o.RequestTimeout)
		defer cancel()
		if err := h.o.Quorum.AddLearner(ctx, req.From, req.DirectoryID); err != nil {
			h.o.Logger.Debug("a controller cannot follow yet", "node", req.From, "cause", err)
		}
		h.mu.Lock()
		delete(h.joining, req.From)
		h.mu.Unlock()
	}()
}
