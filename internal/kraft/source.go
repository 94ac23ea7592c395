package kraft

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/moldau-stream/moldau/internal/quorum"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// sourceWait is how long a controller may keep a fetch of the metadata log waiting; Kafka's 500 ms.
	sourceWait = 500 * time.Millisecond
	// sourceBytes is how much of the log one fetch asks for.
	sourceBytes = 8 << 20
)

// Source reads the metadata log from whichever controller leads, and finds out on the way who that is. It is the
// quorum.Source and the Leadership of a node that is no controller. One goroutine fetches; anybody may ask who leads.
type Source struct {
	d         *Directory
	directory [16]byte // of this node's copy of the log
	// timeout is how long a controller may be silent before another is asked (controller.quorum.fetch.timeout.ms).
	timeout time.Duration

	// OnLeader is told of each new leader; set before the first fetch. It must not block.
	OnLeader func(nodeID int32)

	mu     sync.Mutex
	leader int32
	epoch  int32
	next   int // of the addresses, while nobody is known to lead
}

// NewSource returns a source that has yet to find the controllers.
func NewSource(d *Directory, directoryID [16]byte, timeout time.Duration) *Source {
	return &Source{d: d, directory: directoryID, timeout: timeout, leader: -1, epoch: -1}
}

// Leader is who leads, as the last answer had it.
func (s *Source) Leader() (id, epoch int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leader, s.epoch
}

func (s *Source) learn(id, epoch int32) {
	s.mu.Lock()
	fresh := epoch >= s.epoch && id != s.leader && id >= 0
	defer func() {
		s.mu.Unlock()
		if fresh && s.OnLeader != nil {
			s.OnLeader(id)
		}
	}()
	if epoch < s.epoch { // news from a controller that is behind
		return
	}
	if id != s.leader {
		s.d.o.Logger.Info("the active controller is known", "controller", id, "epoch", epoch)
	}
	s.leader, s.epoch = id, epoch
}

// lost forgets the leader: it does not answer.
func (s *Source) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leader = -1
	s.next++
}

// address is whom to ask: the leader, else the next that may know it.
func (s *Source) address() (string, bool) {
	id, _ := s.Leader()
	if id >= 0 {
		if a := s.d.Address(id); a != "" {
			return a, true
		}
	}
	all := s.d.Addresses()
	if len(all) == 0 {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next %= len(all)
	return all[s.next], true
}

var errNobody = errors.New("no address of a controller is known")

// ask sends a request to who leads or may know it.
func (s *Source) ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	a, ok := s.address()
	if !ok {
		return nil, errNobody
	}
	resp, err := s.d.conn("metadata", a, s.timeout, nil).Call(ctx, req)
	if err != nil && ctx.Err() == nil {
		s.lost()
	}
	return resp, err
}

// maxRedirects is how often one fetch follows a controller's word that another one leads, or leads in another epoch: at a start
// from one that does not lead to the one that does, and to its epoch; once more for an election meanwhile.
const maxRedirects = 3

// Fetch asks for what stands from an offset on.
func (s *Source) Fetch(ctx context.Context, offset int64, lastEpoch int32, highWatermark int64) (quorum.Chunk, error) {
	for redirects := 0; ; redirects++ {
		leader, epoch := s.Leader()
		c, err := s.fetch(ctx, offset, lastEpoch, highWatermark)
		if err == nil || redirects == maxRedirects || !errors.Is(err, errElsewhere) {
			return c, err
		}
		if id, e := s.Leader(); id < 0 || id == leader && e == epoch {
			return c, err
		}
	}
}

// errElsewhere says that who was asked does not lead, or not in the epoch that was named.
var errElsewhere = errors.New("the controller that was asked does not lead in that epoch")

func (s *Source) fetch(ctx context.Context, offset int64, lastEpoch int32, highWatermark int64) (quorum.Chunk, error) {
	var none quorum.Chunk
	req := kmsg.NewPtrFetchRequest()
	req.ClusterID = &s.d.o.ClusterID
	req.ReplicaID, req.ReplicaState.ID, req.ReplicaState.Epoch = s.d.o.NodeID, s.d.o.NodeID, -1
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(sourceWait/time.Millisecond), 1, sourceBytes
	req.SessionID, req.SessionEpoch = 0, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = quorum.MetadataTopic, metadataTopicID()
	p := kmsg.NewFetchRequestTopicPartition()
	p.CurrentLeaderEpoch, p.FetchOffset, p.LogStartOffset = s.knownEpoch(lastEpoch), offset, -1
	p.LastFetchedEpoch = lastEpoch
	p.PartitionMaxBytes, p.ReplicaDirectoryID, p.HighWatermark = sourceBytes, s.directory, highWatermark
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	r, err := s.ask(ctx, req)
	if err != nil {
		return none, err
	}
	resp := r.(*kmsg.FetchResponse)
	if resp.ErrorCode != 0 {
		s.lost()
		return none, s.refused(resp.ErrorCode)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		s.lost()
		return none, errors.New("the controller's answer to a fetch is not about the metadata log")
	}
	for _, b := range resp.Brokers {
		s.d.Learn(b.NodeID, b.Host, uint16(b.Port))
	}
	return s.chunk(&resp.Topics[0].Partitions[0])
}

