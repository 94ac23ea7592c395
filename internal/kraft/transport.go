package kraft

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/wire"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// raftTimeout is how long another controller may take to take a message: longer than any sync of a disk that is
// not broken, and a snapshot of a large cluster takes its time.
const raftTimeout = 30 * time.Second

// Transport carries the consensus' messages between controllers; it is a quorum.Transport.
type Transport struct {
	d           *Directory
	directoryID [16]byte
	host        string // of this node's controller listener
	port        uint16

	mu   sync.Mutex
	node *quorum.Node // nil until Bind
}

// NewTransport returns a transport that drops what it is given until Bind.
func NewTransport(d *Directory, directoryID [16]byte, host string, port uint16) *Transport {
	return &Transport{d: d, directoryID: directoryID, host: host, port: port}
}

// Bind says which node to report failures to.
func (t *Transport) Bind(n *quorum.Node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.node = n
}

func (t *Transport) bound() *quorum.Node {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.node
}

// Send hands a message to a connection; what cannot be sent is reported.
func (t *Transport) Send(to int32, m quorum.Message) {
	address := t.d.Address(to)
	if address == "" {
		t.failed(to, m)
		return
	}
	req := t.request()
	req.Messages = [][]byte{m.Data}
	t.conn(to, address).Do(req, func(resp kmsg.Response, err error) {
		if err != nil || resp.(*wire.RaftResponse).ErrorCode != 0 {
			t.failed(to, m)
			if n := t.bound(); n != nil && errors.Is(err, syscall.ECONNREFUSED) {
				n.ReportDown(to) // the machine is there, and says that nobody listens
			}
			return
		}
		if n := t.bound(); n != nil && m.Snapshot {
			n.ReportSnapshot(to, true)
		}
	})
}

func (t *Transport) request() *wire.RaftRequest {
	return &wire.RaftRequest{ClusterID: t.d.o.ClusterID, From: t.d.o.NodeID, DirectoryID: t.directoryID, Host: t.host, Port: t.port}
}

// Join asks every controller that is known to let this one follow; the one that leads does.
func (t *Transport) Join() {
	for _, a := range t.d.Addresses() {
		req := t.request()
		req.Join = true
		t.d.conn("join", a, raftTimeout, nil).Do(req, func(_ kmsg.Response, err error) {
			if err != nil {
				t.d.o.Logger.Debug("cannot ask a controller to be let in", "address", a, "cause", err)
			}
		})
	}
}

func (t *Transport) failed(to int32, m quorum.Message) {
	n := t.bound()
	if n == nil {
		return
	}
	if m.Snapshot {
		n.ReportSnapshot(to, false)
	}
	n.ReportUnreachable(to)
}

// conn is the connection to a controller. When it breaks, it is asked at once whether the process is still there:
// if nobody listens any more, there is no need to wait for a timeout.
func (t *Transport) conn(to int32, address string) sender {
	return t.d.conn("raft", address, raftTimeout, func(error) {
		go t.probe(to, address)
	})
}

type sender interface {
	Do(kmsg.Request, func(kmsg.Response, error))
}

func (t *Transport) probe(to int32, address string) {
	c := t.d.conn("raft", address, raftTimeout, nil)
	c.Do(t.request(), func(_ kmsg.Response, err error) {
		if n := t.bound(); err != nil && n != nil {
			n.ReportDown(to)
		}
	})
}

// take is the other end: messages from another controller.
func (h *Handler) raft(req *wire.RaftRequest) *wire.RaftResponse {
	resp := &wire.RaftResponse{}
	resp.LeaderID, _ = h.o.Quorum.Leader()
	if req.ClusterID != h.o.ClusterID {
		h.strange(req)
		resp.ErrorCode = kerr.InconsistentClusterID.Code
		return resp
	}
	if req.Join && h.voter(req.From, req.DirectoryID) {
		h.o.Directory.Learn(req.From, req.Host, req.Port) // it has moved: until the voters' record says so, nobody else knows where it is
	}
	h.o.Directory.learnIfUnknown(req.From, req.Host, req.Port)
	h.o.Quorum.Meet(req.From, req.DirectoryID)
	for _, m := range req.Messages {
		if err := h.o.Quorum.Step(m); err != nil {
			h.o.Logger.Debug("a message of another controller was not taken", "from", req.From, "cause", err)
			resp.ErrorCode = kerr.UnknownServerError.Code
			return resp
		}
	}
	return resp
}
