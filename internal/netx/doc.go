// Package netx is the seam to the network: Listen and Dial. TCP is the machine's
// own; the in-memory twin joins whole nodes inside one test and lets it delay,
// drop and partition.
package netx
