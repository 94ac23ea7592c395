// Package group is the group coordinator: the state machine that turns the requests of
// consumers (and of everything else that shares work by Kafka's group protocol)
// into records of __consumer_offsets and answers, and the facade that the broker calls.
//
// It owns membership and generations of classic groups, the epochs, targets and assignments of
// consumer groups (KIP-848), and the committed offsets of every group. Shard is the machine, one for each partition of the topic; it is pure: time,
// random ids and effects come in and go out through coord.Turn, and coord runs it. Service
// picks the shard for a request, calls it, and shapes answers for each version.
//
// Two kinds of state lie side by side in a group. What is durable (generation,
// members, assignments, offsets) changes only in Replay, live as at load. What is soft
// (who awaits a join or a sync, session time-outs, members that were only given an id)
// is lost with leadership, and members bring it back by rejoining.
//
// In a consumer group the coordinator decides who has what. A heartbeat is one turn: what the member says of itself may
// begin a new epoch of the group (consumer_heartbeat.go), a new epoch gets a new target (consumer_assign.go), and the
// member goes one safe step towards its part of the target (consumer_reconcile.go). Members of the classic protocol may
// be in such a group (consumer_classic.go), and a group may change its protocol while it runs (consumer_migrate.go).
//
// The records are Kafka's own to the byte (docs/formats/groups.md), but for the hash of the topics, which only its
// writer compares. Those of share and streams groups are kept and carried, not served.
//
// If this package is wrong, two members read the same partition, or a consumer starts
// again at an offset that it had never committed.
package group
