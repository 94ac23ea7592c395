package storage

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String is the name of the partition's directory.
func (tp TopicPartition) String() string {
	return tp.Topic + "-" + strconv.FormatInt(int64(tp.Partition), 10)
}

// Compare orders by topic and number.
func (tp TopicPartition) Compare(other TopicPartition) int {
	return cmp.Or(strings.Compare(tp.Topic, other.Topic), cmp.Compare(tp.Partition, other.Partition))
}

// ParseTopicPartition reads the name of a partition's directory.
func ParseTopicPartition(dir string) (TopicPartition, error) {
	i := strings.LastIndexByte(dir, '-')
	if i <= 0 {
		return TopicPartition{}, fmt.Errorf("%q is not the name of a partition's directory", dir)
	}
	n, err := strconv.ParseUint(dir[i+1:], 10, 31)
	if err != nil {
		return TopicPartition{}, fmt.Errorf("%q is not the name of a partition's directory", dir)
	}
	return TopicPartition{Topic: dir[:i], Partition: int32(n)}, nil
}

// Origin says who appends, which decides what is checked.
type Origin int8

const (
	// FromClient is a Produce request: everything is checked.
	FromClient Origin = iota
	// FromCoordinator is a coordinator or the quorum of this node: control batches
	// are allowed, sequences are not checked, producer epochs are.
	FromCoordinator
	// FromReplication is a follower copying its leader: nothing is refused that the leader took.
	FromReplication
)

// AppendInfo says what an append did.
type AppendInfo struct {
	FirstOffset, LastOffset int64
	MaxTimestampMs          int64
	LogAppendTimeMs         int64 // -1 unless the topic stamps records itself
	LogStartOffset          int64
	NumRecords              int
	SizeInBytes             int
	// Duplicate says that the batch had been appended before; the offsets are those of then.
	Duplicate bool
}

// TimestampOffset is a record found by its timestamp.
type TimestampOffset struct {
	TimestampMs, Offset int64
	LeaderEpoch         int32
}

// EpochEndOffset is where a leader epoch ends; both fields are -1 when it is not known.
type EpochEndOffset struct {
	Epoch     int32
	EndOffset int64
}

// AbortedTxn is a transaction that was aborted, by the offsets of its records in one partition.
type AbortedTxn struct {
	ProducerID                                int64
	FirstOffset, LastOffset, LastStableOffset int64
}

// ProducerState is what a partition remembers of an idempotent producer.
type ProducerState struct {
	ProducerID            int64
	ProducerEpoch         int16
	LastSequence          int32
	LastTimestampMs       int64
	CoordinatorEpoch      int32
	CurrentTxnStartOffset int64 // -1 when no transaction is open
}

// What an append, a read or the log itself may refuse; compare with errors.Is.
var (
	ErrCorruptRecord = errors.New("corrupt record")
	ErrInvalidRecord = errors.New("invalid record")
	// ErrKeylessRecord is the ErrInvalidRecord of a record without a key for a compacted topic.
	ErrKeylessRecord          = fmt.Errorf("%w: no key", ErrInvalidRecord)
	ErrInvalidTimestamp       = errors.New("invalid timestamp")
	ErrRecordTooLarge         = errors.New("record batch too large")
	ErrRecordListTooLarge     = errors.New("record batches larger than a segment")
	ErrUnsupportedCompression = errors.New("unsupported compression type")
	ErrOutOfOrderSequence     = errors.New("out of order sequence number")
	ErrInvalidProducerEpoch   = errors.New("invalid producer epoch")
	ErrInvalidTxnState        = errors.New("invalid transaction state")
	ErrCoordinatorFenced      = errors.New("transaction coordinator fenced")
	ErrOffsetOutOfRange       = errors.New("offset out of range")
	// ErrStorage says that the disk failed and the log takes no more appends, or that it
	// was full: then Log.Err is nil, nothing has changed, and another try may succeed.
	ErrStorage = errors.New("storage error")
	// ErrDiskFull is the ErrStorage of a volume that has no space left for clients' records.
	ErrDiskFull = errors.New("disk is full")
	// ErrNotReady says that the log is still to be checked after an unclean stop; it serves when that is done.
	ErrNotReady = errors.New("log is not recovered yet")
	// ErrClosed says that the log was closed or deleted.
	ErrClosed = errors.New("log is closed")
	// ErrTruncated says that what was waited for has been cut off.
	ErrTruncated = errors.New("log was truncated")
	// ErrInconsistentTopicID says that the directory belongs to another topic of the same name.
	ErrInconsistentTopicID = errors.New("inconsistent topic id")
	// ErrNoDirectory says that there is no usable log directory for a new log.
	ErrNoDirectory = errors.New("no usable log directory")
)

// RecordError names one record that made an append fail.
type RecordError struct {
	BatchIndex int // the record's place in its batch
	Message    string
}

// InvalidRecordError says why a batch was refused and, where known, which records are to blame.
type InvalidRecordError struct {
	Reason       error // one of the Err... of this package
	RecordErrors []RecordError
	Message      string
}

func (e *InvalidRecordError) Error() string { return e.Message }

// Unwrap is the reason.
func (e *InvalidRecordError) Unwrap() error { return e.Reason }

func refuse(reason error, format string, args ...any) error {
	return &InvalidRecordError{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
