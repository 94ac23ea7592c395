package storage

import (
	"errors"
	"fmt"
	"math"

	"github.com/moldau-stream/moldau/internal/record"
)

// maxRecordErrors bounds how many records a refusal names.
const maxRecordErrors = 100

// checked is what is known of an append's batches once they have been looked at.
type checked struct {
	bytes      []byte // what to append: the caller's bytes, or others when they were recompressed
	numRecords int
	maxTs      int64
}

// checkAppend looks at the batches of a leader's append before the log is locked:
// headers and checksums always, records only where it must.
func (l *Log) checkAppend(b []byte, origin Origin, cfg *LogConfig, nowMs int64) (checked, error) {
	c := checked{bytes: b, maxTs: record.NoTimestamp}
	if len(b) == 0 {
		return c, refuse(ErrInvalidRecord, "An append to %s has no record batch", l.tp)
	}
	for rest := b; len(rest) > 0; {
		var batch record.Batch
		var err error
		if batch, rest, err = record.Next(rest); err == nil {
			err = l.checkBatch(batch, origin, cfg, nowMs)
		}
		if err != nil {
			return c, l.asRefusal(err)
		}
		if origin == FromClient && len(rest) > 0 {
			return c, refuse(ErrInvalidRecord, "An append to %s has more than one record batch, %d bytes follow the first", l.tp, len(rest))
		}
		c.numRecords += batch.NumRecords()
		c.maxTs = max(c.maxTs, batch.MaxTimestamp())
	}
	if origin == FromClient && cfg.CompressionType != KeepCodec && record.Batch(b).Codec() != cfg.CompressionType {
		again, err := recompress(b, cfg)
		if err != nil {
			return c, l.asRefusal(err)
		}
		if len(again) > cfg.MaxMessageBytes {
			return c, l.tooLarge(len(again), cfg)
		}
		c.bytes = again
	}
	if len(c.bytes) > min(cfg.SegmentBytes, maxSegmentBytes) && origin == FromClient || len(c.bytes) > maxSegmentBytes {
		return c, refuse(ErrRecordListTooLarge, "An append of %d bytes to %s is larger than a segment may be (%d bytes)", len(c.bytes), l.tp, cfg.SegmentBytes)
	}
	return c, nil
}

// asRefusal turns what package record says into what a client is told.
func (l *Log) asRefusal(err error) error {
	var refusal *InvalidRecordError
	switch {
	case errors.As(err, &refusal):
		return err
	case errors.Is(err, record.ErrUnsupportedCodec):
		return refuse(ErrUnsupportedCompression, "An append to %s: %v", l.tp, err)
	case errors.Is(err, record.ErrUnsupportedMagic):
		return refuse(ErrInvalidRecord, "An append to %s: %v, only 2 is", l.tp, err)
	case errors.Is(err, record.ErrTooLarge):
		return refuse(ErrRecordTooLarge, "An append to %s: %v", l.tp, err)
	}
	return refuse(ErrCorruptRecord, "An append to %s: %v", l.tp, err)
}

func (l *Log) tooLarge(size int, cfg *LogConfig) error {
	return refuse(ErrRecordTooLarge, "The record batch size in the append to %s is %d bytes which exceeds the maximum configured value of %d.", l.tp, size, cfg.MaxMessageBytes)
}

func (l *Log) checkBatch(b record.Batch, origin Origin, cfg *LogConfig, nowMs int64) error {
	if origin == FromClient && b.BaseOffset() != 0 {
		return refuse(ErrInvalidRecord, "The baseOffset of the record batch in the append to %s should be 0, but it is %d", l.tp, b.BaseOffset())
	}
	if len(b) > cfg.MaxMessageBytes && origin == FromClient {
		return l.tooLarge(len(b), cfg)
	}
	if err := b.Validate(); err != nil {
		return err
	}
	if !b.Codec().Known() {
		return fmt.Errorf("%w: %v", record.ErrUnsupportedCodec, b.Codec())
	}
	if b.NumRecords() <= 0 || int64(b.LastOffsetDelta()) != int64(b.NumRecords())-1 {
		return refuse(ErrInvalidRecord, "Inconsistent batch in the append to %s: its last offset delta is %d and its count of records %d", l.tp, b.LastOffsetDelta(), b.NumRecords())
	}
	if b.HasProducerID() && origin == FromClient && b.BaseSequence() < 0 {
		return refuse(ErrInvalidRecord, "Invalid sequence number %d in a record batch of producer %d in the append to %s", b.BaseSequence(), b.ProducerID(), l.tp)
	}
	if b.HasProducerID() && b.ProducerEpoch() < 0 {
		return refuse(ErrInvalidRecord, "Invalid epoch %d in a record batch of producer %d in the append to %s", b.ProducerEpoch(), b.ProducerID(), l.tp)
	}
	if b.IsTransactional() && !b.HasProducerID() {
		return refuse(ErrInvalidRecord, "A transactional record batch in the append to %s has no producer id", l.tp)
	}
	if origin != FromClient {
		return nil
	}
	if b.IsControl() {
		return refuse(ErrInvalidRecord, "Clients are not allowed to write control records, as in the append to %s", l.tp)
	}
	if _, ok := b.DeleteHorizonMs(); ok {
		return refuse(ErrInvalidRecord, "Clients are not allowed to set a delete horizon, as in the append to %s", l.tp)
	}
	return l.checkRecords(b, cfg, nowMs)
}

