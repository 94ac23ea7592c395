package kraft

import (
	"errors"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/moldau-stream/moldau/internal/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataTopicID is the id that Kafka reserves for the metadata topic.
func metadataTopicID() [16]byte { return [16]byte{15: 1} }

// maxFetchWait bounds how long a fetch may be parked, whatever it asks for.
const maxFetchWait = 30 * time.Second

// parked is an observer's fetch that waits for something to be committed.
type parked struct {
	h      *Handler
	r      *server.Request
	once   sync.Once
	mu     sync.Mutex
	cancel []func()
}

// fetch serves the metadata log to observers (KIP-595). What is not committed is never shown.
func (h *Handler) fetch(r *server.Request) {
	req := r.Body.(*kmsg.FetchRequest)
	resp, idle := h.tryFetch(r, req)
	wait := min(time.Duration(req.MaxWaitMillis)*time.Millisecond, maxFetchWait)
	if !idle || wait <= 0 {
		r.Reply(resp)
		return
	}
	p := &parked{h: h, r: r}
	timer := h.o.Clock.AfterFunc(wait, p.answer)
	offset := req.Topics[0].Partitions[0].FetchOffset
	call := h.o.Quorum.AwaitCommitted(offset, p.answer)
	p.mu.Lock()
	p.cancel = append(p.cancel, func() { timer.Stop() }, call)
	p.mu.Unlock()
	h.parkedOn(r.Conn).set(p)
}

// parkedKey is the key of the fetch that waits on a connection: its end lets it go.
type parkedKey struct{}

// lastParked is the newest fetch of a connection that had to wait.
type lastParked struct {
	mu  sync.Mutex
	now *parked
}

func (h *Handler) parkedOn(c *server.Conn) *lastParked {
	if l, ok := c.Value(parkedKey{}).(*lastParked); ok {
		return l
	}
	l := &lastParked{}
	c.SetValue(parkedKey{}, l)
	c.OnClose(func() {
		l.mu.Lock()
		p := l.now
		l.mu.Unlock()
		if p != nil {
			p.answer()
		}
	})
	return l
}

func (l *lastParked) set(p *parked) {
	l.mu.Lock()
	l.now = p
	l.mu.Unlock()
}

// answer reads once more and lets the fetch go.
func (p *parked) answer() {
	p.once.Do(func() {
		resp, _ := p.h.tryFetch(p.r, p.r.Body.(*kmsg.FetchRequest))
		p.r.Reply(resp)
		p.mu.Lock()
		cancel := p.cancel
		p.mu.Unlock()
		for _, f := range cancel {
			f()
		}
	})
}

// tryFetch answers as things stand; idle means that there is nothing new to tell.
func (h *Handler) tryFetch(r *server.Request, req *kmsg.FetchRequest) (resp *kmsg.FetchResponse, idle bool) {
	resp = req.ResponseKind().(*kmsg.FetchResponse)
	resp.SetVersion(r.Version)
	if req.ClusterID != nil && *req.ClusterID != h.o.ClusterID {
		resp.ErrorCode = kerr.InconsistentClusterID.Code
		return resp, false
	}
	if len(req.Topics) != 1 || req.Topics[0].TopicID != metadataTopicID() || len(req.Topics[0].Partitions) != 1 || req.Topics[0].Partitions[0].Partition != 0 {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp, false
	}
	ask := &req.Topics[0].Partitions[0]
	p := kmsg.NewFetchResponseTopicPartition()
	p.HighWatermark, p.LastStableOffset, p.LogStartOffset = -1, -1, -1
	leader, epoch := h.o.Quorum.Leader()
	p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = leader, epoch
	resp.Brokers = h.endpointsForFetch(leader, r.Conn.Listener())
	switch {
	case leader != h.o.NodeID:
		p.ErrorCode = kerr.NotLeaderForPartition.Code
	case ask.CurrentLeaderEpoch > epoch:
		p.ErrorCode = kerr.UnknownLeaderEpoch.Code
	case ask.CurrentLeaderEpoch >= 0 && ask.CurrentLeaderEpoch < epoch:
		p.ErrorCode = kerr.FencedLeaderEpoch.Code
	default:
		idle = h.readLog(req, ask, &p)
	}
	t := kmsg.NewFetchResponseTopic()
	t.TopicID, t.Partitions = metadataTopicID(), append(t.Partitions, p)
	resp.Topics = append(resp.Topics, t)
	return resp, idle
}

func (h *Handler) readLog(req *kmsg.FetchRequest, ask *kmsg.FetchRequestTopicPartition, p *kmsg.FetchResponseTopicPartition) (idle bool) {
	q := h.o.Quorum
	id := req.ReplicaState.ID
	c, err := q.Fetch(ask.FetchOffset, ask.LastFetchedEpoch, min(max(int(ask.PartitionMaxBytes), 1), h.o.FetchMaxBytes))
	if err != nil {
		h.o.Logger.Warn("cannot read the metadata log for an observer", "node", id, "offset", ask.FetchOffset, "cause", err)
		p.ErrorCode = kerr.OffsetOutOfRange.Code
		return false
	}
	p.HighWatermark, p.LastStableOffset, p.LogStartOffset = c.HighWatermark, c.HighWatermark, c.StartOffset
	p.RecordBatches = c.Batches
	if p.RecordBatches == nil {
		p.RecordBatches = []byte{}
	}
	switch {
	case c.Snapshot != nil:
		p.SnapshotID.EndOffset, p.SnapshotID.Epoch = c.Snapshot.EndOffset, c.Snapshot.Epoch
		return false
	case c.Diverges:
		p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = c.DivergingEpoch, c.DivergingEnd
		return false
	case ask.FetchOffset > c.HighWatermark:
		p.ErrorCode = kerr.OffsetOutOfRange.Code
		return false
	}
	if id >= 0 {
		q.NoteObserver(id, ask.ReplicaDirectoryID, ask.FetchOffset)
	}
	// An observer learns the high watermark from the answer: one that knows less than there is need not wait.
	return len(c.Batches) == 0 && (ask.HighWatermark >= c.HighWatermark || ask.FetchOffset >= c.HighWatermark)
}

func (h *Handler) endpointsForFetch(leader int32, listener string) []kmsg.FetchResponseBroker {
	for _, n := range h.nodes(listener) {
		if n.id == leader {
			b := kmsg.NewFetchResponseBroker()
			b.NodeID, b.Host, b.Port = n.id, n.host, int32(n.port)
			return []kmsg.FetchResponseBroker{b}
		}
	}
	return nil
}

// fetchSnapshot serves a snapshot file in pieces (KIP-630).
func (h *Handler) fetchSnapshot(r *server.Request) {
	req := r.Body.(*kmsg.FetchSnapshotRequest)
	resp := req.ResponseKind().(*kmsg.FetchSnapshotResponse)
	if req.ClusterID != nil && *req.ClusterID != h.o.ClusterID {
		resp.ErrorCode = kerr.InconsistentClusterID.Code
		r.Reply(resp)
		return
	}
	leader, epoch := h.o.Quorum.Leader()
	for _, t := range req.Topics {
		out := kmsg.NewFetchSnapshotResponseTopic()
		out.Topic = t.Topic
		for _, ask := range t.Partitions {
			p := kmsg.NewFetchSnapshotResponseTopicPartition()
			p.Partition = ask.Partition
			p.SnapshotID.EndOffset, p.SnapshotID.Epoch, p.Position = ask.SnapshotID.EndOffset, ask.SnapshotID.Epoch, ask.Position
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = leader, epoch
			h.readSnapshot(t.Topic, leader, epoch, req.MaxBytes, &ask, &p)
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	r.Reply(resp)
}

func (h *Handler) readSnapshot(topic string, leader, epoch, maxBytes int32, ask *kmsg.FetchSnapshotRequestTopicPartition, p *kmsg.FetchSnapshotResponseTopicPartition) {
	p.Bytes = []byte{}
	switch {
	case topic != quorum.MetadataTopic || ask.Partition != 0:
		p.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return
	case leader != h.o.NodeID:
		p.ErrorCode = kerr.NotLeaderForPartition.Code
		return
	case ask.CurrentLeaderEpoch > epoch:
		p.ErrorCode = kerr.UnknownLeaderEpoch.Code
		return
	case ask.CurrentLeaderEpoch >= 0 && ask.CurrentLeaderEpoch < epoch:
		p.ErrorCode = kerr.FencedLeaderEpoch.Code
		return
	}
	id := quorum.SnapshotID{EndOffset: ask.SnapshotID.EndOffset, Epoch: ask.SnapshotID.Epoch}
	piece, size, err := h.o.Quorum.SnapshotPiece(id, ask.Position, min(max(int(maxBytes), 1), h.o.SnapshotMaxBytes))
	switch {
	case errors.Is(err, quorum.ErrNoSnapshot):
		p.ErrorCode = kerr.SnapshotNotFound.Code
	case err != nil && size > 0:
		p.ErrorCode = kerr.PositionOutOfRange.Code
	case err != nil:
		h.o.Logger.Warn("cannot read a metadata snapshot for an observer", "cause", err)
		p.ErrorCode = kerr.UnknownServerError.Code
	default:
		p.Size, p.Bytes = size, piece
	}
}
