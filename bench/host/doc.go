// Package host starts what is measured and watches it from outside: brokers pinned to one
// core, clusters of them on every core, the CPU time and memory that the kernel charges them, and the facts of the machine.
//
// The bench command owns every process that is started here and ends it.
package host
