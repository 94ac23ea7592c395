// Package coord runs coordinators: replicated state machines over the
// partitions of an internal topic, one shard a partition. Groups live in
// __consumer_offsets, transactions in __transaction_state; both are Machines
// and know nothing of threads, clocks or logs.
//
// A turn is the unit of work. A request, a timer or a finished load is given to
// the machine with a Turn; the machine looks at its state and puts into the
// Turn what shall happen: records to append, replies to send, timers to set.
// The runtime then appends the records as one batch and, when that has worked,
// gives them back to the machine's Replay, which is the only code that changes
// durable state: the same code reads the partition at load. A failed append
// has changed nothing. Replies wait until the high watermark has passed
// everything the shard had written by then, so no client is ever told of a state
// that a new leader might not know; this holds for reads too.
//
// What is called by whom: broker calls Elect and Resign as leadership moves,
// HighWatermark as the partition's watermark moves, and Do for requests
// (through the facade of the machine's package). Writer, Loader and clock.Clock
// are handed in.
//
// Who owns what: turns of one shard run one after the other, on the goroutine
// of whoever brought the first of them; there is no goroutine and no worker for
// an idle shard. Fields of a shard say whether they belong to its lock or to
// the running turn. No lock is held while the machine runs, while a batch is
// appended, or while a reply is sent.
//
// A machine that panics has broken an invariant of its own: its shard is condemned, which
// answers everything that waits, forgets the machine and loads the partition anew. Other shards,
// and the goroutine that brought the request, go on.
//
// If this package is wrong, offsets that were acknowledged as committed are lost
// after a failover, or two members of a group own the same partition.
package coord
