// Package broker answers Kafka's protocol: one numbered file for each API key, and
// each does the same four things: authorize, translate, call, answer. What a
// request means is decided below (replica, group, the controller); here it gets
// its words: versions, error codes, names and ids of topics, the address that a
// client of this listener should use.
//
// Server calls Serve on the connection's goroutine. A handler that must wait gives
// a callback and returns. The broker holds no state of its own beside fetch
// sessions, the block of producer ids and the latest metadata image.
//
// If this package is wrong, clients do not understand us: a wrong code makes them
// retry for ever or give up at once.
package broker
