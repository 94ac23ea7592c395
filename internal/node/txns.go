package node

import (
	"github.com/moldau-stream/moldau/internal/broker"
	"github.com/moldau-stream/moldau/internal/config"
	"github.com/moldau-stream/moldau/internal/meta"
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
