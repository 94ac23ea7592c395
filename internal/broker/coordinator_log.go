package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/moldau-stream/moldau/internal/coord"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/storage"
)

// CoordinatorLog is how a coordinator reads and writes the partitions of its topic.
type CoordinatorLog struct {
	Topic    string
	Replicas *replica.Manager
	Codec    record.Codec // offsets.topic.compression.codec
}

// Append writes one batch; see coord.Writer.
func (l CoordinatorLog) Append(p int32, b coord.Batch) (int64, error) {
	opts := record.BuilderOptions{Codec: l.Codec, PartitionLeaderEpoch: b.LeaderEpoch}
	if b.ProducerID != coord.NoProducerID {
		opts.HasProducer, opts.Transactional = true, true
		opts.ProducerID, opts.ProducerEpoch, opts.BaseSequence = b.ProducerID, b.ProducerEpoch, record.NoSequence
	}
	builder := record.NewBuilder(opts)
	for _, r := range b.Records {
		builder.Append(b.TimestampMs, r.Key, r.Value, nil)
	}
	end, err := l.Replicas.AppendForTransaction(l.tp(p), b.LeaderEpoch, builder.Build(), storage.AppendOptions{Guard: storage.VerificationGuard(b.Guard)})
	if err != nil {
		return 0, asCoordinatorError(err)
	}
	return end, nil
}

// AppendMarker writes a transaction's marker; see coord.Writer.
func (l CoordinatorLog) AppendMarker(p int32, m coord.Marker) (int64, error) {
	batch := record.EndTxnBatch(m.ProducerID, m.ProducerEpoch, m.TimestampMs, record.EndTxnMarker{Commit: m.Commit, CoordinatorEpoch: m.CoordinatorEpoch})
	end, err := l.Replicas.AppendForTransaction(l.tp(p), m.LeaderEpoch, batch, storage.AppendOptions{TransactionVersion: m.TransactionVersion})
	if err != nil {
		return 0, asCoordinatorError(err)
	}
	return end, nil
}

// coordinatorErrors says what an error of the layers below means to a coordinator, which groups its
// clients by what they shall do: look for another coordinator, ask again, or ask for less.
var coordinatorErrors = []struct{ below, coord error }{
	{replica.ErrNotLeader, coord.ErrNotLeader},
	{replica.ErrShuttingDown, coord.ErrNotLeader},
	{replica.ErrUnknownTopicOrPartition, coord.ErrUnavailable},
	{replica.ErrNotEnoughReplicas, coord.ErrNotEnoughReplicas},
	{replica.ErrNotEnoughReplicasAfterAppend, coord.ErrNotEnoughReplicas},
	{replica.ErrRequestTimedOut, coord.ErrTimedOut},
	{replica.ErrOffline, coord.ErrStorage},
	{storage.ErrStorage, coord.ErrStorage},
	{storage.ErrClosed, coord.ErrStorage},
	{storage.ErrNoDirectory, coord.ErrStorage},
	{storage.ErrInvalidProducerEpoch, coord.ErrProducerFenced},
	{storage.ErrInvalidTxnState, coord.ErrNotInTransaction},
	{storage.ErrCoordinatorFenced, coord.ErrCoordinatorFenced},
	{storage.ErrRecordTooLarge, coord.ErrTooLarge},
	{storage.ErrRecordListTooLarge, coord.ErrTooLarge},
}

// asCoordinatorError adds to err what it means to a coordinator.
func asCoordinatorError(err error) error {
	for _, m := range coordinatorErrors {
		if errors.Is(err, m.below) {
			return fmt.Errorf("%w: %w", m.coord, err)
		}
	}
	return err
}

// Load reads a partition from its start to its end; see coord.Loader.
func (l CoordinatorLog) Load(ctx context.Context, p int32, fn func(coord.StoredBatch) error) (coord.Extent, error) {
	end, hw, err := l.Replicas.ReadAll(l.tp(p), func(batches []byte) error {
		for len(batches) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			batch, rest, err := record.Next(batches)
			if err != nil {
				return fmt.Errorf("cannot read %s-%d: %w", l.Topic, p, err)
			}
			if err := loadBatch(batch, fn); err != nil {
				return fmt.Errorf("cannot load the batch at offset %d of %s-%d: %w", batch.BaseOffset(), l.Topic, p, err)
			}
			batches = rest
		}
		return nil
	})
	return coord.Extent{EndOffset: end, HighWatermark: hw}, err
}

func (l CoordinatorLog) tp(p int32) storage.TopicPartition {
	return storage.TopicPartition{Topic: l.Topic, Partition: p}
}

// loadBatch hands one batch on; control batches other than transaction markers say nothing to a coordinator.
func loadBatch(b record.Batch, fn func(coord.StoredBatch) error) error {
	out := coord.StoredBatch{BaseOffset: b.BaseOffset(), ProducerID: coord.NoProducerID}
	if b.IsTransactional() {
		out.ProducerID, out.ProducerEpoch = b.ProducerID(), b.ProducerEpoch()
	}
	if b.IsControl() {
		return loadMarker(b, out, fn)
	}
	err := b.ForEachKey(func(r record.Record) error {
		r = r.Clone()
		out.Records = append(out.Records, coord.StoredRecord{Offset: r.Offset, Record: coord.Record{Key: r.Key, Value: r.Value}})
		return nil
	})
	if err != nil {
		return err
	}
	return fn(out)
}

func loadMarker(b record.Batch, out coord.StoredBatch, fn func(coord.StoredBatch) error) error {
	return b.ForEach(func(r record.Record) error {
		control, err := record.ParseControl(r.Key, r.Value)
		if err != nil {
			return err
		}
		marker, ok := control.(record.EndTxnMarker)
		if !ok {
			return nil
		}
		out.EndTxn = &coord.EndTxn{Commit: marker.Commit}
		return fn(out)
	})
}
