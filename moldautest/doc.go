// Package moldautest is Moldau's engine for the tests of Go programs that use Kafka: whole nodes in the test's own process, on a
// file system in memory, ready in milliseconds, gone when the test is over. No container, no Java, no port to choose.
//
//	func TestOrders(t *testing.T) {
//		kafka := moldautest.New(t)
//		run(kafka.Bootstrap()) // "127.0.0.1:41733": any Kafka client connects to it
//	}
//
// It is not an imitation: New starts what cmd/moldau starts, a broker and controller with topics, groups, transactions and
// everything else, and Cluster starts several that replicate to each other. What containers cannot do well is at hand:
//
//   - Broker.Kill, Broker.LosePower and Broker.Start: a process that dies, a machine that loses what was not synced;
//   - Broker.CutOff, Engine.Partition and Broker.SlowDown: networks that fail;
//   - Broker.FailDisk and Broker.FillDisk: disks that fail;
//   - Engine.Advance: an hour of retention, of session timeouts or of transaction timeouts passes in a moment.
//
// With InMemory there are no sockets at all: clients connect through Engine.Dial, which has the shape that clients ask for. Tests
// that use it run in any sandbox, and in a bubble of testing/synctest.
//
// There is an example of each.
//
// # Instead of containers
//
// A test that starts a Kafka container now changes in three lines: New stands for image, wait strategy and clean-up, Bootstrap for
// the mapped port, and Config for the KAFKA_ variables. A start takes milliseconds, so each test can have a node of its own, with
// topics that no other test has seen, and may run in parallel with the others. What needed a proxy between client and broker, a signal to a
// container or a sleep is a method here. What stays with containers: brokers of another version, TLS and SASL, and tests that
// measure.
//
// # Details
//
// Engine.Client is a ready franz-go client, closed with the test; nothing asks you to use it.
//
// Whatever goes wrong in a method ends the test by Fatal, so that tests need no error handling around their set-up. The methods
// must be called from the test's goroutine for that reason. Different engines have nothing in common: tests may be parallel.
package moldautest
