package replica

import "errors"

// What a request to a partition can meet beside the log's own errors. The broker turns them into Kafka's codes.
var (
	// ErrUnknownTopicOrPartition: the cluster has no such partition.
	ErrUnknownTopicOrPartition = errors.New("there is no such topic or partition")
	// ErrUnknownTopicID: no topic has this id.
	ErrUnknownTopicID = errors.New("no topic has this id")
	// ErrInconsistentTopicID: the partition here belongs to another incarnation of the topic.
	ErrInconsistentTopicID = errors.New("the topic was deleted and created again: its id is another one")
	// ErrNotLeader: this broker does not lead the partition (any more).
	ErrNotLeader = errors.New("this broker does not lead the partition")
	// ErrFencedLeaderEpoch: the client knows an older leader than this one.
	ErrFencedLeaderEpoch = errors.New("the leader epoch in the request is older than the partition's")
	// ErrUnknownLeaderEpoch: the client knows a newer leader than this broker does.
	ErrUnknownLeaderEpoch = errors.New("the leader epoch in the request is newer than the partition's")
	// ErrNotEnoughReplicas: the in-sync replicas are fewer than min.insync.replicas; nothing was appended.
	ErrNotEnoughReplicas = errors.New("fewer in-sync replicas than min.insync.replicas; nothing was appended")
	// ErrNotEnoughReplicasAfterAppend: the records are in the log, but too few replicas are left to call them committed.
	ErrNotEnoughReplicasAfterAppend = errors.New("fewer in-sync replicas than min.insync.replicas; the records are in the log")
	// ErrRequestTimedOut: the wait for acknowledgement took longer than the request allows.
	ErrRequestTimedOut = errors.New("not acknowledged by enough replicas in the time that the request allows")
	// ErrOffline: the partition's log cannot be opened or has failed.
	ErrOffline = errors.New("the partition is offline, since its log directory has failed")
	// ErrOffsetNotAvailable: a new leader does not know yet how far its predecessor had committed.
	ErrOffsetNotAvailable = errors.New("the new leader's high watermark has not reached the start of its epoch yet")
	// ErrShuttingDown: the broker is stopping.
	ErrShuttingDown = errors.New("the broker is shutting down")
)
