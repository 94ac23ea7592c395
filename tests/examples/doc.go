// Package examples runs what stands in examples/ as its readers would: builds it with Maven and Go, and gives each program the
// address of the cluster, those that keep offsets in a database that of a PostgreSQL too. An example checks itself and says by
// its exit code whether what it shows is so.
//
// The runner calls it. It owns the programs' processes and the database's directory. If it is wrong, the documentation's
// programs do not run and nobody notices.
package examples
