// Package peer is a node's connection to another node: requests leave in their
// order, several are in flight, and each answer finds its caller by the
// correlation id.
//
// The controller's peers, the followers' fetchers and the coordinators use it. A
// Client connects when it is first needed, asks the other side for the versions
// that it serves, and connects again, with a growing pause, after a failure. It
// never sends a request twice: whether one that was in flight was carried out is
// not known, and only its caller can say whether it may be sent again.
//
// A Client's queue and connection belong to its mutex; while it is connected one
// goroutine writes and another reads, and the reader sends the next request itself
// when nothing else is under way. The memory of an answer is its receiver's, or, with
// LendAnswers, only until the callback returns. If it is wrong, a node takes the
// answer to one question for the answer to another, or a follower writes bytes of
// another answer.
package peer