// knownEpoch is the epoch that a request names: the leader's as the last answer had it, or, before anybody has answered, that of the
// log's last record. Apache Kafka's controllers call a negative one an invalid request; one that is too low they answer with who leads.
func (s *Source) knownEpoch(lastEpoch int32) int32 {
	_, epoch := s.Leader()
	return max(epoch, lastEpoch, 0)
}

func (s *Source) chunk(p *kmsg.FetchResponseTopicPartition) (quorum.Chunk, error) {
	c := quorum.Chunk{Batches: p.RecordBatches, HighWatermark: p.HighWatermark, StartOffset: p.LogStartOffset}
	if p.CurrentLeader.LeaderEpoch >= 0 {
		s.learn(p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch)
	}
	switch kerr.ErrorForCode(p.ErrorCode) {
	case nil:
	case kerr.NotLeaderForPartition, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch:
		if p.CurrentLeader.LeaderID < 0 {
			s.lost()
		}
		return c, fmt.Errorf("%w: %w", errElsewhere, kerr.ErrorForCode(p.ErrorCode))
	default:
		s.lost()
		return c, s.refused(p.ErrorCode)
	}
	if p.SnapshotID.EndOffset >= 0 && p.SnapshotID.Epoch >= 0 {
		c.Snapshot = &quorum.SnapshotID{EndOffset: p.SnapshotID.EndOffset, Epoch: p.SnapshotID.Epoch}
	}
	if p.DivergingEpoch.Epoch >= 0 || p.DivergingEpoch.EndOffset >= 0 {
		c.Diverges, c.DivergingEpoch, c.DivergingEnd = true, p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset
	}
	return c, nil
}

// refused is an error that says what to do.
func (s *Source) refused(code int16) error {
	e := kerr.ErrorForCode(code)
	if errors.Is(e, kerr.InconsistentClusterID) {
		return fmt.Errorf("the controllers belong to another cluster than this node (%s): correct controller.quorum.voters or controller.quorum.bootstrap.servers, or format this node's directories with the cluster id of the controllers: %w", s.d.o.ClusterID, e)
	}
	return fmt.Errorf("the controller refuses to show the metadata log: %w", e)
}

// SnapshotPiece asks for a part of a snapshot.
func (s *Source) SnapshotPiece(ctx context.Context, id quorum.SnapshotID, position int64) (piece []byte, size int64, err error) {
	req := kmsg.NewPtrFetchSnapshotRequest()
	req.ClusterID, req.ReplicaID, req.MaxBytes = &s.d.o.ClusterID, s.d.o.NodeID, sourceBytes
	t := kmsg.NewFetchSnapshotRequestTopic()
	t.Topic = quorum.MetadataTopic
	p := kmsg.NewFetchSnapshotRequestTopicPartition()
	p.CurrentLeaderEpoch, p.Position = s.knownEpoch(id.Epoch), position
	p.SnapshotID.EndOffset, p.SnapshotID.Epoch = id.EndOffset, id.Epoch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	r, err := s.ask(ctx, req)
	if err != nil {
		return nil, 0, err
	}
	resp := r.(*kmsg.FetchSnapshotResponse)
	if resp.ErrorCode != 0 {
		return nil, 0, s.refused(resp.ErrorCode)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, 0, errors.New("the controller's answer is not about the metadata snapshot")
	}
	out := &resp.Topics[0].Partitions[0]
	if out.CurrentLeader.LeaderEpoch >= 0 && out.CurrentLeader.LeaderID >= 0 {
		s.learn(out.CurrentLeader.LeaderID, out.CurrentLeader.LeaderEpoch)
	}
	if err := kerr.ErrorForCode(out.ErrorCode); err != nil {
		return nil, 0, fmt.Errorf("the controller does not show its snapshot: %w", err)
	}
	return out.Bytes, out.Size, nil
}
