package kraft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// node is a controller as others reach it.
type node struct {
	id        int32
	host      string
	port      uint16
	listeners []record.VoterEndpoint
}

// nodes are the controllers and where they listen: as they registered, as the voters' record has it, or as configured.
func (h *Handler) nodes(listener string) []node {
	byID := map[int32]node{}
	put := func(id int32, all []record.VoterEndpoint) {
		if len(all) == 0 {
			return
		}
		n := node{id: id, host: all[0].Host, port: all[0].Port, listeners: all}
		for _, e := range all {
			if e.Name == listener {
				n.host, n.port = e.Host, e.Port
			}
		}
		byID[id] = n
	}
	m := h.o.Quorum.Members()
	for _, v := range m.Voters {
		if host, port, err := net.SplitHostPort(h.o.Directory.Address(v.ID)); err == nil {
			if p, err := strconv.ParseUint(port, 10, 16); err == nil {
				put(v.ID, []record.VoterEndpoint{{Name: listener, Host: host, Port: uint16(p)}})
			}
		}
		put(v.ID, v.Endpoints)
	}
	for _, c := range h.o.Quorum.Image().Controllers() {
		var all []record.VoterEndpoint
		for _, e := range c.Listeners {
			all = append(all, record.VoterEndpoint{Name: e.Name, Host: e.Host, Port: e.Port})
		}
		put(c.ID, all)
	}
	out := make([]node, 0, len(byID))
	for _, n := range byID {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b node) int { return cmp.Compare(a.id, b.id) })
	return out
}

func (h *Handler) describeQuorum(r *server.Request) {
	go func() { r.Reply(h.quorumState(r.Body.(*kmsg.DescribeQuorumRequest))) }()
}

