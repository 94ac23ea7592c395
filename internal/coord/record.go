package coord

import "context"

// NoProducerID marks a batch that no producer's transaction owns.
const NoProducerID = int64(-1)

// Record is what a coordinator stores: a key, and a value or nil for a tombstone.
type Record struct{ Key, Value []byte }

// Batch is one atomic append.
type Batch struct {
	Records     []Record
	TimestampMs int64
	// LeaderEpoch is the epoch for which the shard was elected. A Writer whose log
	// has moved to another epoch must refuse with ErrNotLeader: it is what keeps a
	// coordinator that has not heard of its deposition from writing.
	LeaderEpoch   int32
	ProducerID    int64 // NoProducerID outside transactions
	ProducerEpoch int16
	Guard         uint64 // what lets a transaction's first records into the log
}

// Marker ends a transaction in one partition of the coordinator's topic.
type Marker struct {
	ProducerID         int64
	ProducerEpoch      int16
	CoordinatorEpoch   int32 // of the transaction coordinator that has decided
	Commit             bool
	TransactionVersion int8
	TimestampMs        int64
	LeaderEpoch        int32 // as a Batch's
}

// Writer appends to the coordinator's topic.
type Writer interface {
	// Append writes b as one record batch to partition p and returns the log end
	// offset after it. It returns when the log has taken the batch, not when it is
	// committed: that is told by Runtime.HighWatermark, which may be called from
	// within Append. On an error nothing was appended. Keys and values are not kept.
	Append(p int32, b Batch) (endOffset int64, err error)
	// AppendMarker is Append for a transaction's marker.
	AppendMarker(p int32, m Marker) (endOffset int64, err error)
}

// StoredBatch is a batch as a Loader reads it. Exactly one of Records and EndTxn is of use.
type StoredBatch struct {
	BaseOffset    int64
	ProducerID    int64 // NoProducerID unless the batch is transactional
	ProducerEpoch int16
	Records       []StoredRecord
	EndTxn        *EndTxn // a control batch that ends a transaction; other control batches are skipped by the loader
}

// StoredRecord is a record and where it lies. Its bytes may be reused after the callback returns.
type StoredRecord struct {
	Offset int64
	Record
}

// EndTxn is a transaction marker.
type EndTxn struct{ Commit bool }

// Extent is what a load has covered.
type Extent struct {
	EndOffset     int64 // everything below was handed to the callback
	HighWatermark int64 // as it stood at the end; later moves come by Runtime.HighWatermark
}

// Loader reads a partition of the coordinator's topic.
type Loader interface {
	// Load hands every batch of partition p, from its log start offset to its log
	// end offset, to fn in order. It stops at fn's error or when ctx ends.
	Load(ctx context.Context, p int32, fn func(StoredBatch) error) (Extent, error)
}

// sizeOf is what r takes in a batch, rounded up: two lengths and the record's
// own framing never exceed recordOverheadBytes.
func sizeOf(r Record) int { return len(r.Key) + len(r.Value) + recordOverheadBytes }

const (
	recordOverheadBytes = 32 // length, attributes, timestamp and offset deltas, key and value lengths, header count: at most 27
	batchOverheadBytes  = 61 // the fixed header of a v2 batch
)
