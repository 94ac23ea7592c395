package quorum

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path"

	"github.com/moldau-stream/moldau/internal/clock"
	"github.com/moldau-stream/moldau/internal/meta"
	"github.com/moldau-stream/moldau/internal/record"
	"github.com/moldau-stream/moldau/internal/storage"
	"github.com/moldau-stream/moldau/internal/vfs"
)

// Log is the metadata log on disk: committed batches, in Kafka's format, at the offsets that they carry.
// storageLog is the one there is; the interface says what the quorum needs of it.
type Log interface {
	// StartOffset is the first offset that is still there.
	StartOffset() int64
	// EndOffset is the offset after the last record.
	EndOffset() int64
	// Append adds whole batches whose offsets go on from EndOffset. It need not sync.
	Append(batches []byte, leaderEpoch int32) error
	// Read visits the batches from an offset on, up to the end.
	Read(from int64, fn func(record.Batch) error) error
	// ReadBytes is whole batches from an offset on: about maxBytes of them, at least one, and none at or after upTo.
	ReadBytes(from int64, maxBytes int, upTo int64) ([]byte, error)
	// EndOffsetForEpoch is the newest epoch up to the given one, and where it ends; -1 when there is none.
	EndOffsetForEpoch(epoch int32) (found int32, end int64)
	// Sync makes everything that was appended durable; it may be called beside Append.
	Sync() error
	// Roll begins a new segment file, so that what came before can be forgotten later.
	Roll() error
	// TruncatePrefix forgets what lies below an offset, as far as whole files allow.
	TruncatePrefix(to int64) error
	// Reset empties the log and lets it go on at an offset.
	Reset(start int64) error
	// SetHighWatermark tells readers of the log how far it is committed.
	SetHighWatermark(offset int64)
	// SizeInBytes is what the log takes on disk.
	SizeInBytes() int64
	// Close makes everything durable and closes the files.
	Close() error
}

const (
	// readBytes is how much of the log is read at once while it is replayed.
	readBytes = 1 << 20
	// MetadataTopic is the name of the quorum's topic, which has one partition.
	MetadataTopic = "__cluster_metadata"
)

// metadataTopicID is the id that Kafka reserves for the metadata topic.
func metadataTopicID() [16]byte { return [16]byte{15: 1} }

// StorageLog is how the metadata log is opened in an ordinary partition's directory; segmentBytes is
// metadata.log.segment.bytes, 0 for Kafka's default.
func StorageLog(fsys vfs.FS, clk clock.Clock, logger *slog.Logger, segmentBytes int) func(dir string, recoveryPoint int64) (Log, error) {
	return func(dir string, recoveryPoint int64) (Log, error) {
		cfg := storage.DefaultLogConfig()
		cfg.Delete, cfg.RetentionMs = false, -1 // the quorum decides what goes, by its snapshots
		cfg.SegmentMs = math.MaxInt64
		if segmentBytes > 0 {
			cfg.SegmentBytes = segmentBytes
		}
		if err := ensureTopicID(fsys, dir); err != nil {
			return nil, fmt.Errorf("cannot note the metadata topic's id: %w", err)
		}
		l, err := storage.OpenLog(storage.LogOptions{
			FS: fsys, Clock: clk, Logger: logger, Dir: dir, Config: cfg, RecoveryPoint: recoveryPoint,
			TopicPartition: storage.TopicPartition{Topic: MetadataTopic}, TopicID: metadataTopicID(),
		})
		if err != nil {
			return nil, err
		}
		return storageLog{l}, nil
	}
}

// ensureTopicID puts partition.metadata in place before the log is opened. The id is always the same, so a file that
// is missing or was cut short by a crash or a full disk is written anew.
func ensureTopicID(fsys vfs.FS, dir string) error {
	name := path.Join(dir, "partition.metadata")
	want := "version: 0\ntopic_id: " + meta.FormatUUID(metadataTopicID())
	data, err := readSmallFile(fsys, name)
	if err == nil && len(data) >= len(want) {
		return nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return vfs.WriteFileAtomic(fsys, name, []byte(want))
}

type storageLog struct{ *storage.Log }

func (l storageLog) StartOffset() int64 { return l.LogStartOffset() }
func (l storageLog) EndOffset() int64   { return l.LogEndOffset() }
func (l storageLog) Sync() error        { return l.Flush() }
func (l storageLog) SizeInBytes() int64 { return l.Size() }
func (l storageLog) Close() error       { return l.Log.Close(true) }

func (l storageLog) EndOffsetForEpoch(epoch int32) (int32, int64) {
	e := l.Log.EndOffsetForEpoch(epoch)
	return e.Epoch, e.EndOffset
}

func (l storageLog) ReadBytes(from int64, maxBytes int, upTo int64) ([]byte, error) {
	s, err := l.Log.Read(from, maxBytes, upTo, true)
	if err != nil {
		return nil, err
	}
	defer s.Release()
	return s.Bytes()
}

func (l storageLog) Append(batches []byte, leaderEpoch int32) error {
	info, err := l.AppendAsFollower(batches, leaderEpoch)
	if err == nil && info.SizeInBytes != len(batches) {
		err = fmt.Errorf("only %d of %d bytes were taken", info.SizeInBytes, len(batches))
	}
	return err
}

func (l storageLog) Read(from int64, fn func(record.Batch) error) error {
	for end := l.LogEndOffset(); from < end; {
		s, err := l.Log.Read(from, readBytes, end, true)
		if err != nil {
			return err
		}
		data, err := s.Bytes()
		s.Release()
		if err != nil {
			return err
		}
		if len(data) == 0 {
			return fmt.Errorf("nothing is found at offset %d of %d", from, end)
		}
		for len(data) > 0 {
			var b record.Batch
			if b, data, err = record.Next(data); err == nil {
				err = b.Validate()
			}
			if err == nil {
				err = fn(b)
			}
			if err != nil {
				return err
			}
			from = b.NextOffset()
		}
	}
	return nil
}

func (l storageLog) TruncatePrefix(to int64) error {
	if err := l.AdvanceLogStartOffset(to); err != nil {
		return err
	}
	_, err := l.DeleteOldSegments()
	return err
}

func (l storageLog) Reset(start int64) error { return l.TruncateFullyAndStartAt(start) }
