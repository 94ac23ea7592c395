// Package interop is the compatibility matrix: every client of package clients, and whole programs that were written for
// Apache Kafka (its Connect worker, MirrorMaker 2, Kafka Streams, the test suites of librdkafka and franz-go, Burrow), on one
// node and on three, by the target that the caller starts. The results are kept by target beside docs/compatibility.md, which is
// generated from both, so that a run of some rows changes those only.
//
// The runner calls it. It owns docs/compatibility and docs/compatibility.md. If it is wrong, the project promises a client
// what it cannot keep.
package interop
