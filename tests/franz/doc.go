// Package franz runs the integration tests of the franz-go client against the cluster under test, as its makers run them
// against Apache Kafka: groups of every balancer and of KIP-848, with static members and without, consumers that produce in
// transactions, regular expressions, metrics pushed by clients.
//
// The runner calls it. The tests come from the Go module proxy, in the version that the other suites use as a library, and
// are compiled once. If the package is wrong, a test that does not run counts as one that passes: therefore every test that is
// skipped must be one that may be.
package franz
