// Package storage is a partition's log on disk, in Kafka's own directory format,
// and the manager of all logs of a node.
//
//	LOGDIR/meta.properties, .lock, .kafka_cleanshutdown
//	LOGDIR/recovery-point-offset-checkpoint      up to where each log is known to be on the disk
//	LOGDIR/log-start-offset-checkpoint           what DeleteRecords has cut
//	LOGDIR/replication-offset-checkpoint         high watermarks
//	LOGDIR/TOPIC-N/00000000000000000000.log      record batches, one after another
//	LOGDIR/TOPIC-N/....index                     sparse: last offset of a batch -> its position
//	LOGDIR/TOPIC-N/....timeindex                 sparse: largest timestamp so far -> its offset
//	LOGDIR/TOPIC-N/....txnindex                  aborted transactions
//	LOGDIR/TOPIC-N/....snapshot                  producer state at that offset
//	LOGDIR/TOPIC-N/leader-epoch-checkpoint       where each leader epoch begins
//	LOGDIR/TOPIC-N/partition.metadata            the topic's id
//
// A Log serialises its appends by appendMu, which is held over the write; readers
// take only mu, for moments. Nothing is mapped into memory: the active segment's
// indexes lie in memory and are appended to their files, those of closed segments
// are searched in their files. Descriptors come from a cache with a bound, since a
// node has more segments than it may have descriptors.
//
// Kafka's rule holds for what is durable: everything below the recovery point
// (FlushedOffset) is on the disk, with its indexes; what lies above is checked
// after an unclean stop, batch by batch, and cut at the first that is not whole.
// AwaitSync tells when an offset has passed into the safe part; all waiters of a
// log directory share one syncer.
//
// Replica, quorum and broker call it. If it is wrong, acknowledged records are lost,
// shown twice or changed: there is nothing below it that could notice.
package storage