// checkRecords holds a client's batch to the topic's rules for keys and timestamps.
// It unpacks the records only when the header cannot tell.
func (l *Log) checkRecords(b record.Batch, cfg *LogConfig, nowMs int64) error {
	oldest, newest := int64(math.MinInt64), int64(math.MaxInt64)
	if cfg.TimestampType == record.CreateTime {
		if b.TimestampType() == record.LogAppendTime {
			return refuse(ErrInvalidTimestamp, "A record batch in the append to %s says LogAppendTime, the topic is configured for CreateTime", l.tp)
		}
		oldest, newest = subClamped(nowMs, cfg.TimestampBeforeMaxMs), addClamped(nowMs, cfg.TimestampAfterMaxMs)
	}
	tooNew := b.MaxTimestamp() > newest
	if !cfg.Compact && !tooNew && oldest == math.MinInt64 && !cfg.StrictRecords {
		return nil
	}
	var keyless, badTime []RecordError
	i := 0
	err := b.ForEachKey(func(r record.Record) error {
		if cfg.Compact && r.Key == nil && len(keyless) < maxRecordErrors {
			keyless = append(keyless, RecordError{i, fmt.Sprintf("Compacted topic cannot accept message without key in topic partition %s.", l.tp)})
		}
		if ts := r.TimestampMs; ts != record.NoTimestamp && (ts < oldest || ts > newest) && len(badTime) < maxRecordErrors {
			badTime = append(badTime, RecordError{i, fmt.Sprintf("Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]", ts, r.Offset, oldest, newest)})
		}
		i++
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(keyless) > 0:
		return refuseRecords(ErrKeylessRecord, keyless)
	case len(badTime) > 0:
		return refuseRecords(ErrInvalidTimestamp, badTime)
	case tooNew:
		return refuse(ErrInvalidTimestamp, "The largest timestamp %d of a record batch in the append to %s is out of range: at most %d is accepted", b.MaxTimestamp(), l.tp, newest)
	}
	return nil
}

func refuseRecords(reason error, records []RecordError) error {
	return &InvalidRecordError{Reason: reason, RecordErrors: records,
		Message: fmt.Sprintf("One or more records have been rejected (%d found). The first: %s", len(records), records[0].Message)}
}

// subClamped takes b from a, where neither is negative and the largest b means "without bound".
func subClamped(a, b int64) int64 {
	if b == math.MaxInt64 {
		return math.MinInt64
	}
	return a - b
}

func addClamped(a, b int64) int64 {
	if b > math.MaxInt64-a {
		return math.MaxInt64
	}
	return a + b
}

// recompress packs a batch anew with the codec that the topic asks for.
func recompress(b record.Batch, cfg *LogConfig) (record.Batch, error) {
	again := record.NewBuilder(record.BuilderOptions{
		Codec: cfg.CompressionType, Level: cfg.CompressionLevel, HasProducer: b.HasProducerID(),
		ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(),
		PartitionLeaderEpoch: b.PartitionLeaderEpoch(), BaseOffset: b.BaseOffset(), Transactional: b.IsTransactional(),
	})
	err := b.ForEach(func(r record.Record) error {
		again.AppendAt(int32(r.Offset-b.BaseOffset()), r.TimestampMs, r.Key, r.Value, r.Headers)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return again.TryBuild()
}
