// Package wire talks to a broker byte by byte: every API that it advertises at
// every version, and a list of requests that must be refused in Kafka's way.
// Each answer becomes one line of text with what differs from run to run masked;
// testdata/kafka-4.3.1.txt holds the lines that real Kafka gave, and any server
// is compared with them.
//
// The runner calls it. If it is wrong, a broker that answers what no client
// expects passes.
package wire
