// Package node starts, kills and restarts the server under test: the moldau
// binary, or real Apache Kafka, or nothing at all when the target is a cluster
// that is already there.
//
// The suites call it. One suite owns one Node; nothing else touches its
// process or its directory. If it is wrong, tests run against a server that is
// not the one they think of, or leave processes behind.
package node
