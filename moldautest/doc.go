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
// Engine.Client is a ready franz-go client, closed with the test; nothing asks you to use it.
//
// Whatever goes wrong in a method ends the test by Fatal, so that tests need no error handling around their set-up. The methods
// must be called from the test's goroutine for that reason. Different engines have nothing in common: tests may be parallel.
package moldautest
