package broker

import (
	"context"
	"errors"

	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/replica"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/twmb/franz-go/pkg/kerr"
)

// codes says which of Kafka's codes stands for which error of the layers below.
// The first that errors.Is finds wins.
var codes = []struct {
	err  error
	kafk *kerr.Error
}{
	{replica.ErrUnknownTopicOrPartition, kerr.UnknownTopicOrPartition},
	{replica.ErrUnknownTopicID, kerr.UnknownTopicID},
	{replica.ErrInconsistentTopicID, kerr.InconsistentTopicID},
	{replica.ErrNotLeader, kerr.NotLeaderForPartition},
	{replica.ErrShuttingDown, kerr.NotLeaderForPartition},
	{replica.ErrFencedLeaderEpoch, kerr.FencedLeaderEpoch},
	{replica.ErrUnknownLeaderEpoch, kerr.UnknownLeaderEpoch},
	{replica.ErrNotEnoughReplicas, kerr.NotEnoughReplicas},
	{replica.ErrNotEnoughReplicasAfterAppend, kerr.NotEnoughReplicasAfterAppend},
	{replica.ErrRequestTimedOut, kerr.RequestTimedOut},
	{replica.ErrOffline, kerr.KafkaStorageError},
	{replica.ErrOffsetNotAvailable, kerr.OffsetNotAvailable},
	{storage.ErrOffsetOutOfRange, kerr.OffsetOutOfRange},
	{storage.ErrCorruptRecord, kerr.CorruptMessage},
	{record.ErrCorrupt, kerr.CorruptMessage},
	{record.ErrTooLarge, kerr.CorruptMessage},
	{storage.ErrInvalidTimestamp, kerr.InvalidTimestamp},
	{storage.ErrRecordTooLarge, kerr.MessageTooLarge},
	{storage.ErrRecordListTooLarge, kerr.RecordListTooLarge},
	{storage.ErrInvalidRecord, kerr.InvalidRecord},
	{storage.ErrUnsupportedCompression, kerr.UnsupportedCompressionType},
	{storage.ErrOutOfOrderSequence, kerr.OutOfOrderSequenceNumber},
	{storage.ErrInvalidProducerEpoch, kerr.InvalidProducerEpoch},
	{storage.ErrInvalidTxnState, kerr.InvalidTxnState},
	{storage.ErrCoordinatorFenced, kerr.TransactionCoordinatorFenced},
	{storage.ErrInconsistentTopicID, kerr.InconsistentTopicID},
	{storage.ErrNotReady, kerr.NotLeaderForPartition},
	{storage.ErrClosed, kerr.NotLeaderForPartition},
	{storage.ErrTruncated, kerr.NotLeaderForPartition},
	{storage.ErrNoDirectory, kerr.KafkaStorageError},
	{storage.ErrStorage, kerr.KafkaStorageError},
	{context.DeadlineExceeded, kerr.RequestTimedOut},
}

// code is Kafka's code for err: 0 for nil, KAFKA_STORAGE_ERROR for a failing disk
// (a client retries it), UNKNOWN_SERVER_ERROR where nothing fits.
func code(err error) int16 {
	if err == nil {
		return 0
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.kafk.Code
		}
	}
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Code
	}
	return kerr.UnknownServerError.Code
}

// The first versions whose clients know KAFKA_STORAGE_ERROR (KIP-112).
const (
	firstStorageErrorProduce = 4
	firstStorageErrorFetch   = 6
)

// codeAt is code for a client that, before version known, has not heard of KAFKA_STORAGE_ERROR: it is told
// to look for another leader, which it will retry as well.
func codeAt(err error, version, known int16) int16 {
	c := code(err)
	if c == kerr.KafkaStorageError.Code && version < known {
		return kerr.NotLeaderForPartition.Code
	}
	return c
}

// text is a pointer to a message, nil for an empty one.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// message is err's sentence for a response that can carry one.
func message(err error) *string {
	if err == nil {
		return nil
	}
	s := err.Error()
	return &s
}
