package node

import (
	"maps"
	"slices"

	"github.com/moldau-stream/moldau/internal/broker"
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/obs"
	"github.com/moldau-stream/moldau/internal/txn"
)

// buildTxns makes the transaction coordinator over the partitions of its topic.
func (n *Node) buildTxns() *txn.Service {
	s := n.o.Settings
	log := broker.CoordinatorLog{Topic: txn.Topic, Replicas: n.replicas}
	return txn.New(txn.Options{
		Config: txn.Config{
			MaxTimeoutMs:      s.Int32(config.TransactionMaxTimeoutMs),
			ExpirationMs:      s.Long(config.TransactionalIDExpirationMs),
			AbortIntervalMs:   s.Long(config.TransactionAbortTimedOutTransactionCleanupIntervalMs),
			CleanupIntervalMs: s.Long(config.TransactionRemoveExpiredTransactionCleanupIntervalMs),
			MaxIDs:            s.Int(config.MoldauTransactionMaxIDs),
			Version:           func() int16 { return n.broker.Image().FeatureLevel(meta.FeatureTransaction) },
			NewProducerID:     func() (int64, bool) { return n.broker.NextProducerID() },
		},
		Writer: log, Loader: log, Clock: n.o.Clock, Log: n.o.Logger, Markers: markersLink{n},
		NumPartitions:    func() int32 { return n.partitionsOf(txn.Topic) },
		FetchProducerIDs: func(done func(error)) { n.broker.FetchProducerIDs(done) },
		CommitTimeoutMs:  s.Duration(config.RequestTimeoutMs).Milliseconds(),
		MaxBatchBytes:    s.Int(config.MessageMaxBytes),
	})
}

// markersLink brings markers to the broker, which is built after the coordinator.
type markersLink struct{ n *Node }

func (l markersLink) SendMarkers(m txn.Marker, done func([]txn.MarkerResult)) {
	l.n.broker.SendMarkers(m, done)
}

func (n *Node) writeTransactions(w *obs.Writer) {
	m := n.txns.Metrics()
	states := w.Family(obs.TransactionalIDs, "Transactional ids that this broker coordinates, by the state of their transaction.", obs.KindGauge)
	for _, state := range slices.Sorted(maps.Keys(m.ByState)) {
		states.Int(int64(m.ByState[state]), "state", state)
	}
	w.Family(obs.TransactionMarkersPending, "Markers of decided transactions that are still to be written.", obs.KindGauge).Int(int64(m.Undelivered))
	w.Family(obs.TransactionLoadTimeAvg, "Average time in ms of the loads of transaction partitions in the last 30 s.", obs.KindGauge).Float(m.LoadAvgMs)
	w.Family(obs.TransactionLoadTimeMax, "Longest time in ms of the loads of transaction partitions in the last 30 s.", obs.KindGauge).Float(m.LoadMaxMs)
	w.Family(obs.VerificationFailures, "Partitions that a transaction coordinator did not confirm to be part of a transaction.", obs.KindCounter).Int(n.broker.VerificationFailures())
}
