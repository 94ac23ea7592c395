// Package kraft is the way between a node and the controllers of its cluster.
//
// On a controller it serves the controller listener: Raft's messages, the
// metadata log for observers (Fetch, FetchSnapshot), registrations, heartbeats
// and ISR changes of brokers, and what brokers forward for their clients
// (Envelope). On every node it knows where the controllers are and who leads,
// and sends requests there until they are answered: a controller that has lost
// the lead, or is gone, costs a retry and not an error.
//
// Node builds one Handler, Transport and Link a process. A Directory holds the
// connections; each type says beside its fields who owns them. If it is wrong,
// brokers and controllers lose sight of each other, and the cluster stands
// still; nothing durable is lost here.
package kraft
