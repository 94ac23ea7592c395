// Package clients drives foreign Kafka clients through one scenario each and
// compares every byte, header, timestamp, offset and order with what was meant.
//
// A client implements Client: natively for Go libraries, by a line protocol to
// a child process for the others (worker.go). The scenario (scenario.go) owns
// what is checked; a client only carries it out. franz-go is the reference:
// what a client wrote it reads, what it wrote a client reads.
//
// If this is wrong, a broker that some client cannot use passes.
package clients
