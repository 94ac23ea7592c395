package quorum

import "github.com/moldau-stream/moldau/internal/record"

// Log is the metadata log on disk: committed batches, in Kafka's format, at the offsets that they carry.
type Log interface {
	// StartOffset is the first offset that is still there.
	StartOffset() int64
	// EndOffset is the offset after the last record.
	EndOffset() int64
	// Append adds whole batches whose offsets go on from EndOffset. It need not sync.
	Append(batches []byte, leaderEpoch int32) error
	// Read visits the batches from an offset on, up to the end.
	Read(from int64, fn func(record.Batch) error) error
	// Sync makes everything that was appended durable; it may be called beside Append.
	Sync() error
	// TruncatePrefix forgets what lies below an offset, as far as whole files allow.
	TruncatePrefix(to int64) error
	// Reset empties the log and lets it go on at an offset.
	Reset(start int64) error
	// SetHighWatermark tells readers of the log how far it is committed.
	SetHighWatermark(offset int64)
	// SizeInBytes is what the log takes on disk.
	SizeInBytes() int64
	Close() error
}