// quorumState is the answer to DescribeQuorum; only the leader has one.
func (h *Handler) quorumState(req *kmsg.DescribeQuorumRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	resp.SetVersion(req.GetVersion())
	resp.ErrorMessage = new(string)
	ctx, cancel := context.WithTimeout(context.Background(), h.o.RequestTimeout)
	defer cancel()
	for _, t := range req.Topics {
		out := kmsg.NewDescribeQuorumResponseTopic()
		out.Topic = t.Topic
		for _, ask := range t.Partitions {
			p := kmsg.NewDescribeQuorumResponseTopicPartition()
			p.Partition, p.ErrorMessage = ask.Partition, new(string)
			if t.Topic != quorum.MetadataTopic || ask.Partition != 0 {
				p.ErrorCode = kerr.UnknownTopicOrPartition.Code
			} else if state, err := h.o.Quorum.DescribeQuorum(ctx); err != nil {
				p.ErrorCode = kerr.NotLeaderForPartition.Code
				p.LeaderID, p.LeaderEpoch = h.o.Quorum.Leader()
			} else {
				p = state
				p.ErrorMessage = new(string)
			}
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	for _, n := range h.nodes("") {
		o := kmsg.NewDescribeQuorumResponseNode()
		o.NodeID = n.id
		for _, e := range n.listeners {
			l := kmsg.NewDescribeQuorumResponseNodeListener()
			l.Name, l.Host, l.Port = e.Name, e.Host, e.Port
			o.Listeners = append(o.Listeners, l)
		}
		resp.Nodes = append(resp.Nodes, o)
	}
	return resp
}

func (h *Handler) voters(r *server.Request) {
	go func() { r.Reply(h.changeVoters(r.Body)) }()
}

// voterChangeTimeout is how long a change may take that names no time of its own.
const voterChangeTimeout = 30 * time.Second

// changeVoters adds, removes or updates a voter (KIP-853).
func (h *Handler) changeVoters(req kmsg.Request) kmsg.Response {
	ctx := context.Background()
	var err error
	var cluster *string
	switch r := req.(type) {
	case *kmsg.AddRaftVoterRequest:
		cluster = r.ClusterID
		v := record.Voter{ReplicaKey: record.ReplicaKey{ID: r.VoterID, DirectoryID: r.VoterDirectoryID}, MaxKRaftVersion: kraftVersion}
		for _, l := range r.Listeners {
			v.Endpoints = append(v.Endpoints, record.VoterEndpoint{Name: l.Name, Host: l.Host, Port: l.Port})
		}
		timeout := time.Duration(r.TimeoutMillis) * time.Millisecond
		if timeout <= 0 {
			timeout = voterChangeTimeout
		}
		switch {
		case !h.sameCluster(cluster):
		case !named(r.VoterID, r.VoterDirectoryID):
			err = errNoVoter
		case len(v.Endpoints) == 0:
			err = errNoEndpoint
		default:
			h.o.Directory.Learn(v.ID, v.Endpoints[0].Host, v.Endpoints[0].Port)
			if err = h.o.Quorum.AddVoter(ctx, timeout, v); errors.Is(err, quorum.ErrDuplicate) {
				err = h.duplicate(v.ReplicaKey)
			}
		}
	case *kmsg.RemoveRaftVoterRequest:
		cluster = r.ClusterID
		switch {
		case !h.sameCluster(cluster):
		case !named(r.VoterID, r.VoterDirectoryID):
			err = errNoVoter
		default:
			err = h.o.Quorum.RemoveVoter(ctx, voterChangeTimeout, r.VoterID, r.VoterDirectoryID)
		}
	case *kmsg.UpdateRaftVoterRequest:
		cluster = r.ClusterID
		v := record.Voter{
			ReplicaKey:      record.ReplicaKey{ID: r.VoterID, DirectoryID: r.VoterDirectoryID},
			MinKRaftVersion: r.KRaftVersionFeature.MinSupportedVersion, MaxKRaftVersion: r.KRaftVersionFeature.MaxSupportedVersion,
		}
		for _, l := range r.Listeners {
			v.Endpoints = append(v.Endpoints, record.VoterEndpoint{Name: l.Name, Host: l.Host, Port: l.Port})
		}
		leader, epoch := h.o.Quorum.Leader()
		switch {
		case !h.sameCluster(cluster):
		case leader != h.o.NodeID:
			return h.updated(req, kerr.NotController)
		case r.CurrentLeaderEpoch < epoch:
			return h.updated(req, kerr.FencedLeaderEpoch)
		case r.CurrentLeaderEpoch > epoch:
			return h.updated(req, kerr.UnknownLeaderEpoch)
		case !named(r.VoterID, r.VoterDirectoryID):
			err = errNoVoter
		case len(v.Endpoints) == 0:
			err = errNoEndpoint
		case v.MinKRaftVersion > h.o.Quorum.Members().KRaftVersion || v.MaxKRaftVersion < h.o.Quorum.Members().KRaftVersion:
			err = errOtherKRaft
		default:
			err = h.o.Quorum.UpdateVoter(ctx, v)
		}
		if err == nil && h.sameCluster(cluster) {
			return h.updated(req, nil)
		}
	}
	if !h.sameCluster(cluster) {
		return refusal(req, kerr.InconsistentClusterID)
	}
	return voterAnswer(req, err)
}

// duplicate says who votes already with the id of a new voter.
func (h *Handler) duplicate(v record.ReplicaKey) error {
	var voters []string
	for _, m := range h.o.Quorum.Members().Voters {
		voters = append(voters, replicaKeyText(m.ID, m.Directory))
	}
	return &duplicateVoter{fmt.Sprintf("The voter id for %s is already part of the set of voters [%s].", replicaKeyText(v.ID, v.DirectoryID), strings.Join(voters, ", "))}
}

func replicaKeyText(id int32, directory meta.UUID) string {
	return fmt.Sprintf("ReplicaKey(id=%d, directoryId=%s)", id, meta.FormatUUID(directory))
}

// duplicateVoter is quorum.ErrDuplicate in Kafka's words.
type duplicateVoter struct{ text string }

func (e *duplicateVoter) Error() string { return e.text }
func (e *duplicateVoter) Unwrap() error { return quorum.ErrDuplicate }

// kraftVersion is the newest kraft.version that this build speaks.
const kraftVersion = 1

var (
	errNoEndpoint = errors.New("the request names no listener of the voter")
	errOtherKRaft = errors.New("the voter does not support the kraft.version that is finalized")
	errNoVoter    = errors.New("the request names no voter: it takes an id that is not negative and the id of a directory")
)

// updated answers UpdateRaftVoter, and says who leads.
func (h *Handler) updated(req kmsg.Request, e *kerr.Error) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.UpdateRaftVoterResponse)
	resp.SetVersion(req.GetVersion())
	if e != nil {
		resp.ErrorCode = e.Code
	}
	resp.CurrentLeader.LeaderID, resp.CurrentLeader.LeaderEpoch = h.o.Quorum.Leader()
	if host, port, err := net.SplitHostPort(h.o.Directory.Address(resp.CurrentLeader.LeaderID)); err == nil {
		if p, err := strconv.ParseUint(port, 10, 16); err == nil {
			resp.CurrentLeader.Host, resp.CurrentLeader.Port = host, int32(p)
		}
	}
	return resp
}

