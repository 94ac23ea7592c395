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
// If this package is wrong, records are acknowledged that can be lost, or shown
// before they are committed.
package replica
