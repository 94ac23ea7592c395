// Package client is the one Kafka client used inside Moldau: franz-go, set up
// from the client properties that Kafka users already have.
//
// It owns three things: the translation of property keys (bootstrap.servers,
// security.protocol, sasl.jaas.config, ...) to franz-go options; the connection
// diagnosis, which turns "connection refused" or "unexpected EOF" into a sentence
// that says what to do next, and the lines that Kafka's clients log; and the small admin verbs (any broker, this broker,
// all brokers) that the command-line tools and the console are built on.
//
// Its callers are the tools in internal/cli and, later, the console and the
// Connect worker. A Client is owned by who opened it and must be closed by it.
// Nothing durable lives here: what is lost if it is wrong is the user's evening.
package client
