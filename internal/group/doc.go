// Package group is the group coordinator: the state machine that turns the requests of
// consumers (and of everything else that shares work by Kafka's group protocol)
// into records of __consumer_offsets and answers, and the facade that the broker calls.
//
// It owns membership and generations of classic groups, and the committed offsets of
// every group. Shard is the machine, one for each partition of the topic; it is pure: time,
// random ids and effects come in and go out through coord.Turn, and coord runs it. Service
// picks the shard for a request, calls it, and shapes answers for each version.
//
// Two kinds of state lie side by side in a group. What is durable (generation,
// members, assignments, offsets) changes only in Replay, live as at load. What is soft
// (who awaits a join or a sync, session time-outs, members that were only given an id)
// is lost with leadership, and members bring it back by rejoining.
//
// The records are Kafka's own to the byte (docs/formats/groups.md), those of the newer group
// protocols included: they are kept and carried, not served.
//
// If this package is wrong, two members read the same partition, or a consumer starts
// again at an offset that it had never committed.
package group
