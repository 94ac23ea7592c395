// Package controller decides what happens to a cluster: topics, placement,
// leaders, in-sync replicas, configs, broker registrations, producer ids,
// features, quotas.
//
// It is a pure state machine. State.Handle takes a request, already
// authorized, and the time, looks at the newest image, and answers with
// metadata records and a reply; it writes nothing and waits for nothing.
// The quorum makes the records durable, applies them, hands the new image back
// (Advance) and only then lets the reply go. Tick does what time brings: it
// fences brokers that are silent and moves leaders back home.
//
// State belongs to the quorum's event loop and to nobody else. Besides the
// image it holds what Kafka keeps in memory only: when each broker was last
// heard of. A new leader starts that anew (Activate).
//
// If it is wrong, two brokers lead one partition, or a replica that lacks
// acknowledged records comes to lead: acknowledged records are lost.
package controller
