// Package txn is the transaction coordinator: the state machine that turns the requests of
// transactional producers into records of __transaction_state, decides the fate of every
// transaction, and sees to it that each partition hears of it.
//
// It owns, for each transactional id, the producer id and epoch, the state of its
// transaction and the partitions that take part. Shard is the machine, one for each partition
// of the topic; it is pure: time, producer ids and effects come in and go out through coord.Turn
// and the functions of its Config, and coord runs it. Service picks the shard for a request, calls it, and
// shapes answers for each version. Whether a partition was really made part of a transaction before
// its records were taken is asked by the brokers that lead it (storage.StartVerification).
//
// A transaction's outcome is fixed when its PrepareCommit or PrepareAbort record is committed.
// Only then is the producer answered and are markers sent; they are sent until every partition
// has one, by this coordinator or by those that come after it, and then the transaction is
// complete. A marker that was sent before its decision was committed could tell one
// partition the opposite of what the next coordinator tells the others.
//
// The records are Kafka's own to the byte (docs/formats/transactions.md).
//
// If this package is wrong, a reader sees half of a transaction, or a producer that was replaced
// long ago writes on.
package txn
