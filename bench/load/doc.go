// Package load is the driver: it sends requests that were built beforehand over a
// number of connections, keeps a number of them under way on each, and looks at every
// answer. One thread does it all with epoll, and fetched records are dropped inside the
// kernel, so that a driver on one core can keep a broker on another core busy and the
// broker's CPU, not the driver's, is what is measured.
//
// Beside it are what the rows with three nodes need: a driver's connections to the leaders
// of a cluster, a schedule by the clock, and a probe that tells how long a partition takes no
// write. There and for latencies a sender and a reader may be goroutines of their own.
//
// The bench command calls it, from one goroutine. If it is wrong, every figure is wrong:
// so an answer that is not exactly what was expected ends the run with an error.
package load
