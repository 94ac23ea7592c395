package coord

import "errors"

// Reasons for which a request is refused or its reply is failed. The packages
// above translate them to Kafka's codes. A Writer wraps those that it knows of.
var (
	// ErrNotCoordinator: this node does not lead the partition, or has ceased to.
	ErrNotCoordinator = errors.New("this node is not the coordinator of the partition")
	// ErrLoading: leadership has come, the partition is still being read.
	ErrLoading = errors.New("the coordinator is still loading the partition")
	// ErrOverloaded: the shard holds as much unfinished work as it may.
	ErrOverloaded = errors.New("the coordinator has too much unfinished work")
	// ErrTimedOut: the write was appended but not committed in time. It may still be committed.
	ErrTimedOut = errors.New("the write was not committed in time")
	// ErrUnreadable: the machine could not have read what a turn was about to write. Nothing was written.
	ErrUnreadable = errors.New("the records cannot be read back")
	// ErrUnavailable: there is no coordinator for this now, here or elsewhere.
	ErrUnavailable = errors.New("the coordinator is not available")

	// ErrSetAside is a Machine's: it could not read a stored record, and has marked what the record
	// was about so that nobody is told anything else of it. The load goes on.
	ErrSetAside = errors.New("the record is set aside")

	// ErrNotLeader is a Writer's: it no longer leads the partition at the batch's epoch.
	ErrNotLeader = errors.New("the log's leader epoch has moved on")
	// ErrNotEnoughReplicas is a Writer's: fewer replicas in sync than the topic demands.
	ErrNotEnoughReplicas = errors.New("not enough replicas are in sync")
	// ErrTooLarge is a Writer's or the runtime's: one atomic batch exceeds the topic's limit.
	ErrTooLarge = errors.New("the batch is larger than the topic allows")
	// ErrProducerFenced is a Writer's: the log has seen a newer epoch of the producer.
	ErrProducerFenced = errors.New("the producer's epoch is older than the log's")
	// ErrNotInTransaction is a Writer's: the transaction that the records belong to is not open, or not known to hold the partition.
	ErrNotInTransaction = errors.New("the partition is not part of the transaction")
	// ErrCoordinatorFenced is a Writer's: a marker comes from a transaction coordinator that has been replaced.
	ErrCoordinatorFenced = errors.New("a newer transaction coordinator has written to the log")
	// ErrStorage is a Writer's: the log directory has failed.
	ErrStorage = errors.New("the log cannot be written")
)
