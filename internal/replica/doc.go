// Package replica owns the partitions of this broker: which it leads, which it
// follows, their in-sync replicas and high watermarks, and the produce and fetch
// requests that wait for a watermark to move.
//
// The broker's handlers call Produce, Fetch and the offset look-ups; node calls
// ApplyMetadata with each new image, and nobody else changes a role. One Partition
// owns one log of package storage: the lock named lead keeps the role still while
// an append or a read is under way, the lock named mu guards the watermark and
// those who wait for it. Only the log is called with a lock held, and what the log calls
// back takes mu alone.
//
// The leader counts a replica as in sync as long as it fetches from the log's end often enough; what
// the in-sync replicas are the controller decides, and until it has answered, both sets are counted with
// (isr.go). What happens to a partition makes it due in the sessions of its followers, whose fetches look at nothing
// else (session.go). A follower has no goroutine: the answers of its leader append to its logs (fetcher.go). Where
// its log has left the leader's, it is cut by leader epoch, never to the watermark (follow.go). A partition that its leader
// refuses pauses alone (pauses.go), and of many that fail for one reason few lines are logged (trouble.go). A broker takes no
// role before the metadata knows of its registration.
//
// The tests run clusters of three and five brokers in one process, by seed, with crashes, lost disks' caches,
// partitions and slow links: go test -run Simulation . -args -sim.seeds 500. What one seed does it does again.
//
// If this package is wrong, records are acknowledged that can be lost, or shown
// before they are committed.
package replica