// voter says that a node is a voter of a dynamic quorum, with the directory that it votes with.
func (h *Handler) voter(id int32, directory [16]byte) bool {
	m := h.o.Quorum.Members()
	return directory != [16]byte{} && slices.ContainsFunc(m.Voters, func(v quorum.Voter) bool { return v.ID == id && v.Directory == directory })
}

// named says that a request names a voter: by its id and by its directory's.
func named(id int32, directory [16]byte) bool { return id >= 0 && directory != [16]byte{} }

func (h *Handler) sameCluster(id *string) bool { return id == nil || *id == h.o.ClusterID }

func voterAnswer(req kmsg.Request, err error) kmsg.Response {
	var not *quorum.NotLeaderError
	code := kerr.UnknownServerError
	switch {
	case err == nil:
		resp := req.ResponseKind()
		resp.SetVersion(req.GetVersion())
		return resp
	case errors.As(err, &not), errors.Is(err, quorum.ErrClosed):
		code = kerr.NotController
	case errors.Is(err, quorum.ErrStaticQuorum):
		code = kerr.UnsupportedVersion
	case errors.Is(err, quorum.ErrDuplicate):
		code = kerr.DuplicateVoter
	case errors.Is(err, quorum.ErrNotVoter):
		code = kerr.VoterNotFound
	case errors.Is(err, quorum.ErrLastVoter), errors.Is(err, errNoEndpoint), errors.Is(err, errNoVoter), errors.Is(err, errOtherKRaft):
		code = kerr.InvalidRequest
	case errors.Is(err, quorum.ErrNotCaughtUp), errors.Is(err, quorum.ErrChanging):
		code = kerr.RequestTimedOut
	}
	resp := refusal(req, code)
	text := err.Error()
	static := errors.Is(err, quorum.ErrStaticQuorum) // Kafka's controllers know it by the feature
	switch r := resp.(type) {
	case *kmsg.AddRaftVoterResponse:
		if static {
			text = "Cluster doesn't support adding voter because the kraft.version feature is 0"
		}
		r.ErrorMessage = &text
	case *kmsg.RemoveRaftVoterResponse:
		if static {
			text = "Cluster doesn't support removing voter because the kraft.version feature is 0"
		}
		r.ErrorMessage = &text
	}
	return resp
}

// LearnMembers takes the controllers' addresses from the voters' record.
func (d *Directory) LearnMembers(m quorum.Members, listener string) {
	for _, v := range m.Voters {
		for i, e := range v.Endpoints {
			if i == 0 || e.Name == listener {
				d.Learn(v.ID, e.Host, e.Port)
			}
		}
	}
}

// LearnImage takes them from what controllers registered.
func (d *Directory) LearnImage(img *meta.Image, listener string) {
	for _, c := range img.Controllers() {
		for i, e := range c.Listeners {
			if i == 0 || e.Name == listener {
				d.Learn(c.ID, e.Host, e.Port)
			}
		}
	}
}
