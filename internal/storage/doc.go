// Package storage is a partition's log on disk, in Kafka's own directory format,
// and the manager of all logs of a node.
//
//	LOGDIR/meta.properties, .lock, .kafka_cleanshutdown
//	LOGDIR/recovery-point-offset-checkpoint      up to where each log is known to be on the disk
//	LOGDIR/log-start-offset-checkpoint           what DeleteRecords has cut
//	LOGDIR/replication-offset-checkpoint         high watermarks
//	LOGDIR/cleaner-offset-checkpoint             up to where compacted logs are clean
//	LOGDIR/TOPIC-N/00000000000000000000.log      record batches, one after another
//	LOGDIR/TOPIC-N/....index                     sparse: last offset of a batch -> its position
//	LOGDIR/TOPIC-N/....timeindex                 sparse: largest timestamp so far -> its offset
//	LOGDIR/TOPIC-N/....txnindex                  aborted transactions
//	LOGDIR/TOPIC-N/....snapshot                  producer state at that offset
//	LOGDIR/TOPIC-N/leader-epoch-checkpoint       where each leader epoch begins
//	LOGDIR/TOPIC-N/partition.metadata            the topic's id
//
// A Log serialises its appends by appendMu; readers take only mu, for moments. appendMu
// is held over I/O, an exception on purpose: appends are one after another in the
// file as they are in the offsets, and what is given an offset must be written, or
// known not to be, before the next one gets its own. Who waits for it waits for that
// alone: a write to the page cache, or the rarer roll, cut, deletion and saving of leader
// epochs. The syncs that acknowledgements rest on run without it. ckMu of a log
// directory is held over the writing of its checkpoint files, so that an older one
// does not replace a newer. It may be taken under appendMu, never the other way. Nothing is mapped into memory: the active segment's
// indexes lie in memory and are appended to their files, those of closed segments
// are searched in their files. Descriptors come from a cache with a bound, since a
// node has more segments than it may have descriptors.
//
// The cleaner compacts logs whose topics ask for it (clean*.go; docs/formats/log.md tells the
// rules). It reads and writes closed segments without any lock and puts them in place under
// replaceMu, which is taken before appendMu by whoever removes, cuts or replaces segments.
//
// Kafka's rule holds for what is durable: everything below the recovery point
// (FlushedOffset) is on the disk, with its indexes; what lies above is checked
// after an unclean stop, batch by batch, and cut at the first that is not whole.
// AwaitSync tells when an offset has passed into the safe part; all waiters of a
// log directory share one syncer.
//
// Logs open at their first use (lazy.go), are recovered in the background where the last run did not end in order
// (recovery.go), and are offline with their directory when that cannot be written (dirstate.go). A directory may move
// one of its logs to another (future.go).
//
// Replica, quorum and broker call it. If it is wrong, acknowledged records are lost,
// shown twice or changed: there is nothing below it that could notice.
package storage
