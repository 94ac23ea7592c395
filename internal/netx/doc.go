// Package netx is the seam to the network: Listen and Dial. TCP is the machine's
// own. Mem, the in-memory twin, joins whole nodes inside one test; each node has a
// host of its own in it, and between any two hosts the test may delay what is sent,
// hold it back as a partition does, let it vanish as a lost machine does, or reset
// the connections.
//
// Everything that listens or dials takes a Network in its constructor. If it is
// wrong, tests tell of failures that no network has, or miss those that it has.
package netx
