// Package quorum orders the cluster's metadata among the controllers and keeps it.
//
// A Node drives etcd's Raft with one event loop. A request goes to the
// controller (package controller), which answers with records; they become one
// record batch, which becomes one Raft entry; once the entry is committed the
// batch is appended to the metadata log, the new image is handed to the
// subscribers, and then the reply leaves.
//
//	METADATADIR/bootstrap.checkpoint                        what format left for the first leader
//	METADATADIR/raft.wal                                    Raft's own log: entries and votes, synced before anything is said
//	METADATADIR/__cluster_metadata-0/OFFSET.log, ...        the committed batches, as Kafka has them
//	METADATADIR/__cluster_metadata-0/OFFSET-EPOCH.checkpoint  snapshots, as Kafka has them
//	METADATADIR/__cluster_metadata-0/quorum-state           who led and was voted for, for Kafka's eyes
//
// Why there are two logs is written in docs/decisions/0001-raft-wal.md.
//
// Goroutines: the loop owns Raft, the controller's state, the WAL and the log;
// the publisher calls the subscribers and the replies, in the order of the log;
// at times a third writes a snapshot. Others send messages to the loop or read
// the published image.
//
// The node and the controller's listener call it; brokers subscribe. If it is
// wrong, acknowledged changes of the cluster are lost or two nodes believe
// different ones.
package quorum
