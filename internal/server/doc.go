// Package server is the door of a node: it listens, reads requests, hands them to a
// Handler and sends the responses, each connection in the order of its requests.
//
// One goroutine owns a connection: it reads into a pooled buffer, checks and decodes
// each whole frame (package wire), and calls Handler.Serve inline. A handler
// answers at once or keeps the *Request and answers later from any goroutine; the
// responses stand in the connection's queue until those before them are ready. While
// the connection's goroutine is at work it also writes, once it has no whole request
// left to serve; while it waits for input, whoever completes the head of the queue
// writes everything that is ready, but never blocks: what the socket does not take at
// once is left to a goroutine that is started for it.
//
// The broker and the controller give it their Handlers and wire.Tables, and have it
// answer ApiVersions, which tells of that table; node starts and stops it. Each Conn owns its state: what the reading goroutine alone
// touches, what stands behind mu, and the file beside each field says which. If it is
// wrong, a client sees another request's answer, or one peer's silence takes the
// node's memory or goroutines from all the others; nothing durable is lost here.
package server
