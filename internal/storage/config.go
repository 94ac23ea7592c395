package storage

import (
	"math"

	"github.com/moldau-stream/moldau/internal/record"
)

// KeepCodec is the compression type "producer": batches stay as they came.
const KeepCodec record.Codec = -1

// LogConfig is what topic configuration a log heeds, under Kafka's names. Begin with DefaultLogConfig.
type LogConfig struct {
	SegmentBytes       int   // segment.bytes
	SegmentMs          int64 // segment.ms
	SegmentJitterMs    int64 // segment.jitter.ms
	IndexBytes         int   // segment.index.bytes
	IndexIntervalBytes int   // index.interval.bytes
	Preallocate        bool  // preallocate

	RetentionMs       int64 // retention.ms, -1 for ever
	RetentionBytes    int64 // retention.bytes, -1 without bound
	FileDeleteDelayMs int64 // file.delete.delay.ms
	Delete, Compact   bool  // cleanup.policy

	DeleteRetentionMs      int64   // delete.retention.ms
	MinCompactionLagMs     int64   // min.compaction.lag.ms
	MaxCompactionLagMs     int64   // max.compaction.lag.ms
	MinCleanableDirtyRatio float64 // min.cleanable.dirty.ratio

	MaxMessageBytes      int   // max.message.bytes
	FlushMessages        int64 // flush.messages
	FlushMs              int64 // flush.ms
	TimestampType        record.TimestampType
	TimestampBeforeMaxMs int64 // message.timestamp.before.max.ms
	TimestampAfterMaxMs  int64 // message.timestamp.after.max.ms

	CompressionType  record.Codec // compression.type, KeepCodec for "producer"
	CompressionLevel int          // compression.<type>.level, record.DefaultLevel for its own

	// StrictRecords unpacks every record of a client's batch to check it. Kafka
	// does so; it costs several times what the rest of an append costs.
	StrictRecords bool
}

// maxSegmentMs is how long a segment takes records: what must be compacted in time must be closed in time.
func (c *LogConfig) maxSegmentMs() int64 {
	if c.Compact && c.MaxCompactionLagMs > 0 {
		return min(c.SegmentMs, c.MaxCompactionLagMs)
	}
	return c.SegmentMs
}

// DefaultLogConfig is Kafka's.
func DefaultLogConfig() LogConfig {
	const day = 24 * 60 * 60 * 1000
	return LogConfig{
		SegmentBytes: 1 << 30, SegmentMs: 7 * day, IndexBytes: 10 << 20, IndexIntervalBytes: 4096,
		RetentionMs: 7 * day, RetentionBytes: -1, FileDeleteDelayMs: 60_000, Delete: true,
		DeleteRetentionMs: day, MaxCompactionLagMs: math.MaxInt64, MinCleanableDirtyRatio: 0.5,
		MaxMessageBytes: 1048588, FlushMessages: math.MaxInt64, FlushMs: math.MaxInt64,
		TimestampType: record.CreateTime, TimestampBeforeMaxMs: math.MaxInt64, TimestampAfterMaxMs: 60 * 60 * 1000,
		CompressionType: KeepCodec,
	}
}
