package txn

import (
	"errors"
	"log/slog"
	"time"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/coord"
)

// Topic is where transactions are stored.
const Topic = "__transaction_state"

// Options is what a Service is made of.
type Options struct {
	Config  Config
	Writer  coord.Writer
	Loader  coord.Loader
	Clock   clock.Clock
	Log     *slog.Logger // nil: silent
	Markers MarkerSender
	// NumPartitions is the number of partitions of Topic, 0 while it does not exist.
	NumPartitions func() int32
	// FetchProducerIDs sees to it that Config.NewProducerID has an id, and says when, or why not.
	FetchProducerIDs func(done func(error))

	CommitTimeoutMs int64 // for how long an answer waits for its record to be committed
	MaxBatchBytes   int   // max.message.bytes of Topic; 0: Kafka's default
}

// Service is the transaction coordinator of a broker. Each request has its method, which calls
// reply exactly once, now or later, on whatever goroutine. Authorization is the caller's.
type Service struct {
	o        Options
	attempts *coord.Counter
	rt       *coord.Runtime[*Shard]
}

// New returns a coordinator that leads nothing yet. All of o but Log must be set.
func New(o Options) *Service {
	d := DefaultConfig()
	for _, at := range []struct {
		n  *int64
		to int64
	}{{&o.Config.AbortIntervalMs, d.AbortIntervalMs}, {&o.Config.CleanupIntervalMs, d.CleanupIntervalMs}} {
		if *at.n <= 0 {
			*at.n = at.to // 0 would be a loop without end
		}
	}
	s := &Service{o: o, attempts: new(coord.Counter)}
	s.rt = coord.New(coord.Config[*Shard]{
		Name: Topic, Writer: o.Writer, Loader: o.Loader, Clock: o.Clock, Log: o.Log,
		NewMachine:      func(p int32) *Shard { return NewShard(p, &s.o.Config, s.attempts, s.send) },
		CommitTimeoutMs: o.CommitTimeoutMs, MaxBatchBytes: o.MaxBatchBytes,
	})
	return s
}

// Elect says that this broker leads partition p of Topic since leaderEpoch.
func (s *Service) Elect(p, leaderEpoch int32) { s.rt.Elect(p, leaderEpoch) }

// Resign says that this broker does not lead p any more: another does since leaderEpoch, or, if that is -1, nobody will.
func (s *Service) Resign(p, leaderEpoch int32) { s.rt.Resign(p, leaderEpoch) }

// HighWatermark says how far p is committed.
func (s *Service) HighWatermark(p int32, hw int64) { s.rt.HighWatermark(p, hw) }

// Close answers everything that is parked and gives up all partitions.
func (s *Service) Close() { s.rt.Close() }

// PartitionFor is the partition of Topic that holds a transactional id; false while Topic does not exist.
func (s *Service) PartitionFor(id string) (int32, bool) {
	n := s.o.NumPartitions()
	if n <= 0 {
		return 0, false
	}
	return PartitionFor(id, n), true
}

// do runs op on the shard of a transactional id.
func (s *Service) do(id string, op func(*Shard, *coord.Turn), refuse func(error)) {
	p, ok := s.PartitionFor(id)
	if !ok {
		refuse(coord.ErrNotCoordinator)
		return
	}
	s.rt.Do(p, op, refuse)
}

// send hands markers on and brings back what came of them.
func (s *Service) send(d Delivery) {
	if d.Err != nil {
		s.report(d, nil)
		return
	}
	s.o.Markers.SendMarkers(d.Marker, func(results []MarkerResult) { s.report(d, results) })
}

// reportRetry is the pause before a shard that was too busy to hear a result is told again.
const reportRetry = 100 * time.Millisecond

// report tells the shard what came of a delivery. A coordinator that has gone has left the work to the next one.
func (s *Service) report(d Delivery, results []MarkerResult) {
	s.rt.Do(d.Partition, func(sh *Shard, t *coord.Turn) {
		if t.LeaderEpoch == d.Marker.CoordinatorEpoch {
			sh.delivered(t, d.Marker.TransactionalID, d.Attempt, results)
		}
	}, func(err error) {
		if errors.Is(err, coord.ErrOverloaded) {
			s.o.Clock.AfterFunc(reportRetry, func() { s.report(d, results) })
		}
	})
}

// maxIDBytes is what a transactional id may take: it must fit into a record.
const maxIDBytes = maxStringBytes

func validID(id string) bool { return id != "" && len(id) <= maxIDBytes }
